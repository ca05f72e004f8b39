"""A Postern of one's own: configuration, start, commands, stop."""

import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import yaml

from .net import free_port, listens
from .process import Failed, Process, run


def binary():
    """The program under test: $POSTERN (it or its build folder), or build/postern of this tree."""
    path = Path(os.environ.get("POSTERN") or Path(__file__).parents[2] / "build").absolute()
    return path / "postern" if path.is_dir() else path


def merged(base, changes):
    """`base` with `changes` laid over it: mappings key by key, everything else as a whole."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    both = dict(base)
    for key, value in changes.items():
        both[key] = merged(base[key], value) if key in base else value
    return {key: value for key, value in both.items() if value is not None}


class Gateway:
    """One gateway in one directory.

    `configuration` is laid over `defaults()`; a key set to None is left out. Nothing runs before
    start(). Commands can be given before and after.
    """

    def __init__(self, directory, configuration, *, name="postern"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.name = name
        self.file = self.directory / "postern.yaml"
        self.log = self.directory / "postern.log"
        # Unix socket paths are short (108 octets): not below pytest's long directory names.
        self.run_directory = Path(tempfile.mkdtemp(prefix="postern-run-"))
        self.run_directory.chmod(0o755)
        self.process = None
        self.configure(configuration)

    def defaults(self):
        return {
            "directories": {"state": str(self.directory / "state"),
                            "run": str(self.run_directory)},
            "workers": {"edge": 2},
            "metrics": {"address": "127.0.0.1", "port": free_port()},
            "logging": {"level": "info"},
        }

    def configure(self, configuration):
        """Writes the configuration file; a running gateway takes it at its next reload."""
        if not hasattr(self, "_defaults"):
            self._defaults = self.defaults()
        self.configuration = merged(self._defaults, configuration)
        self.file.write_text(yaml.safe_dump(self.configuration, sort_keys=False))

    # -- life ---------------------------------------------------------------------------------

    def start(self, seconds=15):
        Path(self.configuration["directories"]["state"]).mkdir(exist_ok=True, parents=True)
        self.process = Process([binary(), "run", "--config", self.file], self.log, name=self.name)
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=15):
        self.process.wait_until(self.ready, seconds)

    def ready(self):
        """Do all roles say that they are ready, and do all listeners answer?"""
        status = self.command("status", "--json", check=False)
        if status.returncode != 0:
            return False
        roles = json.loads(status.stdout)["roles"]
        return (all(role["ready"] for role in roles)
                and all(listens(l["address"], l["port"]) for l in self.configuration["listeners"]))

    def stop(self, grace=20):
        """SIGTERM; returns the exit status."""
        return self.process.stop(grace) if self.process else None

    def kill(self):
        """SIGKILL to the parent and every role."""
        self.process.kill()

    def reload(self, configuration=None):
        """SIGHUP, and waits until the parent has taken it."""
        if configuration is not None:
            self.configure(configuration)
        before = self.status()["generation"]
        self.process.signal(signal.SIGHUP)
        self.process.wait_until(lambda: self.status()["generation"] != before and self.ready(),
                                what="reloaded")

    def remove(self):
        """Stops what runs and removes the run directory."""
        self.stop()
        shutil.rmtree(self.run_directory, ignore_errors=True)

    # -- commands -----------------------------------------------------------------------------

    def command(self, *arguments, text=None, check=True, timeout=60):
        """`postern ARGUMENTS... --config FILE`"""
        return run([binary(), *arguments, "--config", self.file], text=text, check=check,
                   timeout=timeout)

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json").stdout)

    def status(self):
        # Its exit status is 1 while a role is not ready.
        return json.loads(self.command("status", "--json", check=False).stdout)

    def add_user(self, name, password):
        self.command("user", "add", name, "--password-stdin", text=password + "\n")

    def queue(self, *filters):
        return self.json("queue", "list", *filters)

    def trace(self, *filters):
        """Rows of `postern trace`, newest first; it prints one JSON object a line."""
        return [json.loads(line) for line in
                self.command("trace", *filters, "--json").stdout.splitlines()]

    def explain(self, identifier):
        # Its exit status tells how the message stands.
        return self.command("explain", identifier, check=False).stdout

    def roles(self):
        """{"edge": [pid, ...], ...} as `postern status` tells."""
        found = {}
        for role in self.status()["roles"]:
            found.setdefault(role["role"], []).append(role["pid"])
        return found

    def dovecot(self, directory, *, imaps, mail):
        """Has Postern write a configuration for Dovecot; returns its path.

        `imaps` is (address, port), `mail` what dovecot.mail_directory() returned.
        """
        path, uid = mail
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        out = directory / "dovecot.conf"
        self.command("dovecot-config", "--output", str(out), "--imaps", f"{imaps[0]}:{imaps[1]}",
                     "--mail-directory", str(path), "--mail-owner", str(uid),
                     "--base-directory", str(self.run_directory / "dovecot"))
        return out


def queue_id(reply_text):
    """The spool id that the 250 after the message names."""
    for word in reply_text.replace(",", " ").split():
        if word.isalnum() and len(word) >= 10 and any(c.isdigit() for c in word):
            return word
    raise Failed(f"no queue id in {reply_text!r}")
