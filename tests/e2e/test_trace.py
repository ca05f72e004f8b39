"""What can be told afterwards: `postern trace` and `postern explain`."""

import json
import re
import subprocess
import time

import pytest

from lab.gateway import binary, queue_id
from lab.process import wait_for
from lab.sink import Script
from world import BOB, JACK, PLAIN


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink(Script(recipients={"no@far.example": "550 5.1.1 nobody here"}))


@pytest.fixture(scope="module")
def running(module_world, far):
    return module_world.gateway({"routes": [{"domain": "far.example",
                                             "to": f"smtp://{far.address}:{far.port}"}]})


def test_accepted_and_delivered(running):
    reply = running.receive(BOB[0], "Subject: told\nMessage-ID: <told@x.example>\n\nx\n")
    text = running.explained(queue_id(reply.text), "Nothing is left to do")
    for part in ("client.peers.example", "127.0.0.1", "someone@peers.example", BOB[0], "250",
                 running.mailboxes.address):
        assert part in text, f"{part} is missing:\n{text}"
    order = [text.index(phrase) for phrase in (
        "connected to the port", "introduced itself as client.peers.example",
        "began a message from <someone@peers.example>", "safely in the queue",
        "The client was told: 250", "Nothing is left to do")]
    assert order == sorted(order)


def test_submitted_with_user_and_tls(running):
    text = running.explained(running.submit(JACK[0]), "Delivered to")
    assert BOB[0] in text and "TLSv1.3" in text


def test_refused_recipient_leaves_a_trace(running):
    with running.dialogue() as client:
        client.ehlo("probe.peers.example")
        client.expect(250, "MAIL FROM:<prober@peers.example>")
        client.expect(550, "RCPT TO:<nobody@kartapuce.com>")
        client.quit()
    found = wait_for(lambda: running.gateway.trace("--recipient", "nobody@kartapuce.com"), 10)
    text = running.explained(found[0]["id"], "nobody@kartapuce.com")
    assert "prober@peers.example" in text and "550" in text and "RFC 5321" in text


def test_relay_attempt_leaves_a_trace(running):
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<spammer@peers.example>")
        client.command("RCPT TO:<tom@elsewhere.example>")
        client.quit()
    found = wait_for(lambda: running.gateway.trace("--sender", "spammer@peers.example"), 10)
    assert "relay" in running.explained(found[0]["id"], "tom@elsewhere.example")


def test_refused_content_leaves_a_trace(running):
    with running.dialogue() as client:
        client.ehlo()
        reply = client.mail("nul@peers.example", BOB[0], b"From: a@b.example\r\n\r\n\0\r\n")
        assert reply.code in (550, 554)
        client.quit()
    found = wait_for(lambda: running.gateway.trace("--sender", "nul@peers.example"), 10)
    assert "NUL" in running.explained(found[0]["id"], "nul@peers.example")


def test_bounced(running):
    identifier = running.submit("no@far.example")
    text = running.explained(identifier, "550", "nobody here", "Nothing is left to do")
    assert "no@far.example" in text and "1 failed" in text
    report = re.search(r"about no@far\.example; it is message (\w+)", text)
    assert BOB[0] in running.explained(report[1], "Nothing is left to do")


@pytest.mark.parametrize("option,value", [
    ("--sender", "findme@peers.example"), ("--recipient", JACK[0]), ("--subject", "needle"),
    ("--message-id", "<needle-1@peers.example>"), ("--client", "127.0.0.1"),
])
def test_search(running, option, value):
    reply = running.receive(JACK[0], "Message-ID: <needle-1@peers.example>\n"
                            "Subject: a needle in it\n\nx\n", sender="findme@peers.example")
    identifier = queue_id(reply.text)
    wait_for(lambda: identifier in {t["id"] for t in running.gateway.trace(option, value)}, 10)
    other = queue_id(running.receive(BOB[0], "Subject: hay\n\nx\n").text)
    running.explained(other, "Nothing is left to do")
    if option != "--client":
        assert other not in {t["id"] for t in running.gateway.trace(option, value)}


