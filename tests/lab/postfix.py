"""smtp-sink and smtp-source from Postfix: a foreign client and server, and a fast load."""

from .net import listens
from .process import Process, run


class SmtpSink:
    """A server that takes everything and keeps it in `dump`, if one is given."""

    def __init__(self, address, port, log, *, dump=None, lmtp=False, options=()):
        argv = ["/usr/sbin/smtp-sink", "-c"]
        if lmtp:
            argv.append("-L")
        if dump:
            argv += ["-D", dump]
        host = f"[{address}]" if ":" in address else address
        self.process = Process([*argv, *options, f"{host}:{port}", "256"], log, name="smtp-sink")
        self.process.wait_until(lambda: listens(address, port))

    def stop(self):
        self.process.stop()


def smtp_source(address, port, *, count=1, sessions=1, size=1024, sender="load@client.example",
                recipient="bob@kartapuce.com", options=(), timeout=120):
    """Sends `count` messages over `sessions` connections at a time."""
    return run(["/usr/sbin/smtp-source", "-m", count, "-s", sessions, "-l", size, "-f", sender,
                "-t", recipient, *options, f"{address}:{port}"], timeout=timeout)
