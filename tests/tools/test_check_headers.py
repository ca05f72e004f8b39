"""Headers that compile alone, and ones that do not."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import check_headers  # noqa: E402

GUARDED = "#ifndef A\n#define A\n{}\n#endif\n"


@pytest.fixture
def tree(tmp_path):
    """A tree with a build folder whose one command brings a macro and an include path."""
    source = tmp_path / "src" / "base" / "a.c"
    (tmp_path / "build" / "made").mkdir(parents=True)
    (tmp_path / "build" / "made" / "made.h").write_text("typedef int made;\n")
    source.parent.mkdir(parents=True)
    source.write_text("")
    command = f"cc -Imade -DGIVEN=1 -Wall -c -o a.o -MD -MF a.d {source}"
    (tmp_path / "build" / "compile_commands.json").write_text(json.dumps(
        [{"directory": str(tmp_path / "build"), "file": str(source), "command": command}]))
    return tmp_path


def problems(tree, text):
    (tree / "src" / "base" / "a.h").write_text(text)
    return list(check_headers.check(tree, tree / "build"))


def test_good_header(tree):
    assert problems(tree, GUARDED.format("#include <stddef.h>\nsize_t f(void);")) == []


def test_flags_of_the_build_are_used(tree):
    text = "#include <made.h>\n#if !GIVEN\n#error\n#endif\nmade f(void);"
    assert problems(tree, GUARDED.format(text)) == []


@pytest.mark.parametrize("text", [
    GUARDED.format("size_t f(void);"),
    GUARDED.format("int f(struct unknown);"),
    "struct x {int a;};",
])
def test_bad_header(tree, text):
    assert problems(tree, text) == ["base/a.h"]


def test_no_build(tree, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["check_headers.py", "--build", str(tree / "none")])
    assert check_headers.main() == 2
    assert "meson setup" in capsys.readouterr().err
