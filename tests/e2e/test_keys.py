"""Keys from their making to their end: `postern key`, the vault and the DNS; and that private halves
are nowhere but in the vault."""

import base64
import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from lab.net import privileged
from lab.process import wait_for
from world import BOB

WAIT = 2                                # seconds of authentication.dkim.publish_wait


class Keys:
    """A domain below peers.example, and a gateway that is to sign for it."""

    def __init__(self, world):
        self.world, self.domain = world, world.name()
        self.running = world.gateway({
            "domains": [{"name": name, "delivery": "lmtp://127.0.0.1:24", "recipients": "any"}
                        for name in ("kartapuce.com", self.domain)],
            "authentication": {"dkim": {"publish_wait": f"{WAIT}s"}},
        }, users=())
        self.gateway = self.running.gateway

    def command(self, *words, **more):
        return self.gateway.command("key", *words, **more)

    def json(self, *words):
        return json.loads(self.command(*words, "--json").stdout)

    def check(self, *selector):
        """(exit status, keys) of `postern key check`."""
        done = self.command("check", self.domain, *selector, "--json", check=False)
        return done.returncode, json.loads(done.stdout)

    def list(self):
        return {key["selector"]: key for key in self.json("list", self.domain)}

    def state(self, selector):
        return self.list().get(selector, {"state": "gone"})["state"]

    def wait_state(self, selector, state, seconds=20):
        wait_for(lambda: self.state(selector) == state, seconds, f"{selector} {state}", step=0.2)

    def _label(self, selector):
        return f"{selector}._domainkey.{self.domain.split('.')[0]}"

    def publish(self, *keys, text=None):
        for key in keys:
            self.withdraw(key, update=False)
            self.world.peers.txt(self._label(key["selector"]), text or key["record"], ttl=1)
        self.world.dns.update()

    def withdraw(self, key, update=True):
        peers = self.world.peers
        label = self._label(key["selector"])
        peers.records = [record for record in peers.records if record[0] != label]
        if update:
            self.world.dns.update()


@pytest.fixture
def keys(world):
    return Keys(world)


def test_life_of_keys(keys):
    made = keys.json("generate", keys.domain)
    assert sorted(key["algorithm"] for key in made) == ["ed25519", "rsa"]
    assert all(re.fullmatch(r"p\d{6}[re]", key["selector"]) for key in made)
    assert all(key["state"] == "pending" for key in keys.list().values())

    # What is not in the DNS does not come into use.
    done = keys.command("check", keys.domain, check=False)
    text = done.stdout
    assert done.returncode == 1 and text.count("the DNS has no such record") == 2 and "should be: v=DKIM1; k=rsa; p=" in text

    keys.publish(*made)
    status, shown = keys.check()
    assert status == 0 and {key["state"] for key in shown} <= {"published", "active"}
    for key in made:
        keys.wait_state(key["selector"], "active")
        assert keys.list()[key["selector"]]["dns"] == "shown"
    metrics = {name: value for role in keys.gateway.status()["roles"]
               if role["role"] == "vault" for name, value in role["metrics"].items()}
    assert metrics["keys_active"] == 2 and metrics["keys_pending"] == 0

    successors = keys.json("rotate", keys.domain)
    assert len(successors) == 2
    assert not {key["selector"] for key in successors} & {key["selector"] for key in made}
    refused = keys.command("rotate", keys.domain, check=False)
    assert refused.returncode == 1 and "wait for the DNS already" in refused.stderr
    assert all(keys.state(key["selector"]) == "active" for key in made)
    keys.publish(*successors)
    for old, new in zip(made, successors):
        keys.wait_state(new["selector"], "active")
        assert keys.state(old["selector"]) == "retiring"

    old = made[0]
    keys.command("retire", keys.domain, old["selector"], "--now")
    assert keys.state(old["selector"]) in ("retired", "gone")
    keys.withdraw(old)
    wait_for(lambda: keys.check() and keys.state(old["selector"]) == "gone",
             20, "forgotten", step=1)
    # Its selector is never given again.
    again = keys.command("generate", keys.domain, "--algorithm", old["algorithm"], "--selector",
                         old["selector"], check=False)
    assert again.returncode == 1 and "never used again" in again.stderr

    before = keys.list()
    os.kill(keys.gateway.roles()["vault"][0], signal.SIGKILL)
    wait_for(keys.gateway.ready, 20, "ready again")
    after = keys.list()
    assert {s: k["state"] for s, k in before.items()} == {s: k["state"] for s, k in after.items()}


