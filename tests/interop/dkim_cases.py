"""Signed messages made from a seed, as odd as RFC 6376 lets them be, and broken ones.

    good(seed, count, keys)     -> [(message, zone), ...]      every signature must pass
    broken(seed, count, keys)   -> the same, changed in one place before or after it was signed

The zone has the text of the record at each owner. `keys` are SigningKeys.
"""

import base64
import hashlib
import random

import dkim.crypto
import nacl.signing

from dkim_second import Broken, canonical_body, name_of, parts, signed_octets

NAMES = (b"Subject", b"To", b"X-A", b"x_b", b"Received", b"Date", b"A.b", b"DKIM-Signature-X")
WORDS = (b"a", b"foo", b"=?utf-8?q?x?=", b"b:c", b"x;y", b'"q"', b"<a@b.example>", b"\xc3\xa9",
         b"\x0b", b"long" * 40)
BLANKS = (b"", b"", b" ", b"\t", b"  ", b"\r\n ", b" \r\n\t", b"\r\n  ")
BODIES = (b"", b"\r\n", b"\r\n\r\n", b" ", b" \t\r\n", b"x", b"x \t y \r\n\r\n \r\n", b"\r\n x",
          b"a\r\n\r\n\r\nb\t", b"\xff\x00\r\n", b".\r\n..", b"x" * 2000 + b"\r\n", b"a\rb\nc\r\r\n",
          b"\n\n", b"a\r\n\r", b" \r")
DOMAINS = (b"example.com", b"Sub.example.com", b"a_b.example", b"x--y.1.example")
IDENTITIES = (b"@%s", b"joe@%s", b"@a.%s", b"=4Aoe=20x@%s", b"a=40b@%s")
# What takes the place of a tag, or of its value.
TAGS = (b"", b" ", b"x", b"x=", b"=x", b" x = y z ", b"1x=1", b"x-y=1", b"x=\xc3\xa9", b"x=\x00",
        b"x=a\r\n", b"l=0", b"l=5", b"x=1", b"v=1", b"v=DKIM1", b"h=sha1", b"t=s", b"t=y : s",
        b"s=tlsrpt", b"s=email", b"k=rsa", b"n=a b", b"i=@a.example.com")
VALUES = (b"", b"0", b"1", b"01", b"-1", b"1 1", b"9" * 12, b"9" * 13, b"9" * 76, b"9" * 77,
          b"RSA", b"ed25519", b"rsa-sha1", b"RSA-SHA256", b"simple", b"relaxed/", b"/relaxed",
          b"Relaxed/Relaxed", b"relaxed / simple", b"simple/simple/simple", b"dns", b"DNS/TXT",
          b"foo:dns/txt", b"SHA256", b"sha1", b"sha1 : sha256", b"*", b"*:x", b"other", b"y",
          b"y:s", b"dkim1", b"DKIM2", b"from:", b":from", b"from::to", b"fr om", b"to",
          b"@EXAMPLE.com", b"a@b@example.com", b"@badexample.com", b"@.example.com", b"a@",
          b"a=0@example.com", b"example.com.", b".example.com", b"com", b"exam ple.com",
          b"-a.example.com", b"x" * 64 + b".example.com")
OCTETS = (b" ", b"\t", b"\r\n ", b"\r\n", b"\r", b"\n", b";", b"=", b":", b"\x00", b"\xc3\xa9",
          b"\xff", b"\x7f", b"a", b"A", b"0", b".", b"@", b"\r\n \r\n ")


class SigningKey:
    """Of keys.Key, for signing here."""

    def __init__(self, key):
        self.algorithm, self.record = key.algorithm.encode(), key.record.encode()
        if key.kind == "rsa":
            self.secret = dkim.crypto.parse_pem_private_key(key.pem.encode())
        else:
            self.secret = nacl.signing.SigningKey(base64.b64decode(key.seed))

    def sign(self, octets):
        if isinstance(self.secret, dict):
            made = dkim.crypto.RSASSA_PKCS1_v1_5_sign(hashlib.sha256(octets), self.secret)
        else:
            made = self.secret.sign(hashlib.sha256(octets).digest()).signature
        return base64.b64encode(made)


def is_field(field):
    """No line of it is empty, or of blanks alone."""
    lines = field.removesuffix(b"\r\n").split(b"\r\n")
    return all(line.strip(b" \t") for line in lines) and \
        all(line[:1] in (b" ", b"\t") for line in lines[1:])


def some_field(chance, name):
    name = chance.choice((name, name.lower(), name.upper(), name + b" "))
    while True:
        value = b"".join(chance.choice(BLANKS) + chance.choice(WORDS)
                         for _ in range(chance.choice((0, 1, 2, 5))))
        field = name + b":" + value + chance.choice((b"", b" ")) + b"\r\n"
        if is_field(field):
            return field


def some_head(chance):
    fields = [some_field(chance, chance.choice(NAMES)) for _ in range(chance.choice((0, 2, 6)))]
    fields.insert(chance.randint(0, len(fields)), some_field(chance, b"From"))
    return fields


def some_names(chance, fields, absent):
    names = [b"From"] + [name for name in map(name_of, fields) if chance.random() < 0.6]
    names += chance.choices((b"Absent", b"From", b"subject", b"Received", *absent),
                            k=chance.choice((0, 0, 1, 3)))
    chance.shuffle(names)
    return names


