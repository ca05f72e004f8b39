"""The program itself: start, reload, status, metrics, broken surroundings, stop."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from lab.gateway import binary
from lab.net import free_port, privileged
from lab.process import Failed, run, wait_for
from lab.roles import ROLES, TABLE
from lab.sink import Script
from world import BOB, JACK, PLAIN, PLAIN_OF_BOB


def test_reload_keeps_connections_and_takes_the_new_configuration(world):
    running = world.gateway()
    with running.dialogue() as old, running.logged_in() as user:
        old.ehlo()
        old.expect(250, "MAIL FROM:<a@b.example>")
        old.expect(250, f"RCPT TO:<{BOB[0]}>")
        changed = dict(running.gateway.configuration)
        changed["limits"] = {**changed["limits"], "message_size": "1MiB"}
        changed["smtp"] = {"banner": "ESMTP renewed"}
        running.gateway.reload(changed)
        with running.dialogue() as new:
            assert "renewed" in new.greeting.text
            assert new.ehlo()["SIZE"] == str(1 << 20)
        old.expect(354, "DATA")
        old.raw(b"From: a@b.example\r\nSubject: across\r\n\r\nx\r\n.\r\n")
        assert old.reply().code == 250
        assert user.mail(BOB[0], JACK[0], PLAIN_OF_BOB).code == 250
    assert len(running.mailboxes.wait(2)) == 2


def test_reload_of_a_broken_configuration_changes_nothing(world):
    running = world.gateway()
    good = running.gateway.file.read_text()
    running.gateway.file.write_text(good + "nonsense: 1\n")
    running.gateway.process.signal(signal.SIGHUP)
    wait_for(lambda: "nonsense" in running.gateway.process.tail(), 5, "a complaint in the log")
    assert running.receive(BOB[0]).code == 250
    running.gateway.file.write_text(good)


@pytest.mark.parametrize("key", ["directories.state", "directories.run", "run_as"])
def test_reload_refuses_what_takes_a_restart_and_writes_nothing(world, key):
    running = world.gateway()
    elsewhere = running.gateway.directory / "elsewhere"
    changed = dict(running.gateway.configuration, tls={})      # would make a certificate there
    if key == "run_as":
        changed["run_as"] = "nobody"
    else:
        changed["directories"] = {**changed["directories"], key.split(".")[1]: str(elsewhere)}
    other = running.gateway.directory / "changed.yaml"
    other.write_text(json.dumps(changed))
    good = running.gateway.file.read_text()
    running.gateway.file.write_text(other.read_text())
    before = running.gateway.process.tail().count("not reloaded")
    running.gateway.process.signal(signal.SIGHUP)
    wait_for(lambda: running.gateway.process.tail().count("not reloaded") > before, 5)
    assert f"a change of {key} takes a restart" in running.gateway.process.tail()
    running.gateway.file.write_text(good)
    assert not elsewhere.exists() and running.gateway.status()["generation"] == 1


def test_reload_tells_what_takes_a_restart(world):
    running = world.gateway()
    assert running.gateway.command("reload").stdout == "reloaded\n"
    changed = dict(running.gateway.configuration, workers={"edge": 1, "filter": 2})
    changed["metrics"] = {"enabled": False}
    running.gateway.file.write_text(json.dumps(changed))
    keys = "metrics.enabled, metrics.port, workers.edge, workers.filter"
    for _ in range(2):                                          # still so the second time
        assert keys in running.gateway.command("reload").stdout
    wait_for(lambda: keys in running.gateway.process.tail(), 5, "the log")
    wait_for(running.gateway.ready, 10)


def test_a_listener_moves_between_one_address_and_all(world):
    port = free_port()                          # 25 has other listeners on other addresses
    address = world.net.fresh()
    running = world.gateway({"listeners": [{"address": address, "port": port, "kind": "mx"}]})
    running.address = address
    with running.dialogue() as old:
        old.ehlo()
        for address in ("0.0.0.0", running.address):
            listener = {"address": address, "port": port, "kind": "mx"}
            running.gateway.file.write_text(json.dumps(
                dict(running.gateway.configuration, listeners=[listener])))
            assert running.gateway.command("reload").returncode == 0
            wait_for(running.gateway.ready, 10)
            elsewhere = "127.0.0.1" if running.address != "127.0.0.1" else "127.0.0.2"
            with running.dialogue() as client:
                assert client.greeting.code == 220
            with socket.socket() as probe:
                assert (probe.connect_ex((elsewhere, port)) == 0) == (address == "0.0.0.0")
        assert old.command("NOOP").code == 250
    # Another gateway does not come in beside it and take a part of what arrives.
    for address in (running.address, "0.0.0.0"):
        second = world.gateway({"listeners": [{"address": address, "port": port, "kind": "mx"}]},
                               start=False)
        refused_start(second.gateway, "another program listens there")


def test_new_certificates_leave_the_configuration_file_alone(world):
    running = world.gateway()
    good = running.gateway.file.read_text()
    running.gateway.file.write_text(good + "nonsense: 1\n")     # somebody is at work on it
    fresh = world.ca.issue("mx.kartapuce.com", "kartapuce.com")
    for source, target in ((fresh.key, running.certificate.key),
                           (fresh.certificate, running.certificate.certificate)):
        temporary = target.with_suffix(".new")
        shutil.copy(source, temporary)
        os.replace(temporary, target)
    wait_for(lambda: _fingerprint(running) == fresh.fingerprint(), 15, "the new certificate",
             step=0.2)
    assert "nonsense" not in running.gateway.process.tail()


def test_reload_under_load_drops_nothing(world):
    running = world.gateway()
    with running.dialogue() as client:
        client.ehlo()
        for i in range(60):
            if i % 20 == 10:
                running.gateway.process.signal(signal.SIGHUP)
            assert client.mail("a@b.example", BOB[0], PLAIN).code == 250
    assert len(running.mailboxes.wait(60)) == 60
    running.empty_queue()
    assert len(running.mailboxes.mails) == 60


@pytest.mark.parametrize("how", ["SIGHUP", "file change"])
def test_certificates_are_renewed(world, how):
    running = world.gateway()
    shown = lambda: _fingerprint(running)
    before = shown()
    fresh = world.ca.issue("mx.kartapuce.com", "kartapuce.com")
    assert before == running.certificate.fingerprint() != fresh.fingerprint()
    with running.dialogue() as old:
        for source, target in ((fresh.key, running.certificate.key),
                               (fresh.certificate, running.certificate.certificate)):
            temporary = target.with_suffix(".new")
            shutil.copy(source, temporary)
            os.replace(temporary, target)
        if how == "SIGHUP":
            running.gateway.process.signal(signal.SIGHUP)
        wait_for(lambda: shown() == fresh.fingerprint(), 15, "the new certificate", step=0.2)
        assert old.command("NOOP").code in (250, 503)


def _fingerprint(running):
    with running.dialogue("smtps") as client:
        return hashlib.sha256(client.socket.getpeercert(binary_form=True)).hexdigest()


def test_unreadable_new_certificate_keeps_the_old_one(world):
    running = world.gateway()
    good = running.certificate.certificate.read_text()
    running.certificate.certificate.write_text("-----BEGIN CERTIFICATE-----\nnope\n")
    running.gateway.process.signal(signal.SIGHUP)
    wait_for(lambda: str(running.certificate.certificate) in running.gateway.process.tail(), 5,
             "a complaint in the log")
    assert _fingerprint(running)
    running.certificate.certificate.write_text(good)


def test_status(plain):
    plain.receive(BOB[0])
    status = plain.gateway.status()
    roles = {role["role"] for role in status["roles"]}
    assert roles == set(ROLES)
    for role in status["roles"]:
        assert role["ready"] and role["pid"] > 0 and role["restarts"] == 0
    text = plain.gateway.command("status").stdout
    assert "edge" in text and "spool" in text and "ready" in text


def test_status_tells_a_role_that_is_not_ready(world):
    running = world.gateway()
    assert ", up 0m " in running.gateway.command("status").stdout
    pid = running.gateway.roles()["resolver"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        running.gateway.process.signal(signal.SIGHUP)          # ready again only when it answers
        wait_for(lambda: running.gateway.status()["generation"] == 2, 5)
        done = running.gateway.command("status", check=False)
        assert done.returncode == 1 and "the role resolver 0 is not ready" in done.stdout
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: running.gateway.command("status", check=False).returncode == 0, 10)


@pytest.mark.parametrize("role", ["resolver", "edge"])
def test_status_tells_a_role_that_does_not_answer(world, role):
    running = world.gateway()
    pid = running.gateway.roles()[role][-1]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = running.gateway.command("status", check=False)
        assert done.returncode == 1
        row = next(line for line in done.stdout.splitlines() if f" {pid} " in line)
        assert row.endswith("not answering")
        assert f"(process {pid}) is not answering" in done.stdout
        states = {r["pid"]: r["state"] for r in running.gateway.status()["roles"]}
        assert states.pop(pid) == "not answering" and set(states.values()) == {"ready"}
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: running.gateway.command("status", check=False).returncode == 0, 10)


def test_metrics(plain):
    plain.receive(BOB[0])
    where = plain.gateway.configuration["metrics"]

    def scraped():
        with urllib.request.urlopen(f"http://{where['address']}:{where['port']}/metrics",
                                    timeout=5) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            return answer.read().decode()

    text = wait_for(lambda: (t := scraped()) and "postern_" in t and t, 10)
    kinds, helps, names = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
            assert name not in kinds, f"{name} stands twice"
            kinds[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, helps[name] = line.split(" ", 3)
        else:
            name = re.split("[{ ]", line)[0]
            family = re.sub("_(bucket|sum|count)$", "", name)
            names.add(family if kinds.get(family) == "histogram" else name)
            assert float(line.split()[-1]) >= 0, line
    assert names == kinds.keys() == helps.keys()
    for name in names:
        assert kinds[name] == ("counter" if name.endswith("_total") else
                               "histogram" if name == "postern_delivery_latency_seconds" else
                               "gauge"), name
        assert len(helps[name]) > 4, name


def test_metrics_of_findings_latency_age_and_certificates(world):
    """Labels are from the program's own tables; a family stands together."""
    sink = world.sink(Script(replies={"rcpt": "451 4.3.0 later"}))
    running = world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{sink.address}:{sink.port}"}],
        "queue": {"retry_first": "30m", "retry_max": "1h"}})
    where = running.gateway.configuration["metrics"]

    def scraped():
        with urllib.request.urlopen(f"http://{where['address']}:{where['port']}/metrics",
                                    timeout=5) as answer:
            text = answer.read().decode()
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in values, name
                values[re.sub(r'role="[a-z]+",instance="\d+",?', "", name)] = float(value)
        return values

    assert running.receive(BOB[0], "Subject: no date\n\nhello\n").code == 250
    running.submit("tom@far.example")
    wait_for(lambda: sink.commands() and scraped().get("postern_queue_oldest_seconds{}", 0) >= 1,
             15)
    values = wait_for(lambda: (v := scraped()).get(
        "postern_delivery_latency_seconds_count{}") == 1 and v, 10)
    buckets = [v for k, v in values.items() if k.startswith("postern_delivery_latency_seconds_b")]
    assert len(buckets) == 13 and buckets == sorted(buckets) and buckets[-1] == 1
    assert values['postern_delivery_latency_seconds_bucket{le="+Inf"}'] == 1
    assert 0 < values["postern_delivery_latency_seconds_sum{}"] < 60
    roles = running.gateway.json("status")["roles"]
    told = next(r for r in roles if r["role"] == "spool")["metrics"]["delivery_latency_seconds_sum"]
    assert told == values["postern_delivery_latency_seconds_sum{}"]
    text = running.gateway.command("status").stdout
    assert f"delivery_latency_seconds_sum       {told:.3f}\n" in text and "_bucket" not in text
    findings = {k: v for k, v in values.items() if k.startswith("postern_findings_total{")}
    assert len(findings) > 50
    assert findings['postern_findings_total{finding="date_missing"}'] == 2      # of both messages
    assert findings['postern_findings_total{finding="date_repeated"}'] == 0
    ends = [v for k, v in values.items() if k.startswith("postern_certificate_expiry_timestamp")]
    assert len(ends) == 1 and ends[0] > time.time()


