"""Fresh machines: minimal roots of Debian that see nothing of the machine they are made on.

    repository = Repository(directory)      # an archive for apt, of what this machine downloads
    base = make_base(directory)             # debootstrap, with git, make, sudo and ca-certificates
    repository.download(base, ["nsd"])      # with everything that the root lacks for it
    root = Root(directory / "builder", base, repository)
    root.run("apt-get install -y nsd")      # a container that ends with the command
    root.boot()                             # or one that systemd runs
    root.shell("systemctl start nsd")

Containers have a network of their own with nothing but a loopback interface.
"""

import contextlib
import ctypes
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab.process import Failed, run, wait_for

RELEASE = "bookworm"
#: What a fresh machine has.
BASE_PACKAGES = "git,make,sudo,ca-certificates"
#: Where a root finds the archive.
ARCHIVE = "/srv/archive"
#: Seconds for systemd to come up and to go down.
BOOT_SECONDS = 90
#: What a machine has and systemd-nspawn 252 would not let through.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
CLONE_NEWNET = 0x40000000        # linux/sched.h
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}


def mirror():
    """The address that apt has the release's main component from."""
    lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)",
                 "Created-By: Packages", f"Codename: {RELEASE}"]).stdout.splitlines()
    for line in lines:
        uri, _, component = line.rpartition(" ")
        if component == "main":
            return uri
    raise Failed("apt has no Debian mirror to make a clean root from")


def make_base(directory):
    root = Path(directory) / "base"
    run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", RELEASE, root, mirror()],
        timeout=600)
    return root


class Repository:
    """Packages in a directory that apt takes as an archive."""

    def __init__(self, directory):
        self.directory = Path(directory)
        (self.directory / "partial").mkdir(parents=True)
        self.directory.chmod(0o755)

    def download(self, root, names):
        """Fetches packages, with what `root` lacks for them, as apt of this machine knows them."""
        if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
            run(["apt-get", "update"], timeout=300)
        run(["apt-get", "-y", "--download-only", "--no-install-recommends",
             "-o", f"Dir::State::status={root}/var/lib/dpkg/status",
             "-o", "Dir::State::extended_states=/dev/null",
             "-o", f"Dir::Cache::archives={self.directory}", "-o", "Debug::NoLocking=1",
             "-o", "APT::Sandbox::User=root", "install", *sorted(set(names))], timeout=600)
        self.index()

    def add(self, *packages):
        for package in packages:
            shutil.copy(package, self.directory)
        self.index()

    def index(self):
        packages = run(["dpkg-scanpackages", "-m", "."], directory=self.directory, timeout=120)
        (self.directory / "Packages").write_text(packages.stdout)

    def pack(self, name, version, files, directory):
        """A package of our own with `files` (path -> text); programs among them."""
        tree = Path(directory) / f"{name}-{version}"
        for path, text in {"DEBIAN/control": CONTROL.format(name=name, version=version),
                           **files}.items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755 if text.startswith("#!") else 0o644)
        run(["dpkg-deb", "--root-owner-group", "--build", tree, self.directory])
        self.index()


CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: stands in for what takes the internet
"""


class Root:
    """One machine. `binds` are further directories to be seen inside, read-only: inside -> outside."""

    def __init__(self, path, base, repository, *, hostname="mx", binds=None):
        self.path = Path(path)
        run(["cp", "-a", "--reflink=auto", base, self.path], timeout=300)
        self.hostname, self.machine = hostname, None
        # Others may have machines at the same time; a name has letters, digits and hyphens only.
        self.name = f"{self.path.parent.name}-{self.path.name}".replace("_", "x")
        self.binds = {ARCHIVE: repository.directory, **(binds or {})}
        self.write("etc/apt/sources.list", f"deb [trusted=yes] file:{ARCHIVE} ./\n")
        self.write("etc/hostname", f"{hostname}\n")
        self.write("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")
        # Crashes of the machine are not what is tested: dpkg need not wait for the disk.
        self.write("etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n")
        self.run("useradd --create-home --shell /bin/bash alice")
        self.write("etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n")

    def write(self, path, text, mode=0o644):
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def read(self, path):
        return (self.path / path).read_text()

    def _nspawn(self):
        words = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
                 "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
                 f"--machine={self.name}", f"--system-call-filter={LANDLOCK}",
                 f"--hostname={self.hostname}", "-D", str(self.path)]
        return words + [f"--bind-ro={outside}:{inside}" for inside, outside in self.binds.items()]

    def run(self, command, *, user="root", timeout=1200, check=True):
        """A shell's command in a container that ends with it. Not while the machine is up."""
        words = [*self._nspawn(), "--as-pid2", f"--user={user}"]
        for name, value in ENVIRONMENT.items():
            if name != "HOME":
                words.append(f"--setenv={name}={value}")
        return run([*words, "--", "bash", "-c", command], check=check, timeout=timeout)

    # -- with systemd -------------------------------------------------------------------------

    def boot(self):
        """Comes back when everything that the machine starts has been started."""
        self.log = open(f"{self.path}.log", "ab")
        self.machine = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *self._nspawn(), "--kill-signal=SIGRTMIN+3", "--boot"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self.leader = wait_for(self._find_leader, BOOT_SECONDS, "the machine's first process")
        wait_for(lambda: self.shell("systemctl is-system-running --wait", check=False)
                 .stdout.strip() in ("running", "degraded"), BOOT_SECONDS, "systemd", step=0.2)

    def _find_leader(self):
        if self.machine.poll() is not None:
            raise Failed("a container cannot be booted on this machine (systemd-nspawn --boot):\n"
                         + Path(self.log.name).read_text()[-4000:])
        for pid in children(self.machine.pid):
            with contextlib.suppress(OSError):
                if re.search(r"^NSpid:.*\t1$", Path(f"/proc/{pid}/status").read_text(), re.M):
                    return pid
        return None

    @contextlib.contextmanager
    def network(self):
        """This thread, and what it starts, is in the running machine's network, and only there."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inside = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.setns(inside, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the machine's network cannot be entered")
            yield
        finally:
            libc.setns(outside, CLONE_NEWNET)
            os.close(inside)
            os.close(outside)

    def _inside(self, command, user):
        plain = ["env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items())]
        enter = ["nsenter", "-t", str(self.leader), "-a"]
        if user == "root":
            return [*enter, *plain, "bash", "-c", command]
        return [*enter, *plain, "runuser", "-u", user, "--", "env", f"HOME=/home/{user}",
                "bash", "-c", f"cd && {command}"]

    def shell(self, command, *, user="root", check=True, timeout=300, text=""):
        """A shell's command in the running machine."""
        return run(self._inside(command, user), check=check, timeout=timeout, text=text)

    def terminal(self, command, answers, *, user="root", timeout=60):
        """The same with a terminal; each of `answers` is typed after a prompt that ends in ": "."""
        pid, terminal = pty.fork()
        if pid == 0:
            words = self._inside(command, user)
            os.execvp(words[0], words)
        text, answers, end = "", list(answers), time.monotonic() + timeout
        asked = 0
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    text += os.read(terminal, 4096).decode(errors="replace")
                except OSError:             # the other side is closed
                    break
            if answers and re.search(r": ?$", text[asked:]):
                asked = len(text)
                os.write(terminal, answers.pop(0).encode() + b"\n")
        else:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        if status != 0 or answers:
            raise Failed(f"{command}: status {status}, on a terminal:\n{text}")
        return text

    def processes(self):
        """{host's pid: (words of the command line, text of status)} of the running machine."""
        space, found = os.readlink(f"/proc/{self.leader}/ns/pid"), {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "ns/pid") == space:
                    words = (entry / "cmdline").read_bytes().decode().split("\0")
                    found[int(entry.name)] = (words, (entry / "status").read_text())
        return found

    def halt(self):
        """The machine's own shutdown; what is left of it after the time is ended."""
        if self.machine is None:
            return
        if self.machine.poll() is None:
            self.machine.terminate()
            try:
                self.machine.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.machine.pid, signal.SIGKILL)
                self.machine.wait()
        self.machine = None
        self.log.close()


def children(pid):
    """The processes below `pid`, at any depth."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        below = parents.get(left.pop(), [])
        found += below
        left += below
    return found
