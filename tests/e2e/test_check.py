"""postern check for people: a sender, a message, a domain; against a table and against a DNS."""

import base64
import gzip
import json
import subprocess

import pytest

from lab.gateway import binary
from lab.process import run

FORGED = ("From: CEO <ceo@kartapuce.com>\nTo: bob@example.org\nSubject: pay\n"
          "Date: Fri, 27 Nov 2026 10:00:00 +0000\nMessage-ID: <a@b>\n\nNow!\n")

ZONE = {
    "kartapuce.com": [{"type": "NS", "value": "ns.kartapuce.com"},
                      {"type": "MX", "pref": 10, "value": "mx.kartapuce.com"},
                      {"type": "TXT", "strings": ["v=spf1 mx -all"]}],
    "mx.kartapuce.com": [{"type": "A", "value": "192.0.2.1"}],
    "1.2.0.192.in-addr.arpa": [{"type": "PTR", "value": "mx.kartapuce.com"}],
    "_dmarc.kartapuce.com": [{"type": "TXT", "strings": ["v=DMARC1; p=reject; "
                                                         "rua=mailto:dmarc@kartapuce.com"]}],
}


def check(*words, status=0):
    done = run([binary(), "check", *map(str, words)], check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def zone_file(directory, zone):
    path = directory / "zone.json"
    path.write_text(json.dumps(zone))
    return path


@pytest.fixture
def table(tmp_path):
    return zone_file(tmp_path, ZONE)


@pytest.fixture
def forged(tmp_path):
    path = tmp_path / "forged.eml"
    path.write_text(FORGED)
    return path


# -- a sender

@pytest.mark.parametrize("ip, result", [("192.0.2.1", "pass"), ("192.0.2.2", "fail")])
def test_sender(table, ip, result):
    words = ("spf", "--ip", ip, "--helo", "mx.kartapuce.com", "--from", "<bob@kartapuce.com>",
             "--zone", table)
    lines = check(*words).splitlines()
    assert lines[0].split()[:2] == ["HELO", "none"]
    assert lines[1].split()[:3] == ["MAIL", "FROM", result]
    answer = json.loads(check(*words, "--json"))
    assert answer["mailfrom"]["result"] == result
    assert answer["mailfrom"]["received_spf"].startswith(result)


# -- a message

def test_forged_message_is_refused(table, forged):
    words = ("message", forged, "--ip", "192.0.2.9", "--helo", "evil.example",
             "--from", "x@evil.example", "--zone", table)
    text = check(*words)
    assert "DMARC      fail" in text
    assert "would be refused: 550 5.7.1" in text.splitlines()[-1]
    assert "dmarc_fail_reject" in text.splitlines()[-1]
    answer = json.loads(check(*words, "--json"))
    assert (answer["decision"]["action"], answer["decision"]["rule"]) == ("reject",
                                                                          "dmarc_fail_reject")
    assert "\033" not in text


def test_own_message_passes(table, forged):
    text = check("message", forged, "--ip", "192.0.2.1", "--from", "ceo@kartapuce.com",
                 "--zone", table)
    assert "aligned by SPF of kartapuce.com" in text
    assert "550" not in text


@pytest.mark.parametrize("algorithm", ["rsa-sha1", "rsa-sha256", "ed25519-sha256", "rsa-sha512"])
def test_the_algorithm_has_its_own_name(table, tmp_path, algorithm):
    """Also where it is not accepted (RFC 8301 3.1)."""
    path = tmp_path / "signed.eml"
    path.write_text(f"DKIM-Signature: v=1; a={algorithm.upper()}; d=kartapuce.com; s=x; h=from;\n"
                    f" bh=AAAA; b=AAAA\n{FORGED}")
    answer = json.loads(check("message", path, "--ip", "192.0.2.9", "--zone", table, "--json"))
    assert [signature["algorithm"] for signature in answer["dkim"]] == [algorithm]


def test_message_from_standard_input(table):
    done = run([binary(), "check", "message", "-", "--ip", "192.0.2.9", "--zone", table],
               text=FORGED, check=False)
    assert done.returncode == 0 and "dmarc_fail_reject" in done.stdout


def test_rules_of_the_configuration(world, table, forged):
    gateway = world.gateway({"authentication": {"dmarc": {"enforce": False}}},
                            start=False).gateway
    text = check("message", forged, "--ip", "192.0.2.9", "--helo", "evil.example",
                 "--from", "x@evil.example", "--zone", table, "--config", gateway.file)
    assert "DMARC      fail" in text and "550" not in text


# -- a domain

def faults(zone, tmp_path, *words):
    """The names of what is wrong with kartapuce.com in a table."""
    answer = json.loads(check("domain", "kartapuce.com", "--json", "--zone",
                              zone_file(tmp_path, zone), *words))
    return {fault["name"] for section in answer["sections"] for fault in section["faults"]}


def test_domain_without_faults(tmp_path):
    assert faults(ZONE, tmp_path) == {"dnssec_none", "dkim_unknown"}


def txt(text):
    return {"type": "TXT", "strings": [text]}


def with_spf(*records):
    """The zone with these SPF records."""
    return {**ZONE, "kartapuce.com": ZONE["kartapuce.com"][:2] + [txt(r) for r in records],
            "other.example": [txt("v=spf1 ip4:198.51.100.1 -all")],
            "ring.example": [txt("v=spf1 include:kartapuce.com -all")]}


@pytest.mark.parametrize("records, name", [
    ((), "spf_missing"),
    (("v=spf1 -all", "v=spf1 mx -all"), "spf_several"),
    (("spf1 mx -all",), "spf_version"),
    (("v=spf1 moo -all",), "spf_syntax"),
    (("v=spf1 +all",), "spf_all_pass"),
    (("v=spf1 mx ?all",), "spf_all_neutral"),
    (("v=spf1 mx",), "spf_all_neutral"),
    (("v=spf1 mx ~all",), "spf_all_soft"),
    (("v=spf1 -all mx",), "spf_after_all"),
    (("v=spf1 -all redirect=other.example",), "spf_after_all"),
    (("v=spf1 " + "include:other.example " * 11 + "-all",), "spf_lookups"),
    (("v=spf1 " + "include:other.example " * 9 + "-all",), "spf_lookups_near"),
    (("v=spf1 a:x.example a:y.example a:z.example -all",), "spf_void"),
    (("v=spf1 ptr -all",), "spf_ptr"),
    (("v=spf1 include:gone.example -all",), "spf_include"),
    (("v=spf1 include:ring.example -all",), "spf_loop"),
    (("v=spf1 ip4:192.0.2.0/8 -all",), "spf_wide"),
    (("v=spf1 " + "ip4:198.51.100.10 " * 30 + "-all",), "spf_long"),
])
def test_faults_of_spf(tmp_path, records, name):
    assert name in faults(with_spf(*records), tmp_path)


@pytest.mark.parametrize("record, name", [
    (None, "dmarc_missing"),
    ("v=dmarc1; p=reject", "dmarc_version"),
    ("v=DMARC1; p=none; rua=mailto:a@kartapuce.com", "dmarc_p_none"),
    ("v=DMARC1; p=reject; p=none", "dmarc_void"),
    ("v=DMARC1; p=reject; sp=none", "dmarc_subdomains"),
    ("v=DMARC1; p=reject; t=y", "dmarc_testing"),
    ("v=DMARC1; p=reject", "dmarc_no_reports"),
    ("v=DMARC1; p=reject; pct=50", "dmarc_historic"),
    ("v=DMARC1; p=reject; adkim=x", "dmarc_faulty"),
    ("v=DMARC1; p=reject; rua=mailto:a@reports.example", "dmarc_unauthorized"),
])
def test_faults_of_dmarc(tmp_path, record, name):
    assert name in faults({**ZONE, "_dmarc.kartapuce.com": [txt(record)] if record else []},
                          tmp_path)


def test_authorized_receiver_of_reports(tmp_path):
    zone = {**ZONE, "_dmarc.kartapuce.com": [
        txt("v=DMARC1; p=reject; rua=mailto:a@reports.example")],
        "kartapuce.com._report._dmarc.reports.example": [txt("v=DMARC1")]}
    assert "dmarc_unauthorized" not in faults(zone, tmp_path)


WEAK = ("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5zl5SXilsFKevQGiqBlayLeL+bBzi4N98RjV/yiM+unz+317b"
        "WhTU63biRyHbv0DZ431uqj8mPURgnLef+SBOYkEDv/dhizcqNVWHWHJou/I/oXpjPWJqVIBu242wxNLI3R92LhLG"
        "Kg0W/J++PosQvlZ3ogYdmDNY+wmRYFPJlwIDAQAB")


@pytest.mark.parametrize("record, names", [
    (None, {"dkim_missing"}),
    (f"v=DKIM1; p={WEAK}", {"dkim_weak"}),
    (f"p={WEAK}", {"dkim_weak", "dkim_version"}),
    (f"v=DKIM1; t=y; p={WEAK}", {"dkim_weak", "dkim_testing"}),
    (f"v=DKIM1; h=sha1; p={WEAK}", {"dkim_weak", "dkim_hash"}),
    (f"v=DKIM1; s=other; p={WEAK}", {"dkim_weak", "dkim_service"}),
    ("v=DKIM1; p=", {"dkim_revoked"}),
    ("v=DKIM1; p=garbage", {"dkim_malformed"}),
])
def test_faults_of_dkim(tmp_path, record, names):
    zone = {**ZONE, "old._domainkey.kartapuce.com": [txt(record)] if record else []}
    found = faults(zone, tmp_path, "--selector", "old")
    assert {name for name in found if name.startswith("dkim_")} == names


@pytest.mark.parametrize("changes, name", [
    ({"kartapuce.com": ZONE["kartapuce.com"][:1]}, "mx_none"),
    ({"kartapuce.com": [ZONE["kartapuce.com"][0], {"type": "A", "value": "192.0.2.1"}]},
     "mx_implicit"),
    ({"kartapuce.com": [*ZONE["kartapuce.com"], {"type": "MX", "pref": 0, "value": ""}]},
     "mx_null_mixed"),
    ({"mx.kartapuce.com": [{"type": "CNAME", "value": "other.example"}],
      "other.example": [{"type": "A", "value": "192.0.2.1"}]}, "mx_alias"),
    ({"mx.kartapuce.com": []}, "mx_no_address"),
    ({"mx.kartapuce.com": [{"type": "A", "value": "10.1.2.3"}]}, "mx_unreachable"),
    ({"1.2.0.192.in-addr.arpa": []}, "mx_no_reverse"),
    ({"kartapuce.com": [{"type": "NS", "value": "ns.kartapuce.com", "secure": "bogus"}]},
     "dnssec_bogus"),
    ({"kartapuce.com": [{"type": "SERVFAIL"}]}, "dns_failed"),
])
def test_faults_of_mx_and_dns(tmp_path, changes, name):
    assert name in faults({**ZONE, **changes}, tmp_path)


def test_output_for_people(table):
    text = check("domain", "kartapuce.com", "--zone", table)
    assert "kartapuce.com: v=spf1 mx -all" in text
    assert "1 of at most 10 terms that ask the DNS" in text
    assert text.splitlines()[-1] == "kartapuce.com: 0 faults, 0 warnings, 2 notes."


# -- what a domain publishes about TLS

POLICY = "version: STSv1\nmode: enforce\nmx: mx.kartapuce.com\nmx: *.example.net\nmax_age: 604800\n"
REPORT = {
    "organization-name": "Tom's", "contact-info": "tls@example.net", "report-id": "1@example.net",
    "date-range": {"start-datetime": "2026-11-23T00:00:00Z", "end-datetime": "2026-11-23T23:59:59Z"},
    "policies": [{
        "policy": {"policy-type": "sts", "policy-domain": "kartapuce.com",
                   "policy-string": POLICY.splitlines(), "mx-host": ["mx.kartapuce.com"]},
        "summary": {"total-successful-session-count": 23, "total-failure-session-count": 1},
        "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 1,
                             "sending-mta-ip": "198.51.100.9", "receiving-ip": "192.0.2.26",
                             "receiving-mx-hostname": "mx.kartapuce.com"}]}]}


