"""A DNS of our own: NSD, and zones signed by ldns-signzone up to a root of our own.

    dns = Dns(directory, "127.0.53.1", 53)
    dns.zone("kartapuce.com").mx(10, "mx.kartapuce.com.").a("mx", "127.0.10.1")
    dns.zone("broken.example", signing="bogus").a("www", "127.0.10.9")
    dns.start()             # dns.anchor is the trust anchor file, dns.server "address@port"

Parents come into being by themselves: a zone brings its top-level domain and the root, with
delegations and DS records. One NSD serves them all from one address; see `Dns.upstream` for how a
resolver is told of it.
"""

import os
import signal
import socket
import struct
import time
from pathlib import Path

from .process import Process, run

#: How a zone may be signed, and what a validating resolver must make of it.
SIGNINGS = {
    "good": "secure",
    "none": "insecure",      # no signature, no DS in the parent
    "bogus": "bogus",        # records changed after they were signed
    "expired": "bogus",      # signatures that ended longer ago than a resolver overlooks
    "wrong-ds": "bogus",     # the parent vouches for another key
    "stripped": "bogus",     # the parent has a DS, the zone is served without signatures
}
ALGORITHM = "ECDSAP256SHA256"
DAY = 86400
#: How long after its end libunbound still takes a signature, at most (its val-sig-skew-max): clocks
#: are wrong. What is to be seen as expired must have ended before that.
OVERLOOKED = DAY


def absolute(name):
    return name if name.endswith(".") else name + "."


def parent_of(origin):
    """The enclosing zone: labels are cut one by one, `a.b.c.` -> `b.c.` -> `c.` -> `.`"""
    rest = origin.split(".", 1)[1]
    return rest or "."


class Zone:
    """The records of one zone. Every method that adds records returns the zone itself."""

    def __init__(self, origin, signing, nsec3, ttl):
        if signing not in SIGNINGS:
            raise ValueError(f"signing is one of {', '.join(SIGNINGS)}, not {signing!r}")
        self.origin, self.signing, self.nsec3, self.ttl = origin, signing, nsec3, ttl
        self.records = []

    def record(self, owner, kind, data, ttl=None):
        """`owner` is relative to the zone, absolute with a dot at the end, or "@"."""
        self.records.append((owner, self.ttl if ttl is None else ttl, kind, data))
        return self

    def a(self, owner, *addresses, ttl=None):
        for address in addresses:
            self.record(owner, "A", address, ttl)
        return self

    def aaaa(self, owner, *addresses, ttl=None):
        for address in addresses:
            self.record(owner, "AAAA", address, ttl)
        return self

    def mx(self, preference, exchange, owner="@", ttl=None):
        return self.record(owner, "MX", f"{preference} {exchange}", ttl)

    def null_mx(self, owner="@"):
        """RFC 7505: this name takes no mail."""
        return self.record(owner, "MX", "0 .")

    def cname(self, owner, target, ttl=None):
        return self.record(owner, "CNAME", target, ttl)

    def ptr(self, owner, target, ttl=None):
        return self.record(owner, "PTR", target, ttl)

    def txt(self, owner, text, ttl=None):
        chunks = [text[i:i + 255] for i in range(0, len(text), 255)] or [""]
        quoted = " ".join('"' + c.replace("\\", "\\\\").replace('"', '\\"') + '"' for c in chunks)
        return self.record(owner, "TXT", quoted, ttl)

    def tlsa(self, owner, usage, selector, matching, hexadecimal, ttl=None):
        return self.record(owner, "TLSA", f"{usage} {selector} {matching} {hexadecimal}", ttl)


