/* The wording: whole stories, each event's sentence, hostile values. */
#include "trace/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "trace/explain_text.h"
#include "trace/finding.h"

static int64_t now_ms;

static int64_t
test_clock(void)
{
    return now_ms;
}

static struct ip_address
ip(const char *text)
{
    struct ip_address address;
    assert_int_equal(ip_parse(str_from_cstr(text), &address), STATUS_OK);
    return address;
}

/* Two parts, as they are in the ledger: the session's and the message's. */
struct story {
    struct trace session;
    struct trace message;
    struct timeline timeline;
};

static void
story_begin(struct story *story)
{
    now_ms = 1795456094123; /* 2026-11-23T17:48:14.123Z */
    trace_init(&story->session, test_clock);
    trace_init(&story->message, test_clock);
    TRACE(&story->session, connection_opened, .client = ip("192.0.2.7"), .client_port = 51234,
          .server = ip("192.0.2.25"), .server_port = 25, .listener = STR("mx"));
    now_ms += 202;
    TRACE(&story->session, greeted, .code = 220, .text = STR("mx.kartapuce.com ESMTP"),
          .delay_ms = 202);
    TRACE(&story->session, helo, .verb = STR("EHLO"), .name = STR("mail.provider.example"),
          .form = STR("domain"));
    now_ms += 10;
    TRACE(&story->session, tls_started, .version = STR("TLSv1.3"),
          .cipher = STR("TLS_AES_256_GCM_SHA384"), .bits = 256, .sni = STR("mx.kartapuce.com"));
}

static char *
story_end(struct story *story, const char *id, unsigned width)
{
    struct buf out;
    struct timeline_part parts[] = {
        {STR("0000000000SESSIO"), trace_events(&story->session)},
        {STR("0000000000MESSAG"), trace_events(&story->message)},
    };
    size_t count = trace_is_empty(&story->message) ? 1 : 2;
    buf_init(&out, 1u << 20);
    assert_int_equal(timeline_init(&story->timeline, parts, count), STATUS_OK);
    assert_int_equal(explain_text(&story->timeline, str_from_cstr(id), width, &out), STATUS_OK);
    char *text = strndup(buf_str(&out).p, buf_length(&out));
    buf_free(&out);
    timeline_fini(&story->timeline);
    trace_free(&story->session);
    trace_free(&story->message);
    return text;
}

