"""The table of suites: which handler judges the cases of which suite.

A row is a pattern of suite names (fnmatch) with a handler, or with the feature that is still to
come. The first row that fits counts. A handler is a class with `Handler(drivers, content, path)`,
made once for a suite (`content` is its cases.json, `path` its folder), and `judge(case)`, which
returns passed(), failed(got, want) or set_aside(reason).
"""

import dataclasses
import fnmatch

import addresses
import arc
import authres
import crypto
import dane
import dkim
import dmarc
import e2e
import espoofer
import mta_sts
import smuggling
import spf
import tlsrpt


@dataclasses.dataclass(frozen=True)
class Entry:
    pattern: str
    handler: type = None
    reason: str = ""


def later(pattern, feature):
    return Entry(pattern, reason=f"belongs to a later part: {feature}")


class Table:
    def __init__(self, *entries):
        self.entries = entries

    def find(self, name):
        for entry in self.entries:
            if fnmatch.fnmatchcase(name, entry.pattern):
                return entry
        return Entry(name, reason="no handler knows this suite")


TABLE = Table(
    Entry("smuggling/eod-sequences", smuggling.EndOfData),
    Entry("smuggling/smtp-dialogs", smuggling.Dialogues),
    Entry("mime/isemail-addresses", addresses.Addresses),
    Entry("spf/macro-expand", spf.Macros),
    Entry("spf/mox-record-parse", spf.Records),
    Entry("spf/*", spf.Evaluation),
    later("dmarc/reports-*", "DMARC reports"),
    Entry("dmarc/publicsuffix", dmarc.Publicsuffix),
    Entry("dmarc/record-parse", dmarc.Records),
    Entry("dmarc/identifiers", dmarc.Identifiers),
    Entry("dmarc/*", dmarc.Evaluation),
    Entry("dkim/canonicalization", dkim.Canonicalization),
    Entry("dkim/dkim2-draft", reason="DKIM2 is a moving draft"),
    Entry("dkim/signing-inputs", dkim.Signing),
    Entry("dkim/syntax", dkim.Syntax),
    Entry("dkim/*", dkim.Verify),
    Entry("arc/valimail-validation", arc.Validation),
    Entry("arc/real-messages", arc.RealMessages),
    Entry("arc/valimail-signing", arc.Signing),
    Entry("crypto/*", crypto.Signatures),
    Entry("auth-e2e/authentication-milter", e2e.AuthenticationMilter),
    Entry("auth-e2e/rspamd", e2e.Rspamd),
    Entry("spoofing/authentication-results-syntax", authres.Syntax),
    Entry("spoofing/authentication-results-headers", authres.Stripping),
    Entry("spoofing/espoofer", espoofer.Espoofer),
    Entry("mta-sts/records-and-policies", mta_sts.RecordsAndPolicies),
    Entry("dane/openssl-danetest", dane.Danetest),
    Entry("dane/dnssec-policy", dane.Policy),
    Entry("tlsrpt/records", tlsrpt.Records),
    Entry("tlsrpt/reports", tlsrpt.Reports),
    later("mime/html-tokens", "links in HTML"),
    later("mime/tnef", "attachments"),
    later("mime/*", "MIME"),
    later("attachments/*", "attachments"),
    later("lookalike/*", "lookalike domains"),
    later("mailbox-corpora/*", "MIME and spam"),
    later("pgp/*", "OpenPGP"),
    later("smime/*", "S/MIME"),
    later("bimi/*", "BIMI"),
)
