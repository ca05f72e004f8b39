"""dkim/*: canonical forms, fields and records, signatures verified, and made."""

import base64

from driver import octets
from properties import (accepted, all_sha1, bare_line_end, has_keys, has_large_key, read_message,
                        signatures_of)
from verdict import failed, passed, set_aside

# The words of a case's "dns" that stand for a failure.
FAILURES = ("NXDOMAIN", "SERVFAIL", "TIMEOUT")

# RFC 8301 3.1 and 3.2: signatures with rsa-sha1 or keys below 1024 bits have permanently failed.
# The suites, which are older in part, say in "uses_sha1" and "weak_key" that this is about them.
OUTDATED = ("uses_sha1", "weak_key")


def zone_of(dns):
    """The DNS of a case in the form that `postern check` takes."""
    zone = {}
    for owner, value in dns.items():
        texts = value if isinstance(value, list) else [value]
        zone[owner] = [{"type": text} if text in FAILURES else {"type": "TXT", "value": text}
                       for text in texts]
    return zone


class Verify:
    """Whole messages with a frozen DNS. A case without "now" says nothing about times."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path

    def judge(self, case):
        message = read_message(self.path, case)
        zone = zone_of(case.get("dns") or {})
        answer = self.driver.ask({
            "op": "dkim-verify", "message": message, "zone": zone,
            "clock": case.get("now") is not None, "now": case.get("now") or 0})
        problem = self.problem(case, answer)
        reason = problem and self.reason(case, message, zone)
        if reason:
            return set_aside(reason)
        told = ", ".join(f"{s['result']} ({s['problem']})" for s in answer["signatures"])
        return failed(f"{answer['result']}: {told}", problem) if problem else passed()

    def problem(self, case, answer):
        """What differs from the case, or None. What is accepted beside it says nothing of details."""
        want = accepted(case, case["expect"])
        if any(case.get(flag) for flag in OUTDATED):
            want.append("permerror")
        if answer["result"] not in want:
            return " or ".join(want)
        if answer["result"] != case["expect"]:
            return None
        return self.valid_problem(case, answer) or self.signatures_problem(case, answer)

    @staticmethod
    def reason(case, message, zone):
        """Why a case that differs is not about us."""
        signatures = signatures_of(message)
        if all_sha1(signatures):
            return "RFC 8301 3.1: rsa-sha1 must not be used for verifying"
        if not zone and not case.get("log"):
            return "the case has neither DNS nor a log"
        if case["expect"] in ("pass", "fail") and signatures and not any(
                has_keys(zone, [tags]) for tags in signatures):
            return "the keys of the signatures are not in the case's DNS"
        if has_large_key(zone, signatures):
            return "RFC 8301 3.2: keys above 4096 bits are up to the verifier"
        if bare_line_end(message):
            return "a bare CR or LF is refused or noted before DKIM (RFC 5321 2.3.8)"
        return None

    @staticmethod
    def valid_problem(case, answer):
        """Some suites tell how many signatures are valid; those with rsa-sha1 are not (RFC 8301)."""
        valid = sum(s["result"] == "pass" for s in answer["signatures"])
        if case.get("valid_signatures", valid) != valid:
            return f"{case['valid_signatures']} valid signatures"
        return None

    @staticmethod
    def signatures_problem(case, answer):
        """Some tell about signatures: each of them must be among ours, in whatever order."""
        if case.get("accept") or any(case.get(flag) for flag in OUTDATED):
            return None
        names = {"result": "result", "sdid": "domain", "auid": "identity", "selector": "selector"}
        left = list(answer["signatures"])
        for want in case.get("signatures", ()):
            wanted = {ours: want[theirs] for theirs, ours in names.items() if theirs in want}
            found = [s for s in left if all(s[key] == value for key, value in wanted.items())]
            if not found:
                return f"a signature with {wanted}"
            left.remove(found[0])
        return None


class Canonicalization:
    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        answer = self.driver.ask({"op": "dkim-canonical", "what": case["what"],
                                  "form": case.get("algo") or "", "input": case["input"] or ""})
        if case["what"] == "c-tag":
            got = f"{answer['head']}/{answer['body']}" if answer["valid"] else None
        else:
            got = answer["output"]
        if got in accepted(case, case["output"]):
            return passed()
        if case.get("bare_lf") or bare_line_end(case["input"] or ""):
            return set_aside("bare CR and LF are octets like others, and are refused or noted "
                             "before DKIM (RFC 5321 2.3.8)")
        return failed(repr(got), repr(case["output"]))


class Syntax:
    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        if case["kind"] == "key-record":
            answer = self.driver.ask({"op": "dkim-key", "text": octets(case["text"])})
        else:
            answer = self.driver.ask({"op": "dkim-signature", "field": octets(case["text"]),
                                      "utf8": bool(case.get("smtputf8"))})
        if answer["valid"] != case["valid"] and not (case.get("lenient") and answer["valid"]):
            return failed(f"valid {answer['valid']} ({answer['problem']})",
                          f"valid {case['valid']} ({case.get('reason', '')})")
        if case.get("is_dkim", False) != answer.get("is_dkim", False):
            return failed(f"is_dkim {answer['is_dkim']}", case["is_dkim"])
        return passed()


class Signing:
    """Each message signed with every key of the suite and both canonical forms, then verified; a
    changed body and an added From must not pass."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]
        self.path = path
        self.keys = []
        for number, file in enumerate(sorted((path / "keys").iterdir())):
            self.keys.append({"selector": f"k{number}", **self.read_key(file)})

    @staticmethod
    def read_key(file):
        text = file.read_text(encoding="ascii").strip()
        if text.startswith("-----"):
            return {"pem": text + "\n"}
        if ".pem" in file.name:
            return {"pem": f"-----BEGIN RSA PRIVATE KEY-----\n{text}\n"
                           "-----END RSA PRIVATE KEY-----\n"}
        return {"seed": base64.b64decode(text)[-32:].decode("latin-1")}

    def judge(self, case):
        message = read_message(self.path, case)
        for form in ("simple", "relaxed"):
            answer = self.driver.ask({
                "op": "dkim-sign", "message": message, "domain": "signer.example", "now": 1000,
                "keys": self.keys, "head": form, "body": form})
            signed = "".join(answer["fields"]) + message
            problem = self.problem(signed, zone_of(answer["records"]), answer["fields"])
            if problem:
                return failed(problem, f"a signature that verifies ({form})")
        return passed()

    def problem(self, signed, zone, fields):
        for line in "".join(fields).split("\r\n"):
            if len(line) > 78:
                return f"a line of {len(line)} characters"
        changes = {"pass": signed, "fail": signed + "added\r\n"}
        for want, message in changes.items():
            answer = self.driver.ask({"op": "dkim-verify", "message": message, "zone": zone,
                                      "now": 1000})
            results = [s["result"] for s in answer["signatures"][:len(fields)]]
            if results != [want] * len(self.keys):
                return f"{results} instead of {want}"
        forged = signed.replace("\r\nFrom:", "\r\nFrom: forger@example.com\r\nFrom:", 1)
        answer = self.driver.ask({"op": "dkim-verify", "message": forged, "zone": zone,
                                  "now": 1000})
        if forged == signed or answer["signatures"][0]["result"] != "fail":
            return "an added From field was not noticed"
        return None
