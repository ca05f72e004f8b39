"""The way out: which host gets the mail, over what, and what is done when it cannot take it."""

import email
import email.policy
import base64
import socket
import time

import pytest

from lab.ca import Authority
from lab.net import privileged
from lab.process import wait_for
from lab.sink import Script
from world import BOB, JACK, PLAIN_OF_BOB

pytestmark = pytest.mark.skipif(not privileged(), reason="mail exchangers need port 25")


@pytest.fixture(scope="module")
def out(module_world):
    """A gateway for everything that is sent out here, quick to give up on a silent host."""
    return module_world.gateway({"queue": {"timeouts": {"connect": "2s", "greeting": "5s",
                                                        "command": "5s", "data_end": "5s"}}})


def declare(world, *records):
    """A fresh domain with records (kind, owner-or-empty, data); returns its name."""
    domain = world.name()
    label = domain.split(".")[0]
    for kind, owner, data in records:
        world.peers.record(f"{owner}.{label}" if owner else label, kind, data)
    world.dns.update()
    return domain


def exchangers(world, domain, *pairs):
    """MX records of `domain` for hosts below it: (preference, host)."""
    label = domain.split(".")[0]
    for preference, host in pairs:
        world.peers.mx(preference, f"{host}.{label}", owner=label)
    world.dns.update()


def test_mail_exchanger(out, world):
    sink, domain = world.peer()
    content = "Subject: out\n\n.a\n..b\ncaf\u00e9\n"
    out.submit(f"tom@{domain}", content)
    mail = sink.wait()[0]
    assert (mail.reverse_path, mail.recipients) == (BOB[0], [f"tom@{domain}"])
    assert mail.helo == "mx.kartapuce.com"
    assert mail.content.endswith(b"Subject: out\r\n\r\n.a\r\n..b\r\ncaf\xc3\xa9\r\n")
    assert b"\n" not in mail.content.replace(b"\r\n", b"")


def test_preference_decides(out, world):
    low, high = world.sink(port=25), world.sink(port=25)
    domain = declare(world, ("A", "low", low.address), ("A", "high", high.address))
    exchangers(world, domain, (20, "high"), (5, "low"))
    out.submit(f"tom@{domain}")
    low.wait()
    assert not high.mails


def test_dead_exchanger_falls_back_to_the_next(out, world):
    alive = world.sink(port=25)
    refuses_connections = world.net.fresh()
    turns_away = world.sink(Script(replies={"connect": "421 4.3.2 not now"}), port=25)
    domain = declare(world, ("A", "one", refuses_connections), ("A", "two", turns_away.address),
                     ("A", "three", alive.address))
    exchangers(world, domain, (1, "one"), (2, "two"), (3, "three"), (4, "none"))
    out.submit(f"tom@{domain}")
    assert alive.wait()[0].recipients == [f"tom@{domain}"]


def test_silent_exchanger_is_left_in_time(out, world):
    """A host that accepts the connection and says nothing."""
    silent = socket.create_server((world.net.fresh(), 25))
    world.later(silent.close)
    alive = world.sink(port=25)
    domain = declare(world, ("A", "one", silent.getsockname()[0]), ("A", "two", alive.address))
    exchangers(world, domain, (1, "one"), (2, "two"))
    out.submit(f"tom@{domain}")
    alive.wait(seconds=15)


def test_a_refusal_is_final_though_other_exchangers_exist(out, world):
    """A 5xx is the domain's answer, not one host's: the next exchanger is not asked."""
    first = world.sink(Script(replies={"rcpt": "550 5.1.1 nobody"}), port=25)
    second = world.sink(port=25)
    domain = declare(world, ("A", "one", first.address), ("A", "two", second.address))
    exchangers(world, domain, (1, "one"), (2, "two"))
    queue_id = out.submit(f"tom@{domain}")
    out.explained(queue_id, "550")
    assert not second.sessions


