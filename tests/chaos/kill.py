#!/usr/bin/python3
"""The kill test: SIGKILL to roles and to the whole program under load, and nothing may be lost.

    tests/chaos/kill.py [--seed N] [--role-kills 200] [--program-kills 20] [--clients 4]

Clients send messages, each with an id of its own, to local mailboxes (LMTP) and to an outside
host (SMTP), and write down which of them were acknowledged with 250. Meanwhile roles are killed at
random moments, and the whole program, parent and all. At the end the load stops, the queue runs
empty, and what was acknowledged is compared with what arrived:

    lost        acknowledged, never arrived: must be 0
    duplicates  arrived more than once: SMTP allows it where a reply was lost; counted
    unasked     arrived though never acknowledged: the client would send again; counted
    altered     arrived with other octets than were sent: must be 0

Exit status 1 when something was lost or altered, or when the program did not come back.
"""

import argparse
import collections
import os
import random
import re
import shutil
import signal
import smtplib
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab.gateway import Gateway, binary  # noqa: E402
from lab.nameserver import Dns  # noqa: E402
from lab.net import Net  # noqa: E402
from lab.process import Failed, wait_for  # noqa: E402
from lab.sink import Sink  # noqa: E402

ROLES = ("edge", "filter", "spool", "relay", "resolver", "ledger")
SIZES = (400, 4_000, 40_000, 300_000)


class Load:
    """Clients that send until told to stop; `acknowledged` holds the ids that got their 250."""

    def __init__(self, address, port, clients, seed, pace):
        self.address, self.port, self.pace = address, port, pace
        self.sent, self.acknowledged, self.refused = {}, set(), collections.Counter()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n, random.Random(seed + n)))
                         for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number, dice):
        serial = 0
        while not self._stop.is_set():
            try:
                with smtplib.SMTP(self.address, self.port, f"client{number}.peers.example",
                                  timeout=15) as client:
                    for _ in range(dice.randrange(1, 20)):
                        if self._stop.is_set():
                            break
                        serial += 1
                        self._one(client, f"{number}-{serial}", dice)
                        time.sleep(self.pace)
            except (OSError, smtplib.SMTPException) as error:
                with self._lock:
                    self.refused[type(error).__name__] += 1
                time.sleep(0.05)

    def _one(self, client, key, dice):
        size = dice.choices(SIZES, (60, 25, 12, 3))[0]
        content = body_of(key, size)
        recipients = dice.choice((["bob@kartapuce.com"], ["tom@far.example"],
                                  ["bob@kartapuce.com", "tom@far.example"]))
        with self._lock:
            self.sent[key] = (content, recipients)
        client.sendmail("load@peers.example", recipients, content)
        with self._lock:
            self.acknowledged.add(key)


