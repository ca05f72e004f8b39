"""The Kartapuce story: two organisations, two gateways, one DNS, on loopback addresses.

    127.0.53.1   the DNS: a root of its own, everything signed
    127.0.10.1   mx.kartapuce.com, Kartapuce's Postern: 25, 465, 587
    127.0.10.2   imap.kartapuce.com, Kartapuce's Dovecot: IMAPS, LMTP from the gateway
    127.0.20.1   mx.postbox.example, the Postern of Tom's provider
    127.0.20.2   imap.postbox.example, its Dovecot

Bob at Kartapuce analyses malware. He sends what he found to Jack, his colleague, and to Tom, a
partner whose mail is with Postbox. Both organisations sign what they send and verify what they get;
a forger at 127.0.66.6 has no luck.
"""

import email.message
import email.policy
import email.utils
import json
import smtplib
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lab.ca import Authority
from lab.dovecot import Dovecot, mail_directory
from lab.gateway import Gateway, queue_id
from lab.nameserver import Dns
from lab.net import Net
from lab.process import wait_for

HERE = Path(__file__).parent


class Busy(Exception):
    """Somebody else has what the story needs; the text is for people."""


@dataclass(frozen=True)
class User:
    address: str
    password: str


BOB = User("bob@kartapuce.com", "Chip-on-card-42")
JACK = User("jack@kartapuce.com", "Jack-reads-IOCs-7")
TOM = User("tom@postbox.example", "Tom-at-postbox-19")
CEO = "ceo@kartapuce.com"


@dataclass
class Organisation:
    """One side of the story; the programs come to life in Story.start."""

    domain: str
    third_octet: int
    users: list
    aliases: list = field(default_factory=list)
    gateway: Gateway = None
    dovecot: Dovecot = None
    gateway_address: str = ""
    mailbox_address: str = ""

    @property
    def mx(self):
        return f"mx.{self.domain}"

    @property
    def imap(self):
        return f"imap.{self.domain}"


