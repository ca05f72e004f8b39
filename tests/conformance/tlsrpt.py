"""tlsrpt/*: TXT records, look-ups and reports (RFC 8460)."""

import ipaddress
import json

from driver import octets
from mta_sts import STATES, judged
from properties import Unjudged, read_message
from verdict import failed, passed, set_aside


def read_octets(path, name):
    try:
        return (path / name).read_bytes()
    except (OSError, TypeError):
        raise Unjudged("a file of the case is not there") from None


class Records:
    """tlsrpt/records"""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        if case["kind"] == "lookup":
            answer = self.driver.ask({"op": "tlsrpt-lookup", "domain": octets(case["domain"]),
                                      "zone": case["zone"]})
            return judged(STATES[answer["state"]], case["result"])
        if case["kind"] != "record":
            return set_aside(f"a kind of case that the runner does not know: {case['kind']}")
        answer = self.driver.ask({"op": "tlsrpt", "as": "record", "text": octets(case["text"])})
        want = {"valid": case["valid"]}
        got = {"valid": answer["valid"]}
        if case["valid"] and case.get("rua") is not None and answer["valid"]:
            want["rua"] = case["rua"]
            got["rua"] = [uri["uri"] for uri in answer["rua"]]
        return judged(got, want)


def same_form(value, key=""):
    """A report in one form: one name is a list of one, addresses in their usual text, domains in
    lower case; what is empty or null is as good as absent."""
    if isinstance(value, dict):
        members = {name: same_form(member, name) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in (None, "", [], {})}
    if isinstance(value, list):
        return [same_form(member) for member in value]
    if key == "mx-host" and isinstance(value, str):
        return [value]
    if key in ("sending-mta-ip", "receiving-ip"):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            return value
    return value.lower().rstrip(".") if key == "policy-domain" else value


class Reports:
    """tlsrpt/reports: messages and JSON, with what they say."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path

    def judge(self, case):
        if case["kind"] not in ("json", "mail"):
            return set_aside(f"a kind of case that the runner does not know: {case['kind']}")
        is_mail = case["kind"] == "mail"
        text = (read_message(self.path, case) if is_mail else
                read_octets(self.path, case["file"]).decode("latin-1"))
        answer = self.driver.ask({"op": "tlsrpt", "as": "message" if is_mail else "report",
                                  "text": text})
        if answer["valid"] != case["valid"]:
            return failed(f"valid {answer['valid']} {answer['problem']}", f"valid {case['valid']}")
        want = self.wanted(case, text)
        if not case["valid"] or want is None:
            return passed()
        return judged(same_form(answer["report"]), same_form(want))

    def wanted(self, case, text):
        """What the report says: the case tells, or the report itself where it is plain JSON."""
        if case.get("expected"):
            return json.loads(read_octets(self.path, case["expected"]))
        return json.loads(text.encode("latin-1")) if case["kind"] == "json" else None
