#!/usr/bin/env python3
"""Checks that every header below src/ compiles alone: who includes it needs to know no other.

usage: tests/tools/check_headers.py --build DIR [--root DIR]

The compiler and its flags are those of the build folder. Prints what the compiler says; exit status
1 when a header does not compile, 2 when there is no such build.
"""

import argparse
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

# Of a compile command, what says how to read a header; the rest says what to make of a source file.
KEPT = ("-I", "-D", "-U", "-W", "-std", "-isystem", "-f", "-O", "-m", "-pthread")


def flags_of(build):
    """The compiler and all flags that the build uses for C below src/, in order, each once."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    compiler = None
    flags = {}
    for command in commands:
        if not command["file"].endswith(".c") or "/src/" not in f"/{command['file']}":
            continue
        words = shlex.split(command["command"])
        start = 2 if Path(words[0]).name == "ccache" else 1
        compiler = compiler or words[:start]
        for word in words[start:]:
            if word.startswith(KEPT) and not word.startswith("-fsanitize"):
                flags.setdefault(absolute(word, command["directory"]))
    return compiler, list(flags)


def absolute(word, directory):
    if word.startswith("-I") and not Path(word[2:]).is_absolute():
        return f"-I{(Path(directory) / word[2:]).resolve()}"
    return word


def compile_alone(root, command, header):
    """What the compiler says of a header; empty when nothing."""
    # Twice, so that a header without its guard is found as well.
    source = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([*command, "-Werror", "-fsyntax-only", "-x", "c", "-"], input=source,
                          cwd=root / "src", capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def check(root, build):
    compiler, flags = flags_of(build)
    if compiler is None:
        return {"compile_commands.json": "no C below src/ is built"}
    command = [*compiler, f"-I{root / 'src'}", *flags]
    headers = sorted(str(path.relative_to(root / "src")) for path in (root / "src").rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = pool.map(lambda header: compile_alone(root, command, header), headers)
        return {header: text for header, text in zip(headers, texts) if text}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    options = parser.parse_args()
    try:
        problems = check(options.root.resolve(), options.build.resolve())
    except FileNotFoundError as missing:
        print(f"{missing.filename} is not there; configure the build first (meson setup)",
              file=sys.stderr)
        return 2
    for header, text in problems.items():
        print(f"{header} does not compile alone:\n{text}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
