"""What is measured: Postern and those beside it, each with a sink behind it, on loopback."""

import os
import pathlib
import re
import shutil
import subprocess
import time

from lab.gateway import Gateway, binary
from lab.net import free_port, listens


def wait_until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise SystemExit(f"bench: {what}: not within {seconds} s")


def open_path(path):
    """Lets other users pass to what is below `path`: the measured programs change their user."""
    for part in [path, *path.parents]:
        if part.stat().st_uid == 0 and part != pathlib.Path("/"):
            part.chmod(part.stat().st_mode | 0o055)


class CountingSink:
    """Postfix's smtp-sink, which writes how many messages it has taken."""

    def __init__(self, directory, port=None):
        self.port = port or free_port()
        self.out = open(directory / f"sink-{self.port}.out", "wb")
        self.process = subprocess.Popen(
            ["/usr/sbin/smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1000"], stdout=self.out,
            stderr=subprocess.STDOUT)
        wait_until(lambda: listens("127.0.0.1", self.port), "smtp-sink listens", 10)

    def count(self):
        size = os.path.getsize(self.out.name)
        with open(self.out.name, "rb") as out:
            out.seek(max(0, size - 200))
            numbers = re.findall(rb"mesg=(\d+)|(\d+)\s*$|\r(\d+)", out.read())
        return int(next((n for n in numbers[-1] if n), 0)) if numbers else 0

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.out.close()


class KeepingSink:
    """smtp-sink that writes each message to a file, on a port of its own."""

    def __init__(self, directory):
        self.port = free_port()
        self.kept = directory / "kept"
        self.kept.mkdir()
        shutil.chown(self.kept, "nobody")
        open_path(self.kept)
        self.process = subprocess.Popen(
            ["/usr/sbin/smtp-sink", "-u", "nobody", "-D", f"{self.kept}/%M.", f"127.0.0.1:{self.port}",
             "100"], stdout=subprocess.DEVNULL)
        wait_until(lambda: listens("127.0.0.1", self.port), "smtp-sink listens", 10)

    def take(self):
        """The text of the next message, which is taken out."""
        wait_until(lambda: any(p.stat().st_size for p in self.kept.iterdir()), "a message", 30)
        path = next(p for p in self.kept.iterdir() if p.stat().st_size)
        text = path.read_text()
        path.unlink()
        return text

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


