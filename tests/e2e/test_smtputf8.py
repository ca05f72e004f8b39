"""Mail with SMTPUTF8 for next hops that do not offer it: delivered in ASCII, or refused at RCPT."""

import email
import email.policy

import pytest

from lab.sink import Script
from world import BOB

WITHOUT = Script(extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"))
DECLARED = "SMTPUTF8 BODY=8BITMIME"


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink(WITHOUT)


@pytest.fixture(scope="module")
def running(module_world, far):
    """Mailboxes, an inside SMTP host and an outside host, none of which offers SMTPUTF8."""
    mailboxes, inside = module_world.sink(WITHOUT, lmtp=True), module_world.sink(WITHOUT)
    running = module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "domains": [{"name": "kartapuce.com", "recipients": "users",
                     "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}",
                     "aliases": [{"name": "away", "to": ["private@far.example"]}]},
                    {"name": "inside.example", "recipients": "any",
                     "delivery": f"smtp://{inside.address}:{inside.port}"},
                    {"name": "asked.example", "recipients": "callout",
                     "delivery": f"smtp://{inside.address}:{inside.port}"}]})
    running.mailboxes, running.inside = mailboxes, inside
    return running


@pytest.mark.parametrize("recipient,where", [
    (BOB[0], "mailboxes"), ("ann@inside.example", "inside"), ("away@kartapuce.com", "far"),
])
def test_a_header_in_utf8_is_delivered_in_ascii(running, far, recipient, where):
    sink = far if where == "far" else getattr(running, where)
    before = len(sink.mails)
    reply = running.receive(recipient, "Subject: \u00e9t\u00e9\n\ncaf\u00e9\n",
                            mail_parameters=DECLARED)
    assert reply.code == 250, reply
    mail = sink.wait(before + 1)[-1]
    head = mail.content.split(b"\r\n\r\n")[0]
    assert max(head) < 128
    assert email.message_from_bytes(head, policy=email.policy.default)["Subject"] == "\u00e9t\u00e9"
    assert "caf\u00e9".encode() in mail.content and "SMTPUTF8" not in mail.mail_parameters
    running.empty_queue()


def test_an_author_in_utf8_is_kept_readable_in_a_mailbox(running):
    before = len(running.mailboxes.mails)
    reply = running.receive(BOB[0], "From: J\u00fcrg <j\u00fcrg@peers.example>\n"
                            "Subject: x\n\nx\n", mail_parameters=DECLARED)
    assert reply.code == 250, reply
    content = running.mailboxes.wait(before + 1)[-1].content
    head = content.split(b"\r\n\r\n")[0]
    assert max(head) < 128 and b"j=C3=BCrg=40peers=2Eexample" in head


@pytest.mark.parametrize("sender,recipient", [
    ("s\u00e9b@peers.example", BOB[0]), ("s\u00e9b@peers.example", "away@kartapuce.com"),
    ("s\u00e9b@peers.example", "ann@inside.example"),
    ("someone@peers.example", "\u00e9@inside.example"),
    ("someone@peers.example", "\u00e9@asked.example"),
])
def test_an_address_in_utf8_is_refused_at_rcpt(running, sender, recipient):
    with running.dialogue() as client:
        client.ehlo("client.peers.example")
        client.expect(250, f"MAIL FROM:<{sender}> SMTPUTF8")
        reply = client.command(f"RCPT TO:<{recipient}>")
        assert reply.code == 553 and "5.6.7" in reply.text, reply


def test_users_are_refused_at_rcpt_too(running):
    with running.logged_in() as client:
        client.expect(250, f"MAIL FROM:<{BOB[0]}> SMTPUTF8")
        client.expect(553, "RCPT TO:<\u00e9@far.example>")


def test_a_header_that_cannot_be_told_outside_comes_back(running, far):
    """The author of mail that leaves must be somebody who can be answered: 5.6.7, and a notice."""
    before, outside = len(running.mailboxes.mails), len(far.mails)
    running.submit("tom@far.example", f"From: {BOB[0]}\nReply-To: b\u00f6b@kartapuce.com\n"
                   "Subject: x\n\nx\n", mail_parameters=DECLARED)
    content = running.mailboxes.wait(before + 1)[-1].content
    assert b"Status: 5.6.7" in content and len(far.mails) == outside