def body_of(key, size):
    """A message whose octets follow from its id."""
    head = f"From: load@peers.example\r\nSubject: {key}\r\nMessage-ID: <{key}@load>\r\nX-Chaos: {key}\r\n"
    line = f"{key} " * (70 // (len(key) + 1)) + "\r\n"
    return (head + "\r\n" + line * (size // len(line) + 1)).encode()


class Victims:
    """Kills roles and the program, and sees them come back."""

    def __init__(self, gateway, dice, say):
        self.gateway, self.dice, self.say = gateway, dice, say
        self.role_kills, self.program_kills = collections.Counter(), 0
        self.slowest_return = 0.0

    def kill_role(self):
        """Kills one process of a random role; does not wait until it is back."""
        role = self.dice.choice(ROLES)
        pids = self.roles().get(role, [])
        if not pids:
            return False
        try:
            os.kill(self.dice.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.role_kills[role] += 1
        return True

    def roles(self):
        """{role: [pid]} of the parent's children, read from /proc: works amid anything."""
        found = collections.defaultdict(list)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                role = role_of(entry, self.gateway.process.pid)
                if role:
                    found[role].append(int(entry.name))
        return found

    def kill_program(self):
        """SIGKILL to the parent and all roles at once, then a new start."""
        self.gateway.kill()
        self.program_kills += 1
        began = time.monotonic()
        self.gateway.start(30)
        self.slowest_return = max(self.slowest_return, time.monotonic() - began)


def role_of(entry, parent):
    """The role that a process of /proc is, if it is a child of `parent`."""
    try:
        stat = (entry / "stat").read_text()
        if int(stat.rpartition(")")[2].split()[1]) != parent:
            return None
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    return words[words.index(b"role") + 1].decode() if b"role" in words else None


def compare(load, sinks):
    """The four counts, and the ids that were lost or altered."""
    arrived = collections.Counter()
    altered = set()
    for mail in (m for sink in sinks for m in sink.mails):
        key = re.search(rb"^X-Chaos: (\S+)", mail.content, re.M)[1].decode()
        sent = load.sent[key][0]
        if not mail.content.endswith(sent.partition(b"\r\n\r\n")[2]):
            altered.add(key)
        for address in mail.recipients:
            arrived[key, address] += 1
    wanted = {(key, address) for key in load.acknowledged for address in load.sent[key][1]}
    lost = sorted(wanted - set(arrived))
    return {"acknowledged": len(load.acknowledged), "deliveries due": len(wanted),
            "arrived": sum(arrived.values()), "lost": len(lost), "altered": len(altered),
            "duplicates": sum(n - 1 for n in arrived.values()),
            "unasked": len(set(arrived) - wanted)}, lost, altered


def set_up(directory, net):
    dns = Dns(directory / "dns", net.host(53), net.port("dns"))
    dns.zone("peers.example")
    dns.start()
    mailboxes, far = Sink(net.fresh(), 0, lmtp=True), Sink(net.fresh(), 0)
    address, port = net.fresh(), net.port("smtp")
    gateway = Gateway(directory / "gateway", {
        "hostname": "mx.kartapuce.com",
        "listeners": [{"address": address, "port": port, "kind": "mx"}],
        "domains": [{"name": "kartapuce.com", "recipients": "any",
                     "delivery": f"lmtp://{mailboxes.address}:{mailboxes.port}"}],
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "zones": [{"name": "inside", "networks": ["127.0.0.0/8"], "relay": True,
                   "rate_limits": False}],
        "limits": {"pregreet_delay": "0s", "connections_per_address": 1000,
                   "connections_per_network": 1000},
        "queue": {"retry_first": "1s", "retry_max": "2s"},
        "logging": {"level": "warn"},
        "resolver": {"stub_root": dns.server, "trust_anchors": [str(dns.anchor)]}})
    return dns, mailboxes, far, gateway, address, port


def table(counts, victims, load, seconds):
    rows = [(f"kills of {role}", victims.role_kills[role]) for role in ROLES]
    rows += [("kills of roles in all", sum(victims.role_kills.values())),
             ("kills of the whole program", victims.program_kills),
             ("slowest return of the program", f"{victims.slowest_return:.2f} s"),
             ("messages tried", len(load.sent)),
             ("connections broken or refused", sum(load.refused.values())),
             *counts.items(), ("seconds", f"{seconds:.0f}")]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value:>9}" for name, value in rows)


def play(options, say):
    directory = Path(tempfile.mkdtemp(prefix="postern-chaos-"))
    directory.chmod(0o755)
    net = Net()
    dice = random.Random(options.seed)
    began = time.monotonic()
    dns, mailboxes, far, gateway, address, port = set_up(directory, net)
    failed = True
    try:
        gateway.start(30)
        victims = Victims(gateway, dice, say)
        load = Load(address, port, options.clients, options.seed, options.pace)
        try:
            torment(options, victims, dice, say)
        finally:
            load.stop()
        wait_for(gateway.ready, 60, "the program to be ready again", step=0.1)
        say("the load has stopped; waiting for the queue to run empty")
        gateway.command("queue", "flush", "--all")
        wait_for(lambda: not gateway.queue(), 120, "an empty queue", step=0.5)
        counts, lost, altered = compare(load, (mailboxes, far))
        print(table(counts, victims, load, time.monotonic() - began))
        failed = bool(lost or altered or not load.acknowledged)
        if lost:
            print("  lost:", *lost[:20])
        if altered:
            print("  altered:", *sorted(altered)[:20])
    finally:
        status = gateway.stop()
        gateway.remove()
        for peer in (mailboxes, far, dns):
            (peer.close if hasattr(peer, "close") else peer.stop)()
        net.close()
        if failed:
            print(f"  logs and state: {directory}; seed {options.seed}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if status != 0:
        print(f"  the last stop was not orderly: status {status}")
    return 1 if failed or status != 0 else 0


def torment(options, victims, dice, say):
    """Interleaves both kinds of kills evenly, each at a random moment."""
    acts = ["role"] * options.role_kills + ["program"] * options.program_kills
    dice.shuffle(acts)
    for done, act in enumerate(acts):
        time.sleep(dice.uniform(0.02, options.most_wait))
        if act == "program":
            victims.kill_program()
        else:
            wait_for(victims.kill_role, 20, "a role to kill", step=0.02)
        if (done + 1) % 20 == 0:
            say(f"{done + 1} of {len(acts)} kills")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock, printed")
    parser.add_argument("--role-kills", type=int, default=200)
    parser.add_argument("--program-kills", type=int, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between two messages")
    parser.add_argument("--most-wait", type=float, default=1.0, help="seconds between two kills")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time())
    if not binary().exists():
        sys.exit(f"kill: there is no {binary()}; build it or set $POSTERN")
    print(f"kill test, seed {options.seed}", flush=True)
    try:
        sys.exit(play(options, lambda text: print("  " + text, flush=True)))
    except (Failed, TimeoutError) as error:
        print(f"  FAILED: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
