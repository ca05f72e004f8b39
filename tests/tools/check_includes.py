#!/usr/bin/env python3
"""Checks that the folders below src/ keep their order: a folder uses only those above it.

usage: tests/tools/check_includes.py [--root DIR]

The order is the table of folders in doc/architecture.md. Includes of our own headers are written
from src/ ("base/str.h"). Prints file:line and what is wrong; exit status 1 when something is.
"""

import argparse
import re
import sys
from pathlib import Path

ORDER_ROW = re.compile(r"^\| `src/(\w+)` \|")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
# Made by the build, so not in the tree.
GENERATED = {"ipc/messages.h", "base/version.h"}


def folder_order(root):
    """The folders in their order, from the architecture page."""
    text = (root / "doc" / "architecture.md").read_text(encoding="utf-8")
    return [match.group(1) for line in text.splitlines() if (match := ORDER_ROW.match(line))]


def sources(root):
    return sorted(path for pattern in ("*.c", "*.h", "*.def")
                  for path in (root / "src").rglob(pattern))


def includes(path):
    """Line number and name of each of a file's own includes."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def problem(root, order, folder, name):
    """What is wrong with including `name` in a file of `folder`, or None."""
    if "/" not in name:
        return f'"{name}" is to be written from src/, with its folder'
    other = name.split("/", 1)[0]
    if other not in order:
        return f"src/{other} is not in the table of folders in doc/architecture.md"
    if order.index(other) > order.index(folder):
        return f"src/{folder} may not use src/{other}, which stands below it"
    if name not in GENERATED and not (root / "src" / name).is_file():
        return f'there is no "{name}"'
    return None


def check(root):
    """All problems of the tree below `root`, as "file:line: text"."""
    order = folder_order(root)
    if not order:
        return ["doc/architecture.md: the table of folders is not there"]
    problems = []
    for path in sources(root):
        relative = path.relative_to(root)
        folder = relative.parts[1]
        if folder not in order:
            problems.append(f"{relative}: src/{folder} is not in the table of folders in "
                            "doc/architecture.md")
            continue
        for number, name in includes(path):
            text = problem(root, order, folder, name)
            if text:
                problems.append(f"{relative}:{number}: {text}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    problems = check(parser.parse_args().root)
    for text in problems:
        print(text)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
