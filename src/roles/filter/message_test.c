/* Messages through the filter, between an edge, a spool and a ledger that this test plays. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "roles/filter/test_world.h"
#include "smtp/envelope.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define DATE "Date: Mon, 23 Nov 2026 17:48:14 +0000\r\n"
#define FROM "From: Jack <jack@mail.example>\r\n"
#define ID   "Message-ID: <a@b>\r\n"
#define GOOD DATE FROM ID
#define RECEIVED                                                                                   \
    "Received: from mail.example ([192.0.2.9])\r\n"                                                \
    "\tby mx.kartapuce.example (Postern) with ESMTP id 01ARZ3NDEKTSV4RR\r\n"                       \
    "\tfor <bob@kartapuce.example>;\r\n"                                                           \
    "\tMon, 23 Nov 2026 17:48:14 +0000\r\n"

static void
test_ordinary_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR(GOOD "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody\r\n"));
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED GOOD "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n|body\r\n");
    assert_int_equal(w->code, 250);
    assert_string_equal(w->reply, "2.0.0 Ok: queued as 01ARZ3NDEKTSV4RR");
    assert_string_equal(w->hold, "");
    world_expect_trace(w, "event=message_header from=\"Jack <jack@mail.example>\" "
                          "subject=\"caf\xc3\xa9\"");
    world_expect_trace(w, "event=decision action=accept");
    world_expect_trace(w,
                       "event=header_edited action=added name=Received value=\"from mail.example "
                       "([192.0.2.9]) by ");
    world_expect_trace(w, "event=queued recipients=1");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_ACCEPTED]), 1);
}

static void
test_refused_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(DATE ID "\r\nbody"));
    world_submit(w, &fields);
    assert_int_equal(w->commits, 0);
    assert_int_equal(w->code, 554);
    assert_string_equal(w->reply, "5.6.0 The From field is missing (01ARZ3NDEKTSV4RR)");
    world_expect_trace(w, "event=finding");
    world_expect_trace(w, "name=from_missing");
    world_expect_trace(w, "event=decision action=reject rule=from_missing code=554 enhanced=5.6.0");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_REJECTED]), 1);
}

static void
test_header_over_the_limit(void **state)
{
    struct world *w = *state;
    char *content = malloc(300000);
    memset(content, 'x', 300000);
    struct msg_submit fields = world_ordinary(STR(""));
    int fd;
    assert_int_equal(ipc_memfd_create("test", str_make(content, 300000), &fd), STATUS_OK);
    assert_int_equal(ipc_memfd_seal(fd), STATUS_OK);
    fields.content = ipc_body_fd(fd, 300000);
    world_submit(w, &fields);
    close(fd);
    free(content);
    assert_int_equal(w->code, 552);
    assert_int_equal(w->commits, 0);
}

static void
test_what_only_we_may_write_goes(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR("Return-Path: <x@y>\r\n" GOOD
                                                  "Bcc: y@z\r\nx-postern-findings:\r\n none\r\n"
                                                  "return-path: <z@y>\r\n\r\nbody"));
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED GOOD "Bcc: y@z\r\n\r\n|body");
    world_expect_trace(w, "event=header_edited action=removed name=Return-Path");
}

static void
test_tagged_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(FROM ID "\r\nbody"));
    fields.sender = STR("");
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED "X-Postern-Findings: date_missing\r\n" FROM ID "\r\n|body");
}

static void
test_long_list_of_tags_is_folded(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR("From: c@d\r\nTo: a@b\r\nTo: a@b\r\nX: \xe9\x07\r\n" ID ID "\r\nbody"));
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED
                        "X-Postern-Findings: header_control, header_8bit, header_not_utf8, "
                        "date_missing, message_id_repeated,\r\n field_repeated\r\n"
                        "From: c@d\r\nTo: a@b\r\nTo: a@b\r\nX: \xe9\x07\r\n" ID ID "\r\n|body");
}

static void
test_submission_is_completed(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(
        STR("From: bob@kartapuce.example\r\nbcc: secret@x\r\n\tmore@y\r\nSubject: x\r\n"
            "Resent-Bcc: z@y\r\n\r\nbody"));
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    fields.user = STR("bob@kartapuce.example");
    fields.sender = fields.user;
    fields.helo = STR("laptop");
    fields.tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384");
    world_submit(w, &fields);
    world_expect_commit(w,
                        "Received: from client.invalid (address withheld)\r\n"
                        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
                        "\tby mx.kartapuce.example (Postern) with ESMTPSA id 01ARZ3NDEKTSV4RR\r\n"
                        "\tfor <bob@kartapuce.example>;\r\n"
                        "\tMon, 23 Nov 2026 17:48:14 +0000\r\n"
                        "Message-ID: <01ARZ3NDEKTSV4RR@mx.kartapuce.example>\r\n" DATE
                        "From: bob@kartapuce.example\r\nSubject: x\r\n\r\n|body");
}

/* A host of ours that relays is not a user's program: nothing is completed, nothing is tagged. */
static void
test_relaying_host(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(FROM "Bcc: x@y\r\n\r\nbody"));
    fields.zone = STR("inside");
    world_submit(w, &fields);
    world_expect_commit(w,
                        RECEIVED "Message-ID: <01ARZ3NDEKTSV4RR@mx.kartapuce.example>\r\n" DATE FROM
                                 "Bcc: x@y\r\n\r\n|body");
}