def some_tags(chance, key, fields, body, absent):
    head, form = (chance.choice(("simple", "relaxed")) for _ in range(2))
    length, domain = len(canonical_body(body, form)), chance.choice(DOMAINS)
    length = chance.choice((None, None, None, 0, length // 2, length))
    digest = hashlib.sha256(canonical_body(body, form)[:length]).digest()
    blank = chance.choice(BLANKS)
    tags = [(b"v", b"1"), (b"a", key.algorithm), (b"d", domain),
            (b"s", chance.choice((b"sel", b"A.b", b"2026"))), (b"b", b"AAAA"),
            (b"h", (blank + b":" + blank).join(some_names(chance, fields, absent))),
            (b"bh", blank.join((base64.b64encode(digest)[:9], base64.b64encode(digest)[9:])))]
    if form == "relaxed" or chance.random() < 0.6:
        tags.append((b"c", f"{head}/{form}".encode()))
    elif head == "relaxed":
        tags.append((b"c", b"relaxed"))
    if length is not None:
        tags.append((b"l", b"%d" % length))
    tags += [tag for tag in ((b"t", b"900"), (b"x", b"1000"), (b"q", b"dns/txt"), (b"Z9", b""),
                             (b"z", b"From:a=20b|To:x"),
                             (b"i", chance.choice(IDENTITIES) % domain)) if chance.random() < 0.3]
    chance.shuffle(tags)
    return tags


def written(chance, tags, blanks):
    """A tag list with any of the blanks around each token."""
    def around(token):
        return chance.choice(blanks) + token + chance.choice(blanks)
    while True:
        value = b";".join(around(name) + b"=" + around(text) for name, text in tags)
        value += chance.choice((b"", b";"))
        if is_field(b"x:" + value):
            return value


def with_signature(chance, fields, value, body, key):
    """The fields with the signature on top, its b= filled in where the rest can be read."""
    own = b"DKIM-Signature:" + value + b"\r\n"
    try:
        said = parts(value)
    except Broken:
        return [own, *fields]
    made, cut = key.sign(signed_octets([own, *fields], own, said)), chance.randint(1, 60)
    start = own.index(b":") + 1
    fold = chance.choice((b"", b" ", b"\r\n "))
    return [own[:start + said.signature[0]] + fold + made[:cut] + fold + made[cut:]
            + own[start + said.signature[1]:], *fields]


def owner_of(tags):
    tags = dict(tags)
    return (tags[b"s"] + b"._domainkey." + tags[b"d"]).decode().lower()


def message_of(chance, fields, body):
    return b"".join(fields) + (b"\r\n" + body if body or chance.random() < 0.5 else b"")


def good(seed, count, keys):
    chance, cases = random.Random(seed), []
    for _ in range(count):
        fields, body, zone = some_head(chance), chance.choice(BODIES), {}
        more = chance.choice((0, 0, 1))
        for left in range(more, -1, -1):
            key = chance.choice(keys)
            # One who signs behind must not come upon a name that was signed as absent.
            tags = some_tags(chance, key, fields, body, () if left else (b"DKIM-Signature",))
            if zone.setdefault(owner_of(tags), key.record) == key.record:
                value = written(chance, tags, chance.choice((BLANKS, (b"", b" "))))
                fields = with_signature(chance, fields, value, body, key)
        cases.append((message_of(chance, fields, body), zone))
    return cases


def changed_list(chance, text):
    """A tag list with one tag changed."""
    tags = text.split(b";")
    at, kind = chance.randrange(len(tags)), chance.randrange(7)
    name, _, value = tags[at].partition(b"=")
    if kind == 0:
        del tags[at]
    elif kind == 1:
        tags.insert(chance.randint(0, len(tags)), tags[at])
    elif kind == 2:
        tags[at] = name.swapcase() + b"=" + value
    elif kind == 3:
        tags[at] = name + b"=" + value.swapcase()
    elif kind == 4:
        tags.insert(chance.randint(0, len(tags)), chance.choice(TAGS))
    else:
        tags[at] = name + b"=" + chance.choice(VALUES)
    return b";".join(tags)


def changed_octets(chance, text):
    at, end = (chance.randint(0, len(text)) for _ in range(2))
    kind = chance.randrange(3)
    if kind == 0:
        return text[:at] + chance.choice(OCTETS) + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1:]
    return text[:at] + text[at:end].swapcase() + text[max(at, end):]


def broken(seed, count, keys):
    chance, cases = random.Random(seed), []
    for _ in range(count):
        key, fields, body = chance.choice(keys), some_head(chance), chance.choice(BODIES)
        tags = some_tags(chance, key, fields, body, ())
        value, record = written(chance, tags, (b"", b"", b" ")), key.record
        change, place = chance.choice((changed_list, changed_octets)), chance.randrange(6)
        if place == 0:
            value = change(chance, value)
        fields = with_signature(chance, fields, value, body, key)
        if place == 1:
            fields[0] = b"DKIM-Signature:" + change(chance, fields[0][15:-2]) + b"\r\n"
        elif place == 2:
            record = changed_list(chance, record)
        elif place == 3:
            fields[1:] = [changed_octets(chance, b"".join(fields[1:]))]
        elif place == 4:
            body = changed_octets(chance, body)
        elif place == 5:
            chance.shuffle(fields)
            fields.insert(chance.randint(0, len(fields)), chance.choice(
                (b"From: z@z.example\r\n", b"no field\r\n", b"received : x\r\n", b"to:\r\n")))
        cases.append((b"".join(fields) + b"\r\n" + body, {owner_of(tags): record}))
    return cases
