"""An SMTP or LMTP server for tests: it does what a script says and keeps every byte it got.

    sink = Sink("127.0.30.1", 25, Script(recipients={"no@x.example": "550 5.1.1 no such user"}))
    ...
    mail = sink.wait(1)[0]
    assert mail.recipients == ["yes@x.example"]

It never repairs what a client sends: framing that a client gets wrong shows up in `mail.wire`.
"""

import base64
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from .process import wait_for

#: Where a script may step in, in the order of a session.
STATES = ("connect", "ehlo", "helo", "lhlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot",
          "reply", "bdat", "rset", "noop", "quit")


@dataclass
class Script:
    """How the server behaves.

    Replies are text without CRLF, several lines joined by newlines; bytes are sent as they are.
    """

    #: state -> reply instead of the normal one ("dot" answers for the whole message)
    replies: dict = field(default_factory=dict)
    #: state -> seconds to wait before answering
    delays: dict = field(default_factory=dict)
    #: states in which the connection is closed without an answer ("body": amid the message,
    #: "reply": the message was kept, its answer never comes)
    drops: tuple = ()
    #: address -> reply to RCPT
    recipients: dict = field(default_factory=dict)
    #: address -> reply after the final dot (LMTP answers per recipient)
    after_dot: dict = field(default_factory=dict)
    #: reply that announces and closes, such as "421 4.3.2 going down", given in these states
    shutdown: dict = field(default_factory=dict)
    extensions: tuple = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8",
                         "ENHANCEDSTATUSCODES", "DSN", "CHUNKING")
    #: an SSLContext: STARTTLS is offered
    tls: ssl.SSLContext = None
    #: MAIL without TLS gets 530
    require_tls: bool = False
    #: bytes sent in the clear behind the 220 of STARTTLS (an injected reply)
    inject_after_starttls: bytes = b""
    #: user -> password: AUTH PLAIN and LOGIN are offered (put "AUTH ..." into `extensions`), and
    #: MAIL without a login gets 530
    logins: dict = field(default_factory=dict)
    #: EHLO is an unknown command
    only_helo: bool = False
    #: bytes a second at which the message is read; 0 is as fast as it comes
    read_rate: int = 0


@dataclass
class Mail:
    """One message that got its final answer."""

    reverse_path: str
    mail_parameters: str
    recipients: list
    rcpt_parameters: dict
    content: bytes
    """The message as the client meant it, dot-stuffing undone."""
    wire: bytes
    """The message as it came over the wire, with the final dot, or the BDAT chunks."""
    tls: str
    helo: str
    reply: str
    session: int
    time: float
    chunks: int = 0

    def accepted(self):
        return self.reply.startswith("2")


@dataclass
class Session:
    number: int
    peer: tuple
    commands: list = field(default_factory=list)
    tls: str = ""
    server_name: str = ""
    user: str = ""
    end: str = "open"


class Closed(Exception):
    """The connection is over, because the peer or the script wanted so."""


