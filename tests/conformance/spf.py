"""spf/*: check_host(), records and macros (RFC 7208)."""

import ipaddress
import re

from driver import octets
from properties import accepted, same_addresses, spf_has_one_label
from verdict import failed, passed, set_aside

# Clients that a case leaves open; none of them matters to what it looks at.
ANY_CLIENT = "192.0.2.3"


def same_explanation(got, want):
    """The same text; how the client's address is written is nobody's business."""
    def lower_nibbles(text):
        return re.sub(r"(?:[0-9A-Fa-f]\.){31}[0-9A-Fa-f]\b", lambda m: m[0].lower(), text)
    return lower_nibbles(same_addresses(got)) == lower_nibbles(same_addresses(want))


class Evaluation:
    """Scenarios: a zone, and clients with their identities."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.zones = {key: scenario["zonedata"]
                      for key, scenario in content["scenarios"].items()}

    def ask(self, case, identity):
        return self.driver.ask({
            "op": "spf", "ip": case["host"], "helo": octets(case.get("helo") or ""),
            "from": octets(case.get("mailfrom") or ""), "identity": identity,
            "receiver": case.get("receiver") or "", "now": case.get("now") or 0,
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
        results = case["result"]
        want = accepted(case, *([results] if isinstance(results, str) else results))
        if answer["result"] not in want:
            domain = (case.get("mailfrom") or "").rpartition("@")[2] or case.get("helo") or ""
            if "permerror" in want and spf_has_one_label(self.zones[case["scenario"]], domain):
                return set_aside("the RFC says otherwise (RFC 7208 7.1: domain-end is any "
                                 "macro-expand, as in a:%%)")
            return failed(f"{answer['result']} ({answer['problem'] or answer['mechanism']})",
                          " or ".join(want))
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
    facts = {key: same_addresses(value.strip('"')) for key, value in pairs if key in COMMON_KEYS}
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
            if not case["valid"] and spf_has_one_label(
                    {"record.example": [{"type": "TXT", "value": case["record"]}]},
                    "record.example"):
                return set_aside("the RFC says otherwise (RFC 7208 7.1: domain-end is any "
                                 "macro-expand, as in a:%%)")
            return failed(f"valid={answer['valid']} {answer['problem']}", f"valid={case['valid']}")
        for key, want in (case.get("terms") or {}).items():
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
                for name, address in (case.get("zone") or {}).get("a", {}).items()}
        for address, names in (case.get("zone") or {}).get("ptr", {}).items():
            owner = ipaddress.ip_address(address).reverse_pointer
            zone[owner] = [{"type": "PTR", "value": name} for name in names]
        return zone

    def judge(self, case):
        answer = self.driver.ask({
            "op": "spf-macro", "macro": octets(case["macro"]), "context": case["context"],
            "ip": case.get("ip") or ANY_CLIENT, "from": octets(case["sender"]),
            "domain": case["domain"], "helo": case.get("helo") or "",
            "receiver": case.get("receiver") or "", "zone": self.zone(case),
            "now": case.get("now") or 0})
        got = answer.get("expansion")
        want = case["expansion"]
        same = got == want if None in (got, want) else same_explanation(got, want)
        return passed() if same else failed(repr(got), repr(want))
