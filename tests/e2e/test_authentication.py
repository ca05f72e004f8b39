"""Who sent it: what comes in is checked, what goes out is signed, and explain says by what."""

import concurrent.futures
import email
import json
import os
import re
import signal
import socket

import dkim
import pytest

from lab.net import privileged
from lab.process import wait_for
from lab.sink import Script
from signed import Signed, fields
from world import BOB, JACK

AUTHOR = "ceo"


class Sender:
    """A domain below peers.example with a DMARC policy, whose mail may come from `address`."""

    def __init__(self, world, policy, spf="v=spf1 -all"):
        self.world, self.domain = world, world.name()
        self.label = self.domain.split(".")[0]
        world.peers.txt(self.label, spf)
        if policy:
            world.peers.txt(f"_dmarc.{self.label}", policy)
        world.dns.update()

    def content(self, subject="hello"):
        return f"From: {AUTHOR}@{self.domain}\nSubject: {subject}\n\nhello\n"

    def send(self, running, **more):
        return running.receive(BOB[0], self.content(), sender=f"{AUTHOR}@{self.domain}", **more)


def refused_id(reply):
    return re.search(r"\(([0-9A-Z]{16})\)", reply.text)[1]


@pytest.fixture(scope="module")
def running(module_world):
    return module_world.gateway()


# -- DMARC ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("policy,code,finding", [
    ("v=DMARC1; p=reject", 550, "dmarc_fail_reject"),
    ("v=DMARC1; p=reject; t=y", 250, "dmarc_fail_quarantine"),
    ("v=DMARC1; p=quarantine", 250, "dmarc_fail_quarantine"),
    ("v=DMARC1; p=quarantine; t=y", 250, "dmarc_fail_none"),
    ("v=DMARC1; p=none", 250, "dmarc_fail_none"),
], ids=lambda v: v if isinstance(v, str) else None)
def test_what_the_author_asks_for(world, running, policy, code, finding):
    sender = Sender(world, policy)
    reply = sender.send(running)
    assert reply.code == code, reply
    identifier = refused_id(reply) if code == 550 else reply.text.split()[-1]
    running.explained(identifier, sender.domain, "RFC 9989")

    def names():
        events = json.loads(running.gateway.command("trace", identifier, "--json").stdout)
        return {event.get("name") for event in events if event["event"] == "finding"}

    wait_for(lambda: {finding, "spf_fail"} <= names(), 10, "the findings")
    held = [m for m in running.gateway.queue() if m["id"] == identifier and m["hold"]]
    assert bool(held) == (finding == "dmarc_fail_quarantine")
    if code == 250 and not held:
        mail = running.mailboxes.wait(1)[-1]
        results = fields(mail.content, "Authentication-Results")[0]
        assert results.startswith("mx.kartapuce.com;") and "spf=fail" in results
        assert "dmarc=fail" in results and f"header.from={sender.domain}" in results
        assert "dmarc=fail spf=fail" in fields(mail.content, "X-Postern-Verdict")[0]


def test_aligned_spf_passes(world, running):
    sender = Sender(world, "v=DMARC1; p=reject", spf="v=spf1 ip4:127.0.0.0/8 -all")
    reply = sender.send(running)
    assert reply.code == 250, reply
    before = reply.text.split()[-1]
    running.explained(before, "the domain of the author is authenticated", sender.domain)
    wait_for(lambda: any(sender.domain.encode() in m.content for m in running.mailboxes.mails), 10,
             "the mail")
    mail = next(m for m in running.mailboxes.mails if sender.domain.encode() in m.content)
    results = fields(mail.content, "Authentication-Results")[0]
    assert "dmarc=pass" in results and "spf=pass" in results


def test_no_answer_is_not_a_pass(world, running):
    """A signed zone whose signatures are wrong: later, not now (RFC 9989 5.3.6)."""
    reply = running.receive(BOB[0], "From: a@bogus.example\nSubject: x\n\nx\n",
                            sender="a@bogus.example")
    assert reply.code == 451, reply


def test_local_exception(world):
    sender = Sender(world, "v=DMARC1; p=reject")
    running = world.gateway({"authentication": {"dmarc": {"exceptions": [
        {"domain": sender.domain, "reason": "their lists break signatures"}]}}})
    reply = sender.send(running)
    assert reply.code == 250, reply
    running.explained(reply.text.split()[-1], "their lists break signatures")
    assert "dmarc=fail" in fields(running.mailboxes.wait()[0].content, "Authentication-Results")[0]


