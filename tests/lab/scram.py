"""The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677)."""

import base64
import hashlib
import hmac
import secrets


class ScramError(Exception):
    """The server's messages are not what RFC 5802 demands, or it did not prove itself."""


def _hmac(key, text):
    return hmac.digest(key, text, "sha256")


class Scram:
    """One exchange. `binding` is (type, bytes) for -PLUS, such as ("tls-exporter", b"...").

    `flag` is sent without a binding: "n" (cannot bind) or "y" (could, thinks the server cannot).
    """

    def __init__(self, user, password, binding=None, flag="n", authorize=""):
        self.password = password.encode()
        self.binding = binding
        head = f"p={binding[0]}" if binding else flag
        authorization = f"a={authorize}" if authorize else ""
        self.header = f"{head},{authorization},".encode()
        self.nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}".encode()

    def first(self):
        return self.header + self.bare

    def final(self, server_first):
        """The client-final-message for the server's first one."""
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        if not fields["r"].startswith(self.nonce):
            raise ScramError("the server's nonce does not begin with ours")
        if int(fields["i"]) < 4096:
            raise ScramError(f"{fields['i']} iterations are fewer than RFC 7677 demands")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        bound = self.header + (self.binding[1] if self.binding else b"")
        without_proof = b"c=" + base64.b64encode(bound) + b",r=" + fields["r"].encode()
        message = self.bare + b"," + server_first + b"," + without_proof
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = b"v=" + base64.b64encode(_hmac(_hmac(salted, b"Server Key"), message))
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, server_final):
        if server_final != self.expected:
            raise ScramError(f"the server did not prove that it knows the password: {server_final}")