class Story:
    def __init__(self, directory=None, *, net=None, progress=lambda text: None):
        self.progress = progress
        try:
            self.net = net or Net(0)
        except OSError:
            raise Busy("The demonstration runs already on this machine: use that one, or end it"
                       " (Ctrl-C there).") from None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="postern-demo-"))
        self.directory.chmod(0o755)
        self.kartapuce = Organisation(
            "kartapuce.com", 10, [BOB, JACK],
            [{"name": "soc", "to": [BOB.address, JACK.address]},
             {"name": "sales", "to": [BOB.address]}])
        self.postbox = Organisation("postbox.example", 20, [TOM])
        self.organisations = [self.kartapuce, self.postbox]
        for org in self.organisations:
            org.gateway_address = self.net.host(org.third_octet, 1)
            org.mailbox_address = self.net.host(org.third_octet, 2)
        self.dns = self.ca = None

    # -- up and down --------------------------------------------------------------------------

    def check_ports(self):
        """Raises Busy with every address and port that the story needs and somebody else has."""
        port, tcp, udp = self.net.port, socket.SOCK_STREAM, socket.SOCK_DGRAM
        dns = (self.net.host(53), port("dns"))
        needed = [(*dns, "DNS over UDP", udp), (*dns, "DNS", tcp)]
        for org in self.organisations:
            needed += [(org.gateway_address, port(name), f"{name} of {org.mx}", tcp)
                       for name in ("smtp", "smtps", "submission")]
            needed += [(org.mailbox_address, port(name), f"{name} of {org.imap}", tcp)
                       for name in ("imaps", "lmtp")]
        busy = []
        for address, number, what, kind in needed:
            with socket.socket(type=kind) as probe:
                if kind == tcp:     # what was closed a moment ago does not count
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, number))
                except OSError as error:
                    busy.append(f"  {address} port {number} ({what}): {error.strerror}")
        if busy:
            raise Busy("The demonstration cannot start: it cannot listen at\n" + "\n".join(busy)
                       + "\nEnd what listens there (`ss -lntup` tells), or use the demonstration"
                         " that runs already.")

    def start(self):
        self.check_ports()
        self.ca = Authority(self.directory / "ca", "Demo Root")
        self._start_dns()
        for org in self.organisations:
            self._start_gateway(org)
            self._start_mailboxes(org)
        self._publish_keys()
        return self

    def stop(self):
        """Stops everything, mailboxes last; returns the gateways' exit statuses."""
        statuses = [org.gateway.stop() for org in self.organisations if org.gateway]
        for org in self.organisations:
            if org.dovecot:
                org.dovecot.stop()
            if org.gateway:
                org.gateway.remove()
        if self.dns:
            self.dns.stop()
        self.net.close()
        return statuses

    def _start_dns(self):
        # Keys are published while the gateways run: that they were not there is soon forgotten.
        self.dns = Dns(self.directory / "dns", self.net.host(53), self.net.port("dns"),
                       negative_ttl=1)
        for org in self.organisations:
            zone = self.dns.zone(org.domain)
            zone.mx(10, f"{org.mx}.").a("mx", org.gateway_address).a("imap", org.mailbox_address)
            # On loopback all connections that nobody binds come from 127.0.0.1.
            for name in ("@", "mx"):
                zone.txt(name, "v=spf1 ip4:127.0.0.1 -all")
            zone.txt("_dmarc", "v=DMARC1; p=reject")
            self.dns.reverse(org.gateway_address, org.mx)
        self.dns.start()
        self.progress(f"DNS with a signed root of its own on {self.dns.server}")

    def _start_gateway(self, org):
        certificate = self.ca.issue(org.mx, org.imap, org.domain)
        org.gateway = Gateway(self.directory / org.domain, self.configuration(org, certificate),
                              name=org.mx)
        org.gateway.start()
        for user in org.users:
            org.gateway.add_user(user.address, user.password)
        self.progress(f"{org.mx}: Postern on {org.gateway_address}, ports "
                      + ", ".join(str(l["port"]) for l in org.gateway.configuration["listeners"]))

    def _publish_keys(self):
        """DKIM keys are made in each gateway's vault, and used once the DNS shows them."""
        for org in self.organisations:
            made = org.gateway.command("key", "generate", org.domain, "--json").stdout
            for key in json.loads(made):
                self.dns.zone(org.domain).txt(f"{key['selector']}._domainkey", key["record"])
        self.dns.update()
        for org in self.organisations:
            wait_for(lambda: self._keys_are_active(org), 20, f"active keys of {org.domain}", step=0.5)
        self.progress("DKIM keys: RSA and Ed25519 for both, published and active")

    def _keys_are_active(self, org):
        org.gateway.command("key", "publish", org.domain, check=False)
        keys = json.loads(org.gateway.command("key", "list", org.domain, "--json").stdout)
        return keys and all(key["state"] == "active" for key in keys)

    def _start_mailboxes(self, org):
        imaps = (org.mailbox_address, self.net.port("imaps"))
        configuration = org.gateway.dovecot(
            self.directory / org.domain / "dovecot", imaps=imaps,
            mail=mail_directory(self.directory / org.domain / "mail"))
        org.dovecot = Dovecot(configuration, self.directory / org.domain / "dovecot.log",
                              imaps=imaps, lmtp=(org.mailbox_address, self.net.port("lmtp")))
        self.progress(f"{org.imap}: Dovecot on {imaps[0]}, IMAPS on port {imaps[1]}")

    def configuration(self, org, certificate):
        """What stands in the organisation's postern.yaml."""
        port = self.net.port
        listeners = [{"address": org.gateway_address, "port": port("smtp"), "kind": "mx"},
                     {"address": org.gateway_address, "port": port("smtps"), "kind": "smtps"},
                     {"address": org.gateway_address, "port": port("submission"),
                      "kind": "submission"}]
        configuration = {
            "hostname": org.mx,
            "listeners": listeners,
            "tls": {"certificates": [{"certificate": str(certificate.certificate),
                                      "key": str(certificate.key)}],
                    "trusted_roots": [str(self.ca.root)]},
            "domains": [{"name": org.domain,
                         "delivery": f"lmtp://{org.mailbox_address}:{port('lmtp')}",
                         "recipients": "users", "aliases": org.aliases}],
            "bounce": {"postmaster": org.users[0].address},
            "authentication": {"dkim": {"publish_wait": "0s"}},
            "resolver": {**self.dns.upstream, "trust_anchors": [str(self.dns.anchor)],
                         "local_zones": ["127.in-addr.arpa"]},
        }
        if port("smtp") != 25:
            # Mail exchangers are reached at port 25, which an ordinary user may not bind.
            configuration["routes"] = [
                {"domain": other.domain, "to": f"smtp://{other.mx}:{port('smtp')}"}
                for other in self.organisations if other is not org]
        return configuration

    # -- what happens -------------------------------------------------------------------------

    def submission(self, user, password=None):
        """An SMTPS connection to Kartapuce's gateway, logged in, its certificate verified."""
        org = self.organisation(user)
        client = _SmtpsByName(org.mx, org.gateway_address, self.net.port("smtps"),
                              self.ca.client_context())
        client.login(user.address, password or user.password)
        return client

    def bob_sends(self):
        """Bob submits his findings to Jack and Tom; returns (message, queue id)."""
        message = email.message.EmailMessage(policy=email.policy.SMTP)
        message["From"] = f"Bob <{BOB.address}>"
        message["To"] = f"Jack <{JACK.address}>, Tom <{TOM.address}>"
        message["Subject"] = "IOCs of last night's card-reader dropper"
        message["Date"] = email.utils.localtime()
        message["Message-ID"] = email.utils.make_msgid(domain="kartapuce.com")
        message.set_content((HERE / "iocs.txt").read_text(encoding="utf-8"), cte="8bit")
        client = self.submission(BOB)
        try:
            client.mail(BOB.address, ["BODY=8BITMIME"])
            for recipient in (JACK, TOM):
                code, text = client.rcpt(recipient.address)
                assert code == 250, (recipient, code, text)
            code, text = client.data(message.as_bytes())
            assert code == 250, (code, text)
            return message, queue_id(text.decode())
        finally:
            client.quit()

    def forge(self):
        """A stranger writes to Tom in the name of Kartapuce's head; returns (code, text)."""
        message = (f"From: The boss <{CEO}>\r\nTo: {TOM.address}\r\nSubject: Wire it today\r\n"
                   f"Date: {email.utils.formatdate()}\r\n"
                   "Message-ID: <urgent@attack.example>\r\n\r\nIt is urgent.\r\n")
        with smtplib.SMTP(self.postbox.gateway_address, self.net.port("smtp"),
                          local_hostname="mail.attack.example", timeout=20,
                          source_address=(self.net.host(66, 6), 0)) as client:
            client.ehlo()
            client.mail(CEO)
            client.rcpt(TOM.address)
            code, text = client.data(message)
            return code, text.decode()

    def inbox(self, user, at_least=1, seconds=15):
        """The user's messages over IMAPS, waiting until there are so many."""
        org = self.organisation(user)

        def look():
            found = org.dovecot.messages(user.address, user.password, self.ca.client_context(),
                                         org.imap)
            return found if len(found) >= at_least else None

        return wait_for(look, seconds, f"{at_least} messages for {user.address}", step=0.2)

    def organisation(self, user):
        domain = user.address.rpartition("@")[2]
        return next(org for org in self.organisations if org.domain == domain)

    def tom_side_id(self, message):
        """The queue id that Tom's provider gave the same message."""
        def look():
            found = self.postbox.gateway.trace("--message-id", message["Message-ID"])
            return found and found[0]["id"]

        return wait_for(look, 10, "the trace at postbox.example", step=0.2)

    def refused(self, org, identifier):
        """`postern explain` of a message that was refused."""
        return self.explained(org, identifier, phrases=("connected to the port", "RFC 9989"))

    def explained(self, org, identifier, seconds=15,
                  phrases=("connected to the port", "Nothing is left to do")):
        """`postern explain`, once it tells all from the connection to the end.

        The trace is written behind the delivery, and a connection's own part when that ends (the
        relay keeps it for some seconds, in case there is more mail).
        """
        def look():
            text = org.gateway.command("explain", identifier, check=False).stdout
            return text if all(p in text for p in phrases) else None

        try:
            return wait_for(look, seconds, "the whole explanation", step=0.2)
        except TimeoutError:
            raise AssertionError(f"not all of {phrases} in:\n"
                                 + org.gateway.explain(identifier)) from None


class _SmtpsByName(smtplib.SMTP_SSL):
    """Connects to an address and checks the certificate for a name."""

    def __init__(self, name, address, port, context):
        self._address = address
        super().__init__(name, port, local_hostname="bobs-laptop.kartapuce.com", timeout=20,
                         context=context)

    def _get_socket(self, host, port, timeout):
        self._host = host
        plain = smtplib.SMTP._get_socket(self, self._address, port, timeout)
        return self.context.wrap_socket(plain, server_hostname=host)
