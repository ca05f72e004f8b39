"""`postern check --json-lines` for tests."""

import json
import time

from lab.gateway import binary
from lab.process import run


def ask(*requests):
    """The answers to requests; the clock is the real one, as others have no other."""
    text = "".join(json.dumps({"now": int(time.time()), **one}) + "\n" for one in requests)
    answers = [json.loads(line) for line in
               run([binary(), "check", "--json-lines"], text=text).stdout.splitlines()]
    assert len(answers) == len(requests)
    assert not [a for a in answers if "error" in a], answers
    return answers


def text(octets):
    """Octets as they stand in JSON."""
    return octets.decode("latin-1")


def zone_of(keys):
    """The DNS that shows these keys."""
    return {key.owner: [{"type": "TXT", "value": key.record}] for key in keys.values()}
