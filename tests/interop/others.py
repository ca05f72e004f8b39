"""OpenDKIM, python3-dkim and mailauth behind one face.

    other.verify(message) -> [Signature, ...]     from the top
    other.sign(message, key, head, body, ...) -> the message with its signature on top
    other.cannot(name, head, algorithm) -> why it gets that message wrong by itself, or ""

Messages are octets with CRLF. All of them ask the name server of the laboratory.
"""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dkim
import dns.exception
import dns.resolver

from lab.process import run
from signed import fields

HERE = Path(__file__).parent
OPENDKIM = Path("/usr/sbin/opendkim")


@dataclass(frozen=True)
class Signature:
    domain: str
    selector: str
    result: str
    """pass, or anything else"""


def tags_of(content, name):
    """The tags of each field of that name, from the top: [{"d": ..., "s": ...}, ...]."""
    return [{tag.split("=", 1)[0].strip(): re.sub(r"\s+", "", tag.split("=", 1)[1])
             for tag in value.split(";") if "=" in tag} for value in fields(content, name)]


class OpenDkim:
    """Its daemon in test mode, which calls all of its milter with what a file holds."""

    name = "opendkim"

    @staticmethod
    def cannot(name, head, algorithm):
        if head == "simple" and name in ("tabs", "no blank behind colons", "empty fields"):
            return "in test mode a colon and what is not one blank becomes a colon and a blank"
        return "takes it for malformed" if name == "blank before colon" else ""

    @staticmethod
    def cannot_sign(name, head, algorithm):
        if head == "simple" and algorithm == "ed25519-sha256":
            return "it signs its field with another fold before b= than it writes"
        return OpenDkim.cannot(name, head, algorithm)

    def __init__(self, server):
        self.directory = Path(tempfile.mkdtemp(prefix="opendkim-"))
        # Its libunbound is told where to ask; the root of the laboratory is not the one it knows.
        resolver = self._file("unbound.conf", "server:", "  do-not-query-localhost: no",
                              "  do-ip6: no", "forward-zone:", '  name: "."',
                              f"  forward-addr: {server}")
        self.verifying = self._file("verify.conf", "Mode v", "Syslog no", "AlwaysAddARHeader yes",
                                    "AuthservID opendkim.example",
                                    f"ResolverConfiguration {resolver}")

    def _file(self, name, *lines):
        path = self.directory / name
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return path

    def _run(self, message, configuration):
        """The field that it would put on top of the message: (name, value)."""
        path = self.directory / "message"
        # An MTA ends every message with a line end, and it takes no other.
        path.write_bytes(message if message.endswith(b"\r\n") else message + b"\r\n")
        mode = "v" if configuration == self.verifying else "s"
        done = run([OPENDKIM, "-t", path, "-b", mode, "-vvv", "-x", configuration], check=False)
        found = re.search(r"### INSHEADER: idx=\d+ hname='([^']*)' hvalue='(.*?)'\n", done.stdout,
                          re.S)
        assert found, f"OpenDKIM, status {done.returncode}: {done.stdout}{done.stderr}"
        return found[1], found[2]

    def verify(self, message):
        _, value = self._run(message, self.verifying)
        text = re.sub(r"\([^)]*\)", "", value)
        return [Signature(re.search(r"header\.d=([^\s;]+)", one)[1],
                          re.search(r"header\.s=([^\s;]+)", one)[1],
                          re.match(r"dkim=(\w+)", one)[1])
                for one in re.findall(r"dkim=\w+[^;]*header\.d=[^;]*", text)]

    def sign(self, message, key, head, body, *, headers=(), oversigned=(), length=False):
        configuration = self._file(
            "sign.conf", "Mode s", "Syslog no", f"Domain {key.domain}", f"Selector {key.selector}",
            f"KeyFile {key.path}", "RequireSafeKeys no", f"SignatureAlgorithm {key.algorithm}",
            f"Canonicalization {head}/{body}",
            # The recipient is the one that the test mode makes up.
            *(["BodyLengthDB refile:" + str(self._file("lengths", "*"))] if length else []),
            *(["SignHeaders *," + ",".join(f"+{name}" for name in headers)] if headers else []),
            *(["OversignHeaders " + ",".join(oversigned)] if oversigned else []))
        name, value = self._run(message, configuration)
        return f"{name}: {value}\n".replace("\n", "\r\n").encode() + message


