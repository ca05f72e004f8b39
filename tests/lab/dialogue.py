"""An SMTP client for tests: it sends exactly what it is told, and hides nothing."""

import base64
import hashlib
import socket
import ssl

from .scram import Scram


class Reply:
    """One reply of the server."""

    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[0][:3])
        self.text = "\n".join(line[4:] for line in lines)

    @property
    def enhanced(self):
        """The enhanced status code (RFC 3463), or "" where there is none."""
        word = self.text.split(" ", 1)[0]
        return word if word.count(".") == 2 and word.replace(".", "").isdigit() else ""

    def __repr__(self):
        return f"{self.code} {self.text}"


class Dialogue:
    """A connection. `tls` is an SSLContext for implicit TLS; `source` the address to come from."""

    def __init__(self, address, port, *, tls=None, name=None, source=None, timeout=10,
                 greeting=True, first=b""):
        self.socket = socket.create_connection(
            (address, port), timeout=timeout, source_address=(source, 0) if source else None)
        self.buffer = b""
        if first:
            self.socket.sendall(first)
        if tls:
            self._wrap(tls, name)
        self.greeting = self.reply() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _wrap(self, context, name):
        if not name:
            context.check_hostname = False
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    # -- bytes and replies --------------------------------------------------------------------

    def raw(self, data):
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            got = self.socket.recv(65536)
            if not got:
                raise ConnectionError(f"closed by the server; unread: {self.buffer!r}")
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"bare line feed in a reply: {line!r}"
        return line[:-1].decode("utf-8")

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return Reply(lines)

    def command(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.raw(data + b"\r\n")
        return self.reply()

    def expect(self, code, text):
        """Sends a command, checks the code of its reply and returns the reply."""
        reply = self.command(text)
        wanted = (code,) if isinstance(code, int) else code
        assert reply.code in wanted, f"{text!r}: got {reply!r}, want {code}"
        return reply

    def ended(self, seconds=5):
        """Has the server closed the connection (within that time)?"""
        self.socket.settimeout(seconds)
        try:
            while True:
                got = self.socket.recv(65536)
                if not got:
                    return True
                self.buffer += got
        except (ConnectionError, ssl.SSLError):
            return True
        except TimeoutError:
            return False

    # -- the usual steps ----------------------------------------------------------------------

    def ehlo(self, name="client.example"):
        """EHLO; returns {keyword: parameters}."""
        reply = self.expect(250, f"EHLO {name}")
        lines = reply.text.split("\n")[1:]
        return {l.split(" ")[0].upper(): l.partition(" ")[2] for l in lines}

    def starttls(self, context, name=None):
        self.expect(220, "STARTTLS")
        assert not self.buffer, f"bytes behind the 220: {self.buffer!r}"
        self._wrap(context, name)

    def auth_plain(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {token}")

    def auth_login(self, user, password):
        reply = self.command("AUTH LOGIN")
        for secret in (user, password):
            if reply.code != 334:
                return reply
            reply = self.command(base64.b64encode(secret.encode()))
        return reply

    def auth_scram(self, user, password, *, plus=False, flag="n"):
        """SCRAM-SHA-256, or -PLUS bound to the server's certificate (RFC 5929 section 4)."""
        binding = None
        if plus:
            certificate = self.socket.getpeercert(binary_form=True)
            binding = ("tls-server-end-point", hashlib.sha256(certificate).digest())
        scram = Scram(user, password, binding, flag)
        mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
        reply = self.command(b"AUTH " + mechanism.encode() + b" " +
                             base64.b64encode(scram.first()))
        if reply.code != 334:
            return reply
        reply = self.command(base64.b64encode(scram.final(base64.b64decode(reply.text))))
        if reply.code == 334:
            scram.check(base64.b64decode(reply.text))
            reply = self.command("")
        return reply

    def mail(self, sender, recipients, content, *, mail_parameters="", rcpt_parameters=""):
        """A whole transaction with DATA; returns the reply to the final dot."""
        self.expect(250, f"MAIL FROM:<{sender}> {mail_parameters}".rstrip())
        for address in [recipients] if isinstance(recipients, str) else recipients:
            self.expect((250, 251), f"RCPT TO:<{address}> {rcpt_parameters}".rstrip())
        self.expect(354, "DATA")
        self.raw(dot_stuffed(content))
        return self.reply()

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply


def dot_stuffed(content):
    """The message with CRLF line ends, dots doubled, and the final dot."""
    data = content.encode() if isinstance(content, str) else content
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + l if l.startswith(b".") else l) + b"\r\n" for l in lines) + b".\r\n"
