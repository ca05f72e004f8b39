"""The queue: retries, `postern queue`, restarts, a full disk."""

import re
import time

import pytest

from lab.net import privileged
from lab.process import run, wait_for
from lab.sink import Script
from world import BOB, JACK, PLAIN


@pytest.fixture
def stuck(world):
    """A gateway whose next hop says "later" to everybody: (running, sink)."""
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{sink.address}:{sink.port}"}],
        "queue": {"retry_first": "30m", "retry_max": "1h"}})
    return running, sink


def deferred(running, queue_id):
    """Waits until the first attempt has failed."""
    def look():
        return [m for m in running.gateway.queue() if m["id"] == queue_id
                and all(r["attempts"] >= 1 for r in m["recipients"])]

    return wait_for(look, 10, "a first attempt", step=0.1)[0]


def test_retries_come_by_themselves(world):
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({"routes": [{"domain": "far.example",
                                         "to": f"smtp://{sink.address}:{sink.port}"}]})
    queue_id = running.submit("tom@far.example")
    wait_for(lambda: sum("RCPT" in c for c in sink.commands()) >= 3, 15)
    sink.script.replies = {}
    sink.wait()
    told = running.explained(queue_id, "451 4.3.0 later", "Delivered to")
    assert told.index("451 4.3.0 later") < told.rindex("Delivered to")


def test_list_show_and_filters(stuck):
    running, _ = stuck
    one = running.submit("tom@far.example")
    two = running.submit("ann@far.example", user=JACK)
    deferred(running, one), deferred(running, two)
    gateway = running.gateway
    ids = lambda *f: {m["id"] for m in gateway.queue(*f)}
    assert ids() == {one, two}
    assert ids("--sender", BOB[0]) == {one}
    assert ids("--recipient", "ann@far.example") == {two}
    shown = gateway.command("queue", "show", one).stdout
    assert "tom@far.example" in shown and "451 4.3.0 later" in shown and BOB[0] in shown
    assert one in gateway.command("queue", "list").stdout
    entry = next(m for m in gateway.queue() if m["id"] == one)
    assert entry["sender"] == BOB[0] and entry["recipients"][0]["address"] == "tom@far.example"


def test_flush(stuck):
    running, sink = stuck
    queue_id = running.submit("tom@far.example")
    deferred(running, queue_id)
    sink.script.replies = {}
    running.gateway.command("queue", "flush", queue_id)
    sink.wait()
    running.empty_queue()


def test_hold_and_release(stuck):
    running, sink = stuck
    queue_id = running.submit("tom@far.example")
    deferred(running, queue_id)
    gateway = running.gateway
    gateway.command("queue", "hold", queue_id)
    sink.script.replies = {}
    gateway.command("queue", "flush", "--all", check=False)
    time.sleep(0.7)
    assert not sink.mails, "a held message went out"
    gateway.command("queue", "release", queue_id)
    sink.wait()


def test_remove_and_bounce(stuck):
    running, sink = stuck
    gone, back = running.submit("tom@far.example"), running.submit("ann@far.example")
    deferred(running, gone), deferred(running, back)
    running.gateway.command("queue", "remove", gone)
    running.gateway.command("queue", "bounce", back)
    bounce = running.mailboxes.wait()[0]
    assert b"ann@far.example" in bounce.content and b"tom@far.example" not in bounce.content
    running.empty_queue()
    running.explained(gone, "removed")
    assert not sink.mails


def test_unknown_id_is_an_error(stuck):
    running, _ = stuck
    for verb in ("show", "hold", "release", "remove", "bounce", "flush"):
        done = running.gateway.command("queue", verb, "0123456789ab", check=False)
        assert done.returncode != 0 and "not in the queue" in done.stdout + done.stderr, verb


def test_restart_keeps_the_queue(stuck):
    running, sink = stuck
    ids = [running.submit(f"t{i}@far.example") for i in range(5)]
    for queue_id in ids:
        deferred(running, queue_id)
    assert running.gateway.stop() == 0
    running.gateway.start()
    assert {m["id"] for m in running.gateway.queue()} == set(ids)
    sink.script.replies = {}
    running.gateway.command("queue", "flush", "--all")
    assert {m.recipients[0] for m in sink.wait(5)} == {f"t{i}@far.example" for i in range(5)}


@pytest.mark.last
def test_expiry_bounces(expiring):
    running, queue_id = expiring
    bounce = running.mailboxes.wait(1, 90)[0]
    assert b"Status: 4.3.0" in bounce.content  # what was said, not that time is over
    assert b"tried for as long as is allowed" in bounce.content
    assert b"451 4.3.0 later" in bounce.content
    running.explained(queue_id, "tom@far.example")


def test_queue_is_full(world):
    running = world.gateway({"queue": {"max_messages": 100, "retry_first": "30m", "retry_max": "1h"}},
                            delivery="lmtp://127.0.0.1:1")
    with running.dialogue() as client:
        client.ehlo()
        codes = [client.mail("a@b.example", BOB[0], PLAIN).code for _ in range(110)]
    assert codes[:100] == [250] * 100
    assert set(codes[101:]) == {452}
    assert len(running.gateway.queue()) in (100, 101)


