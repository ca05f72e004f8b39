"""The laboratory's own tests: what the other tests stand on must hold by itself."""

import socket
import ssl

import pytest

from lab.ca import Authority, server_context
from lab.dialogue import Dialogue, dot_stuffed
from lab.nameserver import SIGNINGS, Dns
from lab.net import Net
from lab.postfix import smtp_source
from lab.process import run
from lab.scram import Scram
from lab.sink import Script, Sink
from lab.validator import Validator


@pytest.fixture(scope="module")
def net():
    net = Net()
    yield net
    net.close()


@pytest.fixture(scope="module")
def dns(net, tmp_path_factory):
    dns = Dns(tmp_path_factory.mktemp("dns"), net.host(53), net.port("dns"))
    for signing in SIGNINGS:
        zone = dns.zone(f"{signing}.example", signing=signing)
        zone.a("www", "127.0.0.9").mx(10, "www").txt("long", "x" * 300)
    dns.zone("closed.org").null_mx()
    dns.zone("hashed.test", nsec3=True).cname("alias", "www").a("www", "127.0.0.8").aaaa("six", "::1")
    dns.reverse("127.0.10.1", "mx.kartapuce.com")
    dns.start()
    yield dns
    dns.stop()


@pytest.fixture(scope="module")
def validator(dns):
    validator = Validator(dns.server, dns.anchor)
    yield validator
    validator.close()


@pytest.mark.parametrize("signing", SIGNINGS)
def test_signing_is_seen_by_a_validating_resolver(validator, signing):
    answer = validator.ask(f"www.{signing}.example")
    assert (answer.status, answer.rdata) == (SIGNINGS[signing], [b"\x7f\0\0\x09"]), answer.why


def test_absent_names_are_proven(validator):
    for name in ("no.good.example", "no.hashed.test", "nobody.example", "nowhere"):
        answer = validator.ask(name)
        assert (answer.status, answer.nxdomain) == ("secure", True), name


@pytest.mark.parametrize("name,kind,rdata", [
    ("good.example", "MX", b"\0\x0a\x03www\x04good\x07example\0"),
    ("closed.org", "MX", b"\0\0\0"),
    ("alias.hashed.test", "A", b"\x7f\0\0\x08"),
    ("six.hashed.test", "AAAA", b"\0" * 15 + b"\1"),
    ("1.10.0.127.in-addr.arpa", "PTR", b"\x02mx\x09kartapuce\x03com\0"),
    ("long.good.example", "TXT", b"\xff" + b"x" * 255 + b"\x2d" + b"x" * 45),
], ids=lambda value: value if isinstance(value, str) else "")
def test_records(validator, name, kind, rdata):
    answer = validator.ask(name, kind)
    assert (answer.status, answer.rdata) == ("secure", [rdata])


def test_chain_from_our_own_root(dns):
    out = run(["drill", "-S", "-k", dns.anchor, "-p", dns.port, f"@{dns.address}",
               "good.example", "MX"]).stdout
    assert "Chase successful" in out


def test_update_adds_records_and_zones(net, tmp_path):
    dns = Dns(tmp_path, net.host(54), net.port("dns"))
    dns.zone("one.example").a("www", "127.0.0.1")
    dns.start()
    try:
        dns.zone("one.example").a("new", "127.0.0.2")
        dns.update()
        dns.zone("two.net").a("www", "127.0.0.3")
        dns.update()
        validator = Validator(dns.server, dns.anchor)
        assert validator.ask("new.one.example").status == "secure"
        assert validator.ask("www.two.net").rdata == [b"\x7f\0\0\3"]
        validator.close()
    finally:
        dns.stop()


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("names,expired,asked,wrong", [
    (("mx.good.example", "mail.good.example"), False, "mail.good.example", None),
    (("mx.good.example",), False, "mx.evil.example", "Hostname mismatch"),
    (("mx.good.example",), True, "mx.good.example", "has expired"),
])
def test_certificates(ca, net, names, expired, asked, wrong):
    context = server_context(ca.issue(*names, expired=expired))
    with Sink(net.fresh(), 0, Script(tls=context)) as sink:
        with Dialogue(sink.address, sink.port) as client:
            client.ehlo()
            if wrong:
                with pytest.raises(ssl.SSLCertVerificationError, match=wrong):
                    client.starttls(ca.client_context(), asked)
            else:
                client.starttls(ca.client_context(), asked)
                assert client.ehlo()
                assert sink.sessions[0].server_name == asked


