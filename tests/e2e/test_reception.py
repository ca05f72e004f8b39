"""Port 25 as the internet sees it: what is taken, what is refused, and how."""

import email
import re
import socket
import ssl
import time

import pytest

from lab.dialogue import Dialogue
from lab.gateway import queue_id
from lab.postfix import smtp_source
from lab.process import run, wait_for
from world import BOB, PLAIN


@pytest.fixture(autouse=True)
def nothing_left(plain):
    """What a test sent has arrived before the next one counts."""
    yield
    plain.empty_queue()


def test_greeting_and_extensions(plain):
    with plain.dialogue() as client:
        assert client.greeting.text.startswith("mx.kartapuce.com ESMTP")
        extensions = client.ehlo()
        assert {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "LIMITS",
                "ENHANCEDSTATUSCODES", "STARTTLS", "HELP"} <= set(extensions)
        assert int(extensions["SIZE"]) == 50 << 20
        assert "XCLIENT" not in extensions and "AUTH" not in extensions
        client.expect((500, 502), "XCLIENT ADDR=10.0.0.1")
        client.expect(252, "VRFY bob")
        client.expect((214, 502), "HELP")
        client.expect(250, "NOOP")
        client.expect((500, 502), "EXPN all")
        assert client.quit().code == 221


@pytest.mark.parametrize("helo", ["a\\.", "a\\046", "\\.\\.", "a\\\\\\.", "a..b"])
def test_a_name_that_ends_in_an_escape_is_a_name(plain, helo):
    """Whatever a stranger calls itself or signs as, it costs no role its life."""
    def restarts():
        return [role["restarts"] for role in plain.gateway.status()["roles"]]
    before = restarts()
    content = (f"DKIM-Signature: v=1; a=rsa-sha256; d={helo}; s=x; h=from; bh=AAAA; b=AAAA\n"
               "From: someone@peers.example\nSubject: names\n\nhello\n")
    with plain.dialogue() as client:
        client.ehlo(helo)
        answer = client.mail("someone@peers.example", [BOB[0]], content)
    assert answer.code == 250, answer
    assert plain.receive(BOB[0]).code == 250
    assert restarts() == before


def test_swaks_delivers(plain):
    before = len(plain.mailboxes.mails)
    run(["swaks", "--server", f"{plain.address}:{plain.port('mx')}", "--tls",
         "--from", "someone@peers.example", "--to", BOB[0], "--helo", "client.peers.example"])
    mail = plain.mailboxes.wait(before + 1)[-1]
    assert (mail.reverse_path, mail.recipients) == ("someone@peers.example", [BOB[0]])
    received = " ".join(email.message_from_bytes(mail.content)["Received"].split())
    assert re.match(r"from client\.peers\.example \(.*\[127\.[0-9.]+\]\) .*by mx\.kartapuce\.com "
                    r".*with ESMTPS .*id \w+", received), received
    assert f"for <{BOB[0]}>" in received


def test_postfix_as_client(plain):
    before = len(plain.mailboxes.mails)
    smtp_source(plain.address, plain.port("mx"), count=50, sessions=10, recipient=BOB[0])
    assert len(plain.mailboxes.wait(before + 50)) == before + 50


@pytest.mark.parametrize("content", [
    "Subject: dots\n\n.one\n..two\n.\n.\n"[:-2], "Subject: empty body\n\n",
    "Subject: 8bit\n\ncaf\u00e9 \u20ac\n", "Subject: long\n\n" + "x" * 5000 + "\n",
    "Subject: blanks\n\n  \n\t\n \n", "Subject: no body at all\n",
], ids=["dots", "empty", "8bit", "long line", "blanks", "header only"])
def test_content_arrives_octet_for_octet(plain, content):
    before = len(plain.mailboxes.mails)
    assert plain.receive(BOB[0], content).code == 250
    got = plain.mailboxes.wait(before + 1)[-1].content
    sent = content.encode().replace(b"\n", b"\r\n")
    if b"\r\n\r\n" not in sent:
        sent += b"\r\n"                               # the end of the header is written out
    assert got.endswith(sent)
    added = got[:-len(sent)].decode()
    assert all(re.match(r"[A-Za-z-]+:|[ \t]", line) for line in added.splitlines())


