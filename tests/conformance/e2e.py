"""auth-e2e/*: whole messages with their envelope and DNS, through the table of checks of the filter
and the decision, as the gateway would see them. Judged are SPF, DKIM, DMARC and ARC."""

import json
import shlex

from verdict import failed, passed, set_aside

# Who sends where a case does not say: nothing is known of this name and this address.
NOBODY = {"ip": "192.0.2.1", "helo": "nobody.invalid", "mailfrom": ""}

# When the cases were written, their messages were of their day; none has an expiry time.
METHODS = ("spf", "dkim", "dmarc", "arc")


def read_message(path):
    """The octets as SMTP carries them, whatever line ends the file has."""
    octets = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return octets.decode("latin-1")


def without_duplicates(zone):
    """A set of records holds each of them once (RFC 2181 5)."""
    return {owner: [json.loads(text) for text in
                    dict.fromkeys(json.dumps(record, sort_keys=True) for record in records)]
            for owner, records in zone.items()}


def best_dkim(answer):
    """One word for all signatures, as a summary has it."""
    results = [signature["result"] for signature in answer["dkim"] or []]
    order = ("pass", "fail", "temperror", "permerror", "policy", "neutral")
    return min(results, key=order.index, default="none")


def results(answer):
    """What each method says."""
    def result(method):
        return answer[method]["result"] if answer.get(method) else "not made"
    dmarc = result("dmarc")
    return {"spf": result("spf"), "dkim": best_dkim(answer), "arc": result("arc"), "dmarc": dmarc,
            "disposition": answer["dmarc"]["disposition"] if answer.get("dmarc") else ""}


def differences(got, want):
    """Of the methods that `want` names; "fail+reject" is a result with the policy that applies."""
    wrong = {}
    for method, expected in want.items():
        result, _, disposition = expected.partition("+")
        found = got[method] + ("+" + got["disposition"] if disposition else "")
        if found != expected:
            wrong[method] = (found, expected)
    return wrong


def judged(answer, want):
    wrong = differences(results(answer), want)
    if not wrong:
        return passed()
    return failed({method: got for method, (got, _) in wrong.items()},
                  {method: expected for method, (_, expected) in wrong.items()})


class Whole:
    """What both sources have in common: a message, an envelope, a zone."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path
        self.zone = self.read_zone()

    def read_zone(self):
        raise NotImplementedError

    def ask(self, case):
        envelope = {key: case.get(key) if case.get(key) is not None else NOBODY[key]
                    for key in NOBODY}
        return self.driver.ask({
            "op": "message", "message": read_message(self.path / case["file"]),
            "ip": envelope["ip"], "helo": envelope["helo"],
            # A path in its brackets; no SMTP server lets a blank through in it.
            "from": envelope["mailfrom"].strip("<>").replace(" ", ""),
            "rcpt": case.get("rcpt") or "somebody@postern.invalid",
            "zone": self.zone})


class Rspamd(Whole):
    # What the README calls tests of limits: anything but a pass will do.
    LIMITS = ("huge_hlist", "large_hlist", "key_too_long", "key_too_wide", "many_sigs")

    def read_zone(self):
        with open(self.path / "zone.json", encoding="utf-8") as file:
            return without_duplicates(json.load(file))

    def judge(self, case):
        want = {key: value for key, value in case["expect"].items() if key in METHODS}
        if "spf" in want and case["mailfrom"] is None:
            return set_aside("the source takes client and sender out of a Received field")
        if any(limit in case["file"] for limit in self.LIMITS):
            return self.judge_limit(case)
        if not want:
            return set_aside("a symbol of the source that is no result of a method")
        answer = self.ask(case)
        verdict = judged(answer, want)
        reason = "" if verdict.passed else self.other_rules(answer, differences(results(answer),
                                                                                want))
        return set_aside(reason) if reason else verdict

    def judge_limit(self, case):
        answer = self.ask(case)
        if best_dkim(answer) != "pass":
            return passed()
        if len(answer["dkim"]) > self.SIGNATURES and not any(
                signature["problem"] == "count" for signature in answer["dkim"]):
            return set_aside("the source looks at fewer signatures (RFC 6376 6.1 leaves the number "
                             "to the verifier)")
        return failed("dkim=pass", "anything else")

    # Signatures that the source looks at.
    SIGNATURES = 5

    def other_rules(self, answer, wrong):
        """Why a case that differs does not follow the RFC; empty: no known reason."""
        if set(wrong) == {"spf"} and wrong["spf"][0] == "permerror":
            if answer["spf"]["lookups"] > 10:
                return "the RFC says otherwise (RFC 7208 4.6.4: more than 10 look-ups are permerror)"
            if answer["spf"]["problem"].endswith("has no SPF record"):
                return ("the RFC says otherwise (RFC 7208 5.2: an included domain without a record "
                        "is permerror)")
        if set(wrong) == {"dmarc"} and self.samples(answer["dmarc"]["record_domain"]):
            return "the RFC says otherwise (RFC 9989 has no pct: a policy is for all messages)"
        return ""

    def samples(self, domain):
        return any("pct=" in "".join(record.get("strings", []))
                   for record in self.zone.get("_dmarc." + domain, []))


class MasterFile:
    """Records in the form of a master file (RFC 1035 5.1), one a line."""

    SIMPLE = ("A", "AAAA", "CNAME", "PTR")
    CLASSES = ("IN",)

    def __init__(self, text):
        self.zone = {}
        for line in text.splitlines():
            if line.startswith(";ERROR,"):
                owner, kind, error = line.split(",")[1:4]
                self.add(owner, {"type": kind, "error": error})
            elif line.strip() and not line.startswith(";"):
                self.read(line)

    def add(self, owner, record):
        if record.get("error") == "NXDOMAIN":
            return  # what is absent does not exist
        self.zone.setdefault(owner.rstrip(".").lower(), []).append(record)

    def read(self, line):
        words = shlex.split(line.replace("(", " ").replace(")", " ")
                            if self.has_brackets(line) else line)
        owner, rest = words[0], words[1:]
        while rest and (rest[0].isdigit() or rest[0] in self.CLASSES):
            rest = rest[1:]
        kind, data = rest[0], rest[1:]
        if kind == "TXT":
            self.add(owner, {"type": kind, "strings": data} if data
                     else {"type": kind, "error": "NODATA"})
        elif kind == "MX":
            self.add(owner, {"type": kind, "pref": int(data[0]), "value": data[1].rstrip(".")})
        elif kind in self.SIMPLE:
            self.add(owner, {"type": kind, "value": data[0].rstrip(".")})

    @staticmethod
    def has_brackets(line):
        """Brackets outside of strings."""
        return "(" in "".join(line.split('"')[::2])


class AuthenticationMilter(Whole):
    def read_zone(self):
        text = (self.path / "zone.txt").read_text(encoding="utf-8")
        return without_duplicates(MasterFile(text).zone)

    def judge(self, case):
        want = {key: value for key, value in case["auth_results"].items() if key in METHODS}
        if not want:
            return set_aside("no result of SPF, DKIM, DMARC or ARC")
        return judged(self.ask(case), want)
