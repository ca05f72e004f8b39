"""Non-delivery reports and delay warnings: RFC 3461 to 3464, and to whom they never go."""

import email
import email.policy
import time

import pytest

from lab.process import wait_for
from lab.sink import Script
from world import BOB, PLAIN


@pytest.fixture(scope="module")
def far(module_world):
    """A host that refuses everybody whose name begins with "no"."""
    script = Script(recipients={f"{n}@far.example": "550 5.1.1 <%s> who?" % n
                                for n in ("no", "no1", "no2")})
    return module_world.sink(script)


@pytest.fixture(scope="module")
def out(module_world, far):
    return module_world.gateway({
        "routes": [{"domain": "far.example", "to": f"smtp://{far.address}:{far.port}"}],
        "bounce": {"returned_size": "2KiB"},
        "queue": {"warn_after": "2s"}})


def report(mail):
    """A DSN taken apart: (message, fields of the message, [fields of each recipient])."""
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    status = message.get_payload()[1]
    assert status.get_content_type() == "message/delivery-status"
    blocks = status.get_payload()
    return message, blocks[0], blocks[1:]


def bounce_of(out, recipients, content="Subject: lost\n\nhello\n", **parameters):
    before = len(out.mailboxes.mails)
    queue_id = out.submit(recipients, content, **parameters)
    return queue_id, out.mailboxes.wait(before + 1)[-1]


def test_report_in_all_its_parts(out):
    queue_id, mail = bounce_of(out, ["no@far.example", "yes@far.example"])
    assert (mail.reverse_path, mail.recipients) == ("", [BOB[0]])
    message, of_message, of_recipients = report(mail)
    assert message["To"] == BOB[0] and "postmaster@mx.kartapuce.com" in message["From"]
    assert message["Auto-Submitted"].startswith("auto-replied")     # RFC 3834 section 5
    assert message["Date"] and message["Message-ID"]
    assert of_message["Reporting-MTA"] == "dns; mx.kartapuce.com"
    assert len(of_recipients) == 1
    fields = of_recipients[0]
    assert fields["Final-Recipient"].replace(" ", "").lower() == "rfc822;no@far.example"
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
    assert "550 5.1.1" in fields["Diagnostic-Code"] and "smtp" in fields["Diagnostic-Code"]
    assert fields["Remote-MTA"].startswith("dns;")
    text = message.get_payload()[0].get_content()
    assert "no@far.example" in text and "550" in text
    original = message.get_payload()[2]
    assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert b"Subject: lost" in mail.content
    out.explained(queue_id, "no@far.example", "5.1.1", "yes@far.example")


def test_one_report_for_several_recipients(out):
    _, mail = bounce_of(out, ["no1@far.example", "no2@far.example"])
    assert len(report(mail)[2]) == 2


def test_one_report_for_several_hosts(world):
    """Recipients of one message that fail at different hosts share one report."""
    sinks = [world.sink(Script(replies={"rcpt": f"550 5.1.1 host {n}"}, delays={"rcpt": 0.5}))
             for n in range(3)]
    running = world.gateway({"routes": [
        {"domain": f"host{n}.example", "to": f"smtp://{sink.address}:{sink.port}"}
        for n, sink in enumerate(sinks)]})
    running.submit([f"tom@host{n}.example" for n in range(3)])
    assert len(report(running.mailboxes.wait()[0])[2]) == 3
    running.empty_queue()
    assert len(running.mailboxes.mails) == 1


@pytest.mark.parametrize("parameters,type_", [
    ("RET=HDRS", "text/rfc822-headers"), ("RET=FULL", "message/rfc822"),
])
def test_ret(out, parameters, type_):
    _, mail = bounce_of(out, "no@far.example", "Subject: lost\n\nthe body itself\n",
                        mail_parameters=parameters)
    assert report(mail)[0].get_payload()[2].get_content_type() == type_
    assert (b"the body itself" in mail.content) == (parameters == "RET=FULL")


def test_large_original_is_not_returned_whole(out):
    _, mail = bounce_of(out, "no@far.example", "Subject: lost\n\n" + ("y" * 70 + "\n") * 1000)
    assert len(mail.content) < 12000
    assert b"Subject: lost" in mail.content


def test_envid_and_orcpt_come_back(out):
    _, mail = bounce_of(out, "no@far.example", mail_parameters="ENVID=QQ+2B314",
                        rcpt_parameters="ORCPT=rfc822;alias+2Bx@far.example")
    _, of_message, of_recipients = report(mail)
    assert of_message["Original-Envelope-Id"] == "QQ+314"
    assert of_recipients[0]["Original-Recipient"].replace(" ", "") == "rfc822;alias+x@far.example"


