"""arc/*: chains of sealed results are verified, and made."""

import re

from properties import (accepted, all_sha1, has_keys, read_message, signatures_of, signs_from)
from verdict import failed, passed, set_aside

SET_FIELDS = ("arc-message-signature", "arc-seal")


def chain_signatures(message):
    return [tags for name in SET_FIELDS for tags in signatures_of(message, name)]


def zone_of(records):
    """A zone of {owner: text of its TXT record}; where the text was wrapped is not part of it."""
    return {owner: [{"type": "TXT", "strings": [text.replace("\n", "")]}]
            for owner, text in records.items()}


class Validation:
    """The result of a chain; the signatures know no clock."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path
        self.zones = {key: zone_of(scenario["txt"])
                      for key, scenario in content["scenarios"].items()}

    def judge(self, case):
        message = read_message(self.path, case)
        answer = self.driver.ask({"op": "arc-verify", "message": message,
                                  "zone": self.zones[case["scenario"]], "now": 20000})
        want = accepted(case, case["cv"] or "fail")
        if answer["result"] in want:
            return passed()
        if not all(map(signs_from, signatures_of(message, SET_FIELDS[0]))):
            return set_aside("RFC 6376 6.1.1 ignores a signature that does not cover From")
        return failed(f"{answer['result']} ({answer['reason']})", " or ".join(want))


class RealMessages:
    """Messages as they were sent. Where the keys are not known any more, only the form counts."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path

    def judge(self, case):
        message = read_message(self.path, case)
        dns = case.get("dns") or {}
        answer = self.driver.ask({"op": "arc-verify", "message": message, "zone": zone_of(dns),
                                  "now": case.get("now") or 1700000000})
        got = f"{answer['result']} ({answer['reason']}), {answer['highest']} sets"
        sets = case.get("arc_sets", answer["highest"])
        if answer["highest"] != sets:
            return failed(got, f"{sets} sets")
        if case["expect"] is None:
            return failed(got, "no pass without keys") if answer["result"] == "pass" else passed()
        want = accepted(case, case["expect"])
        if answer["result"] in want:
            return passed()
        if "pass" in want and not has_keys(dns, chain_signatures(message)):
            return set_aside("the keys of the chain are not in the case's DNS")
        if "pass" in want and all_sha1(chain_signatures(message)):
            return set_aside("RFC 8617 4.1.2, 4.1.3: rsa-sha256 only")
        return failed(got, f"{' or '.join(want)}, {sets} sets")


# ---- signing

def unfold(text):
    return re.sub(r"\r?\n(?=[ \t])", "", text)


def results_of(message, authserv_id):
    """The results of all fields of one authserv-id, joined as one value, and the one of ARC."""
    head = unfold(message.split("\r\n\r\n", 1)[0])
    found = []
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        owner, _, results = value.partition(";")
        if name.lower() == "authentication-results" and owner.strip() == authserv_id:
            found.append(results.strip())
    joined = "; ".join(found)
    arc = re.search(r"\barc=(\w+)", joined)
    return f"{authserv_id}; {joined}", arc.group(1) if arc else "none"


def tags(value):
    """The tags of a field, without blanks in their values."""
    pairs = (item.split("=", 1) for item in value.split(";") if item.strip())
    return {name.strip(): re.sub(r"\s", "", text) for name, text in pairs}


def collapsed(text):
    return " ".join(text.split())


class Signing:
    """A message is sealed as the suite does it. Its seals over what has not changed must be the
    same octet for octet, and what was made must be a good chain, unless it says that it is not."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path
        self.scenarios = content["scenarios"]

    def judge(self, case):
        scenario = self.scenarios[case["scenario"]]
        message = read_message(self.path, case)
        results, cv = results_of(message, case["srv_id"])
        zone = zone_of(scenario["txt"])
        if not case["AS"].strip():
            return self.unsealed(case, message, zone, results)
        sealed = self.driver.ask({
            "op": "arc-seal", "message": message, "zone": zone, "now": case["t"],
            "domain": scenario["domain"], "selector": scenario["sel"],
            "key": scenario["privatekey"], "results": results, "cv": cv,
            "headers": case["sig_headers"], "plain": True})
        if sealed["result"] != "done":
            return failed(sealed["result"], "a seal")
        made = dict(sealed["fields"])
        problem = self.differences(case, made)
        if problem:
            return problem
        chain = "".join(f"{name}: {value}\r\n" for name, value in sealed["fields"]) + message
        verified = self.driver.ask({"op": "arc-verify", "message": chain, "zone": zone,
                                    "now": case["t"]})
        want = "fail" if cv == "fail" else "pass"
        if verified["result"] != want:
            return failed(f"our own chain: {verified['result']} ({verified['reason']})", want)
        return passed()

    def unsealed(self, case, message, zone, results):
        """An empty AS: this message gets no seal."""
        scenario = self.scenarios[case["scenario"]]
        sealed = self.driver.ask({
            "op": "arc-seal", "message": message, "zone": zone, "now": case["t"],
            "domain": scenario["domain"], "selector": scenario["sel"],
            "key": scenario["privatekey"], "results": results, "headers": case["sig_headers"],
            "plain": True})
        return failed(dict(sealed["fields"]), "no seal") if sealed["fields"] else passed()

    @staticmethod
    def differences(case, made):
        if collapsed(made["ARC-Authentication-Results"]) != collapsed(case["AAR"]):
            return failed(collapsed(made["ARC-Authentication-Results"]), collapsed(case["AAR"]))
        for name, key in (("ARC-Message-Signature", "AMS"), ("ARC-Seal", "AS")):
            got, want = tags(made[name]), tags(case[key])
            if got != want:
                return failed(f"{name}: {got}", want)
        return None
