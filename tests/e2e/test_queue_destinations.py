"""Destinations: how they stand, pauses, other ways; a message's text; the most frequent errors."""

import re
import time

import pytest

from lab.process import wait_for
from lab.sink import Script
from world import BOB, JACK

LATER = Script(replies={"rcpt": "451 4.3.0 later"})


@pytest.fixture
def stuck(world):
    """A gateway whose next hop says "later" to everybody: (running, sink)."""
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({
        "routes": [{"domain": "far.example", "to": route(sink)},
                   {"domain": "other.example", "to": route(sink)},
                   {"domain": "gone.example", "to": "smtp://127.0.0.1:1"}],
        "queue": {"retry_first": "30m", "retry_max": "1h"}})
    return running, sink


def route(sink):
    return f"smtp://{sink.address}:{sink.port}"


def attempted(gateway, count=1):
    wait_for(lambda: sum(r["attempts"] >= 1 for m in gateway.queue() for r in m["recipients"])
             >= count, 15, "a first attempt", step=0.1)


def standing(gateway, *pattern):
    return {d["destination"]: d for d in gateway.json("queue", "destinations", *pattern)}


def test_destinations_and_errors(stuck):
    running, sink = stuck
    gateway = running.gateway
    for i in range(3):
        running.submit(f"t{i}@far.example")
    lost = running.submit("tom@gone.example")
    attempted(gateway, 4)
    held = running.submit("held@far.example")
    attempted(gateway, 5)
    gateway.command("queue", "hold", held)
    found = standing(gateway)
    assert set(found) == {route(sink), "smtp://127.0.0.1:1"}
    far, gone = found[route(sink)], found["smtp://127.0.0.1:1"]
    assert (far["waiting"], far["held"], gone["waiting"]) == (3, 1, 1)
    assert far["oldest"] and far["last_error"]["code"] == 451 and far["blocked_until"] is None
    assert gone["blocked_until"] and gone["last_error"]["code"] == 0
    assert "refused" in gone["last_error"]["text"].lower()
    assert set(standing(gateway, "*:1")) == {"smtp://127.0.0.1:1"}
    text = gateway.command("queue", "destinations").stdout
    assert "blocked, next try in" in text and "451 4.3.0 later" in text
    errors = gateway.json("queue", "errors")
    assert [e["recipients"] for e in errors] == [3, 1] and errors[0]["text"] == "later"
    assert "451 4.3.0 later" in gateway.command("queue", "errors").stdout
    # Mail behind it was never tried, and has a reason all the same.
    behind = running.submit("ann@gone.example")
    entry = gateway.json("queue", "show", behind)[0]["recipients"][0]
    assert entry["attempts"] == 0 and entry["last_attempt"] is None and entry["next_attempt"]
    assert entry["of_destination"] and "refused" in entry["text"].lower()
    assert "its destination: " in gateway.command("queue", "show", behind).stdout
    own = gateway.json("queue", "show", lost)[0]["recipients"][0]
    assert not own["of_destination"] and own["attempts"] == 1
    # What is known outlives a restart, in which it is tried again.
    assert gateway.stop() == 0
    gateway.start()
    assert standing(gateway)["smtp://127.0.0.1:1"]["last_error"]


def test_ids_are_taken_in_any_case(stuck):
    """Somebody reads them out at night."""
    running, sink = stuck
    gateway = running.gateway
    identifier = running.submit("tom@far.example")
    attempted(gateway)
    lower = identifier.lower()
    assert gateway.json("queue", "show", lower)[0]["id"] == identifier
    assert gateway.json("queue", "text", lower)[0]["header"]
    assert [m["id"] for m in gateway.json("queue", "list", "--id", lower)] == [identifier]
    for verb in ("hold", "release", "flush", "reroute", "remove"):
        more = ["--to", "default"] if verb == "reroute" else []
        # A message that is being tried at this moment is left alone, and the command says so.
        wait_for(lambda: "1 message" in gateway.command("queue", verb, lower, *more,
                                                        check=False).stdout, 15, verb)
    assert gateway.queue() == []


@pytest.mark.parametrize("what", ["destination", "domain"])
def test_pause_and_resume(stuck, what):
    running, sink = stuck
    gateway = running.gateway
    name = route(sink) if what == "destination" else "FAR.example."
    key = route(sink) if what == "destination" else "far.example"
    old = running.submit("tom@far.example")
    attempted(gateway)
    assert gateway.command("queue", "pause", name).stdout == f"{key}: paused\n"
    assert "was already paused" in gateway.command("queue", "pause", name).stdout
    sink.script.replies = {}
    new = running.submit("ann@far.example")
    other = running.submit("eve@other.example")
    gateway.command("queue", "flush", "--all")
    if what == "domain":
        assert [m.recipients for m in sink.wait(1)] == [["eve@other.example"]]
    time.sleep(0.7)
    assert len(sink.mails) == (1 if what == "domain" else 0), "mail of a paused destination left"
    assert gateway.stop() == 0
    gateway.start()
    time.sleep(0.7)
    assert len(sink.mails) == (1 if what == "domain" else 0), "the pause did not outlive a restart"
    assert standing(gateway)[key]["paused_since"]
    assert "paused" in gateway.command("queue", "show", new).stdout
    entries = {m["id"]: m["recipients"][0] for m in gateway.queue()}
    assert entries[old]["paused"] and entries[new]["paused"] and not entries[new]["next_attempt"]
    assert any("paused" in warning for warning in gateway.status()["warnings"])
    assert gateway.command("queue", "resume", name).stdout == f"{key}: resumed\n"
    gateway.command("queue", "flush", "--all")
    names = {m.recipients[0] for m in sink.wait(3)}
    assert names == {"tom@far.example", "ann@far.example", "eve@other.example"}
    running.empty_queue()
    assert key not in standing(gateway)
    assert not any("paused" in warning for warning in gateway.status()["warnings"])
    done = gateway.command("queue", "resume", name, check=False)
    assert done.returncode == 1 and "is not paused" in done.stderr
    del other


