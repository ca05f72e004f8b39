"""DKIM both ways: others verify what Postern signs, Postern verifies what they sign."""

import itertools

import pytest

from check import ask, text, zone_of
from keys import ALGORITHMS
from messages import ALSO, NAMES, UTF8, message

FORMS = [f"{head}/{body}" for head, body in itertools.product(("simple", "relaxed"), repeat=2)]
OTHERS = ("opendkim", "python3-dkim", "mailauth")

both_forms = pytest.mark.parametrize("forms", FORMS)
each_other = pytest.mark.parametrize("other", OTHERS)


@pytest.fixture(scope="module")
def domain(keys):
    return keys["rsa-sha256"].domain


@pytest.fixture(scope="module")
def ours(keys, domain):
    """(name, forms) -> the message as Postern signs it with both keys."""
    wanted = [{"selector": key.selector, "pem": key.pem} for key in keys.values()]
    cases = list(itertools.product(NAMES, FORMS))
    requests = [{"op": "dkim-sign", "message": text(message(name, domain)), "domain": domain,
                 "keys": wanted, "head": forms.split("/")[0], "body": forms.split("/")[1]}
                for name, forms in cases]
    return {(name, forms): "".join(answer["fields"]).encode("latin-1") + message(name, domain)
            for (name, forms), answer in zip(cases, ask(*requests))}


def verify_request(keys, octets, name=""):
    return {"op": "dkim-verify", "message": text(octets), "zone": zone_of(keys),
            "utf8": name in UTF8}


# -- what Postern signs -----------------------------------------------------------------------------

@each_other
@both_forms
def test_they_verify_ours(others, ours, domain, other, forms):
    verifier, wrong = others[other], {}
    for name in NAMES:
        if verifier.cannot(name, forms.split("/")[0], ""):
            continue
        found = verifier.verify(ours[name, forms])
        if {one.domain for one in found} != {domain} or [o.result for o in found] != ["pass"] * 2:
            wrong[name] = found
    assert not wrong


@each_other
@pytest.mark.parametrize("change", [
    (b"hungry", b"Hungry"),
    (b"yet?\r\n", b"yet?\r\nmore\r\n"),
    (b"Subject: dinner", b"Subject: lunch"),
    (b"\r\nSubject:", b"\r\nFrom: forger@b.example\r\nSubject:"),
    (b"From: Joe", b"From: forger@b.example\r\nFrom: Joe"),
    (b"\r\nSubject:", b"\r\nReply-To: forger@b.example\r\nSubject:"),
    (b"\r\nSubject:", b"\r\nContent-Type: text/html\r\nSubject:"),
], ids=lambda change: change[1].decode())
def test_they_notice_changes(others, ours, other, change):
    octets = ours["plain", "relaxed/relaxed"]
    assert change[0] in octets
    found = others[other].verify(octets.replace(*change, 1))
    assert len(found) == 2 and "pass" not in [one.result for one in found], found


# -- what others sign -------------------------------------------------------------------------------

@each_other
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@both_forms
def test_we_verify_theirs(others, keys, domain, other, algorithm, forms):
    signer, head = others[other], forms.split("/")[0]
    names = [name for name in NAMES if not signer.cannot_sign(name, head, algorithm)]
    requests = [verify_request(keys, signer.sign(message(name, domain), keys[algorithm],
                                                 *forms.split("/"), headers=ALSO), name)
                for name in names]
    answers = ask(*requests) if requests else []
    wrong = {name: answer for name, answer in zip(names, answers)
             if answer["result"] != "pass" or answer["signatures"][0]["algorithm"] != algorithm}
    assert not wrong


@each_other
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_part_of_a_body_signed_by_others(others, keys, domain, other, algorithm):
    """What is behind l= is not authenticated, and what is before it must not change."""
    octets = message("plain", domain)
    length = len(octets.split(b"\r\n\r\n", 1)[1])
    signed = others[other].sign(octets, keys[algorithm], "relaxed", "simple",
                                length=length if other == "mailauth" else True)
    whole, longer, changed = ask(*[verify_request(keys, one) for one in (
        signed, signed + b"more\r\n", signed.replace(b"hungry", b"Hungry"))])
    assert whole["result"] == "pass" and whole["signatures"][0]["authenticates"]
    [signature] = longer["signatures"]
    assert signature["result"] == "pass" and signature["body_uncovered"] == 6
    assert not signature["authenticates"]
    assert changed["signatures"][0]["problem"] == "body_changed"


@pytest.mark.parametrize("other", ("opendkim", "python3-dkim"))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ("plain", "repeated"))
def test_fields_that_others_oversign(others, keys, domain, other, algorithm, name):
    oversigned = ("From", "Subject", "Cc")
    signed = others[other].sign(message(name, domain), keys[algorithm], "relaxed", "simple",
                                headers=ALSO, oversigned=oversigned)
    added = [signed.replace(b"\r\nSubject:", b"\r\n%s: x@b.example\r\nSubject:" % field.encode())
             for field in (*oversigned, "X-Other")]
    answers = ask(*[verify_request(keys, one) for one in (signed, *added)])
    assert [one["result"] for one in answers] == ["pass", "fail", "fail", "fail", "pass"]


@each_other
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_notice_what_was_changed(others, keys, domain, other, algorithm):
    signed = others[other].sign(message("plain", domain), keys[algorithm], "relaxed", "relaxed")
    answers = ask(*[verify_request(keys, signed.replace(*change)) for change in (
        (b"yet?\r\n", b"yet?\r\nmore\r\n"), (b"Subject: dinner", b"Subject: lunch"))])
    assert [one["signatures"][0]["problem"] for one in answers] == ["body_changed",
                                                                   "signature_wrong"]
