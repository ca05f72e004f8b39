"""The command line as people type it: slips, abbreviations, completion, exit statuses, and the
commands that say what the configuration means."""

import contextlib
import json
import re
import socket
import subprocess

import pytest

from lab.gateway import binary, queue_id
from lab.process import run, wait_for
from lab.sink import Script
from world import BOB


@pytest.fixture(scope="module")
def far(module_world):
    return module_world.sink(Script(recipients={"no@far.example": "550 5.1.1 who?",
                                                "slow@far.example": "451 4.2.1 wait"}))


@pytest.fixture(scope="module")
def running(module_world, far):
    mailboxes = module_world.sink(lmtp=True)
    return module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "domains": [{"name": "kartapuce.com", "recipients": "users", "plus_separator": "+",
                     "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}", "aliases": [
                         {"name": "sales", "to": [BOB[0], "partner@far.example"]},
                         {"name": "lost", "to": ["nobody@kartapuce.com"]}]}],
        "queue": {"retry_first": "30m", "retry_max": "1h", "lifetime": "3d"}})


def postern(*arguments, check=True):
    return run([binary(), *arguments], check=check)


# -- slips ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("words,meant", [
    (["stauts"], "status"), (["quue"], "queue"), (["explian", "X"], "explain"),
    (["queue", "lst"], "list"), (["user", "remov", "x@y"], "remove"),
    (["key", "generat", "x"], "generate"), (["config", "chekc"], "check"),
    (["--config", "x", "user", "lsit"], "list"),
])
def test_did_you_mean(words, meant):
    done = postern(*words, check=False)
    assert done.returncode == 2 and f"did you mean '{meant}'?" in done.stderr
    assert "--help" in done.stderr


def test_nothing_near():
    done = postern("xyzzy", check=False)
    assert done.returncode == 2 and "did you mean" not in done.stderr


def test_options_before_the_command(running):
    file = running.gateway.file
    for leading in (["--config", file], [f"--config={file}"], ["-c", file]):
        assert "USER" in postern(*leading, "user", "list").stdout
    assert json.loads(postern("--json", "--config", file, "user", "list").stdout)


def test_users_without_a_domain(running):
    gateway = running.gateway
    gateway.command("user", "add", "tina", "--password-stdin", text="Tina-sells-sea-shells\n")
    assert "tina@kartapuce.com" in gateway.command("user", "list").stdout
    for verb in ("disable", "enable", "del"):
        gateway.command("user", verb, "tina")
    assert "tina@" not in gateway.command("user", "list").stdout


def test_users_without_a_domain_where_there_are_two(world):
    two = world.gateway({"domains": [
        {"name": name, "delivery": "smtp://127.0.0.1:9"} for name in ("one.example", "two.example")]},
        users=())
    done = two.gateway.command("user", "add", "bob", "--password-stdin", text="Long-enough-pass\n",
                               check=False)
    assert done.returncode == 2 and "bob@one.example" in done.stderr


# -- completion -----------------------------------------------------------------------------------

def complete(*words):
    script = postern("completion", "bash").stdout
    line = " ".join(f"'{w}'" for w in words)
    text = (f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _postern\n"
            'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True,
                          check=True).stdout.split()


def test_completion():
    assert complete("postern", "sta") == ["status"]
    assert complete("postern", "queue", "rem") == ["remove"]
    assert complete("postern", "--config", "/x", "user", "pass") == ["passwd"]
    assert "--outcome" in complete("postern", "trace", "--o")
    assert complete("postern", "config", "check", "--syn") == ["--syntax-only"]
    assert not complete("postern", "ro"), "a command that is not for people"


def test_completion_knows_every_command_verb_and_option():
    """What a command's help names can be completed."""
    for name in complete("postern", ""):
        text = postern(name, "--help").stdout
        for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)):
            assert option in complete("postern", name, option), (name, option)


# -- what the configuration means -----------------------------------------------------------------