def test_notify_never_makes_no_report(out):
    before = len(out.mailboxes.mails)
    quiet = out.submit("no@far.example", rcpt_parameters="NOTIFY=NEVER")
    out.explained(quiet, "550")
    out.empty_queue()
    assert len(out.mailboxes.mails) == before


def test_of_a_null_sender_the_postmaster_is_told(out):
    before = len(out.mailboxes.mails)
    null = out.submit("no@far.example", "Subject: lost\n\nthe body\n", sender="")
    mail = out.mailboxes.wait(before + 1)[-1]
    assert b"To: <postmaster@mx.kartapuce.com>" in mail.content and b"the body" not in mail.content
    assert report(mail)[2][0]["Final-Recipient"] == "rfc822; no@far.example"
    out.explained(null, "550", "No notice of failure was sent", "postmaster@mx.kartapuce.com")
    out.empty_queue()
    assert len(out.mailboxes.mails) == before + 1


def test_notify_success_is_told_when_the_next_host_cannot(world):
    """RFC 3461 section 5.2.2: relayed to a host without DSN: "relayed"."""
    bare = world.sink(Script(extensions=("8BITMIME",)))
    running = world.gateway({"routes": [{"domain": "bare.example",
                                         "to": f"smtp://{bare.address}:{bare.port}"}]})
    running.submit("tom@bare.example", rcpt_parameters="NOTIFY=SUCCESS")
    fields = report(running.mailboxes.wait()[0])[2][0]
    assert fields["Action"] == "relayed"


def test_dsn_parameters_travel_on(out, far):
    before = len(far.mails)
    out.submit("yes@far.example", mail_parameters="RET=HDRS ENVID=abc",
               rcpt_parameters="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;yes@far.example")
    mail = far.wait(before + 1)[-1]
    assert "RET=HDRS" in mail.mail_parameters and "ENVID=abc" in mail.mail_parameters
    parameters = mail.rcpt_parameters["yes@far.example"]
    assert "NOTIFY=SUCCESS,FAILURE" in parameters and "ORCPT=rfc822;yes@far.example" in parameters


def test_delay_warning(out, far):
    far.script.recipients["slow@far.example"] = "451 4.2.1 wait"
    before = len(out.mailboxes.mails)
    queue_id = out.submit("slow@far.example", rcpt_parameters="NOTIFY=DELAY,FAILURE")
    fields = report(out.mailboxes.wait(before + 1, 15)[-1])[2][0]
    assert fields["Action"] == "delayed" and fields["Status"].startswith("4.")
    assert fields["Will-Retry-Until"]
    time.sleep(2.5)
    assert len(out.mailboxes.mails) == before + 1                   # one warning, not one a try
    del far.script.recipients["slow@far.example"]
    out.explained(queue_id, "Delivered to", seconds=15)


def test_no_backscatter(out):
    """What cannot be delivered here is refused during SMTP; nobody's inbox gets a report."""
    out.empty_queue()
    before = len(out.mailboxes.mails)
    with out.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<victim@far.example>")
        client.expect(550, "RCPT TO:<nobody@kartapuce.com>")
    assert not out.gateway.queue() and len(out.mailboxes.mails) == before


def test_bounce_of_a_bounce_ends(world):
    """The report to an unreachable sender ends at the postmaster."""
    nowhere = world.sink(Script(replies={"rcpt": "550 5.1.1 nobody"}))
    running = world.gateway({"routes": [{"domain": "nowhere.example",
                                         "to": f"smtp://{nowhere.address}:{nowhere.port}"}],
                             "zones": [{"name": "inside", "networks": ["127.0.0.0/8"],
                                        "relay": True}]})
    with running.dialogue() as client:
        client.ehlo()
        reply = client.mail("ghost@nowhere.example", "also@nowhere.example", PLAIN)
        assert reply.code == 250
    wait_for(lambda: sum("RCPT" in c for c in nowhere.commands()) >= 2, 10)
    running.empty_queue()
    time.sleep(0.5)
    assert sum("RCPT" in c for c in nowhere.commands()) == 2
    assert len(running.mailboxes.mails) == 1
    content = running.mailboxes.mails[0].content
    assert b"a notice could not be delivered" in content
    assert b"Final-Recipient: rfc822; ghost@nowhere.example" in content


def test_utf8_in_the_report(out, far):
    far.script.recipients["n\u00f6@far.example"] = "550 5.1.1 nobody"
    _, mail = bounce_of(out, "n\u00f6@far.example", "Subject: \u00e9\n\nx\n",
                        mail_parameters="SMTPUTF8")
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert message.get_payload()[1].get_content_type() in (
        "message/global-delivery-status", "message/delivery-status")
    assert "utf-8; n\u00f6@far.example".encode() in mail.content.replace(b"utf-8;n", b"utf-8; n")
