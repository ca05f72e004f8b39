"""smuggling/*: one end of data only, and what a server answers to odd dialogues."""

import ast
import re

from driver import octets, octets_if_wide
from properties import Unjudged
from verdict import failed, passed, set_aside

# ---- eod-sequences


def bare_line_ends(text):
    return re.search("\r(?!\n)|(?<!\r)\n", text) is not None


def refused(output):
    """The last reply is a permanent refusal."""
    replies = [line for line in output.split("\r\n") if re.match(r"\d{3} ", line)]
    return bool(replies) and replies[-1].startswith("5")


def wire_problem(wire):
    """What a next hop could misread in a message as it is sent on; None: nothing."""
    if bare_line_ends(wire):
        return "bare CR or LF on the way out"
    if not wire.endswith("\r\n.\r\n") and wire != ".\r\n":
        return "no end of data on the way out"
    if wire.find("\r\n.\r\n") not in (-1, len(wire) - 5):
        return "an early end of data on the way out"
    return None


def content_size(stream):
    """The octets of the content before the first end of data, with their CRLFs and without the dots
    that transparency added (RFC 5321 4.5.2)."""
    content, end, _ = ("\r\n" + stream).partition("\r\n.\r\n")
    content += "\r\n" if end else ""
    return len(content.replace("\r\n..", "\r\n.")) - len("\r\n")


class EndOfData:
    """A fake end of data must end nothing, neither here nor at the next hop."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["smtp_driver"]

    def judge(self, case):
        judges = {"inbound": self.inbound, "outbound": self.outbound,
                  "pipelining": self.pipelining, "dotreader": self.dotreader}
        if case["kind"] not in judges:
            raise Unjudged(f"a kind of case that the runner does not know: {case['kind']}")
        return judges[case["kind"]](case)

    def inbound(self, case):
        """Refused, or one message; however bare LF is configured, and cut anywhere."""
        for bare_lf in ("refuse", "data"):
            answer = self.driver.ask({"op": "inbound", "stream": octets_if_wide(case["stream"]),
                                      "settings": {"bare_lf": bare_lf}})
            problem = self.problem(answer, case)
            if problem:
                return failed(f"{problem} (bare_lf: {bare_lf})", case["expect"])
        return passed()

    def outbound(self, case):
        """The same for a user's message, sent by DATA and by BDAT."""
        for chunked in (False, True):
            answer = self.driver.ask({"op": "outbound", "body": octets_if_wide(case["body"]),
                                      "chunked": chunked})
            problem = self.problem(answer, case)
            if problem:
                return failed(f"{problem} ({'BDAT' if chunked else 'DATA'})", case["expect"])
        return passed()

    def pipelining(self, case):
        """Commands sent in one go, from the first on or behind DATA."""
        stream = octets_if_wide(case["stream"])
        if re.match(r"(EHLO|HELO|MAIL|RSET|NOOP)\b", stream, re.IGNORECASE):
            answer = self.driver.ask({"op": "dialog", "send": [stream]})
        else:
            answer = self.driver.ask({"op": "inbound", "stream": stream})
        problem = self.problem(answer, case, may_be_silent=True)
        return failed(problem, case.get("expect")) if problem else passed()

    @staticmethod
    def problem(answer, case, may_be_silent=False):
        expect = case.get("expect")
        expect = expect if isinstance(expect, dict) else {}
        messages = answer["messages"]
        senders = [message["sender"] for message in messages]
        forbidden = expect.get("must_not_contain_envelope", "smuggler@victim.example")
        if forbidden in senders:
            return f"a smuggled message from {forbidden}"
        if len(messages) not in expect.get("messages", [0, 1]):
            return f"{len(messages)} messages"
        if not messages and not may_be_silent and not refused("".join(answer["output"])):
            return f"neither a message nor a refusal: {answer['output'][-1]!r}"
        for message in messages:
            problem = wire_problem(message["wire"])
            if problem:
                return problem
        return None

    def dotreader(self, case):
        answer = self.driver.ask({"op": "dotreader", "input": octets_if_wide(case["input"]),
                                  "max_size": case["max_size"]})
        output = answer["output"].replace("\r\n", "\n")
        if answer["error"] == case["error"]:
            # After an error all is dropped; how much had been read by then is nobody's business.
            if case["error"] is not None or output == case["output"]:
                return passed()
        elif case["error"] == "too-large" and content_size(case["input"]) <= case["max_size"]:
            return set_aside("RFC 1870 counts the content with its CRLFs, without the final dot")
        return failed(f"{output!r}, error {answer['error']}",
                      f"{case['output']!r}, error {case['error']}")


# ---- smtp-dialogs

