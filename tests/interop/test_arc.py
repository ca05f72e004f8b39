"""ARC, SPF and DMARC among others: chains that several implementations made, mail that Postern
forwards, and what others make of the records that are published for it."""

import itertools
import json

import pytest

from check import ask, text, zone_of
from messages import NAMES, UTF8, message
from signed import Signed, fields
from test_gateway import arrived, marked, parameters
from world import BOB

SERVER = "seal.example"
SEALERS = ("python3-dkim", "mailauth")


class Chain:
    """A message that seals are put on, as by hosts that it passes one behind the other."""

    def __init__(self, others, key, octets):
        self.others, self.key, self.octets, self.count = others, key, octets, 0

    def seal(self, sealer):
        results = f"{SERVER}; dkim=none; arc={'pass' if self.count else 'none'}"
        if sealer == "python3-dkim":
            # It takes the results from a field of the message, which then does not count any more.
            field = f"Authentication-Results: {results}\r\n".encode()
            self.octets = self.others[sealer].seal(field + self.octets, self.key, SERVER)
            self.octets = self.octets.replace(field, b"", 1)
        else:
            cv = "pass" if self.count else "none"
            self.octets = self.others[sealer].seal(self.octets, self.key, results, cv)
        self.count += 1
        return self


def verified(keys, octets, name=""):
    return {"op": "arc-verify", "message": text(octets), "zone": zone_of(keys),
            "utf8": name in UTF8}


@pytest.fixture(scope="module")
def key(keys):
    return keys["rsa-sha256"]


@pytest.mark.parametrize("sealers", [(one,) for one in SEALERS]
                         + list(itertools.product(SEALERS, repeat=2))
                         + [("mailauth", "python3-dkim", "mailauth", "python3-dkim")], ids=" ".join)
def test_we_verify_their_chains(others, keys, key, sealers):
    chain = Chain(others, key, message("plain", key.domain))
    for sealer in sealers:
        chain.seal(sealer)
    changes = ((b"hungry", b"Hungry"), (b"dkim=none", b"dkim=pass"), (b"cv=none", b"cv=pass"))
    good, *changed = ask(*[verified(keys, octets) for octets in (
        chain.octets, *(chain.octets.replace(*change, 1) for change in changes))])
    assert good["result"] == "pass" and good["highest"] == len(sealers), good
    assert [one["result"] for one in changed] == ["fail"] * 3


@pytest.mark.parametrize("sealer", SEALERS)
def test_seals_over_peculiar_messages(others, keys, key, sealer):
    names = [name for name in NAMES if not others[sealer].cannot(name, "relaxed", "")]
    sealed = [Chain(others, key, message(name, key.domain)).seal(sealer).octets for name in names]
    answers = ask(*[verified(keys, octets, name) for octets, name in zip(sealed, names)])
    wrong = {name: answer for name, answer in zip(names, answers) if answer["result"] != "pass"}
    assert not wrong


# -- a gateway that forwards ------------------------------------------------------------------------

def publish(world, signed):
    """Puts into the DNS what `postern dns` wants there."""
    records = json.loads(signed.running.gateway.command("dns", signed.domain, "--json").stdout)
    for record in records["records"]:
        owner, label, zone = record["name"], *record["name"].split(".", 1)
        if owner.endswith(signed.domain):
            zone, label = "peers.example", owner.removesuffix(".peers.example")
        if record["type"] == "MX":
            world.dns.zone(zone).mx(record["preference"], record["value"] + ".", owner=label)
        elif record["value"] not in [key["record"] for key in signed.keys]:
            world.dns.zone(zone).txt(label, record["value"])
    world.dns.update()


@pytest.fixture(scope="module")
def forwarder(module_world):
    """A gateway that forwards mail for away@, with the records that its domain has to have."""
    signed = Signed(module_world)
    publish(module_world, signed)
    return signed


@pytest.fixture(scope="module")
def host(module_world):
    """The address of mx.kartapuce.com, which is what our gateways call themselves."""
    return module_world.net.host(10)


def forwarded(forwarder, octets, mark, sender, name=""):
    """(what arrived of it far away, its reverse path)"""
    with forwarder.running.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        reply = client.mail(sender, f"away@{forwarder.domain}",
                            f"X-Mark: {mark}\r\n".encode() + octets, **parameters(name))
        assert reply.code == 250, (name, reply)
    content = arrived(forwarder.far, mark)
    return content, next(m.reverse_path for m in forwarder.far.mails if m.content == content)


