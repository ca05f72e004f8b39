"""spoofing/espoofer: mail that one component takes for attack.com and the next shows as
legitimate.com.

The judge plays a receiver whose SPF and DKIM are as generous as they can be: whatever the attacker
can bring to pass through his own zone has passed. DMARC and the reading of From must hold alone.
"""

from driver import DriverError, octets_if_wide
from verdict import failed, passed

# The Date of most cases is at most a day from it.
RECEIVED = 1704067200
ATTACKER = "attack.com"
VICTIM = "legitimate.com"

ZONE = {
    "_dmarc." + VICTIM: [{"type": "TXT", "strings": ["v=DMARC1; p=reject"]}],
    "_dmarc." + ATTACKER: [{"type": "TXT", "strings": ["v=DMARC1; p=none"]}],
    VICTIM: [{"type": "TXT", "strings": ["v=spf1 -all"]}],
    # His key; the place that his odd selectors want a resolver to find it at.
    "selector._domainkey." + ATTACKER: [{"type": "TXT", "strings": ["v=DKIM1; p=his"]}],
}


class Espoofer:
    def __init__(self, drivers, content, path):
        self.driver = drivers["postern"]

    def judge(self, case):
        if case["mode"] == "client":
            return self.client(case)
        message = octets_if_wide(case["message"])
        answer = self.driver.ask({"op": "dmarc", "message": message, "zone": ZONE,
                                  "spf": self.spf(case), "dkim": self.dkim(case)})
        if answer["result"] != "pass":
            return passed()
        if answer["author_domain"].endswith(ATTACKER) and VICTIM not in self.shown(case):
            return passed()  # his own name, and nothing else could be shown
        return failed(f"dmarc=pass for {answer['author_domain']}", "no pass")

    def client(self, case):
        """A user who has logged in as who his envelope says, and writes as somebody else."""
        user = octets_if_wide(case["mailfrom"]).strip("<>")
        answer = self.driver.ask({
            "op": "message", "direction": "outbound", "user": user, "from": user,
            "message": octets_if_wide(case["message"]), "zone": ZONE, "ip": "192.0.2.1",
            "helo": octets_if_wide(case["helo"]), "now": RECEIVED,
            "rcpt": octets_if_wide(case["rcptto"]).strip("<>")})
        identity = [finding["name"] for finding in answer["findings"]
                    if finding["name"] in ("author_not_own", "author_unclear", "sender_not_own")]
        if identity and answer["decision"]["action"] == "reject":
            return passed()
        return failed(f"{answer['decision']['action']} with {identity}",
                      "refused for who it says it is from")

    @staticmethod
    def shown(case):
        """What a careless reader may take for the author."""
        return "".join(case["headers_raw"].values()).lower()

    @staticmethod
    def spf(case):
        """The names that a careless checker may take out of MAIL FROM and HELO."""
        path = octets_if_wide(case["mailfrom"]).strip("<>")
        names = {path.rsplit("@", 1)[-1]} | {octets_if_wide(case["helo"])}
        return [{"domain": name, "result": "pass" if name.endswith(ATTACKER) else "fail"}
                for name in sorted(names)]

    def dkim(self, case):
        """His signature passes where the name of its key can be asked for and is his."""
        if not case.get("dkim"):
            return []
        domain, selector = (octets_if_wide(case["dkim"][key]) for key in ("d", "s"))
        good = domain.endswith(ATTACKER) or self.has_key(f"{selector}._domainkey.{domain}")
        return [{"domain": domain, "result": "pass" if good else "permerror"}]

    def has_key(self, name):
        try:
            answer = self.driver.ask({"op": "dns", "name": name, "type": "TXT", "zone": ZONE})
        except DriverError:
            return False
        return answer["outcome"] == "answer"