def test_trace_of_one_message(running):
    identifier = queue_id(running.receive(BOB[0]).text)
    running.explained(identifier, "Delivered to")
    printed = running.gateway.command("trace", identifier).stdout
    assert identifier in printed or "mail_accepted" in printed
    events = json.loads(running.gateway.command("trace", identifier, "--json").stdout)
    assert "mail_accepted" in json.dumps(events)


def test_follow(running):
    follower = subprocess.Popen([binary(), "trace", "--follow", "--config", running.gateway.file],
                                stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        identifier = queue_id(running.receive(BOB[0]).text)
        deadline = time.monotonic() + 10
        for line in follower.stdout:
            if identifier in line:
                break
            assert time.monotonic() < deadline
    finally:
        follower.kill()
        follower.wait()


def test_unknown_id(running):
    for command in ("explain", "trace"):
        done = running.gateway.command(command, "0123456789ab", check=False)
        assert done.returncode != 0 and "0123456789ab" in done.stderr


def test_what_the_sender_wrote_cannot_steer_the_terminal(running):
    """Escape sequences and line breaks in what a client says are shown, not obeyed."""
    with running.dialogue() as client:
        client.raw(b"EHLO x\x1b[2Jy\r\n")
        client.reply()
        reply = client.command("EHLO fine.example")
        assert reply.code == 250
        subject = b"From: a@b.example\r\nSubject: \x1b]0;owned\x07 red\r\n\r\nx\r\n"
        reply = client.mail("esc@peers.example", BOB[0], subject)
    found = wait_for(lambda: running.gateway.trace("--sender", "esc@peers.example"), 10)
    text = running.explained(found[0]["id"], "esc@peers.example")
    text += running.gateway.command("trace").stdout + running.gateway.log.read_text()
    assert "\x1b" not in text and "\x07" not in text


def test_traces_survive_a_restart(running):
    identifier = queue_id(running.receive(BOB[0]).text)
    whole = ("The client was told: 250", "Nothing is left to do")
    before = running.explained(identifier, *whole)
    running.gateway.stop()
    running.gateway.start()
    assert running.explained(identifier, *whole) == before


def test_nothing_found_is_said(running):
    done = running.gateway.command("trace", "--sender", "nobody@nowhere.example")
    assert (done.stdout, done.stderr) == ("", "nothing found\n")
    running.receive(BOB[0], sender="heading@peers.example")

    def listed():
        return running.gateway.command("trace", "--sender", "heading@*").stdout.splitlines()

    wait_for(listed, 10, "a row")
    head, row = listed()
    assert head.startswith("FIRST SEEN") and "heading@peers.example" in row
    assert head.index("SENDER") == row.index("heading@")


def test_an_anomaly_belongs_to_its_message_alone(running):
    """Three messages in one burst: only the third has a NUL."""
    with running.dialogue() as client:
        client.ehlo()
        one = queue_id(client.mail("burst1@peers.example", BOB[0], PLAIN).text)
        two = queue_id(client.mail("burst2@peers.example", BOB[0], PLAIN).text)
        reply = client.mail("burst3@peers.example", BOB[0], b"From: a@b.example\r\n\r\n\0\r\n")
        assert reply.code in (550, 554), reply
        client.quit()
    found = wait_for(lambda: running.gateway.trace("--sender", "burst3@peers.example"), 10)
    running.explained(found[0]["id"], "burst3@peers.example", "wrong with what it sent", "NUL")
    running.explained(found[0]["session"], "said goodbye")      # the session's own part is there
    for identifier in (one, two):
        text = running.explained(identifier, "Nothing is left to do")
        assert "wrong with what it sent" not in text


def test_who_is_turned_away_has_a_state_of_its_own(world):
    strict = world.gateway({"limits": {"connections_per_address": 1}})
    with strict.dialogue() as first:
        first.ehlo()
        with strict.dialogue() as second:
            assert second.greeting.code == 421
    rows = wait_for(lambda: [row for row in strict.gateway.trace("--connections", "--client",
                                                                   "127.0.0.1")
                             if row["state"] == "turned away"], 10)
    strict.explained(rows[0]["id"], "421")
