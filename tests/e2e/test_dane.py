"""DANE on the way out, with zones that are really signed: what its TLSA records do not vouch for gets
no mail, whatever stands between."""

import base64
import hashlib
import time

import pytest

from lab.ca import server_context
from lab.net import privileged
from lab.process import run, wait_for
from lab.sink import Script

pytestmark = pytest.mark.skipif(not privileged(), reason="mail exchangers need port 25")

#: Hosts of the zone, with what is wrong there.
HOSTS = ("right", "wrong", "stripped", "bogus", "unusable", "exempt")


def key_digest(certificate):
    """The data of a TLSA record 3 1 1."""
    der = run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"]).stdout
    body = "".join(line for line in der.splitlines() if not line.startswith("-"))
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


class Far:
    """A signed zone with a domain for each case, and the sinks behind their MX."""

    def __init__(self, world):
        self.sinks = {}
        zone = world.dns.zone("dane.example")
        # Its records changed after they were signed: TLSA answers that lead there are bogus.
        world.dns.zone("forged.example", signing="bogus").tlsa("tlsa", 3, 1, 1, "00" * 32)
        for case in HOSTS:
            host = f"mx.{case}.dane.example"
            certificate = world.ca.issue(host)
            tls = None if case == "stripped" else server_context(certificate)
            sink = self.sinks[case] = world.sink(Script(tls=tls), port=25)
            zone.mx(10, f"mx.{case}", owner=case).a(f"mx.{case}", sink.address)
            owner, digest = f"_25._tcp.mx.{case}", key_digest(certificate.certificate)
            if case == "bogus":
                zone.cname(owner, "tlsa.forged.example.")
            elif case == "unusable":
                zone.tlsa(owner, 1, 1, 1, digest)
            else:
                zone.tlsa(owner, 3, 1, 1, "00" * 32 if case in ("wrong", "exempt") else digest)
        world.dns.update()


@pytest.fixture(scope="module")
def far(module_world):
    return Far(module_world)


@pytest.fixture(scope="module")
def out(module_world, far):
    return module_world.gateway({"dane": {"exceptions": [
        {"domain": "exempt.dane.example", "until": "2999-12-31",
         "reason": "their new key is late"}]}})


def trace_of(running, identifier):
    return running.gateway.command("trace", "--json", identifier).stdout


def test_right_certificate(out, far):
    """The authority is in nobody's list of roots: DANE needs none."""
    identifier = out.submit("tom@right.dane.example")
    assert far.sinks["right"].wait()[0].tls == "TLSv1.3"
    text = out.explained(identifier, "Delivered to <tom@right.dane.example>", "DANE")
    assert "authentication was demanded (by TLSA records)" in text
    trace = trace_of(out, identifier)
    assert "TLSA _25._tcp.mx.right.dane.example: answer, secure" in trace
    assert "MX right.dane.example: secure" in trace


@pytest.mark.parametrize("case, phrase", [
    ("wrong", "no TLSA record matches the certificate"),
    ("stripped", "the server does not offer STARTTLS"),
    ("bogus", "the answers of the DNS do not validate with DNSSEC"),
])
def test_mail_waits(out, far, case, phrase):
    address = f"tom@{case}.dane.example"
    identifier = out.submit(address)
    out.explained(identifier, f"Not delivered to <{address}> yet", phrase, seconds=20)
    assert '"4.7.5"' in trace_of(out, identifier)
    time.sleep(0.5)
    assert not far.sinks[case].mails
    assert not any(line.upper().startswith("MAIL") for line in far.sinks[case].commands())
    if case == "bogus":
        assert not far.sinks[case].sessions
    waiting = [r["address"] for m in out.gateway.queue() if m["id"] == identifier
               for r in m["recipients"]]
    assert waiting == [address]


def test_unusable_records_want_encryption(out, far):
    identifier = out.submit("tom@unusable.dane.example")
    assert far.sinks["unusable"].wait()[0].tls
    out.explained(identifier, "encryption was demanded")


def test_an_exception_is_in_the_trace(out, far):
    identifier = out.submit("tom@exempt.dane.example")
    assert far.sinks["exempt"].wait()[0].tls
    wait_for(lambda: "until 2999-12-31: their new key is late" in trace_of(out, identifier), 10)

