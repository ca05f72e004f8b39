"""What a case is about, told from the case alone: from its message, its DNS and its expectation,
never from its id and never from what Postern answers. Handlers set cases aside by these."""

import base64
import binascii
import email.utils
import ipaddress
import re


class Unjudged(Exception):
    """The runner cannot judge this case; the text says by which property."""


class Case(dict):
    """A case whose fields may be missing: asking for one that is not there sets the case aside."""

    def __missing__(self, key):
        raise Unjudged(f"the case does not say its \"{key}\"")


def accepted(case, *preferred):
    """All outcomes that a case accepts: those it names first, and those in "accept"."""
    more = case.get("accept") or ()
    return [*preferred, *([more] if isinstance(more, str) else more)]


# ---- messages

def with_crlf(octets):
    """A file whose lines all end in LF alone, as SMTP carries it; any other is left as it is."""
    return octets if b"\r" in octets else octets.replace(b"\n", b"\r\n")


def read_message(path, case):
    """The message of a case as text, a character an octet."""
    try:
        octets = (path / case["file"]).read_bytes()
    except (OSError, TypeError):
        raise Unjudged("the message of the case is not there") from None
    return with_crlf(octets).decode("latin-1")


def bare_line_end(text):
    """A CR or LF that is no part of a CRLF."""
    return re.search("\r(?!\n)|(?<!\r)\n", text) is not None


def fields_of(message, name):
    """The unfolded values of the header fields of that name."""
    head = re.split(r"\r?\n\r?\n", message, maxsplit=1)[0]
    for line in re.sub(r"\r?\n(?=[ \t])", "", head).splitlines():
        field, colon, value = line.partition(":")
        if colon and field.strip().lower() == name:
            yield value


def author_domain(message):
    """The domain of the first address in From as a mail program reads it; empty: there is none."""
    for value in fields_of(message, "from"):
        return email.utils.parseaddr(value)[1].rpartition("@")[2].lower()
    return ""


def tags_of(value):
    """The tags of a signature or a record (RFC 6376 3.2), without blanks in their values."""
    pairs = (item.partition("=") for item in value.split(";"))
    return {name.strip(): re.sub(r"\s", "", text) for name, sign, text in pairs if sign}


def signatures_of(message, name="dkim-signature"):
    return [tags_of(value) for value in fields_of(message, name)]


def all_sha1(signatures):
    """RFC 8301 3.1 has all of them fail, whatever the cryptography says."""
    return bool(signatures) and all(tags.get("a", "").lower() == "rsa-sha1" for tags in signatures)


def signs_from(tags):
    return "from" in tags.get("h", "").lower().split(":")


# ---- zones

def texts_of(zone, owner):
    """The TXT records of a name in a zone."""
    owner = owner.lower().rstrip(".")
    return ["".join(record.get("strings") or [record.get("value") or ""])
            for name, records in zone.items() if name.lower().rstrip(".") == owner
            for record in records
            if isinstance(record, dict) and record.get("type") == "TXT" and "error" not in record]


def key_name(tags):
    return f"{tags.get('s', '')}._domainkey.{tags.get('d', '')}"


def has_keys(zone, signatures):
    """Each signature's key is in the zone, whatever it is like."""
    names = {name.lower().rstrip(".") for name, records in zone.items() if records}
    return all(key_name(tags).lower() in names for tags in signatures)


# Octets of a SubjectPublicKeyInfo with an RSA key of 4096 bits.
LARGEST_RSA = 550


def has_large_key(zone, signatures):
    """A key of more than 4096 bits, which RFC 8301 3.2 leaves to the verifier."""
    for tags in signatures:
        for text in texts_of(zone, key_name(tags)):
            try:
                if len(base64.b64decode(tags_of(text).get("p", ""))) > LARGEST_RSA:
                    return True
            except (binascii.Error, ValueError):
                continue
    return False


# ---- SPF

