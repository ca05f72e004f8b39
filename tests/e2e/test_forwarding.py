"""Mail that an alias sends on to another domain: a sender of ours (SRS), a seal (ARC), signatures left
whole, and the way back for what comes of it."""

import base64
import itertools
import re
import subprocess

import pytest

from lab.gateway import queue_id
from lab.process import wait_for
from lab.sink import Script
from world import BOB

dkim = pytest.importorskip("dkim")

REWRITTEN = re.compile(r"SRS0=[a-z2-7]{6}=[a-z2-7]{2}=peers\.example=someone@kartapuce\.com")


@pytest.fixture(scope="module")
def far(module_world):
    """The host of far.example, which refuses whose name begins with "no"."""
    script = Script(recipients={"no@far.example": "550 5.1.1 <no@far.example> who?"})
    return module_world.sink(script)


@pytest.fixture(scope="module")
def origin(module_world):
    """The host of the senders outside."""
    return module_world.sink()


@pytest.fixture(scope="module")
def sealing(module_world):
    """A domain of ours that has keys."""
    return module_world.name()


@pytest.fixture(scope="module")
def proven(module_world):
    """A domain outside whose SPF lets the tests send, so that its senders hear of failures."""
    domain = module_world.name()
    module_world.peers.txt(domain.split(".")[0], "v=spf1 ip4:127.0.0.0/8 -all")
    module_world.dns.update()
    return domain


@pytest.fixture(scope="module")
def running(module_world, far, origin, sealing, proven):
    mailboxes = module_world.sink(lmtp=True)
    delivery = f"lmtp://{mailboxes.address}:{mailboxes.port}"
    running = module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"},
                   *({"domain": name, "to": f"smtp://{origin.address}:{origin.port}"}
                     for name in ("peers.example", proven))],
        "domains": [
            {"name": "kartapuce.com", "delivery": delivery, "recipients": "users",
             "aliases": [{"name": "away", "to": ["bob.private@far.example"]},
                         {"name": "both", "to": [BOB[0], "partner@far.example"]},
                         {"name": "refused", "to": ["no@far.example"]}]},
            {"name": sealing, "delivery": delivery, "recipients": "users",
             "aliases": [{"name": "away", "to": ["sealed@far.example"]},
                         {"name": "both", "to": [BOB[0], "sealed@far.example"]}]}],
        "limits": {"header_fields": 60},
        "checks": [{"finding": name, "action": "accept"}
                   for name in ("header_too_large", "dmarc_author_unknown")],
        "authentication": {"dkim": {"publish_wait": "1s"}}})
    running.mailboxes = mailboxes
    return running


def forwarded(running, far, recipient="away@kartapuce.com", **parameters):
    """Forwards one message; (queue id, what came to far.example)."""
    before = len(far.mails)
    reply = running.receive(recipient, **parameters)
    assert reply.code == 250, reply
    return queue_id(reply.text), far.wait(before + 1)[-1]


@pytest.fixture(scope="module")
def rewritten(running, far):
    """The sender that someone@peers.example has at far.example."""
    return forwarded(running, far)[1].reverse_path


def test_the_sender_becomes_ours(running, far):
    identifier, mail = forwarded(running, far)
    assert REWRITTEN.fullmatch(mail.reverse_path)
    assert mail.recipients == ["bob.private@far.example"]
    running.explained(identifier, "It goes on to bob.private@far.example",
                      f"with the sender <{mail.reverse_path}>")


def test_two_copies(running, far):
    """Who is here gets the message with its own sender; who is elsewhere, a copy with ours."""
    before = len(running.mailboxes.mails)
    identifier, there = forwarded(running, far, "both@kartapuce.com", content="Subject: two\n\nx\n")
    here = running.mailboxes.wait(before + 1)[-1]
    assert (here.reverse_path, here.recipients) == ("someone@peers.example", [BOB[0]])
    assert REWRITTEN.fullmatch(there.reverse_path)
    assert there.recipients == ["partner@far.example"]
    text = running.explained(identifier, "It goes on to partner@far.example",
                             "as a copy of its own", "partner@far.example: forwarded",
                             "Nothing is left to do: 1 delivered")
    copy = re.search(r"as a copy of its own: (\w{16})", text)[1]
    running.explained(copy, f"This is the copy of message {identifier}",
                      "Delivered to <partner@far.example>", "client.peers.example",
                      "Delivered after")
    for words in (["--recipient", "partner@far.example"], ["--sender", there.reverse_path],
                  ["--subject", "two"]):
        row = wait_for(lambda: next((row for row in running.gateway.trace(*words)
                                     if row["id"] == copy and row["state"] == "delivered"), None),
                       10, "the copy")
        assert row["sender"] == there.reverse_path and row["recipients"] == "partner@far.example"


