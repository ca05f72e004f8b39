"""TLS as the configuration has it: what is refused, what is shown, what is warned of."""

import hashlib
import json
import ssl
from pathlib import Path

import pytest

from lab.gateway import merged
from lab.process import Failed, run, wait_for
from world import BOB


def shown(running, name=None):
    """SHA-256 of the certificate that a client sees who asks for `name`."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with running.dialogue("smtps", tls=context, name=name) as client:
        return hashlib.sha256(client.socket.getpeercert(binary_form=True)).hexdigest()


def own(running, suffix=".pem"):
    state = Path(running.gateway.configuration["directories"]["state"])
    return state / f"self-signed{suffix}"


def subject(path):
    return run(["openssl", "x509", "-in", path, "-noout", "-subject"]).stdout


def listed(*certificates):
    return {"certificates": [{"certificate": str(c.certificate), "key": str(c.key)}
                             for c in certificates]}


@pytest.mark.parametrize("key, value", [
    ("ciphers", "ECDHE+AESGMC"), ("ciphers", "ECDHE+AESGCM:ECDHE+CHACHA2O"),
    ("ciphersuites", "TLS_AES_256_GCM_SHA385"), ("groups", "X2551"),
])
def test_a_typo_in_the_settings_of_tls_is_refused(world, key, value):
    running = world.gateway()
    good = running.gateway.file.read_text()
    changed = merged(running.gateway.configuration, {"tls": {key: value}})
    running.gateway.file.write_text(json.dumps(changed, indent=1))
    wrong = value.split(":")[-1]
    for command in (["config", "check"], ["reload"]):
        done = running.gateway.command(*command, check=False)
        assert done.returncode == 1
        assert f'tls.{key}: OpenSSL knows no "{wrong}"' in done.stderr
        line = next(i for i, text in enumerate(running.gateway.file.read_text().splitlines(), 1)
                    if f'"{key}":' in text)
        assert f"postern.yaml:{line}:" in done.stderr
    with running.dialogue() as client:
        assert "STARTTLS" in client.ehlo()                      # the old one stays in force
    running.gateway.stop()
    with pytest.raises(Failed) as caught:
        running.gateway.start(10)
    assert f"tls.{key}: " in str(caught.value)
    running.gateway.file.write_text(good)


def test_a_certificate_that_is_no_longer_listed_is_no_longer_used(world):
    first, second = world.ca.issue("mx.kartapuce.com"), world.ca.issue("other.kartapuce.com")
    running = world.gateway({"tls": listed(first, second)})
    assert shown(running, "other.kartapuce.com") == second.fingerprint()
    running.gateway.reload(merged(running.gateway.configuration, {"tls": listed(first)}))
    assert shown(running, "other.kartapuce.com") == first.fingerprint()
    without = dict(running.gateway.configuration, tls={})
    running.gateway.file.write_text(json.dumps(without))
    assert running.gateway.command("reload").returncode == 0
    wait_for(lambda: shown(running) != first.fingerprint(), 10)
    assert shown(running, "mx.kartapuce.com") == \
        run(["openssl", "x509", "-in", own(running), "-noout", "-fingerprint", "-sha256"]) \
        .stdout.split("=")[1].strip().replace(":", "").lower()


@pytest.mark.parametrize("suffix", [".pem", ".key"])
def test_a_damaged_self_signed_certificate_is_made_anew(world, suffix):
    running = world.gateway({"tls": {"certificates": None}})
    assert "self-signed" in running.gateway.command("status").stdout
    before = shown(running)
    running.gateway.stop()
    own(running, suffix).write_bytes(own(running, suffix).read_bytes()[:100])
    running.gateway.start()
    assert shown(running) != before
    with running.dialogue() as client:
        assert "STARTTLS" in client.ehlo()


def test_the_self_signed_certificate_follows_the_host_name(world):
    running = world.gateway({"tls": {"certificates": None}})
    assert "mx.kartapuce.com" in subject(own(running))
    running.gateway.reload(merged(running.gateway.configuration,
                                  {"hostname": "mail.kartapuce.com"}))
    assert "mail.kartapuce.com" in subject(own(running))
    assert not list(own(running).parent.glob("*.new"))


def test_a_lost_self_signed_certificate_comes_back_by_itself(world):
    running = world.gateway({"tls": {"certificates": None}})
    before = shown(running)
    own(running).unlink()
    wait_for(lambda: own(running).exists() and shown(running) != before, 15, step=0.2)


def test_an_expired_certificate_is_warned_of(world):
    old, soon = world.ca.issue("mx.kartapuce.com", expired=True), \
        world.ca.issue("soon.kartapuce.com", days=2)
    running = world.gateway({"tls": listed(old, soon)})
    warnings = running.gateway.status()["warnings"]
    assert any(str(old.certificate) in w and "has expired" in w for w in warnings), warnings
    assert any(str(soon.certificate) in w and "ends in less than 2 day" in w for w in warnings)
    wait_for(lambda: f"{old.certificate} has expired" in running.gateway.process.tail(200), 5,
             "the log")


def test_config_check_reads_what_the_configuration_names(world):
    running = world.gateway(start=False)
    check = lambda *options: running.gateway.command("config", "check", *options, check=False)
    assert check().returncode == 0
    other = world.ca.issue("other.kartapuce.com")
    good = running.certificate.key.read_text()
    running.certificate.key.write_text(other.key.read_text())
    assert "tls.certificates[0]: " in check().stderr and check().returncode == 1
    running.certificate.key.unlink()
    done = check()
    assert done.returncode == 1
    assert f"tls.certificates[0].key: {running.certificate.key} cannot be read" in done.stderr
    assert check("--syntax-only").returncode == 0
    running.certificate.key.write_text(good)
    running.gateway.configure(merged(running.gateway.configuration,
                                     {"resolver": {"trust_anchors": ["/nonexistent/root.key"]}}))
    done = check()
    assert done.returncode == 1 and "resolver.trust_anchors[0]: /nonexistent" in done.stderr
    assert check("--syntax-only").returncode == 0


def warned(running, *words):
    return [text for text in running.gateway.status()["warnings"]
            if all(word in text for word in words)]


@pytest.mark.parametrize("names, warns", [
    (["other.kartapuce.com"], True), (["kartapuce.com"], True), (["*.kartapuce.com"], False),
    (["*.com"], True), (["x.example", "MX.kartapuce.com"], False),
])
def test_a_certificate_of_another_name_is_warned_of(world, names, warns):
    running = world.gateway({"tls": listed(world.ca.issue(*names))}, users=())
    assert bool(warned(running, "host name mx.kartapuce.com", "another name")) == warns


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o640, False), (0o644, True),
                                         (0o604, True), (0o660, True)])
def test_a_key_that_others_can_read_is_warned_of(world, mode, warns):
    certificate = world.ca.issue("mx.kartapuce.com")
    Path(certificate.key).chmod(mode)
    running = world.gateway({"tls": listed(certificate)}, users=())
    assert bool(warned(running, str(certificate.key), f"mode {mode:04o}")) == warns


def test_a_new_certificate_that_is_not_taken_is_warned_of(world):
    """A renewal that went wrong is seen before the old certificate ends."""
    first, second = world.ca.issue("mx.kartapuce.com"), world.ca.issue("mx.kartapuce.com")
    running = world.gateway({"tls": listed(first)}, users=())
    good = Path(first.certificate).read_text(), Path(first.key).read_text()
    assert not warned(running, "could not be taken")
    Path(first.certificate).write_text(Path(second.certificate).read_text())
    wait_for(lambda: warned(running, "new certificates could not be taken", "stays in force"), 20)
    assert running.gateway.command("reload", check=False).returncode == 1
    assert warned(running, "new configuration could not be taken")
    Path(first.certificate).write_text(good[0])
    running.gateway.command("reload")
    assert not warned(running, "could not be taken")


@pytest.mark.parametrize("settings, mx, users", [
    ({}, False, True), ({"mx_session_tickets": True}, True, True),
    ({"session_tickets": False, "mx_session_tickets": True}, False, False),
])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_for_users_unless_others_are_named(world, settings, mx, users, version):
    running = world.gateway({"tls": settings}, users=())

    def gives_tickets(kind):
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        tls.minimum_version = tls.maximum_version = version
        with running.dialogue(kind, **({"tls": tls} if kind == "smtps" else {})) as client:
            if kind != "smtps":
                client.ehlo()
                client.starttls(tls)
            client.ehlo()                               # TLS 1.3 brings them before the reply
            return client.socket.session.has_ticket
    assert [gives_tickets(kind) for kind in ("mx", "submission", "smtps")] == [mx, users, users]


def test_a_group_that_the_library_does_not_have_may_be_optional(world):
    running = world.gateway({"tls": {"groups": "?no-such-group:X25519"}}, users=())
    with running.dialogue() as client:
        client.ehlo()
        client.starttls(world.ca.client_context(check_name=False))
        client.ehlo()
    running.gateway.configure(merged(running.gateway.configuration,
                                     {"tls": {"groups": "?no-such-group"}}))
    done = running.gateway.command("config", "check", check=False)
    assert done.returncode == 1 and "tls.groups: nothing is left of this list" in done.stderr