def test_an_active_key_vanishes_from_the_dns(keys):
    key, = keys.json("generate", keys.domain, "--algorithm", "ed25519")
    keys.publish(key)
    keys.wait_state(key["selector"], "active")
    assert not [w for w in keys.gateway.status()["warnings"] if "key" in w]
    keys.withdraw(key)
    wait_for(lambda: keys.check()[1][0]["dns"] == "absent", 10, step=0.5)
    assert keys.state(key["selector"]) == "active"     # one answer stops nothing
    warning, = [w for w in keys.gateway.status()["warnings"] if key["selector"] in w]
    assert "signs, but is not in the DNS since" in warning
    keys.publish(key)
    wait_for(lambda: keys.check()[1][0]["dns"] == "shown", 10, step=0.5)
    assert not [w for w in keys.gateway.status()["warnings"] if key["selector"] in w]


def test_a_record_is_seen_as_soon_as_it_is_there(keys):
    """The answer of the moment after `generate` is not kept for who asks again."""
    key, = keys.json("generate", keys.domain, "--algorithm", "ed25519")
    keys.world.peers.txt(keys._label(key["selector"]), "v=DKIM1; k=ed25519; p=", ttl=600)
    keys.world.dns.update()
    assert keys.check()[0] == 1
    keys.publish(key)
    wait_for(lambda: keys.check()[0] == 0, 5, "the key in the DNS", step=0.3)


@pytest.mark.parametrize("text, dns", [
    ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "different"),
    ("v=DKIM1; k=ed25519; p=", "revoked"),
    ("v=spf1 -all", "unreadable"),
])
def test_another_record_in_its_place(keys, text, dns):
    key, = keys.json("generate", keys.domain, "--algorithm", "ed25519")
    keys.publish(key, text=text)
    status, (shown,) = keys.check(key["selector"])
    assert status == 1
    assert (shown["state"], shown["dns"], shown["dns_shows"]) == ("pending", dns, text)
    # under its former name too
    assert text in keys.command("publish", keys.domain, key["selector"], check=False).stdout


def test_records_are_zone_file_lines(keys):
    keys.command("generate", keys.domain)
    zone = keys.command("list", keys.domain, "--records").stdout
    for key in keys.list().values():
        name = key["record_name"]
        lines = re.search(rf"^{re.escape(name)}\. IN TXT (\([^)]*\)|\"[^\"]*\")$", zone, re.M)
        strings = re.findall(r'"([^"]*)"', lines[1])
        assert "".join(strings) == key["record"]
        assert all(len(string) <= 255 for string in strings)


def test_import(keys, tmp_path):
    for kind, more in (("rsa", ["-pkeyopt", "rsa_keygen_bits:2048"]), ("ed25519", [])):
        path = tmp_path / f"{kind}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", kind, "-out", path, *more], check=True,
                       capture_output=True)
        key, = keys.json("import", keys.domain, "--selector", f"old-{kind}", str(path))
        assert (key["algorithm"], key["imported"], key["state"]) == (kind, True, "pending")
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        public = base64.b64decode(key["record"].split("p=")[1])
        assert public == (der if kind == "rsa" else der[-32:])
    broken = keys.command("import", keys.domain, "--selector", "x", "-", text="no key\n",
                          check=False)
    assert broken.returncode == 1 and "no private key in PEM form" in broken.stderr


