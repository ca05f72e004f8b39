"""DKIM both ways with python3-dkim: it verifies what Postern signs, Postern what it signs."""

import base64
import itertools
import json

import pytest

from lab.gateway import binary
from lab.process import run

dkim = pytest.importorskip("dkim")
pytest.importorskip("nacl")

DOMAIN = "signer.example"
NOW = 1795000000
FORMS = ("simple", "relaxed")

MESSAGES = {
    "plain": "From: Joe <joe@signer.example>\r\nTo: sue@b.example\r\nSubject: dinner\r\n"
             "Date: Fri, 27 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@signer.example>\r\n\r\n"
             "Hi.\r\n\r\nAre you hungry yet?\r\n",
    "no body": "From: joe@signer.example\r\nTo: sue@b.example\r\nSubject: none\r\n\r\n",
    "blanks": "From: joe@signer.example\r\nTo:\tsue@b.example ,\r\n  bob@b.example\r\n"
              "Subject:   a   subject \r\n\r\n a  b \t\r\n\t\r\nc\r\n\r\n\r\n",
    "8-bit": "From: J\xc3\xb6rg <joe@signer.example>\r\nTo: sue@b.example\r\n"
             "Subject: caf\xc3\xa9\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
             "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9t\xc3\xa9\r\n",
    "long": "From: joe@signer.example\r\nTo: sue@b.example\r\nSubject: long\r\n\r\n"
            + "The quick brown fox jumps over the lazy dog.\r\n" * 2000,
}


def ask(*requests):
    """The answers of `postern check --json-lines`."""
    text = "".join(json.dumps(request) + "\n" for request in requests)
    answers = [json.loads(line) for line in
               run([binary(), "check", "--json-lines"], text=text).stdout.splitlines()]
    assert len(answers) == len(requests)
    assert not [a for a in answers if "error" in a], answers
    return answers


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An RSA key as PEM, and the seed of an Ed25519 key, both with the text of their record."""
    path = tmp_path_factory.mktemp("keys") / "rsa.pem"
    run(["openssl", "genrsa", "-traditional", "-out", path, "2048"])
    pem = path.read_text(encoding="ascii")
    seed = bytes(range(32))
    wanted = [{"selector": "rsa", "pem": pem}, {"selector": "ed", "seed": seed.decode("latin-1")}]
    [answer] = ask({"op": "dkim-sign", "message": MESSAGES["plain"], "domain": DOMAIN, "now": NOW,
                    "keys": wanted})
    return {"requests": wanted, "records": answer["records"], "rsa": pem.encode(),
            "ed": base64.b64encode(seed)}


def zone_of(records):
    return {owner: [{"type": "TXT", "value": text}] for owner, text in records.items()}


def lookup(records):
    def dnsfunc(name, timeout=5):
        return records.get(name.decode().rstrip("."), "").encode() or None
    return dnsfunc


@pytest.mark.parametrize("forms", list(itertools.product(FORMS, FORMS)), ids="/".join)
@pytest.mark.parametrize("name", MESSAGES)
def test_it_verifies_ours(keys, name, forms):
    [answer] = ask({"op": "dkim-sign", "message": MESSAGES[name], "domain": DOMAIN, "now": NOW,
                    "keys": keys["requests"], "head": forms[0], "body": forms[1]})
    assert len(answer["fields"]) == 2
    signed = ("".join(answer["fields"]) + MESSAGES[name]).encode("latin-1")
    for number in range(2):
        verifier = dkim.DKIM(signed)
        assert verifier.verify(idx=number, dnsfunc=lookup(answer["records"])), (name, number)
    with pytest.raises(dkim.ValidationError, match="body hash"):
        dkim.DKIM(signed + b"more\r\n").verify(dnsfunc=lookup(answer["records"]))
    added = signed.replace(b"\r\nFrom:", b"\r\nFrom: forger@b.example\r\nFrom:", 1)
    assert not dkim.DKIM(added).verify(dnsfunc=lookup(answer["records"]))


@pytest.mark.parametrize("forms", list(itertools.product(FORMS, FORMS)), ids="/".join)
@pytest.mark.parametrize("algorithm", ("rsa-sha256", "ed25519-sha256"))
def test_we_verify_its(keys, algorithm, forms):
    selector = "rsa" if algorithm == "rsa-sha256" else "ed"
    requests = []
    for text in MESSAGES.values():
        message = text.encode("latin-1")
        field = dkim.sign(message, selector.encode(), DOMAIN.encode(), keys[selector],
                          canonicalize=tuple(form.encode() for form in forms),
                          signature_algorithm=algorithm.encode(),
                          include_headers=[b"from", b"to", b"subject"])
        requests.append({"op": "dkim-verify", "message": (field + message).decode("latin-1"),
                         "zone": zone_of(keys["records"]), "clock": False})
    for name, answer in zip(MESSAGES, ask(*requests)):
        assert answer["result"] == "pass", (name, answer)
        assert answer["signatures"][0]["algorithm"] == algorithm


def test_we_notice_what_was_changed(keys):
    message = MESSAGES["plain"].encode()
    field = dkim.sign(message, b"rsa", DOMAIN.encode(), keys["rsa"],
                      include_headers=[b"from", b"subject"])
    requests = [{"op": "dkim-verify", "message": (field + text).decode(), "clock": False,
                 "zone": zone_of(keys["records"])}
                for text in (message + b"more\r\n", message.replace(b"dinner", b"lunch"))]
    answers = ask(*requests)
    assert [a["signatures"][0]["problem"] for a in answers] == ["body_changed", "signature_wrong"]