def test_no_mx_means_the_address_itself(out, world):
    sink = world.sink(port=25)
    domain = declare(world, ("A", "", sink.address))
    out.submit(f"tom@{domain}")
    sink.wait()


def test_ipv6(out, world):
    sink = world.sink(address="::1", port=25)
    domain = declare(world, ("AAAA", "", "::1"))
    out.submit(f"tom@{domain}")
    assert sink.wait()[0].recipients == [f"tom@{domain}"]


def test_ipv4_when_ipv6_is_dead(out, world):
    sink = world.sink(port=25)
    domain = declare(world, ("AAAA", "", "::1"), ("A", "", sink.address))
    out.submit(f"tom@{domain}")
    sink.wait()


def test_cname(out, world):
    """The domain is an alias, and the exchanger's name is one too (forbidden, and common)."""
    sink = world.sink(port=25)
    real = declare(world, ("A", "host", sink.address))
    world.peers.cname(f"nick.{real.split('.')[0]}", f"host.{real.split('.')[0]}")
    exchangers(world, real, (10, "nick"))
    alias = declare(world, ("CNAME", "", f"{real}."))
    out.submit(f"tom@{alias}")
    assert sink.wait()[0].recipients == [f"tom@{alias}"]


@pytest.mark.parametrize("records,code", [
    ([("MX", "", "0 .")], "5.1.10"),                        # RFC 7505: null MX
    (None, "5.1.2"),                                        # the domain does not exist
    ([("TXT", "", '"only text"')], "5.4.4"),                # it does, but takes no mail
    ([("MX", "", "10 nowhere.invalid-host.example.")], "5.4.4"),
], ids=["null MX", "NXDOMAIN", "no address", "MX without address"])
def test_impossible_domains_bounce_at_once(out, world, records, code):
    domain = declare(world, *records) if records else world.name()
    before = len(out.mailboxes.mails)
    out.submit(f"tom@{domain}")
    bounce = out.mailboxes.wait(before + 1)[-1]
    assert bounce.reverse_path == ""
    assert f"Status: {code}".encode() in bounce.content, bounce.content.decode()


def test_bogus_dnssec_defers(out, world):
    """Failing towards security: a forged answer sends the mail nowhere, and loses nothing."""
    queue_id = out.submit("tom@bogus.example")
    told = out.explained(queue_id, "DNSSEC")
    assert "bogus" in told or "forged" in told
    assert [m for m in out.gateway.queue() if m["id"] == queue_id]
    # While it is being tried it is left alone.
    wait_for(lambda: out.gateway.command("queue", "remove", queue_id, check=False).returncode == 0,
             10, "its removal")


def test_mail_does_not_go_in_circles(out, world):
    """The best exchanger is this gateway itself, for a domain that it does not know."""
    domain = declare(world, ("A", "mine", out.address))
    exchangers(world, domain, (10, "mine"))
    before = len(out.mailboxes.mails)
    out.submit(f"tom@{domain}")
    bounce = out.mailboxes.wait(before + 1)[-1]
    assert b"Status: 5.4.6" in bounce.content or b"Status: 5.3.5" in bounce.content


def test_starttls_when_offered(out, world):
    sink, domain = world.peer(Script(tls=world.tls("mx.peers.example")))
    queue_id = out.submit(f"tom@{domain}")
    mail = sink.wait()[0]
    assert mail.tls == "TLSv1.3" and mail.helo == "mx.kartapuce.com"
    out.explained(queue_id, "TLSv1.3")


@pytest.mark.parametrize("script", [
    {"replies": {"starttls": "454 4.7.0 not now"}}, {"drops": ("starttls",)},
], ids=["454", "dropped"])
def test_opportunistic_goes_on_without(out, world, script):
    sink, domain = world.peer(Script(tls=world.tls("mx.peers.example"), **script))
    out.submit(f"tom@{domain}")
    assert sink.wait()[0].tls == ""