def test_enforcement_can_be_off(world):
    sender = Sender(world, "v=DMARC1; p=reject")
    running = world.gateway({"authentication": {"dmarc": {"enforce": False}}})
    assert sender.send(running).code == 250


def findings(running, identifier):
    """The names of the findings about a message, once it is told how it ended."""
    running.explained(identifier, "own_domain", "The client was told")
    events = json.loads(running.gateway.command("trace", identifier, "--json").stdout)
    return [event.get("name") for event in events if event["event"] == "finding"]


@pytest.mark.parametrize("sender", ["someone@peers.example", "ceo@kartapuce.com"])
def test_our_domain_from_outside_is_told(running, sender):
    """From has our domain, which has no DMARC record; the mail may be honest, so it is tagged."""
    reply = running.receive(BOB[0], "From: ceo@kartapuce.com\nSubject: own\n\nx\n", sender=sender)
    assert reply.code == 250, reply
    names = findings(running, reply.text.split()[-1])
    assert names.count("own_domain_unproven") == (2 if sender.endswith("kartapuce.com") else 1)


def test_claims_in_our_name_are_removed(running):
    content = ("Authentication-Results: mx.kartapuce.com; dmarc=pass header.from=bank.example\n"
               "Authentication-Results: MX.KARTAPUCE.COM (ours) 1; spf=pass\n"
               "X-Postern-Verdict: action=accept dmarc=pass\n"
               "Authentication-Results: dmarc=pass header.from=bank.example\n"
               "Authentication-Results: other.example; spf=pass\n"
               "From: a@peers.example\nSubject: claims\n\nx\n")
    before = len(running.mailboxes.mails)
    assert running.receive(BOB[0], content).code == 250
    mail = running.mailboxes.wait(before + 1)[before]
    results = fields(mail.content, "Authentication-Results")
    assert len(results) == 2 and results[1].startswith("other.example")
    assert "bank.example" not in results[0]
    assert len(fields(mail.content, "X-Postern-Verdict")) == 1


# -- DKIM and ARC -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def signed(module_world):
    return Signed(module_world)


def test_what_users_send_is_signed(signed):
    identifier = signed.running.submit("tom@far.example", "Subject: signed\nTo: tom@far.example\n\n"
                                       "indicators of compromise\n", user=signed.user)
    mail = signed.far.wait()[-1]
    assert len(fields(mail.content, "DKIM-Signature")) == 2
    for index in range(2):
        assert dkim.DKIM(mail.content).verify(index, dnsfunc=signed.dns), index
    text = signed.running.explained(identifier, f"It was signed for {signed.domain}")
    assert "rsa-sha256" in text and "ed25519-sha256" in text
    assert not fields(mail.content, "Authentication-Results")


def test_fields_cannot_be_added_to_what_is_signed(signed):
    before = len(signed.far.mails)
    signed.running.submit("tom@far.example", "Subject: oversigned\n\nx\n", user=signed.user)
    content = signed.far.wait(before + 1)[before].content
    for field in (b"From: ceo@bank.example\r\n", b"Subject: other\r\n", b"To: all@x.example\r\n"):
        assert not dkim.DKIM(field + content).verify(0, dnsfunc=signed.dns), field


GREETING = "Grüße aus Zürich"
PLAIN = f"""Subject: greeting
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{GREETING}
"""
SIGNED_PART = f"""Subject: signed by hand
MIME-Version: 1.0
Content-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{GREETING}
--b
Content-Type: application/pgp-signature

signature
--b--
"""


def verifies(content, index, signed):
    try:
        return dkim.DKIM(content).verify(index, dnsfunc=signed.dns)
    except dkim.ValidationError:
        return False


