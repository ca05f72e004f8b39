"""What aggregate reports will tell (RFC 9990) is counted: `postern dmarc`."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from lab.process import wait_for
from world import BOB


class Author:
    """A domain below peers.example that asks for reports."""

    def __init__(self, world, policy="v=DMARC1; p=none; rua=mailto:r@peers.example",
                 spf="v=spf1 -all"):
        self.domain = world.name()
        label = self.domain.split(".")[0]
        world.peers.txt(label, spf).txt(f"_dmarc.{label}", policy)
        world.dns.update()

    def send(self, running, recipients=BOB[0]):
        sender = f"ceo@{self.domain}"
        return running.receive(recipients, f"From: {sender}\nSubject: x\n\nx\n", sender=sender)


@pytest.fixture(scope="module")
def running(module_world):
    mailboxes = module_world.sink(lmtp=True)
    running = module_world.gateway({
        "domains": [{"name": name, "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}",
                     "recipients": "any"} for name in ("kartapuce.com", "second.example")]})
    running.mailboxes = mailboxes
    return running


def rows(running, domain, *words):
    done = running.gateway.command("dmarc", domain, *words, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def counted(running, domain, count):
    wait_for(lambda: sum(row["count"] for row in rows(running, domain)) == count, 10,
             f"{count} observations", step=0.1)
    return rows(running, domain)


def test_one_row_for_what_is_alike(world, running):
    author = Author(world)
    for _ in range(3):
        assert author.send(running).code == 250
    row, = counted(running, author.domain, 3)
    seen = row["observation"]
    assert row["domain"] == author.domain and row["count"] == 3
    assert row["day"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert seen["ip"] == "127.0.0.1" and seen["from"] == author.domain
    assert seen["rcpt_to"] == "kartapuce.com" and seen["spf_result"] == "fail"
    assert "rua=mailto:r@peers.example" in seen["record"]
    text = running.gateway.command("dmarc", author.domain).stdout
    assert f"{author.domain}  3 messages" in text and "       3  127.0.0.1" in text
    assert rows(running, author.domain, "--day", row["day"]) == [row]
    assert not rows(running, author.domain, "--day", "1d")


def test_one_for_each_domain_of_the_recipients(world, running):
    author = Author(world)
    author.send(running, [BOB[0], "ann@second.example", "bob@second.example"])
    got = counted(running, author.domain, 2)
    assert sorted(row["observation"]["rcpt_to"] for row in got) == ["kartapuce.com",
                                                                    "second.example"]


def test_refused_mail_counts_too(world, running):
    author = Author(world, "v=DMARC1; p=reject; rua=mailto:r@peers.example")
    assert author.send(running).code == 550
    row, = counted(running, author.domain, 1)
    assert "reject" in running.gateway.command("dmarc", author.domain).stdout
    assert row["observation"]["disposition"] == 3


def test_long_records_are_kept_whole(world, running):
    record = "v=DMARC1; p=none; rua=" + ",".join(f"mailto:r{i:03}@peers.example" for i in range(60))
    author = Author(world, record)
    author.send(running)
    row, = counted(running, author.domain, 1)
    assert row["observation"]["record"] == record


def test_who_asks_for_nothing_is_not_counted(world, running):
    author, other = Author(world, "v=DMARC1; p=none"), Author(world)
    author.send(running)
    other.send(running)
    counted(running, other.domain, 1)
    assert not rows(running, author.domain)
    done = running.gateway.command("dmarc", author.domain)
    assert not done.stdout and "nothing was seen" in done.stderr


def test_a_dead_ledger_loses_and_doubles_nothing(world, running):
    author = Author(world)
    for i in range(6):
        author.send(running)
        if i % 2:
            os.kill(running.gateway.roles()["ledger"][0], signal.SIGKILL)
            wait_for(running.gateway.ready, 20, "ready again")
    counted(running, author.domain, 6)
    time.sleep(1)
    counted(running, author.domain, 6)


def test_damage_is_set_aside(world, running):
    before, after = Author(world), Author(world)
    before.send(running)
    counted(running, before.domain, 1)
    running.gateway.stop()
    ledger = Path(running.gateway.configuration["directories"]["state"]) / "ledger"
    (ledger / "reports.db").write_bytes(b"this is no database" * 100)
    for suffix in ("-wal", "-shm"):
        (ledger / f"reports.db{suffix}").unlink(missing_ok=True)
    running.gateway.start()
    assert (ledger / "reports.db.damaged").exists()
    wait_for(lambda: "counting begins anew" in Path(running.gateway.log).read_text(), 5, "the log")
    after.send(running)
    counted(running, after.domain, 1)
    assert not rows(running, before.domain)


@pytest.mark.parametrize("words, phrase", [
    (["a.example", "b.example"], "one domain at a time"), (["--day", "never"], "is no day")])
def test_wrong_calls(running, words, phrase):
    done = running.gateway.command("dmarc", *words, check=False)
    assert done.returncode == 2 and phrase in done.stderr
