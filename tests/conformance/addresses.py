"""mime/isemail-addresses: is a string a mailbox as SMTP has them (RFC 5321 4.1.2)?

Dots at the ends of a local part or side by side are taken on purpose, for mailboxes have such names;
what counts then is that the answer has them in quotes, as the grammar wants them.
"""

import re

from driver import octets
from verdict import failed, passed

# Atoms with dots anywhere, at an ordinary domain; and a local part as the grammar has it.
MAILBOX = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9]+([.-][A-Za-z0-9]+)*", re.ASCII)
DOT_STRING = re.compile(r"[^.@]+(\.[^.@]+)*@.*")


def has_odd_dots(text):
    return bool(MAILBOX.fullmatch(text)) and not DOT_STRING.fullmatch(text)


class Addresses:
    def __init__(self, drivers, content, path):
        self.driver = drivers["smtp_driver"]

    def judge(self, case):
        text = case["address"]
        answer = self.driver.ask({"op": "address", "address": octets(text)})
        if has_odd_dots(text):
            local, _, domain = text.rpartition("@")
            want = f'"{local}"@{domain.lower()}'
            return passed() if answer.get("normal") == want else failed(answer.get("normal"), want)
        if answer["valid"] == case["valid_smtp"]:
            return passed()
        return failed(f"valid={answer['valid']} ({answer.get('status', answer.get('normal'))})",
                      f"valid={case['valid_smtp']} ({case['diagnosis']}) for {text!r}")
