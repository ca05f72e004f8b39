"""DKIM: made-up signatures, good and broken, as a second verifier sees them."""

import pytest

from check import ask, text
from dkim_cases import SigningKey, broken, good
from dkim_second import results
from keys import ALGORITHMS, Key

CASES = 1000
NOW = 950

seeds = pytest.mark.parametrize("seed", range(3))


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    rsa, ed25519 = (SigningKey(Key(directory, "signer.example", algorithm))
                    for algorithm in ALGORITHMS)
    return [rsa, ed25519, ed25519, ed25519]  # signing with RSA takes long in Python


def ours(cases):
    """The results of each message's signatures."""
    answers = ask(*({"op": "dkim-verify", "message": text(message), "now": NOW,
                     "zone": {owner: [{"type": "TXT", "value": record.decode()}]
                              for owner, record in zone.items()}} for message, zone in cases))
    return [[one["result"] for one in answer["signatures"]] for answer in answers]


def check(cases, wanted):
    wrong = [(got, want, case) for got, want, case in zip(ours(cases), wanted, cases)
             if got != want]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong[0]}"


@seeds
def test_good(signing, seed):
    cases = good(seed, CASES, signing)
    wanted = [results(message, zone, NOW) for message, zone in cases]
    assert {word for words in wanted for word in words} == {"pass"}
    check(cases, wanted)


@seeds
def test_broken(signing, seed):
    cases = broken(seed, CASES, signing)
    wanted = [results(message, zone, NOW) for message, zone in cases]
    assert {word for words in wanted for word in words} == {"pass", "fail", "permerror"}
    check(cases, wanted)
