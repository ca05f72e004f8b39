"""Cases are judged by what they hold: never by their id, never by our answer alone."""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import arc  # noqa: E402
import dkim  # noqa: E402
import dmarc  # noqa: E402
import e2e  # noqa: E402
import mta_sts  # noqa: E402
import properties  # noqa: E402
import spf  # noqa: E402
import tlsrpt  # noqa: E402
from properties import Case  # noqa: E402


def txt(*texts):
    return [{"type": "TXT", "strings": [text]} for text in texts]


class Scripted:
    """Every driver, with the answers that the test wants."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __getitem__(self, name):
        return self

    def ask(self, request):
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def outcome(verdict):
    return "aside" if verdict.aside else "passed" if verdict.passed else "failed"


# ---- messages

@pytest.mark.parametrize("octets, want", [
    (b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb\r\n", b"a\r\nb\r\n"), (b"a\r\nb\n", b"a\r\nb\n"),
    (b"", b""),
])
def test_files_with_lf_only(octets, want):
    assert properties.with_crlf(octets) == want


def test_missing_fields_are_told():
    with pytest.raises(properties.Unjudged, match="ip"):
        Case({})["ip"]
    assert Case({}).get("ip") is None
    with pytest.raises(properties.Unjudged, match="message"):
        properties.read_message(Path("/nowhere"), Case({"file": "x"}))


def test_signatures_are_found():
    message = ("DKIM-Signature: a=rsa-sha256; d=a.example;\r\n\ts=x; h=From\r\n :To; b=a\r\n b\r\n"
               "dkim-signature : a=rsa-sha1; d=b.example; s=y\r\nFrom: x\r\n\r\n"
               "DKIM-Signature: a=body\r\n")
    first, second = properties.signatures_of(message)
    assert (first["h"], first["b"], second["a"]) == ("From:To", "ab", "rsa-sha1")
    assert not properties.all_sha1([first, second]) and properties.all_sha1([second])
    assert not properties.all_sha1([])
    assert properties.signs_from(first) and not properties.signs_from(second)


# ---- DKIM

SIGNED = "DKIM-Signature: v=1; a=%s; d=a.example; s=x; h=From; bh=; b=\r\nFrom: a@a.example\r\n\r\nx\r\n"
KEY = {"x._domainkey.a.example": "v=DKIM1; p=AAAA"}


def judge_dkim(tmp_path, got, *, algorithm="rsa-sha256", text=None, problem="none", **case):
    content = (text or SIGNED % algorithm).encode("latin-1")
    (tmp_path / "m.eml").write_bytes(content)
    answer = {"result": got, "signatures": [{"result": got, "problem": problem}]}
    scripted = Scripted(answer)
    case = {"file": "m.eml", "dns": KEY, "now": None, "expect": "pass"} | case
    return outcome(dkim.Verify(scripted, {}, tmp_path).judge(Case(case))), scripted


@pytest.mark.parametrize("got, case, want", [
    ("pass", {}, "passed"),
    ("fail", {}, "failed"),
    ("fail", {"accept": ["fail"]}, "passed"),
    ("fail", {"accept": "fail"}, "passed"),
    ("neutral", {"accept": ["fail"]}, "failed"),
    ("permerror", {"weak_key": 512}, "passed"),
    ("permerror", {"uses_sha1": True}, "passed"),
    ("permerror", {"algorithm": "rsa-sha1"}, "aside"),
    ("permerror", {"dns": {}}, "aside"),
    ("permerror", {"dns": {}, "log": ["verified"]}, "aside"),
    ("permerror", {"dns": {"y._domainkey.a.example": "p="}}, "aside"),
    ("permerror", {"dns": {}, "log": ["verified"], "expect": "temperror"}, "failed"),
    ("permerror", {"dns": {"x._domainkey.a.example": "p=" + "A" * 1000}}, "aside"),
    ("pass", {"valid_signatures": 2}, "failed"),
    ("pass", {"valid_signatures": 1}, "passed"),
    ("pass", {"signatures": [{"result": "fail"}]}, "failed"),
    ("fail", {"signatures": [{"result": "pass"}], "accept": ["fail"]}, "passed"),
])
def test_dkim(tmp_path, got, case, want):
    assert judge_dkim(tmp_path, got, **case)[0] == want


def test_our_word_for_sha1_is_no_reason(tmp_path):
    """A verifier that takes everything for rsa-sha1 is wrong."""
    assert judge_dkim(tmp_path, "permerror", problem="algorithm_sha1")[0] == "failed"


def test_dkim_messages_with_lf(tmp_path):
    text = (SIGNED % "rsa-sha256").replace("\r\n", "\n")
    verdict, scripted = judge_dkim(tmp_path, "pass", text=text)
    assert verdict == "passed"
    assert scripted.requests[0]["message"] == SIGNED % "rsa-sha256"
    assert judge_dkim(tmp_path, "fail", text=SIGNED % "rsa-sha256" + "a\nb\r\n")[0] == "aside"


# ---- ARC

CHAIN = ("ARC-Seal: i=1; a=rsa-sha256; d=s.example; s=k; cv=none; b=\r\n"
         "ARC-Message-Signature: i=1; a=rsa-sha256; d=s.example; s=k; h=%s; bh=; b=\r\n"
         "ARC-Authentication-Results: i=1; s.example; spf=pass\r\nFrom: a@b.example\r\n\r\nx\r\n")


@pytest.mark.parametrize("got, case, want", [
    ("pass", {}, "passed"),
    ("fail", {}, "failed"),
    ("fail", {"accept": ["fail"]}, "passed"),
    ("fail", {"dns": {}}, "aside"),
    ("fail", {"dns": {"other._domainkey.s.example": "p="}}, "aside"),
    ("fail", {"expect": None}, "passed"),
    ("pass", {"expect": None}, "failed"),
    ("pass", {"arc_sets": 2}, "failed"),
])
def test_real_chains(tmp_path, got, case, want):
    (tmp_path / "m.eml").write_text(CHAIN % "From", newline="")
    case = {"file": "m.eml", "dns": {"K._domainkey.s.example": "p=x"}, "expect": "pass",
            "arc_sets": 1} | case
    answer = {"result": got, "reason": "", "highest": 1}
    assert outcome(arc.RealMessages(Scripted(answer), {}, tmp_path).judge(Case(case))) == want


@pytest.mark.parametrize("names, cv, got, want", [
    ("From", "pass", "pass", "passed"), ("From", "pass", "fail", "failed"),
    ("To", "pass", "fail", "aside"), ("From", "", "fail", "passed"), ("From", "", "pass", "failed"),
])
def test_chains(tmp_path, names, cv, got, want):
    (tmp_path / "m.eml").write_text(CHAIN % names, newline="")
    handler = arc.Validation(Scripted({"result": got, "reason": "the From field is not signed (h=)"}),
                             {"scenarios": {"s": {"txt": {}}}}, tmp_path)
    assert outcome(handler.judge(Case({"file": "m.eml", "scenario": "s", "cv": cv}))) == want


@pytest.mark.parametrize("fields, want", [([], "passed"), ([["ARC-Seal", "i=1"]], "failed")])
def test_empty_seal_means_none(tmp_path, fields, want):
    (tmp_path / "m.eml").write_text("From: a\r\n\r\nx\r\n", newline="")
    scenario = {"domain": "d", "sel": "s", "privatekey": "k", "txt": {}}
    handler = arc.Signing(Scripted({"result": "x", "fields": fields}),
                          {"scenarios": {"s": scenario}}, tmp_path)
    case = {"file": "m.eml", "scenario": "s", "AS": "", "AMS": "", "AAR": "", "t": 1,
            "srv_id": "x", "sig_headers": "from"}
    assert outcome(handler.judge(Case(case))) == want


# ---- SPF

@pytest.mark.parametrize("got, want, same", [
    ("for ::ffff:192.0.2.1", "for 192.0.2.1", True), ("CAFE:BABE::1", "cafe:babe:0::1", True),
    ("at 12:34:56", "at 12:34:56", True), ("a::1", "a::2", False), ("x: y", "x: y", True),
    ("192.0.2.1", "192.0.2.2", False),
])
def test_addresses_in_explanations(got, want, same):
    assert spf.same_explanation(got, want) == same


@pytest.mark.parametrize("record, one_label", [
    ("v=spf1 a:%% -all", True), ("v=spf1 exists:x%_", True), ("v=spf1 a:a.%%", False),
    ("v=spf1 a:museum", False), ("v=spf1 include:next.example", True), ("v=spf1 a:%{d}", False),
])
def test_one_label(record, one_label):
    zone = {"a.example": txt(record), "Next.example.": txt("v=spf1 -mx:%-")}
    assert properties.spf_has_one_label(zone, "A.example") == one_label


def test_spf_accepts_what_the_case_accepts():
    answer = {"result": "permerror", "problem": "x", "mechanism": "", "explanation": ""}
    case = {"scenario": "s", "host": "192.0.2.1", "mailfrom": "a@a.example", "result": ["pass"]}
    handler = spf.Evaluation(Scripted(answer), {"scenarios": {"s": {"zonedata": {}}}}, None)
    assert outcome(handler.judge(Case(case))) == "failed"
    assert outcome(handler.judge(Case(case | {"accept": ["permerror"]}))) == "passed"
    assert outcome(handler.judge(Case(case | {"result": "permerror"}))) == "passed"


def test_spf_counts():
    zone = {"a.example": txt("v=spf1 " + "a " * 6 + "include:b.example"),
            "b.example": txt("v=spf1 mx mx mx redirect=c.example")}
    assert properties.spf_asks_too_much(zone, "a.example")
    assert not properties.spf_asks_too_much(zone, "b.example")
    assert not properties.spf_includes_nothing(zone, "a.example")
    assert properties.spf_includes_nothing({"a.example": txt("v=spf1 ?include:x.example")},
                                           "a.example")


# ---- DMARC

@pytest.mark.parametrize("record, stands", [
    ("v=DMARC1; p=none; adkim=bob", True), ("v=DMARC1; p=x; rua=mailto:a@b", True),
    ("v=DMARC1; aspf=s; P=Reject", True), ("v=DMARC1; p=x", False), ("v=DMARC2; p=none", False),
    ("p=none; v=DMARC1", False), ("", False),
])
def test_what_is_discarded(record, stands):
    assert properties.dmarc_policy_stands(record) == stands


@pytest.mark.parametrize("record, usable, want", [
    ("v=DMARC1; p=none; fo=?", True, "aside"), ("v=DMARC1; p=none; fo=?", False, "passed"),
    ("v=DMARC1; p=x", True, "failed"),
])
def test_records(record, usable, want):
    handler = dmarc.Records(Scripted({"usable": usable}), {}, None)
    case = {"id": "opendmarc-10", "record": record, "valid": False}
    assert outcome(handler.judge(Case(case))) == want


def evaluated(got, **case):
    answer = {"result": "none", "record": None, "record_domain": "", "organizational_domain": "",
              "dkim_aligned": "", "spf_aligned": "", "effective": "none", "disposition": "none",
              "author_domain": "", "queries": []} | got
    case = {"from": "a@b.c.example", "zone": {}, "expect": {}} | case
    return outcome(dmarc.Evaluation(Scripted(answer), {}, None).judge(Case(case)))


RECORD = {"_dmarc.c.example": txt("v=DMARC1; p=reject")}


@pytest.mark.parametrize("got, case, want", [
    ({"result": "fail"}, {"expect": {"result": "pass"}, "zone": RECORD}, "failed"),
    ({"result": "fail"}, {"expect": {"result": "pass"}, "accept": ["fail"]}, "passed"),
    # no record on the way up: what a list would have told
    ({}, {"expect": {"org_domain": "c.example"}}, "aside"),
    ({}, {"expect": {"dkim_aligned": "c.example"}}, "aside"),
    ({}, {"expect": {"org_domain": "c.example"}, "zone": RECORD}, "failed"),
    ({}, {"expect": {"org_domain": "c.example", "result": "pass"}}, "failed"),
    # several records, several addresses of one domain
    ({"result": "fail"}, {"expect": {"result": "none"},
                          "zone": {"_dmarc.b.c.example": txt("v=DMARC1; p=none",
                                                             "v=DMARC1; p=reject")}}, "aside"),
    ({"result": "pass"}, {"expect": {"result": "none"}, "zone": RECORD,
                          "from": ["a@c.example", "b@C.example"]}, "aside"),
    ({"result": "pass"}, {"expect": {"result": "none"}, "zone": RECORD,
                          "from": ["a@c.example", "b@d.example"]}, "failed"),
    ({}, {"expect": {"result": "none", "note": "x"}}, "passed"),
])
def test_evaluations(got, case, want):
    assert evaluated(got, **case) == want


def test_unknown_expectations_are_told():
    with pytest.raises(properties.Unjudged, match="colour"):
        evaluated({}, expect={"colour": "red"})
    with pytest.raises(properties.Unjudged, match="from|domain"):
        dmarc.authors_of(Case({}))


# ---- whole messages

@pytest.mark.parametrize("got, case, want", [
    ({"dkim": "pass"}, {"expect": {"dkim": "pass"}}, "passed"),
    ({"dkim": "fail"}, {"expect": {"dkim": "pass"}}, "failed"),
    ({"dkim": "fail"}, {"expect": {"dkim": "pass"}, "accept": ["fail"]}, "passed"),
    ({"dkim": "fail"}, {"expect": {"dkim": "pass"}, "accept": {"dkim": ["fail"]}}, "passed"),
    ({"dkim": "pass"}, {"not_symbols": ["R_DKIM_ALLOW"]}, "failed"),
    ({"dkim": "fail"}, {"not_symbols": ["R_DKIM_ALLOW"]}, "passed"),
    ({}, {"symbols": ["SOMETHING"]}, "aside"),
    ({"spf": "fail"}, {"expect": {"spf": "pass"}}, "aside"),
    ({"spf": "fail"}, {"expect": {"spf": "pass"}, "mailfrom": "a@b.example"}, "failed"),
    ({"spf": "permerror"}, {"expect": {"spf": "fail"}, "mailfrom": "a@inc.example"}, "aside"),
    ({"dkim": "permerror"}, {"expect": {"dkim": "pass"}, "sha1": True}, "aside"),
    ({"arc": "fail"}, {"expect": {"arc": "pass"}, "chain": True}, "aside"),
])
def test_whole_messages(tmp_path, got, case, want):
    text = CHAIN % "From" if case.pop("chain", False) else SIGNED % (
        "rsa-sha1" if case.pop("sha1", False) else "rsa-sha256")
    (tmp_path / "m.eml").write_text(text, newline="")
    (tmp_path / "zone.json").write_text('{"inc.example": [{"type": "TXT", "strings": '
                                        '["v=spf1 include:gone.example"]}]}')
    answer = {"spf": {"result": got.get("spf", "none")}, "arc": {"result": got.get("arc", "none")},
              "dkim": [{"result": got["dkim"]}] if "dkim" in got else [],
              "dmarc": {"result": "none", "disposition": "none"}}
    handler = e2e.Rspamd(Scripted(answer), {}, tmp_path)
    assert outcome(handler.judge(Case({"file": "m.eml"} | case))) == want


@pytest.mark.parametrize("author, record, samples", [
    ("A <a@news.shop.example>", "v=DMARC1; p=reject; pct=20", True),
    ("a@SHOP.example", "v=DMARC1; p=reject; pct=20", True),
    ("a@shop.example", "v=DMARC1; p=reject", False),
    ("a@other.example", "v=DMARC1; p=reject; pct=20", False),
    ("nobody", "v=DMARC1; p=reject; pct=20", False),
])
def test_policies_for_a_part_of_the_messages(tmp_path, author, record, samples):
    """Told from the message and the zone; what Postern takes for the author is not asked."""
    (tmp_path / "zone.json").write_text(json.dumps(
        {"_dmarc.shop.example": [{"type": "TXT", "strings": [record]}]}))
    scripted = Scripted({})
    handler = e2e.Rspamd(scripted, {}, tmp_path)
    assert handler.samples(f"From: {author}\r\n\r\nx\r\n") is samples
    assert not scripted.requests


# ---- MTA-STS and TLS reports

def aged(age, mode="none"):
    return f"version: STSv1\r\nmode: {mode}\r\nmax_age: {age}\r\n"


@pytest.mark.parametrize("answer, case, want", [
    ({"valid": True, "mode": "none"}, {"text": aged(5), "valid": True, "mode": "none"}, "passed"),
    ({"valid": True, "mode": "none"}, {"text": aged(5), "valid": True, "mode": "testing"}, "failed"),
    ({"valid": False}, {"text": aged(5), "valid": True}, "failed"),
    ({"valid": True}, {"text": aged(5), "valid": False}, "failed"),
    ({"valid": True}, {"text": aged(5), "valid": False, "accept_valid": True}, "passed"),
    ({"valid": True}, {"text": aged(31557601), "valid": False}, "aside"),
    ({"valid": True}, {"text": aged(31557600), "valid": False}, "failed"),
    ({"valid": True}, {"text": aged(99999999999), "valid": False}, "failed"),
    ({"valid": True, "max_age": 31557600},
     {"text": aged(99999999), "valid": True, "max_age": 99999999}, "passed"),
])
def test_policies_of_mta_sts(tmp_path, answer, case, want):
    handler = mta_sts.RecordsAndPolicies(Scripted(answer), {}, tmp_path)
    assert outcome(handler.judge(Case({"kind": "policy"} | case))) == want


@pytest.mark.parametrize("a, b, same", [
    ({"mx-host": "a"}, {"mx-host": ["a"]}, True),
    ({"mx-host": "a"}, {"mx-host": ["b"]}, False),
    ({"sending-mta-ip": "2001:db8:0::01"}, {"sending-mta-ip": "2001:db8::1"}, True),
    ({"receiving-ip": "nowhere"}, {"receiving-ip": "nowhere"}, True),
    ({"policy-domain": "A.example."}, {"policy-domain": "a.example"}, True),
    ({"organization-name": "A"}, {"organization-name": "a"}, False),
    ({"a": {"b": None, "c": []}}, {}, True),
    ({"failed-session-count": 0}, {}, False),
])
def test_forms_of_reports(a, b, same):
    assert (tlsrpt.same_form(a) == tlsrpt.same_form(b)) == same