def test_sink_keeps_the_octets(net):
    content = "Subject: x\r\n\r\n.dot\r\n..two\r\n"
    with Sink(net.fresh(), 0) as sink:
        with Dialogue(sink.address, sink.port) as client:
            client.ehlo("me.example")
            assert client.mail("a@x.example", "b@y.example", content,
                               mail_parameters="SIZE=30", rcpt_parameters="NOTIFY=NEVER").code == 250
            client.expect(250, "MAIL FROM:<>")
            client.expect(250, "RCPT TO:<c@y.example>")
            client.raw(b"BDAT 4\r\nabcdBDAT 3 LAST\r\nx\r\n")
            assert (client.reply().code, client.reply().code) == (250, 250)
            client.quit()
        first, second = sink.wait(2)
    assert first.content == content.encode()
    assert first.wire == dot_stuffed(content)
    assert (first.reverse_path, first.recipients) == ("a@x.example", ["b@y.example"])
    assert (first.mail_parameters, first.rcpt_parameters) == (
        "SIZE=30", {"b@y.example": "NOTIFY=NEVER"})
    assert (second.content, second.chunks) == (b"abcdx\r\n", 2)


def test_sink_refuses_by_script(net):
    script = Script(recipients={"no@y.example": "550 5.1.1 no\n550 5.1.1 really"},
                    replies={"dot": "451 4.3.0 later"})
    with Sink(net.fresh(), 0, script, keep_refused=True) as sink:
        with Dialogue(sink.address, sink.port) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<a@x.example>")
            reply = client.command("RCPT TO:<no@y.example>")
            assert (reply.code, reply.enhanced, len(reply.lines)) == (550, "5.1.1", 2)
            client.expect(554, "DATA")
            assert client.mail("a@x.example", "b@y.example", "x\n").code == 451
        assert not sink.wait(1)[0].accepted()


@pytest.mark.parametrize("state", ["connect", "ehlo", "mail", "rcpt", "data", "body", "dot",
                                   "reply"])
def test_sink_drops_in_each_state(net, state):
    with Sink(net.fresh(), 0, Script(drops=(state,))) as sink:
        with pytest.raises(ConnectionError):
            with Dialogue(sink.address, sink.port) as client:
                client.ehlo()
                client.mail("a@x.example", "b@y.example", "x\n")
        assert len(sink.mails) == (1 if state == "reply" else 0)


def test_lmtp_answers_for_each_recipient(net):
    script = Script(after_dot={"full@y.example": "452 4.2.2 full"})
    with Sink(net.fresh(), 0, script, lmtp=True) as sink:
        with Dialogue(sink.address, sink.port) as client:
            client.expect(250, "LHLO me.example")
            first = client.mail("a@x.example", ["b@y.example", "full@y.example"], "x\n")
            assert (first.code, client.reply().code) == (250, 452)
        assert sink.wait(1)[0].recipients == ["b@y.example"]


def test_smtp_source_reaches_the_sink(net):
    with Sink(net.fresh(), 0) as sink:
        smtp_source(sink.address, sink.port, count=20, sessions=4)
        assert len(sink.wait(20)) == 20 and sink.open_most >= 2


def test_scram_example_of_rfc_7677():
    scram = Scram("user", "pencil")
    scram.nonce = "rOprNGfwEbeRWgbNEkqO"
    scram.bare = b"n=user,r=rOprNGfwEbeRWgbNEkqO"
    first = (b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
             b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert scram.final(first).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_a_net_belongs_to_one_laboratory(net):
    with pytest.raises(OSError, match="another laboratory"):
        Net(net.number)
    other = Net()
    assert other.number != net.number
    with socket.create_connection((other.host(255, 254), Net.CLAIM_PORT)):
        pass
    other.close()