class PythonDkim:
    name = "python3-dkim"

    @staticmethod
    def cannot(name, head, algorithm):
        return "takes it for malformed" if name == "blank before colon" else ""

    cannot_sign = cannot

    def __init__(self, server):
        address, port = server.split("@")
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers, self.resolver.port = [address], int(port)

    def ask(self, name, timeout=5):
        """What python3-dkim asks for: the text of a TXT record, or None."""
        name = name.decode() if isinstance(name, bytes) else name
        try:
            answer = self.resolver.resolve(name, "TXT", lifetime=timeout)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        return b"".join(answer[0].strings)

    def verify(self, message):
        tags = tags_of(message, "DKIM-Signature")
        return [Signature(one["d"], one["s"], self._result(message, index))
                for index, one in enumerate(tags)]

    def _result(self, message, index):
        try:
            good = dkim.DKIM(message).verify(index, dnsfunc=self.ask)
            return "pass" if good else "fail"
        except dkim.DKIMException as error:
            return f"error: {error}"

    def arc(self, message):
        """The chain's result and its highest instance."""
        result, sets, reason = dkim.ARC(message).verify(dnsfunc=self.ask)
        return result.decode(), max([one["instance"] for one in sets], default=0), reason

    def sign(self, message, key, head, body, *, headers=(), oversigned=(), length=False):
        present = [name for name in dkim.DKIM.SHOULD + (b"subject", b"date", b"to", b"cc")
                   if re.search(rb"^%s[ \t]*:" % name, message.split(b"\r\n\r\n")[0], re.M | re.I)]
        names = sorted({b"from", *present, *(name.lower().encode() for name in headers)})
        names = [name for name in names for _ in range(self._count(message, name))]
        names += [name.lower().encode() for name in oversigned]
        secret = key.pem.encode() if key.kind == "rsa" else key.seed
        field = dkim.sign(message, key.selector.encode(), key.domain.encode(), secret,
                          canonicalize=(head.encode(), body.encode()), include_headers=names,
                          signature_algorithm=key.algorithm.encode(), length=length)
        return field + message

    @staticmethod
    def _count(message, name):
        head = b"\r\n" + message.split(b"\r\n\r\n")[0]
        return len(re.findall(rb"\r\n%s[ \t]*:" % re.escape(name), head, re.I))

    def seal(self, message, key, server):
        """A set of ARC fields on top; the message has an Authentication-Results of `server`."""
        fields = dkim.arc_sign(message, key.selector.encode(), key.domain.encode(),
                               key.pem.encode(), server.encode(),
                               include_headers=[b"from", b"to", b"subject"])
        assert fields, "python3-dkim did not seal"
        return b"".join(fields) + message


class Mailauth:
    """A Node.js process that stays, see mailauth.mjs."""

    name = "mailauth"

    @staticmethod
    def cannot(name, head, algorithm):
        return "sees no header that no empty line ends" if name == "no body" else ""

    cannot_sign = cannot

    def __init__(self, server):
        self.process = subprocess.Popen(
            ["node", HERE / "mailauth.mjs", server.replace("@", ":")], cwd=HERE, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def _ask(self, op, message, **more):
        self.process.stdin.write(
            json.dumps({"op": op, "message": message.decode("latin-1"), **more}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def all(self, message, *, address="192.0.2.1", helo="client.example", sender=""):
        """DKIM, SPF, ARC and DMARC of a message that came from there."""
        return self._ask("verify", message, ip=address, helo=helo, sender=sender)

    def verify(self, message):
        return [Signature(one["domain"], one["selector"], one["result"])
                for one in self.all(message)["dkim"]]

    def arc(self, message):
        found = self.all(message)["arc"]
        return found["result"], found["instance"], found["comment"]

    def sign(self, message, key, head, body, *, headers=(), length=None):
        names = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version",
                 "Content-Type", "Content-Transfer-Encoding", *headers]
        answer = self._ask("sign", message, domain=key.domain, selector=key.selector, key=key.pem,
                           form=f"{head}/{body}", length=length, headers=":".join(names))
        return answer["fields"].encode("latin-1") + message

    def seal(self, message, key, results, cv):
        """A set of ARC fields on top; `results` is what its Authentication-Results say."""
        answer = self._ask("seal", message, domain=key.domain, selector=key.selector, key=key.pem,
                           results=results, cv=cv)
        return answer["fields"].encode("latin-1") + message
