"""Without root: the whole story at high ports, as a user without any rights."""

import os
import sys
from pathlib import Path

import pytest

from lab.gateway import binary
from lab.net import Net, privileged
from lab.process import run

DEMO = Path(__file__).parents[2] / "demo" / "run"


def test_the_story_without_root():
    try:
        Net(0).close()
    except OSError as error:
        pytest.skip(f"the demo is up: {error}")
    argv = [sys.executable, DEMO, "--check"]
    if privileged():
        argv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *argv]
        if not os.stat(binary()).st_mode & 0o001:
            pytest.skip(f"{binary()} is not for everybody")
    done = run(argv, check=False, timeout=120, environment={
        "POSTERN": str(binary()), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stopped cleanly" in done.stdout
