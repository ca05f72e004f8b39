"""Fixtures of the interoperation tests: the others, keys of theirs in the DNS, and gateways."""

import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from fixtures import everything, module_world, world  # noqa: E402, F401
from keys import ALGORITHMS, Key  # noqa: E402
from others import OPENDKIM, Mailauth, OpenDkim, PythonDkim  # noqa: E402


@pytest.fixture(scope="session")
def opendkim(everything):
    if not OPENDKIM.exists():
        pytest.skip(f"there is no {OPENDKIM}")
    other = OpenDkim(everything.dns.server)
    yield other
    shutil.rmtree(other.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def python_dkim(everything):
    return PythonDkim(everything.dns.server)


@pytest.fixture(scope="session")
def mailauth(everything):
    if not (HERE / "node_modules" / "mailauth").is_dir():
        pytest.skip("there is no mailauth: run tests/interop/install")
    other = Mailauth(everything.dns.server)
    yield other
    other.close()


@pytest.fixture(scope="session")
def others(opendkim, python_dkim, mailauth):
    """All of them by name."""
    return {other.name: other for other in (opendkim, python_dkim, mailauth)}


@pytest.fixture(scope="session")
def keys(everything, tmp_path_factory):
    """The keys of a domain that others sign for, shown in the DNS: {algorithm: Key}."""
    domain, directory = everything.name(), tmp_path_factory.mktemp("keys")
    made = {algorithm: Key(directory, domain, algorithm) for algorithm in ALGORITHMS}
    for key in made.values():
        everything.peers.txt(key.owner.removesuffix(".peers.example"), key.record)
    everything.dns.update()
    return made