def test_status_tells_queue_and_rates(world):
    running = world.gateway({"routes": [{"domain": "far.example", "to": "smtp://127.0.0.1:1"}],
                             "queue": {"retry_first": "30m", "retry_max": "1h"}})
    text = running.gateway.command("status").stdout
    assert "Queue  0 messages, 0 recipients (0 waiting, 0 deferred, 0 held)" in text
    assert running.receive(BOB[0]).code == 250
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        client.expect(550, "RCPT TO:<nobody@kartapuce.com>")
    running.submit("tom@far.example")

    def rates():
        status = running.gateway.status()
        rates = status["rates"]
        return (status["queue"]["messages"] == 1 and status["queue"]["deferred"] == 1
                and all(rates[kind]["per_minute_1m"] > 0 and rates[kind]["per_minute_5m"] > 0
                        for kind in ("received", "refused", "delivered", "deferred")))

    wait_for(rates, 15)
    text = running.gateway.command("status").stdout
    assert "Queue  1 message, 1 recipient (0 waiting, 1 deferred, 0 held)" in text
    assert re.search(r"^Rates .*1 min .*5 min", text, re.M)
    assert re.search(r"^  received +\d+\.\d +\d+\.\d$", text, re.M)


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_role_comes_back(world, role):
    """Each alone: another one's restart must not be what makes it work again."""
    running = world.gateway()
    assert running.receive(BOB[0]).code == 250
    running.mailboxes.wait(1)
    pid = running.gateway.roles()[role][0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in running.gateway.roles().get(role, [pid])
             and running.gateway.ready(), 15, f"{role} again", step=0.1)
    assert running.receive(BOB[0]).code == 250
    running.mailboxes.wait(2)
    assert sum(role["restarts"] for role in running.gateway.status()["roles"]) >= 1


