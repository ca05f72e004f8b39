"""Signed messages for the measurements, by an implementation that is not ours (dkimpy), and the
zones that prove them."""

import dkim

from lab.process import run

AUTHOR, FORWARDER = "client.example", "lists.example"
SELECTOR = "bench"
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]
LINE = b"The quick brown fox jumps over the lazy dog; indicators of compromise follow."


def key(directory):
    """A new RSA-2048 key: its file's text, and the public half as DNS has it."""
    path = directory / "signed.key"
    run(["openssl", "genrsa", "-out", path, "2048"])
    public = run(["openssl", "pkey", "-in", path, "-pubout"]).stdout.splitlines()
    return path.read_bytes(), "".join(line for line in public if not line.startswith("-----"))


def message(size):
    head = (b"From: Load <load@client.example>\r\nTo: bob@bench.example\r\n"
            b"Subject: indicators of compromise\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
            b"Message-ID: <load@client.example>\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=us-ascii\r\n\r\n")
    lines = max(1, (size - len(head) - 2500) // (len(LINE) + 2))  # the signatures take the rest
    return head + (LINE + b"\r\n") * lines


def sealed(content, private):
    """The message with the author's DKIM signature and a forwarder's ARC set."""
    selector, domain = SELECTOR.encode(), AUTHOR.encode()
    content = dkim.sign(content, selector, domain, private, include_headers=SIGNED,
                        canonicalize=(b"relaxed", b"relaxed")) + content
    results = b"Authentication-Results: " + FORWARDER.encode() + b"; dkim=pass header.d=" + domain
    content = results + b"\r\n" + content
    arc = dkim.arc_sign(content, selector, FORWARDER.encode(), private, FORWARDER.encode(),
                        include_headers=SIGNED)
    return b"".join(arc) + content


def prepare(directory, dns, sizes):
    """Files for `smtp-source -F` by label, and the zones of their domains in `dns`."""
    private, public = key(directory)
    record = f"v=DKIM1; k=rsa; p={public}"
    for domain in (AUTHOR, FORWARDER):
        zone = dns.zone(domain)
        zone.txt("@", "v=spf1 ip4:127.0.0.0/8 -all").txt("_dmarc", "v=DMARC1; p=reject")
        zone.txt(f"{SELECTOR}._domainkey", record)
    dns.zone("bench.example")
    files = {}
    for label, size in sizes.items():
        files[label] = directory / f"{size}.eml"
        files[label].write_bytes(sealed(message(size), private).replace(b"\r\n", b"\n"))
    return files
