"""mime/isemail-addresses: is a string a mailbox as SMTP has them (RFC 5321 4.1.2)?"""

from driver import octets
from verdict import failed, passed


class Addresses:
    def __init__(self, drivers, content, path):
        self.driver = drivers["smtp_driver"]

    def judge(self, case):
        answer = self.driver.ask({"op": "address", "address": octets(case["address"])})
        if answer["valid"] == case["valid_smtp"]:
            return passed()
        return failed(f"valid={answer['valid']} ({answer.get('status', answer.get('normal'))})",
                      f"valid={case['valid_smtp']} ({case['diagnosis']}) for {case['address']!r}")
