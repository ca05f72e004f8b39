"""Messages that signers and verifiers are known to disagree about. `{domain}` is the author's."""

PLAIN = ("From: Joe <joe@{domain}>\r\nTo: sue@b.example\r\nSubject: dinner\r\n"
         "Date: Fri, 27 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@{domain}>\r\n")
TEXT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" \
       "Content-Transfer-Encoding: 8bit\r\n"

#: name -> body, behind the fields of PLAIN
BODIES = {
    "plain": "Hi.\r\n\r\nAre you hungry yet?\r\n",
    "empty body": "",
    "one empty line": "\r\n",
    "empty lines only": "\r\n\r\n\r\n",
    "blanks only": " \t\r\n",
    "no final line end": "Hi.\r\n\r\nAre you hungry yet?",
    "empty lines behind": "Hi.\r\n\r\n\r\n\r\n",
    "empty lines before": "\r\n\r\nHi.\r\n",
    "blanks at line ends": "a  b \t\r\n\t\r\nc\t\tc \r\n   d\r\n\r\n \r\n",
    "dots": ".\r\n..\r\n.hidden\r\n.\t\r\n...\r\n \r\n.",
    "long lines": "x" * 998 + "\r\n" + "a b\t" * 249 + "\r\n" + "y" * 998 + "\r\n",
    "many lines": "The quick brown fox jumps over the lazy dog.\r\n" * 3000,
    "lone blank line": "a\r\n \r\n",
    "From line": "From the beginning.\r\n>From the end.\r\n",
}

#: name -> whole message
WHOLE = {
    "no body": PLAIN,
    "8 bit": PLAIN + TEXT + "\r\n\u00e9t\u00e9 \u2014 \u20ac 5\r\n\u65e5\u672c\u8a9e\r\n",
    "8 bit without MIME": PLAIN + "\r\nl'\u00e9t\u00e9\r\n",
    "multipart": PLAIN + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n"
                 "\tboundary=\"=_b \"\r\n\r\npreamble \r\n--=_b \r\n"
                 "Content-Type: text/plain\r\n\r\ntext\r\n\r\n--=_b \r\n"
                 "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
                 "\r\nAAECAwQFBgcICQ==\r\n\r\n--=_b --\r\n\r\nepilogue\r\n\r\n",
    "folded": PLAIN.replace("dinner", "dinner \r\n\t at  eight\r\n  or  \r\n nine")
              + "X-Folded:\r\n everything\r\n is below\r\n\r\nHi.\r\n",
    "repeated": PLAIN + "X-Trace: one\r\nX-Between: yes\r\nX-Trace: two  \r\n"
                "Keywords: a, b\r\nx-trace: three\r\n\r\nHi.\r\n",
    "tabs": PLAIN.replace("To: ", "To:\t").replace("Subject: ", "Subject:\t \t")
            .replace("dinner", "din\tner\t ") + "\r\nHi.\r\n",
    "no blank behind colons": PLAIN.replace(": ", ":") + "\r\nHi.\r\n",
    "blank before colon": PLAIN.replace("Subject:", "Subject \t:") + "\r\nHi.\r\n",
    "empty fields": PLAIN.replace("Subject: dinner", "Subject:") + "Comments: \r\nKeywords:\r\n\r\n"
                    "Hi.\r\n",
    "letter case": PLAIN.replace("From", "FROM").replace("Subject", "sUBJECT") + "\r\nHi.\r\n",
    "encoded words": PLAIN.replace("dinner", "=?utf-8?q?=C3=A9t=C3=A9?=\r\n =?utf-8?b?w6k=?=")
                     + "\r\nHi.\r\n",
    "UTF-8 fields": PLAIN.replace("Joe", "J\u00f6rg \u65e5\u672c").replace("dinner", "\u00e9t\u00e9")
                    + TEXT + "\r\n\u00e9\r\n",
}

#: Fields that signers sign besides those that they sign by themselves.
ALSO = ("X-Trace",)

#: These need SMTPUTF8 on their way.
UTF8 = {"UTF-8 fields"}

NAMES = [*BODIES, *WHOLE]


def message(name, domain):
    """The octets of a message."""
    text = PLAIN + "\r\n" + BODIES[name] if name in BODIES else WHOLE[name]
    return text.replace("{domain}", domain).encode()