# Terms that ask the DNS (RFC 7208 4.6.4).
ASKING = re.compile(r"[+?~-]?(?:a|mx|ptr|exists|include)(?:[:/].*)?|redirect=.*", re.IGNORECASE)
FOLLOWED = re.compile(r"[+?~-]?include:([^%\s]+)|redirect=([^%\s]+)", re.IGNORECASE)
# A domain-spec without a dot that ends in "%%", "%_" or "%-" and holds no macro letter.
ONE_LABEL = re.compile(r"[+?~-]?(?:a|mx|ptr|include|exists):(?:[^%.\s]|%[%_-])*%[%_-]",
                       re.IGNORECASE)
SPF_TERMS = 10


def spf_record(zone, domain):
    records = [text for text in texts_of(zone, domain)
               if re.match(r"v=spf1(?: |\Z)", text, re.IGNORECASE)]
    return records[0] if len(records) == 1 else None


def spf_records(zone, domain):
    """The record of a domain and those that it includes or redirects to, by domain; None: none."""
    left, found = [domain.lower().rstrip(".")], {}
    while left:
        name = left.pop()
        if name in found:
            continue
        found[name] = spf_record(zone, name)
        for term in (found[name] or "").split():
            match = FOLLOWED.fullmatch(term)
            if match:
                left.append((match[1] or match[2]).lower().rstrip("."))
    return found


def spf_has_one_label(zone, domain):
    """A record that some parsers refuse for a domain-spec of one label, and the grammar does not."""
    return any(ONE_LABEL.fullmatch(term) for text in spf_records(zone, domain).values() if text
               for term in text.split())


def spf_asks_too_much(zone, domain):
    """More terms than an evaluation may have, wherever it goes."""
    return sum(bool(ASKING.fullmatch(term)) for text in spf_records(zone, domain).values() if text
               for term in text.split()) > SPF_TERMS


def spf_includes_nothing(zone, domain):
    """Includes a domain without a record."""
    found = spf_records(zone, domain)
    included = {match[1].lower().rstrip(".") for text in found.values() if text
                for term in text.split() if (match := FOLLOWED.fullmatch(term)) and match[1]}
    return any(found[name] is None for name in included)


def same_addresses(text):
    """IP addresses in a text in one form, those of IPv4 that IPv6 maps as IPv4."""
    def plain(match):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        return str(getattr(address, "ipv4_mapped", None) or address)
    return re.sub(r"(?<![\w.:])[0-9A-Fa-f]*:[0-9A-Fa-f:.]*[0-9A-Fa-f:](?![\w:])", plain, text)


# ---- DMARC

POLICIES = ("none", "quarantine", "reject")


def dmarc_tags(record):
    """The tags of a DMARC record, or None when it is none (RFC 9989 4.8)."""
    pairs = [item.partition("=") for item in record.split(";")]
    if pairs[0][0].strip() != "v" or pairs[0][2].strip() != "DMARC1":
        return None
    return {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}


def dmarc_policy_stands(record):
    """
    RFC 9989 4.7, 4.8, 4.10.1: with a policy that can be read, or a "rua" in its place, syntax errors
    elsewhere are discarded.
    """
    tags = dmarc_tags(record)
    if tags is None:
        return False
    return tags.get("p", "").lower() in POLICIES or "mailto:" in tags.get("rua", "").lower()


def walk_names(domain):
    """The names of a DNS tree walk (RFC 9989 4.10)."""
    labels = domain.lower().rstrip(".").split(".")
    lengths = [len(labels), *range(min(len(labels) - 1, 7), 0, -1)]
    return ["_dmarc." + ".".join(labels[-n:]) for n in lengths]


def dmarc_records(zone, name):
    return [text for text in texts_of(zone, name) if dmarc_tags(text) is not None]


def walk_finds_nothing(zone, domain):
    """No record on the way up: RFC 9989 has no organizational domain, and nothing to align with."""
    return not any(len(dmarc_records(zone, name)) == 1 for name in walk_names(domain))


def has_several_records(zone, domain):
    return any(len(dmarc_records(zone, name)) > 1 for name in walk_names(domain))
