"""Failed log-ins: who is kept out, who is not, and how it is lifted."""

import json

import pytest

from world import BOB, JACK

WRONG = "not-the-password"
#: An office behind one address, and one whose zone is exempt.
OFFICE, EXEMPT = "127.0.0.21", "127.0.0.31"


@pytest.fixture(scope="module")
def locked(module_world):
    return module_world.gateway({
        "limits": {"auth_failures_per_user": 3, "auth_failures_per_address": 4,
                   "auth_failures_per_connection": 100},
        "zones": [{"name": "exempt", "networks": [f"{EXEMPT}/32"], "auth_limits": False}]})


def log_in(running, user, password, source):
    with running.dialogue("smtps", source=source) as client:
        client.ehlo()
        return client.auth_plain(user, password).code


def locks(running):
    return running.gateway.json("user", "locks")["locks"]


def test_removed_accounts_do_not_lock_out_an_office(locked):
    assert log_in(locked, *BOB, OFFICE) == 235
    for name in ("left", "gone", "left", "gone"):
        assert log_in(locked, f"{name}@kartapuce.com", WRONG, OFFICE) == 535
    assert log_in(locked, *JACK, OFFICE) == 421          # has not been here before
    assert log_in(locked, *BOB, OFFICE) == 235           # has
    told = locks(locked)
    assert [(lock["user"], lock["address"], lock["failures"]) for lock in told] == [
        (None, OFFICE, 4)]
    assert OFFICE in locked.gateway.command("user", "locks").stdout
    done = locked.gateway.command("user", "locks", "--lift", OFFICE)
    assert "lifted: 1" in done.stdout and "nobody is kept out" in done.stdout
    assert log_in(locked, *JACK, OFFICE) == 235


def test_a_user_is_unlocked(locked):
    source = "127.0.0.22"
    for _ in range(3):
        assert log_in(locked, JACK[0], WRONG, source) == 535
    assert log_in(locked, *JACK, "127.0.0.23") == 421
    assert [lock["user"] for lock in locks(locked)] == [JACK[0]]
    answer = json.loads(locked.gateway.command("user", "locks", "--lift", "JACK", "--json").stdout)
    assert answer["lifted"] == 1 and answer["locks"] == []
    assert log_in(locked, *JACK, "127.0.0.23") == 235
    assert locked.gateway.command("user", "locks", "--lift", "all", check=False).returncode == 1


def test_a_zone_can_be_exempt(locked):
    for number in range(6):
        assert log_in(locked, f"left{number}@kartapuce.com", WRONG, EXEMPT) == 535
    assert log_in(locked, *BOB, EXEMPT) == 235
    assert locks(locked) == []


def test_what_is_cancelled_is_not_failed(locked):
    source = "127.0.0.24"
    with locked.dialogue("smtps", source=source) as client:
        client.ehlo()
        for _ in range(8):
            assert client.command("AUTH LOGIN").code == 334
            assert client.command("*").code == 501
        assert client.auth_plain(*BOB).code == 235
    assert locks(locked) == []
