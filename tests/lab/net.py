"""Addresses and ports: where on loopback a laboratory lives."""

import os
import socket


def privileged():
    return os.geteuid() == 0


#: The ports of the field, and what stands for them where they may not be bound.
REAL = {"dns": 53, "smtp": 25, "smtps": 465, "submission": 587, "imaps": 993, "lmtp": 24}
HIGH = {"dns": 5353, "smtp": 2525, "smtps": 4650, "submission": 5870, "imaps": 9930, "lmtp": 2424}


class Net:
    """A /16 of 127/8 that no other laboratory on this machine uses, and its port numbers.

    `Net(0)` is the story's own 127.0.x.y. Without a number the first free one is taken. A
    listening socket on 127.N.255.254 is the claim; it ends with this process at the latest.
    """

    CLAIM_PORT = 53999

    def __init__(self, number=None, *, high_ports=None):
        high = not privileged() if high_ports is None else high_ports
        self.ports = HIGH if high else REAL
        candidates = range(30, 250) if number is None else [number]
        self._claim = None
        for n in candidates:
            claim = socket.socket()
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind((f"127.{n}.255.254", self.CLAIM_PORT))
                claim.listen()
            except OSError:
                claim.close()
                continue
            self._claim, self.number = claim, n
            break
        if self._claim is None:
            raise OSError(f"another laboratory already uses 127.{number}.0.0/16"
                          if number is not None else "no free part of 127/8 for a laboratory")
        self._next = 0

    def host(self, third, fourth=1):
        return f"127.{self.number}.{third}.{fourth}"

    def fresh(self):
        """An address that nobody else in this laboratory has been given."""
        self._next += 1
        return self.host(100 + self._next // 250, 1 + self._next % 250)

    def port(self, service):
        return self.ports[service]

    def close(self):
        self._claim.close()


def free_port(address="127.0.0.1"):
    """A TCP port that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
        s.bind((address, 0))
        return s.getsockname()[1]


def listens(address, port):
    """Does something accept a TCP connection there?"""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
