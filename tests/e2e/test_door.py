"""Who does not wait is not obeyed, and who speaks another protocol is sent away; everybody else gets
in."""

import os
import signal
import smtplib
import ssl

import pytest

from lab.postfix import smtp_source
from lab.process import run, wait_for
from lab.sink import Script
from world import PLAIN

OFFICE = "127.0.0.9"      # may relay
BRANCH = "127.0.0.10"     # is in a zone that may not

INJECTED = ("EHLO evil.example\r\nMAIL FROM:<boss@kartapuce.com>\r\nRCPT TO:<tom@far.example>\r\n"
            "DATA\r\nFrom: boss@kartapuce.com\r\nSubject: injected\r\n\r\nevil\r\n.\r\nQUIT\r\n")


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink(Script())


@pytest.fixture(scope="module")
def door(module_world, far):
    return module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "zones": [{"name": "office", "networks": [f"{OFFICE}/32"], "relay": True},
                  {"name": "branch", "networks": [f"{BRANCH}/32"]}]})


def everything(client):
    """All that the server says until it closes."""
    said = client.buffer
    client.socket.settimeout(10)
    while got := client.socket.recv(65536):
        said += got
    return said.decode()


def sent_at_once(door, text, *, source=None, before=(), tls=False):
    with door.dialogue(source=source) as client:
        if tls:
            client.ehlo()
            client.starttls(door.world.ca.client_context(), "mx.kartapuce.com")
        for command in before:
            client.command(command)
        client.raw(text.encode())
        return everything(client)


# -- who may relay ----------------------------------------------------------------------------

@pytest.mark.parametrize("source,code", [(OFFICE, 250), (BRANCH, 550), ("127.0.0.1", 550)])
def test_only_a_zone_with_relay_relays(door, far, source, code):
    before = len(far.mails)
    with door.dialogue(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<printer@kartapuce.com>")
        reply = client.command("RCPT TO:<tom@far.example>")
        assert reply.code == code, reply
        assert code == 250 or reply.enhanced == "5.7.1"
        client.command("QUIT")
    assert not door.gateway.queue() and len(far.mails) == before


# -- who does not wait ------------------------------------------------------------------------

ENVELOPE = ["EHLO peer.example", "MAIL FROM:<a@peers.example>", "RCPT TO:<bob@kartapuce.com>"]
REFUSED = ["EHLO peer.example", "MAIL FROM:<a@peers.example>", "RCPT TO:<nobody@kartapuce.com>"]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("before,text", [
    (ENVELOPE, "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"),
    (REFUSED, "DATA\r\n" + INJECTED),
    (ENVELOPE[:2], "DATA\r\n" + INJECTED),
    (ENVELOPE[:1], "DATA\r\n" + INJECTED),
    (["HELO peer.example"], "MAIL FROM:<a@peers.example>\r\nRCPT TO:<bob@kartapuce.com>\r\n"),
    ([], INJECTED),
    ([], INJECTED.replace("EHLO", "HELO")),
    ([], "\r\n" + INJECTED),
], ids=["accepted", "refused", "without RCPT", "without MAIL", "helo session", "ehlo", "helo",
        "blank line"])
def test_who_does_not_wait_is_not_obeyed(door, far, before, text, tls):
    said = sent_at_once(door, text, source=OFFICE, before=before, tls=tls)
    assert said.startswith("554 5.5.0 ") and said.count("\n") == 1, said
    assert not door.gateway.queue() and not far.mails


def test_content_in_a_packet_of_its_own(door):
    """It comes while the recipients before DATA are looked up: the ledger is stopped meanwhile."""
    ledger = door.gateway.roles()["ledger"][0]
    with door.dialogue() as client:
        client.ehlo()
        os.kill(ledger, signal.SIGSTOP)
        try:
            client.raw(b"MAIL FROM:<a@peers.example>\r\nRCPT TO:<bob@kartapuce.com>\r\nDATA\r\n")
            assert client.reply().code == 250    # MAIL: the rest has been read
            client.raw(b"Subject: x\r\n\r\nx\r\n.\r\n")
        finally:
            os.kill(ledger, signal.SIGCONT)
        said = everything(client)
    assert "554 5.5.0 " in said and "354" not in said
    assert not door.gateway.queue()


def test_it_is_told(door):
    sent_at_once(door, "DATA\r\nx\r\n", before=ENVELOPE)

    def told():
        return any("did not wait" in
                   door.gateway.command("explain", row["id"], check=False).stdout
                   for row in door.gateway.trace("--limit", "5"))
    wait_for(told, 10)


# -- other protocols --------------------------------------------------------------------------

@pytest.mark.parametrize("source", [OFFICE, BRANCH, "127.0.0.1"])
@pytest.mark.parametrize("verb", ["POST", "get", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "Pri",
                                  "PROPFIND"])
def test_a_web_request_relays_nothing(door, far, source, verb):
    said = sent_at_once(door, f"{verb} / HTTP/1.1\r\nHost: mx:25\r\nContent-Length: 500\r\n\r\n"
                        + INJECTED, source=source)
    assert said.startswith("554 5.5.0 ") and said.count("\n") == 1, said
    assert not door.gateway.queue() and not far.mails


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                   b"SSH-2.0-OpenSSH_9.2\r\n"], ids=["TLS", "SSH"])
def test_a_banner_of_another_protocol(door, first):
    with door.dialogue(source=OFFICE) as client:
        client.raw(first)
        assert everything(client).startswith("554 5.5.0 ")


