"""The world as a fixture, for the end to end tests and for those of interoperation."""

import pytest

from world import World


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