def rights(pid):
    """/proc/PID/status, and the soft limit of the address space in octets (None: no limit)."""
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft = next(line for line in limits if line.startswith("Max address space")).split()[3]
    core = next(line for line in limits if line.startswith("Max core file size")).split()[4]
    return status, None if soft == "unlimited" else int(soft), core


@pytest.mark.skipif(not privileged(), reason="roles change their user only when started as root")
def test_roles_have_few_privileges(plain):
    for role, pids in plain.gateway.roles().items():
        for pid in pids:
            status, memory, core = rights(pid)
            assert status["Name"] == f"postern-{role}"[:15]  # the kernel keeps no more
            assert status["Uid"].split()[0] != "0", role
            assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, role
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", role
            assert memory is not None and core == "0", role
            assert int(status["VmPeak"].split()[0]) * 1024 < memory / 2, role


def test_roles_are_started_as_their_table_says(plain):
    """Their number, their directories and sockets, and how many descriptors they may open."""
    state, run_directory = (Path(plain.gateway.configuration["directories"][name])
                            for name in ("state", "run"))
    running, rows = plain.gateway.roles(), TABLE.parse()
    for role in (row for row in rows if row.is_process()):
        assert role.least <= len(running.get(role.name, [])) <= role.most, role.name
        kept = state / role.name
        assert kept.is_dir() == bool(role.directory), role.name
        assert not role.directory or kept.stat().st_mode & 0o7777 == role.directory, role.name
        for pid in running[role.name]:
            limits = Path(f"/proc/{pid}/limits").read_text()
            most = int(re.search(r"^Max open files\s+(\d+)", limits, re.M)[1])
            assert most == min(role.descriptors, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert {path.stem for path in run_directory.glob("*.sock")} == \
        {row.name for row in rows if row.commands} | {"sendmail"}


@pytest.mark.skipif(not privileged(), reason="there is nothing to give up without root")
def test_the_parent_has_what_it_needs(plain):
    run_directory = Path(plain.gateway.configuration["directories"]["run"])
    status, memory, core = rights((run_directory / "postern.pid").read_text().strip())
    # kill, setgid, setuid, net_bind_service, net_admin, dac_read_search
    kept = sum(1 << bit for bit in (5, 6, 7, 10, 12, 2))
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[name], 16) & ~kept == 0, name
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert memory is not None and core == "0"


