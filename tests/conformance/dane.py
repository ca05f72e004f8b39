"""dane/*: chains against TLSA records, and what a sender does by them."""

import json

from properties import Unjudged
from verdict import failed, passed

# What stands for the outcomes of the suite in our words.
DELIVERIES = {"authentication": "deliver-authenticated",
              "encryption": "deliver-encrypted-unauthenticated",
              "nothing": "deliver-opportunistic"}
RCODES = ("SERVFAIL", "TIMEOUT", "REFUSED", "NXDOMAIN")


class Danetest:
    """The test of the library itself, through the functions that hand it our records."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["dane_driver"]
        self.roots = (path / "danetest-ca.pem").read_text(encoding="ascii")

    def judge(self, case):
        answer = self.driver.ask({
            "op": "verify", "chain": case["chain"], "roots": self.roots, "tlsa": case["tlsa"],
            "names": [case.get("base_domain", "example.com")],
            "ee_names": not case["nonamechecks"]})
        want = case["expect"]
        got = {key: answer[key] for key in ("verify_result", "match_depth")}
        return passed() if got == {key: want[key] for key in got} else failed(got, want)


# ---- policy

def secure(facts, kind):
    """Whether an answer of that kind is signed: said for the owner, or for each kind."""
    value = facts.get("secure", True)
    return value.get(kind, True) if isinstance(value, dict) else value


def failure(facts, kind):
    """The outcome of a look-up that fails, or None."""
    rcode = facts.get("rcode")
    rcode = rcode.get(kind) if isinstance(rcode, dict) else rcode
    if rcode is not None and rcode.upper() not in RCODES:
        raise Unjudged(f"an answer of the DNS: {rcode}")
    return rcode and rcode.upper()


def records_of(facts):
    """The records of one owner as dns/source_zone.h has them."""
    records = []
    for key, kind in (("a", "A"), ("aaaa", "AAAA"), ("cname", "CNAME"), ("mx", "MX")):
        values = facts.get(key) or []
        for value in [values] if isinstance(values, str) else values:
            records.append({"type": kind, "value": value, "pref": 10,
                            "secure": "bogus" if facts.get("bogus") else secure(facts, key)})
    return records


def tlsa_of(owner, tlsa, facts):
    return [{"type": "TLSA", "usage": record["usage"], "selector": record["selector"],
             "matching": record["mtype"], "data": record["data"],
             "secure": "bogus" if facts.get("bogus") else secure(facts, "tlsa")}
            for record in tlsa]


def zone_of(case):
    zone = {}
    for owner, facts in case["dns"].items():
        zone[owner] = records_of(facts)
        outcome = failure(facts, "tlsa")
        if outcome:
            zone[owner].append({"type": "TLSA" if owner.startswith("_") else "A",
                                "error": outcome})
    for owner, tlsa in case["tlsa"].items():
        facts = case["dns"].get(owner, {})
        zone.setdefault(owner, [])
        if not failure(facts, "tlsa"):
            zone[owner] += tlsa_of(owner, tlsa, facts)
    return json.dumps(zone)


def domain_of(case):
    """The domain whose MX is the host, where the case has one."""
    for owner, facts in case["dns"].items():
        mx = facts.get("mx") or []
        if case["host"] in ([mx] if isinstance(mx, str) else mx):
            return owner
    return ""


class Policy:
    """From the answers of the DNS to what is done with the message. These cases want the MX records
    signed: hosts under unsigned ones have no DANE here, which is a setting of ours."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["dane_driver"]
        self.certificates = path / "certs"

    def chain(self, case):
        return [(self.certificates / f"{name}.pem").read_text(encoding="ascii")
                for name in case["chain"]]

    def judge(self, case):
        answer = self.driver.ask({
            "op": "policy", "zone": zone_of(case), "domain": domain_of(case), "host": case["host"],
            "chain": self.chain(case), "insecure_mx": False})
        got = (self.outcome(answer), self.delivery(answer))
        want = (case["expect"], case["smtp"])
        return passed() if got == want else failed(got, want)

    @staticmethod
    def outcome(answer):
        if answer["state"] == "usable":
            return "match" if answer["matched"] else "no-match"
        return {"none": "no-records", "insecure": "insecure", "not-asked": "insecure",
                "unusable": "unusable", "failed": "bogus"}[answer["state"]]

    @staticmethod
    def delivery(answer):
        return DELIVERIES[answer["level"]] if answer["pass"] else "defer"