class Sink:
    """`path` instead of an address is a Unix socket that everybody may connect to."""

    def __init__(self, address, port, script=None, *, lmtp=False, keep_refused=False, path=None):
        self.script = script or Script()
        self.lmtp, self.keep_refused = lmtp, keep_refused
        self.mails, self.sessions = [], []
        self.open_now = self.open_most = 0
        self._lock = threading.Lock()
        self._listener, self.address, self.port = _listen(address, port, path)
        self._connections = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def wait(self, count=1, seconds=10):
        """Waits until `count` messages are here and returns all that came."""
        try:
            wait_for(lambda: len(self.mails) >= count, seconds, f"{count} messages at the sink")
        except TimeoutError:
            raise AssertionError(f"{len(self.mails)} of {count} messages at "
                                 f"{self.address}:{self.port}; sessions: {self.sessions}") from None
        return list(self.mails)

    def commands(self):
        """Every command line of every session, in order."""
        return [line for session in self.sessions for line in session.commands]

    def close(self):
        """Stops listening and ends what is connected."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            with self._lock:
                session = Session(len(self.sessions), peer)
                self.sessions.append(session)
                self.open_now += 1
                self.open_most = max(self.open_most, self.open_now)
            threading.Thread(target=self._serve, args=(connection, session), daemon=True).start()

    def _serve(self, connection, session):
        self._connections.add(connection)
        server = _Server(self, connection, session)
        try:
            server.run()
            session.end = "quit"
        except (Closed, OSError, ssl.SSLError) as error:
            session.end = f"{type(error).__name__}: {error}"
        finally:
            self._connections.discard(connection)
            with self._lock:
                self.open_now -= 1
            server.socket.close()
            connection.close()

    def _keep(self, mail):
        if mail.accepted() or self.keep_refused:
            with self._lock:
                self.mails.append(mail)


def _note_name(tls_socket, name, _context):
    tls_socket.asked_name = name or ""


def _listen(address, port, path):
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        os.chmod(path, 0o666)
        listener.listen(256)
        return listener, str(path), 0
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(256)
    return listener, *listener.getsockname()[:2]


class _Server:
    """One connection."""

    def __init__(self, sink, connection, session):
        self.sink, self.script, self.session = sink, sink.script, session
        self.socket, self.buffer = connection, b""
        self.helo = ""
        self._reset()

    def _reset(self):
        self.reverse_path, self.mail_parameters = None, ""
        self.recipients, self.rcpt_parameters = [], {}
        self.chunks, self.chunk_count, self.chunk_wire = b"", 0, b""

    # -- bytes --------------------------------------------------------------------------------

    def _more(self):
        got = self.socket.recv(65536)
        if not got:
            raise Closed("by the client")
        self.buffer += got
        if self.script.read_rate:
            time.sleep(len(got) / self.script.read_rate)

    def _line(self):
        while b"\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _send(self, reply):
        """Sends a reply; of several lines the first one's code stands before all."""
        code = reply[:3]
        texts = [line[4:] if line[:3] == code else line for line in reply.split("\n")]
        last = len(texts) - 1
        lines = [f"{code}{' ' if i == last else '-'}{text}\r\n" for i, text in enumerate(texts)]
        self.socket.sendall("".join(lines).encode("utf-8", "surrogateescape"))

    def _answer(self, state, normal):
        """Sends what the script wants in `state`, else `normal`; returns what was sent."""
        self._step(state)
        reply = self.script.replies.get(state, normal)
        if isinstance(reply, bytes):
            self.socket.sendall(reply)
            return reply.decode("latin-1")
        self._send(reply)
        return reply

    def _step(self, state):
        """Waits, drops or shuts down where the script says so."""
        if state in self.script.delays:
            time.sleep(self.script.delays[state])
        if state in self.script.drops:
            raise Closed(f"by the script in {state}")
        if state in self.script.shutdown:
            self._send(self.script.shutdown[state])
            raise Closed(f"shut down in {state}")

    # -- commands -----------------------------------------------------------------------------

    def run(self):
        name = "LMTP" if self.sink.lmtp else "ESMTP"
        self._answer("connect", f"220 sink.example {name} sink")
        while True:
            line = self._line()
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.session.commands.append(text)
            verb, _, rest = text.partition(" ")
            handler = getattr(self, "_do_" + verb.lower(), None)
            if handler is None or (verb.upper() == "EHLO" and self.script.only_helo):
                self._send("500 5.5.1 what?")
            elif handler(rest):
                return

    def _do_ehlo(self, rest, state="ehlo"):
        self.helo = rest
        self._reset()
        lines = ["250-sink.example", *("250-" + e for e in self.script.extensions)]
        if self.script.tls and not self.session.tls:
            lines.append("250-STARTTLS")
        lines[-1] = "250 " + lines[-1][4:]
        self._answer(state, "\n".join(lines))

    def _do_lhlo(self, rest):
        self._do_ehlo(rest, "lhlo")

    def _do_helo(self, rest):
        self.helo = rest
        self._answer("helo", "250 sink.example")

    def _do_starttls(self, _rest):
        reply = self._answer("starttls", "220 2.0.0 go" if self.script.tls else "502 5.5.1 no")
        if not reply.startswith("220") or not self.script.tls:
            return
        if self.script.inject_after_starttls:
            self.socket.sendall(self.script.inject_after_starttls)
        self.buffer = b""
        self.script.tls.sni_callback = _note_name
        self.socket = self.script.tls.wrap_socket(self.socket, server_side=True)
        self.session.tls = self.socket.version()
        self.session.server_name = getattr(self.socket, "asked_name", "")
        self.helo = ""
        self._reset()

    def _do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN" and initial:
            _, user, password = base64.b64decode(initial).decode().split("\0")
        elif mechanism.upper() == "LOGIN":
            user, password = (self._ask(word) for word in ("Username:", "Password:"))
        else:
            self._send("504 5.5.4 what?")
            return
        right = self.script.logins.get(user) == password
        reply = self._answer("auth", "235 2.7.0 welcome" if right else "535 5.7.8 who are you?")
        self.session.user = user if reply.startswith("235") else ""

    def _ask(self, word):
        self._send("334 " + base64.b64encode(word.encode()).decode())
        return base64.b64decode(self._line()).decode()

    def _do_mail(self, rest):
        if self.script.logins and not self.session.user:
            self._send("530 5.7.0 Authentication required")
            return
        if self.script.require_tls and not self.session.tls:
            self._send("530 5.7.0 Must issue a STARTTLS command first")
            return
        path, _, parameters = rest.partition(">")
        reply = self._answer("mail", "250 2.1.0 ok")
        if reply.startswith("2"):
            self._reset()
            self.reverse_path = path.partition("<")[2]
            self.mail_parameters = parameters.strip()

    def _do_rcpt(self, rest):
        if self.reverse_path is None:
            self._send("503 5.5.1 MAIL first")
            return
        path, _, parameters = rest.partition(">")
        address = path.partition("<")[2]
        reply = self._answer("rcpt", self.script.recipients.get(address, "250 2.1.5 ok"))
        if reply.startswith("2"):
            self.recipients.append(address)
            self.rcpt_parameters[address] = parameters.strip()

    def _do_data(self, _rest):
        if not self.recipients:
            self._send("554 5.5.1 no valid recipients")
            return
        if not self._answer("data", "354 go").startswith("354"):
            return
        content, wire = [], []
        while True:
            line = self._line()
            wire.append(line)
            if "body" in self.script.drops or "body" in self.script.shutdown:
                self._step("body")
            if line == b".\r\n":
                break
            content.append(line[1:] if line.startswith(b".") else line)
        self._finish(b"".join(content), b"".join(wire))

    def _do_bdat(self, rest):
        size, _, last = rest.partition(" ")
        chunk = self._take(int(size))
        self.chunks += chunk
        self.chunk_wire += f"BDAT {rest}\r\n".encode() + chunk
        self.chunk_count += 1
        if not self.recipients:
            self._send("554 5.5.1 no valid recipients")
        elif last.strip().upper() != "LAST":
            self._answer("bdat", "250 2.0.0 more")
        else:
            self._finish(self.chunks, self.chunk_wire)

    def _finish(self, content, wire):
        """Answers for the whole message, or in LMTP for each recipient (RFC 2033 section 4.2).

        The message is kept before it is answered: who saw the 250 must find it here.
        """
        self._step("dot")
        normal = self.script.replies.get("dot", "250 2.0.0 ok")
        if isinstance(normal, bytes):
            self.socket.sendall(normal)
            self._reset()
            return
        replies = [normal]
        if self.sink.lmtp:
            replies = [self.script.after_dot.get(a, normal) for a in self.recipients]
        taken = self.recipients
        if self.sink.lmtp:
            taken = [a for a, r in zip(self.recipients, replies) if r.startswith("2")]
        reply = next((r for r in replies if r.startswith("2")), replies[0])
        self.sink._keep(Mail(self.reverse_path, self.mail_parameters, taken, self.rcpt_parameters,
                             content, wire, self.session.tls, self.helo, reply,
                             self.session.number, time.time(), self.chunk_count))
        self._step("reply")
        for reply in replies:
            self._send(reply)
        self._reset()

    def _do_rset(self, _rest):
        self._reset()
        self._answer("rset", "250 2.0.0 ok")

    def _do_noop(self, _rest):
        self._answer("noop", "250 2.0.0 ok")

    def _do_quit(self, _rest):
        self._answer("quit", "221 2.0.0 bye")
        return True
