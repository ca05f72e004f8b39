"""postern config: what it prints, its exit status, and that it is of use before anything runs."""

import json
import subprocess

import pytest

from lab.gateway import binary

GOOD = """\
hostname: mx.example.com
listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]
"""
BROKEN = """\
hostname: mx.example.com
listeners:
  - {address: 127.0.0.1, port: 70000, kind: mxx}
limit: {}
"""


def config(*arguments, text=None, environment=None):
    return subprocess.run(
        [binary(), "config", *arguments],
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


@pytest.fixture
def good_file(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def broken_file(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return path


def test_good_file(good_file):
    done = config("check", good_file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good_file}: the configuration is right\n"


def test_broken_file(broken_file):
    done = config("check", broken_file)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"{broken_file}:3:32: listeners[0].port: expected a port number from 1 to 65535, "
        'found "70000"',
        f"{broken_file}:3:45: listeners[0].kind: expected mx, submission or smtps, "
        'found "mxx"; did you mean "mx"?',
        f'{broken_file}:4:1: unknown key "limit"; did you mean "limits"?',
        f"{broken_file}: 3 errors",
    ]


def test_json(broken_file, good_file):
    done = config("check", "--json", broken_file)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert (report["valid"], report["more"]) == (False, False)
    assert [(e["line"], e["column"]) for e in report["errors"]] == [(3, 32), (3, 45), (4, 1)]
    done = config("check", "--json", good_file)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "file": str(good_file), "valid": True, "more": False, "errors": [],
    }


def test_ways_to_name_the_file(good_file, broken_file):
    assert config("check", "-", text=GOOD).returncode == 0
    assert config("check", "-", text=BROKEN).returncode == 1
    assert config("check", "--config", good_file).returncode == 0
    environment = {"POSTERN_CONFIG": str(broken_file)}
    assert config("check", environment=environment).returncode == 1
    assert config("check", good_file, environment=environment).returncode == 0


def test_unreadable_file(tmp_path):
    missing = tmp_path / "missing.yaml"
    done = config("check", missing)
    assert done.returncode == 3
    assert f"cannot read {missing}: No such file or directory" in done.stderr
    assert config("check", tmp_path).returncode == 3


def test_defaults_are_a_right_configuration():
    defaults = config("defaults")
    assert defaults.returncode == 0
    assert config("check", "-", text=defaults.stdout).returncode == 0


def test_schema_names_its_draft():
    schema = json.loads(config("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["hostname", "listeners"]


def test_full_output():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [binary(), "config", "defaults"], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )
    assert done.returncode == 3
    assert "cannot write the output" in done.stderr


@pytest.mark.parametrize("command", [[], ["check"], ["defaults"], ["schema"], ["reference"]])
def test_help_shows_an_example(command):
    done = config(*command, "--help")
    assert done.returncode == 0
    assert "Example:\n  postern config" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["chek"], ["check", "--bogus"], ["check", "a", "b"], ["defaults", "x"], ["--config"],
     ["reference", "--man", "x"]],
)
def test_wrong_use(arguments):
    done = config(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr != ""
