"""Keys of a signer who is not Postern, as each of the other implementations wants them."""

import base64
import re

from lab.process import run

ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


class Key:
    """A private key in a file, and the record that shows its public half."""

    def __init__(self, directory, domain, algorithm):
        self.domain, self.algorithm = domain, algorithm
        self.kind = algorithm.split("-")[0]
        self.selector = f"{self.kind}1"
        self.path = directory / f"{domain}.{self.selector}.pem"
        kind = ("rsa", "-pkeyopt", "rsa_keygen_bits:2048") if self.kind == "rsa" else ("ed25519",)
        run(["openssl", "genpkey", "-algorithm", *kind, "-out", self.path])
        self.pem = self.path.read_text(encoding="ascii")
        public = _decoded(run(["openssl", "pkey", "-in", self.path, "-pubout"]).stdout)
        # RFC 8463 section 4: the 32 octets alone, they are the last ones of the structure.
        shown = public if self.kind == "rsa" else public[-32:]
        self.record = f"v=DKIM1; k={self.kind}; p={base64.b64encode(shown).decode()}"

    @property
    def owner(self):
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def seed(self):
        """Of an Ed25519 key: its seed in base64, the last octets of PKCS #8 (RFC 8410 7)."""
        return base64.b64encode(_decoded(self.pem)[-32:])


def _decoded(pem):
    return base64.b64decode(re.search(r"-----\n(.*)-----END", pem, re.S)[1])
