"""What a disk altered or lost is held and told, and never delivered."""

import time

import pytest

from lab.process import wait_for
from lab.sink import Script
from world import BOB, JACK

LARGE = "Subject: large\n\n" + "0123456789 the quick brown fox 0123456789\n" * 40_000


@pytest.fixture
def waiting(world):
    """A gateway whose next hop says "later"; its postmaster is Jack: (running, sink)."""
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{sink.address}:{sink.port}"}],
        "bounce": {"postmaster": JACK[0]},
        "queue": {"retry_first": "30m", "retry_max": "1h"}})
    return running, sink


def content_file(gateway, queue_id):
    return next(gateway.directory.rglob(f"large/{queue_id}"))


def lose(path):
    path.unlink()


def alter(path):
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


@pytest.mark.parametrize("damage", [lose, alter])
def test_a_damaged_large_message(waiting, damage):
    running, sink = waiting
    gateway = running.gateway
    queue_id = running.submit("tom@far.example", LARGE)
    wait_for(lambda: gateway.queue()[0]["recipients"][0]["attempts"] == 1, 10)
    damage(content_file(gateway, queue_id))
    sink.script.replies = {}
    gateway.command("queue", "flush", queue_id)
    entry = wait_for(lambda: gateway.queue("--state", "held"), 10)[0]
    assert entry["id"] == queue_id and "damaged" in entry["recipients"][0]["text"]
    assert entry["recipients"][0]["next_attempt"] is None
    running.explained(queue_id, "held", "damaged")
    assert any("damaged on the disk" in warning for warning in gateway.status()["warnings"])
    told = running.mailboxes.wait()[0]
    assert told.recipients == [JACK[0]] and queue_id.encode() in told.content
    gateway.command("queue", "bounce", queue_id)
    bounce = running.mailboxes.wait(2)[1]
    assert bounce.recipients == [BOB[0]] and b"tom@far.example" in bounce.content
    running.empty_queue()
    wait_for(lambda: not any("damaged" in warning for warning in gateway.status()["warnings"]), 10)
    time.sleep(0.3)
    assert not sink.mails, "altered octets were delivered"
