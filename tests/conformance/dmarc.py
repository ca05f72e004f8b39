"""dmarc/*: policy records, the author's domain, the DNS tree walk, alignment (RFC 9989)."""

import re

from driver import octets
from properties import (Unjudged, accepted, dmarc_policy_stands, has_several_records, walk_finds_nothing)
from verdict import failed, passed, set_aside

REPORTS = "belongs to a later part: DMARC reports"
NO_LIST = ("asks a public suffix list; RFC 9989 4.10 finds organizational domains by walking the DNS "
           "and knows no list")
HISTORIC = ("pct", "ri", "rf")  # RFC 9989 removed them: ignored like any unknown tag

# Words, quoted or not, and then an address without angle brackets.
BARE_ADDRESS = re.compile(r'("[^"]*"|[^<>@"(]+)\s+[^\s<>@"]+@[^\s<>@"]+')

DISCARDED = ("the RFC says otherwise (RFC 9989 4.8, 4.10.1: where a policy or a rua can be read, syntax "
             "errors elsewhere are discarded)")


def judged(wrong, reason=None):
    """A verdict from a list of "key: got; want"; `reason` says why a difference is not ours."""
    if not wrong:
        return passed()
    if reason:
        return set_aside(reason)
    return failed("; ".join(f"{key}={got!r}" for key, got, _ in wrong),
                  "; ".join(f"{key}={want!r}" for key, _, want in wrong))


def differences(got, want):
    """Compares the keys of `want`."""
    return [(key, got.get(key), value) for key, value in want.items() if got.get(key) != value]


class Publicsuffix:
    def __init__(self, drivers, content, path):
        pass

    def judge(self, case):
        return set_aside(NO_LIST)


class Records:
    """dmarc/record-parse"""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        answer = self.driver.ask({"op": "dmarc-record", "record": octets(case["record"])})
        wrong = differences({"valid": answer["usable"]}, {"valid": case["valid"]})
        if case["valid"] and not wrong:
            wrong = differences(tags_of(answer), {
                key: without_sizes(key, value) for key, value in (case.get("tags") or {}).items()
                if key not in HISTORIC and key in tags_of(answer)})
        discarded = not case["valid"] and dmarc_policy_stands(case["record"])
        return judged(wrong, DISCARDED if discarded else None)


def tags_of(record):
    """What a record says, in the suites' form."""
    tags = {key: record[key] for key in ("p", "sp", "np", "adkim", "aspf", "psd", "t", "fo")}
    for key in ("rua", "ruf"):
        tags[key] = [uri["uri"] for uri in record[key]]
        tags[key + "_max"] = [uri["limit"] for uri in record[key]]
    return tags


def without_sizes(key, value):
    """RFC 9989 4.8: the obsolete size is no part of the address."""
    return [uri.split("!")[0] for uri in value] if key in ("rua", "ruf") else value


class Identifiers:
    """dmarc/identifiers: the author's domain, and alignment of two names."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        if case["kind"] == "from-domain":
            return self.author(case)
        if case["kind"] == "alignment":
            return self.alignment(case)
        return set_aside(NO_LIST)

    def author(self, case):
        message = "From: " + octets(case["header"]) + "\r\n\r\n"
        answer = self.driver.ask({"op": "author", "message": message})
        if (case.get("multi") or case.get("malformed")) and not answer["domain"]:
            return passed()  # refused: RFC 9989 5.3.1
        reason = None
        if BARE_ADDRESS.fullmatch(case["header"]):
            reason = ("the RFC says otherwise (RFC 5322 3.4: words before an address need angle "
                      "brackets around it)")
        got = answer["domain"] or None
        return judged([] if got in accepted(case, case["domain"]) else [
            ("domain", f"{answer['kind']} {got}", case["domain"])], reason)

    def alignment(self, case):
        """A record at the last two labels of each name stands for what the list told."""
        names = (case["domain"], case["tld"])
        if any("" in name.split(".") for name in names):
            return set_aside("the RFC says otherwise (RFC 1035 2.3.1: labels are not empty, so that "
                             "this is no domain name)")
        zone = {"_dmarc." + ".".join(name.strip(".").split(".")[-2:]): [
            {"type": "TXT", "strings": [f"v=DMARC1; p=reject; adkim={case['mode']}"]}]
            for name in names}
        answer = self.driver.ask({"op": "dmarc", "domain": octets(names[1]), "spf": [],
                                  "dkim": [{"domain": octets(names[0]), "result": "pass"}],
                                  "zone": zone})
        got = bool(answer["dkim_aligned"])
        return judged([] if got == case["aligned"] else [("aligned", got, case["aligned"])])


def authors_of(case):
    """The addresses in From, or the author's domain."""
    author = case["from" if "from" in case else "domain"]
    return author if isinstance(author, list) else [author]


