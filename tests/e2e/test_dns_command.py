"""postern dns: the records that a domain needs, and what the DNS shows of them."""

import json

import pytest

from lab.gateway import binary
from lab.process import run


def dns(file, *words, status=0):
    done = run([binary(), "dns", *map(str, words), "--config", file], check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status < 2 and not done.stderr else done.stderr


def records(file, *words, status=0):
    """{(name, type): record} of the answer."""
    answer = json.loads(dns(file, *words, "--json", status=status))
    return {(record["name"], record["type"]): record for record in answer["records"]}


@pytest.fixture
def file(world):
    return world.gateway(start=False).gateway.file


MX, DOMAIN = "mx.kartapuce.com", "kartapuce.com"


def test_snippet(file):
    text = dns(file, DOMAIN)
    lines = [line for line in text.splitlines() if line and not line.startswith(";")]
    assert lines[0] == f"{DOMAIN}. IN MX 10 {MX}."
    assert lines[1].split(None, 3)[0] == f"{DOMAIN}."
    assert f'"v=spf1 a:{MX} -all"' in lines[1]
    assert '"v=spf1 a -all"' in lines[2]
    assert f'"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"' in lines[3]
    assert "No Postern is running" in text


@pytest.mark.parametrize("spf, value", [
    ({}, f"v=spf1 a:{MX} -all"),
    ({"networks": ["192.0.2.0/28", "2001:db8::25"]},
     "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::25 -all"),
    ({"includes": ["_spf.example.net"]}, f"v=spf1 a:{MX} include:_spf.example.net -all"),
])
def test_spf_of_the_configuration(world, spf, value):
    file = world.gateway({"authentication": {"spf": spf}}, start=False).gateway.file
    assert records(file, DOMAIN)[DOMAIN, "TXT"]["value"] == value


def test_keys_of_the_running_gateway(plain):
    plain.gateway.command("key", "generate", DOMAIN)
    text = dns(plain.gateway.file, DOMAIN)
    assert text.count("._domainkey.kartapuce.com.") == 2
    # Strings of at most 255 octets.
    assert all(len(part) <= 255 for part in text.split('"')[1::2])
    assert "No Postern is running" not in text


def table(tmp_path, **changes):
    zone = {DOMAIN: [{"type": "MX", "pref": 5, "value": MX},
                     {"type": "TXT", "strings": ["something else"]},
                     {"type": "TXT", "strings": [f"v=spf1 a:{MX} ", "-all"]}],
            MX: [{"type": "A", "value": "192.0.2.25"}, {"type": "TXT",
                                                        "strings": ["v=spf1 a -all"]}],
            "_dmarc." + DOMAIN: [{"type": "TXT", "strings": ["v=DMARC1; p=reject"]}]}
    path = tmp_path / "zone.json"
    path.write_text(json.dumps({**zone, **changes}))
    return path


def test_everything_is_there(file, tmp_path):
    found = records(file, DOMAIN, "--verify", "--zone", table(tmp_path))
    assert {record["status"] for record in found.values()} == {"ok"}
    assert found["_dmarc." + DOMAIN, "TXT"]["remark"] == "a policy of your own"


def spf(*texts):
    return [{"type": "MX", "pref": 5, "value": MX}] + [{"type": "TXT", "strings": [text]}
                                                       for text in texts]


@pytest.mark.parametrize("changes, where, status, remark", [
    ({DOMAIN: []}, (DOMAIN, "MX"), "missing", ""),
    ({DOMAIN: [{"type": "MX", "pref": 5, "value": "mx.other.example"}]}, (DOMAIN, "MX"), "differs",
     ""),
    ({DOMAIN: spf()}, (DOMAIN, "TXT"), "missing", ""),
    ({DOMAIN: spf("v=spf1 mx ~all")}, (DOMAIN, "TXT"), "ok", "which permits this gateway"),
    ({DOMAIN: spf("v=spf1 ip4:198.51.100.1 -all")}, (DOMAIN, "TXT"), "differs",
     "does not permit this gateway"),
    ({DOMAIN: spf("v=spf1 mx -all", "v=spf1 -all")}, (DOMAIN, "TXT"), "differs", "not several"),
    ({"_dmarc." + DOMAIN: [{"type": "TXT", "strings": ["v=DMARC1; p=nonsense"]}]},
     ("_dmarc." + DOMAIN, "TXT"), "differs", "cannot be used"),
    ({"_dmarc." + DOMAIN: [{"type": "TXT", "error": "SERVFAIL"}]}, ("_dmarc." + DOMAIN, "TXT"),
     "unknown", "servfail"),
])
def test_what_is_wrong(file, tmp_path, changes, where, status, remark):
    path = table(tmp_path, **changes)
    found = records(file, DOMAIN, "--verify", "--zone", path, status=1)[where] \
        if status != "ok" else records(file, DOMAIN, "--verify", "--zone", path)[where]
    assert found["status"] == status and remark in found["remark"]
    text = dns(file, DOMAIN, "--verify", "--zone", path, status=1 if status != "ok" else 0)
    assert f"; {status}" in text


def test_live(world):
    """Against a DNS: first nothing of the keys is there, then what was printed."""
    domain = world.name()
    running = world.gateway({"domains": [{"name": domain, "delivery": "lmtp://127.0.0.1:9"}],
                             "bounce": {"postmaster": f"bob@{domain}"}}, users=())
    file = running.gateway.file
    running.gateway.command("key", "generate", domain, "--algorithm", "ed25519")
    before = records(file, domain, "--verify", status=1)
    assert {record["status"] for (name, _), record in before.items() if domain in name} == {
        "missing"}
    label = domain.split(".")[0]
    for (name, kind), record in before.items():
        if name.endswith(domain):
            owner = name[:-len(domain)] + label
            if kind == "MX":
                world.peers.mx(10, record["value"] + ".", owner=owner)
            else:
                world.peers.txt(owner, record["value"])
    world.dns.update()
    after = records(file, domain, "--verify", status=1)
    assert {record["status"] for (name, _), record in after.items() if domain in name} == {"ok"}
    # The host's own SPF record is not in this DNS.
    assert after[MX, "TXT"]["status"] == "missing"


@pytest.mark.parametrize("words, complaint", [
    ((), "one domain at a time"),
    (("a.example", "b.example"), "one domain at a time"),
    (("--bogus",), "there is no option '--bogus'"),
])
def test_wrong_calls(words, complaint):
    done = run([binary(), "dns", *words], check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"postern dns: {complaint}")


def test_domain_of_somebody_else(file):
    assert "other.example is not among the domains" in dns(file, "other.example", status=1)