def test_the_null_sender_stays(running, far):
    assert forwarded(running, far, sender="")[1].reverse_path == ""


def test_our_own_mail_keeps_its_sender(running, far):
    before = len(far.mails)
    running.submit("away@kartapuce.com")
    assert far.wait(before + 1)[-1].reverse_path == BOB[0]


def test_a_refusal_there_reaches_the_sender(running, origin, proven):
    before = len(origin.mails)
    sender = f"ann@{proven}"
    reply = running.receive("refused@kartapuce.com", "Subject: lost\n\nhello\n", sender=sender)
    mail = origin.wait(before + 1)[-1]
    assert (mail.reverse_path, mail.recipients) == ("", [sender])
    assert f"\r\nTo: <{sender}>\r\n".encode() in mail.content
    assert b"refused@kartapuce.com" in mail.content and b"SRS0" not in mail.content
    running.explained(queue_id(reply.text), f"A notice of failure went to <{sender}>")


@pytest.mark.parametrize("change", [str, str.upper, str.lower], ids=["same", "upper", "lower"])
@pytest.mark.parametrize("sender", ["", "mailer@far.example"])
def test_a_notice_finds_its_way_back(running, origin, rewritten, sender, change):
    before = len(origin.mails)
    local, domain = rewritten.split("@")
    reply = running.receive(f"{change(local)}@{domain}", "Subject: notice\n\nx\n", sender=sender)
    assert reply.code == 250, reply
    mail = origin.wait(before + 1)[-1]
    assert [a.lower() for a in mail.recipients] == ["someone@peers.example"]
    assert (mail.reverse_path == "") == (sender == "")
    running.explained(queue_id(reply.text), "it leads back to somebody whose mail was forwarded",
                      "It goes to ")


def altered(address):
    """The address with one letter or digit of its local part changed, for each in turn."""
    local, domain = address.split("@")
    for i, c in itertools.islice(enumerate(local), 5, None):
        if c.isalnum():
            yield f"{local[:i]}{'b' if c != 'b' else 'c'}{local[i + 1:]}@{domain}"


def verp(domain):
    """A sender as mailing lists write it: too long for SRS."""
    return f"bounces-4711-subscriber=kartapuce.com-newsletter-2026-11-23-0001@{domain}"


def test_a_sender_too_long_for_srs_gets_a_short_form(running, far, origin, proven):
    sender = verp(proven)
    _, mail = forwarded(running, far, sender=sender)
    local, domain = mail.reverse_path.split("@")
    assert local.startswith("SRS0=") and len(local) <= 64 and domain == "kartapuce.com"
    running.gateway.stop()
    running.gateway.start()
    before = len(origin.mails)
    assert running.receive(mail.reverse_path, sender="").code == 250
    assert origin.wait(before + 1)[-1].recipients == [sender]


def test_a_notice_finds_a_sender_too_long_for_srs(running, origin, proven):
    before = len(origin.mails)
    assert running.receive("refused@kartapuce.com", sender=verp(proven)).code == 250
    mail = origin.wait(before + 1)[-1]
    assert (mail.reverse_path, mail.recipients) == ("", [verp(proven)])
    assert b"Status: 5." in mail.content


def test_nobody_else_gets_out(running, rewritten):
    """Not an open relay: what was not made here, or was changed, is refused."""
    forged = ["SRS0=aaaaaa=aa=victim.example=bob@kartapuce.com",
              "SRS1=aaaaaa=victim.example==aaaaaa=aa=x.example=bob@kartapuce.com",
              "SRS0=@kartapuce.com", "SRS0===@kartapuce.com",
              rewritten.replace("=peers.example=someone", "=far.example=someone"),
              *altered(rewritten)]
    with running.dialogue() as client:
        client.ehlo("client.peers.example")
        client.expect(250, "MAIL FROM:<>")
        for address in forged[:8]:
            reply = client.command(f"RCPT TO:<{address}>")
            assert reply.code == 550 and "forwarding sender was not made here" in reply.text, address
        client.expect(550, f"RCPT TO:<{rewritten.replace('@kartapuce.com', '@elsewhere.example')}>")
        client.expect(250, f"RCPT TO:<{rewritten}>")
    for address in forged[8:]:
        with running.dialogue() as client:
            client.ehlo("client.peers.example")
            client.expect(250, "MAIL FROM:<>")
            client.expect(550, f"RCPT TO:<{address}>")


