"""The real Dovecot: LMTP in, IMAPS out, from a configuration that Postern wrote."""

import imaplib
import os
import socket
from pathlib import Path

from .net import listens, privileged
from .process import Failed, Process, run

#: Who owns the mail when the laboratory runs as root: no account of this machine.
MAIL_UID = 20001


class Dovecot:
    """Runs Dovecot in the foreground from `configuration` (see `gateway.Gateway.dovecot`).

    `imaps` and `lmtp` are the (address, port) pairs that the configuration listens on; an `lmtp`
    of None means a Unix socket, which is not waited for.
    """

    def __init__(self, configuration, log, *, imaps, lmtp=None):
        checked = run(["doveconf", "-n", "-c", configuration], check=False)
        if checked.returncode != 0:
            raise Failed(f"doveconf refuses {configuration}:\n{checked.stderr}")
        self.imaps, self.lmtp = imaps, lmtp
        self.process = Process(["/usr/sbin/dovecot", "-F", "-c", configuration], log,
                               name="dovecot")
        self.process.wait_until(lambda: listens(*imaps) and (not lmtp or listens(*lmtp)))

    def login(self, user, password, context, name=None, source=None):
        """An imaplib connection with INBOX selected; raises imaplib's error on a wrong password.

        After a failure Dovecot makes everybody at the same `source` address wait.
        """
        connection = _Imaps(self.imaps, source, _named(context, name))
        connection.login(user, password)
        connection.select("INBOX")
        return connection

    def messages(self, user, password, context, name=None, mailbox="INBOX"):
        """Every message of the mailbox, as bytes, oldest first."""
        connection = self.login(user, password, context, name)
        try:
            connection.select(mailbox, readonly=True)
            numbers = connection.search(None, "ALL")[1][0].split()
            return [connection.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]
        finally:
            connection.logout()

    def stop(self):
        self.process.stop()


class _Imaps(imaplib.IMAP4_SSL):
    def __init__(self, target, source, context):
        self._target, self._source = target, source
        super().__init__(*target, ssl_context=context)

    def _create_socket(self, timeout):
        plain = socket.create_connection(
            self._target, timeout, source_address=(self._source, 0) if self._source else None)
        return self.ssl_context.wrap_socket(plain, server_hostname=self.host)


class _named:
    """Hands imaplib an SSLContext that checks `name`, though the connection goes to an address."""

    def __init__(self, context, name):
        self.context, self.name = context, name

    def wrap_socket(self, connection, server_hostname=None):
        return self.context.wrap_socket(connection, server_hostname=self.name or server_hostname)


def mail_directory(path):
    """A directory that Dovecot may keep mail in, and the owner's uid."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    uid = MAIL_UID if privileged() else os.getuid()
    if privileged():
        os.chown(path, uid, uid)
    return path, uid
