"""auth-e2e/*: whole messages with their envelope and DNS, through the table of checks of the filter
and the decision, as the gateway would see them. Judged are SPF, DKIM, DMARC and ARC."""

import json
import shlex

from properties import (all_sha1, author_domain, has_keys, has_large_key, read_message,
                        signatures_of, spf_asks_too_much, spf_includes_nothing, tags_of, texts_of,
                        walk_names)
from verdict import failed, passed, set_aside

# Who sends where a case does not say: nothing is known of this name and this address.
NOBODY = {"ip": "192.0.2.1", "helo": "nobody.invalid", "mailfrom": ""}

# When the cases were written, their messages were of their day; none has an expiry time.
METHODS = ("spf", "dkim", "dmarc", "arc")


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
        expected = [expected] if isinstance(expected, str) else expected
        with_policy = any("+" in result for result in expected)
        found = got[method] + ("+" + got["disposition"] if with_policy else "")
        if found not in expected and got[method] not in expected:
            wrong[method] = (found, " or ".join(expected))
    return wrong


def expectations(case, outcomes):
    """What a case wants of our methods; `accept` may name other results of a method, or of the only
    one that it wants."""
    want = {method: [result] for method, result in outcomes.items() if method in METHODS}
    more = case.get("accept") or {}
    if not isinstance(more, dict):
        more = {method: more for method in want} if len(want) == 1 else {}
    for method in want:
        others = more.get(method) or []
        want[method] += [others] if isinstance(others, str) else others
    return want


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
            "op": "message", "message": read_message(self.path, case),
            "ip": envelope["ip"], "helo": envelope["helo"],
            # A path in its brackets; no SMTP server lets a blank through in it.
            "from": envelope["mailfrom"].strip("<>").replace(" ", ""),
            "rcpt": case.get("rcpt") or "somebody@postern.invalid",
            "zone": self.zone})

    def judged(self, case, want, forbidden=()):
        """Compares results; `forbidden` are methods that must not pass."""
        got = results(self.ask(case))
        wrong = differences(got, want)
        for method in forbidden:
            if got[method] == "pass":
                wrong[method] = ("pass", "anything else")
        if not wrong:
            return passed()
        reason = self.reason(case, set(wrong))
        if reason:
            return set_aside(reason)
        return failed({method: found for method, (found, _) in wrong.items()},
                      {method: expected for method, (_, expected) in wrong.items()})

    # Signatures that rspamd looks at.
    SIGNATURES = 5

    def reason(self, case, methods):
        """Why a case whose `methods` differ is not about us."""
        message = read_message(self.path, case)
        signatures = signatures_of(message)
        for reasons in ("spf", "dkim", "arc"):
            if reasons in methods and methods <= {reasons, "dmarc"}:
                return getattr(self, reasons + "_reason")(case, message, signatures)
        if methods == {"dmarc"} and self.samples(message):
            return "the RFC says otherwise (RFC 9989 has no pct: a policy is for all messages)"
        return None

    def spf_reason(self, case, message, signatures):
        path = (case.get("mailfrom") or "").strip("<>")
        domain = path.rpartition("@")[2] or case.get("helo") or ""
        if spf_asks_too_much(self.zone, domain):
            return "the RFC says otherwise (RFC 7208 4.6.4: more than 10 look-ups are permerror)"
        if spf_includes_nothing(self.zone, domain):
            return ("the RFC says otherwise (RFC 7208 5.2: an included domain without a record is "
                    "permerror)")
        return None

    def dkim_reason(self, case, message, signatures):
        if all_sha1(signatures):
            return "RFC 8301 3.1: rsa-sha1 must not be used for verifying"
        if has_large_key(self.zone, signatures):
            return "RFC 8301 3.2: keys above 4096 bits are up to the verifier"
        if len(signatures) > self.SIGNATURES:
            return ("the source looks at fewer signatures (RFC 6376 6.1 leaves the number to the "
                    "verifier)")
        return None

    def arc_reason(self, case, message, signatures):
        chain = signatures_of(message, "arc-message-signature") + signatures_of(message, "arc-seal")
        if not has_keys(self.zone, chain):
            return "the keys of the chain are not in the suite's DNS"
        return "RFC 8617 4.1.2, 4.1.3: rsa-sha256 only" if all_sha1(chain) else None

    def samples(self, message):
        """The policy of the author's domain is for a part of its messages."""
        return any("pct" in tags_of(text) for name in walk_names(author_domain(message))
                   for text in texts_of(self.zone, name))


class Rspamd(Whole):
    # Symbols that a case must not have, as the method that must not pass.
    PASSES = {"R_DKIM_ALLOW": "dkim", "R_SPF_ALLOW": "spf", "DMARC_POLICY_ALLOW": "dmarc",
              "ARC_ALLOW": "arc"}

    def read_zone(self):
        with open(self.path / "zone.json", encoding="utf-8") as file:
            return without_duplicates(json.load(file))

    def judge(self, case):
        want = expectations(case, case.get("expect") or {})
        forbidden = [self.PASSES[symbol] for symbol in case.get("not_symbols") or ()
                     if symbol in self.PASSES]
        if ("spf" in want or "spf" in forbidden) and case.get("mailfrom") is None:
            return set_aside("the source takes client and sender out of a Received field")
        if not want and not forbidden:
            return set_aside("a symbol of the source that is no result of a method")
        return self.judged(case, want, forbidden)


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
        want = expectations(case, case["auth_results"])
        if not want:
            return set_aside("no result of SPF, DKIM, DMARC or ARC")
        return self.judged(case, want)
