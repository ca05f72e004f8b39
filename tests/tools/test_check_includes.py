"""The order of folders, in small trees."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import check_includes  # noqa: E402

PAGE = """# Architecture
| folder | what |
|---|---|
| `src/base` | a |
| `src/mail` | b |
| `src/roles` | c |
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "doc").mkdir()
    (tmp_path / "doc" / "architecture.md").write_text(PAGE)
    for name in ("base/str.h", "mail/fields.h", "roles/edge/edge.h"):
        write(tmp_path, name, "")
    return tmp_path


def write(root, name, text):
    path = root / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_good_tree(tree):
    write(tree, "mail/fields.c",
          '#include "mail/fields.h"\n\n#include <stdio.h>\n#include "base/str.h"\n')
    write(tree, "roles/edge/edge.c", '#include "roles/edge/edge.h"\n#include "mail/fields.h"\n')
    assert check_includes.check(tree) == []


@pytest.mark.parametrize("name, line, what", [
    ("base/str.c", '#include "mail/fields.h"',
     "src/base/str.c:2: src/base may not use src/mail, which stands below it"),
    ("mail/x.c", '  #  include "roles/edge/edge.h"',
     "src/mail/x.c:2: src/mail may not use src/roles, which stands below it"),
    ("mail/x.c", '#include "fields.h"',
     'src/mail/x.c:2: "fields.h" is to be written from src/, with its folder'),
    ("mail/x.c", '#include "base/none.h"', 'src/mail/x.c:2: there is no "base/none.h"'),
    ("mail/x.def", '#include "roles/edge/edge.h"',
     "src/mail/x.def:2: src/mail may not use src/roles, which stands below it"),
    ("mail/x.c", '#include "cli/cli.h"',
     "src/mail/x.c:2: src/cli is not in the table of folders in doc/architecture.md"),
])
def test_bad_include(tree, name, line, what):
    write(tree, name, f"/* a file */\n{line}\n")
    assert check_includes.check(tree) == [what]


def test_folder_without_its_row(tree):
    write(tree, "extra/x.c", "")
    assert check_includes.check(tree) == [
        "src/extra/x.c: src/extra is not in the table of folders in doc/architecture.md"]


def test_page_without_its_table(tree):
    (tree / "doc" / "architecture.md").write_text("# Architecture\n")
    assert check_includes.check(tree) == [
        "doc/architecture.md: the table of folders is not there"]


def test_this_tree():
    assert check_includes.check(Path(__file__).resolve().parents[2]) == []
