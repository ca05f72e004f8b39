#!/usr/bin/python3
"""Every relative link of README.md and doc/*.md leads to a file of the tree, and to a heading of it;
every test that doc/rfc.md names is there.

    tests/tools/check_links.py [FILE...]
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INLINE = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?", re.M)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)


def prose(text):
    """The text without what is shown as code, lines kept."""
    text = FENCE.sub(lambda m: "\n" * m[0].count("\n"), text)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text):
    """The names that headings get: lower case, blanks as hyphens, other signs dropped."""
    found = set()
    for title in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCE.sub("", text), re.M):
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number = 0
        while (name if number == 0 else f"{name}-{number}") in found:
            number += 1
        found.add(name if number == 0 else f"{name}-{number}")
    return found


def faults(file):
    """"FILE:LINE: text" for each link that leads nowhere."""
    text = prose(file.read_text())
    for match in sorted([*INLINE.finditer(text), *REFERENCE.finditer(text)], key=lambda m: m.start()):
        link = match[1]
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        line = text.count("\n", 0, match.start(1)) + 1
        if not target.exists():
            yield f"{file}:{line}: {link}: there is no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            yield f"{file}:{line}: {link}: there is no such heading"


def missing_tests(file):
    """"FILE:LINE: text" for each `name_test`, `folder/name_test` or `e2e/name.py` that is none."""
    sources = [str(path.relative_to(ROOT)) for folder in ("src", "tests")
               for path in (ROOT / folder).rglob("*") if path.suffix in (".c", ".py")]
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for name in re.findall(r"`((?:\w+/)?\w+_test|e2e/[\w.]+)`", line):
            wanted = f"/{name}" if name.startswith("e2e/") else f"/{name}.c"
            if not any(source.endswith(wanted) for source in sources):
                yield f"{file}:{number}: {name}: there is no such test"


def main():
    files = [Path(name) for name in sys.argv[1:]]
    found = [fault for file in files or [ROOT / "README.md", *sorted((ROOT / "doc").rglob("*.md"))]
             for fault in faults(file)]
    found += [] if files else missing_tests(ROOT / "doc/rfc.md")
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
