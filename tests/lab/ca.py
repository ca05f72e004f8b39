"""Certificates for the laboratory, made with the openssl command."""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from .process import run


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: `certificate` holds the chain without the root, `key` the private key."""

    name: str
    certificate: Path
    key: Path

    def fingerprint(self):
        """SHA-256 of the leaf in DER, in hexadecimal."""
        out = run(["openssl", "x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256"])
        return out.stdout.split("=")[1].strip().replace(":", "").lower()


class Authority:
    """A root that signs server certificates. Every leaf has an ECDSA P-256 key unless told."""

    def __init__(self, directory, name="Laboratory Root"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.root = self.directory / "root.pem"
        self._key = self.directory / "root.key"
        self._made = 0
        self._new_key(self._key, "ec")
        run(["openssl", "req", "-x509", "-new", "-key", self._key, "-subj", f"/CN={name}",
             "-days", "3650", "-sha256", "-out", self.root,
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def _new_key(self, path, kind):
        options = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                   "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]}[kind]
        run(["openssl", "genpkey", *options, "-out", path])
        path.chmod(0o600)

    def issue(self, *names, expired=False, kind="ec", days=90):
        """A certificate for `names` (DNS names or IP addresses), the first one as CN too."""
        self._made += 1
        stem = self.directory / f"{self._made:02d}-{names[0].replace('*', 'star')}"
        key, request, out = (stem.with_name(stem.name + s) for s in (".key", ".csr", ".pem"))
        self._new_key(key, kind)
        alternatives = ",".join(("IP:" if is_address(n) else "DNS:") + n for n in names)
        extensions = stem.with_name(stem.name + ".ext")
        extensions.write_text(f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n"
                              "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
        run(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={names[0]}", "-out", request])
        begin = time.time() - (30 if expired else 1) * 86400
        end = time.time() + (-1 if expired else days) * 86400
        self._sign(request, out, extensions, begin, end)
        return Certificate(names[0], out, key)

    def _sign(self, request, out, extensions, begin, end):
        """`openssl ca`, the only command of OpenSSL 3.0 that takes both dates."""
        base = self.directory / "ca"
        base.mkdir(exist_ok=True)
        database, serial, config = base / "index.txt", base / "serial", base / "ca.conf"
        if not config.exists():
            database.touch()
            serial.write_text("1000\n")
            config.write_text("[ca]\ndefault_ca=lab\n[lab]\n"
                              f"database={database}\nserial={serial}\nnew_certs_dir={base}\n"
                              "default_md=sha256\nunique_subject=no\npolicy=any\n"
                              "[any]\ncommonName=supplied\n")
        stamps = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(t)) for t in (begin, end)]
        run(["openssl", "ca", "-batch", "-notext", "-config", config, "-cert", self.root,
             "-keyfile", self._key, "-in", request, "-out", out, "-extfile", extensions,
             "-startdate", stamps[0], "-enddate", stamps[1]])

    def client_context(self, *, check_name=True):
        """An SSLContext that trusts this root and nothing else."""
        context = ssl.create_default_context(cafile=str(self.root))
        context.check_hostname = check_name
        return context


def server_context(certificate):
    """An SSLContext for a server that shows `certificate`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def is_address(name):
    return ":" in name or name.replace(".", "").isdigit()