class Postfix:
    name = "Postfix"

    def __init__(self, directory, sink_port, more=""):
        self.port = free_port()
        self.etc = directory / "postfix"
        spool, data = directory / "postfix-spool", directory / "postfix-data"
        for made in (self.etc, spool, data):
            made.mkdir()
        shutil.chown(data, "postfix")
        open_path(directory)
        (self.etc / "main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}
myhostname = postfix.bench.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 200
default_destination_concurrency_limit = 40
initial_destination_concurrency = 40
smtp_dns_support_level = disabled
smtp_host_lookup = native
local_recipient_maps =
alias_maps =
{more}""")
        master = pathlib.Path("/usr/share/postfix/master.cf.dist").read_text() \
            if pathlib.Path("/usr/share/postfix/master.cf.dist").exists() \
            else pathlib.Path("/etc/postfix/master.cf").read_text()
        master = re.sub(r"^smtp\s+inet.*$", f"127.0.0.1:{self.port} inet n - n - - smtpd", master,
                        flags=re.M)
        master = re.sub(r"^((?:\S+\s+){4})y(\s)", r"\1n\2", master, flags=re.M)
        (self.etc / "master.cf").write_text(master)
        self.command("start")
        wait_until(lambda: listens("127.0.0.1", self.port), "Postfix listens", 30)

    def command(self, word):
        done = subprocess.run(["postfix", "-c", self.etc, word], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"postfix {word}: {done.stderr}")

    def stop(self):
        self.command("stop")


class Postern:
    name = "Postern"

    def __init__(self, directory, sink_port, *, tls="none", trusted=True, **more):
        """`trusted`: the load comes from a host that may relay, as Postfix's does: nobody asks the
        DNS who sent it. Otherwise it is mail from the internet, and authenticated."""
        self.binary = str(binary())
        self.port = free_port()
        configuration = {
            "hostname": "postern.bench.example",
            "listeners": [{"address": "127.0.0.1", "port": self.port, "kind": "mx",
                           "tls": tls}],
            "workers": {"edge": 0},
            "domains": [{"name": "bench.example", "delivery": f"smtp://127.0.0.1:{sink_port}",
                         "recipients": "any", "tls": "none"}],
            "zones": [{"name": "load", "networks": ["127.0.0.0/8"], "rate_limits": False,
                       "relay": trusted}],
            "limits": {"pregreet_delay": 0, "connections_per_address": 100000,
                       "connections_per_network": 100000, "connections": 100000},
            "queue": {"concurrency_first": 20, "concurrency_max": 40},
            "logging": {"level": "warn"},
        }
        configuration.update(more)
        self.gateway = Gateway(directory / "postern", configuration)
        self.gateway.start()

    def stop(self):
        self.gateway.stop()


RSPAMD_CONFIGURATION = """\
options {{
  pidfile = "{directory}/rspamd.pid";
  filters = "dkim";
  local_addrs = ["192.0.2.0/24"];
  check_local = true;
  check_all_filters = true;
  history_rows = 10;
  cache_file = "{directory}/symbols.cache";
  stats_file = "{directory}/stats.ucl";
  hs_cache_dir = "{directory}/";
  tempdir = "/tmp";
  control_socket = "{directory}/rspamd.sock mode=0600";
  url_tld = "${{SHAREDIR}}/effective_tld_names.dat";
  dns {{
    nameserver = ["{dns}"];
    timeout = 2s;
    retransmits = 3;
  }}
}}
logging {{
  type = "file";
  filename = "{directory}/rspamd.log";
  level = "error";
}}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{port}";
  milter = yes;
  timeout = 120s;
  count = {workers};
  upstream "local" {{
    default = yes;
    self_scan = yes;
  }}
}}
modules {{
  path = "${{PLUGINSDIR}}";
  fallback_path = "${{SHAREDIR}}/lua";
}}
actions {{
  reject = 1000;
}}
spf {{
  min_cache_ttl = 5m;
}}
dkim {{
  trusted_only = false;
}}
dmarc {{
}}
arc {{
  sign_inbound = false;
}}
milter_headers {{
  use = ["authentication-results"];
  skip_local = false;
  skip_authenticated = false;
}}
"""


class PostfixRspamd:
    """Postfix with Rspamd as its milter: SPF, DKIM, DMARC and ARC checked, and the results in
    Authentication-Results; nothing else of Rspamd."""

    name = "Postfix + Rspamd"

    def __init__(self, directory, sink_port, dns):
        own = directory / "rspamd"
        own.mkdir()
        shutil.chown(own, "_rspamd")
        open_path(directory)
        milter = free_port()
        (own / "rspamd.conf").write_text(RSPAMD_CONFIGURATION.format(
            directory=own, dns=dns, port=milter, workers=os.cpu_count()))
        self.log = open(directory / "rspamd.out", "wb")
        self.rspamd = subprocess.Popen(
            ["/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", own / "rspamd.conf"],
            stdout=self.log, stderr=subprocess.STDOUT)
        wait_until(lambda: listens("127.0.0.1", milter), "Rspamd listens", 60)
        self.postfix = Postfix(directory, sink_port, f"""\
smtpd_milters = inet:127.0.0.1:{milter}
milter_default_action = tempfail
milter_protocol = 6
""")
        self.port = self.postfix.port

    def stop(self):
        self.postfix.stop()
        self.rspamd.terminate()
        self.rspamd.wait(20)
        self.log.close()