/* What a scanner sends; signed, if there are keys, as it leaves. */
static void
test_host_that_cannot_write_mail(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(
        STR("From scanner Mon Nov 23 17:48:14 2026\r\nFrom: scanner\r\nReply To: bob@x\r\n"
            "Subject: Caf\xe9\r\nMIME-Version: 1.0\r\nMIME-Version: 1.0\r\n" ID
            "Page 1\r\n\r\nFrom: x@y\r\n"));
    fields.zone = STR("printers");
    fields.bare_line_ends = true;
    world_submit(w, &fields);
    world_expect_commit(w,
                        RECEIVED "X-Postern-Findings: repaired, date_missing\r\n" DATE
                                 "From: <scanner@kartapuce.example>\r\nReply-To: bob@x\r\n"
                                 "Subject: =?windows-1252?B?Q2Fm6Q==?=\r\nMIME-Version: 1.0\r\n" ID
                                 "\r\n|Page 1\r\n\r\nFrom: x@y\r\n");
    world_expect_trace(w, "name=repaired");
    world_expect_trace(w, "evidence=repair evidence=line_ends");
    world_expect_trace(w, "evidence=repair evidence=header_end");
    world_expect_trace(w, "evidence=repair evidence=mbox_line");
    world_expect_trace(w, "why=\"mended: repeated\"");
    world_expect_trace(w, "why=\"mended: no domain\"");
}

static void
test_zone_without_repairs(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "Page 1\r\n\r\n"));
    fields.zone = STR("strict");
    world_submit(w, &fields);
    assert_int_equal(w->code, 554);
    fields = world_ordinary(STR(FROM "\r\nbody"));
    fields.zone = STR("strict");
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED FROM "\r\n|body");
}

/* Actions of a zone count for its hosts only, and mend nothing. */
static void
test_checks_of_a_zone(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(DATE ID "Page 1\r\n\r\nbody"));
    world_submit(w, &fields);
    assert_int_equal(w->code, 554);
    fields.zone = STR("partner");
    fields.sender = STR("");
    world_submit(w, &fields);
    world_expect_commit(
        w, RECEIVED
        "X-Postern-Findings: header_line_malformed, from_missing, dmarc_author_unknown\r\n" DATE ID
        "Page 1\r\n\r\n|body");
}

/* RFC 5322 4: what must be read is written anew, from anybody. */
static void
test_obsolete_syntax(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR(DATE "Subject : a\r\n \t\r\n b\r\n" FROM ID "\r\nbody"));
    fields.sender = STR("");
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED "X-Postern-Findings: header_syntax_obsolete\r\n" DATE
                                    "Subject: a\r\n b\r\n" FROM ID "\r\n|body");
    world_expect_trace(w, "event=header_edited action=replaced name=Subject");
}

#define SIGNATURE "DKIM-Signature: v=1; c=simple/simple; d=kartapuce.example\r\n"

/* A host of ours signs its mail itself: what nobody has to mend stays as it was signed. */
static void
test_obsolete_syntax_that_is_signed(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR(SIGNATURE FROM DATE "Subject : a\r\n \t\r\n b\r\n" ID "\r\nbody"));
    fields.zone = STR("printers");
    world_submit(w, &fields);
    world_expect_commit(w,
                        RECEIVED SIGNATURE FROM DATE "Subject : a\r\n \t\r\n b\r\n" ID "\r\n|body");
}

