"""One program that runs in the foreground and belongs to us."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Failed(Exception):
    """A program ended, or did not become ready; the message carries the end of its log."""


class Process:
    """Starts `argv` in a session of its own, with standard error and output in one log file.

    It is stopped by pid. What remains of its session after the grace time is killed, and
    nothing else ever is. When this Python process dies, the kernel sends SIGTERM to the child
    (setpriv --pdeathsig), so that a broken test leaves nothing behind.
    """

    def __init__(self, argv, log, *, name=None, environment=None, directory=None):
        self.name = name or Path(argv[0]).name
        self.log = Path(log)
        self.argv = [str(a) for a in argv]
        out = open(self.log, "ab")
        try:
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.argv],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory,
                env={**os.environ, **(environment or {})}, start_new_session=True)
        finally:
            out.close()
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def wait_until(self, ready, seconds=10.0, what="ready"):
        """Polls `ready()` until it is true; raises Failed when the time is up or it ended."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise Failed(f"{self.name} ended with {self.popen.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} was not {what} after {seconds} s:\n{self.tail()}")
            time.sleep(0.02)

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def stop(self, grace=10.0):
        """SIGTERM, then SIGKILL to what is left of the session. Returns the exit status."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        return self.popen.returncode

    def kill(self):
        """SIGKILL to the program and to every process of its session; waits until all are gone."""
        while True:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                break
            self.popen.poll()
            time.sleep(0.005)
        self.popen.wait()


def run(argv, *, text=None, directory=None, check=True, timeout=60, environment=None):
    """Runs a command to its end and returns the CompletedProcess; raises Failed with its output."""
    done = subprocess.run([str(a) for a in argv], input=text, capture_output=True, text=True,
                          cwd=directory, timeout=timeout, env={**os.environ, **(environment or {})})
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(str(a) for a in argv)}: status {done.returncode}\n"
                     f"{done.stdout}{done.stderr}")
    return done


def wait_for(question, seconds=10.0, what="what was awaited", step=0.02):
    """Polls `question()` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(step)
