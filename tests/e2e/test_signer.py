"""Keys of certificates are with the signer alone, and TLS goes on when it does not."""

import hashlib
import os
import re
import shutil
import signal
import ssl
import threading

import pytest

from lab.gateway import merged
from lab.process import run, wait_for
from world import BOB

PLAIN = "From: a@b.example\nSubject: test\n\nhello\n"


def trusting():
    """For a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# ---- who has a key

def secrets(key):
    """What of a private key cannot be anywhere by chance: numbers in either order, and its text."""
    text = run(["openssl", "pkey", "-in", key, "-noout", "-text"]).stdout
    numbers = re.findall(r"^(?:priv|prime1|prime2|privateExponent):\n((?: +[0-9a-f:]+\n)+)", text,
                         re.M)
    assert numbers
    found = [key.read_bytes().splitlines()[1]]
    for number in numbers:
        octets = bytes.fromhex("".join(number.split()).replace(":", "")).lstrip(b"\0")
        found += [octets, octets[::-1]]
    return found


def memory(pid):
    """All that a process may read of its own memory, part by part."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as octets:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or "[v" in line:
                continue
            octets.seek(begin)
            try:
                yield octets.read(end - begin)
            except OSError:
                continue                                # a guard page


def holds(pid, wanted):
    return any(secret in part for part in memory(pid) for secret in wanted)


def descriptors(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]


@pytest.mark.skipif(os.geteuid() != 0, reason="looks into other users' processes")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_no_edge_has_a_key(world, kind):
    certificate = world.ca.issue("mx.kartapuce.com", kind=kind)
    running = world.gateway({"tls": {"certificates": [
        {"certificate": str(certificate.certificate), "key": str(certificate.key)}]}})
    wanted = secrets(certificate.key)
    for kind_of_listener in ("mx", "smtps"):
        tls = world.ca.client_context(check_name=False)
        with running.dialogue(kind_of_listener,
                              **({"tls": tls} if kind_of_listener == "smtps" else {})) as client:
            if kind_of_listener == "mx":
                client.ehlo()
                client.starttls(tls)
            client.ehlo()
    running.gateway.reload(running.gateway.configuration)
    roles = running.gateway.roles()
    assert holds(roles["signer"][0], wanted)            # it would be found
    for role, pids in roles.items():
        if role == "signer":
            continue
        for pid in pids:
            assert not holds(pid, wanted), role
            assert not [name for name in descriptors(pid) if "memfd:key" in name], role


def test_the_self_signed_key_is_with_the_signer_too(world):
    running = world.gateway({"tls": {"certificates": None}})
    state = running.gateway.directory / "state"
    with running.dialogue("smtps", tls=trusting()) as client:
        shown = hashlib.sha256(client.socket.getpeercert(binary_form=True)).hexdigest()
    own = run(["openssl", "x509", "-in", state / "self-signed.pem", "-noout", "-fingerprint",
               "-sha256"]).stdout.split("=")[1].strip().replace(":", "").lower()
    assert shown == own
    if os.geteuid() == 0:
        wanted = secrets(state / "self-signed.key")
        roles = running.gateway.roles()
        assert holds(roles["signer"][0], wanted)
        assert not any(holds(pid, wanted) for pid in roles["edge"])


# ---- old clients

def test_no_rsa_key_exchange_at_any_listener(world):
    certificate = world.ca.issue("mx.kartapuce.com", kind="rsa")
    running = world.gateway({"tls": {
        "ciphers": "ECDHE+AES:RSA+AES",
        "certificates": [{"certificate": str(certificate.certificate),
                          "key": str(certificate.key)}]}})
    for ciphers, taken in (("ECDHE-RSA-AES128-SHA", True), ("AES128-SHA", False),
                           ("AES256-GCM-SHA384", False)):
        tls = trusting()
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        tls.set_ciphers(ciphers)
        with running.dialogue() as client:
            client.ehlo()
            if taken:
                client.starttls(tls)
                client.ehlo()
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    client.starttls(tls)


# ---- a signer that dies, and keys that change, under load

class Load:
    """Clients that connect, begin TLS and send a message, over and over, until stop()."""

    def __init__(self, world, running, clients=3):
        self.running, self.tls = running, world.ca.client_context(check_name=False)
        self.done, self.put_off, self.broken = 0, 0, []
        self.ended, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.loop) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def loop(self):
        while not self.ended.is_set():
            try:
                outcome = self.one()
            except (OSError, AssertionError) as error:
                outcome = error
            with self.lock:
                if outcome == "done":
                    self.done += 1
                elif outcome == "put off":
                    self.put_off += 1
                else:
                    self.broken.append(outcome)

    def one(self):
        with self.running.dialogue() as client:
            client.ehlo()
            reply = client.command("STARTTLS")
            if reply.code == 454:
                return "put off"
            assert reply.code == 220, reply
            client._wrap(self.tls, None)
            client.ehlo()
            assert client.mail("a@b.example", BOB[0], PLAIN).code == 250
            return "done"

    def until(self, more):
        """Waits for so many more messages."""
        goal = self.done + more
        wait_for(lambda: self.done >= goal, 30, f"{more} more messages", step=0.05)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_a_killed_signer_comes_back_under_load(world):
    running = world.gateway()
    load = Load(world, running)
    try:
        for _ in range(3):
            load.until(20)
            pid = running.gateway.roles()["signer"][0]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: running.gateway.roles().get("signer", [0])[0] not in (0, pid), 15,
                     "another signer", step=0.1)
        load.until(20)
    finally:
        load.stop()
    # Whoever was in the middle of a handshake lost the connection before anything was acknowledged.
    assert all(not isinstance(error, AssertionError) for error in load.broken), load.broken
    assert len(load.broken) <= 3 * len(load.threads), load.broken
    assert len(running.mailboxes.wait(load.done)) == load.done