def test_the_memory_limit_follows_the_configuration(world):
    running = world.gateway()
    pid = running.gateway.roles()["edge"][0]
    before = rights(pid)[1]
    changed = dict(running.gateway.configuration)
    changed["limits"] = {**changed["limits"], "memory": "1GiB"}
    running.gateway.reload(changed)
    assert running.gateway.roles()["edge"][0] == pid
    assert rights(pid)[1] - before == 2 * (512 << 20)


def test_orderly_stop_finishes_the_message(world):
    running = world.gateway()
    with running.dialogue() as idle, running.dialogue() as busy:
        idle.ehlo(), busy.ehlo()
        busy.expect(250, "MAIL FROM:<a@b.example>")
        busy.expect(250, f"RCPT TO:<{BOB[0]}>")
        busy.expect(354, "DATA")
        running.gateway.process.signal(signal.SIGTERM)
        assert idle.reply().code == 421
        busy.raw(b"From: a@b.example\r\nSubject: last\r\n\r\nx\r\n.\r\n")
        assert busy.reply().code in (250, 421)
    assert running.gateway.stop() == 0


def refused_start(gateway, *phrases):
    with pytest.raises(Failed) as caught:
        gateway.start(10)
    for phrase in phrases:
        assert phrase in str(caught.value), str(caught.value)