@pytest.mark.skipif(not privileged(), reason="mounting a small disk needs root")
def test_disk_full_refuses_and_loses_nothing(world):
    disk = world.directory / "small-disk"
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=240m,mode=0755", "postern-test", disk])
    world.later(lambda: run(["umount", "-l", disk], check=False))
    # What may stay free has to hold the queue's write-ahead log (64 MiB) once more.
    running = world.gateway({"directories": {"state": str(disk / "state")},
                             "queue": {"min_free_disk": "128MiB", "max_size": "1GiB"}},
                            start=False)
    running.mailboxes.script.replies["lhlo"] = "451 4.3.0 later"
    running.gateway.start()
    running.gateway.add_user(*BOB)
    accepted, refused = [], []
    with running.dialogue(timeout=30) as client:
        client.ehlo()
        while len(refused) < 3 and len(accepted) < 300:
            number = len(accepted) + len(refused)
            reply = send_filler(client, number, 3_000_000 if number % 2 else 900_000)
            (accepted if reply.code == 250 else refused).append((number, reply.code))
    assert len(accepted) > 10 and {code for _, code in refused} == {452}
    running.mailboxes.script.replies.clear()
    running.gateway.command("queue", "flush", "--all")
    mails = running.mailboxes.wait(len(accepted), 60)
    subjects = {int(re.search(rb"Subject: (\d+)", m.content)[1]) for m in mails}
    assert subjects == {i for i, _ in accepted}
    wait_for(lambda: running.receive(BOB[0]).code == 250, 10, "room again", step=0.3)


def send_filler(client, number, size):
    """One large message; returns the reply that ended it, wherever that came."""
    reply = client.command("MAIL FROM:<a@b.example>")
    if reply.code != 250:
        return reply
    client.expect(250, f"RCPT TO:<{BOB[0]}>")
    client.expect(354, "DATA")
    line = b"x" * 988 + b"\r\n"
    client.raw(b"From: a@b.example\r\nSubject: %d\r\n\r\n" % number + line * (size // 990)
               + b".\r\n")
    return client.reply()


def test_priorities(world):
    """Bulk mail that came first waits for what matters more."""
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({
        "zones": [{"name": "alerts", "networks": ["127.0.0.88/32"], "relay": True,
                   "priority": "high"}],
        "routes": [{"domain": "far.example", "to": f"smtp://{sink.address}:{sink.port}"}],
        "queue": {"retry_first": "30m", "retry_max": "1h", "concurrency_first": 1,
                  "concurrency_max": 1}})
    gateway = running.gateway

    def alert(number):
        with running.dialogue(source="127.0.0.88") as client:
            client.ehlo("alerts.kartapuce.com")
            reply = client.mail("alerts@kartapuce.com", "tom@far.example",
                                f"From: alerts@kartapuce.com\nSubject: high {number}\n\nx\n")
            assert reply.code == 250

    for i in range(12):
        running.submit("tom@far.example", f"Subject: bulk {i}\nList-Id: <all.kartapuce.com>\n\nx\n")
    for i in range(4):
        running.submit("tom@far.example", f"Subject: normal {i}\n\nx\n")
    for i in range(4):
        alert(i)
    wait_for(lambda: all(r["attempts"] >= 1 for m in gateway.queue() for r in m["recipients"]),
             20, step=0.2)
    counts = {p: len(gateway.queue("--priority", p)) for p in ("high", "normal", "bulk")}
    assert counts == {"high": 4, "normal": 4, "bulk": 12}
    assert len(gateway.queue("--priority", "high", "--priority", "normal")) == 8
    listed = gateway.command("queue", "list", "--priority", "high").stdout.splitlines()
    assert "PRIORITY" in listed[0] and listed[-1] == "4 messages"
    assert sum("  high  " in line for line in listed) == 4
    assert gateway.command("queue", "hold", "--priority", "normal").stdout == "hold: 4 messages\n"
    assert len(gateway.queue("--state", "held")) == 4
    gateway.command("queue", "release", "--priority", "normal")
    # What is released is tried at once, and what is being tried is not flushed.
    wait_for(lambda: all(r["attempts"] >= 2 for m in gateway.queue("--priority", "normal")
                         for r in m["recipients"]), 20, step=0.1)
    sink.script.replies = {}
    flushed = gateway.command("queue", "flush", "--all").stdout
    assert flushed == "flush: 20 messages\n"
    order = [re.search(rb"Subject: (\w+)", mail.content)[1].decode() for mail in sink.wait(20)]
    # Of 13 turns 8 are for high, 4 for normal, 1 for bulk: the bulk is last, though it came first.
    assert set(order[:8]) >= {"high", "normal"} and order[:9].count("bulk") <= 2, order
    assert order[-8:] == ["bulk"] * 8, order
