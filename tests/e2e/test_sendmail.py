"""postern sendmail: mail of this machine's own users and programs, without a password."""

import os
import quopri
import signal
import socket
import subprocess

import pytest

from lab.gateway import binary
from lab.net import privileged
from lab.process import run, wait_for
from world import BOB, JACK

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE = 64, 65, 67, 69
EX_TEMPFAIL, EX_NOPERM = 75, 77
#: A user of this machine who is not root; nobody's number on Debian.
OTHER = 65534

needs_root = pytest.mark.skipif(not privileged(), reason="another user takes root")


@pytest.fixture(scope="module")
def local(module_world):
    """A gateway that knows two users of the machine by rules of their own."""
    return module_world.gateway({
        "sendmail": {"any_sender": ["uid:4242"]},
        "submission": {"senders": [{"user": "uid:4343", "may": ["news@peers.example"]}]},
    })


def sendmail(running, *arguments, text="Subject: local\n\nhello\n", uid=None, check=False,
             program=None):
    """Calls sendmail as user `uid` (of whoever runs the test: None)."""
    become = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                                     "--clear-groups"]
    command = [program] if program else [binary(), "sendmail"]
    return run([*become, *command, "--config", running.gateway.file, *arguments], text=text,
               check=check, environment={"NAME": "Tester"})


def arrived(running, before, count=1):
    return running.mailboxes.wait(before + count)[before:]


def test_cron_sends_what_a_job_printed(local):
    before = len(local.mailboxes.mails)
    done = sendmail(local, "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "jack",
                    text="From: root (Cron Daemon)\nTo: jack\nSubject: Cron <root@host> job\n"
                         "Auto-Submitted: auto-generated\n\nall is well\n.\nand goes on\n")
    assert done.returncode == 0, done.stderr
    [mail] = arrived(local, before)
    assert mail.recipients == [JACK[0]]
    user = run(["id", "-un"]).stdout.strip()
    assert mail.reverse_path == f"{user}@kartapuce.com"
    text = mail.content.decode()
    assert "\r\n.\r\nand goes on\r\n" in text
    assert "root@kartapuce.com" in text.split("Subject:")[0]
    uid = os.getuid()
    assert f"from localhost (local user, uid {uid})" in text
    assert "\r\nDate: " in text and "\r\nMessage-ID: " in text


def test_a_body_alone_becomes_a_message(local):
    before = len(local.mailboxes.mails)
    done = sendmail(local, "-f", "root", JACK[0], text="hi\nthere: you\n")
    assert done.returncode == 0, done.stderr
    [mail] = arrived(local, before)
    header, body = mail.content.decode().split("\r\n\r\n", 1)
    assert mail.reverse_path == "root@kartapuce.com"
    assert 'From: "Tester" <root@kartapuce.com>' in header
    assert body == "hi\r\nthere: you\r\n"
    assert "X-Postern-Findings" not in header


def test_recipients_of_the_header_and_nobody_sees_bcc(local):
    before = len(local.mailboxes.mails)
    done = sendmail(local, "-t", "-i", "-f", "www@kartapuce.com",
                    text="To: Bob <bob@kartapuce.com>\nBcc: jack,\n jack@kartapuce.com\n"
                         "From: shop@kartapuce.com\nSubject: order\n\nthanks\n")
    assert done.returncode == 0, done.stderr
    mails = arrived(local, before)
    assert {r for mail in mails for r in mail.recipients} == {BOB[0], JACK[0]}
    for mail in mails:
        assert b"Bcc" not in mail.content and b"jack" not in mail.content.split(b"for <")[0].lower()
        assert mail.reverse_path == "www@kartapuce.com"


def test_a_dot_ends_the_message_unless_told_otherwise(local):
    before = len(local.mailboxes.mails)
    text = "Subject: dots\n\none\n.\ntwo\n"
    assert sendmail(local, JACK[0], text=text).returncode == 0
    assert arrived(local, before)[0].content.endswith(b"\r\n\r\none\r\n")
    assert sendmail(local, "-oi", JACK[0], text=text).returncode == 0
    assert arrived(local, before + 1)[0].content.endswith(b"one\r\n.\r\ntwo\r\n")


def test_lines_that_begin_with_dots_and_octets_beyond_ascii_stay(local):
    before = len(local.mailboxes.mails)
    body = ".\n..\n.a\ngrüße\n" + ("." + "x" * 900 + "\n") * 80
    assert sendmail(local, "-i", JACK[0], text=f"Subject: s\n\n{body}").returncode == 0
    got = arrived(local, before)[0].content.decode().split("\r\n\r\n", 1)[1]
    if "=" in got:  # encoded on the way
        got = quopri.decodestring(got.encode()).decode()
    assert got.replace("\r\n", "\n") == body