def test_they_verify_the_seals_of_forwarded_mail(others, forwarder, keys):
    """Peculiar messages, signed by one of the others: the seal holds, and so does the signature."""
    key, wrong = keys["ed25519-sha256"], {}
    signer = others["python3-dkim"]
    for number, name in enumerate(NAMES):
        octets, count = message(name, key.domain), 0
        if not signer.cannot_sign(name, "relaxed", key.algorithm):
            octets, count = signer.sign(octets, key, "relaxed", "relaxed"), 1
        content, _ = forwarded(forwarder, octets, f"away-{number}", f"joe@{key.domain}", name)
        for other in (others[sealer] for sealer in SEALERS):
            if not other.cannot(name, "relaxed", ""):
                found = other.arc(content), [one.result for one in other.verify(content)]
                if found[0][:2] != ("pass", 1) or found[1] != ["pass"] * count:
                    wrong[name, other.name] = found
    assert not wrong


@pytest.mark.parametrize("sealers", list(itertools.product(SEALERS, repeat=2)), ids=" ".join)
def test_our_seal_behind_theirs(others, forwarder, key, sealers):
    chain = Chain(others, key, message("plain", key.domain))
    for sealer in sealers:
        chain.seal(sealer)
    mark = "chain-" + "-".join(sealers)
    content, _ = forwarded(forwarder, chain.octets, mark, f"joe@{key.domain}")
    for sealer in SEALERS:
        assert others[sealer].arc(content)[:2] == ("pass", 3), (sealer, others[sealer].arc(content))
        assert others[sealer].arc(content.replace(b"hungry", b"Hungry"))[0] == "fail"


@pytest.fixture(scope="module")
def receiver(module_world):
    return module_world.gateway(users=(BOB,))


@pytest.mark.parametrize("sealer", SEALERS)
def test_their_seal_behind_ours(others, key, forwarder, receiver, sealer):
    """And back to a gateway of ours, which says what it thinks of the chain."""
    content, _ = forwarded(forwarder, message("plain", key.domain), f"ours-{sealer}",
                           f"joe@{key.domain}")
    chain = Chain(others, key, content)
    chain.count = 1
    octets = chain.seal(sealer).octets
    for mark, result, changed in (("whole", "pass", octets),
                                  ("broken", "fail", octets.replace(b"hungry", b"Hungry"))):
        mark = f"{mark}-{sealer}"
        with receiver.dialogue("mx") as client:
            client.ehlo("client.peers.example")
            assert client.mail("x@peers.example", BOB[0],
                               f"X-Mark: {mark}\r\n".encode() + changed).code == 250
        results = fields(arrived(receiver.mailboxes, mark), "Authentication-Results")[0]
        assert f"arc={result}" in results, results


def test_what_mailauth_makes_of_our_records(others, forwarder, host):
    """SPF, DKIM and DMARC of what a user sends; a forger's mail fails."""
    user, mailauth = forwarder.user[0], others["mailauth"]
    unsigned = message("plain", forwarder.domain)
    with forwarder.running.logged_in(forwarder.user) as client:
        assert client.mail(user, "tom@far.example", marked(unsigned, "records")).code == 250
    sent = arrived(forwarder.far, "records")
    for content, address, spf, dmarc in ((sent, host, "pass", "pass"),
                                         (sent, "192.0.2.9", "fail", "pass"),
                                         (unsigned, host, "pass", "pass"),
                                         (unsigned, "192.0.2.9", "fail", "fail")):
        found = mailauth.all(content, address=address, helo="mx.kartapuce.com", sender=user)
        assert (found["spf"], found["dmarc"]) == (spf, dmarc), (address, found)


def test_the_envelopes_of_what_we_send_pass_spf(others, forwarder, key, host):
    """Of forwarded mail, and of notices, whose empty path leaves the name in HELO."""
    content, reverse_path = forwarded(forwarder, message("plain", key.domain), "srs",
                                      f"joe@{key.domain}")
    assert reverse_path.startswith("SRS0=") and reverse_path.endswith(forwarder.domain)
    for sender, (address, result) in itertools.product(
            (reverse_path, ""), ((host, "pass"), ("192.0.2.9", "fail"))):
        found = others["mailauth"].all(content, address=address, helo="mx.kartapuce.com",
                                       sender=sender)
        assert found["spf"] == result, (sender, address, found)
