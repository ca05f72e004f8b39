"""The log: one line for each recipient and outcome, which programs can read."""

import re

import pytest

from lab.gateway import queue_id
from lab.process import wait_for
from lab.sink import Script
from world import BOB

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\u[0-9a-f]{4})*"|[^\s"]+)(?: |$)')


def parse(line):
    """The fields of one line; nothing may stand between them."""
    fields, at = {}, 0
    for pair in PAIR.finditer(line):
        assert pair.start() == at, line
        value = pair[2]
        if value.startswith('"'):
            value = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), value[1:-1])
        assert pair[1] not in fields, line
        fields[pair[1]], at = value, pair.end()
    assert at == len(line), line
    return fields


def lines(running, **wanted):
    """All lines of the log so far that have these values."""
    text = running.gateway.process.log.read_text()
    read = [parse(line) for line in text.split("\n")[:-1] if line.startswith("time=")]
    return [fields for fields in read
            if all(fields.get(key) == value for key, value in wanted.items())]


def line(running, **wanted):
    """The one line with these values, once it is there."""
    found = wait_for(lambda: lines(running, **wanted), 10, f"a line with {wanted}", step=0.1)
    assert len(found) == 1, found
    return found[0]


def several(count, running, **wanted):
    """The lines with these values, once there are `count` of them."""
    return wait_for(lambda: len(found := lines(running, **wanted)) >= count and found, 10,
                    f"{count} lines with {wanted}", step=0.1)


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink(Script(recipients={
        "no@far.example": "550 5.1.1 who is\tthat? event=delivered",
        "slow@far.example": "451 4.2.1 wait"}))


@pytest.fixture(scope="module")
def running(module_world, far):
    mailboxes = module_world.sink(lmtp=True)
    return module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "domains": [{"name": "kartapuce.com", "recipients": "users",
                     "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}", "aliases": [
            {"name": "both", "to": [BOB[0], "partner@far.example"]},
            {"name": "sales", "to": [BOB[0]]}]}],
        "queue": {"retry_first": "30m", "retry_max": "1h"}})


ALWAYS = {"event", "id", "from", "to", "relay", "delay", "code", "reply"}


def test_delivered(running):
    reply = running.receive([BOB[0]])
    mail = queue_id(reply.text)
    accepted = line(running, event="accepted", id=mail)
    assert accepted["from"] == "someone@peers.example" and accepted["client"] == "127.0.0.1"
    delivered = line(running, event="delivered", id=mail)
    assert ALWAYS <= set(delivered)
    assert (delivered["from"], delivered["to"], delivered["code"]) == (
        "someone@peers.example", BOB[0], "250")
    assert delivered["relay"] != "none" and 0 <= float(delivered["delay"]) < 60
    assert delivered["role"] == "spool" and "orig_to" not in delivered


def test_behind_an_alias(running):
    mail = queue_id(running.receive(["sales@kartapuce.com"]).text)
    assert line(running, event="delivered", id=mail)["orig_to"] == "sales@kartapuce.com"


def test_deferred_held_released_and_removed(running):
    mail = running.submit("slow@far.example")
    deferred = line(running, event="deferred", id=mail)
    assert ALWAYS <= set(deferred) and deferred["code"] == "451"
    assert deferred["status"] == "4.2.1" and deferred["attempts"] == "1"
    assert float(deferred["next"]) > 60 and "wait" in deferred["reply"]
    for verb, event in (("hold", "held"), ("release", "released")):
        running.gateway.command("queue", verb, mail)
        assert line(running, event=event, id=mail, to="slow@far.example")["by"]
    line(running, event="deferred", id=mail, attempts="2")
    running.gateway.command("queue", "remove", mail)
    assert line(running, event="removed", id=mail, to="slow@far.example")["by"]
    changes = [fields["action"] for fields in several(3, running, event="the queue is changed")]
    assert changes == ["hold", "release", "remove"]