/* Above From it decides for some readers who the author is. */
static void
test_obsolete_syntax_above_a_signed_author(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR(SIGNATURE DATE "Subject : a\r\n \t\r\n b\r\n" FROM ID "\r\nbody"));
    fields.zone = STR("printers");
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED "X-Postern-Findings: repaired\r\n" SIGNATURE DATE
                                    "Subject: a\r\n b\r\n" FROM ID "\r\n|body");
}

/* The author is asked after as completed. */
static void
test_user_without_domain(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR("From: Bob <bob>\r\n" DATE ID "\r\nbody"));
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    fields.user = STR("bob@kartapuce.example");
    fields.sender = fields.user;
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_non_null(
        strstr(w->committed, "From: Bob <bob@kartapuce.example>\r\n" DATE ID "\r\n|body"));
    fields = world_ordinary(STR("From: Boss <boss>\r\n" DATE ID "\r\nbody"));
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    fields.user = STR("bob@kartapuce.example");
    fields.sender = fields.user;
    world_submit(w, &fields);
    assert_int_equal(w->code, 250); /* whose address it may not be keeps the name alone */
    assert_non_null(
        strstr(w->committed, "From: Boss <bob@kartapuce.example>\r\n" DATE ID "\r\n|body"));
    fields = world_ordinary(STR("From: Boss <boss@kartapuce.example>\r\n" DATE ID "\r\nbody"));
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    fields.user = STR("bob@kartapuce.example");
    fields.sender = fields.user;
    world_submit(w, &fields);
    assert_int_equal(w->code, 550);
    world_expect_trace(w, "name=author_not_own");
}

static void
test_forwarded_message(void **state)
{
    struct world *w = *state;
    struct record_recipient expanded[] = {
        {.address = STR("bob@kartapuce.example"), .original = STR("sales@kartapuce.example")},
        {.address = STR("x@gmail.example"), .original = STR("sales@kartapuce.example")},
    };
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    fields.recipients.items = expanded;
    fields.recipients.n = 2;
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_non_null(strstr(w->committed, "\tfor <sales@kartapuce.example>;"));
    assert_non_null(strstr(w->committed, "\r\nDelivered-To: sales@kartapuce.example\r\n" DATE));

    /* With a second address, neither may learn of the other. */
    expanded[1].original = STR("other@kartapuce.example");
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_null(strstr(w->committed, "for <"));
    assert_null(strstr(w->committed, "Delivered-To"));

    /* It comes back. */
    fields.content =
        ipc_body_inline(STR("Delivered-To: sales@kartapuce.example\r\n" GOOD "\r\nbody"));
    world_submit(w, &fields);
    assert_int_equal(w->code, 554);
    assert_int_equal(w->commits, 2);
}

/* The local recipients' and the others': each with a story, and each story names the other. */
static void
test_two_copies(void **state)
{
    struct world *w = *state;
    struct record_recipient expanded[] = {
        {.address = STR("x@gmail.example"), .original = STR("sales@kartapuce.example")},
        {.address = STR("bob@kartapuce.example"),
         .original = STR("sales@kartapuce.example"),
         .local = true},
        {.address = STR("y@gmail.example"), .original = STR("sales@kartapuce.example")},
    };
    struct msg_submit fields = world_ordinary(STR(GOOD "Subject: both\r\n\r\nbody"));
    fields.recipients.items = expanded;
    fields.recipients.n = 3;
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_int_equal(w->commits, 2);
    assert_string_equal(w->envelopes, "jack@mail.example>bob@kartapuce.example;"
                                      "jack@mail.example>x@gmail.example y@gmail.example;");
    const char *copy = strstr(w->trace, "copy: ");
    assert_non_null(copy);
    assert_non_null(strstr(copy, "event=copy_of id=01ARZ3NDEKTSV4RR sender=jack@mail.example "
                                 "recipients=x@gmail.example recipients=y@gmail.example"));
    assert_non_null(strstr(copy, "subject=both"));
    world_expect_trace(w, "event=forwarded recipients=x@gmail.example "
                          "recipients=y@gmail.example "
                          "sender=jack@mail.example id=");
    world_expect_trace(w, "event=queued recipients=1");
    world_expect_trace(w, "event=queued recipients=2");
}

