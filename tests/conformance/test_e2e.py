"""What the handler of auth-e2e makes of its sources' data."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import e2e  # noqa: E402


@pytest.mark.parametrize("line, zone", [
    ("a.example. 300 IN A 192.0.2.1", {"a.example": [{"type": "A", "value": "192.0.2.1"}]}),
    ("b.example. CNAME c.Example.", {"b.example": [{"type": "CNAME", "value": "c.Example"}]}),
    ("d.example MX 10 mx.example.",
     {"d.example": [{"type": "MX", "pref": 10, "value": "mx.example"}]}),
    ('e.example. 5 IN TXT ( "v=spf1 " "-all" )',
     {"e.example": [{"type": "TXT", "strings": ["v=spf1 ", "-all"]}]}),
    ('f.example. 5 IN TXT "a (b) c"', {"f.example": [{"type": "TXT", "strings": ["a (b) c"]}]}),
    ("g.example TXT", {"g.example": [{"type": "TXT", "error": "NODATA"}]}),
    (";ERROR,h.example,TXT,SERVFAIL", {"h.example": [{"type": "TXT", "error": "SERVFAIL"}]}),
    (";ERROR,i.example,TXT,NXDOMAIN", {}),
    ("; a comment", {}),
    ("j.example. 300 IN NS ns.example.", {}),
])
def test_master_file(line, zone):
    assert e2e.MasterFile(line).zone == zone


def test_duplicates():
    record = {"type": "TXT", "strings": ["v=spf1 -all"]}
    other = {"type": "TXT", "strings": ["x"]}
    assert e2e.without_duplicates({"a": [record, dict(record), other]}) == {"a": [record, other]}


@pytest.mark.parametrize("want, wrong", [
    ({"spf": "pass", "dmarc": "fail+reject"}, {}),
    ({"spf": "fail"}, {"spf": ("pass", "fail")}),
    ({"dmarc": "fail"}, {}),
    ({"dmarc": "fail+none"}, {"dmarc": ("fail+reject", "fail+none")}),
])
def test_differences(want, wrong):
    got = {"spf": "pass", "dkim": "none", "arc": "none", "dmarc": "fail", "disposition": "reject"}
    assert e2e.differences(got, want) == wrong