def test_certificate_does_not_matter_when_opportunistic(out, world):
    sink, domain = world.peer(Script(tls=world.tls("wrong.example", expired=True)))
    out.submit(f"tom@{domain}")
    assert sink.wait()[0].tls


def test_what_is_injected_behind_starttls_is_dropped(out, world):
    """CVE-2011-0411 turned around: a reply in the clear behind the 220 must not count."""
    sink, domain = world.peer(Script(tls=world.tls("mx.peers.example"),
                                     inject_after_starttls=b"250-evil\r\n250 SIZE 1\r\n"))
    queue_id = out.submit(f"tom@{domain}", "Subject: x\n\nlonger than one octet\n")
    out.explained(queue_id, f"tom@{domain}", "Delivered to", seconds=15)
    assert sink.mails[0].content.endswith(b"longer than one octet\r\n")


def test_required_tls_never_goes_in_the_clear(world):
    bare = world.sink()
    proper = world.sink(Script(tls=world.tls("mx.peers.example")))
    running = world.gateway({"routes": [
        {"domain": "bare.example", "to": f"smtp://{bare.address}:{bare.port}", "tls": "required"},
        {"domain": "proper.example", "to": f"smtp://{proper.address}:{proper.port}",
         "tls": "required"}]})
    queue_id = running.submit(["tom@bare.example", "tom@proper.example"])
    assert proper.wait()[0].tls
    running.explained(queue_id, "TLS", "tom@bare.example")
    wait_for(lambda: bare.sessions, 5)
    time.sleep(0.5)
    assert not bare.mails

    def waiting():
        return [r["address"] for m in running.gateway.queue() if m["id"] == queue_id
                for r in m["recipients"] if r["state"] in ("queued", "deferred", "leased")]

    wait_for(lambda: waiting() == ["tom@bare.example"], 10, "one recipient")


def test_smart_host_and_route(world):
    smart, direct, subdomains = world.sink(), world.sink(), world.sink()
    running = world.gateway({
        "smart_host": {"to": f"smtp://{smart.address}:{smart.port}"},
        "routes": [{"domain": "direct.example", "to": f"smtp://{direct.address}:{direct.port}"},
                   {"domain": ".direct.example",
                    "to": f"smtp://{subdomains.address}:{subdomains.port}"}]})
    running.submit(["a@any.example", "b@direct.example", "c@below.direct.example"])
    assert smart.wait()[0].recipients == ["a@any.example"]
    assert direct.wait()[0].recipients == ["b@direct.example"]
    assert subdomains.wait()[0].recipients == ["c@below.direct.example"]


@pytest.mark.parametrize("extensions,chunked", [
    (("PIPELINING", "8BITMIME", "SIZE", "CHUNKING"), True),
    (("PIPELINING", "8BITMIME", "SIZE"), False),
    ((), False),
], ids=["chunking", "pipelining", "nothing"])
def test_extensions_are_used_only_when_offered(out, world, extensions, chunked):
    sink, domain = world.peer(Script(extensions=extensions))
    out.submit(f"tom@{domain}", "Subject: x\n\nplain\n")
    mail = sink.wait()[0]
    assert mail.content.endswith(b"Subject: x\r\n\r\nplain\r\n")
    if not extensions:
        assert mail.mail_parameters == "" and mail.chunks == 0
    if not chunked:
        assert mail.chunks == 0


def test_helo_when_ehlo_is_unknown(out, world):
    sink, domain = world.peer(Script(only_helo=True))
    out.submit(f"tom@{domain}")
    assert sink.wait()[0].helo == "mx.kartapuce.com"