static void
test_what_the_spool_says(void **state)
{
    static const struct {
        enum spool_outcome outcome;
        unsigned code;
        const char *reply;
    } cases[] = {
        {SPOOL_COMMITTED, 250, "2.0.0 Ok: queued as 01ARZ3NDEKTSV4RR"},
        {SPOOL_DUPLICATE, 250, "2.0.0 Ok: queued as 01ARZ3NDEKTSV4RR"},
        {SPOOL_FULL, 452, "4.3.1 The queue is full; try again later"},
        {SPOOL_UNAVAILABLE, 451, "4.3.0 The queue is not available; try again later"},
        {SPOOL_REFUSED, 451, "4.3.0 The queue is not available; try again later"},
        {(enum spool_outcome)77, 451, "4.3.0 The queue is not available; try again later"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
        w->outcome = cases[i].outcome;
        world_submit(w, &fields);
        assert_int_equal(w->code, cases[i].code);
        assert_string_equal(w->reply, cases[i].reply);
        world_expect_trace(w, cases[i].code == 250 ? "event=queued" : "event=not_queued");
    }
}

static void
test_no_spool(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    channel_destroy(&w->spool[1]);
    event_base_loop(w->loop, EVLOOP_NONBLOCK); /* the filter's end sees it */
    world_submit(w, &fields);
    assert_int_equal(w->code, 451);
    world_expect_trace(w, "event=not_queued");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_FAILED]), 1);
}

/* It may still commit: that must not be told as if it had not. */
static void
test_spool_does_not_answer(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    w->silent = true;
    w->job_ms = 100;
    world_submit(w, &fields);
    assert_int_equal(w->commits, 1);
    assert_int_equal(w->code, 451);
    assert_string_equal(w->reply, "4.3.0 The queue does not answer; try again later");
    world_expect_trace(w, "event=queue_unknown");
    assert_null(strstr(w->trace, "event=not_queued"));
}

static void
test_no_time_left(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    w->job_ms = -1;
    world_submit(w, &fields);
    assert_int_equal(w->commits, 0);
    assert_int_equal(w->code, 451);
    world_expect_trace(w, "event=not_queued");
}

/* The content goes on as the descriptor it came as; a head without room in the packet too. */
static void
test_large_bodies(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(""));
    size_t const head = 200000;
    char *content = malloc(head + 1000);
    size_t used = (size_t)sprintf(content, "%s", GOOD);
    int fd;
    while (used < head) {
        used += (size_t)sprintf(content + used, "X-Filler: %0800d\r\n", 0);
    }
    used += (size_t)sprintf(content + used, "\r\nbody");
    assert_int_equal(ipc_memfd_create("test", str_make(content, used), &fd), STATUS_OK);
    assert_int_equal(ipc_memfd_seal(fd), STATUS_OK);
    fields.content = ipc_body_fd(fd, used);
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_true(w->head_was_fd);
    assert_int_equal(strlen(w->committed), strlen(RECEIVED) + used + 1);
    assert_string_equal(w->committed + strlen(w->committed) - 5, "|body");
    close(fd);
    free(content);
}

/* A compromised edge: bodies that can change under us, ids that are no ids, no recipients. */
static void
test_dishonest_edges(void **state)
{
    struct world *w = *state;
    struct msg_submit good = world_ordinary(STR(GOOD "\r\nbody"));
    struct msg_submit bad[] = {good, good, good, good};
    int fd;
    assert_int_equal(ipc_memfd_create("test", STR(GOOD "\r\nbody"), &fd), STATUS_OK);
    bad[0].content = ipc_body_fd(fd, sizeof GOOD "\r\nbody" - 1);
    bad[1].id = STR("01ARZ3NDEKTSV4R'");
    bad[2].client_ip = STR("4444");
    bad[3].recipients.n = 0;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        world_submit(w, &bad[i]);
        assert_int_equal(w->create_status, STATUS_SYNTAX);
    }
    close(fd);
    assert_int_equal(w->commits, 0);
}

/* What users send is made to fit; what comes from outside may be signed, and keeps its octets. */
static void
test_long_lines_of_users_only(void **state)
{
    struct world *w = *state;
    static char content[4096];
    char line[1501];
    memset(line, 'x', 1500);
    line[1500] = '\0';
    snprintf(content, sizeof content, GOOD "Subject: a %s\r\n\r\n%s\r\n", line, line);
    struct msg_submit fields = world_ordinary(str_from_cstr(content));
    world_submit(w, &fields);
    assert_non_null(strstr(w->committed, "Subject: a xxx"));
    assert_non_null(strstr(w->committed, line));
    assert_null(strstr(w->committed, "quoted-printable"));
    fields.user = STR("jack@mail.example");
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    world_submit(w, &fields);
    assert_non_null(strstr(w->committed, "Subject: a\r\n xxx"));
    assert_non_null(strstr(w->committed, "Content-Transfer-Encoding: quoted-printable\r\n"));
    assert_null(strstr(w->committed, line));
}