class Dns:
    """`negative_ttl`: how long a resolver may keep that a name does not exist (RFC 2308)."""

    def __init__(self, directory, address, port=53, *, ttl=60, negative_ttl=30):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.address, self.port = address, port
        self.ttl, self.negative_ttl = ttl, negative_ttl
        self.zones, self.keys, self.process = {}, {}, None
        self.further_keys = {}
        self.serial = int(time.time())
        self.anchor = self.directory / "root.key"
        self._declare(".", "good", False)

    @property
    def server(self):
        return f"{self.address}@{self.port}"

    @property
    def upstream(self):
        """What a resolver's configuration says so that it asks here. Away from port 53 delegations
        would lead to a port where nobody is, so that the server is asked as a forwarder is."""
        return {"stub_root": self.server} if self.port == 53 else {"forwarders": [self.server]}

    def zone(self, name, *, signing="good", nsec3=False):
        """Declares a zone, or returns the one that was declared before."""
        origin = absolute(name)
        if origin not in self.zones:
            top = origin.rstrip(".").rsplit(".", 1)[-1] + "."
            self._declare(top, "good" if top != origin else signing, False)
            self._declare(origin, signing, nsec3)
        return self.zones[origin]

    def reverse(self, address, name):
        """PTR record of an IPv4 address, in a zone for its first octet."""
        octets = address.split(".")
        zone = self.zone(f"{octets[0]}.in-addr.arpa")
        zone.ptr(".".join(reversed(octets[1:])), absolute(name))
        return self

    def _declare(self, origin, signing, nsec3):
        if origin not in self.zones:
            self.zones[origin] = Zone(origin, signing, nsec3, self.ttl)

    # -- zone files and signatures ------------------------------------------------------------

    def _stem(self, origin):
        return "root" if origin == "." else origin.rstrip(".")

    def _key(self, origin):
        """Name of the zone's key files without suffix; made on first use, kept afterwards."""
        if origin not in self.keys:
            made = run(["ldns-keygen", "-a", ALGORITHM, "-k", "-r", "/dev/urandom", origin],
                       directory=self.directory)
            self.keys[origin] = made.stdout.strip()
        return self.keys[origin]

    # -- key changes (RFC 5011); each takes effect with update() ---------------------------------

    def add_key(self, origin):
        """A second key in the zone, which signs beside the first."""
        made = run(["ldns-keygen", "-a", ALGORITHM, "-k", "-r", "/dev/urandom", origin],
                   directory=self.directory)
        self.further_keys.setdefault(origin, []).append(made.stdout.strip())

    def revoke_key(self, origin):
        """The first key is marked as revoked (2.1); it still signs, with that mark."""
        run(["ldns-revoke", f"{self._key(origin)}.key"], directory=self.directory)

    def drop_key(self, origin):
        """The first key goes, the next one takes its place."""
        self.keys[origin] = self.further_keys[origin].pop(0)

    def _ds(self, zone):
        """The DS records that the parent publishes for `zone`."""
        if zone.signing == "none":
            return []
        key = self._key(zone.origin)
        made = run(["ldns-key2ds", "-n", "-2", f"{key}.key"], directory=self.directory)
        fields = made.stdout.split()
        data = fields[fields.index("DS") + 1:]
        if zone.signing == "wrong-ds":
            data[3] = ("0" if data[3][0] != "0" else "1") + data[3][1:]
        return [" ".join(data[:3]) + " " + "".join(data[3:])]

    def _children(self, origin):
        for other in self.zones.values():
            if other.origin != "." and self._closest_parent(other.origin) == origin:
                yield other

    def _closest_parent(self, origin):
        name = parent_of(origin)
        while name not in self.zones:
            name = parent_of(name)
        return name

    def _text(self, zone):
        server = absolute("ns.nic" if zone.origin == "." else "ns." + zone.origin)
        lines = [f"$ORIGIN {zone.origin}",
                 f"@ {zone.ttl} IN SOA {server} hostmaster.{zone.origin.lstrip('.')} "
                 f"{self.serial} 3600 600 86400 {self.negative_ttl}",
                 f"@ {zone.ttl} IN NS {server}", f"{server} {zone.ttl} IN A {self.address}"]
        lines += [f"{owner} {ttl} IN {kind} {data}" for owner, ttl, kind, data in zone.records]
        for child in self._children(zone.origin):
            lines += [f"{child.origin} {zone.ttl} IN NS ns.{child.origin}",
                      f"ns.{child.origin} {zone.ttl} IN A {self.address}"]
            lines += [f"{child.origin} {zone.ttl} IN DS {ds}" for ds in self._ds(child)]
        return "\n".join(lines) + "\n"

    def _write(self, zone):
        """Writes the file that NSD serves for `zone`."""
        plain = self.directory / f"{self._stem(zone.origin)}.zone"
        served = self.directory / f"{self._stem(zone.origin)}.served"
        plain.write_text(self._text(zone))
        if zone.signing in ("none", "stripped"):
            served.write_text(plain.read_text())
            return
        now = time.time()
        begin, end = now - DAY, now + 30 * DAY
        if zone.signing == "expired":
            begin, end = now - 20 * DAY, now - 2 * OVERLOOKED
        stamp = [time.strftime("%Y%m%d%H%M%S", time.gmtime(t)) for t in (begin, end)]
        run(["ldns-signzone", *(["-n"] if zone.nsec3 else []), "-i", stamp[0], "-e", stamp[1],
             "-A", "-o", zone.origin, "-f", served.name, plain.name, self._key(zone.origin),
             *self.further_keys.get(zone.origin, [])],
            directory=self.directory)
        if zone.signing == "bogus":
            served.write_text(corrupt_signatures(served.read_text()))

    def write(self):
        for zone in self.zones.values():
            self._write(zone)
        key = (self.directory / f"{self._key('.')}.key").read_text()
        self.anchor.write_text(key)

    # -- the server ---------------------------------------------------------------------------

    def _configuration(self):
        d = self.directory
        lines = ["server:", f"  ip-address: {self.address}@{self.port}", "  server-count: 1",
                 '  username: ""', '  chroot: ""', f'  zonesdir: "{d}"', '  database: ""',
                 f'  pidfile: "{d}/nsd.pid"', f'  xfrdfile: "{d}/xfrd.state"',
                 f'  xfrdir: "{d}"', f'  zonelistfile: "{d}/zone.list"', "  hide-version: yes",
                 "  rrl-ratelimit: 0", "  zonefiles-check: yes", "remote-control:",
                 "  control-enable: no"]
        for origin in self.zones:
            lines += ["zone:", f'  name: "{origin}"', f'  zonefile: "{self._stem(origin)}.served"']
        path = d / "nsd.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self):
        self.write()
        self.process = Process(["/usr/sbin/nsd", "-d", "-c", self._configuration()],
                               self.directory / "nsd.log", name="nsd")
        self.process.wait_until(lambda: self.answers("."), what="answering")
        return self

    def answers(self, origin):
        """Does the server answer a question for the zone's SOA, with the present serial?"""
        labels = [l.encode() for l in origin.split(".") if l]
        question = b"".join(bytes([len(l)]) + l for l in labels) + b"\0" + struct.pack(">HH", 6, 1)
        query = struct.pack(">HHHHHH", 0x5054, 0, 1, 0, 0, 0) + question
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            try:
                s.sendto(query, (self.address, self.port))
                answer = s.recv(4096)
            except OSError:
                return False
        return answer[:2] == query[:2] and struct.pack(">I", self.serial) in answer

    def update(self):
        """Serves what was declared since: signs everything anew and has NSD read it."""
        self.serial += 1
        self.write()
        # NSD compares modification times, which may have the granularity of a second.
        later = time.time() + (self.serial % 100000)
        for origin in self.zones:
            os.utime(self.directory / f"{self._stem(origin)}.served", (later, later))
        known = set(self.zones) <= self._served
        if known:
            self.process.signal(signal.SIGHUP)
        else:
            self.process.stop()
            self.start()
        last = list(self.zones)[-1]
        self.process.wait_until(lambda: self.answers(last) and self.answers("."), what="reloaded")
        return self

    @property
    def _served(self):
        text = (self.directory / "nsd.conf").read_text()
        return {line.split('"')[1] for line in text.splitlines() if line.startswith("  name:")}

    def stop(self):
        if self.process:
            self.process.stop()


def corrupt_signatures(text):
    """Changes one character inside every RRSIG's signature except those over SOA and NS."""
    out = []
    for line in text.splitlines():
        fields = line.split("\t")
        if "RRSIG" in fields and not line.split("RRSIG", 1)[1].split()[0] in ("SOA", "NS", "DNSKEY"):
            head, signature = line.rsplit(" ", 1)
            at = len(signature) // 2
            signature = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1:]
            line = f"{head} {signature}"
        out.append(line)
    return "\n".join(out) + "\n"
