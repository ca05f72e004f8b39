"""The machine on which an ordinary user with sudo builds Postern: README's two commands, and the
package from an unpacked archive."""

import re

import readme
from roots import Root
from steps import check, step

#: What must not be needed for the package: a mail server gets none of it.
TEST_PACKAGES = ("libcmocka-dev", "clang", "opendkim", "nsd", "postfix")
MAKE_SECONDS = 1800


class Builder:
    def __init__(self, work, base, repository, source):
        self.work = work
        self.root = Root(work / "builder", base, repository, hostname="builder",
                         binds={"/srv/source": source})

    def alice(self, command, **options):
        return self.root.run(f"cd && {command}", user="alice", timeout=MAKE_SECONDS, **options)

    def installed(self):
        words = self.root.run("dpkg-query -W -f '${db:Status-Status} ${Package}\\n'").stdout.split()
        return {name for status, name in zip(words[::2], words[1::2]) if status == "installed"}

    def try_readme(self):
        """Returns the package that was built."""
        setup = [line.split("#")[0].strip() for line in readme.section("Two commands").splitlines()
                 if line.startswith("    ")]
        check(setup == ["make demo", "make check"], "README has two set-up commands", setup)
        self.make_package()
        self.clone()
        self.demo()
        self.checks()
        return next((self.root.path / "home/alice/archive/dist").glob("postern_*.deb"))

    def clone(self):
        self.root.run("cp -r /srv/source /srv/repository && cd /srv/repository && rm archive.tar"
                      " && git init -q && git add -A && git -c user.name=nobody"
                      " -c user.email=nobody@example.org commit -qm source"
                      " && chown -R alice: /srv/repository")
        self.alice("git clone -q /srv/repository postern")

    def make_package(self):
        before = self.installed()
        check("meson" not in before and "gcc" not in before, "the machine has nothing of what it takes")
        self.alice("mkdir archive && tar -C archive -xf /srv/source/archive.tar")
        self.alice("cd archive && make deb")
        added = self.installed() - before
        check(not added & set(TEST_PACKAGES), "make deb works without git's history, and installs none "
              "of the tests' packages", added & set(TEST_PACKAGES))

    def demo(self):
        told = self.alice("cd postern && make demo-check").stdout
        number = re.search(r"(\d+) things were checked", told)
        check(number and int(number[1]) > 10, "make demo-check plays the whole story", told[-2000:])
        check((self.root.path / "usr/bin/curl").exists(), "what the demonstration tells to type is there")
        check("libcmocka-dev" not in self.installed(), "and takes no test library")

    def checks(self):
        told = self.alice("cd postern && make check-style check-unit").stdout
        check(told.count("1 passed, 0 failed") == 2, "make check-style check-unit pass", told[-2000:])
        missing = set(self.group("check")) - self.installed()
        check("postfix" in self.group("check") and not missing, "all of the tests' packages are there",
              missing)
        step("built and tested as README says")

    def group(self, name):
        rows = self.root.read("home/alice/postern/packaging/packages.txt").splitlines()
        return [row.split()[1] for row in rows if row.split()[:1] == [name]]