/* What only the filter finds out is not taken from the edge's word. */
static void
test_claims_of_an_edge(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    const uint32_t ours =
        SMTP_MESSAGE_SENDER_PROVEN | SMTP_MESSAGE_SENDER_REWRITTEN | SMTP_MESSAGE_TO_POSTMASTER;
    fields.flags = ours | SMTP_MESSAGE_8BITMIME;
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_int_equal(w->flags & ours, 0);
    assert_int_equal(w->flags, SMTP_MESSAGE_8BITMIME | SMTP_MESSAGE_STRANGER);
    /* Nor is one of ours made a stranger. */
    fields.flags = SMTP_MESSAGE_STRANGER;
    fields.zone = STR("inside");
    world_submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_int_equal(w->flags, 0);
}

static void
test_too_much_at_one_time(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = world_ordinary(STR(GOOD "\r\nbody"));
    atomic_store(&w->shared.memory, FILTER_MEMORY_MAX - 10);
    world_submit(w, &fields);
    assert_int_equal(w->create_status, STATUS_LIMIT);
    assert_int_equal(atomic_load(&w->shared.memory), FILTER_MEMORY_MAX - 10);
    atomic_store(&w->shared.memory, 0);
}

/* On top of everything, in our name; and what came in our name from outside is gone. */
static void
test_results_stand_on_top(void **state)
{
    static const char *const parts[] = {
        "Authentication-Results: mx.kartapuce.example;\r\n dmarc=none "
        "header.from=mail.example;\r\n",
        " smtp.mailfrom=jack@mail.example;\r\n",
        " smtp.helo=mail.example;\r\n",
        " arc=none smtp.remote-ip=192.0.2.9;\r\n iprev=permerror policy.iprev=192.0.2.9\r\n"
        "X-Postern-Verdict: action=accept dmarc=none spf=none dkim=",
    };
    struct world *w = *state;
    struct msg_submit fields =
        world_ordinary(STR(GOOD "Authentication-Results: mx.kartapuce.example; dmarc=pass\r\n"
                                "X-Postern-Verdict: action=accept dmarc=pass\r\n"
                                "Authentication-Results: dmarc=pass header.from=mail.example\r\n"
                                "Authentication-Results: other.example; spf=pass\r\n\r\nbody"));
    world_submit(w, &fields);
    world_expect_commit(w, RECEIVED GOOD
                        "Authentication-Results: other.example; spf=pass\r\n\r\n|body");
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strstr(w->results, parts[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", parts[i], w->results);
        }
    }
    world_expect_trace(w, "event=header_edited action=removed name=Authentication-Results");
    world_expect_trace(w, "event=header_edited action=removed name=X-Postern-Verdict");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_ordinary_message),
        WORLD_TEST(test_refused_message),
        WORLD_TEST(test_header_over_the_limit),
        WORLD_TEST(test_what_only_we_may_write_goes),
        WORLD_TEST(test_results_stand_on_top),
        WORLD_TEST(test_tagged_message),
        WORLD_TEST(test_long_list_of_tags_is_folded),
        WORLD_TEST(test_submission_is_completed),
        WORLD_TEST(test_relaying_host),
        WORLD_TEST(test_host_that_cannot_write_mail),
        WORLD_TEST(test_zone_without_repairs),
        WORLD_TEST(test_checks_of_a_zone),
        WORLD_TEST(test_obsolete_syntax),
        WORLD_TEST(test_obsolete_syntax_that_is_signed),
        WORLD_TEST(test_obsolete_syntax_above_a_signed_author),
        WORLD_TEST(test_user_without_domain),
        WORLD_TEST(test_forwarded_message),
        WORLD_TEST(test_two_copies),
        WORLD_TEST(test_what_the_spool_says),
        WORLD_TEST(test_no_spool),
        WORLD_TEST(test_spool_does_not_answer),
        WORLD_TEST(test_no_time_left),
        WORLD_TEST(test_large_bodies),
        WORLD_TEST(test_dishonest_edges),
        WORLD_TEST(test_claims_of_an_edge),
        WORLD_TEST(test_long_lines_of_users_only),
        WORLD_TEST(test_too_much_at_one_time),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
