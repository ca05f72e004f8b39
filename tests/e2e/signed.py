"""A gateway that signs what its users send, and a look at the fields of what arrives."""

import json
import re

from lab.process import wait_for


def fields(content, name):
    """The unfolded values of a header field, top first."""
    head = content.split(b"\r\n\r\n")[0].decode()
    found = re.findall(rf"^{name}:[ ]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", head, re.M | re.I)
    return [" ".join(value.split()) for value in found]


class Signed:
    """A gateway for a domain of its own with active keys that the DNS shows."""

    def __init__(self, world, changes=None, own_host=False):
        self.world, self.domain = world, world.name()
        self.label = self.domain.split(".")[0]
        self.mailboxes = world.sink(lmtp=True)
        self.far = world.sink()
        self.user = (f"bob@{self.domain}", "Chip-on-card-42")
        delivery = f"lmtp://{self.mailboxes.address}:{self.mailboxes.port}"
        base = {
            "domains": [{"name": self.domain, "delivery": delivery, "recipients": "users",
                         "aliases": [{"name": "away", "to": ["tom@far.example"]},
                                     {"name": "joe", "to": [f"bob@{self.domain}"]}]}],
            "routes": [{"domain": "far.example",
                        "to": f"smtp://{self.far.address}:{self.far.port}"}],
            "authentication": {"dkim": {"publish_wait": "0s"}},
            "bounce": {"postmaster": self.user[0]}}
        if own_host:
            base["hostname"] = f"mx.{self.domain}"
        base.update(changes or {})
        self.running = world.gateway(base, users=(self.user,))
        self.make_keys()

    def make_keys(self):
        command = self.running.gateway.command
        self.keys = json.loads(command("key", "generate", self.domain, "--json").stdout)
        for key in self.keys:
            self.world.peers.txt(f"{key['selector']}._domainkey.{self.label}", key["record"])
        self.world.dns.update()
        command("key", "publish", self.domain)
        wait_for(lambda: all(key["state"] == "active" for key in json.loads(
            command("key", "list", self.domain, "--json").stdout)), 20, "active keys", step=0.2)

    def dns(self, name, timeout=5):
        """What dkimpy asks: the TXT record as the zone has it."""
        name = name.decode() if isinstance(name, bytes) else name
        for key in self.keys:
            if name.rstrip(".") == f"{key['selector']}._domainkey.{self.domain}":
                return key["record"].encode()
        return None
