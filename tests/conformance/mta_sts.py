"""mta-sts/*: TXT records, policies, names of hosts, look-ups (RFC 8461)."""

import re

from driver import octets
from verdict import failed, passed, set_aside

CAPPED = ("a max_age above 31557600, the greatest (RFC 8461 3.2), is taken as that: to refuse the policy "
          "would take the domain's protection away")
GREATEST_AGE = 31557600

# What a look-up found, in the suites' words.
STATES = {"found": "ok", "none": "none", "invalid": "error", "temporary": "temperror"}


def is_above_greatest(text):
    """A policy whose max_age is a number that is too large, of at most ten digits (RFC 8461 3.2)."""
    ages = re.findall(r"(?m)^max_age:[ \t]*([0-9]{1,10})[ \t]*\r?$", text)
    return bool(ages) and int(ages[0]) > GREATEST_AGE


def judged(got, want):
    return passed() if got == want else failed(got, want)


class RecordsAndPolicies:
    """mta-sts/records-and-policies"""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.kinds = {"record": self.record, "policy": self.policy, "match": self.match,
                      "lookup": self.lookup}

    def judge(self, case):
        kind = case["kind"]
        if kind not in self.kinds:
            return set_aside(f"a kind of case that the runner does not know: {kind}")
        return self.kinds[kind](case)

    def record(self, case):
        answer = self.driver.ask({"op": "mta-sts", "as": "record", "text": octets(case["text"])})
        want = {"valid": case["valid"]}
        if "idv" in case and case["valid"]:
            want["id"] = case["idv"]
        return judged({key: answer.get(key) for key in want}, want)

    def policy(self, case):
        answer = self.driver.ask({"op": "mta-sts", "as": "policy", "text": octets(case["text"])})
        if answer["valid"] and not case["valid"]:
            if case.get("accept_valid"):
                return passed()
            if is_above_greatest(case["text"]):
                return set_aside(CAPPED)
        want = {"valid": case["valid"]}
        if case["valid"]:
            want |= {key: case[key] for key in ("mode", "max_age", "mx") if key in case}
        if is_above_greatest(case["text"]) and "max_age" in want:
            want["max_age"] = GREATEST_AGE
        return judged({key: answer.get(key) for key in want}, want)

    def match(self, case):
        answer = self.driver.ask({"op": "mta-sts-match", "mx": octets(case["policy_mx"]),
                                  "host": octets(case["host"])})
        return judged(answer["match"], case["match"])

    def lookup(self, case):
        answer = self.driver.ask({"op": "mta-sts-lookup", "domain": octets(case["domain"]),
                                  "zone": case["zone"]})
        want = {"result": case["result"]}
        got = {"result": STATES[answer["state"]]}
        if case.get("idv") is not None and case["result"] == "ok":
            want["id"] = case["idv"]
            got["id"] = answer["id"]
        return judged(got, want)
