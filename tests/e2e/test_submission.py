"""Ports 465 and 587: who may send, how they prove it, and what is done to their message."""

import base64
import email
import re
import ssl

import pytest

from lab.process import run
from world import BOB, JACK, PLAIN_OF_BOB


def swaks(running, kind, *options, check=True):
    tls = {"smtps": ["--tls-on-connect"], "submission": ["--tls"]}[kind]
    return run(["swaks", "--server", f"{running.address}:{running.port(kind)}", *tls,
                "--from", BOB[0], "--to", JACK[0], "--helo", "laptop.peers.example",
                "--timeout", "20", *options], check=check)


@pytest.fixture(autouse=True)
def nothing_left(plain):
    """What a test sent has arrived before the next one counts."""
    yield
    plain.empty_queue()


@pytest.mark.parametrize("kind", ["smtps", "submission"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(plain, kind, mechanism):
    before = len(plain.mailboxes.mails)
    done = swaks(plain, kind, "--auth", mechanism, "--auth-user", BOB[0],
                 "--auth-password", BOB[1])
    assert "235 " in done.stdout and "~> ." in done.stdout
    assert plain.mailboxes.wait(before + 1)[-1].reverse_path == BOB[0]


@pytest.mark.parametrize("kind", ["smtps", "submission"])
def test_without_login_nothing_is_taken(plain, kind):
    done = swaks(plain, kind, check=False)
    assert done.returncode != 0
    assert "530 5.7.0" in done.stdout


def test_submission_wants_starttls_before_auth(plain):
    with plain.dialogue("submission") as client:
        extensions = client.ehlo()
        assert "AUTH" not in extensions and "STARTTLS" in extensions
        assert client.auth_plain(*BOB).code == 538 or client.auth_plain(*BOB).code == 530
        assert client.command("MAIL FROM:<bob@kartapuce.com>").code == 530
        client.starttls(plain.world.ca.client_context(), "mx.kartapuce.com")
        extensions = client.ehlo()
        assert "STARTTLS" not in extensions
        assert {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} <= set(
            extensions["AUTH"].split())
        assert client.auth_plain(*BOB).code == 235


def test_no_auth_on_the_mx_port(plain):
    with plain.dialogue("mx") as client:
        assert "AUTH" not in client.ehlo()
        client.starttls(plain.world.ca.client_context(), "mx.kartapuce.com")
        assert "AUTH" not in client.ehlo()
        assert client.auth_plain(*BOB).code in (502, 503, 504)


@pytest.mark.parametrize("plus", [False, True], ids=["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_scram(plain, plus):
    with plain.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_scram(*BOB, plus=plus).code == 235
        assert client.mail(BOB[0], JACK[0], PLAIN_OF_BOB).code == 250


def test_scram_downgrade_is_noticed(plain):
    """RFC 5802 section 6: flag "y" where the server offers -PLUS means that someone removed it."""
    with plain.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_scram(*BOB, flag="y").code == 535


def test_channel_binding_turned_off(world):
    """For programs that choose -PLUS and then give up; "y" is no sign of a removed offer then."""
    running = world.gateway({"submission": {"channel_binding": False}})
    for kind in ("smtps", "submission"):
        with running.dialogue(kind) as client:
            if kind == "submission":
                client.ehlo()
                client.starttls(world.ca.client_context(check_name=False))
            assert client.ehlo()["AUTH"].split() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
            assert client.auth_scram(*BOB, plus=True).code == 504
            assert client.auth_scram(*BOB, flag="y").code == 235


def test_scram_wrong_password(plain):
    with plain.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_scram(BOB[0], "wrong").code == 535


@pytest.mark.parametrize("user,password", [
    (BOB[0], "wrong"), (BOB[0], ""), ("nobody@kartapuce.com", BOB[1]), (BOB[0].upper(), "wrong"),
    ("", ""), (BOB[0] + "\0", BOB[1]),
])
def test_wrong_credentials(plain, user, password):
    with plain.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_plain(user, password).code in (501, 535)
        assert client.command("MAIL FROM:<bob@kartapuce.com>").code == 530


def test_auth_dialogue(plain):
    with plain.dialogue("smtps") as client:
        client.ehlo()
        client.expect(504, "AUTH CRAM-MD5")
        client.expect(334, "AUTH PLAIN")
        client.expect(501, "*")                                     # RFC 4954 section 4: cancelled
        client.expect(334, "AUTH PLAIN")
        client.expect(501, "!not base64!")
        client.expect(334, "AUTH PLAIN")
        token = base64.b64encode(f"\0{BOB[0]}\0{BOB[1]}".encode())
        client.expect(235, token)
        client.expect(503, "AUTH PLAIN " + token.decode())          # once is enough
        client.expect(250, f"MAIL FROM:<{BOB[0]}>")
        client.expect(503, "AUTH PLAIN " + token.decode())          # not amid a transaction


def test_password_is_in_no_log_and_no_trace(plain):
    secret = "T0p-secret-that-nobody-may-read"
    plain.gateway.add_user("careful@kartapuce.com", secret)
    token = base64.b64encode(f"\0careful@kartapuce.com\0{secret}".encode()).decode()
    queue_id = plain.submit(JACK[0], user=("careful@kartapuce.com", secret))
    with plain.dialogue("smtps") as client:
        client.ehlo()
        client.auth_plain("careful@kartapuce.com", secret + "x")
        client.command(f"AUTH PLAIN {token[:-4]}")
    with plain.dialogue("mx") as client:
        client.ehlo()
        client.command(f"AUTH PLAIN {token}")                       # in the clear, refused
    told = plain.explained(queue_id, "careful@kartapuce.com")
    told += plain.gateway.command("trace", "--json").stdout + plain.gateway.log.read_text()
    for form in (secret, token, token[:-4]):
        assert form not in told


def test_users_come_and_go(plain):
    gateway, user = plain.gateway, ("eve@kartapuce.com", "first-Password-1")
    gateway.add_user(*user)
    assert "eve@kartapuce.com" in gateway.command("user", "list").stdout

    def code(password):
        with plain.dialogue("smtps") as client:
            client.ehlo()
            return client.auth_plain(user[0], password).code

    assert code(user[1]) == 235
    gateway.command("user", "passwd", user[0], "--password-stdin", text="second-Password-2\n")
    assert (code(user[1]), code("second-Password-2")) == (535, 235)
    gateway.command("user", "disable", user[0])
    assert code("second-Password-2") == 535
    assert plain.receive(user[0]).code == 250       # who may not log in still gets mail
    gateway.command("user", "remove", user[0])
    assert code("second-Password-2") == 535
    with plain.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@peers.example>")
        client.expect(550, f"RCPT TO:<{user[0]}>")
    assert "eve@kartapuce.com" not in gateway.command("user", "list").stdout
    again = gateway.command("user", "remove", user[0], check=False)
    assert again.returncode != 0 and "eve@kartapuce.com" in again.stderr


def test_guessing_is_throttled(world):
    running = world.gateway({"limits": {"auth_failures_per_user": 3,
                                        "auth_failures_per_address": 1000}})
    for _ in range(3):
        with running.dialogue("smtps") as client:
            client.ehlo()
            assert client.auth_plain(BOB[0], "guess").code == 535
    with running.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_plain(*BOB).code in (421, 454, 535)      # right, but too late
    with running.dialogue("smtps") as client:
        client.ehlo()
        assert client.auth_plain(*JACK).code == 235                 # others are not locked out


def test_missing_fields_are_added(plain):
    before = len(plain.mailboxes.mails)
    plain.submit(JACK[0], "From: bob@kartapuce.com\nSubject: bare\n\nx\n")
    mail = email.message_from_bytes(plain.mailboxes.wait(before + 1)[-1].content)
    assert mail["Date"] and mail["Message-ID"].endswith("@mx.kartapuce.com>")
    received = " ".join(mail["Received"].split())
    assert "by mx.kartapuce.com" in received and "with ESMTPSA" in received
    assert "127." not in received and "client.example" not in received


def test_fields_that_are_there_stay(plain):
    before = len(plain.mailboxes.mails)
    plain.submit(JACK[0], "From: bob@kartapuce.com\nDate: Mon, 23 Nov 2026 10:00:00 +0100\n"
                          "Message-ID: <mine@kartapuce.com>\n\nx\n")
    mail = email.message_from_bytes(plain.mailboxes.wait(before + 1)[-1].content)
    assert mail.get_all("Date") == ["Mon, 23 Nov 2026 10:00:00 +0100"]
    assert mail.get_all("Message-ID") == ["<mine@kartapuce.com>"]


# -- who may send as whom (RFC 6409 section 6.1) ------------------------------------------------------

@pytest.fixture(scope="module")
def offices(module_world):
    """Bob and Jack share an alias; Bob may write as the boss."""
    return module_world.gateway({
        "domains": [{"name": "kartapuce.com", "delivery": "lmtp://127.0.0.1:24",
                     "recipients": "users",
                     "aliases": [{"name": "sales", "to": [BOB[0], JACK[0]]},
                                 {"name": "jacks", "to": [JACK[0]]}]}],
        "submission": {"senders": [{"user": BOB[0],
                                    "may": ["boss@kartapuce.com", "*@news.kartapuce.com"]}]},
        "zones": [{"name": "inside", "networks": ["127.0.0.0/8"], "relay": True}],
        "routes": [{"domain": "far.example", "to": "smtp://127.0.0.1:9"}]})


def sent_as(running, author, *, sender=BOB[0], more=""):
    """The reply to a message from bob, who has logged in."""
    with running.logged_in() as client:
        return client.mail(sender, "tom@far.example",
                           f"From: {author}\n{more}Subject: x\n\nx\n")


@pytest.mark.parametrize("sender,author", [
    (BOB[0], BOB[0]), (BOB[0], "Bob <BOB@kartapuce.com>"), (BOB[0], "bob+news@kartapuce.com"),
    ("bob+news@kartapuce.com", BOB[0]), ("sales@kartapuce.com", "sales@kartapuce.com"),
    ("", BOB[0]), (BOB[0], "boss@kartapuce.com"), ("x@news.kartapuce.com", "y@news.kartapuce.com"),
])
def test_own_addresses(offices, sender, author):
    assert sent_as(offices, author, sender=sender).code == 250


@pytest.mark.parametrize("sender,author,more,text", [
    (JACK[0], BOB[0], "", "return address"),
    ("someone@peers.example", BOB[0], "", "return address"),
    (BOB[0], JACK[0], "", "name of this author"),
    (BOB[0], "jacks@kartapuce.com", "", "name of this author"),
    (BOB[0], f'"{BOB[0]}" <ceo@peers.example>', "", "name of this author"),
    (BOB[0], f"{BOB[0]}, {JACK[0]}", f"Sender: {BOB[0]}\n", "name of this author"),
    (BOB[0], BOB[0], f"Sender: {JACK[0]}\n", "name of this author"),
    ("", JACK[0], "", "name of this author"),
])
def test_other_addresses(offices, sender, author, more, text):
    reply = sent_as(offices, author, sender=sender, more=more)
    assert reply.code == 550 and reply.text.startswith("5.7.1") and text in reply.text, reply


def test_two_from_fields(offices):
    reply = sent_as(offices, BOB[0], more=f"From: {JACK[0]}\n")
    assert reply.code in (550, 554)


def test_the_refusal_is_explained(offices):
    reply = sent_as(offices, JACK[0])
    offices.explained(re.search(r"\((\w{16})\)", reply.text)[1], "a user sends in the name of "
                      "somebody else", f"address: {JACK[0]}", "RFC 6409 6.1")


def test_hosts_of_ours_send_for_many(offices):
    with offices.dialogue() as client:
        client.ehlo("host.kartapuce.com")
        assert client.mail("app@peers.example", "tom@far.example",
                           "From: other@peers.example\nSubject: x\n\nx\n").code == 250


def test_who_may_send_as_whom_can_be_left_open(world):
    running = world.gateway({"submission": {"own_sender": False}})
    with running.logged_in() as client:
        assert client.mail(JACK[0], BOB[0], f"From: {JACK[0]}\nSubject: x\n\nx\n").code == 250


def test_client_address_is_told_when_configured(world):
    running = world.gateway({"submission": {"hide_client_address": False}})
    running.submit(JACK[0])
    mail = email.message_from_bytes(running.mailboxes.wait()[0].content)
    assert "client.example" in mail["Received"] and "[127." in mail["Received"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_tls_versions(plain):
    for version, taken in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True),
                           (ssl.TLSVersion.TLSv1_1, False)):
        context = plain.world.ca.client_context(check_name=False)
        if not taken:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        if taken:
            with plain.dialogue("smtps", tls=context) as client:
                assert client.greeting.code == 220
        else:
            with pytest.raises(ssl.SSLError):
                plain.dialogue("smtps", tls=context)


def test_openssl_s_client_verifies(plain):
    done = run(["openssl", "s_client", "-connect", f"{plain.address}:{plain.port('submission')}",
                "-starttls", "smtp", "-CAfile", plain.world.ca.root, "-verify_return_error",
                "-verify_hostname", "mx.kartapuce.com", "-crlf"], text="QUIT\n", check=False)
    assert "Verify return code: 0 (ok)" in done.stdout
