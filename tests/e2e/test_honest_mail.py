"""Mail that is not as the standards want it, and honest all the same: what is taken of it, from whom,
and what becomes of it."""

import pytest

from lab.gateway import queue_id
from lab.process import wait_for
from world import BOB

PRINTER = "printer@kartapuce.com"


@pytest.fixture(scope="module")
def office(module_world):
    """A gateway with a zone of printers, one of hosts that are not mended, and a peer."""
    world = module_world
    sink, domain = world.peer()
    printers, strict, partner = world.net.fresh(), world.net.fresh(), world.net.fresh()
    running = world.gateway({
        "zones": [
            {"name": "printers", "networks": [f"{printers}/32"], "relay": True,
             "bare_lf": "normalize", "domain": "kartapuce.com"},
            {"name": "strict", "networks": [f"{strict}/32"], "relay": True, "repair": False},
            {"name": "partner", "networks": [f"{partner}/32"],
             "checks": [{"finding": "header_line_malformed", "action": "tag"}]},
        ]})
    running.sink, running.domain = sink, domain
    running.printers, running.strict, running.partner = printers, strict, partner
    return running


def send(office, source, data, recipient=None, sender=PRINTER):
    """The octets as they are, with the end of data behind them; the reply to it."""
    with office.dialogue(source=source) as client:
        client.ehlo("printer")
        client.expect(250, f"MAIL FROM:<{sender}>")
        client.expect(250, f"RCPT TO:<{recipient or 'tom@' + office.domain}>")
        client.expect(354, "DATA")
        client.raw(data + b"\r\n.\r\n")
        return client.reply()


def arrived(office, reply):
    """What the peer got of a message that was taken, and what explain says of it."""
    assert reply.code == 250, reply
    identifier = queue_id(reply.text)
    text = office.explained(identifier, "delivered")
    content = next(m.content for m in office.sink.mails if identifier.encode() in m.content)
    head, _, body = content.partition(b"\r\n\r\n")
    return head + b"\r\n", body, text


WELL = b"From: scan@kartapuce.com\r\nTo: tom@x.example\r\nSubject: scan\r\n"