def check_octets(subject, octets, *words, status=0):
    done = subprocess.run([binary(), "check", subject, "-", *words], input=octets, timeout=30,
                          capture_output=True, check=False)
    assert done.returncode == status, done
    return done.stdout.decode()


def report_message():
    content = base64.encodebytes(gzip.compress(json.dumps(REPORT).encode()))
    return (b"TLS-Report-Domain: kartapuce.com\nTLS-Report-Submitter: example.net\n"
            b"Content-Type: multipart/report; report-type=tlsrpt; boundary=b\n\n"
            b"--b\n\ntext\n--b\nContent-Type: application/tlsrpt+gzip\n"
            b"Content-Transfer-Encoding: base64\n\n" + content + b"--b--\n")


def test_policy(tmp_path):
    path = tmp_path / "mta-sts.txt"
    path.write_text(POLICY)
    assert check("mta-sts", path).splitlines() == [
        "MTA-STS policy: ok",
        "  mode       enforce: mail goes only to hosts with these names and a valid certificate",
        "  mx         mx.kartapuce.com", "  mx         *.example.net",
        "  max_age    604800 seconds (7 days)"]
    answer = json.loads(check("mta-sts", path, "--json"))
    assert (answer["valid"], answer["mode"], answer["mx"]) == (
        True, "enforce", ["mx.kartapuce.com", "*.example.net"])