@pytest.mark.parametrize("encode,holds", [(True, True), (False, False)])
def test_a_signature_over_8_bit_text(world, encode, holds):
    """RFC 6376 5.3: a server that takes 7 bits only gets what was signed."""
    bare = world.sink(Script(extensions=("PIPELINING",)))
    signed = Signed(world, {
        "routes": [{"domain": "far.example", "to": f"smtp://{bare.address}:{bare.port}"}],
        "authentication": {"dkim": {"publish_wait": "0s", "encode_8bit": encode}}})
    identifier = signed.running.submit("tom@far.example", PLAIN, user=signed.user,
                                       mail_parameters="BODY=8BITMIME")
    content = bare.wait()[0].content
    assert content.isascii()
    parsed = email.message_from_bytes(content)
    assert parsed.get_payload(decode=True).decode().strip() == GREETING
    for index in range(2):
        assert verifies(content, index, signed) == holds, index
    signed.running.explained(identifier, "Its 8-bit content was encoded as 7 bits; " + (
        "a signature over 7 bits holds" if encode else "the next server does not take 8-bit mail"))


def test_what_is_signed_by_hand_is_not_encoded(signed):
    before = len(signed.far.mails)
    identifier = signed.running.submit("tom@far.example", SIGNED_PART, user=signed.user,
                                       mail_parameters="BODY=8BITMIME")
    content = signed.far.wait(before + 1)[before].content
    assert GREETING.encode() in content and "=C3" not in content.decode()
    assert dkim.DKIM(content).verify(0, dnsfunc=signed.dns)
    signed.running.explained(identifier, "left as it is, because a part is signed or encrypted")


def test_who_signs_can_be_told(world):
    signed = Signed(world)
    gateway = signed.running.gateway
    configuration = dict(gateway.configuration)
    configuration["authentication"] = {"dkim": {"publish_wait": "0s", "rules": [
        {"sender": f"bob@{signed.domain}", "sign": False}]}}
    gateway.reload(configuration)
    signed.running.submit("tom@far.example", "Subject: unsigned\n\nx\n", user=signed.user)
    assert not fields(signed.far.wait()[-1].content, "DKIM-Signature")


def test_our_own_gateways_verify_each_other(world, signed):
    """What one signs, another one takes although SPF fails: DMARC passes by DKIM."""
    world.peers.txt(f"_dmarc.{signed.label}", "v=DMARC1; p=reject")
    world.peers.txt(signed.label, "v=spf1 -all")
    world.dns.update()
    before = len(signed.far.mails)
    signed.running.submit("tom@far.example", "Subject: on its way\n\nx\n", user=signed.user)
    content = signed.far.wait(before + 1)[before].content.decode()
    receiver = world.gateway()
    reply = receiver.receive(BOB[0], content.replace("\r\n", "\n"), sender=f"bob@{signed.domain}")
    assert reply.code == 250, reply
    results = fields(receiver.mailboxes.wait()[0].content, "Authentication-Results")[0]
    assert "dmarc=pass" in results and results.count("dkim=pass") == 2 and "spf=fail" in results
    altered = content.replace("Subject: on its way", "Subject: changed")
    reply = receiver.receive(BOB[0], altered.replace("\r\n", "\n"), sender=f"bob@{signed.domain}")
    assert reply.code == 550, reply
    receiver.explained(refused_id(reply), "RFC 9989", signed.domain)


def test_forwarded_mail_is_sealed_and_believed(world, signed):
    """A p=reject author, forwarded by us with a changed envelope: whoever trusts us takes it."""
    author = Sender(world, "v=DMARC1; p=reject", spf="v=spf1 ip4:127.0.0.0/8 -all")
    before = len(signed.far.mails)
    reply = signed.running.receive(f"away@{signed.domain}", author.content("forwarded"),
                                   sender=f"{AUTHOR}@{author.domain}")
    assert reply.code == 250, reply
    mail = signed.far.wait(before + 1)[before]
    assert mail.reverse_path.startswith("SRS0=") and mail.reverse_path.endswith(signed.domain)
    cv, results, reason = dkim.ARC(mail.content).verify(dnsfunc=signed.dns)
    assert cv == dkim.CV_Pass, reason
    signed.running.explained(reply.text.split()[-1], "It was sealed for", "SRS0=")
    world.peers.records = [r for r in world.peers.records if r[0] != author.label]
    world.peers.txt(author.label, "v=spf1 -all")
    world.dns.update()
    content = mail.content.decode().replace("\r\n", "\n")
    stranger = world.gateway()
    assert stranger.receive(JACK[0], content, sender=mail.reverse_path).code == 550
    trusting = world.gateway({"authentication": {"arc": {"trusted_sealers": [signed.domain]}}})
    reply = trusting.receive(JACK[0], content, sender=mail.reverse_path)
    assert reply.code == 250, reply
    results = fields(trusting.mailboxes.wait()[0].content, "Authentication-Results")[0]
    assert "arc=pass" in results and "dmarc=fail" in results
    trusting.explained(reply.text.split()[-1], signed.domain)


