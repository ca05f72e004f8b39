"""Aliases, forwarding, plus addressing and catch-all."""

import pytest

from lab.gateway import queue_id
from lab.process import wait_for
from world import BOB, JACK


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink()


@pytest.fixture(scope="module")
def running(module_world, far):
    """kartapuce.com with aliases; caught.example, where everything goes to one; listed.example."""
    mailboxes = module_world.sink(lmtp=True)
    delivery = f"lmtp://{mailboxes.address}:{mailboxes.port}"
    running = module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "domains": [
            {"name": "kartapuce.com", "delivery": delivery, "recipients": "users",
             "aliases": [{"name": "sales", "to": [BOB[0], "partner@far.example"]},
                         {"name": "all", "to": ["sales@kartapuce.com", JACK[0]]},
                         {"name": "away", "to": ["bob.private@far.example"]}]},
            {"name": "caught.example", "delivery": delivery, "recipients": "users",
             "catch_all": BOB[0], "plus_addressing": False},
            {"name": "listed.example", "delivery": delivery, "recipients": "list",
             "list": ["ann@listed.example"], "plus_separator": "-"},
            {"name": "open.example", "delivery": delivery, "recipients": "any"}]})
    running.mailboxes = mailboxes
    return running


def delivered(running, far, recipients, *, sender="someone@peers.example", inside=0, outside=0):
    """Sends one message and returns the sorted recipients (inside, outside)."""
    before = len(running.mailboxes.mails), len(far.mails)
    count = lambda: (sum(len(m.recipients) for m in running.mailboxes.mails[before[0]:]),
                     sum(len(m.recipients) for m in far.mails[before[1]:]))
    reply = running.receive(recipients, sender=sender)
    assert reply.code == 250, reply
    wait_for(lambda: count() >= (inside, outside) and count()[1] >= outside, 10,
             f"{inside} inside and {outside} outside")
    running.empty_queue()
    return (sorted(a for m in running.mailboxes.mails[before[0]:] for a in m.recipients),
            sorted(a for m in far.mails[before[1]:] for a in m.recipients))


@pytest.mark.parametrize("recipients,inside,outside", [
    ("sales@kartapuce.com", [BOB[0]], ["partner@far.example"]),
    ("SALES@kartapuce.com", [BOB[0]], ["partner@far.example"]),
    ("all@kartapuce.com", [BOB[0], JACK[0]], ["partner@far.example"]),
    ("away@kartapuce.com", [], ["bob.private@far.example"]),
    ("sales+news@kartapuce.com", [BOB[0]], ["partner@far.example"]),
    (["sales@kartapuce.com", BOB[0], "all@kartapuce.com"], [BOB[0], JACK[0]],
     ["partner@far.example"]),
    ([BOB[0], BOB[0], "Bob@KartaPuce.com"], [BOB[0]], []),
    ("anything@caught.example", [BOB[0]], []),
    ("ann@listed.example", ["ann@listed.example"], []),
    ("whoever@open.example", ["whoever@open.example"], []),
], ids=lambda v: v if isinstance(v, str) else None)
def test_where_it_goes(running, far, recipients, inside, outside):
    assert delivered(running, far, recipients, inside=len(inside),
                     outside=len(outside)) == (inside, outside)


@pytest.mark.parametrize("recipient,base", [
    ("bob+lists@kartapuce.com", "bob"), ("bob+a+b@kartapuce.com", "bob"),
    ("ann-tag@listed.example", "ann"),
])
def test_plus_addressing(running, far, recipient, base):
    inside, _ = delivered(running, far, recipient, inside=1)
    assert inside[0].split("@")[0].split("+")[0].split("-")[0] == base


@pytest.mark.parametrize("recipient", ["nobody@listed.example", "ann+tag@listed.example",
                                       "nobody+tag@kartapuce.com", "+x@kartapuce.com"])
def test_unknown(running, recipient):
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@b.example>")
        client.expect((550, 553), f"RCPT TO:<{recipient}>")


def test_the_trace_tells_the_alias(running):
    reply = running.receive("sales@kartapuce.com")
    running.explained(queue_id(reply.text), "sales@kartapuce.com", BOB[0], "partner@far.example")
