"""Timed work: the clerk has it done by others, and mail does not wait for it."""

import os
import signal
import sqlite3
import time
from pathlib import Path

from lab.process import wait_for
from world import BOB

DAY = 24 * 60 * 60


def clerk(running, name):
    """A metric of the clerk; None while it is away."""
    found = [role["metrics"] for role in running.gateway.status()["roles"]
             if role["role"] == "clerk"]
    return found[0].get(name) if found else None


def accounts(running):
    """The file of the counts for DMARC reports."""
    state = Path(running.gateway.configuration["directories"]["state"])
    return sqlite3.connect(state / "ledger/reports.db", timeout=10)


def add_days(running, *days):
    database = accounts(running)
    with database:
        for day in days:
            database.execute("INSERT INTO observation VALUES (?, 'peers.example', 1, '', 1)", (day,))
            database.execute("INSERT INTO amount VALUES (?, 'peers.example', 1)", (day,))
    database.close()


def days_kept(running):
    database = accounts(running)
    days = [row[0] for row in database.execute("SELECT day FROM observation ORDER BY day")]
    database.close()
    return days


def test_what_is_too_old_is_deleted(world):
    running = world.gateway({"retention": {"dmarc_observations": "10d"}}, start=False)
    running.gateway.start()
    running.gateway.stop()
    today = int(time.time()) // DAY
    add_days(running, today - 400, today - 12, today - 5, today)
    running.gateway.start()
    wait_for(lambda: days_kept(running) == [today - 5, today], 20, "the old days gone")
    assert wait_for(lambda: clerk(running, "clerk_jobs_total"), 10) >= 1
    assert clerk(running, "clerk_jobs_failed_total") == 0


def test_mail_flows_while_the_clerk_dies(world):
    running = world.gateway()
    dead = set()
    for number in range(1, 9):
        pid, = running.gateway.roles()["clerk"]
        if pid > 0 and pid not in dead:         # 0: it is to be started again
            os.kill(pid, signal.SIGKILL)
            dead.add(pid)
        assert running.receive(BOB[0], f"Subject: {number}\n\nhello\n").code == 250
        running.mailboxes.wait(number)
    assert len(dead) > 1
    wait_for(running.gateway.ready, 30, "all roles again")
    # The new one does what the old ones may have left undone.
    assert wait_for(lambda: clerk(running, "clerk_jobs_total"), 20) >= 1


def test_mail_flows_while_the_clerk_hangs(world):
    running = world.gateway()
    pid, = running.gateway.roles()["clerk"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(1, 4):
            assert running.receive(BOB[0]).code == 250
            running.mailboxes.wait(number)
    finally:
        os.kill(pid, signal.SIGCONT)
