"""postern dovecot-config: what becomes of files that are there, and of Dovecot's own LMTP socket."""

import pytest
import yaml

from lab.dovecot import mail_directory
from lab.gateway import Gateway
from lab.process import Process, wait_for


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path / "postern", {
        "hostname": "mx.example.org",
        "listeners": [{"address": "127.0.0.1", "port": 2525, "kind": "mx"}],
        "domains": [{"name": "example.org", "delivery": "lmtp:/run/dovecot/lmtp"}],
        "bounce": {"postmaster": "postmaster@example.org"}})
    yield made
    made.remove()


def write(gateway, path, *options):
    return gateway.command("dovecot-config", "--output", str(path), *options, check=False)


def test_a_file_that_is_there_is_not_lost(gateway, tmp_path):
    file = tmp_path / "dovecot.conf"
    assert write(gateway, file).returncode == 0
    ours = file.read_text()
    assert "service lmtp" in ours and write(gateway, file).returncode == 0     # nothing to change
    file.write_text("# made by hand\n")
    refused = write(gateway, file)
    assert refused.returncode == 1 and "--force" in refused.stderr
    assert file.read_text() == "# made by hand\n"
    for number, text in ((1, "# made by hand\n"), (2, "# and again\n")):
        file.write_text(text)
        done = write(gateway, file, "--force")
        assert done.returncode == 0 and f"{file}.{number}" in done.stderr
        assert file.read_text() == ours
    assert (tmp_path / "dovecot.conf.1").read_text() == "# made by hand\n"
    assert (tmp_path / "dovecot.conf.2").read_text() == "# and again\n"
    assert sorted(p.name for p in tmp_path.glob("dovecot*")) == [
        "dovecot.conf", "dovecot.conf.1", "dovecot.conf.2"]


def test_no_file_but_a_pipe(gateway):
    assert "service lmtp" in write(gateway, "/dev/stdout").stdout


def test_without_dovecot(gateway, tmp_path):
    done = write(gateway, tmp_path / "absent" / "dovecot.conf")
    assert done.returncode == 1 and "is Dovecot installed?" in done.stderr


@pytest.mark.parametrize("path, name", [
    ("{base}/lmtp", "lmtp"),
    ("{base}//lmtp", "lmtp"),
    ("{link}/lmtp", "lmtp"),                        # as /var/run/dovecot/lmtp
    ("{link}/postern/lmtp", "{base}/postern/lmtp"), # not made yet
    ("{base}/other", "other"),
    ("{elsewhere}/lmtp", "{elsewhere}/lmtp"),
])
def test_a_socket_where_dovecot_has_its_own(gateway, tmp_path, path, name):
    places = {"base": tmp_path / "base", "elsewhere": tmp_path / "elsewhere",
              "link": tmp_path / "link"}
    places["base"].mkdir()
    places["link"].symlink_to(places["base"])
    changed = dict(gateway.configuration)
    # A second domain that spells the same place out makes no second listener.
    changed["domains"] = [{"name": domain, "delivery": f"lmtp:{text.format(**places)}"}
                          for domain, text in (("example.org", path), ("example.net", name if
                                               name.startswith("{") else "{base}/" + name))]
    gateway.file.write_text(yaml.safe_dump(changed))
    done = gateway.command("dovecot-config", "--base-directory", str(places["base"]))
    listeners = [line.split()[1] for line in done.stdout.splitlines() if "unix_listener" in line]
    wanted = name.format(**places)
    assert [l for l in listeners if l != "lmtp"] == ([wanted] if wanted != "lmtp" else [])
    assert listeners.count("lmtp") == 1 and (wanted == "lmtp") != ("mode = 0\n" in done.stdout)


def test_dovecot_takes_mail_on_its_own_socket(world):
    """The delivery that the shipped configuration shows."""
    running = world.gateway(start=False)
    base = running.gateway.run_directory / "dovecot"
    changed = dict(running.gateway.configuration)
    changed["domains"] = [{"name": "kartapuce.com", "delivery": f"lmtp:{base}/lmtp"}]
    running.gateway.file.write_text(yaml.safe_dump(changed))
    file = running.gateway.dovecot(running.gateway.directory / "dovecot",
                                   imaps=(world.net.fresh(), world.net.port("imaps")),
                                   mail=mail_directory(running.gateway.directory / "mail"))
    dovecot = Process(["/usr/sbin/dovecot", "-F", "-c", file], running.gateway.directory / "d.log",
                      name="dovecot")
    try:
        wait_for(lambda: (base / "lmtp").is_socket() or not dovecot.running(), 10)
        assert dovecot.running(), dovecot.tail()
        assert "uplicate" not in dovecot.tail()
    finally:
        dovecot.stop()
