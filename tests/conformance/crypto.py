"""crypto/*: signatures as DKIM and ARC make them."""

from verdict import failed, passed

ALGORITHMS = {"ed25519": "ed25519", "rsa-pkcs1-sha256": "rsa-sha256"}


def octets_of(text):
    return bytes.fromhex(text).decode("latin-1")


class Signatures:
    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        answer = self.driver.ask({
            "op": "crypto", "alg": ALGORITHMS[case["alg"]],
            "public_key": octets_of(case["public_key"]), "msg": octets_of(case["msg"]),
            "sig": octets_of(case["sig"])})
        if case["result"] != "acceptable" and answer["valid"] != (case["result"] == "valid"):
            return failed(f"valid {answer['valid']} {answer.get('problem', '')}",
                          f"{case['result']} {case['flags']} {case['comment']}")
        return passed()
