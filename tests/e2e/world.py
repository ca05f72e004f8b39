"""The world of the end to end tests: one DNS and one root certificate for all, gateways and
peers as each test wants them. conftest.py makes fixtures of it."""

import itertools
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from lab.ca import Authority, server_context
from lab.dialogue import Dialogue
from lab.gateway import Gateway, merged, queue_id
from lab.nameserver import Dns
from lab.net import Net, privileged
from lab.process import wait_for
from lab.sink import Sink

BOB = ("bob@kartapuce.com", "Chip-on-card-42")
JACK = ("jack@kartapuce.com", "Jack-reads-IOCs-7")

#: A message without peculiarities, for senders who do not care.
PLAIN = "From: someone@peers.example\nSubject: plain\n\nhello\n"
#: The same from Bob, for where he has logged in.
PLAIN_OF_BOB = PLAIN.replace("someone@peers.example", BOB[0])

#: Limits that tests of other things must not meet, and waits that are short.
QUICK = {
    "limits": {"pregreet_delay": "0s", "connection_rate": 0, "connection_rate_per_network": 0,
               "message_rate": 0, "connections_per_address": 1000, "connections_per_network": 1000,
               "auth_failures_per_address": 1000},
    "queue": {"retry_first": "1s", "retry_max": "2s", "retry_jitter": 0},
}


def with_author(content, author):
    """The text of a message with a From field, added on top where there is none."""
    if re.search(r"^From:", content.split("\n\n")[0], re.M):
        return content
    return f"From: {author or 'mailer@peers.example'}\n{content}"


class Running:
    """A started gateway and what a test wants to know about it."""

    def __init__(self, world, gateway, address, certificate):
        self.world, self.gateway, self.address = world, gateway, address
        self.certificate = certificate
        self.mailboxes = None

    def port(self, kind):
        return next(l["port"] for l in self.gateway.configuration["listeners"] if l["kind"] == kind)

    def dialogue(self, kind="mx", **options):
        """A Dialogue with the listener; smtps has its TLS handshake behind it."""
        if kind == "smtps":
            options.setdefault("tls", self.world.ca.client_context(check_name=False))
        return Dialogue(self.address, self.port(kind), **options)

    def logged_in(self, user=BOB):
        client = self.dialogue("smtps")
        client.ehlo()
        reply = client.auth_plain(*user)
        assert reply.code == 235, reply
        return client

    def submit(self, recipients, content="Subject: test\n\nhello\n", *, sender=None, user=BOB,
               **parameters):
        """Submits one message as `user`; returns its queue id."""
        with self.logged_in(user) as client:
            sender = user[0] if sender is None else sender
            reply = client.mail(sender, recipients, with_author(content, sender or user[0]),
                                **parameters)
            assert reply.code == 250, reply
            return queue_id(reply.text)

    def receive(self, recipients, content="Subject: test\n\nhello\n", *,
                sender="someone@peers.example", **parameters):
        """Sends one message to the mx listener; returns the final reply."""
        with self.dialogue("mx") as client:
            client.ehlo("client.peers.example")
            return client.mail(sender, recipients, with_author(content, sender), **parameters)

    def explained(self, identifier, *phrases, seconds=10):
        """`postern explain` in one line, once every phrase is in it."""
        text = ""

        def look():
            nonlocal text
            done = self.gateway.command("explain", identifier, check=False)
            text = " ".join((done.stdout + done.stderr).split())
            return all(phrase in text for phrase in phrases)

        try:
            wait_for(look, seconds, step=0.1)
        except TimeoutError:
            missing = [phrase for phrase in phrases if phrase not in text]
            raise AssertionError(f"{missing} not in the explanation of {identifier}:\n{text}\n"
                                 f"log:\n{self.gateway.process.tail(15)}") from None
        return text

    def empty_queue(self, seconds=10):
        """Waits until nothing is queued any more."""
        wait_for(lambda: not self.gateway.queue(), seconds, "an empty queue", step=0.1)