REPAIRS = [
    ("no separator", WELL + b"Page 1 of 1\r\nfollows", b"\r\nSubject: scan\r\n",
     b"Page 1 of 1\r\nfollows\r\n", "header_end"),
    ("no header", b"Page 1 of 1\r\n\r\nmore", b"\r\nFrom: <printer@kartapuce.com>\r\n",
     b"Page 1 of 1\r\n\r\nmore\r\n", "from"),
    ("mbox line", b"From scan Mon Jan  1 10:00:00 2026\r\n" + WELL + b"\r\nx",
     b"\r\nSubject: scan\r\n", b"x\r\n", "mbox_line"),
    ("blank in a name", WELL + b"Reply To: bob@kartapuce.com\r\n\r\nx",
     b"\r\nReply-To: bob@kartapuce.com\r\n", b"x\r\n", "field_name"),
    ("Latin-1", b"Subject: Gr\xfc\xdfe\r\nFrom: scan@kartapuce.com\r\n\r\nx",
     b"\r\nSubject: =?windows-1252?B?R3L832U=?=\r\n", b"x\r\n", "8bit"),
    ("repeated", WELL + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
     b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\nx",
     b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n", b"x\r\n", "repeated"),
    ("no domain", b"From: scanner\r\nSubject: scan\r\n\r\nx",
     b"\r\nFrom: <scanner@kartapuce.com>\r\n", b"x\r\n", "domain"),
    ("no domain, cron", b"From: root (Cron Daemon)\r\nSubject: Cron <root@host> /bin/x\r\n\r\nx",
     b"\r\nFrom: <root@kartapuce.com> (Cron Daemon)\r\n", b"x\r\n", "domain"),
    ("no address", b"From: Scanner of floor 2\r\nSubject: scan\r\n\r\nx",
     b'\r\nFrom: "Scanner of floor 2" <printer@kartapuce.com>\r\n', b"x\r\n", "from"),
    ("nothing in From", b"From:\r\nSubject: scan\r\n\r\nx",
     b"\r\nFrom: <printer@kartapuce.com>\r\n", b"x\r\n", "from"),
    ("LF throughout", WELL.replace(b"\r\n", b"\n") + b"\nline\n..dot\nend",
     b"\r\nSubject: scan\r\n", b"line\r\n.dot\r\nend\r\n", "line_ends"),
]


@pytest.mark.parametrize("data,head_part,body,repair",
                         [row[1:] for row in REPAIRS], ids=[row[0] for row in REPAIRS])
def test_hosts_that_cannot_write_mail(office, data, head_part, body, repair):
    head, got, text = arrived(office, send(office, office.printers, data))
    assert head_part in b"\r\n" + head and got == body
    assert head.count(b"\nDate: ") == 1 and head.count(b"\nMessage-ID: ") == 1
    assert head.lower().count(b"\ncontent-type:") <= 1
    assert b"X-Postern-Findings: repaired\r\n" in head
    assert "was mended on the way through" in text and repair in text


@pytest.mark.parametrize("written,author", [
    (b"scanner", b'"scanner" <bob@kartapuce.com>'),
    (b"root (Cron Daemon)", b'"root" <bob@kartapuce.com> (Cron Daemon)'),
    (b"Floor 2 <scan>", b"Floor 2 <bob@kartapuce.com>"),
    (b"ceo", b'"ceo" <bob@kartapuce.com>'),
    (b"bob+scan", b"<bob+scan@kartapuce.com>"),
])
def test_a_user_whose_device_has_no_address(office, written, author):
    """What has logged in as Bob is from Bob, whatever name it gives itself."""
    with office.logged_in(BOB) as client:
        client.expect(250, f"MAIL FROM:<{BOB[0]}>")
        client.expect(250, f"RCPT TO:<tom@{office.domain}>")
        client.expect(354, "DATA")
        client.raw(b"From: " + written + b"\r\nSubject: scan\r\n\r\nx\r\n.\r\n")
        head, _, text = arrived(office, client.reply())
    assert b"\r\nFrom: " + author + b"\r\n" in b"\r\n" + head
    assert "was mended on the way through" in text and "domain" in text


@pytest.mark.parametrize("data", [row[1] for row in REPAIRS if row[4] != "domain"],
                         ids=[row[0] for row in REPAIRS if row[4] != "domain"])
def test_nobody_else_is_mended(office, data):
    """Not strangers, and not hosts of a zone where it is turned off."""
    reply = send(office, office.strict, data)
    assert 500 <= reply.code < 560, reply
    before = len(office.mailboxes.mails)
    reply = send(office, None, data, BOB[0], "someone@peers.example")
    if reply.code == 250:
        office.explained(queue_id(reply.text), "delivered")
        assert len(office.mailboxes.mails) == before + 1
        assert b"repaired" not in office.mailboxes.mails[-1].content


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\n.\r\r\n"])
def test_made_line_ends_make_no_end_of_data(office, ending):
    before = len(office.sink.mails)
    with office.dialogue(source=office.printers) as client:
        client.ehlo("printer")
        client.expect(250, f"MAIL FROM:<{PRINTER}>")
        client.expect(250, f"RCPT TO:<tom@{office.domain}>")
        client.expect(354, "DATA")
        client.raw(WELL + b"\r\nx" + ending + b"MAIL FROM:<admin@kartapuce.com>\r\nRCPT TO:<tom@" +
                   office.domain.encode() + b">\r\nDATA\r\nSubject: smuggled\r\n\r\ny\r\n.\r\n")
        assert client.reply().code == 521
        assert client.ended() and client.buffer == b""
    office.empty_queue()
    assert len(office.sink.mails) == before


def test_actions_of_a_zone(office):
    """The same message, from a host of the zone and from anybody."""
    before = len(office.mailboxes.mails)
    message = WELL + b"Page 1\r\n\r\nx"
    assert send(office, None, message, BOB[0]).code == 554
    reply = send(office, office.partner, message, BOB[0])
    assert reply.code == 250, reply
    mail = office.mailboxes.wait(before + 1)[-1]
    assert b"header_line_malformed" in mail.content and b"\r\nPage 1\r\n\r\nx" in mail.content


@pytest.mark.parametrize("author", ["a@peers.example <a@peers.example>", "Bob, the man <a@peers.example>",
                                    "Bob: x <a@peers.example>", "a@peers.example;", "<a@peers.example",
                                    "Bob [x] <a@peers.example>", ".a..b.@peers.example",
                                    "team: a@peers.example;"])
def test_author_of_one_domain(office, author):
    before = len(office.mailboxes.mails)
    reply = send(office, None, f"From: {author}\r\nSubject: x\r\n\r\nx".encode(), BOB[0],
                 "someone@peers.example")
    assert reply.code == 250, reply
    mail = office.mailboxes.wait(before + 1)[-1]
    assert f"\r\nFrom: {author}\r\n".encode() in mail.content
    assert b"header.from=peers.example" in mail.content


@pytest.mark.parametrize("author", ["a@peers.example <a@other.example>", "b@other.example, x y <a@peers.example>",
                                    "a@peers.example; b@other.example"])
def test_author_of_two_domains(office, author):
    reply = send(office, None, f"From: {author}\r\nSubject: x\r\n\r\nx".encode(), BOB[0])
    assert reply.code == 550, reply


def test_dmarc_that_is_not_enforced(world):
    """Nothing is refused for the sake of a policy that is not followed."""
    running = world.gateway({"authentication": {"dmarc": {"enforce": False}}})
    for author in ("a@peers.example <a@other.example>", "a@peers.example, b@other.example",
                   "Bob", "<@x.example:a@peers.example>"):
        with running.dialogue() as client:
            client.ehlo()
            reply = client.mail("a@peers.example", BOB[0], f"From: {author}\nSubject: x\n\nx\n")
            assert reply.code == 250, (author, reply)
    assert all(b"X-Postern-Findings: " in m.content for m in running.mailboxes.wait(4))


def test_line_of_blanks_above_the_author(office):
    before = len(office.mailboxes.mails)
    reply = send(office, None, b"Subject: x\r\n \t\r\n y\r\nFrom : a@peers.example\r\n\r\nx", BOB[0],
                 "someone@peers.example")
    assert reply.code == 250, reply
    content = office.mailboxes.wait(before + 1)[-1].content
    assert b"\r\nSubject: x\r\n y\r\nFrom: a@peers.example\r\n\r\nx" in content
    assert b"header_syntax_obsolete" in content


@pytest.mark.parametrize("written,quoted", [
    (".a..b.@{}", '".a..b."@{}'), ("a.@{}", '"a."@{}'), ("a..b@{}", '"a..b"@{}'),
    ('".a"@{}', '".a"@{}'), ("a.b@{}", "a.b@{}"), ("a_b@x_y.{}", None)])
def test_dots_and_underscores_in_the_envelope(office, written, quoted):
    recipient = written.format(office.domain) if quoted else f"tom@{office.domain}"
    sender = written.format("docomo.example")
    before = len(office.sink.mails)
    reply = send(office, office.printers, WELL + b"\r\nx", recipient, sender)
    assert reply.code == 250, reply
    mail = office.sink.wait(before + 1)[-1]
    assert mail.reverse_path == (quoted or written).format("docomo.example")
    assert mail.recipients == [quoted.format(office.domain) if quoted else recipient]
    # As people write it, it is found again.
    identifier = queue_id(reply.text)
    wait_for(lambda: identifier in office.gateway.command("trace", "--sender", sender).stdout,
             10, "the trace")


def test_recipients_with_dots_are_known(world):
    running = world.gateway({"domains": [
        {"name": "kartapuce.com", "delivery": "mx", "recipients": "list",
         "list": [".a..b.@kartapuce.com", "bob@kartapuce.com"],
         "aliases": [{"name": "c.", "to": ["bob@kartapuce.com"]}]}]}, users=())
    with running.dialogue() as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@peers.example>")
        client.expect(250, "RCPT TO:<.a..b.@kartapuce.com>")
        client.expect(250, 'RCPT TO:<".a..b."@kartapuce.com>')
        client.expect(250, "RCPT TO:<c.@kartapuce.com>")
        client.expect(550, "RCPT TO:<.a..b@kartapuce.com>")