def test_eight_bit_to_a_seven_bit_host(out, world):
    """RFC 6152 section 3: convert, or return; never send what was not offered."""
    sink, domain = world.peer(Script(extensions=("PIPELINING",)))
    before = len(out.mailboxes.mails)
    out.submit(f"tom@{domain}", "Subject: x\nMIME-Version: 1.0\n"
               "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
               "caf\u00e9\n", mail_parameters="BODY=8BITMIME")
    wait_for(lambda: sink.mails or len(out.mailboxes.mails) > before, 10)
    if sink.mails:
        content = sink.mails[0].content
        assert max(content) < 128 and b"caf=C3=A9" in content
    else:
        assert b"Status: 5.6.3" in out.mailboxes.mails[-1].content


def test_long_lines_are_made_to_fit(out, world):
    """RFC 5322 section 2.1.1: what users send has no line of more than 998 octets when it leaves."""
    sink, domain = world.peer()
    references = " ".join(f"<{i:040}@kartapuce.com>" for i in range(60))
    one = out.submit(f"tom@{domain}", f"References: {references}\nSubject: long\n\n{'y' * 3000}\n")
    content = sink.wait()[0].content
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message.get_payload(decode=True) == b"y" * 3000 + b"\r\n"
    assert str(message["References"]).split() == references.split()
    out.explained(one, "Lines of more than 998 octets in its header were made to fit")


def test_smtputf8_to_a_host_without_it_is_refused_at_once(out, world):
    sink, domain = world.peer(Script(extensions=("8BITMIME",)))
    with out.logged_in() as client:
        client.expect(250, f"MAIL FROM:<{BOB[0]}> SMTPUTF8")
        reply = client.command(f"RCPT TO:<s\u00e9bastien@{domain}>")
        assert reply.code == 553 and "5.6.7" in reply.text, reply
    assert not sink.mails


def test_smtputf8_where_offered(out, world):
    sink, domain = world.peer()
    out.submit(f"s\u00e9bastien@{domain}", "Subject: \u00e9\n\nx\n", mail_parameters="SMTPUTF8")
    mail = sink.wait()[0]
    assert "SMTPUTF8" in mail.mail_parameters
    assert mail.recipients == [f"s\u00e9bastien@{domain}"]


def test_message_larger_than_the_peer_takes(out, world):
    sink, domain = world.peer(Script(extensions=("SIZE 1000",)))
    before = len(out.mailboxes.mails)
    out.submit(f"tom@{domain}", "Subject: x\n\n" + "y" * 2000 + "\n")
    assert b"Status: 5.3.4" in out.mailboxes.wait(before + 1)[-1].content
    assert not sink.mails


def test_results_are_kept_per_recipient(out, world):
    sink, domain = world.peer()
    sink.script.recipients = {f"gone@{domain}": "550 5.1.1 nobody here",
                              f"full@{domain}": "452 4.2.2 mailbox full"}
    before = len(out.mailboxes.mails)
    queue_id = out.submit([f"{n}@{domain}" for n in ("fine", "gone", "full")])
    assert sink.wait()[0].recipients == [f"fine@{domain}"]
    bounce = out.mailboxes.wait(before + 1)[-1].content.decode()
    assert f"gone@{domain}" in bounce and f"Final-Recipient: rfc822; full@{domain}" not in bounce
    sink.script.recipients = {}
    assert sink.wait(2)[1].recipients == [f"full@{domain}"]
    out.explained(queue_id, "550", "452", f"fine@{domain}")


def test_lmtp_results_are_kept_per_recipient(world):
    running = world.gateway()
    running.mailboxes.script.after_dot = {BOB[0]: "452 4.2.2 full"}
    running.receive([BOB[0], JACK[0]])
    assert running.mailboxes.wait()[0].recipients == [JACK[0]]
    running.mailboxes.script.after_dot = {}
    assert running.mailboxes.wait(2)[1].recipients == [BOB[0]]
    running.empty_queue()