static void
record_mail(struct story *story)
{
    TRACE(&story->message, mail_accepted, .sender = STR("tom@provider.example"),
          .client = ip("192.0.2.7"), .helo = STR("mail.provider.example"), .size = 4321,
          .tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384"));
}

/* One message for an alias of two people, and for somebody who does not exist. */
static void
record_delivery(struct story *story)
{
    struct str both[] = {STR("bob@kartapuce.com"), STR("jack@kartapuce.com")};
    TRACE(&story->message, recipient_accepted, .address = STR("sales@kartapuce.com"),
          .why = STR("alias"), .expanded = {both, 2});
    TRACE(&story->message, recipient_refused, .address = STR("nobody@kartapuce.com"), .code = 550,
          .enhanced = STR("5.1.1"), .text = STR("No such recipient here."), .why = STR("unknown"));
    now_ms += 100;
    TRACE(&story->message, content_received, .size = 4321, .lines = 1);
    TRACE(&story->message, message_header, .from = STR("Tom <tom@provider.example>"),
          .to = STR("sales@kartapuce.com"), .subject = STR("Two pianos"),
          .message_id = STR("<1@provider.example>"));
    TRACE(&story->message, decision, .action = STR("accept"));
    TRACE(&story->message, queued, .recipients = 2, .size = 4500);
    TRACE(&story->message, message_answered, .code = 250, .enhanced = STR("2.0.0"),
          .text = STR("Ok: queued as 0000000000MESSAG"));
    now_ms += 50;
    TRACE(&story->session, connection_closed, .reason = STR("quit"), .state = STR("closing"),
          .commands = 6, .messages = 1, .duration_ms = 362);
    TRACE(&story->message, delivered, .recipient = both[0], .code = 250, .enhanced = STR("2.0.0"),
          .text = STR("Saved"), .remote = STR("127.0.10.2"));
    now_ms += 24LL * 3600 * 1000;
    TRACE(&story->message, delivered, .recipient = both[1], .code = 250, .text = STR("Saved"),
          .remote = STR("127.0.10.2"), .tls = STR("TLSv1.3"));
    TRACE(&story->message, finished, .delivered = 2);
}

/* Some are here, some elsewhere: the one story says where the other goes on. */
static void
a_message_with_a_copy(void **state)
{
    struct str both[] = {STR("bob@kartapuce.com"), STR("x@far.example")};
    struct story story;
    (void)state;
    story_begin(&story);
    record_mail(&story);
    TRACE(&story.message, recipient_accepted, .address = STR("sales@kartapuce.com"),
          .why = STR("alias"), .expanded = {both, 2});
    TRACE(&story.message, forwarded, .recipients = {&both[1], 1},
          .sender = STR("SRS0=x@us.example"), .id = STR("0000000000COPIED"));
    TRACE(&story.message, queued, .recipients = 1);
    TRACE(&story.message, delivered, .recipient = both[0], .code = 250);
    char *got = story_end(&story, "0000000000MESSAG", 0);
    assert_non_null(
        strstr(got, "  Outcome     Of 2 recipients, 1 has it, 1 gets a copy of its own.\n"));
    assert_non_null(strstr(got, "  x@far.example: forwarded\n"));
    assert_non_null(strstr(got, "It goes on to x@far.example, with the sender <SRS0=x@us.example>, "
                                "as a copy of its own: 0000000000COPIED."));
    free(got);

    story_begin(&story);
    TRACE(&story.message, copy_of, .id = STR("0000000000ORIGIN"),
          .sender = STR("SRS0=x@us.example"), .recipients = {&both[1], 1},
          .client = ip("192.0.2.9"));
    TRACE(&story.message, queued, .recipients = 1);
    got = story_end(&story, "0000000000MESSAG", 0);
    assert_non_null(strstr(got, "  Sender      SRS0=x@us.example\n"));
    assert_non_null(strstr(got, "  Outcome     In the queue, not delivered yet.\n"));
    assert_non_null(strstr(got, "This is the copy of message 0000000000ORIGIN that goes on to "
                                "x@far.example, with the sender <SRS0=x@us.example>."));
    free(got);
}

/* What the client did after the answer to this message is not its story; how it went away is. */
static void
no_other_message_of_the_session(void **state)
{
    (void)state;
    struct story story;
    story_begin(&story);
    record_mail(&story);
    TRACE(&story.session, command_refused, .verb = STR("FIRST"), .code = 500);
    TRACE(&story.message, message_answered, .code = 250, .text = STR("Ok"));
    now_ms++;
    TRACE(&story.session, command_refused, .verb = STR("SECOND"), .code = 500);
    TRACE(&story.session, connection_closed, .reason = STR("quit"));
    now_ms++;
    TRACE(&story.message, delivered, .recipient = STR("bob@kartapuce.com"), .code = 250);
    char *got = story_end(&story, "0000000000MESSAG", 80);
    assert_non_null(strstr(got, "FIRST"));
    assert_null(strstr(got, "SECOND"));
    assert_non_null(strstr(got, "said goodbye"));
    free(got);
}

static void
a_delivered_message(void **state)
{
    (void)state;
    struct story story;
    story_begin(&story);
    record_mail(&story);
    record_delivery(&story);
    char *got = story_end(&story, "0000000000MESSAG", 80);
    assert_string_equal(
        got, "Message 0000000000MESSAG\n"
             "\n"
             "  Outcome     Of 3 recipients, 2 have it, 1 was refused.\n"
             "  Last try    2026-11-24 17:48:14: Delivered to <jack@kartapuce.com>: 127.0.10.2\n"
             "              answered 250 Saved; encrypted with TLSv1.3.\n"
             "  From        Tom <tom@provider.example>\n"
             "  Sender      tom@provider.example\n"
             "  Subject     Two pianos\n"
             "  Message-ID  <1@provider.example>\n"
             "  Came from   192.0.2.7, calling itself mail.provider.example, encrypted with\n"
             "              TLSv1.3 TLS_AES_256_GCM_SHA384\n"
             "  When        2026-11-23 17:48:14 UTC\n"
             "\n"
             "Recipients\n"
             "\n"
             "  bob@kartapuce.com: delivered\n"
             "      (for sales@kartapuce.com) 2026-11-23 17:48:14: Delivered to\n"
             "      <bob@kartapuce.com>: 127.0.10.2 answered 250 2.0.0 Saved.\n"
             "  jack@kartapuce.com: delivered\n"
             "      (for sales@kartapuce.com) 2026-11-24 17:48:14: Delivered to\n"
             "      <jack@kartapuce.com>: 127.0.10.2 answered 250 Saved; encrypted with\n"
             "      TLSv1.3.\n"
             "  sales@kartapuce.com: alias\n"
             "      2026-11-23 17:48:14: The recipient <sales@kartapuce.com> was accepted: it\n"
             "      is an alias. It goes to bob@kartapuce.com and jack@kartapuce.com.\n"
             "  nobody@kartapuce.com: refused\n"
             "      2026-11-23 17:48:14: The recipient <nobody@kartapuce.com> was refused\n"
             "      because there is no such mailbox: 550 5.1.1 No such recipient here.\n"
             "\n"
             "What happened\n"
             "\n"
             "  2026-11-23 (UTC)\n"
             "\n"
             "  17:48:14.123  A client at 192.0.2.7, port 51234, connected to the port for\n"
             "                mail from other servers (192.0.2.25, port 25).\n"
             "  17:48:14.325  Postern greeted it with 220 mx.kartapuce.com ESMTP, 202 ms after\n"
             "                the connection was made.\n"
             "  17:48:14.325  It introduced itself as mail.provider.example with EHLO.\n"
             "  17:48:14.335  The connection was encrypted: TLSv1.3 with\n"
             "                TLS_AES_256_GCM_SHA384, 256 bits, for the name mx.kartapuce.com.\n"
             "  17:48:14.335  The client began a message from <tom@provider.example>,\n"
             "                announced as 4.3 KB.\n"
             "  17:48:14.335  The recipient <sales@kartapuce.com> was accepted: it is an\n"
             "                alias. It goes to bob@kartapuce.com and jack@kartapuce.com.\n"
             "  17:48:14.335  The recipient <nobody@kartapuce.com> was refused because there\n"
             "                is no such mailbox: 550 5.1.1 No such recipient here.\n"
             "                [RFC 5321 3.3]\n"
             "  17:48:14.435  The message has arrived: 4.3 KB in 1 line.\n"
             "  17:48:14.435  It says of itself: from Tom <tom@provider.example>, to\n"
             "                sales@kartapuce.com, subject \"Two pianos\", Message-ID\n"
             "                <1@provider.example>.\n"
             "  17:48:14.435  The decision: take it.\n"
             "  17:48:14.435  The message is safely in the queue for 2 recipients, 4.5 KB.\n"
             "  17:48:14.435  The client was told: 250 2.0.0 Ok: queued as 0000000000MESSAG.\n"
             "  17:48:14.485  The connection ended after 362 ms: the client said goodbye; 6\n"
             "                commands, 1 message accepted.\n"
             "  17:48:14.485  Delivered to <bob@kartapuce.com>: 127.0.10.2 answered 250 2.0.0\n"
             "                Saved.\n"
             "\n"
             "  2026-11-24 (UTC)\n"
             "\n"
             "  17:48:14.485  Delivered to <jack@kartapuce.com>: 127.0.10.2 answered 250\n"
             "                Saved; encrypted with TLSv1.3.\n"
             "  17:48:14.485  Nothing is left to do: 2 delivered.\n");
    free(got);
}

/* What comes first in a refused message's story is why. */
static void
refused_messages(void **state)
{
    (void)state;
    struct story story;
    story_begin(&story);
    record_mail(&story);
    TRACE(&story.message, recipient_accepted, .address = STR("bob@kartapuce.com"));
    TRACE(&story.message, content_refused, .code = 521, .enhanced = STR("5.5.2"),
          .text = STR("Bare LF"), .why = STR("bare_lf"));
    char *got = story_end(&story, "0000000000MESSAG", 0);
    assert_non_null(strstr(got, "  Outcome     Refused.\n"));
    assert_non_null(strstr(got, "  bob@kartapuce.com: refused\n      2026-11-23 17:48:14: The "
                                "message was refused because bare_lf: 521 5.5.2 Bare LF.\n"));
    assert_non_null(strstr(got, "521 5.5.2 Bare LF. [RFC 5321 4.2.5]\n"));
    free(got);

    story_begin(&story);
    TRACE(&story.message, mail_refused, .sender = STR(""), .code = 550, .text = STR("no"));
    got = story_end(&story, "0000000000MESSAG", 0);
    assert_non_null(strstr(got, "  Sender      <> (the null sender)\n"));
    assert_non_null(strstr(got, "  Outcome     Not taken. The sender <> was refused: 550 no.\n"));
    free(got);
}

static void
sessions(void **state)
{
    (void)state;
    struct story story;
    story_begin(&story);
    TRACE(&story.session, auth_failed, .mechanism = STR("PLAIN"), .user = STR("root"),
          .reason = STR("failed"), .code = 535);
    char *got = story_end(&story, "0000000000SESSIO", 0);
    assert_true(strncmp(got, "Session 0000000000SESSIO\n", 25) == 0);
    assert_non_null(strstr(got, "  Outcome     A connection that brought no mail. It tried to log "
                                "in as root (PLAIN) and failed: user and password do not belong "
                                "together.\n"));
    free(got);

    story_begin(&story);
    record_mail(&story);
    TRACE(&story.message, recipient_accepted, .address = STR("bob@kartapuce.com"));
    TRACE(&story.message, queued, .recipients = 1);
    got = story_end(&story, "0000000000SESSIO", 0);
    assert_non_null(strstr(got, "Messages (postern explain ID tells more)\n\n"
                                "  0000000000MESSAG  from <tom@provider.example>. In the queue, "
                                "not delivered yet.\n"));
    assert_null(strstr(got, "safely in the queue"));
    free(got);
}

/* The story of one message has nothing of another one of the same session. */
static void
other_messages_are_left_out(void **state)
{
    (void)state;
    struct story story;
    struct trace other;
    struct buf out;
    story_begin(&story);
    trace_init(&other, test_clock);
    TRACE(&other, mail_accepted, .sender = STR("other@provider.example"));
    record_mail(&story);
    now_ms += 5000;
    TRACE(&story.session, connection_closed, .reason = STR("quit"));
    struct timeline_part parts[] = {
        {STR("0000000000SESSIO"), trace_events(&story.session)},
        {STR("0000000000OTHERM"), trace_events(&other)},
        {STR("0000000000MESSAG"), trace_events(&story.message)},
    };
    buf_init(&out, 1u << 20);
    assert_int_equal(timeline_init(&story.timeline, parts, 3), STATUS_OK);
    assert_int_equal(explain_text(&story.timeline, STR("0000000000MESSAG"), 0, &out), STATUS_OK);
    assert_true(str_find(buf_str(&out), STR("tom@provider.example")) != STR_NPOS);
    assert_true(str_find(buf_str(&out), STR("other@provider.example")) == STR_NPOS);
    assert_true(str_find(buf_str(&out), STR("The connection ended")) == STR_NPOS);
    buf_free(&out);
    timeline_fini(&story.timeline);
    trace_free(&other);
    trace_free(&story.session);
    trace_free(&story.message);
}

/* All in one millisecond, recorded by edge, spool and relay; the parts come in any order. */
static void
cause_stands_before_effect(void **state)
{
    (void)state;
    static const uint16_t want[] = {TRACE_CONTENT_RECEIVED, TRACE_QUEUED,
                                    TRACE_MESSAGE_ANSWERED, TRACE_CONNECTION_CLOSED,
                                    TRACE_ATTEMPT_STARTED,  TRACE_FINISHED};
    struct trace session;
    struct trace edge;
    struct trace spool;
    struct trace relay;
    trace_init(&session, test_clock);
    trace_init(&edge, test_clock);
    trace_init(&spool, test_clock);
    trace_init(&relay, test_clock);
    TRACE(&session, connection_closed, .reason = STR("quit"));
    TRACE(&edge, content_received, .size = 1);
    TRACE(&edge, message_answered, .code = 250);
    TRACE(&spool, queued, .recipients = 1);
    TRACE(&spool, finished, .delivered = 1);
    TRACE(&relay, attempt_started, .host = STR("mx.example"));
    struct timeline_part parts[] = {
        {STR("0000000000SESSIO"), trace_events(&session)},
        {STR("0000000000MESSAG"), trace_events(&relay)},
        {STR("0000000000MESSAG"), trace_events(&edge)},
        {STR("0000000000MESSAG"), trace_events(&spool)},
    };
    struct timeline timeline;
    assert_int_equal(timeline_init(&timeline, parts, 4), STATUS_OK);
    assert_int_equal(timeline.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < timeline.count; i++) {
        assert_int_equal(timeline.items[i].event.number, want[i]);
    }
    timeline_fini(&timeline);
    trace_free(&session);
    trace_free(&edge);
    trace_free(&spool);
    trace_free(&relay);
}

/* ---- single events */

/* Reads back the last event of a trace and frees it. */
static char *
sentence(struct trace *trace)
{
    struct trace_reader reader;
    struct trace_event event;
    struct buf out;
    buf_init(&out, 65536);
    assert_int_equal(trace_reader_init(&reader, trace_events(trace)), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        buf_clear(&out);
        assert_int_equal(explain_event(&event, &out), STATUS_OK);
    }
    char *text = strndup(buf_str(&out).p, buf_length(&out));
    buf_free(&out);
    trace_free(trace);
    return text;
}

#define CHECK(want, event, ...)                                                                    \
    do {                                                                                           \
        struct trace trace_;                                                                       \
        trace_init(&trace_, test_clock);                                                           \
        TRACE(&trace_, event, __VA_ARGS__);                                                        \
        char *got_ = sentence(&trace_);                                                            \
        assert_string_equal(got_, want);                                                           \
        free(got_);                                                                                \
    } while (0)

static void
sentences(void **state)
{
    (void)state;
    struct str notify[] = {STR("failure"), STR("delay"), STR("success")};
    const struct str dns_steps[] = {STR("MX x.y: secure"), STR("address mx.x.y: secure")};
    now_ms = 1795456094123;
    CHECK("The client spoke before it was greeted, as programs do that do not listen (6 octets)."
          " It was turned away.",
          early_talk, .octets = 6, .refused = 1);
    CHECK("The recipient <a@b.c> was accepted. The sender wants to be told of failure, delays and"
          " success.",
          recipient_accepted, .address = STR("a@b.c"), .notify = {notify, 3});
    CHECK("The recipient <a@b.c> was refused because the server behind does not take it: 550 no.",
          recipient_refused, .address = STR("a@b.c"), .code = 550, .text = STR("no."),
          .why = STR("callout"));
    CHECK("The client began a message from the null sender, as notices have it, with SMTPUTF8.",
          mail_accepted, .smtputf8 = 1);
    CHECK("The decision: refuse it, because the message contains a NUL octet: 550 5.6.0 No NUL.",
          decision, .action = STR("reject"), .rule = STR("line_nul"), .code = 550,
          .enhanced = STR("5.6.0"), .text = STR("No NUL"));
    CHECK("Over a connection that was open already, mx.x.y (192.0.2.1, port 25) by SMTP for x.y,"
          " attempt 3.",
          attempt_started, .destination = STR("x.y"), .protocol = STR("smtp"),
          .host = STR("mx.x.y"), .address = ip("192.0.2.1"), .port = 25, .attempt = 3, .reused = 1);
    CHECK("The connection to mx.x.y is in the clear; TLS there: opportunistic.", attempt_tls,
          .host = STR("mx.x.y"), .policy = STR("opportunistic"));
    CHECK("The connection to mx.x.y is encrypted: TLSv1.3 with TLS_AES_256_GCM_SHA384; TLS there: "
          "dane, certificate verified; authentication was demanded (by TLSA records), because the "
          "host has TLSA records (DANE); the record 3 1 1 8d02 matches.",
          attempt_tls, .host = STR("mx.x.y"), .version = STR("TLSv1.3"),
          .cipher = STR("TLS_AES_256_GCM_SHA384"), .policy = STR("dane"), .verified = 1,
          .wanted = STR("authentication"), .by = STR("tlsa"), .why = STR("dane"),
          .result = STR("success"), .tlsa = STR("3 1 1 8d02"));
    CHECK("No mail went to mx.x.y (192.0.2.1): no TLSA record matches the certificate, or none is "
          "valid; authentication was demanded (by TLSA records); the host has TLSA records (DANE). "
          "Seen: MX x.y: secure and address mx.x.y: secure.",
          attempt_insecure, .host = STR("mx.x.y"), .address = ip("192.0.2.1"),
          .wanted = STR("authentication"), .by = STR("tlsa"), .why = STR("dane"),
          .result = STR("tlsa-invalid"), .evidence = {dns_steps, 2});
    CHECK("x.y could not be used when its name was looked up: NXDOMAIN.", attempt_failed,
          .destination = STR("x.y"), .stage = STR("resolve"), .enhanced = STR("4.4.4"),
          .text = STR("NXDOMAIN"));
    CHECK("Not delivered to <a@b.c> yet: mx.x.y answered 451 4.2.1 Busy. The next attempt is at"
          " 2026-11-23 17:49:14, after 1 attempt so far.",
          deferred, .recipient = STR("a@b.c"), .code = 451, .enhanced = STR("4.2.1"),
          .text = STR("Busy"), .remote = STR("mx.x.y"), .next_attempt = now_ms + 60000,
          .attempts = 1);
    CHECK("Delivery to <a@b.c> was given up after 5 d and 41 attempts.", expired,
          .recipient = STR("a@b.c"), .age_ms = 5LL * 24 * 3600 * 1000, .attempts = 41);
    CHECK("Delivery to <a@b.c> was given up after 5 d without an attempt: mx.b.c answered 421 "
          "4.7.0 no.",
          expired, .recipient = STR("a@b.c"), .age_ms = 5LL * 24 * 3600 * 1000, .code = 421,
          .enhanced = STR("4.7.0"), .text = STR("no"), .remote = STR("mx.b.c"));
    CHECK("A notice of the delay went to <tom@x.y>; it is message 0123456789ABCDEF.", notice_sent,
          .kind = STR("delay"), .id = STR("0123456789ABCDEF"), .to = STR("tom@x.y"));
    CHECK("No notice of failure was sent about <a@b.c> because notices of notices are not sent.",
          notice_suppressed, .kind = STR("failure"), .recipient = STR("a@b.c"),
          .why = STR("null_sender"));
    CHECK("More happened than is kept: 1 event left out.", truncated, .dropped = 1);
    CHECK("Nothing is left to do: none delivered, 2 failed.", finished, .failed = 2);
}

static void
hostile_values_are_harmless(void **state)
{
    (void)state;
    CHECK("It introduced itself as a\\x1b[2J\\x07\\xff\\xe2\\x80\\xae / {verb}[x] with EHLO.", helo,
          .verb = STR("EHLO"), .name = STR("a\x1b[2J\x07\xff\xe2\x80\xae\n{verb}[x]"));
    CHECK("It introduced itself as \\xe2\\x80\\x8bgr\xc3\xbcn\\xef\\xbb\\xbf with EHLO.", helo,
          .verb = STR("EHLO"), .name = STR("\xe2\x80\x8bgr\xc3\xbcn\xef\xbb\xbf"));
}

/* Every event of the table has its words, and they say something when all fields are there. */
static void
all_events_have_words(void **state)
{
    (void)state;
    size_t count;
    const struct trace_event_row *rows = trace_event_rows(&count);
    const struct str text = STR_INIT("x");
    const struct trace_texts texts = {&text, 1};
    for (size_t i = 0; i < count; i++) {
        char *fields = calloc(1, rows[i].size + 1);
        char *p = fields;
        for (size_t f = 0; f < rows[i].field_count; f++) {
            struct ip_address address = ip("192.0.2.1");
            int64_t number = 2;
            enum trace_kind kind = rows[i].fields[f].kind;
            size_t n = kind == TRACE_KIND_str || kind == TRACE_KIND_texts || kind == TRACE_KIND_ip
                           ? 16
                           : 8;
            memcpy(p,
                   kind == TRACE_KIND_str     ? (const void *)&text
                   : kind == TRACE_KIND_texts ? (const void *)&texts
                   : kind == TRACE_KIND_ip    ? (const void *)&address
                                              : (const void *)&number,
                   n);
            p += n;
        }
        struct trace trace;
        trace_init(&trace, test_clock);
        trace_add(&trace, (enum trace_event_id)rows[i].number, fields);
        char *got = sentence(&trace);
        if (strlen(got) < 10 || strstr(got, "cannot tell") != NULL || strchr(got, '[') != NULL ||
            strchr(got, '{') != NULL || strstr(got, "  ") != NULL) {
            fail_msg("%s: %s", rows[i].name, got);
        }
        free(got);
        free(fields);
    }
}

/* The section that decided differs with the reason. */
static void
refusals_name_their_section(void **state)
{
    static const struct {
        struct str why;
        const char *section;
    } cases[] = {
        {STR_INIT("relay_denied"), "RFC 5321 3.6.2"},
        {STR_INIT("unknown"), "RFC 5321 3.3"},
        {STR_INIT("limit"), "RFC 5321 7.8"},
        {STR_INIT("of_a_later_version"), "RFC 5321 4.1.1.3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trace trace;
        struct trace_reader reader;
        struct trace_event event;
        trace_init(&trace, test_clock);
        TRACE(&trace, recipient_refused, .address = STR("a@b.c"), .code = 550, .why = cases[i].why);
        assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
        assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
        assert_string_equal(explain_section(&event), cases[i].section);
        trace_free(&trace);
    }
}

static void
findings_are_told(void **state)
{
    (void)state;
    struct finding finding = {
        .id = FINDING_HELO_NOT_QUALIFIED, .evidence_count = 1, .evidence = {{"helo", STR("vm")}}};
    struct trace trace;
    struct trace_reader reader;
    struct trace_event event;
    trace_init(&trace, test_clock);
    finding_record(&trace, &finding);
    assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
    assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
    assert_string_equal(explain_section(&event), "RFC 5321 4.1.1.1");
    char *got = sentence(&trace);
    assert_string_equal(got, "Found: the client introduced itself with a name that is not fully"
                             " qualified (helo: vm); weight 5.");
    free(got);
    trace_init(&trace, test_clock);
    TRACE(&trace, finding, .number = 65535, .verdict = 77, .name = STR("of_a_later_version"));
    got = sentence(&trace);
    assert_string_equal(got, "Found: of_a_later_version.");
    free(got);
}

static const struct {
    int64_t ms;
    const char *want;
} durations[] = {{0, "0 ms"},       {999, "999 ms"},      {1000, "1.0 s"},  {59999, "60.0 s"},
                 {60000, "1 min"},  {3599999, "59 min"},  {3600000, "1 h"}, {7500000, "2 h 5 min"},
                 {86400000, "1 d"}, {90000000, "1 d 1 h"}};
static const struct {
    int64_t octets;
    const char *want;
} sizes[] = {{0, "0 octets"},       {1, "1 octet"},        {999, "999 octets"},
             {1000, "1.0 KB"},      {999949, "999.9 KB"},  {999950, "1.0 MB"},
             {52428800, "52.4 MB"}, {2147483648, "2.1 GB"}};

static void
amounts(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        buf_clear(&out);
        assert_int_equal(text_append_duration(&out, durations[i].ms), STATUS_OK);
        assert_true(str_eq(buf_str(&out), str_from_cstr(durations[i].want)));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        buf_clear(&out);
        assert_int_equal(text_append_size(&out, sizes[i].octets), STATUS_OK);
        assert_true(str_eq(buf_str(&out), str_from_cstr(sizes[i].want)));
    }
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivered_message),
        cmocka_unit_test(a_message_with_a_copy),
        cmocka_unit_test(no_other_message_of_the_session),
        cmocka_unit_test(refused_messages),
        cmocka_unit_test(sessions),
        cmocka_unit_test(other_messages_are_left_out),
        cmocka_unit_test(cause_stands_before_effect),
        cmocka_unit_test(sentences),
        cmocka_unit_test(hostile_values_are_harmless),
        cmocka_unit_test(all_events_have_words),
        cmocka_unit_test(refusals_name_their_section),
        cmocka_unit_test(findings_are_told),
        cmocka_unit_test(amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