def test_chunking(plain):
    before = len(plain.mailboxes.mails)
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example> BODY=8BITMIME")
        client.expect(250, f"RCPT TO:<{BOB[0]}>")
        head = b"From: a@b.example\r\nSubject: chunks\r\n\r\n"
        client.raw(b"BDAT %d\r\n" % len(head) + head)
        client.raw(b"BDAT 5\r\nab\r\n.BDAT 2 LAST\r\n\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 250, 250]
    assert plain.mailboxes.wait(before + 1)[-1].content.endswith(b"Subject: chunks\r\n\r\nab\r\n.\r\n")


def test_pipelining_in_one_packet(plain):
    before = len(plain.mailboxes.mails)
    with plain.dialogue() as client:
        client.ehlo()
        client.raw(b"MAIL FROM:<someone@peers.example>\r\nRCPT TO:<bob@kartapuce.com>\r\n"
                   b"RCPT TO:<nobody@kartapuce.com>\r\nDATA\r\n")
        assert [client.reply().code for _ in range(4)] == [250, 250, 550, 354]
        client.raw(b"From: a@b.example\r\nSubject: pipelined\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(2)] == [250, 221]
    assert plain.mailboxes.wait(before + 1)[-1].recipients == [BOB[0]]


@pytest.mark.parametrize("recipient", [
    "tom@elsewhere.example", "tom%elsewhere.example@kartapuce.com", "tom@elsewhere.example@kartapuce.com",
    "@kartapuce.com:tom@elsewhere.example", "elsewhere.example!tom@kartapuce.com",
    '"tom@elsewhere.example"@kartapuce.com', "tom@[127.0.0.1]", "tom@kartapuce.com.elsewhere.example",
    '"tom@elsewhere.example"', "tom@KARTAPUCE.COM.", "tom@sub.kartapuce.com",
])
@pytest.mark.parametrize("sender", ["someone@peers.example", "bob@kartapuce.com", ""])
def test_never_an_open_relay(plain, sender, recipient):
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:<{sender}>")
        reply = client.command(f"RCPT TO:<{recipient}>")
        assert reply.code in (501, 550, 551, 553, 554), reply
        assert client.command("DATA").code in (503, 554)


def test_unknown_recipient_is_refused_at_once(plain):
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        reply = client.command("RCPT TO:<nobody@kartapuce.com>")
        assert (reply.code, reply.enhanced) == (550, "5.1.1")


@pytest.mark.parametrize("recipient", ["postmaster@kartapuce.com", "Postmaster", "abuse@kartapuce.com",
                                       "PostMaster@KartaPuce.com"])
def test_postmaster_and_abuse_are_always_taken(plain, recipient):
    before = len(plain.mailboxes.mails)
    assert plain.receive(recipient).code == 250
    assert plain.mailboxes.wait(before + 1)[-1].recipients == [BOB[0]]


def test_postmaster_who_does_not_exist_is_deferred_and_told(world):
    running = world.gateway({"bounce": {"postmaster": "postmaster@kartapuce.com"}})
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        for recipient in ("postmaster", "postmaster@kartapuce.com", "abuse@kartapuce.com",
                          "abuse@mx.kartapuce.com"):
            reply = client.command(f"RCPT TO:<{recipient}>")
            assert (reply.code, reply.enhanced) == (451, "4.3.5"), recipient
    wait_for(lambda: "bounce.postmaster" in running.gateway.process.tail(), 5, "the log")
    running.gateway.add_user("postmaster@kartapuce.com", "Answers-for-all-1")
    assert running.receive("abuse@mx.kartapuce.com").code == 250


def test_recipient_case_is_folded(plain):
    before = len(plain.mailboxes.mails)
    assert plain.receive("BoB@KARTAPUCE.com").code == 250
    assert plain.mailboxes.wait(before + 1)[-1].recipients[0].lower() == BOB[0]


@pytest.mark.parametrize("ending", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r",
                                    b"\r\n.\r.\r\n", b"\r\n\0.\r\n"])
def test_smuggling(plain, ending):
    """Only CRLF.CRLF ends the data; a message that tries something else brings no second one."""
    before = len(plain.mailboxes.mails)
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        client.expect(250, f"RCPT TO:<{BOB[0]}>")
        client.expect(354, "DATA")
        client.raw(b"From: a@b.example\r\nSubject: outer\r\n\r\nx" + ending +
                   b"MAIL FROM:<admin@kartapuce.com>\r\nRCPT TO:<jack@kartapuce.com>\r\nDATA\r\n"
                   b"Subject: smuggled\r\n\r\ny\r\n.\r\n")
        reply = client.reply()
        assert (reply.code, reply.enhanced) in ((521, "5.5.2"), (554, "5.6.0")), reply
        if reply.code == 521:
            assert client.ended() and client.buffer == b""   # out of step for good: it hung up
        else:
            assert client.command("NOOP").code == 250        # in step: nothing else was answered
    time.sleep(0.3)
    assert not any(m.reverse_path == "admin@kartapuce.com" for m in plain.mailboxes.mails[before:])


def test_starttls_forgets_what_was_said_before(plain):
    """CVE-2011-0411: what came in the clear behind STARTTLS is not executed after it."""
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        client.raw(b"STARTTLS\r\nRSET\r\nNOOP injected\r\n")
        reply = client.reply()
        if reply.code == 220:
            client._wrap(plain.world.ca.client_context(), "mx.kartapuce.com")
            assert client.command("RCPT TO:<bob@kartapuce.com>").code == 503
            assert client.buffer == b""
        else:
            assert reply.code in (501, 503, 554)


def test_starttls_twice_and_with_parameters(plain):
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(501, "STARTTLS now")
        client.starttls(plain.world.ca.client_context(), "mx.kartapuce.com")
        client.expect(503, "MAIL FROM:<someone@peers.example>")     # EHLO again, RFC 3207 4.2
        client.ehlo()
        client.expect((502, 503), "STARTTLS")


def test_certificate_by_name(world):
    other = world.ca.issue("mail.other.example")
    first = world.ca.issue("mx.kartapuce.com")
    running = world.gateway({"tls": {"certificates": [
        {"certificate": str(c.certificate), "key": str(c.key)} for c in (first, other)]}})
    for name in ("mx.kartapuce.com", "mail.other.example"):
        with running.dialogue() as client:
            client.ehlo()
            client.starttls(world.ca.client_context(), name)
            assert client.ehlo()
    with running.dialogue() as client:
        client.ehlo()
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(world.ca.client_context(), "unknown.example")


def test_self_signed_certificate_is_made(world):
    running = world.gateway({"tls": {"certificates": []}})
    context = ssl._create_unverified_context()
    with running.dialogue() as client:
        client.ehlo()
        client.starttls(context)
        assert client.ehlo()
    assert any("self-signed" in w for w in running.gateway.status()["warnings"])


def test_tls_can_be_demanded(world):
    running = world.gateway({"zones": [{"name": "loop", "networks": ["127.0.0.0/8"],
                                        "minimum_tls": "required"}]})
    with running.dialogue() as client:
        client.ehlo()
        reply = client.command("MAIL FROM:<someone@peers.example>")
        assert (reply.code, reply.enhanced) == (530, "5.7.0")
        client.starttls(world.ca.client_context(), "mx.kartapuce.com")
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")


def test_listed_networks_may_relay(world):
    sink, domain = world.peer()
    source = world.net.fresh()
    running = world.gateway({"zones": [{"name": "inside", "networks": [f"{source}/32"],
                                        "relay": True}]})
    for address, codes in ((source, (250,)), (world.net.fresh(), (550, 554))):
        with running.dialogue(source=address) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<printer@kartapuce.com>")
            client.expect(codes, f"RCPT TO:<tom@{domain}>")
            if codes == (250,):
                client.expect(354, "DATA")
                client.raw(b"From: a@b.example\r\nSubject: scan\r\n\r\nx\r\n.\r\n")
                assert client.reply().code == 250
    assert sink.wait()[0].reverse_path == "printer@kartapuce.com"


@pytest.mark.parametrize("path", ["<>", "<a@b.example>", '<"a b"@b.example>', "<a@[192.0.2.1]>",
                                  "<a@[IPv6:2001:db8::1]>", "<@x.example,@y.example:a@b.example>"])
def test_reverse_paths_of_the_grammar(plain, path):
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:{path}")


@pytest.mark.parametrize("command", [
    "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL FROM:a b", "MAIL FROM:<a@b", "MAIL FROM:<a@@b>",
    "MAIL FROM:<a@b.example> NONSENSE=1", "MAIL FROM:<a@b.example> SIZE=x",
    "MAIL FROM:<a@b.example> BODY=9BIT", "MAIL FROM:<a@b.example> SIZE=1 SIZE=1",
    "MAIL FROM:<a@b.example>RCPT", "MAIL FROM:<a@b..example>", "MAIL FROM:<a@-b.example>",
    "MAIL TO:<a@b.example>", "MAIL FROM:<\u00e9@b.example>",
])
def test_bad_mail_commands(plain, command):
    with plain.dialogue() as client:
        client.ehlo()
        assert 500 <= client.command(command).code <= 555


def test_smtputf8(plain):
    before = len(plain.mailboxes.mails)
    with plain.dialogue() as client:
        client.ehlo()
        reply = client.mail("s\u00e9bastien@peers.example", BOB[0],
                            "From: s\u00e9bastien@peers.example\nSubject: \u00e9t\u00e9\n\nx\n",
                            mail_parameters="SMTPUTF8 BODY=8BITMIME")
        assert reply.code == 250
    mail = plain.mailboxes.wait(before + 1)[-1]
    assert mail.reverse_path == "s\u00e9bastien@peers.example"
    assert "SMTPUTF8" in mail.mail_parameters


def test_long_lines_of_others_keep_their_octets(plain):
    """What comes in may be signed: no line of it is folded or encoded."""
    before, text = len(plain.mailboxes.mails), b"Subject: " + b"x" * 1500 + b"\r\n\r\n" + b"y" * 1500
    assert plain.receive(BOB[0], (b"From: someone@peers.example\r\n" + text).decode()).code == 250
    assert text in plain.mailboxes.wait(before + 1)[-1].content


def test_order_of_commands(plain):
    with plain.dialogue() as client:
        client.expect(503, "MAIL FROM:<a@b.example>")
        client.ehlo()
        client.expect(503, "RCPT TO:<bob@kartapuce.com>")
        client.expect(503, "DATA")
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect(503, "MAIL FROM:<a@b.example>")
        client.expect((503, 554), "DATA")
        client.expect(250, "RSET")
        client.expect(503, "RCPT TO:<bob@kartapuce.com>")


def test_after_a_refused_message_the_next_is_taken(plain):
    with plain.dialogue() as client:
        client.ehlo()
        assert client.mail("a@b.example", BOB[0], b"From: a@b.example\r\nSubject: nul\r\n\r\n\0\r\n").code in (550, 554)
        client.expect(503, "RCPT TO:<bob@kartapuce.com>")
        assert client.mail("a@b.example", BOB[0], PLAIN).code == 250


def test_big_message(plain):
    before = len(plain.mailboxes.mails)
    content = "Subject: big\n\n" + ("x" * 998 + "\n") * 8000
    assert plain.receive(BOB[0], content).code == 250
    got = plain.mailboxes.wait(before + 1, 20)[-1].content
    assert got.endswith(content.encode().replace(b"\n", b"\r\n"))


@pytest.fixture(scope="module")
def tight(module_world):
    """A gateway whose limits are easily met."""
    return module_world.gateway({"limits": {
        "message_size": "64KiB", "recipients": 100, "messages": 3, "errors": 5,
        "junk_commands": 10, "line_length": 1000, "received_count": 10, "header_fields": 50,
        "timeouts": {"command": "1s", "data": "1s"}}},
        users=[BOB] + [(f"user{i}@kartapuce.com", "some-Password-1") for i in range(1)])


def test_size_is_refused_at_mail(tight):
    with tight.dialogue() as client:
        assert client.ehlo()["SIZE"] == "65536"
        reply = client.command("MAIL FROM:<a@b.example> SIZE=65537")
        assert (reply.code, reply.enhanced) == (552, "5.3.4")


@pytest.mark.parametrize("how", ["DATA", "BDAT"])
def test_size_is_refused_while_streaming(tight, how):
    body = b"From: a@b.example\r\nSubject: big\r\n\r\n" + (b"x" * 98 + b"\r\n") * 700
    with tight.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect(250, f"RCPT TO:<{BOB[0]}>")
        if how == "DATA":
            client.expect(354, "DATA")
            client.raw(body + b".\r\n")
        else:
            client.raw(b"BDAT %d LAST\r\n" % len(body) + body)
        assert client.reply().code == 552
        client.expect(250, "NOOP")


def test_recipients_are_bounded(tight):
    with tight.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@b.example>")
        codes = [client.command(f"RCPT TO:<bob+{i}@kartapuce.com>").code for i in range(101)]
        assert codes == [250] * 100 + [452]                         # RFC 5321 4.5.3.1.10


def test_messages_of_a_connection_are_bounded(tight):
    with tight.dialogue() as client:
        client.ehlo()
        for _ in range(3):
            assert client.mail("a@b.example", BOB[0], PLAIN).code == 250
        assert client.command("MAIL FROM:<a@b.example>").code in (421, 451, 452)


def test_errors_end_the_connection(tight):
    with tight.dialogue() as client:
        client.ehlo()
        codes = []
        try:
            for _ in range(10):
                codes.append(client.command("WHAT").code)
        except ConnectionError:
            pass
        assert codes[-1] == 421 and len(codes) <= 6


def test_silence_ends_the_connection(tight):
    with tight.dialogue() as client:
        client.ehlo()
        assert client.reply().code == 421
        assert client.ended()


def test_silence_amid_data_ends_the_connection(tight):
    with tight.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect(250, f"RCPT TO:<{BOB[0]}>")
        client.expect(354, "DATA")
        client.raw(b"From: a@b.example\r\n")
        assert client.reply().code == 421


def test_lines_and_loops(tight):
    long_line = b"From: a@b.example\r\nSubject: x\r\n\r\n" + b"y" * 1200 + b"\r\n"
    loop = b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n" * 11 + b"From: a@b.example\r\n\r\nx\r\n"
    with tight.dialogue() as client:
        client.ehlo()
        assert client.mail("a@b.example", BOB[0], long_line).code in (500, 550, 552, 554)
        reply = client.mail("a@b.example", BOB[0], loop)
        assert (reply.code, reply.enhanced) == (554, "5.4.6")
        client.raw(b"X" * 4000 + b"\r\n")
        assert client.reply().code == 500


def test_connections_per_address(world):
    running = world.gateway({"workers": {"edge": 1}, "limits": {"connections_per_address": 2}})
    source, other = world.net.fresh(), world.net.fresh()
    with running.dialogue(source=source), running.dialogue(source=source) as second:
        third = running.dialogue(source=source)
        assert third.greeting.code == 421 and third.ended()
        with running.dialogue(source=other) as stranger:
            assert stranger.greeting.code == 220
        second.quit()
        def free():
            with running.dialogue(source=source) as again:
                return again.greeting.code == 220
        wait_for(free, 5, "a place")


def test_connection_rate(world):
    running = world.gateway({"workers": {"edge": 1}, "limits": {"connection_rate": 3}})
    source = world.net.fresh()
    codes = []
    for _ in range(5):
        with running.dialogue(source=source) as client:
            codes.append(client.greeting.code)
    assert codes == [220, 220, 220, 421, 421]


def test_talking_before_the_greeting(world):
    running = world.gateway({"limits": {"pregreet_delay": "500ms"}})
    with Dialogue(running.address, running.port("mx"), first=b"EHLO early.example\r\n") as client:
        assert client.greeting.code in (421, 521, 554)
        assert client.ended()
    with running.dialogue() as client:
        assert client.greeting.code == 220


def proxy_v2(source, destination, port):
    body = (socket.inet_aton(source) + socket.inet_aton(destination) +
            (4711).to_bytes(2, "big") + port.to_bytes(2, "big"))
    return b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + len(body).to_bytes(2, "big") + body


@pytest.mark.parametrize("version", [1, 2])
def test_proxy_protocol(world, version):
    proxy = world.net.fresh()
    running = world.gateway(start=False)
    running.gateway.configuration["listeners"][0]["proxy_protocol"] = [f"{proxy}/32"]
    running.gateway.configure(running.gateway.configuration)
    running.gateway.start()
    running.gateway.add_user(*BOB)
    port = running.port("mx")
    header = (f"PROXY TCP4 192.0.2.77 {running.address} 4711 {port}\r\n".encode() if version == 1
              else proxy_v2("192.0.2.77", running.address, port))
    with Dialogue(running.address, port, source=proxy, first=header) as client:
        client.ehlo("far.example")
        assert client.mail("a@b.example", BOB[0], PLAIN).code == 250
    assert b"[192.0.2.77]" in running.mailboxes.wait()[0].content
    with Dialogue(running.address, port, source=proxy, first=b"EHLO no.header\r\n",
                  greeting=False) as client:
        assert client.ended()                           # from the proxy only with a header
    with Dialogue(running.address, port, source=world.net.fresh(), first=header) as client:
        assert client.greeting.code >= 421 or client.reply().code >= 500   # and from others never


def test_helo_only_client(plain):
    before = len(plain.mailboxes.mails)
    with plain.dialogue() as client:
        client.expect(250, "HELO old.example")
        assert client.mail("a@b.example", BOB[0], PLAIN).code == 250
    mail = email.message_from_bytes(plain.mailboxes.wait(before + 1)[-1].content)
    assert "with SMTP " in " ".join(mail["Received"].split())


def test_the_reply_names_the_queue_id(plain):
    reply = plain.receive(BOB[0])
    assert reply.enhanced == "2.0.0"
    assert queue_id(reply.text) in plain.explained(queue_id(reply.text), BOB[0])