def test_new_keys_under_load_drop_no_connection(world):
    running = world.gateway()
    fingerprints = {running.certificate.fingerprint()}
    load = Load(world, running)
    try:
        for kind in ("ec", "rsa", "ec"):
            before = running.dialogue()                 # began with the old certificate
            before.ehlo()
            fresh = world.ca.issue("mx.kartapuce.com", kind=kind)
            fingerprints.add(fresh.fingerprint())
            running.gateway.reload(merged(running.gateway.configuration, {"tls": {"certificates": [
                {"certificate": str(fresh.certificate), "key": str(fresh.key)}]}}))
            load.until(10)
            with running.dialogue("smtps") as client:
                shown = client.socket.getpeercert(binary_form=True)
                assert hashlib.sha256(shown).hexdigest() == fresh.fingerprint()
            before.starttls(world.ca.client_context(check_name=False))
            before.ehlo()
            assert before.mail("a@b.example", BOB[0], PLAIN).code == 250
            before.close()
    finally:
        load.stop()
    assert not load.broken and not load.put_off, load.broken
    assert len(fingerprints) == 4
    assert len(running.mailboxes.wait(load.done + 3)) == load.done + 3


def test_status_tells_of_the_signer(world):
    running = world.gateway()
    with running.dialogue("smtps") as client:
        client.ehlo()
    metrics = next(role["metrics"] for role in running.gateway.status()["roles"]
                   if role["role"] == "signer")
    assert metrics["signer_keys"] == 1
    assert metrics["signer_signatures_total"] >= 1
    assert metrics["signer_refused_total"] == 0


def test_a_pair_that_is_replaced_in_place_is_taken(world):
    running = world.gateway()
    fresh = world.ca.issue("mx.kartapuce.com", "kartapuce.com", kind="rsa")
    shutil.copy(fresh.key, running.certificate.key)
    shutil.copy(fresh.certificate, running.certificate.certificate)

    def shown():
        with running.dialogue("smtps") as client:
            return hashlib.sha256(client.socket.getpeercert(binary_form=True)).hexdigest()
    wait_for(lambda: shown() == fresh.fingerprint(), 15, "the new certificate", step=0.2)
