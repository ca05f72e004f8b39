"""The resolver role by itself: questions to it as another role asks them, answers as it gives them.

    resolver = Resolver(directory, {"stub_root": dns.server, "trust_anchors": [str(dns.anchor)]})
    resolver.ask("kartapuce.com", "MX")["security"]
"""

import json
import subprocess
from pathlib import Path

from .gateway import binary


def tool():
    """resolver_ask of the build folder that the program under test is in."""
    return binary().parent / "src/roles/resolver/resolver_ask"


class Resolver:
    def __init__(self, directory, settings):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = open(self.directory / "resolver.log", "ab")
        self.process = None
        self.start(settings)

    def start(self, settings):
        self.process = subprocess.Popen([tool(), self.directory / "state", json.dumps(settings)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        return self

    def command(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"the resolver has ended:\n{self.messages()}")
        return json.loads(line)

    def ask(self, name, kind="A"):
        return self.command("ask", name, kind)

    def batch(self, *questions):
        return self.command("batch", *(word for question in questions for word in question))

    def status(self):
        return self.command("status")

    def metric(self, name):
        return self.status()["metrics"][name]

    def reload(self, settings):
        return self.command("reload", json.dumps(settings))

    def messages(self):
        return (self.directory / "resolver.log").read_text()

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None
