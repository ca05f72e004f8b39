"""The mail server of README: the package installed, everything typed as it stands there, a mail in and
out, an upgrade, the next boot, the removal."""

import imaplib
import re
import smtplib
import ssl

import readme
from lab.ca import Authority
from lab.dovecot import _Imaps, _named
from lab.nameserver import Dns
from lab.process import Failed, run, wait_for
from lab.roles import ROLES
from roots import Root
from steps import check, step

SECTION = "Install"
HOST, DOMAIN, PASSWORD = "mx.example.org", "example.org", "correct horse battery"
ADDRESS, DNS_ADDRESS, CLIENT = "127.0.1.1", "127.0.53.1", "127.0.66.6"
BOB = f"bob@{DOMAIN}"
#: For how long a resolver may say that a record is not there, and the waiting for that.
NEGATIVE_TTL, VERIFY_SECONDS = 2, 60
#: What systemd-analyze makes of the unit at most; 0 is closed, 100 open.
EXPOSURE_MAX = 30

#: The administrator at work: takes the signs away that README says, and tells Postern of a DNS that is
#: not the internet's.
EDITOR = """#!/bin/sh
sed -i '/^# tls:/,$ s/^# //' "$1"
cat /usr/local/share/laboratory.yaml >>"$1"
"""
LABORATORY = f"""
resolver:
  stub_root: {DNS_ADDRESS}@53
  trust_anchors: [/usr/local/share/root.key]
  local_zones: [127.in-addr.arpa]
"""
#: What Let's Encrypt would do.
CERTBOT = """#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != -d ] || name=$2
    shift
done
umask 077
mkdir -p "/etc/letsencrypt/live/$name" /etc/letsencrypt/renewal-hooks/deploy
cp /usr/local/share/laboratory/fullchain.pem /usr/local/share/laboratory/privkey.pem \\
    "/etc/letsencrypt/live/$name/"
"""


