"""Tests of packaging/configure, packaging/source-files and packaging/install-packages."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


def run(*command, programs=None, directory=None):
    """Runs a command; `programs` is a directory that comes first in the search path."""
    path = os.environ["PATH"] if programs is None else f"{programs}:{os.environ['PATH']}"
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, cwd=directory, env={**os.environ, "PATH": path})


def program(directory, name, text):
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def meson(tmp_path):
    """A meson that makes a build folder, and writes down how it was called."""
    program(tmp_path / "bin", "meson", f'echo "$@" >>{tmp_path}/calls; mkdir -p "$2"; '
            'touch "$2/build.ninja"; echo a lot of words')
    return tmp_path


def configure(tmp_path, *options):
    return run(PACKAGING / "configure", tmp_path / "build", *options, programs=tmp_path / "bin")


def test_a_folder_is_configured_once_for_the_same_options(meson):
    for options in (["-Dwerror=true"], ["-Dwerror=true"], ["-Dwerror=true", "-Dtests=enabled"],
                    ["-Dwerror=true"], ["-Dtests=disabled"], ["-Dtests=disabled"]):
        done = configure(meson, *options)
        assert done.returncode == 0 and done.stdout + done.stderr == ""
    folder = meson / "build"
    assert (meson / "calls").read_text().splitlines() == [
        f"setup {folder} -Dwerror=true", f"configure {folder} -Dwerror=true -Dtests=enabled",
        f"configure {folder} -Dtests=disabled"]


def test_the_reason_of_a_failure_is_shown(tmp_path):
    program(tmp_path / "bin", "meson", "echo 'ERROR: Dependency \"cmocka\" not found'; exit 1")
    done = configure(tmp_path, "-Dwerror=true")
    assert done.returncode == 1 and 'Dependency "cmocka" not found' in done.stderr


@pytest.fixture
def archive(tmp_path):
    """A source tree without history, in a repository of something else."""
    (tmp_path / ".git").mkdir()
    tree = tmp_path / "postern"
    for name in ("packaging/source-files", "src/base/a.c", "src/base/a.h", "Makefile",
                 "build-asan/b.c", "dist/c.c", "tests/__pycache__/d.c", "doc/with blank.md"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("")
    shutil.copy(PACKAGING / "source-files", tree / "packaging/source-files")
    return tree


def names(tree, *patterns):
    done = run(tree / "packaging/source-files", *patterns)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


def test_files_of_an_archive(archive):
    assert names(archive) == ["Makefile", "doc/with blank.md", "packaging/source-files",
                              "src/base/a.c", "src/base/a.h"]
    assert names(archive, "*.c", "*.h") == ["src/base/a.c", "src/base/a.h"]
    assert names(archive, "src/*.c") == ["src/base/a.c"]


@pytest.mark.skipif(not shutil.which("git"), reason="git is needed for a clone")
def test_files_of_a_clone(archive):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for command in (["init", "-q"], ["add", "src", "packaging"], [*identity, "commit", "-qm", "x"]):
        assert run("git", *command, directory=archive).returncode == 0
    assert names(archive) == ["packaging/source-files", "src/base/a.c", "src/base/a.h"]
    assert names(archive, "src/*.c") == ["src/base/a.c"]


def test_without_sudo_it_is_told_what_is_missing(tmp_path):
    """Neither root nor sudo: not a word of "command not found"."""
    scripts = tmp_path / "packaging"
    scripts.mkdir()
    shutil.copy(PACKAGING / "install-packages", scripts / "install-packages")
    (scripts / "packages.txt").write_text("group no-such-package-anywhere\n")
    program(tmp_path / "bin", "id", "echo 1000")
    for name in ("bash", "dirname", "awk", "dpkg-query", "sort"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    done = subprocess.run(["bash", scripts / "install-packages", "group"], capture_output=True,
                          text=True, check=False, env={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 1 and "install sudo" in done.stderr, done.stderr
