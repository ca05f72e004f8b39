"""Fixtures of the end to end tests; see world.py."""

from pathlib import Path

import pytest

from fixtures import everything, module_world, world  # noqa: F401
from lab.gateway import binary
from lab.sink import Script


def pytest_configure(config):
    config.addinivalue_line("markers", "last: waits for something that the session began with")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    if not binary().exists():
        skip = pytest.mark.skip(reason=f"there is no {binary()}")
        for item in items:
            if Path(__file__).parent in Path(item.fspath).parents:
                item.add_marker(skip)


@pytest.fixture(scope="module")
def plain(module_world):
    """A gateway without peculiarities."""
    return module_world.gateway()


@pytest.fixture(scope="session", autouse=True)
def expiring(request, everything):
    """(gateway, queue id) of a message that nobody takes, with the shortest lifetime there is.

    That is a minute, so it is sent before all other tests, and looked at behind them.
    """
    if not any(item.get_closest_marker("last") for item in request.session.items):
        return None
    sink = everything.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = everything.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{sink.address}:{sink.port}"}],
        "queue": {"lifetime": "1m", "retry_max": "30s", "retry_first": "20s",
                  "warn_after": "0s"}})
    return running, running.submit("tom@far.example")
