"""Without root: the whole story at high ports, as a user without any rights."""

import os
import shutil
import sys
import tempfile
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


@pytest.mark.skipif(not privileged(), reason="needs a directory of somebody else")
def test_a_closed_state_directory_is_named():
    state = Path(tempfile.mkdtemp(prefix="postern-closed-"))
    state.chmod(0o755)
    file = state / "postern.yaml"
    file.write_text("hostname: mx.example.com\n"
                    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
                    f"directories: {{state: {state}, run: {state}}}\n")
    try:
        done = run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary(),
                    "run", "--config", file], check=False, timeout=20)
    finally:
        shutil.rmtree(state)
    assert done.returncode != 0
    assert f"directory {state}: user id 65534" in done.stderr and "certificate" not in done.stderr