def test_port_taken(world):
    running = world.gateway(start=False)
    with socket.create_server((running.address, running.port("mx"))):
        refused_start(running.gateway, running.address, str(running.port("mx")))


def test_broken_yaml_names_the_place(world):
    running = world.gateway(start=False)
    running.gateway.file.write_text(running.gateway.file.read_text() + "hostnam: x\n")
    lines = running.gateway.file.read_text().count("\n")
    refused_start(running.gateway, f"postern.yaml:{lines}:1:", "hostname")
    done = running.gateway.command("config", "check", check=False)
    assert done.returncode != 0 and f"postern.yaml:{lines}:1:" in done.stdout + done.stderr


def test_aliases_in_a_circle_are_refused(world):
    domain = {"name": "kartapuce.com", "delivery": "lmtp://127.0.0.1:1",
              "aliases": [{"name": "ping", "to": ["pong@kartapuce.com"]},
                          {"name": "pong", "to": ["ping@kartapuce.com"]}]}
    running = world.gateway({"domains": [domain]}, start=False)
    refused_start(running.gateway, "circle", "ping")


def test_missing_key_names_the_file(world):
    running = world.gateway(start=False)
    running.certificate.key.unlink()
    refused_start(running.gateway, str(running.certificate.key))


def test_corrupt_queue_is_told_and_kept(world):
    running = world.gateway({"queue": {"retry_first": "30m", "retry_max": "1h"}}, delivery="lmtp://127.0.0.1:1")
    running.receive(BOB[0])
    running.gateway.stop()
    state = Path(running.gateway.configuration["directories"]["state"])
    database = max(state.glob("spool/*"), key=lambda p: p.stat().st_size)
    damaged = bytearray(database.read_bytes())
    damaged[:100] = b"\xde\xad" * 50
    database.write_bytes(damaged)
    for leftover in state.glob("spool/*-wal"):
        leftover.unlink()
    refused_start(running.gateway, database.name)
    assert database.read_bytes()[:100] == bytes(damaged[:100])     # nothing was overwritten


def test_config_commands(plain):
    plain.gateway.command("config", "check")
    assert "hostname" in plain.gateway.command("config", "defaults").stdout
    schema = json.loads(plain.gateway.command("config", "schema").stdout)
    assert "hostname" in schema["properties"]


def test_every_command_has_help_with_an_example():
    for command in ([], ["run"], ["user"], ["queue"], ["trace"], ["explain"], ["status"],
                    ["config"], ["dovecot-config"]):
        done = run([binary(), *command, "--help"])
        assert "postern" in done.stdout and len(done.stdout) > 100, command


def test_every_address_of_both_families(world):
    """As the package ships it: 0.0.0.0 and "::" side by side at one port."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    listeners = [{"address": address, "port": port, "kind": "mx"} for address in ("0.0.0.0", "::")]
    world.gateway({"listeners": listeners}, users=())
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=10) as client:
            assert client.recv(4) == b"220 "