class World:
    def __init__(self):
        # Not below pytest's own directory: the roles' users have to get in.
        self.directory = Path(tempfile.mkdtemp(prefix="postern-e2e-"))
        self.directory.chmod(0o755)
        self.net = Net()
        self.ca = Authority(self.directory / "ca")
        # Tests add names while gateways run: none of them may have been denied a moment ago.
        self.dns = Dns(self.directory / "dns", self.net.host(53), self.net.port("dns"), ttl=5,
                       negative_ttl=0)
        # Not signed: from a signed denial the resolver would conclude (RFC 8198) that a name which
        # the next test adds does not exist.
        self.peers = self.dns.zone("peers.example", signing="none")
        self.peers.a("client", "127.0.0.1")
        self.dns.zone("bogus.example", signing="bogus").mx(10, "mx").a("mx", self.net.host(66))
        self.dns.zone("kartapuce.com").mx(10, "mx").a("mx", self.net.host(10))
        self.dns.start()
        self._numbers = itertools.count(1)
        self._undo = []

    def later(self, undo):
        self._undo.append(undo)

    def mark(self):
        return len(self._undo)

    def undo(self, mark=0):
        """Takes back, newest first, what was made since `mark`."""
        while len(self._undo) > mark:
            self._undo.pop()()

    def close(self, keep=False):
        """Ends everything; the directory with its logs stays when `keep` says so."""
        self.undo()
        self.dns.stop()
        self.net.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    # -- gateways -----------------------------------------------------------------------------

    def gateway(self, changes=None, *, users=(BOB, JACK), delivery=None, start=True,
                listeners=("mx", "smtps", "submission")):
        """A gateway for kartapuce.com on an address of its own.

        Without `delivery` its mail goes to an LMTP sink, `running.mailboxes`.
        """
        number = next(self._numbers)
        address = self.net.fresh()
        certificate = self.ca.issue("mx.kartapuce.com", "kartapuce.com")
        mailboxes = None
        if delivery is None:
            mailboxes = self.sink(lmtp=True)
            delivery = f"lmtp://{mailboxes.address}:{mailboxes.port}"
        port = {"mx": "smtp", "smtps": "smtps", "submission": "submission"}
        base = merged(QUICK, {
            "hostname": "mx.kartapuce.com",
            "listeners": [{"address": address, "port": self.net.port(port[kind]), "kind": kind}
                          for kind in listeners],
            "tls": {"certificates": [{"certificate": str(certificate.certificate),
                                      "key": str(certificate.key)}]},
            "domains": [{"name": "kartapuce.com", "delivery": delivery, "recipients": "users"}],
            "bounce": {"postmaster": BOB[0]},
            "resolver": {**self.dns.upstream, "trust_anchors": [str(self.dns.anchor)],
                         "local_zones": ["127.in-addr.arpa"]},
        })
        gateway = Gateway(self.directory / f"gateway-{number}", merged(base, changes or {}))
        self.later(gateway.remove)
        running = Running(self, gateway, address, certificate)
        running.mailboxes = mailboxes
        if start:
            gateway.start()
            for user in users:
                gateway.add_user(*user)
        return running

    # -- peers --------------------------------------------------------------------------------

    def sink(self, script=None, *, port=0, address=None, **options):
        sink = Sink(address or self.net.fresh(), port, script, **options)
        self.later(sink.close)
        return sink

    def socket_path(self):
        """A short path for a Unix socket, in a directory that every role may enter."""
        directory = Path(tempfile.mkdtemp(prefix="lab-"))
        directory.chmod(0o755)
        self.later(lambda: shutil.rmtree(directory))
        return directory / "socket"

    def name(self):
        """A domain name below peers.example that nobody has used."""
        return f"d{next(self._numbers)}.peers.example"

    def peer(self, script=None, **options):
        """A domain with one mail exchanger that is a sink at port 25: (sink, domain)."""
        if not privileged():
            pytest.skip("a mail exchanger needs port 25")
        sink = self.sink(script, port=25, **options)
        domain = self.name()
        label = domain.split(".")[0]
        self.peers.mx(10, f"mx.{label}", owner=label).a(f"mx.{label}", sink.address)
        self.dns.update()
        return sink, domain

    def tls(self, *names, **options):
        """An SSLContext for a sink."""
        return server_context(self.ca.issue(*names, **options))
