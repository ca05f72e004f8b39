"""What Postern writes itself is signed with the keys of its host name's domain."""

import pytest

from lab.process import wait_for
from signed import Signed, fields

dkim = pytest.importorskip("dkim")


@pytest.fixture(scope="module")
def own(module_world):
    own = Signed(module_world, {"queue": {"warn_after": "1s", "retry_first": "1s", "retry_max": "2s"}},
                 own_host=True)
    own.far.script.recipients.update({"no@far.example": "550 5.1.1 who?",
                                      "later@far.example": "450 4.2.0 busy"})
    return own


def notice_of(own, recipient, **parameters):
    before = len(own.mailboxes.mails)
    own.running.submit(recipient, "Subject: x\n\nx\n", user=own.user, **parameters)
    return own.mailboxes.wait(before + 1)[-1]


@pytest.mark.parametrize("recipient,subject", [
    ("no@far.example", "Undelivered"), ("later@far.example", "Delayed"),
])
def test_a_notice_is_signed(own, recipient, subject):
    mail = notice_of(own, recipient)
    assert mail.reverse_path == "" and fields(mail.content, "Subject")[0].startswith(subject)
    assert fields(mail.content, "From") == [f"Mail Delivery System <postmaster@mx.{own.domain}>"]
    signatures = fields(mail.content, "DKIM-Signature")
    assert len(signatures) == len(own.keys) == 2
    assert all(f"d={own.domain};" in signature for signature in signatures)
    for i in range(len(signatures)):
        assert dkim.DKIM(mail.content).verify(idx=i, dnsfunc=own.dns)


def test_a_notice_to_the_postmaster_is_signed(own):
    mail = notice_of(own, "no@far.example", sender="")
    assert b"whose sender is not told" in mail.content
    assert dkim.verify(mail.content, dnsfunc=own.dns)


def test_the_mail_about_damage_is_signed(module_world):
    own = Signed(module_world, {"queue": {"retry_first": "30m", "retry_max": "1h"}}, own_host=True)
    own.far.script.replies["rcpt"] = "451 4.3.0 later"
    gateway = own.running.gateway
    large = "Subject: large\n\n" + "0123456789 the quick brown fox 0123456789\n" * 40_000
    queue_id = own.running.submit("tom@far.example", large, user=own.user)
    wait_for(lambda: gateway.queue()[0]["recipients"][0]["attempts"] == 1, 10)
    next(gateway.directory.rglob(f"large/{queue_id}")).unlink()
    gateway.command("queue", "flush", queue_id)
    mail = own.mailboxes.wait()[0]
    assert queue_id.encode() in mail.content
    assert len(fields(mail.content, "DKIM-Signature")) == 2
    assert dkim.verify(mail.content, dnsfunc=own.dns)


def test_without_a_key_it_goes_unsigned(module_world):
    """The host name is of another domain: nothing else may speak for it."""
    other = Signed(module_world)
    other.far.script.recipients["no@far.example"] = "550 5.1.1 who?"
    assert fields(notice_of(other, "no@far.example").content, "DKIM-Signature") == []