def test_pause_of_a_next_hop_that_has_no_mail(stuck):
    running, sink = stuck
    gateway = running.gateway
    sink.script.replies = {}
    gateway.command("queue", "pause", route(sink))
    assert standing(gateway)[route(sink)]["waiting"] == 0
    running.submit("tom@far.example")
    time.sleep(0.5)
    assert not sink.mails
    gateway.command("queue", "resume", route(sink))
    sink.wait()


def test_reroute_of_a_message_and_of_a_destination(stuck, world):
    running, sink = stuck
    gateway = running.gateway
    elsewhere = world.sink()
    one, two = running.submit("tom@far.example"), running.submit("ann@far.example")
    held = running.submit("hal@far.example")
    attempted(gateway, 3)
    gateway.command("queue", "hold", held)
    gateway.command("queue", "reroute", one, "--to", route(elsewhere))
    assert elsewhere.wait()[0].recipients == ["tom@far.example"]
    running.explained(one, "sent another way", route(elsewhere))
    gateway.command("queue", "reroute", "--destination", route(sink), "--to", route(elsewhere))
    assert elsewhere.wait(2)[1].recipients == ["ann@far.example"]
    wait_for(lambda: len(gateway.queue()) == 1, 10)
    shown = gateway.json("queue", "show", held)[0]["recipients"][0]
    assert shown["state"] == "held" and shown["rerouted"]
    assert shown["destination"] == route(elsewhere)
    # It keeps its way across a restart, and can have its own again.
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.json("queue", "show", held)[0]["recipients"][0]["rerouted"]
    gateway.command("queue", "reroute", held, "--to", "default")
    shown = gateway.json("queue", "show", held)[0]["recipients"][0]
    assert not shown["rerouted"] and shown["destination"] == route(sink)
    gateway.command("queue", "reroute", held, "--to", route(elsewhere))
    gateway.command("queue", "release", held)
    assert elsewhere.wait(3)[2].recipients == ["hal@far.example"]
    running.empty_queue()
    assert not sink.mails
    del two


@pytest.mark.parametrize("to", ["mx", "smtp://", "smtp://host:99999", "http://a.example", "a.example",
                                "smtp://a b", "lmtp:relative", ""])
def test_reroute_wants_a_next_hop(stuck, to):
    running, _ = stuck
    done = running.gateway.command("queue", "reroute", "--all", "--to", to, check=False)
    assert done.returncode == 2 and "is no next hop" in done.stderr


def test_usage_of_the_new_verbs(stuck):
    running, _ = stuck
    for words, said in [(("reroute", "--all"), "Give --to"), (("pause",), "which destination"),
                        (("reroute", "--to", "smtp://a.example"), "which messages"),
                        (("list", "--to", "smtp://a.example"), "--to belongs to reroute"),
                        (("text",), "text of which message"),
                        (("pause", "a.example", "--all"), "takes no filters"),
                        (("errors", "a", "b"), "one pattern")]:
        done = running.gateway.command("queue", *words, check=False)
        assert done.returncode == 2 and said in done.stderr, words
    assert "no errors" in running.gateway.command("queue", "errors").stdout
    assert running.gateway.json("queue", "destinations") == []
    done = running.gateway.command("queue", "text", "0123456789abcdef", check=False)
    assert done.returncode == 1 and "not in the queue" in done.stderr


@pytest.mark.parametrize("lines", [1, 3_000, 60_000])  # in the database, the log, a file
def test_text_is_shown_and_traced(stuck, lines):
    running, _ = stuck
    gateway = running.gateway
    queue_id = running.submit("tom@far.example", "Subject: secret\n\n" + "in confidence\n" * lines)
    attempted(gateway)
    text = gateway.command("queue", "text", queue_id).stdout
    assert "Subject: secret" in text and text.count("in confidence") == lines
    header = gateway.command("queue", "text", queue_id, "--header").stdout
    assert "Subject: secret" in header and "in confidence" not in header
    found = gateway.json("queue", "text", queue_id)
    assert found[0]["id"] == queue_id and found[0]["body"].count("in confidence") == lines
    running.explained(queue_id, "Its text was read", "Its header was read")
    assert re.search(r"read by \w+", gateway.explain(queue_id))


def test_notices_about_mail_that_was_never_tried(world):
    running = world.gateway({
        "routes": [{"domain": "gone.example", "to": "smtp://127.0.0.1:1"}],
        "queue": {"retry_first": "30m", "retry_max": "1h"}})
    gateway = running.gateway
    running.submit("tom@gone.example")
    attempted(gateway)
    behind = running.submit("ann@gone.example", user=JACK)
    gateway.command("queue", "bounce", behind)
    bounce = running.mailboxes.wait()[0]
    assert bounce.recipients == [JACK[0]] and b"ann@gone.example" in bounce.content
    assert BOB
