"""spf/*: check_host(), records and macros (RFC 7208)."""

import re

from driver import octets
from verdict import failed, passed, set_aside

# Clients that a case leaves open; none of them matters to what it looks at.
ANY_CLIENT = "192.0.2.3"


def same_explanation(got, want):
    """The same text; the letter case of an IPv6 client's nibbles is nobody's business."""
    def lower_nibbles(text):
        return re.sub(r"(?:[0-9A-Fa-f]\.){31}[0-9A-Fa-f]\b", lambda m: m[0].lower(), text)
    return lower_nibbles(got) == lower_nibbles(want)


# A domain-spec without a dot that ends in "%%", "%_" or "%-" and holds no macro letter.
ONE_LABEL = re.compile(r"[+?~-]?(?:a|mx|ptr|include|exists):(?:[^%.\s]|%[%_-])*%[%_-]", re.IGNORECASE)
# Where evaluation goes on with another record.
FOLLOWED = re.compile(r"[+?~-]?(?:include:|redirect=)([^%\s]+)", re.IGNORECASE)


def records_of(zone, domain):
    """The SPF records of a domain and of those that they include or redirect to."""
    texts = {owner.lower().rstrip("."): ["".join(record.get("strings") or
                                                 [record.get("value") or ""])
                                         for record in records if record.get("type") == "TXT"]
             for owner, records in zone.items()}
    left, seen = [domain.lower().rstrip(".")], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in texts.get(name, ()):
            if text.lower().startswith("v=spf1"):
                yield text
                left += [target.lower().rstrip(".") for term in text.split()
                         for target in FOLLOWED.findall(term)]


def one_label_spec(zone, domain):
    """A record that some parsers refuse for a domain-spec of one label, and the grammar does not."""
    return any(ONE_LABEL.fullmatch(term) for text in records_of(zone, domain)
               for term in text.split())


class Evaluation:
    """Scenarios: a zone, and clients with their identities."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.zones = {key: scenario["zonedata"]
                      for key, scenario in content["scenarios"].items()}

    def ask(self, case, identity):
        return self.driver.ask({
            "op": "spf", "ip": case["host"], "helo": octets(case["helo"]),
            "from": octets(case["mailfrom"]), "identity": identity,
            "receiver": case.get("receiver", ""), "now": case.get("now", 0),
            "zone": self.zones[case["scenario"]]})

    def answer(self, case):
        """Some cases ask for MAIL FROM only when HELO passes."""
        if case.get("order") == "helo-then-mailfrom":
            helo = self.ask(case, "helo")
            if helo["result"] != "pass":
                return helo
        return self.ask(case, "mailfrom")

    def judge(self, case):
        answer = self.answer(case)
        if answer["result"] not in case["result"]:
            domain = case["mailfrom"].rpartition("@")[2] or case["helo"]
            if "permerror" in case["result"] and one_label_spec(self.zones[case["scenario"]],
                                                                domain):
                return set_aside("the RFC says otherwise (RFC 7208 7.1: domain-end is any "
                                 "macro-expand, as in a:%%)")
            return failed(f"{answer['result']} ({answer['problem'] or answer['mechanism']})",
                          " or ".join(case["result"]))
        want = case.get("explanation")
        want = "" if want == "DEFAULT" else want
        if want is not None and not same_explanation(answer["explanation"], want):
            return failed(repr(answer["explanation"]), repr(want))
        if "header" in case:
            return judge_header(answer["received_spf"], case["header"])
        return passed()


# What two writers of Received-SPF agree in; the other keys and the comment are free text.
COMMON_KEYS = ("client-ip", "envelope-from", "helo", "receiver", "identity")


def header_facts(header):
    """The result, and the pairs that every writer has, of a Received-SPF field."""
    header = header.replace("\r\n", "")
    pairs = re.findall(r'([a-z-]+)=("(?:[^"\\]|\\.)*"|[^;\s]*)', header)
    facts = {key: value.strip('"') for key, value in pairs if key in COMMON_KEYS}
    return header.split(None, 1)[0].lower(), facts


def judge_header(got, want):
    if header_facts(got) == header_facts(want):
        return passed()
    return failed(got, want)


class Records:
    """The syntax of records."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        answer = self.driver.ask({"op": "spf-record", "record": octets(case["record"])})
        if answer["valid"] != case["valid"]:
            return failed(f"valid={answer['valid']} {answer['problem']}", f"valid={case['valid']}")
        for key, want in case.get("terms", {}).items():
            if not contains(answer["terms"].get(key), want):
                return failed(answer["terms"], case["terms"])
        return passed()


def contains(got, want):
    """Lists of the same length, objects with at least these members, equal texts."""
    if isinstance(want, list):
        return (isinstance(got, list) and len(got) == len(want)
                and all(map(contains, got, want)))
    if isinstance(want, dict):
        return (isinstance(got, dict)
                and all(contains(got.get(key, ""), value) for key, value in want.items()))
    return got == want


class Macros:
    """What a macro string expands to."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    @staticmethod
    def zone(case):
        """The zone in the form of the other suites."""
        zone = {name: [{"type": "A", "value": address}]
                for name, address in case.get("zone", {}).get("a", {}).items()}
        for address, names in case.get("zone", {}).get("ptr", {}).items():
            owner = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
            zone[owner] = [{"type": "PTR", "value": name} for name in names]
        return zone

    def judge(self, case):
        answer = self.driver.ask({
            "op": "spf-macro", "macro": octets(case["macro"]), "context": case["context"],
            "ip": case.get("ip", ANY_CLIENT), "from": octets(case["sender"]),
            "domain": case["domain"], "helo": case.get("helo", ""),
            "receiver": case.get("receiver", ""), "zone": self.zone(case),
            "now": case.get("now", 0)})
        got = answer.get("expansion")
        return passed() if got == case["expansion"] else failed(repr(got),
                                                                 repr(case["expansion"]))