@pytest.mark.parametrize("state", ["connect", "ehlo", "mail", "rcpt", "data", "body", "dot"])
def test_dropped_connection_in_each_state(out, world, state):
    sink, domain = world.peer(Script(drops=(state,)))
    queue_id = out.submit(f"tom@{domain}")
    wait_for(lambda: any(s.end != "open" for s in sink.sessions), 10)
    sink.script.drops = ()
    assert sink.wait()[0].recipients == [f"tom@{domain}"]
    out.explained(queue_id, "Delivered to")


@pytest.mark.parametrize("state", ["connect", "ehlo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("garbage", [b"hello?\r\n", b"\xff\xfe\0\r\n", b"999 what\r\n",
                                     b"250-" + b"x" * 100000 + b"\r\n"],
                         ids=["no code", "binary", "bad code", "huge"])
def test_garbage_in_each_state(out, world, state, garbage):
    sink, domain = world.peer(Script(replies={state: garbage}))
    out.submit(f"tom@{domain}")
    wait_for(lambda: sink.sessions, 10)
    time.sleep(0.2)
    sink.script.replies = {}
    before = len(sink.mails)
    sink.wait(max(before, 1))


def test_421_in_the_middle(out, world):
    sink, domain = world.peer(Script(shutdown={"rcpt": "421 4.3.2 closing"}))
    out.submit(f"tom@{domain}")
    wait_for(lambda: sink.sessions, 10)
    sink.script.shutdown = {}
    sink.wait()


def test_a_connection_is_used_again(out, world):
    sink, domain = world.peer()
    for i in range(5):
        out.submit(f"tom{i}@{domain}")
    sink.wait(5)
    assert len(sink.sessions) < 5


def test_slow_destination_does_not_starve_the_others(world):
    slow, slow_domain = world.peer(Script(delays={"dot": 3}))
    quick, quick_domain = world.peer()
    running = world.gateway()
    with running.logged_in() as client:
        for i in range(60):
            assert client.mail(BOB[0], f"t{i}@{slow_domain}", PLAIN_OF_BOB).code == 250
        began = time.monotonic()
        for i in range(10):
            assert client.mail(BOB[0], f"t{i}@{quick_domain}", PLAIN_OF_BOB).code == 250
    quick.wait(10, 5)
    assert time.monotonic() - began < 5
    assert slow.open_most <= 20                        # queue.concurrency_max


def test_reply_lost_after_the_message_was_taken_duplicates_but_never_loses(out, world):
    sink, domain = world.peer(Script(drops=("reply",)))
    out.submit(f"tom@{domain}")
    sink.wait()
    sink.script.drops = ()
    assert len(sink.wait(2)) == 2


@pytest.mark.parametrize("script,elsewhere", [
    ({"drops": ("mail",)}, False), ({"drops": ("rcpt",)}, False), ({"delays": {"mail": 8}}, False),
    ({"drops": ("mail",), "extensions": ("PIPELINING",)}, True),
], ids=["mail", "rcpt", "silence", "without CHUNKING"])
def test_lost_before_the_first_reply_with_all_sent(out, world, script, elsewhere):
    """With MAIL, RCPT and BDAT in one write the message may be there: no other host gets it."""
    first, second = world.sink(Script(**script), port=25), world.sink(port=25)
    domain = declare(world, ("A", "first", first.address), ("A", "second", second.address))
    exchangers(world, domain, (5, "first"), (20, "second"))
    queue_id = out.submit(f"tom@{domain}")
    if elsewhere:
        second.wait()
        return
    out.explained(queue_id, "after the end of the message")
    first.script.drops, first.script.delays = (), {}
    first.wait()
    assert not second.sessions


