"""A second verifier of DKIM signatures, from the grammar of RFC 6376, on top of other cryptography.

    results(message, zone, now) -> [word of RFC 8601, ...]     from the top; octets with CRLF
    parts(value) -> Parts: what a signature says, or Broken    to sign what a generator wrote
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

import dkim.crypto
import nacl.exceptions
import nacl.signing

FWS = rb"(?>(?:[ \t]+|\r\n(?=[ \t]))*)"
# The grammar has at most one fold in a place; more than one are read as one.
TAG = re.compile(
    FWS + rb"(?P<name>[A-Za-z][A-Za-z0-9_]*)" + FWS + rb"=(?P<raw>" + FWS +
    rb"(?P<value>(?:[!-:<-~\x80-\xff]++(?:" + FWS + rb"(?=[!-:<-~\x80-\xff]))?)*)" + FWS +
    rb")(?:;|\Z)")
LABEL = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
DOMAIN = LABEL + rb"(?:\." + LABEL + rb")+"
# Values of RFC 6376 3.5, as octets.
FORMS = {"v": rb"1", "a": rb"(?i:rsa|ed25519)-(?i:sha256)", "d": DOMAIN,
         "s": LABEL + rb"(?:\." + LABEL + rb")*",
         "c": rb"(?i:simple|relaxed)(?:/(?i:simple|relaxed))?", "l": rb"[0-9]{1,76}",
         "t": rb"[0-9]{1,12}", "x": rb"[0-9]{1,12}"}
REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")
DAY = 86400
BITS = range(1024, 4097)


class Broken(Exception):
    """A signature or record that cannot be tried."""


@dataclass
class Parts:
    tags: dict
    names: list
    head: str
    body: str
    length: int | None
    below: bool
    signature: tuple
    """where the value of b= begins and ends, with the blanks around it"""


def need(good, what):
    if not good:
        raise Broken(what)


def tag_list(text):
    """{name: match}"""
    tags, at = {}, 0
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Broken("not UTF-8") from error
    while not (tags and re.fullmatch(FWS, text[at:])):
        found = TAG.match(text, at)
        need(found and found["name"] not in tags, "tags")
        tags[found["name"]] = found
        at = found.end()
        if not found[0].endswith(b";"):
            break
    return {name.decode(): found for name, found in tags.items()}


def listed(value):
    return [item.strip(b" \t\r\n") for item in value.split(b":")]


def decoded(value):
    text = re.sub(rb"[ \t\r\n]+", b"", value)
    need(re.fullmatch(rb"[A-Za-z0-9+/]*={0,2}", text), "base 64")
    core = text.rstrip(b"=")
    need(len(text) - len(core) <= -len(core) % 4, "padding")
    try:
        octets = base64.b64decode(core + b"=" * (-len(core) % 4), validate=True)
    except binascii.Error as error:
        raise Broken("base 64") from error
    need(base64.b64encode(octets).rstrip(b"=") == core, "base 64")
    return octets


def is_below(identity, domain):
    """Whether i= is below d=; its form (2.11, 3.5)."""
    text = re.sub(rb"[ \t\r\n]+", b"", identity)
    need(not re.search(rb"=(?![0-9A-Fa-f]{2})", text), "i=")
    text = re.sub(rb"=(..)", lambda found: bytes.fromhex(found[1].decode()), text)
    need(b"@" in text and not re.search(rb"[\x00-\x1f\x7f]", text), "i=")
    name, domain = text.rpartition(b"@")[2].lower(), domain.lower()
    need(re.fullmatch(DOMAIN, name) and (b"." + name).endswith(b"." + domain), "i=")
    return name != domain


def parts(value):
    found = tag_list(value)
    tags = {name: one["value"] for name, one in found.items()}
    need(all(name in tags for name in REQUIRED), "a tag is missing")
    for name, form in FORMS.items():
        need(name not in tags or re.fullmatch(form, tags[name]), name)
    names = listed(tags["h"])
    need(all(re.fullmatch(rb"[!-9<-~]+", name) for name in names), "h=")
    need(b"from" in [name.lower() for name in names], "h= without From")
    need(b"dns/txt" in [one.lower() for one in listed(tags.get("q", b"dns/txt"))], "q=")
    need(len(decoded(tags["bh"])) == 32 and decoded(tags["b"]), "bh= or b=")
    need("t" not in tags or "x" not in tags or int(tags["t"]) < int(tags["x"]), "x= before t=")
    head, _, body = tags.get("c", b"simple").lower().decode().partition("/")
    return Parts(tags, names, head, body or "simple", int(tags["l"]) if "l" in tags else None,
                 is_below(tags["i"], tags["d"]) if "i" in tags else False, found["b"].span("raw"))


def canonical_field(field, form):
    """Without the line end (3.4.1, 3.4.2)."""
    field = field.removesuffix(b"\r\n")
    if form == "simple":
        return field
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.rstrip(b" \t").lower() + b":" + value


def canonical_body(body, form):
    """3.4.3, 3.4.4"""
    if form == "relaxed":
        body = re.sub(rb"[ \t]+", b" ", re.sub(rb"[ \t]+(?=\r\n|\Z)", b"", body))
    body = re.sub(rb"(?:\r\n)*\Z", b"", body)
    return body + b"\r\n" if body or form == "simple" else body


def name_of(field):
    found = re.match(rb"([!-9;-~]+)[ \t]*:", field)
    return found[1].lower() if found else None


def split(message):
    """The fields, lines that are none included, and the body."""
    head, _, body = (b"\r\n" + message).partition(b"\r\n\r\n")
    head = head[2:].removesuffix(b"\r\n") + b"\r\n" if head[2:] else b""
    return [field for field in re.split(rb"(?<=\r\n)(?![ \t])", head) if field], body


def signed_octets(fields, own, said):
    """What the signature in the field `own` is made over (3.7, 5.4.2)."""
    left = [field for field in fields if field is not own]
    octets = b""
    for name in said.names:
        for at in reversed(range(len(left))):
            if name_of(left[at]) == name.lower():
                octets += canonical_field(left.pop(at), said.head) + b"\r\n"
                break
    start = own.index(b":") + 1
    bare = own[:start + said.signature[0]] + own[start + said.signature[1]:]
    return octets + canonical_field(bare, said.head)


def check_key(record, said, octets):
    """3.6.1, 6.1.2; True when the signature fits."""
    tags = {name: found["value"] for name, found in tag_list(record).items()}
    need(list(tags)[0] == "v" if "v" in tags else True, "v= is not first")
    need(tags.get("v", b"DKIM1") == b"DKIM1" and tags.get("p"), "v= or p=")
    kind = said.tags["a"].lower().partition(b"-")[0]
    need(tags.get("k", b"rsa").lower() == kind, "k=")
    need(b"sha256" in [one.lower() for one in listed(tags.get("h", b"sha256"))], "h=")
    need({b"*", b"email"} & {one.lower() for one in listed(tags.get("s", b"*"))}, "s=")
    need(b"s" not in listed(tags.get("t", b"").lower()) or not said.below, "t=s")
    public, signature = decoded(tags["p"]), decoded(said.tags["b"])
    if kind == b"ed25519":
        need(len(public) == 32, "p=")
        try:
            nacl.signing.VerifyKey(public).verify(hashlib.sha256(octets).digest(), signature)
        except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError):
            return False
        return True
    try:
        key = dkim.crypto.parse_public_key(public)
    except Exception as error:  # whatever a key leads it to
        raise Broken("p=") from error
    need(key["modulus"].bit_length() in BITS, "size")
    return len(signature) == (key["modulus"].bit_length() + 7) // 8 and \
        dkim.crypto.RSASSA_PKCS1_v1_5_verify(hashlib.sha256(octets), signature, key)


def result(fields, own, body, zone, now):
    said = parts(own[own.index(b":") + 1:].removesuffix(b"\r\n"))
    need(now <= int(said.tags.get("x", b"9" * 12)), "expired")
    need(int(said.tags.get("t", b"0")) <= now + DAY, "t= in the future")
    owner = said.tags["s"] + b"._domainkey." + said.tags["d"]
    need(owner.decode().lower() in zone, "no key")
    body = canonical_body(body, said.body)
    good = check_key(zone[owner.decode().lower()], said, signed_octets(fields, own, said))
    need(said.length is None or said.length <= len(body), "l=")
    good_body = hashlib.sha256(body[:said.length]).digest() == decoded(said.tags["bh"])
    return "pass" if good and good_body else "fail"


def results(message, zone, now):
    """`zone` has the text of the record at each owner."""
    fields, body = split(message)
    words = []
    for own in fields:
        if name_of(own) == b"dkim-signature":
            try:
                words.append(result(fields, own, body, zone, now))
            except Broken:
                words.append("permerror")
    return words
