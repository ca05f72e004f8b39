"""The programs that do what a case asks for: JSON objects, one a line, in and out."""

import json
import os
import selectors
import subprocess
import time
from pathlib import Path

# How long one case may take.
PATIENCE_SECONDS = 30


class DriverMissing(Exception):
    """The driver has not been built."""


class DriverFailed(Exception):
    """It ended, or did not answer in time; the next case gets a new one."""


class DriverError(Exception):
    """It answered that it cannot do what it was asked."""


class Answer(dict):
    """What a driver told. That something is missing in it is our failure, not the case's."""

    def __missing__(self, key):
        raise DriverError(f"the answer has no \"{key}\"")


class Driver:
    def __init__(self, path, *arguments):
        self.path = path
        self.arguments = arguments
        self.process = None
        self.pending = b""

    def start(self):
        if not self.path.is_file():
            raise DriverMissing(f"{self.path} is missing; build it first (ninja), or name the "
                                "build folder with --build")
        self.process = subprocess.Popen([str(self.path), *self.arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.pending = b""

    def stop(self):
        """Ends the process; returns how it went."""
        if self.process is None:
            return None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        status = self.process.returncode
        self.process = None
        return status

    def read_line(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.pending:
                if not selector.select(max(0, deadline - time.monotonic())):
                    self.process.kill()
                    self.stop()
                    raise DriverFailed(f"no answer within {PATIENCE_SECONDS} s")
                octets = os.read(self.process.stdout.fileno(), 1 << 20)
                if not octets:
                    raise DriverFailed(f"{self.path.name} ended with status {self.stop()}")
                self.pending += octets
        line, self.pending = self.pending.split(b"\n", 1)
        return line

    def ask(self, request):
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise DriverFailed(f"{self.path.name} ended with status {self.stop()}") from None
        try:
            answer = json.loads(self.read_line(), object_hook=Answer)
        except ValueError:
            raise DriverError(f"{self.path.name} answered what is no JSON") from None
        if isinstance(answer, dict) and set(answer) == {"error"}:
            raise DriverError(f"{self.path.name}: {answer['error']}")
        return answer


class Drivers:
    """The drivers of one build, started when they are first needed: "postern" is the program itself
    with `check --json-lines`, everything else is built beside the tests."""

    def __init__(self, build):
        self.build = Path(build)
        self.drivers = {}

    def __getitem__(self, name):
        if name not in self.drivers:
            self.drivers[name] = self.make(name)
        return self.drivers[name]

    def make(self, name):
        if name == "postern":
            return Driver(self.build / "postern", "check", "--json-lines")
        return Driver(self.build / "tests" / "conformance" / name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for driver in self.drivers.values():
            driver.stop()


def octets(text):
    """Text as the drivers take octets: each octet of its UTF-8 as one character."""
    return text.encode("utf-8").decode("latin-1")


def octets_if_wide(text):
    """The same for text that already is octets, unless it holds a character that cannot be one."""
    return text if all(ord(c) < 256 for c in text) else octets(text)