class Evaluation:
    """Records, policies and results of whole evaluations."""

    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        if case.get("kind") == "external-report":
            return set_aside(REPORTS)
        expect = dict(case["expect"])
        if not expect and "ETIMEOUT" in str(case.get("zone")):
            expect["result"] = "temperror"  # the source throws
        expect.pop("use_result", None)  # sampling by pct
        answer = self.ask(case)
        if answer["result"] in accepted(case):
            expect.pop("result", None)
        wrong = [difference for key, value in expect.items()
                 for difference in self.compare(key, value, answer)]
        return judged(wrong, self.reason(case, wrong))

    # What a tree walk finds, and what follows from it.
    FROM_THE_WALK = {"org_domain", "dkim_aligned", "spf_aligned", "dkim_strict", "spf_strict"}

    def reason(self, case, wrong):
        """Why a case that differs is not about us."""
        zone = case.get("zone") or {}
        authors = authors_of(case)
        domains = {author.rpartition("@")[2].lower() for author in authors}
        if len(authors) > 1 and len(domains) == 1:
            return ("the RFC says otherwise (RFC 9989 5.3.1, 5.3.2: two addresses of one domain are "
                    "precisely one author domain)")
        domain = min(domains, default="")
        if has_several_records(zone, domain):
            return ("the RFC says otherwise (RFC 9989 4.10 step 2: several records are all "
                    "discarded, and the walk goes on)")
        if walk_finds_nothing(zone, domain) and {key for key, _, _ in wrong} <= self.FROM_THE_WALK:
            return NO_LIST
        return None

    def ask(self, case):
        spf = case.get("spf") or []
        request = {"op": "dmarc", "zone": case.get("zone") or {},
                   "organizational_domain": "org_domain" in case["expect"],
                   "spf": identifiers(spf if isinstance(spf, list) else [spf]),
                   "dkim": identifiers(case.get("dkim") or [])}
        author = ", ".join(authors_of(case))
        request["from" if "@" in author else "domain"] = octets(author)
        return self.driver.ask(request)

    def compare(self, key, want, answer):
        """The differences for one key of "expect"."""
        simple = {"result": "result", "policy": "effective", "disposition": "disposition"}
        if key in simple:
            return differences(answer, {simple[key]: want})
        special = getattr(self, "compare_" + key, None)
        if special is None:
            if key != "note":
                raise Unjudged(f"an expectation that the runner does not know: {key}")
            return []
        return special(want, answer)

    def compare_status(self, want, answer):
        """Of a look-up alone: is there a policy to apply?"""
        got = answer["result"] if answer["result"] in ("temperror", "permerror") else "none"
        return differences({"status": got}, {"status": want})

    def compare_record(self, want, answer):
        got = answer["record"] is not None and answer["record"]["usable"]
        return differences({"record": got}, {"record": want})

    def compare_record_domain(self, want, answer):
        return differences({"record_domain": answer["record_domain"] or None},
                           {"record_domain": want})

    def compare_org_domain(self, want, answer):
        return differences({"org_domain": answer["organizational_domain"]}, {"org_domain": want})

    def compare_dkim_aligned(self, want, answer):
        return aligned("dkim_aligned", want, answer)

    def compare_spf_aligned(self, want, answer):
        return aligned("spf_aligned", want, answer)

    def compare_dkim_strict(self, want, answer):
        return differences({"dkim_strict": strict(answer, "adkim")}, {"dkim_strict": want})

    def compare_spf_strict(self, want, answer):
        return differences({"spf_strict": strict(answer, "aspf")}, {"spf_strict": want})

    def compare_queries(self, want, answer):
        """Which records were looked for; the source also asks for addresses of its own."""
        got = [name for name in answer["queries"] if name.startswith("_dmarc.")]
        return differences({"queries": got}, {"queries": want})

    def compare_fields(self, want, answer):
        got = tags_of(answer["record"]) if answer["record"] else {}
        got |= {"v": "DMARC1", "status.header.from": answer["author_domain"],
                "status.header.d": answer["record_domain"]}
        wrong = differences(got, want)
        # What belongs to the source's own object, or to DKIM.
        return [entry for entry in wrong
                if entry[0] not in HISTORIC + ("alignment.dkim.underSized", "false")]

    def compare_other(self, want, answer):
        record = answer["record"]
        known = {"isOrgRecord": answer["record_domain"] != answer["author_domain"],
                 "info": f"dmarc={answer['result']}", "": None,
                 "rr": " ".join(tags_of(record)["rua"]) if record else ""}
        checks = {"true": lambda got, _: got is True, "false": lambda got, _: not got,
                  "contain": lambda got, value: value in got,
                  "include": lambda got, value: value in got,
                  "not property": lambda _, value: answer["record"] is None,
                  "a": lambda got, value: True, "an": lambda got, value: record is not None}
        for entry in want:
            absent = entry["op"] in ("false", "not property")  # true of what we have no name for
            if entry["op"] not in checks or (entry["field"] not in known and not absent):
                raise Unjudged("an expectation that the runner does not know: "
                               f"{entry['field']} {entry['op']}")
        return [(entry["field"], known.get(entry["field"]), entry["value"]) for entry in want
                if not checks[entry["op"]](known.get(entry["field"]), entry["value"])]


def strict(answer, mode):
    """None: there is no record that could say so."""
    return answer["record"][mode] == "s" if answer["record"] else None


def identifiers(entries):
    return [{"domain": octets(entry["domain"]), "result": entry["result"]} for entry in entries]


def aligned(key, want, answer):
    """The source names the organizational domain, we the identifier below it."""
    got = answer[key]
    if isinstance(want, str):
        good = got == want or got.endswith("." + want)
    else:
        good = bool(got) == want
    return [] if good else [(key, got, want)]