@pytest.mark.parametrize("text, line", [
    ("v=STSv1; id=20261123;", "MTA-STS record: ok"),
    ('"v=STSv1; i" "d=20261123"', "MTA-STS record: ok"),
    (POLICY.replace("mode", "x: y\nmode").replace("\n", "\r\n"), "MTA-STS policy: ok"),
])
def test_valid_of_mta_sts(text, line):
    assert check_octets("mta-sts", text.encode() + b"\n").splitlines()[0] == line


@pytest.mark.parametrize("text, line", [
    ("v=STSv1; id=a-b", "MTA-STS record: FAULT: the id is not 1 to 32 letters and digits"),
    (POLICY.replace("enforce", "strict"),
     "MTA-STS policy: FAULT, line 2: the mode is not enforce, testing or none"),
    ("version: STSv1\nmode: enforce\nmax_age: 5\n",
     "MTA-STS policy: FAULT: there is no mx that is a name of a host"),
    ("<html>\033[31m", 'MTA-STS policy: FAULT, line 1: a line is not of the form "key: value"'),
])
def test_faults_of_mta_sts(text, line):
    assert check_octets("mta-sts", text.encode(), status=1).splitlines() == [line]
    answer = json.loads(check_octets("mta-sts", text.encode(), "--json", status=1))
    assert not answer["valid"] and answer["problem"]