def test_bounced_with_a_reply_that_wants_to_be_a_field(running):
    mail = running.submit(["no@far.example", "yes@far.example"])
    bounced = line(running, event="bounced", id=mail)
    assert bounced["to"] == "no@far.example" and bounced["code"] == "550"
    assert bounced["reply"].endswith("event=delivered")
    assert line(running, event="delivered", id=mail)["to"] == "yes@far.example"
    notice = line(running, event="notice", about=mail)
    assert notice["kind"] == "failure" and notice["to"] == BOB[0]
    assert line(running, event="delivered", id=notice["id"])["from"] == "<>"


def test_a_bounce_by_an_administrator(running):
    mail = running.submit("slow@far.example")
    line(running, event="deferred", id=mail)
    running.gateway.command("queue", "bounce", mail)
    assert line(running, event="bounced", id=mail)["by"]


def test_refused_recipients(running):
    with running.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        assert client.command("MAIL FROM:<someone@peers.example>").code == 250
        assert client.command("RCPT TO:<nobody@kartapuce.com>").code == 550
        assert client.command("RCPT TO:<tom@elsewhere.example>").code >= 500
        assert client.command("RCPT TO:<broken").code >= 500
    refused = line(running, event="rejected", to="nobody@kartapuce.com")
    assert ALWAYS <= set(refused)
    assert (refused["stage"], refused["reason"], refused["code"], refused["status"]) == (
        "RCPT", "unknown", "550", "5.1.1")
    assert refused["from"] == "someone@peers.example" and refused["relay"] == "none"
    assert refused["client"] == "127.0.0.1" and refused["helo"] == "client.peers.example"
    assert line(running, event="rejected", to="tom@elsewhere.example")["reason"] == "relay_denied"
    same = several(3, running, event="rejected", id=refused["id"])
    assert [fields["reason"] for fields in same] == ["unknown", "relay_denied", "syntax"]


def test_refused_content(running):
    """Every recipient that was accepted has its line, once, as RCPT named it."""
    with running.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        client.command("MAIL FROM:<someone@peers.example>")
        for name in ("bob", "both"):
            assert client.command(f"RCPT TO:<{name}@kartapuce.com>").code == 250
        client.command("DATA")
        reply = client.command("no header at all, \x00 and a NUL\r\n.")
        assert reply.code >= 500
    found = several(2, running, event="rejected", stage="DATA")
    assert [fields["to"] for fields in found] == [BOB[0], "both@kartapuce.com"]
    assert {fields["from"] for fields in found} == {"someone@peers.example"}
    assert {fields["code"] for fields in found} == {str(reply.code)}


def test_a_refused_sender(running):
    with running.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        assert client.command("MAIL FROM:<a@b@c>").code >= 500
    refused = line(running, event="rejected", stage="MAIL")
    assert "a@b@c" in refused["from"] and refused["to"] == ""


def test_a_forwarded_copy_is_linked(running):
    mail = queue_id(running.receive(["both@kartapuce.com"]).text)
    forwarded = line(running, event="forwarded", id=mail)
    assert line(running, event="delivered", id=mail)["to"] == BOB[0]
    copy = line(running, event="delivered", id=forwarded["copy"])
    assert copy["to"] == "partner@far.example" and copy["orig_to"] == "both@kartapuce.com"


def test_quarantined(running, world):
    domain = world.name()
    world.peers.txt(domain.split(".")[0], "v=spf1 -all")
    world.peers.txt(f"_dmarc.{domain.split('.')[0]}", "v=DMARC1; p=quarantine")
    world.dns.update()
    reply = running.receive([BOB[0]], f"From: a@{domain}\nSubject: x\n\nhello\n",
                            sender=f"a@{domain}")
    held = line(running, event="quarantined", id=queue_id(reply.text))
    assert held["by"] == "policy" and held["reason"] == "dmarc_fail_quarantine"


def test_no_outcome_is_a_number(running):
    for fields in lines(running):
        assert not fields["event"].isdigit()
        for key in ("action", "outcome", "kind", "stage", "reason", "state", "by"):
            assert not fields.get(key, "").isdigit(), fields