def test_callout_asks_the_next_hop(world):
    inner = world.sink(Script(recipients={"no@inner.example": "550 5.1.1 nobody",
                                          "later@inner.example": "450 4.2.0 wait"}))
    running = world.gateway({"domains": [{"name": "inner.example", "recipients": "callout",
                                          "delivery": f"smtp://{inner.address}:{inner.port}"}]},
                            users=())
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect(250, "RCPT TO:<yes@inner.example>")
        client.expect(550, "RCPT TO:<no@inner.example>")
        assert 400 <= client.command("RCPT TO:<later@inner.example>").code < 500
        asked = len(inner.commands())
        client.expect(250, "RSET")
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect(250, "RCPT TO:<yes@inner.example>")
        client.expect(550, "RCPT TO:<no@inner.example>")
        assert len(inner.commands()) == asked                      # answered from the cache
        client.expect(354, "DATA")
        client.raw(b"From: a@b.example\r\n\r\ny\r\n.\r\n")
        assert client.reply().code == 250
    assert inner.wait()[0].recipients == ["yes@inner.example"]


def test_lmtp_over_a_unix_socket(world):
    sink = world.sink(lmtp=True, path=world.socket_path())
    running = world.gateway(delivery=f"lmtp:{sink.address}")
    running.receive(BOB[0])
    assert sink.wait()[0].recipients == [BOB[0]]


def test_trusted_roots_of_ones_own(world, tmp_path):
    """A server whose certificate comes from an authority of one's own is verified by its root."""
    sink, domain = world.peer()
    exchanger = f"mx.{domain.split('.')[0]}.peers.example"
    sink.script.tls = world.tls(exchanger)
    roots = world.directory / f"{domain}.pem"
    roots.write_text(Authority(tmp_path).root.read_text())
    running = world.gateway({"tls": {"trusted_roots": [str(roots)]}})
    text = running.explained(running.submit(f"tom@{domain}"), "Delivered to")
    assert "certificate verified" not in text and "unable to get local issuer" in text
    roots.write_text(roots.read_text() + world.ca.root.read_text())
    running.gateway.reload()
    text = running.explained(running.submit(f"tom@{domain}"), "Delivered to")
    assert "certificate verified" in text


@pytest.mark.parametrize("script", [
    {"replies": {"connect": b"220-mx.example\r\n521 5.3.2 not now\r\n"}},
    {"replies": {"mail": "450 4.7.1 later"}}, {"replies": {"rcpt": "451 4.7.1 greylisted"}},
    {"replies": {"data": "451 4.3.0 later"}, "extensions": ("PIPELINING",)},
    {"replies": {"dot": "452 4.3.1 no room"}},
    {"replies": {"rcpt": b"\xff\x00what?\r\n"}}, {"shutdown": {"rcpt": "421 4.3.2 going down"}},
    {"extensions": ("SIZE 10",)},
], ids=["postscreen", "MAIL", "RCPT", "DATA", "content", "no reply", "421", "SIZE"])
def test_next_exchanger_is_asked(out, world, script):
    """RFC 5321 section 5.1: what one host does not take now, or cannot take, another one may."""
    first, second = world.sink(Script(**script), port=25), world.sink(port=25)
    domain = declare(world, ("A", "one", first.address), ("A", "two", second.address))
    exchangers(world, domain, (1, "one"), (2, "two"))
    out.submit(f"tom@{domain}")
    assert second.wait()[0].recipients == [f"tom@{domain}"]
    assert len(first.sessions) == 1 and not first.mails


def test_what_is_no_reply_is_quoted(out, world):
    sink, domain = world.peer(Script(replies={"mail": b"\x1b[31mwhat?\r\n"}))
    queue_id = out.submit(f"tom@{domain}")
    text = out.explained(queue_id, "which is not an SMTP reply")
    assert r"\x1b[31mwhat?" in text and "\x1b" not in text
    message = next(m for m in out.gateway.queue() if m["id"] == queue_id)
    assert r"\x1b[31mwhat?" in str(message["recipients"][0])
    sink.script.replies = {}
    sink.wait()