def test_record_of_tls_reports():
    text = b"v=TLSRPTv1; rua=mailto:tls@kartapuce.com,ftp://kartapuce.com"
    assert check_octets("tlsrpt", text).splitlines() == [
        "TLS report record: ok", "  rua        mailto:tls@kartapuce.com",
        "  note       ignored, of other schemes or past the sixteenth: 1"]
    assert check_octets("tlsrpt", b"v=TLSRPTv1; rua=tls@kartapuce.com", status=1).splitlines() == [
        "TLS report record: FAULT: an address in rua is no URI"]


@pytest.mark.parametrize("octets", [
    json.dumps(REPORT).encode(), gzip.compress(json.dumps(REPORT).encode()), report_message()])
def test_tls_report(octets):
    text = check_octets("tlsrpt", octets)
    assert text.splitlines()[0] == "TLS report: ok"
    assert "kartapuce.com, sts: 23 sessions succeeded, 1 failed" in text.splitlines()
    assert ("1 certificate-expired at mx.kartapuce.com 192.0.2.26 from 198.51.100.9: "
            "the certificate has expired") in text
    assert json.loads(check_octets("tlsrpt", octets, "--json"))["report"] == REPORT


@pytest.mark.parametrize("octets, problem", [
    (b'{"policies": 1}', "it has no list of policies"),
    (gzip.compress(b"x" * 5000000), "it is larger than 4 MiB when decompressed"),
    (b"Subject: x\n\ntext\n", "the message has no part that is a report"),
    (gzip.compress(b"{}")[:-5], "its gzip is damaged"),
])
def test_what_is_no_tls_report(octets, problem):
    assert check_octets("tlsrpt", octets, status=1) == f"TLS report: FAULT: {problem}\n"


# -- a DNS

def test_live_dns(world):
    """Validated, through the resolver that the configuration names."""
    name = world.name()
    label = name.split(".")[0]
    world.peers.mx(10, f"mx.{label}", owner=label).a(f"mx.{label}", "192.0.2.7")
    world.peers.txt(label, "v=spf1 mx -all")
    world.dns.update()
    file = world.gateway(start=False).gateway.file
    answer = json.loads(check("domain", name, "--json", "--config", file))
    found = {fault["name"] for section in answer["sections"] for fault in section["faults"]}
    assert {"dnssec_none", "dmarc_missing", "dkim_none"} <= found and "mx_no_address" not in found
    answer = json.loads(check("domain", "kartapuce.com", "--json", "--config", file))
    assert answer["sections"][0]["dnssec"] == "secure"
    answer = json.loads(check("domain", "bogus.example", "--json", "--config", file))
    assert "dnssec_bogus" in {fault["name"] for section in answer["sections"]
                              for fault in section["faults"]}
    assert "pass" in check("spf", "--ip", "192.0.2.7", "--helo", f"mx.{name}",
                           "--from", f"a@{name}", "--config", file)


# -- what cannot be done

@pytest.mark.parametrize("words, complaint", [
    (("domain", "a..b"), 'expected "domain", the name of a domain'),
    (("message", "/does/not/exist", "--ip", "192.0.2.1"), "/does/not/exist: cannot be read"),
    (("domain", "a.example", "--zone", "/does/not/exist"), "/does/not/exist: cannot be read"),
    (("domain", "a.example", "--config", "/does/not/exist"), "/does/not/exist: cannot be read"),
])
def test_failures(words, complaint, table):
    if "--zone" not in words:
        words = (*words, "--zone", table)
    assert complaint in check(*words, status=1)


def test_table_with_a_mistake(tmp_path):
    path = tmp_path / "zone.json"
    path.write_text('{"a.example": [')
    assert f"{path}:1:" in check("domain", "a.example", "--zone", path, status=1)