def fate(running, address, status=0):
    done = running.gateway.command("address", "test", address, "--json", check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_address_test(running, far):
    found = fate(running, "sales@kartapuce.com")
    assert found["rule"].startswith("alias: sales")
    hops = {t["address"]: (t["next_hop"], t["rule"]) for t in found["targets"]}
    assert hops["partner@far.example"] == (f"smtp://{far.address}:{far.port}",
                                           "route for far.example")
    assert hops[BOB[0]][0].startswith("lmtp://") and "delivery" in hops[BOB[0]][1]
    assert fate(running, "bob+news")["targets"][0]["user"] == BOB[0]
    assert fate(running, BOB[0])["rule"].startswith("recipients: users")
    refused = fate(running, "nobody@kartapuce.com", status=1)
    assert refused["verdict"] == "unknown" and refused["reply"]["code"] == 550
    assert fate(running, "lost@kartapuce.com", status=1)["verdict"] == "unknown"
    outside = fate(running, "ann@elsewhere.example")
    assert "logged in" in outside["rule"]
    assert outside["targets"][0]["next_hop"] == "the MX of elsewhere.example"
    text = running.gateway.command("address", "test", "sales@kartapuce.com").stdout
    assert "rule: alias: sales" in text and "partner@far.example" in text
    for words in (["address", "test", "no address"], ["address", "test"], ["address"]):
        assert running.gateway.command(*words, check=False).returncode == 2


def test_config_show_and_get(running):
    gateway = running.gateway
    rows = {row["key"]: row for row in json.loads(gateway.command("config", "show", "--json").stdout)}
    assert rows["queue.lifetime"]["value"] == "3d" and rows["queue.lifetime"]["origin"] == "file"
    lines = gateway.file.read_text().splitlines()
    assert "3d" in lines[rows["queue.lifetime"]["line"] - 1]
    assert rows["queue.warn_after"]["origin"] == "default"
    assert rows["domains[0].aliases[0].name"]["value"] == "sales"
    one = gateway.command("config", "get", "queue.lifetime").stdout
    assert re.fullmatch(rf"queue\.lifetime: 3d  # {re.escape(str(gateway.file))}:\d+\n", one)
    assert "# default" in gateway.command("config", "get", "queue.warn_after").stdout
    group = gateway.command("config", "get", "queue").stdout.splitlines()
    assert len(group) > 5 and all(line.startswith("queue.") for line in group)
    done = gateway.command("config", "get", "que", check=False)
    assert done.returncode == 1 and "no key" in done.stderr


def test_a_secret_is_not_shown(tmp_path):
    file = tmp_path / "postern.yaml"
    base = postern("config", "defaults").stdout
    file.write_text(base + "\n")
    shown = postern("config", "show", str(file)).stdout
    assert "hostname: " in shown and "(secret)" not in shown


# -- outcomes -------------------------------------------------------------------------------------

def test_exit_statuses_of_explain(running):
    gateway = running.gateway
    delivered = running.submit(BOB[0])
    running.explained(delivered, "Delivered to")
    assert gateway.command("explain", delivered, check=False).returncode == 0
    waiting = running.submit("slow@far.example")
    running.explained(waiting, "451 4.2.1 wait")
    assert gateway.command("explain", waiting, check=False).returncode == 4
    bounced = running.submit("no@far.example")
    running.explained(bounced, "550 5.1.1 who?", "Nothing is left to do")
    assert gateway.command("explain", bounced, check=False).returncode == 3
    assert gateway.command("explain", "0123456789ABCDEF", check=False).returncode == 1


def test_explain_begins_with_the_outcome_and_the_last_attempts(running, far):
    waiting = running.submit("slow@far.example")
    running.explained(waiting, "451 4.2.1 wait")
    lines = running.gateway.command("explain", waiting, check=False).stdout.splitlines()
    assert lines[2].startswith("  Outcome     In the queue")
    assert lines[3].startswith("  Last try  ") and "451 4.2.1 wait" in " ".join(lines[3:6])
    told = json.loads(running.gateway.command("explain", waiting, "--json", check=False).stdout)
    assert len(told["summary"]["last_attempts"]) == 1


def ids(running, *filters):
    return [row["id"] for row in running.gateway.trace(*filters)]


def test_trace_by_outcome_and_id(running):
    delivered = running.submit(BOB[0])
    bounced = running.submit("no@far.example")
    waiting = running.submit("slow@far.example")
    for identifier, state in ((delivered, "delivered"), (bounced, "failed"),
                              (waiting, "deferred")):
        wait_for(lambda: [row for row in running.gateway.trace("--id", identifier)
                          if row["state"] == state], 10, state, step=0.1)
    for outcome, has in (("delivered", delivered), ("bounced", bounced), ("deferred", waiting)):
        found = ids(running, "--outcome", outcome)
        assert has in found
        assert not {delivered, bounced, waiting} - {has} & set(found)
    assert {delivered, bounced} <= set(ids(running, "--outcome", "delivered,bounced"))
    assert ids(running, "--outcome", "deferred", "--limit", "1")
    done = running.gateway.command("trace", "--outcome", "gone", check=False)
    assert done.returncode == 2 and "delivered" in done.stderr
    lower = delivered.lower()
    assert ids(running, "--id", lower) == [delivered]
    assert "Delivered" in running.gateway.command("explain", lower).stdout
    assert delivered in running.gateway.command("trace", lower).stdout


def test_connections_do_not_bury_the_mail(running):
    """A session without mail, and a handshake that failed, are shown only when asked for."""
    mail = queue_id(running.receive([BOB[0]]).text)
    with running.dialogue("mx") as client:
        client.ehlo("scanner.peers.example")
        client.command("QUIT")
    with socket.create_connection((running.address, running.port("smtps")), timeout=10) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            s.recv(1000)

    def sessions():
        rows = running.gateway.trace("--connections", "--limit", "500")
        reasons = [row["reason"] for row in rows if row["kind"] == "session"]
        return (any(r.startswith("TLS: ") for r in reasons) and "quit" in reasons
                and mail in [row["id"] for row in rows])

    wait_for(sessions, 10, "the connections", step=0.2)
    rows = running.gateway.trace("--limit", "500")
    assert mail in [row["id"] for row in rows]
    assert not [row for row in rows if row["kind"] == "session"]