def test_not_to_know_of_a_key_is_not_to_have_none(signed):
    """A filter that has started while the vault says nothing: later, not unsigned."""
    gateway = signed.running.gateway
    before = len(signed.far.mails)
    vault, = gateway.roles()["vault"]
    old, = gateway.roles()["filter"]
    os.kill(vault, signal.SIGSTOP)
    try:
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: gateway.roles().get("filter", [old]) != [old], 15, "another filter",
                 step=0.1)
        with signed.running.logged_in(signed.user) as client:
            reply = client.mail(signed.user[0], ["tom@far.example"],
                                f"From: {signed.user[0]}\nSubject: early\n\nx\n")
        assert reply.code == 451, reply
    finally:
        os.kill(vault, signal.SIGCONT)
    wait_for(gateway.ready, 15, "all roles", step=0.1)
    signed.running.submit("tom@far.example", "Subject: late\n\nx\n", user=signed.user)
    assert fields(signed.far.wait(before + 1)[before].content, "DKIM-Signature")


def metric(running, role, name):
    return sum(one["metrics"].get(name, 0) for one in running.gateway.status()["roles"]
               if one["role"] == role)


def test_what_the_resolver_knows_is_read_and_not_asked(world):
    """The second message of a sender asks nothing that the first has learned, also after the
    resolver has died. (That a name does not exist holds for no time in these zones.)"""
    running = world.gateway()
    gateway = running.gateway
    for life in range(2):
        sender = Sender(world, "v=DMARC1; p=none", spf="v=spf1 ip4:127.0.0.0/8 -all")
        counts = [(metric(running, "resolver", "dns_answers_total"),
                   metric(running, "filter", "dns_read_total"))]
        for _ in range(2):
            assert sender.send(running).code == 250
            counts.append((metric(running, "resolver", "dns_answers_total"),
                           metric(running, "filter", "dns_read_total")))
        (before, _), (first, read), (second, read_again) = counts
        assert first >= before + 2  # SPF, DMARC
        assert second == first
        assert read_again >= read + 2
        if life == 0:
            old, = gateway.roles()["resolver"]
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: gateway.roles().get("resolver", [old]) != [old] and gateway.ready(),
                     15, "another resolver", step=0.1)


@pytest.mark.skipif(not privileged(), reason="a name server needs port 53")
def test_slow_servers_of_some_keep_nobody_elses_mail(world):
    """More messages wait for a silent name server than there are workers."""
    count = 12
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((world.net.fresh(), 53))
    slow = world.name().split(".")[0]
    world.peers.record(slow, "NS", f"ns.{slow}").a(f"ns.{slow}", silent.getsockname()[0])
    senders = [Sender(world, "v=DMARC1; p=reject", f"v=spf1 include:i{n}.{slow}.peers.example -all")
               for n in range(count)]
    running = world.gateway({"workers": {"filter": 2},
                             "resolver": {"timeout": "4s", "message_timeout": "6s"}})
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(sender.send, running) for sender in senders]
        wait_for(lambda: metric(running, "filter", "filter_messages_open") >= count, 10,
                 "all under way", step=0.05)
        assert running.receive(BOB[0]).code == 250
        running.submit("tom@far.example", "Subject: ours\n\nx\n")
        assert not any(one.done() for one in waiting)
        assert {one.result().code for one in waiting} == {451}
    silent.close()


def test_a_dead_vault_defers_mail(signed):
    """Nothing leaves unsigned because the vault is away for a moment."""
    gateway = signed.running.gateway
    before = len(signed.far.mails)
    pid = gateway.roles()["vault"][0]
    os.kill(pid, signal.SIGKILL)
    with signed.running.logged_in(signed.user) as client:
        reply = client.mail(signed.user[0], ["tom@far.example"],
                            f"From: {signed.user[0]}\nSubject: retry\n\nx\n")
    assert reply.code in (250, 451), reply
    wait_for(lambda: pid not in gateway.roles().get("vault", [pid]) and gateway.ready(), 15,
             "the vault again", step=0.1)
    if reply.code == 250:
        content = signed.far.wait(before + 1)[before].content
        assert fields(content, "DKIM-Signature")