@pytest.mark.parametrize("protocols,taken", [(["smtp"], True), (["http/1.1", "smtp"], True),
                                             (["h2", "http/1.1"], False), ([], True)])
@pytest.mark.parametrize("kind", ["smtps", "mx"])
def test_alpn(door, kind, protocols, taken):
    context = door.world.ca.client_context(check_name=False)
    if protocols:
        context.set_alpn_protocols(protocols)

    def greeted():
        if kind == "smtps":
            with door.dialogue("smtps", tls=context) as client:
                return client.greeting.code == 220
        with door.dialogue() as client:
            client.ehlo()
            client.starttls(context, "mx.kartapuce.com")
            return "PIPELINING" in client.ehlo()
    if taken:
        assert greeted()
    else:
        with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
            greeted()


# -- honest clients ---------------------------------------------------------------------------

def one_more(door, send):
    before = len(door.mailboxes.mails)
    send()
    door.mailboxes.wait(before + 1)


@pytest.mark.parametrize("options", [["--pipeline"], ["--pipeline", "--tls"], ["--protocol", "SMTP"],
                                     []], ids=["pipelining", "pipelining in TLS", "HELO", "plain"])
def test_swaks(door, options):
    one_more(door, lambda: run(["swaks", "--server", f"{door.address}:{door.port('mx')}",
                                "--from", "a@peers.example", "--to", "bob@kartapuce.com",
                                "--helo", "client.peers.example", *options]))


def test_curl(door, tmp_path):
    (tmp_path / "mail").write_text(PLAIN)
    one_more(door, lambda: run(["curl", "-sS", "--crlf", f"smtp://{door.address}:{door.port('mx')}/c.example",
                                "--mail-from", "a@peers.example", "--mail-rcpt",
                                "bob@kartapuce.com", "--upload-file", str(tmp_path / "mail")]))


@pytest.mark.parametrize("helo", [False, True])
def test_smtplib(door, helo):
    def send():
        with smtplib.SMTP(door.address, door.port("mx"), timeout=10) as client:
            (client.helo if helo else client.ehlo)()
            client.sendmail("a@peers.example", ["bob@kartapuce.com"], PLAIN)
    one_more(door, send)


def test_smtp_source(door):
    one_more(door, lambda: smtp_source(door.address, door.port("mx"), sender="a@peers.example"))


def test_a_group_behind_the_content(door):
    """RFC 2920 3.1: the content is the first command of the next group."""
    before = len(door.mailboxes.mails)
    group = "MAIL FROM:<a@peers.example>\r\nRCPT TO:<bob@kartapuce.com>\r\nDATA\r\n"
    content = PLAIN.replace("\n", "\r\n") + ".\r\n"
    with door.dialogue() as client:
        client.ehlo()
        client.raw(group.encode())
        assert [client.reply().code for _ in range(3)] == [250, 250, 354]
        client.raw((content + group).encode())
        assert [client.reply().code for _ in range(4)] == [250, 250, 250, 354]
        client.raw((content + "QUIT\r\n").encode())
        assert [client.reply().code for _ in range(2)] == [250, 221]
    door.mailboxes.wait(before + 2)


def test_chunks_with_their_octets(door):
    before = len(door.mailboxes.mails)
    content = PLAIN.replace("\n", "\r\n")
    message = (f"MAIL FROM:<a@peers.example>\r\nRCPT TO:<bob@kartapuce.com>\r\n"
               f"BDAT {len(content)}\r\n{content}BDAT 0 LAST\r\n")
    with door.dialogue() as client:
        client.ehlo()
        client.raw((message * 2 + "QUIT\r\n").encode())
        assert [client.reply().code for _ in range(9)] == [250] * 8 + [221]
    door.mailboxes.wait(before + 2)
