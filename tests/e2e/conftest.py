"""Fixtures of the end to end tests; see world.py."""

from pathlib import Path

import pytest

from lab.gateway import binary
from world import World


def pytest_collection_modifyitems(items):
    if not binary().exists():
        skip = pytest.mark.skip(reason=f"there is no {binary()}")
        for item in items:
            if Path(__file__).parent in Path(item.fspath).parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def everything(request):
    world = World()
    yield world
    failed = request.session.testsfailed > 0
    if failed:
        print(f"\nlogs and state are in {world.directory}")
    world.close(keep=failed)


@pytest.fixture(scope="module")
def module_world(everything):
    """The world, for gateways that all tests of a module share."""
    mark = everything.mark()
    yield everything
    everything.undo(mark)


@pytest.fixture
def world(everything):
    """The world; what a test makes in it ends with the test."""
    mark = everything.mark()
    yield everything
    everything.undo(mark)


@pytest.fixture(scope="module")
def plain(module_world):
    """A gateway without peculiarities."""
    return module_world.gateway()