@pytest.mark.parametrize("words, code, phrase", [
    (["generate", "kartapuse.com"], 1, "did you mean 'kartapuce.com'?"),
    (["generate", "kartapuce.com", "--algorithm", "dsa"], 2, "rsa, ed25519 or both"),
    (["generate", "kartapuce.com", "--bits", "1024"], 2, "2048, 3072 or 4096"),
    (["generate", "kartapuce.com", "--selector", "a"], 1, "a selector names one key"),
    (["generate", "kartapuce.com", "--algorithm", "rsa", "--selector", "-a"], 1, "letters, digits"),
    (["generate"], 2, "one domain"),
    (["publish", "kartapuce.com"], 1, "has no keys"),
    (["retire", "kartapuce.com", "none"], 1, "no key with the selector 'none'"),
    (["import", "kartapuce.com", "/nowhere"], 2, "--selector is wanted"),
    (["import", "kartapuce.com", "--selector", "a", "/nowhere"], 1, "cannot be read"),
    (["export", "kartapuce.com"], 2, "there is no 'export'"),
])
def test_refusals(plain, words, code, phrase):
    done = plain.gateway.command("key", *words, check=False)
    assert done.returncode == code and phrase in done.stderr, done.stderr


def private_octets(state):
    """A piece of a private key as the vault has it on disk."""
    for path in (state / "vault").iterdir():
        found = re.search(rb"-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/]{40})", path.read_bytes())
        if found:
            return found[1]
    raise AssertionError("no private key on disk")


def test_private_keys_stay_in_the_vault(keys):
    keys.command("generate", keys.domain, "--algorithm", "ed25519")
    state = Path(keys.gateway.configuration["directories"]["state"])
    secret = private_octets(state)
    assert stat.S_IMODE((state / "vault").stat().st_mode) == 0o700
    for path in (state / "vault").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in [p for p in state.rglob("*") if p.is_file() and p.parent.name != "vault"]:
        assert secret not in path.read_bytes(), path
    said = keys.command("list", "--json").stdout + keys.command("list", "--records").stdout
    assert secret.decode() not in said and "PRIVATE" not in said
    assert secret.decode() not in Path(keys.gateway.log).read_text()


@pytest.mark.skipif(not privileged(), reason="roles change their user only when started as root")
def test_no_other_role_can_read_them(keys):
    keys.command("generate", keys.domain, "--algorithm", "ed25519")
    state = Path(keys.gateway.configuration["directories"]["state"])
    uids = {}
    for role, pids in keys.gateway.roles().items():
        status = Path(f"/proc/{pids[0]}/status").read_text()
        uids[role] = int(re.search(r"^Uid:\s+(\d+)", status, re.M)[1])
    assert list(uids.values()).count(uids["vault"]) == 1
    read = f"import os, sys; os.setuid(int(sys.argv[1])); open({str(state / 'vault/keys.db')!r})"
    for role, uid in uids.items():
        done = subprocess.run(["python3", "-c", read, str(uid)], capture_output=True, text=True)
        assert (done.returncode == 0) == (role == "vault"), (role, done.stderr)
        assert role == "vault" or "PermissionError" in done.stderr
    limits = Path(f"/proc/{keys.gateway.roles()['vault'][0]}/limits").read_text()
    assert re.search(r"^Max core file size\s+0\s+0", limits, re.M)


def test_no_message_carries_a_private_key_out():
    """Of the messages that the vault sends, one has a secret field, and that is no key: the password for
    a next hop, which only the relay gets (decision 16). One that it gets has a key."""
    catalogue = Path(__file__).parents[2] / "src/ipc/messages.def"
    secrets, name, sender = set(), "", ""
    for line in catalogue.read_text().splitlines():
        words = line.split("#")[0].split()
        if words and words[0] in ("message", "reply", "record"):
            name, sender = words[1], " ".join(words[2:]).split("->")[0]
        elif words and words[0] == "secret":
            secrets.add((name, sender.strip()))
    assert {name for name, sender in secrets if "vault" in sender} == {"login_find_reply"}
    assert re.search(r"^reply login_find_reply vault -> relay$", catalogue.read_text(), re.M)
    assert ("key_import", "cli") in secrets


def test_mail_goes_on_without_the_vault(keys):
    """Signing is not all there is: what the vault is not needed for does not wait for it."""
    os.kill(keys.gateway.roles()["vault"][0], signal.SIGSTOP)
    try:
        with keys.running.dialogue() as client:
            client.ehlo("client.peers.example")
            client.expect(250, "MAIL FROM:<a@client.peers.example>")
            client.expect(250, f"RCPT TO:<{BOB[0]}>")
    finally:
        os.kill(keys.gateway.roles()["vault"][0], signal.SIGCONT)