class Server:
    @staticmethod
    def packages():
        """What the machine is made of, and what README has installed besides the package."""
        words = " ".join(command for command in readme.commands(SECTION)
                         if command.startswith("sudo apt install")).split()
        named = {word for word in words if re.fullmatch(r"[a-z][a-z0-9.+-]+", word)}
        return ["systemd", "systemd-sysv", "dbus", "opendkim",
                *(named - {"sudo", "apt", "install", "certbot"})]

    def __init__(self, work, base, repository, package):
        self.work, self.repository, self.package = work, repository, package
        repository.add(package)             # so that what it depends on is looked for, too
        repository.download(base, [*self.packages(), *depends(package)])
        repository.pack("certbot", "1", {"usr/bin/certbot": CERTBOT}, work)
        self.root = Root(work / "server", base, repository,
                         binds={"/srv/package": package.parent})
        self.authority = Authority(work / "ca")
        self.dns = None

    def alice(self, command, **options):
        return self.root.shell(f"cd postern && {command}", user="alice", **options)

    def state_of(self, unit):
        """("active", "enabled") and the like."""
        return tuple(self.root.shell(f"systemctl {question} {unit}", check=False).stdout.strip()
                     for question in ("is-active", "is-enabled"))

    def try_readme(self):
        root = self.root
        self.prepare()
        root.boot()
        try:
            step("another root has booted under systemd")
            with root.network():
                self.serve_dns()
                try:
                    for command in readme.commands(SECTION):
                        self.type(command)
                    self.use()
                    self.service()
                    self.upgrade()
                    self.development_packages()
                finally:
                    self.dns.stop()
            self.next_boot()
            self.remove()
        except (Failed, TimeoutError) as error:
            log = root.shell("journalctl -b --no-pager -n 60", check=False).stdout
            raise Failed(f"{error}\n{log}") from error
        finally:
            root.halt()

    # -- the machine --------------------------------------------------------------------------

    def prepare(self):
        root, certificate = self.root, self.authority.issue(HOST, DOMAIN)
        root.run("apt-get update && apt-get install -y systemd systemd-sysv dbus")
        root.write("etc/apt/apt.conf.d/yes", 'APT::Get::Assume-Yes "true";\n')
        root.write("etc/hosts", f"127.0.0.1 localhost\n{ADDRESS} {HOST} mx\n")
        root.write("etc/resolv.conf", f"nameserver {DNS_ADDRESS}\n")
        root.write("usr/local/bin/editor", EDITOR, 0o755)
        root.write("usr/local/share/laboratory.yaml", LABORATORY)
        for name, file in (("fullchain.pem", certificate.certificate),
                           ("privkey.pem", certificate.key)):
            root.write(f"usr/local/share/laboratory/{name}", file.read_text())
        root.write("usr/local/share/ca-certificates/laboratory.crt", self.authority.root.read_text())
        root.run("update-ca-certificates && mkdir -p ~alice/postern/dist"
                 " && cp /srv/package/postern_*.deb ~alice/postern/dist"
                 " && chown -R alice: ~alice/postern")

    def serve_dns(self):
        self.dns = Dns(self.work / "dns", DNS_ADDRESS, 53, negative_ttl=NEGATIVE_TTL)
        zone = self.dns.zone(DOMAIN).a("mx", ADDRESS)
        self.dns.reverse(ADDRESS, HOST)
        self.dns.zone("elsewhere.example").a("client", CLIENT).txt("@", f"v=spf1 ip4:{CLIENT} -all")
        self.dns.reverse(CLIENT, "client.elsewhere.example")
        self.dns.start()
        self.root.write("usr/local/share/root.key", self.dns.anchor.read_text())
        self.zone = zone

    # -- README -------------------------------------------------------------------------------

    def type(self, command):
        """What README says is typed; only what asks is answered, and what is published is published."""
        if command == "make deb":
            check(self.package.exists(), "make deb has left a package")
            return
        asks = command.startswith(("sudo postern user add", "swaks", "curl"))
        if asks:
            answers = [PASSWORD] * (2 if "user add" in command else 1)
            told = self.root.terminal(f"cd postern && {command}", answers, user="alice")
        elif command.endswith("--verify"):
            # "Until every record is ok": what was not there is remembered for some seconds.
            told = wait_for(lambda: said(self.alice(command, check=False), "ok"), VERIFY_SECONDS,
                            "every record in the DNS", step=1)
        else:
            told = self.alice(command).stdout
        step(f"$ {command}")
        self.after(command, told)

    def after(self, command, told):
        if command.startswith("sudo apt install ./"):
            self.installed()
        elif command.startswith("sudo editor"):
            self.edited()
        elif command == f"sudo postern dns {DOMAIN}":
            self.publish(told)
        elif command.startswith("swaks"):
            check("queued as" in told, "what README calls success", told)
        elif command.startswith("curl"):
            check("Subject: test" in told, "the mail is read over IMAPS", told)

    def installed(self):
        root = self.root
        check(self.state_of("postern") == ("active", "enabled"), "the service runs at once",
              self.state_of("postern"))
        root.shell("postern config check")
        check(f"hostname: {HOST}\n" in root.read("etc/postern/postern.yaml"),
              "the configuration as shipped is valid, and has the machine's name")
        for page in ("man8/postern.8", "man5/postern.yaml.5"):
            check((root.path / f"usr/share/man/{page}.gz").exists(), f"{page} is there")
        project, documents = readme.README.parent, root.path / "usr/share/doc/postern"
        missing = [page for page in ("README.md", *(str(p.relative_to(project))
                                                    for p in project.glob("doc/**/*.md")))
                   if not (documents / page).exists()]
        check(not missing, "README and every page of doc/ are there", missing)

    def edited(self):
        """What README shows must be what the edited file says."""
        lines = {plain(line) for line in self.root.read("etc/postern/postern.yaml").splitlines()}
        shown = "".join(readme.blocks(SECTION, "yaml")).splitlines()
        missing = [line for line in shown if plain(line) not in lines]
        check(shown and not missing, "the shipped configuration becomes the one that README shows",
              missing)

    def publish(self, told):
        """The snippet goes into the zone as it is; long texts have several lines in brackets."""
        snippet = "\n".join(line for line in told.splitlines() if not line.startswith(";"))
        for line in re.sub(r"\(([^()]*)\)", lambda m: " ".join(m[1].split()), snippet).splitlines():
            match = re.fullmatch(r"(\S+)\s+IN\s+(\w+)\s+(.+)", line)
            if match:
                self.zone.record(*match.groups())
        self.dns.update()

    # -- beyond README ------------------------------------------------------------------------

    def use(self):
        """A mail from elsewhere, over SMTP with TLS in and IMAPS out."""
        context = ssl.create_default_context(cafile=self.authority.root)
        with smtplib.SMTP(ADDRESS, 25, timeout=30, local_hostname="client.elsewhere.example",
                          source_address=(CLIENT, 0)) as client:
            client._host = HOST
            client.starttls(context=context)
            client.ehlo()
            client.mail("eve@elsewhere.example")
            code, text = client.rcpt(BOB)
            check(code == 250, "port 25 takes a mail from elsewhere over TLS", text)
            code, text = client.data(f"From: eve@elsewhere.example\r\nTo: {BOB}\r\nSubject: hello\r\n"
                                     "Date: Mon, 30 Nov 2026 12:00:00 +0000\r\n"
                                     "Message-ID: <1@elsewhere.example>\r\n\r\nhello\r\n")
            check(code == 250, "and queues it", text)
        identifier = text.decode().split()[-1]
        wait_for(lambda: b"Subject: hello" in self.mailbox(context), 30, "the mail in the mailbox",
                 step=0.5)
        story = wait_for(lambda: said(self.root.shell(f"postern explain {identifier}", check=False),
                                      BOB), 30, "the trace", step=0.5)
        check("elsewhere.example" in story, "it is read over IMAPS, and postern explain tells of it")

        self.root.shell(f"printf 'Subject: nightly\\n\\ndone\\n' | runuser -u nobody -- sendmail {BOB}")
        wait_for(lambda: b"Subject: nightly" in self.mailbox(context), 30, "the mail of sendmail",
                 step=0.5)
        step("what a program of the machine gives to /usr/sbin/sendmail arrives")

    def mailbox(self, context):
        """Everything in Bob's mailbox."""
        connection = _Imaps((ADDRESS, 993), None, _named(context, HOST))
        try:
            connection.login(BOB, PASSWORD)
            connection.select("INBOX", readonly=True)
            numbers = connection.search(None, "ALL")[1][0].split()
            return b"".join(connection.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers)
        except imaplib.IMAP4.error as error:
            raise Failed(f"Bob cannot read his mail: {error}") from error
        finally:
            connection.shutdown()

    def service(self):
        root = self.root
        self.confined()
        check(root.shell("systemctl reload postern", check=False).returncode == 0, "it reloads")
        good = root.read("etc/postern/postern.yaml")
        root.write("etc/postern/postern.yaml", good + "nonsense: 1\n")
        refused = root.shell("systemctl restart postern", check=False)
        check(refused.returncode != 0, "a restart with a broken configuration fails")
        root.write("etc/postern/postern.yaml", good.replace("port: 465", "port: 993"))
        refused = root.shell("systemctl restart postern", check=False)
        check(refused.returncode != 0, "so does one that cannot open its ports")
        root.write("etc/postern/postern.yaml", good)
        root.shell("systemctl reset-failed postern; systemctl restart postern && postern status")
        step("and when the command comes back, all roles run")

    def confined(self):
        """Each role with a user of its own; and what systemd thinks of the unit."""
        names = {int(f[2]): f[0] for f in (line.split(":") for line in
                                           self.root.read("etc/passwd").splitlines())}
        found = []
        for words, status in self.root.processes().values():
            if words[:2] == ["postern", "role"]:
                uid = int(re.search(r"^Uid:\t(\d+)", status, re.M)[1])
                tight = "\nNoNewPrivs:\t1" in status and "\nSeccomp:\t2" in status
                found.append((words[2], names.get(uid), tight))
        check({role for role, _, _ in found} == set(ROLES)
              and all(name == f"postern-{role}" for role, name, _ in found),
              "each role runs as its own user", found)
        check(all(tight for _, _, tight in found), "without new privileges, and filtered", found)
        told = self.root.shell("systemd-analyze verify --man=no /lib/systemd/system/postern.service")
        check(not told.stderr.strip(), "systemd has nothing against the unit", told.stderr)
        told = self.root.shell("systemd-analyze security --no-pager "
                               f"--threshold={EXPOSURE_MAX} postern.service", check=False)
        check(told.returncode == 0, "and finds it closed enough", told.stdout[-500:])

    # -- upgrade, boot, removal ---------------------------------------------------------------

    def repack(self, version):
        """The package as a later one, whose sample configuration has changed."""
        tree = self.work / f"postern-{version}"
        run(["dpkg-deb", "--raw-extract", self.package, tree])
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(),
                                  flags=re.M))
        for sample in tree.rglob("postern.yaml"):
            sample.write_text(sample.read_text() + "# A line that was not there before.\n")
        run(["dpkg-deb", "--root-owner-group", "--build", tree, self.repository.directory])
        self.repository.index()

    def upgrade(self):
        root, kept = self.root, self.root.read("etc/postern/postern.yaml")
        before = root.shell("systemctl show -p MainPID --value postern").stdout
        self.repack("99.0")
        told = root.shell("apt-get update -qq && apt-get dist-upgrade -y </dev/null",
                          check=False)
        check(told.returncode == 0 and "onfiguration file" not in told.stdout,
              "an upgrade to another sample configuration asks nothing", told.stdout + told.stderr)
        check(root.read("etc/postern/postern.yaml") == kept, "and leaves the configuration alone")
        check("99.0" in root.shell("dpkg-query -W postern").stdout
              and root.shell("systemctl show -p MainPID --value postern").stdout != before
              and self.state_of("postern") == ("active", "enabled"), "the new program runs")

    def development_packages(self):
        """Packages for the demonstration and the tests start no service, for root and with sudo."""
        scripts = "home/alice/scripts"
        (self.root.path / scripts).mkdir()
        script = (readme.README.parent / "packaging/install-packages").read_text()
        self.root.write(f"{scripts}/install-packages", script, 0o755)
        self.root.write(f"{scripts}/packages.txt", "sudo nsd\nsudo dovecot-imapd\nroot opendkim\n")
        self.root.shell("scripts/install-packages sudo", user="alice")
        self.root.shell("/home/alice/scripts/install-packages root")
        for unit in ("nsd", "opendkim"):
            check(self.state_of(unit) == ("inactive", "disabled"),
                  f"{unit} came for the tests: neither started nor enabled", self.state_of(unit))
        check(not (self.root.path / "usr/sbin/policy-rc.d").exists(), "nothing is forbidden any more")

    def next_boot(self):
        self.root.halt()
        self.root.boot()
        for unit, wanted in (("postern", "active"), ("dovecot", "active"), ("nsd", "inactive"),
                             ("opendkim", "inactive")):
            check(self.state_of(unit)[0] == wanted, f"after the next boot {unit} is {wanted}",
                  self.state_of(unit))

    def remove(self):
        root = self.root
        root.shell("systemctl stop postern")
        result = root.shell("systemctl show -p Result --value postern").stdout.strip()
        check(result == "success", "it stops in order", result)
        root.shell("apt-get remove -y postern")
        check((root.path / "var/lib/postern/spool").is_dir()
              and (root.path / "etc/postern/postern.yaml").exists()
              and not (root.path / "usr/bin/postern").exists(),
              "removed; the queue and the configuration stay")
        left = [link for link in ("usr/sbin/sendmail", "etc/alternatives/sendmail", "usr/bin/mailq")
                if (root.path / link).is_symlink()]
        check(not left, "sendmail goes with it", left)
        root.shell("apt-get purge -y postern")
        check(not (root.path / "var/lib/postern").exists()
              and not (root.path / "etc/postern").exists(), "purged; nothing stays")





def depends(package):
    """The names that a package depends on, the first of alternatives."""
    field = run(["dpkg-deb", "--field", package, "Depends"]).stdout
    return [part.split("|")[0].split()[0] for part in field.split(",")]


def plain(line):
    return line.split(" #")[0].rstrip()


def said(done, word):
    return done.stdout if done.returncode == 0 and word in done.stdout else None
