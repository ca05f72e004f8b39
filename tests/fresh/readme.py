"""What README tells people to type: the commands and the configuration of a section."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def section(title):
    """The text below a heading of the second level, with what is below that."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README.read_text(), re.M | re.S)
    if not match:
        raise LookupError(f"README has no section {title!r}")
    return match[1]


def blocks(title, kind):
    return [text for language, text in FENCE.findall(section(title)) if language == kind]


def commands(title):
    """Each command of the section in its order, without the remark behind it."""
    lines = "".join(blocks(title, "sh")).replace("\\\n", " ")
    lines = re.sub(r"\|\n", "| ", lines).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s)#.*", "", line).strip())]