def test_by_the_names_that_programs_use(local, tmp_path):
    for name in ("sendmail", "mailq", "newaliases"):
        (tmp_path / name).symlink_to(binary())
    before = len(local.mailboxes.mails)
    assert sendmail(local, JACK[0], program=tmp_path / "sendmail").returncode == 0
    arrived(local, before)
    local.empty_queue()                      # what has arrived is still leased for a moment
    assert run([tmp_path / "newaliases"]).returncode == 0
    listed = run([tmp_path / "mailq"], environment={"POSTERN_CONFIG": str(local.gateway.file)})
    assert listed.stdout == local.gateway.command("queue", "list").stdout
    assert sendmail(local, "-bp").returncode == 0
    assert sendmail(local, "-bi").returncode == 0
    assert sendmail(local, "-q").returncode == 0


def test_the_story_names_the_user(local):
    before = len(local.mailboxes.mails)
    assert sendmail(local, "-f", "root", JACK[0]).returncode == 0
    mail = arrived(local, before)[0]
    identifier = mail.content.decode().split(" id ")[1].split()[0]
    local.explained(identifier, f"proved to be uid:{os.getuid()} (local user)",
                    "connected to sendmail")


@needs_root
def test_another_user_writes_as_our_domains_only(local):
    before = len(local.mailboxes.mails)
    assert sendmail(local, "-f", "web@kartapuce.com", JACK[0], uid=OTHER).returncode == 0
    mail = arrived(local, before)[0]
    assert f"(local user, uid {OTHER})" in mail.content.decode()
    for arguments, text in (
            (["-f", "boss@peers.example"], "From: web@kartapuce.com\n\nx\n"),
            (["-f", "web@kartapuce.com"], "From: boss@peers.example\n\nx\n")):
        done = sendmail(local, *arguments, JACK[0], text=text, uid=OTHER)
        assert done.returncode == EX_NOPERM, (done.returncode, done.stderr)
        assert "not sent" in done.stderr
    local.empty_queue()
    assert len(local.mailboxes.mails) == before + 1


@needs_root
def test_rules_give_users_more(local):
    before = len(local.mailboxes.mails)
    assert sendmail(local, "-f", "boss@peers.example", JACK[0], uid=4242).returncode == 0
    assert sendmail(local, "-f", "news@peers.example", JACK[0], uid=4343).returncode == 0
    assert sendmail(local, "-f", "boss@peers.example", JACK[0],
                    uid=4343).returncode == EX_NOPERM
    assert sendmail(local, "-f", "boss@peers.example", JACK[0], uid=0).returncode == 0
    assert len(arrived(local, before, 3)) == 3


@needs_root
def test_only_users_who_are_named_may_submit(world):
    running = world.gateway({"sendmail": {"users": [f"uid:{OTHER}"]}})
    assert sendmail(running, JACK[0], uid=4444).returncode == EX_NOPERM
    assert sendmail(running, "-f", "a@kartapuce.com", JACK[0], uid=OTHER).returncode == 0
    assert sendmail(running, "-f", "a@kartapuce.com", JACK[0], uid=0).returncode == 0
    running.mailboxes.wait(2)


@needs_root
def test_one_user_does_not_use_up_what_others_need(world):
    running = world.gateway({"limits": {"message_rate": 1, "connections_per_address": 50}})
    arguments = ("-f", "a@kartapuce.com", JACK[0])
    results = [sendmail(running, *arguments, uid=OTHER).returncode for _ in range(4)]
    assert EX_TEMPFAIL in results
    assert sendmail(running, *arguments, uid=4444).returncode == 0


@pytest.mark.parametrize("arguments, text, status", [
    ([], "x\n", EX_USAGE),
    (["-Z", "jack"], "x\n", EX_USAGE),
    (["-bd"], "x\n", EX_USAGE),
    (["two words"], "x\n", EX_USAGE),
    (["-f", "a b", "jack"], "x\n", EX_USAGE),
    (["-t"], "Subject: nobody\n\nx\n", EX_DATAERR),
    (["-t"], "To: a@@b\n\nx\n", EX_DATAERR),
    (["nobody@kartapuce.com"], "x\n", EX_NOUSER),
    (["jack", "nobody@kartapuce.com"], "x\n", EX_NOUSER),
])
def test_what_is_refused_is_told_and_not_sent(local, arguments, text, status):
    local.empty_queue()                      # of what earlier tests sent
    before = len(local.mailboxes.mails)
    done = sendmail(local, *arguments, text=text)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("postern sendmail: ")
    assert not local.gateway.queue() and len(local.mailboxes.mails) == before


