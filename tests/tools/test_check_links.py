"""The link checker finds what leads nowhere, and nothing else."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check_links import faults  # noqa: E402

HEAD = "# A title: with signs\n\n"


@pytest.mark.parametrize("text, fault", [
    ("[a](there.md)", None),
    ("[a](there.md#more-of-it)", None),
    ("[a](#a-title-with-signs)", None),
    ("[a](https://kartapuce.com/x) <mailto:x@y.z>", None),
    ("`[a](gone.md)`", None),
    ("```\n[a](gone.md)\n```", None),
    ("[a](folder/)", None),
    ("[a](gone.md)", "3: gone.md: there is no such file"),
    ("text\n[a [b]](gone.md)", "4: gone.md: there is no such file"),
    ("![a](gone.png)", "3: gone.png: there is no such file"),
    ("[a]: gone.md", "3: gone.md: there is no such file"),
    ("[a](there.md#less)", "3: there.md#less: there is no such heading"),
    ("[a](#less)", "3: #less: there is no such heading"),
])
def test_links(tmp_path, text, fault):
    (tmp_path / "there.md").write_text("# There\n\n## More of it\n")
    (tmp_path / "folder").mkdir()
    file = tmp_path / "page.md"
    file.write_text(HEAD + text + "\n")
    assert list(faults(file)) == ([] if fault is None else [f"{file}:{fault}"])