# The test server that the dialogues were written for.
SETTINGS = {"errors": 3, "auth_failures": 3, "message_size": 1 << 20, "command_line": 512,
            "auth": True,
            "refuse_malformed_header": True, "user": "user@testserver",
            "password": "secretpassword"}
LISTENERS = {"1025": "mx", "1465": "smtps", "1587": "submission"}

# Where an RFC decides otherwise than the server the dialogues were written for: what is sent, its
# answer, and that of the RFC (a pattern), which is the one that counts.
HTTP = re.compile(r"(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|PATCH|TRACE) ")
RFC_DECIDES = (
    # RFC 5321 4.5.3.1.9 lists 500 for a command line that is too long.
    (re.compile(r"[^\r]{511,}\r\n"), "554", "500"),
    # RFC 4954 4 has 504 for a mechanism that is not known.
    (re.compile(r"AUTH \S+\r\n", re.IGNORECASE), "534", "504"),
    # RFC 5321 4.2.4 has 500 for a command that is not known; a web client may be sent away.
    (HTTP, "502", "5.."),
)


def wanted_code(sent, want):
    """The code, a pattern, that must come after what was sent; told from the case alone."""
    for pattern, theirs, ours in RFC_DECIDES:
        if pattern.match(sent) and want[:3] == theirs:
            return ours
    return re.escape(want[:3])


# Octets that one step may stand for.
STEP_MOST = 64 << 20


def text_of(expression):
    """The value of a Python expression of string literals, + and *: 'a' * 899 + '\\r\\n'."""
    def value(node):
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)):
            return node.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
            left, right = value(node.left), value(node.right)
            if isinstance(node.op, ast.Add):
                return left + right
            length, times = (right, left) if isinstance(left, int) else (left, right)
            if len(length) * times > STEP_MOST:
                raise ValueError("a step is too long")
            return length * times
        raise ValueError(f"not a text: {expression[:80]}")
    return value(ast.parse(expression.strip(), mode="eval"))


def raw_octets(text):
    """What a ~> step sends: the suite has decoded plain literals, but not expressions."""
    try:
        return octets_if_wide(text_of(text))
    except (SyntaxError, ValueError, TypeError):
        return octets_if_wide(text)


class Connection:
    """The steps of one connection: what is sent, and what is expected after how many sends."""

    def __init__(self, listener="mx"):
        self.listener = listener
        self.sends = []
        self.expected = []  # (number of sends before, expected text)

    def add(self, operation, text):
        if operation == "->":
            self.sends.append(octets(text) + "\r\n")
        elif operation == "~>":
            self.sends.append(raw_octets(text))
        elif operation in ("<-", "<~", "<..."):
            self.expected.append((len(self.sends), text))
        else:
            raise ValueError(f"unknown step {operation!r}")


def steps_of(case):
    """The steps; from the script itself where it is given, since `steps` lacks tls_connect."""
    if not case.get("raw"):
        return [(operation, text) for _, operation, text in case["steps"]]
    steps = []
    for line in case["raw"].splitlines():
        match = re.fullmatch(r"(\w+) (\S+)(?: (.*))?", line)
        if match and not line.startswith("#"):
            steps.append((match.group(2), match.group(3) or ""))
    return steps


def connections_of(case):
    """A new connection begins with each ..._connect."""
    connections = []
    for operation, text in steps_of(case):
        if operation in ("tcp_connect", "tls_connect"):
            connections.append(Connection(LISTENERS.get(text.rsplit(":", 1)[-1], "mx")))
        elif operation != "close":
            if not connections:
                connections.append(Connection())
            connections[-1].add(operation, text)
    return connections


def take_reply(text):
    """The code of the first complete reply, and what follows it; (None, text) if there is none."""
    lines = 0
    for match in re.finditer(r"(\d{3})([ -])[^\r\n]*\r\n", text):
        if match.start() != lines:
            break
        lines = match.end()
        if match.group(2) == " ":
            return match.group(1), text[lines:]
    return None, text


class Dialogues:
    """Replies are compared by their code: the texts are those of another server."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["smtp_driver"]

    def judge(self, case):
        for connection in connections_of(case):
            for sent, want, got in self.differences(connection):
                return failed(f"{got} after {sent[:80]!r}", want)
        return passed()

    def differences(self, connection):
        """What was sent, what was wanted and the code that came, wherever these differ."""
        answer = self.driver.ask({"op": "dialog", "send": connection.sends,
                                  "settings": SETTINGS | {"kind": connection.listener}})
        text = ""
        seen = -1
        for sends, want in connection.expected:
            text += "".join(answer["output"][seen + 1:sends + 1])
            seen = max(seen, sends)
            got, text = take_reply(text)
            sent = connection.sends[sends - 1] if sends else ""
            if not re.fullmatch(wanted_code(sent, want), got or ""):
                yield sent, want, got
            if HTTP.match(sent):
                return  # the connection may have ended with it
