"""Tests of tests/fresh: what is taken out of README, and a machine that does not come up."""

import sys
from pathlib import Path

import pytest

from lab.process import Failed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fresh"))

import readme  # noqa: E402
import roots  # noqa: E402

PAGE = """\
# Title

## Install

Text with `code`, and

```sh
make deb                # a remark
printf '#!/bin/sh\\n' |
    sudo tee x          # a pipe goes on
swaks --to bob \\
    --from ann
```

### Below

```yaml
hostname: mx.example.org   # not a command
```

```sh
sudo true
```

## Next

```sh
sudo false
```
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(PAGE)
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")


def test_commands_of_a_section(page):
    assert [" ".join(command.split()) for command in readme.commands("Install")] == [
        "make deb", "printf '#!/bin/sh\\n' | sudo tee x", "swaks --to bob --from ann", "sudo true"]
    assert readme.commands("Next") == ["sudo false"]
    assert readme.blocks("Install", "yaml") == ["hostname: mx.example.org   # not a command\n"]


def test_a_section_that_is_gone(page):
    with pytest.raises(LookupError):
        readme.commands("Installation")


def test_a_container_that_cannot_be_booted_is_a_failure(tmp_path, monkeypatch):
    """With what systemd-nspawn had to say."""
    machine = roots.Root.__new__(roots.Root)
    machine.path, machine.machine = tmp_path / "root", None
    monkeypatch.setattr(machine, "_nspawn", lambda: ["sh", "-c", "echo no cgroups here; exit 1"])
    with pytest.raises(Failed, match="(?s)cannot be booted.*no cgroups here"):
        machine.boot()
    machine.halt()