def test_a_forged_one_is_explained(running):
    address = "SRS0=aaaaaa=aa=victim.example=bob@kartapuce.com"
    with running.dialogue() as client:
        client.ehlo("client.peers.example")
        client.expect(250, "MAIL FROM:<>")
        client.expect(550, f"RCPT TO:<{address}>")
    wait_for(lambda: running.gateway.trace("--recipient", address), 10)
    row = running.gateway.trace("--recipient", address)[0]
    running.explained(row["id"], "no such address was made here", "550 5.7.1")


# ---- what receivers verify

@pytest.fixture(scope="module")
def signer(module_world):
    """A key of a domain outside: content -> content with a DKIM signature."""
    domain = module_world.name()
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key,
                            capture_output=True, check=True).stdout
    module_world.peers.txt(f"s._domainkey.{domain.split('.')[0]}",
                           f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}", ttl=1)
    module_world.dns.update()

    def sign(text):
        content = text.replace("@@", f"@{domain}").replace("\n", "\r\n").encode()
        field = dkim.sign(content, b"s", domain.encode(), key, canonicalize=(b"relaxed", b"relaxed"),
                          include_headers=[b"from", b"subject", b"to"])
        return (field + content).decode().replace("\r\n", "\n"), f"joe@{domain}"

    return sign


def txt(world):
    """A dnsfunc for python3-dkim that looks into the laboratory's zones."""
    def look(name, timeout=5):
        origin = "peers.example."
        owner = name.decode().removesuffix("." + origin)
        for label, _, kind, data in world.peers.records:
            if (label, kind) == (owner, "TXT"):
                return "".join(re.findall(r'"([^"]*)"', data)).encode()
        return None
    return look


@pytest.fixture(scope="module")
def sealed(module_world, running, sealing):
    """The gateway, with an active key of the alias's domain."""
    key, = running.gateway.json("key", "generate", sealing, "--algorithm", "rsa")
    module_world.peers.txt(f"{key['selector']}._domainkey.{sealing.split('.')[0]}", key["record"],
                           ttl=1)
    module_world.dns.update()
    running.gateway.command("key", "publish", sealing)
    wait_for(lambda: [k for k in running.gateway.json("key", "list", sealing)
                      if k["state"] == "active"], 20, "an active key", step=0.2)
    return running


MESSAGE = "From: joe@@\nTo: away@kartapuce.com\nSubject: signed\n\nThe  body. \n\n\n"


@pytest.mark.parametrize("name", ["away", "both"])
def test_signatures_hold_and_a_seal_is_added(module_world, sealed, sealing, far, signer, name):
    content, author = signer(MESSAGE)
    identifier, mail = forwarded(sealed, far, f"{name}@{sealing}", content=content, sender=author)
    assert dkim.verify(mail.content, dnsfunc=txt(module_world))
    cv, results, reason = dkim.ARC(mail.content).verify(dnsfunc=txt(module_world))
    assert cv == dkim.CV_Pass, (cv, results, reason)
    assert b"ARC-Authentication-Results: i=1; mx.kartapuce.com" in mail.content
    assert b"dkim=pass" in mail.content, mail.content.decode()
    if name == "both":
        text = sealed.explained(identifier, "as a copy of its own")
        identifier = re.search(r"as a copy of its own: (\w{16})", text)[1]
    sealed.explained(identifier, f"It was sealed for {sealing}", "ARC set 1")


def test_what_was_not_read_is_not_sealed(sealed, sealing, far, signer):
    """More fields than are read: nothing is known of signatures and chains, so nobody vouches."""
    content, author = signer(MESSAGE)
    content = content.replace("To: away", "X-More: x\n" * 70 + "To: away", 1)
    identifier, mail = forwarded(sealed, far, f"away@{sealing}", content=content, sender=author)
    assert b"ARC-Seal" not in mail.content
    assert b"dkim=permerror" in mail.content and b"dkim=none" not in mail.content
    assert b"arc=none" not in mail.content
    sealed.explained(identifier, "the header section is too large to be read")


def test_without_a_key_there_is_no_seal(module_world, running, far, signer):
    content, author = signer(MESSAGE)
    _, mail = forwarded(running, far, content=content, sender=author)
    assert dkim.verify(mail.content, dnsfunc=txt(module_world))
    assert b"ARC-Seal" not in mail.content


def test_switched_off(world, far):
    off = world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "domains": [{"name": "kartapuce.com", "delivery": "lmtp://127.0.0.1:24",
                     "recipients": "users",
                     "aliases": [{"name": "away", "to": ["x@far.example"]}]}],
        "authentication": {"srs": {"enabled": False}}})
    assert forwarded(off, far)[1].reverse_path == "someone@peers.example"
    with off.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<>")
        reply = client.command("RCPT TO:<SRS0=aaaaaa=aa=victim.example=bob@kartapuce.com>")
        assert reply.code == 550 and "No such recipient" in reply.text
