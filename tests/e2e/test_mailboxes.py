"""Mail into the real Dovecot, with the configuration that Postern writes for it."""

import imaplib
import os
import ssl

import pytest

from lab.ca import Authority
from lab.dovecot import Dovecot, mail_directory
from lab.process import run, wait_for
from world import BOB, JACK

IMAP = "imap.kartapuce.com"


@pytest.fixture(scope="module", params=["tcp", "unix"])
def house(request, module_world):
    """(gateway, Dovecot): LMTP between them over TCP or over a Unix socket."""
    world = module_world
    address = world.net.fresh()
    imaps = (address, world.net.port("imaps"))
    lmtp = (address, world.net.port("lmtp")) if request.param == "tcp" else None
    delivery = f"lmtp://{lmtp[0]}:{lmtp[1]}" if lmtp else f"lmtp:{world.socket_path()}"
    certificate = world.ca.issue("mx.kartapuce.com", IMAP)
    running = world.gateway({"tls": {"certificates": [
        {"certificate": str(certificate.certificate), "key": str(certificate.key)}]}},
        delivery=delivery)
    directory = running.gateway.directory
    configuration = running.gateway.dovecot(directory / "dovecot", imaps=imaps,
                                            mail=mail_directory(directory / "mail"))
    dovecot = Dovecot(configuration, directory / "dovecot.log", imaps=imaps, lmtp=lmtp)
    world.later(dovecot.stop)
    return running, dovecot


def inbox(house, user, at_least):
    """The user's messages, waiting until there are so many."""
    running, dovecot = house
    context = running.world.ca.client_context()

    def look():
        found = dovecot.messages(*user, context, IMAP)
        return [found] if len(found) >= at_least else None

    return wait_for(look, 10, f"{at_least} messages", step=0.2)[0]


def test_mail_arrives_and_is_read(house):
    running, dovecot = house
    content = "Subject: to both\n\n.dot\ncaf\u00e9\n"
    running.submit([BOB[0], JACK[0]], content)
    for user in (BOB, JACK):
        last = inbox(house, user, 1)[-1]
        assert last.endswith(content.replace("\n", "\r\n").encode())
        assert b"Return-Path: <bob@kartapuce.com>" in last


def test_imaps_only_and_tls_1_2(house):
    _, dovecot = house
    address, port = dovecot.imaps
    done = run(["openssl", "s_client", "-connect", f"{address}:{port}", "-tls1_1",
                "-cipher", "ALL:@SECLEVEL=0"], text="", check=False)
    assert done.returncode != 0
    for plain in (143, 1143):
        with pytest.raises(OSError):
            imaplib.IMAP4(address, plain, timeout=2)


def test_openssl_verifies_the_certificate(house):
    running, dovecot = house
    done = run(["openssl", "s_client", "-connect", f"{dovecot.imaps[0]}:{dovecot.imaps[1]}",
                "-CAfile", running.world.ca.root, "-verify_return_error", "-verify_hostname", IMAP,
                "-ign_eof"], text=f"a login {BOB[0]} {BOB[1]}\nb logout\n", check=False)
    assert "Verify return code: 0 (ok)" in done.stdout and "a OK" in done.stdout


def test_curl_reads(house):
    running, dovecot = house
    running.submit(BOB[0], "Subject: for curl\n\nseen by curl\n")
    inbox(house, BOB, 1)
    address, port = dovecot.imaps

    def fetched():
        done = run(["curl", "-sS", "--cacert", running.world.ca.root, "--user",
                    f"{BOB[0]}:{BOB[1]}", "--resolve", f"{IMAP}:{port}:{address}",
                    f"imaps://{IMAP}:{port}/INBOX;MAILINDEX=*"])
        return "seen by curl" in done.stdout

    wait_for(fetched, 10, "the mail over curl", step=0.3)


def test_wrong_password_and_unknown_user(house):
    running, dovecot = house
    context = running.world.ca.client_context()
    for user in ((BOB[0], "wrong"), ("nobody@kartapuce.com", "x")):
        with pytest.raises(imaplib.IMAP4.error):
            dovecot.login(*user, context, IMAP, running.world.net.fresh())


def test_certificate_of_a_stranger_is_refused(house, tmp_path):
    _, dovecot = house
    with pytest.raises(ssl.SSLCertVerificationError):
        dovecot.login(*BOB, Authority(tmp_path).client_context(), IMAP)


def test_password_changes_reach_the_mailboxes(house):
    running, dovecot = house
    gateway, name = running.gateway, "carol@kartapuce.com"
    works = lambda password: _can_log_in(running, dovecot, name, password)
    gateway.add_user(name, "first-Password-1")
    wait_for(lambda: works("first-Password-1"), 10, "a login of the new user", step=0.2)
    gateway.command("user", "passwd", name, "--password-stdin", text="second-Password-2\n")
    wait_for(lambda: works("second-Password-2"), 10, "a login with the new password", step=0.2)
    assert not works("first-Password-1")
    gateway.command("user", "disable", name)
    wait_for(lambda: not works("second-Password-2"), 10, "the end of the login", step=0.2)


def _can_log_in(running, dovecot, name, password):
    world = running.world
    try:
        dovecot.login(name, password, world.ca.client_context(), IMAP, world.net.fresh()).logout()
        return True
    except imaplib.IMAP4.error:
        return False


def test_users_file_is_closed_to_others(house):
    running, _ = house
    state = running.gateway.configuration["directories"]["state"]
    mode = os.stat(os.path.join(state, "ledger", "dovecot-users")).st_mode
    assert mode & 0o007 == 0


def test_plus_addressing(house):
    running, _ = house
    before = len(inbox(house, JACK, 0))
    running.submit("jack+shopping@kartapuce.com", "Subject: plus\n\nx\n")
    assert b"Subject: plus" in inbox(house, JACK, before + 1)[-1]


def test_big_message(house):
    running, _ = house
    before = len(inbox(house, BOB, 0))
    content = "Subject: big\n\n" + ("x" * 998 + "\n") * 4000
    running.submit(BOB[0], content)
    assert len(inbox(house, BOB, before + 1)[-1]) > 3_900_000
