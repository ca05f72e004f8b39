"""Running gateways among others: what users submit is signed, what comes in is verified, and what
passes through keeps its signatures."""

import itertools

import pytest

from keys import ALGORITHMS
from lab.process import wait_for
from messages import ALSO, NAMES, UTF8, message
from others import Signature, tags_of
from signed import Signed, fields
from test_dkim import each_other
from world import BOB

FORMS = ("relaxed/relaxed", "simple/simple")


def marked(octets, mark):
    """A message that can be told from others: with one more field at the end of its header."""
    head, separator, body = octets.partition(b"\r\n\r\n")
    head = head.removesuffix(b"\r\n") + b"\r\nX-Mark: " + mark.encode()
    return head + (separator or b"\r\n") + body


def arrived(sink, mark, seconds=20):
    """The content of the message with that mark, once it is there."""
    line = b"X-Mark: " + mark.encode() + b"\r\n"
    return wait_for(lambda: next((m.content for m in sink.mails if line in m.content), None),
                    seconds, f"the message {mark}")


def parameters(name):
    return {"mail_parameters": "BODY=8BITMIME" + (" SMTPUTF8" if name in UTF8 else "")}


@pytest.fixture(scope="module")
def signed(module_world):
    return Signed(module_world)


# -- what users submit ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def submitted(signed):
    """name -> what arrived of the message that a user submitted"""
    with signed.running.logged_in(signed.user) as client:
        for number, name in enumerate(NAMES):
            reply = client.mail(signed.user[0], "tom@far.example",
                                marked(message(name, signed.domain), f"out-{number}"),
                                **parameters(name))
            assert reply.code == 250, (name, reply)
    return {name: arrived(signed.far, f"out-{number}") for number, name in enumerate(NAMES)}


@each_other
def test_they_verify_what_users_send(others, signed, submitted, other):
    expected = [Signature(signed.domain, key["selector"], "pass") for key in signed.keys]
    verifier, wrong = others[other], {}
    for name, content in submitted.items():
        if verifier.cannot(name, "relaxed", ""):
            continue
        found = verifier.verify(content)
        if set(found) != set(expected) or len(found) != len(expected):
            wrong[name] = found
    assert not wrong


def test_content_without_a_final_line_end(others, signed):
    octets = marked(message("no final line end", signed.domain), "chunk")
    with signed.running.logged_in(signed.user) as client:
        client.expect(250, f"MAIL FROM:<{signed.user[0]}>")
        client.expect(250, "RCPT TO:<tom@far.example>")
        client.raw(b"BDAT %d LAST\r\n" % len(octets) + octets)
        assert client.reply().code == 250
    content = arrived(signed.far, "chunk")
    for other in others.values():
        assert [one.result for one in other.verify(content)] == ["pass", "pass"], other.name


# -- what others send -------------------------------------------------------------------------------

def signed_by_all(others, keys, name, forms, domain):
    """A message with the signature of everybody who can make one of it; how many there are."""
    octets, count = message(name, domain), 0
    for other, algorithm in itertools.product(others.values(), ALGORITHMS):
        if not other.cannot_sign(name, forms.split("/")[0], algorithm):
            octets = other.sign(octets, keys[algorithm], *forms.split("/"), headers=ALSO)
            count += 1
    return octets, count


@pytest.fixture(scope="module")
def receiver(module_world):
    return module_world.gateway(users=(BOB,))


@pytest.fixture(scope="module")
def received(receiver, others, keys):
    """(name, forms) -> (what was sent, how many signatures it has, what arrived)"""
    domain, sent = keys["rsa-sha256"].domain, {}
    with receiver.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        for name, forms in itertools.product(NAMES, FORMS):
            octets, count = signed_by_all(others, keys, name, forms, domain)
            # In front of all, where no signature covers it.
            mark = f"in-{len(sent)}"
            reply = client.mail("joe@" + domain, BOB[0], f"X-Mark: {mark}\r\n".encode() + octets,
                                **parameters(name))
            assert reply.code == 250, (name, reply)
            sent[name, forms] = (octets, count, mark)
    return {case: (octets, count, arrived(receiver.mailboxes, mark))
            for case, (octets, count, mark) in sent.items()}


@pytest.mark.parametrize("forms", FORMS)
def test_we_verify_what_others_send(keys, received, forms):
    wrong = {}
    for name in NAMES:
        _, count, content = received[name, forms]
        results = fields(content, "Authentication-Results")[0]
        passes = [results.count(f"header.s={key.selector}") for key in keys.values()]
        if results.count("dkim=pass") != count or sum(passes) != count or "dkim=fail" in results:
            wrong[name] = results
        assert results.startswith("mx.kartapuce.com;") and count >= 1
    assert not wrong


@each_other
@pytest.mark.parametrize("forms", FORMS)
def test_signatures_survive_the_gateway(others, received, other, forms):
    """What another verifier takes before us it takes behind us."""
    verifier, wrong = others[other], {}
    for name in NAMES:
        octets, count, content = received[name, forms]
        if verifier.cannot(name, forms.split("/")[0], ""):
            continue
        before, after = verifier.verify(octets), verifier.verify(content)
        if before != after or len(after) != count:
            wrong[name] = (before, after)
    assert not wrong


@each_other
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("change", [(b"hungry", b"Hungry"), (b"dinner", b"lunch")],
                         ids=("body", "field"))
def test_what_was_changed_on_the_way(receiver, others, keys, other, algorithm, change):
    key, mark = keys[algorithm], f"changed-{other}-{algorithm}-{change[1].decode()}"
    octets = others[other].sign(message("plain", key.domain), key, "relaxed", "relaxed")
    with receiver.dialogue("mx") as client:
        client.ehlo("client.peers.example")
        client.mail("joe@" + key.domain, BOB[0],
                    f"X-Mark: {mark}\r\n".encode() + octets.replace(*change))
    content = arrived(receiver.mailboxes, mark)
    results = fields(content, "Authentication-Results")[0]
    assert results.count("dkim=fail") == 1 and "dkim=pass" not in results
    assert len(tags_of(content, "DKIM-Signature")) == 1