@pytest.mark.parametrize("answer", ["502 5.5.1 what?", "503 5.5.1 bad sequence"])
def test_broken_chunking_falls_back(out, world, answer):
    """CHUNKING is offered, and BDAT is not known: DATA at once, and from then on."""
    sink, domain = world.peer(Script(replies={"dot": answer.encode() + b"\r\n"}))
    out.submit(f"tom@{domain}")
    wait_for(lambda: sink.sessions and any(c.startswith("BDAT") for c in sink.commands()), 10)
    sink.script.replies = {}
    assert sink.wait()[0].chunks == 0
    out.submit(f"tom@{domain}")
    assert sink.wait(2)[1].chunks == 0


def test_ignored_keywords(world):
    sink = world.sink()
    running = world.gateway({"routes": [
        {"domain": "route.example", "to": f"smtp://{sink.address}:{sink.port}",
         "ignore_ehlo": ["CHUNKING", "PIPELINING", "SIZE", "DSN"]}]})
    running.submit("a@route.example")
    mail = sink.wait()[0]
    assert mail.chunks == 0 and mail.mail_parameters == ""


def smart_host(world, sink, login):
    return world.gateway({"smart_host": {"to": f"smtp://smart.peers.example:{sink.port}",
                                         "login": login},
                          "tls": {"trusted_roots": [str(world.ca.root)]}})


def secretive(world, running, secret):
    """No file of the gateway but the vault's has the secret, nor has what is printed."""
    encoded = base64.b64encode(secret.encode()).rstrip(b"=")[:-1]
    for path in running.gateway.directory.rglob("*"):
        if path.is_file() and "vault" not in path.parts:
            content = path.read_bytes()
            assert secret.encode() not in content and encoded not in content, path


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_login_at_the_smart_host(world, mechanism):
    sink = world.sink(Script(tls=world.tls("smart.peers.example"), logins={"kartapuce": "s3cret-w0rd"},
                             extensions=(f"AUTH {mechanism}",)))
    world.peers.record("smart", "A", sink.address)
    world.dns.update()
    running = smart_host(world, sink, "kartapuce")
    queue_id = running.submit("a@any.example")
    running.explained(queue_id, "postern secret set")
    assert not any(c.startswith("AUTH") for c in sink.commands())
    running.gateway.command("secret", "set", "smart.peers.example", "kartapuce",
                            "--password-stdin", text="wrong-w0rd\n")
    running.gateway.command("queue", "flush")
    text = running.explained(queue_id, "535")
    assert "5.7.8" in text and "who are you?" in text
    assert [m for m in running.gateway.queue() if m["id"] == queue_id]
    running.gateway.command("secret", "set", "SMART.peers.example", "kartapuce",
                            "--password-stdin", text="s3cret-w0rd\n")
    listed = running.gateway.json("secret", "list")
    assert [(s["host"], s["user"]) for s in listed] == [("smart.peers.example", "kartapuce")]
    running.gateway.command("queue", "flush")
    assert sink.wait()[0].tls
    assert sink.sessions[-1].user == "kartapuce"
    running.explained(queue_id, "Delivered to")
    secretive(world, running, "s3cret-w0rd")
    secretive(world, running, "wrong-w0rd")
    running.gateway.command("secret", "remove", "smart.peers.example", "kartapuce")
    assert running.gateway.json("secret", "list") == []


def test_no_login_without_a_trusted_certificate(world):
    sink = world.sink(Script(tls=world.tls("wrong.example"), logins={"kartapuce": "s3cret-w0rd"},
                             extensions=("AUTH PLAIN",)))
    world.peers.record("unproven", "A", sink.address)
    world.dns.update()
    running = world.gateway({"smart_host": {"to": f"smtp://unproven.peers.example:{sink.port}",
                                            "login": {"user": "kartapuce"}},
                             "tls": {"trusted_roots": [str(world.ca.root)]}})
    running.gateway.command("secret", "set", "unproven.peers.example", "kartapuce",
                            "--password-stdin", text="s3cret-w0rd\n")
    queue_id = running.submit("a@any.example")
    running.explained(queue_id, "not for this host's name")
    assert not any(c.startswith("AUTH") for c in sink.commands())