def test_too_large_is_final(world):
    running = world.gateway({"limits": {"message_size": "64KiB"}})
    done = sendmail(running, JACK[0], text="Subject: s\n\n" + "0123456789\n" * 10000)
    assert done.returncode == EX_UNAVAILABLE, done.stderr


def test_when_nothing_runs_the_caller_keeps_the_mail(world):
    running = world.gateway(start=False)
    done = sendmail(running, JACK[0])
    assert done.returncode == EX_TEMPFAIL
    assert "Postern is not running" in done.stderr and "not sent" in done.stderr
    running.gateway.start()
    running.gateway.kill()
    assert sendmail(running, JACK[0]).returncode == EX_TEMPFAIL


def test_switched_off_and_on_again(world):
    running = world.gateway()
    configuration = running.gateway.configuration
    assert sendmail(running, JACK[0]).returncode == 0
    running.gateway.reload(configuration | {"sendmail": {"enabled": False}})
    wait_for(lambda: sendmail(running, JACK[0]).returncode == EX_TEMPFAIL)
    running.gateway.reload(configuration | {"sendmail": {"enabled": True}})
    assert sendmail(running, JACK[0]).returncode == 0
    running.gateway.stop()
    assert not (running.gateway.run_directory / "sendmail.sock").exists()


def test_a_session_of_its_own(local):
    before = len(local.mailboxes.mails)
    lines = ["EHLO localhost", "AUTH PLAIN", "MAIL FROM:<root@kartapuce.com>",
             f"RCPT TO:<{JACK[0]}>"]
    with subprocess.Popen([binary(), "sendmail", "-bs", "--config", local.gateway.file],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        def reply():
            while True:
                line = session.stdout.readline().decode()
                if line[3:4] != "-":
                    return line

        def say(line):
            session.stdin.write(line.encode() + b"\r\n")
            session.stdin.flush()
            return reply()

        assert reply().startswith("220 kartapuce.com ")
        answers = [say(line)[:3] for line in lines]
        assert answers[0] == "250" and answers[1][0] == "5" and answers[2:] == ["250", "250"]
        assert say("DATA").startswith("354")
        assert say("From: root@kartapuce.com\r\nSubject: bs\r\n\r\nhi\r\n.").startswith("250")
        assert say("QUIT").startswith("221")
        session.stdin.close()
        assert session.wait(10) == 0
    assert b"Subject: bs" in arrived(local, before)[0].content


def test_who_is_killed_half_way_has_sent_nothing(local):
    before = len(local.mailboxes.mails)
    # In the shell's way: the message is not at its end yet.
    with subprocess.Popen([binary(), "sendmail", "--config", local.gateway.file, JACK[0]],
                          stdin=subprocess.PIPE) as half:
        half.stdin.write(b"Subject: half\n\nhel")
        half.stdin.flush()
        half.send_signal(signal.SIGKILL)
    # And in the middle of what it sends to the service.
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(local.gateway.run_directory / "sendmail.sock"))
    stream = client.makefile("rwb")
    assert stream.readline().startswith(b"220")
    for line in (b"HELO localhost", b"MAIL FROM:<root@kartapuce.com>",
                 f"RCPT TO:<{JACK[0]}>".encode(), b"DATA"):
        stream.write(line + b"\r\n")
        stream.flush()
        stream.readline()
    stream.write(b"Subject: half\r\n\r\nhello\r\n")
    stream.flush()
    stream.close()
    client.close()
    assert sendmail(local, JACK[0], text="Subject: whole\n\nx\n").returncode == 0
    local.empty_queue()
    assert [b"Subject: whole" in mail.content for mail in local.mailboxes.mails[before:]] == [True]


def test_notices_as_asked_for(local):
    before = len(local.mailboxes.mails)
    done = sendmail(local, "-f", BOB[0], "-N", "success", "-R", "hdrs", "-V", "call+1", JACK[0])
    assert done.returncode == 0, done.stderr
    mails = arrived(local, before, 2)
    notice = next(m for m in mails if m.recipients == [BOB[0]])
    assert b"call+1" in notice.content and b"delivered" in notice.content
