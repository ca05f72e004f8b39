"""Records, zones and clients for SPF, made from a seed: the same seed makes the same cases."""

import random

CLIENTS = ("192.0.2.1", "192.0.2.200", "203.0.113.5", "::ffff:192.0.2.1", "2001:db8::1",
           "2001:db8:1::5")
NETWORKS = ("ip4:192.0.2.1", "ip4:192.0.2.128/25", "ip4:203.0.113.0/29", "ip4:0.0.0.0/0",
            "ip6:2001:db8::/48", "ip6:2001:DB8:1::5", "ip6:::/0", "ip6:::ffff:192.0.2.1")
MACROS = ("exists:%{ir}.x.example", "exists:%{l}._at.%{o}.x.example", "a:%{d1r}.x.example",
          "exists:%{v}.%{h2}.x.example", "include:%{d}.x.example", "exists:%{i}.%{l1r+}.x.example")
EXPLANATIONS = ("no", "%{s} may not %{i} %{c} %{h} %{d}%_%%%-", "%{L}/%{O2}/%{Sr}", "%{q}", "50%",
                "%{l1r+} %{d2} %{r}", "\u00e9")
HOSTS = [f"h{i}.example" for i in range(6)]


def text(value):
    return {"type": "TXT", "value": value}


def address(value):
    return {"type": "AAAA" if ":" in value else "A", "value": value}


def some_host(chance):
    """The records of a host, None where it does not exist. Each mail server has all addresses."""
    return chance.choice((
        None, [text("x")], [address("192.0.2.1")], [address("2001:db8::1")],
        [address("198.51.100.7"), address("2001:db8:9::1")],
        [{"type": "MX", "pref": 1, "value": "m0.example"},
         {"type": "MX", "pref": 2, "value": "m1.example"}],
        [{"type": chance.choice(("TIMEOUT", "SERVFAIL"))}],
        [{"type": "CNAME", "value": "m0.example"}]))


def some_terms(chance, below, most):
    """Mechanisms; includes lead to the domains in `below`."""
    terms = []
    for _ in range(chance.randint(0, most)):
        kind = chance.randrange(8)
        if kind < 3:
            term = chance.choice(NETWORKS)
        elif kind < 5 and below:
            term = "include:" + chance.choice(below)
        elif kind == 5:
            term = chance.choice(MACROS)
        else:
            host, length = chance.choice(HOSTS), chance.choice(("", "", "/24", "//64", "/0//0"))
            term = chance.choice(("a:" + host + length, "mx:" + host + length, "exists:" + host))
        terms.append(chance.choice(("", "", "+", "-", "~", "?")) + term)
    return terms


def some_zone(chance):
    zone = {"m0.example": [address("192.0.2.200"), address("2001:db8::1")],
            "m1.example": [address("203.0.113.5"), address("2001:db8:1::5")],
            "1.2.0.192.x.example": [address("127.0.0.2")],
            "d0.example.x.example": [text("v=spf1 ip4:203.0.113.5 -all")],
            "why.example": [text(chance.choice(EXPLANATIONS))]}
    zone |= {host: some_host(chance) for host in HOSTS}
    # python3-spf counts a redirect that it does not come to: only small trees have them.
    count = chance.choice((1, 2, 3, 8, 12))
    names = [f"d{i}.example" for i in range(count)]
    for i, name in enumerate(names):
        below = names[i + 1:i + 4]
        terms = some_terms(chance, below, 2 if count <= 3 else 5)
        terms += chance.choice(([], ["-all"], ["-all", "exp=why.example"], ["exp=why.example", "-all"],
                                ["~all"], ["?all"]))
        if count <= 3 and below and chance.random() < .4:
            terms.append("redirect=" + chance.choice(below))
        zone[name] = [text(" ".join(["v=spf1", *terms]))]
        if i and chance.random() < .15:
            zone[name] = chance.choice((None, [text("v=spf10")], [{"type": "SERVFAIL"}],
                                        [text("v=spf1 -all"), text("v=spf1 +all")],
                                        [text("v=spf1 moo")]))
    return {name: records for name, records in zone.items() if records is not None}


def evaluations(seed, count):
    """Requests to check_host()."""
    chance = random.Random(seed)
    return [{"op": "spf", "ip": chance.choice(CLIENTS), "receiver": "mx.example",
             "from": chance.choice(("u@d0.example", "user+tag@d0.example", "u-v.w@d0.example")),
             "helo": chance.choice(("d0.example", "mail.h0.example", "[192.0.2.1]")),
             "zone": some_zone(chance)} for _ in range(count)]


# -- records that may be wrong ----------------------------------------------------------------------

WHOLE = ("v=spf1 a mx:%{d1r-}.x.example/24//64 ip4:192.0.2.0/24 exists:%{ir}.%{v}._s.%{d2} -all",
         "v=spf1 include:_s.example.com ip6:2001:db8::1/32 ?ptr:x.example ~all moo.x=%{c}%%",
         "V=SPF1  a/0 ip6:::ffff:1.2.3.4/128 redirect=%{l}.example. exp=%{o}.e-x.example")


def broken(seed, count):
    """Good records with a few octets put in, changed, doubled or taken out."""
    chance = random.Random(seed)
    records = []
    for _ in range(count):
        octets = list(chance.choice(WHOLE))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(6, len(octets))
            new = chr(chance.randrange(256)) if chance.random() < .5 else \
                chance.choice("/:.%{}-_=+0123456789 aArR\0")
            octets[at:at + chance.randint(0, 1)] = chance.choice(([new], [new], [], [octets[at]] * 2))
        records.append("".join(octets))
    return records
