"""Strangers, and what they can make the gateway send: nothing to a forged address."""

import email
import email.policy

import pytest

from lab.gateway import queue_id
from lab.sink import Script
from world import BOB, JACK

MAIL = "Subject: bait\n\nthe body, which is an advertisement\n"


@pytest.fixture(scope="module")
def far(module_world):
    """Where aliases lead outside; what it says is nobody's business."""
    return module_world.sink(Script(recipients={
        "private@far.example": "550 5.2.1 <private@far.example> left for the competition",
        "other@far.example": "550 5.7.1 no",
        "slow@far.example": "451 4.2.1 later"}))


@pytest.fixture(scope="module")
def victims(module_world):
    """The mail exchanger of two domains; the DNS says what each allows."""
    peers = module_world.peers
    peers.txt("forged", "v=spf1 -all").txt("proven", "v=spf1 ip4:127.0.0.0/8 -all")
    module_world.dns.update()
    return module_world.sink()


def world_with(module_world, far, victims, bounce=None):
    victim = f"smtp://{victims.address}:{victims.port}"
    mailboxes = module_world.sink(Script(recipients={
        JACK[0]: "550 5.2.2 quota of /srv/mail/jack is used up"}), lmtp=True)
    running = module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"},
                   {"domain": ".peers.example", "to": victim}],
        "domains": [{"name": "kartapuce.com", "recipients": "users",
                     "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}",
                     "aliases": [{"name": "sales", "to": ["private@far.example", "other@far.example"]},
                                 {"name": "away", "to": ["slow@far.example"]},
                                 {"name": "out", "to": ["yes@far.example"]}]}],
        "bounce": bounce or {}, "queue": {"warn_after": "1s"}})
    running.mailboxes = mailboxes
    return running


@pytest.fixture(scope="module")
def running(module_world, far, victims):
    return world_with(module_world, far, victims)


def received(running, recipient, domain, **parameters):
    reply = running.receive(recipient, MAIL, sender=f"somebody@{domain}.peers.example",
                            **parameters)
    assert reply.code == 250, reply
    return queue_id(reply.text)


@pytest.mark.parametrize("domain,why", [("forged", "neither a user"), ("proven", "neither a user")])
def test_success_is_not_told(running, victims, domain, why):
    before = len(victims.mails)
    one = received(running, BOB[0], domain, rcpt_parameters="NOTIFY=SUCCESS,FAILURE")
    why = why if domain == "proven" else "not forged"
    running.explained(one, "Delivered to", "No notice of success was sent", why)
    running.empty_queue()
    assert len(victims.mails) == before


@pytest.mark.parametrize("recipient", ["sales@kartapuce.com", JACK[0]])
def test_failure_is_not_told_to_a_forged_sender(running, victims, recipient):
    before = len(victims.mails)
    one = received(running, recipient, "forged")
    running.explained(one, "No notice of failure was sent", "not forged")
    running.empty_queue()
    assert len(victims.mails) == before


def test_failure_is_told_to_a_proven_sender_without_what_is_inside(running, victims, far):
    before = len(victims.mails)
    received(running, "sales@kartapuce.com", "proven", mail_parameters="RET=FULL")
    mail = victims.wait(before + 1)[-1]
    running.empty_queue()
    assert len(victims.mails) == before + 1         # two targets of one alias are one failure
    assert (mail.reverse_path, mail.recipients) == ("", ["somebody@proven.peers.example"])
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    fields = message.get_payload()[1].get_payload()[1]
    assert fields["Final-Recipient"] == "rfc822; sales@kartapuce.com"
    assert (fields["Action"], fields["Status"]) == ("failed", "5.0.0")
    assert fields["Remote-MTA"] is None and fields["Diagnostic-Code"] is None
    assert message.get_payload()[2].get_content_type() == "text/rfc822-headers"
    assert b"Subject: bait" in mail.content
    for secret in (b"advertisement", b"far.example", b"competition", b"sent on", far.address.encode()):
        assert secret not in mail.content, secret


def test_the_address_that_was_written_to_keeps_its_status(running, victims):
    before = len(victims.mails)
    received(running, JACK[0], "proven")
    content = victims.wait(before + 1)[-1].content
    assert b"Status: 5.2.2" in content and b"quota" not in content
    assert running.mailboxes.address.encode() not in content


def test_delay_is_not_told(running, victims, far):
    before = len(victims.mails)
    one = received(running, "away@kartapuce.com", "proven", rcpt_parameters="NOTIFY=DELAY,FAILURE")
    running.explained(one, "No notice of the delay was sent", "neither a user")
    del far.script.recipients["slow@far.example"]
    running.empty_queue(15)
    assert len(victims.mails) == before


@pytest.mark.parametrize("domain,asked,handed_on", [
    ("proven", "SUCCESS,FAILURE", "FAILURE"), ("proven", "SUCCESS", "NEVER"),
    ("forged", "SUCCESS,FAILURE", "NEVER"),
])
def test_the_next_host_is_not_asked_for_more(running, far, domain, asked, handed_on):
    before = len(far.mails)
    received(running, "out@kartapuce.com", domain, rcpt_parameters=f"NOTIFY={asked}")
    mail = far.wait(before + 1)[-1]
    assert f"NOTIFY={handed_on}" in mail.rcpt_parameters["yes@far.example"].split()


def test_never(module_world, far, victims):
    running = world_with(module_world, far, victims, {"to_strangers": "never"})
    before = len(victims.mails)
    one = received(running, "sales@kartapuce.com", "proven")
    running.explained(one, "No notice of failure was sent", "neither a user")
    running.empty_queue()
    assert len(victims.mails) == before


def test_users_are_told_everything(running):
    before = len(running.mailboxes.mails)
    running.submit("sales@kartapuce.com")
    content = running.mailboxes.wait(before + 1)[-1].content
    assert b"competition" in content and b"private@far.example" in content
