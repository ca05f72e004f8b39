/* Messages through the filter, between an edge, a spool and a ledger that this test plays. */
#include <event2/event.h>
#include <event2/thread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/source_zone.h"
#include "ipc/message.h"
#include "roles/filter/job.h"
#include "smtp/envelope.h"
#include "store/delivery.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT_MAX    400000u

#define DATE "Date: Mon, 23 Nov 2026 17:48:14 +0000\r\n"
#define FROM "From: Jack <jack@mail.example>\r\n"
#define ID   "Message-ID: <a@b>\r\n"
#define GOOD DATE FROM ID
#define RECEIVED                                                                                   \
    "Received: from mail.example ([192.0.2.9])\r\n"                                                \
    "\tby mx.kartapuce.example (Postern) with ESMTP id 01ARZ3NDEKTSV4RR\r\n"                       \
    "\tfor <bob@kartapuce.example>;\r\n"                                                           \
    "\tMon, 23 Nov 2026 17:48:14 +0000\r\n"

static const char settings[] = "hostname: mx.kartapuce.example\n"
                               "listeners:\n"
                               "  - {address: 198.51.100.1, port: 25, kind: mx}\n"
                               "domains:\n"
                               "  - {name: kartapuce.example, delivery: \"lmtp://192.0.2.2:24\"}\n"
                               "zones:\n"
                               "  - {name: inside, networks: [192.0.2.0/24], relay: true}\n"
                               "bounce: {postmaster: bob@kartapuce.example}\n";

struct world {
    struct event_base *loop;
    struct channel *edge[2]; /* 0: the filter's end, 1: the other's */
    struct channel *spool[2];
    struct channel *ledger[2];
    struct arena *arena;
    struct filter_shared shared;
    struct dns_zone *zone; /* has no names */
    struct filter_settings *settings;
    enum spool_outcome outcome; /* what the spool will say */
    /* What the others saw. */
    enum status create_status;
    size_t commits;
    int job_ms;         /* what is left of the job's time; 0: what it is given */
    bool silent;        /* the spool does not answer */
    char *committed;    /* head, "|", then the content from its offset on; NUL at the end */
    char results[2048]; /* what stood above: Authentication-Results and the verdict */
    bool head_was_fd;
    char hold[64];
    unsigned code;
    char reply[256];     /* "5.6.0 text" */
    char trace[16384];   /* the message's first or last, others with their ids before */
    char envelopes[512]; /* of the commits: "sender>recipient recipient;" */
};

/* What a worker thread would do. */
static void
on_prepared(void *job)
{
    struct arena *arena = arena_create(FILTER_ARENA_MAX);
    filter_message_process(job, arena);
    arena_destroy(&arena);
}

static void
on_submit(void *context, struct channel *channel, struct ipc_message *message)
{
    struct world *w = context;
    struct filter_job *job;
    w->create_status = filter_job_create(&w->shared, w->settings, channel, message, &job);
    if (w->create_status == STATUS_OK) {
        if (w->job_ms != 0) {
            job->deadline_ms = clock_monotonic_ms() + w->job_ms;
        } else {
            int64_t left_ms = job->deadline_ms - clock_monotonic_ms();
            assert_in_range(left_ms, FILTER_ANSWER_MS / 2, FILTER_ANSWER_MS - 1);
        }
        filter_job_prepare(job, on_prepared);
    } else {
        ipc_message_free(&message);
        event_base_loopbreak(w->loop);
    }
}

/* Puts what authentication has found aside; the rest is what each test is about. */
static struct str
take_results(struct world *w, struct str head)
{
    size_t received = str_find(head, STR("Received: "));
    w->results[0] = '\0';
    if (!str_starts_with(head, STR("Authentication-Results: "))) {
        return head;
    }
    snprintf(w->results, sizeof w->results, "%.*s", STR_ARG(str_head(head, received)));
    return str_skip(head, received);
}

static void
keep_envelope(struct world *w, const struct msg_commit *commit)
{
    struct buf text;
    buf_init(&text, sizeof w->envelopes - 1);
    assert_int_equal(buf_printf(&text, "%s%.*s>", w->envelopes, STR_ARG(commit->sender)),
                     STATUS_OK);
    for (size_t i = 0; i < commit->recipients.n; i++) {
        assert_int_equal(buf_printf(&text, "%s%.*s", i > 0 ? " " : "",
                                    STR_ARG(commit->recipients.items[i].address)),
                         STATUS_OK);
    }
    snprintf(w->envelopes, sizeof w->envelopes, "%.*s;", STR_ARG(buf_str(&text)));
    buf_free(&text);
}

static void
on_commit(void *context, struct channel *channel, struct ipc_message *message)
{
    struct world *w = context;
    struct msg_commit *commit = MSG_BODY(message, commit);
    struct ipc_body_view head;
    struct ipc_body_view content;
    assert_int_equal(message->type, MSG_COMMIT);
    assert_int_equal(ipc_body_view_open(&commit->head, &head), STATUS_OK);
    assert_int_equal(ipc_body_view_open(&commit->content, &content), STATUS_OK);
    struct str rest = take_results(w, head.octets);
    snprintf(w->committed, TEXT_MAX, "%.*s|%.*s", STR_ARG(rest),
             STR_ARG(str_skip(content.octets, commit->content_offset)));
    snprintf(w->hold, sizeof w->hold, "%.*s", STR_ARG(commit->hold));
    keep_envelope(w, commit);
    w->head_was_fd = commit->head.fd >= 0;
    w->commits++;
    struct msg_commit_reply reply = {.outcome = (uint8_t)w->outcome};
    if (!w->silent) {
        assert_int_equal(channel_send(channel, MSG_COMMIT_REPLY, message->request, &reply),
                         STATUS_OK);
    }
    ipc_body_view_close(&head);
    ipc_body_view_close(&content);
    ipc_message_free(&message);
}

/* True when it is the message's own, with which the filter is done. */
static bool
keep_piece(struct world *w, const struct record_trace_piece *piece)
{
    bool is_own = str_eq(piece->id, STR("01ARZ3NDEKTSV4RR"));
    struct trace_reader reader;
    struct trace_event event;
    struct buf text;
    buf_init(&text, sizeof w->trace - 1);
    assert_int_equal(buf_printf(&text, "%s%s", w->trace, is_own ? "" : "copy: "), STATUS_OK);
    assert_true(str_eq(piece->session, STR("01ARZ3NDEKTSV4RA")));
    assert_int_equal(trace_reader_init(&reader, piece->events), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        assert_int_equal(trace_event_print(&event, &text), STATUS_OK);
    }
    snprintf(w->trace, sizeof w->trace, "%.*s", STR_ARG(buf_str(&text)));
    buf_free(&text);
    return is_own;
}

static void
on_trace(void *context, struct channel *channel, struct ipc_message *message)
{
    struct world *w = context;
    const struct msg_trace_append *append = MSG_BODY(message, trace_append);
    bool done = false;
    for (size_t i = 0; i < append->pieces.n; i++) {
        done |= keep_piece(w, &append->pieces.items[i]);
    }
    assert_int_equal(channel_send(channel, MSG_TRACE_ACK, message->request, NULL), STATUS_OK);
    ipc_message_free(&message);
    if (done) {
        event_base_loopbreak(w->loop);
    }
}

static void
on_nothing(void *context, struct channel *channel, struct ipc_message *message)
{
    (void)context;
    (void)channel;
    ipc_message_free(&message);
}

static void
on_answer(void *context, enum status status, struct ipc_message *message)
{
    struct world *w = context;
    if (status == STATUS_OK) {
        const struct msg_submit_reply *reply = MSG_BODY(message, submit_reply);
        w->code = reply->code;
        snprintf(w->reply, sizeof w->reply, "%.*s %.*s", STR_ARG(reply->enhanced),
                 STR_ARG(reply->text));
    }
    ipc_message_free(&message);
}

static void
line_open(struct world *w, struct channel *ends[2], enum role other,
          channel_on_message *near_handler, channel_on_message *far_handler)
{
    struct channel_settings near_end = {.loop = w->loop,
                                        .self = ROLE_FILTER,
                                        .peer = other,
                                        .on_message = near_handler,
                                        .context = w};
    struct channel_settings far_end = {.loop = w->loop,
                                       .self = other,
                                       .peer = ROLE_FILTER,
                                       .on_message = far_handler,
                                       .context = w};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    ends[0] = channel_create(&near_end);
    ends[1] = channel_create(&far_end);
    assert_int_equal(channel_connect(ends[0], fds[0]), STATUS_OK);
    assert_int_equal(channel_connect(ends[1], fds[1]), STATUS_OK);
}

static int
world_open(void **state)
{
    static struct config_errors errors;
    struct world *w = calloc(1, sizeof *w);
    const struct config *config;
    evthread_use_pthreads();
    w->loop = event_base_new();
    w->arena = arena_create(4u << 20);
    w->committed = calloc(1, TEXT_MAX);
    line_open(w, w->edge, ROLE_EDGE, on_submit, on_nothing);
    line_open(w, w->spool, ROLE_SPOOL, on_nothing, on_commit);
    line_open(w, w->ledger, ROLE_LEDGER, on_nothing, on_trace);
    w->shared.spool = w->spool[0];
    w->shared.sender = trace_sender_create(w->loop, w->ledger[0], TRACE_SENDER_CEILING);
    if (config_load_text(w->arena, str_from_cstr(settings), &config, &errors) != STATUS_OK) {
        fail_msg("settings: %.*s", STR_ARG(errors.items[0].text));
    }
    w->settings = filter_settings_create(config);
    config_unref(&config);
    struct str error;
    assert_int_equal(dns_zone_create(w->arena, STR("{}"), DNS_SECURITY_INSECURE, &w->zone, &error),
                     STATUS_OK);
    w->shared.dns = dns_source_from_zone(w->zone);
    *state = w;
    return 0;
}

static int
world_close(void **state)
{
    struct world *w = *state;
    assert_int_equal(atomic_load(&w->shared.active), 0);
    assert_int_equal(atomic_load(&w->shared.memory), 0);
    trace_sender_destroy(&w->shared.sender);
    for (size_t i = 0; i < 2; i++) {
        channel_destroy(&w->edge[i]);
        channel_destroy(&w->spool[i]);
        channel_destroy(&w->ledger[i]);
    }
    filter_settings_unref(&w->settings);
    dns_zone_destroy(&w->zone);
    event_base_free(w->loop);
    arena_destroy(&w->arena);
    free(w->committed);
    free(w);
    return 0;
}

static struct record_recipient bob = {.address = STR_INIT("bob@kartapuce.example"),
                                      .original = STR_INIT("bob@kartapuce.example"),
                                      .local = true};

/* An ordinary message from outside; tests change what they are about. */
static struct msg_submit
ordinary(struct str content)
{
    static struct ip_address client;
    assert_int_equal(ip_parse(STR("192.0.2.9"), &client), STATUS_OK);
    return (struct msg_submit){
        .id = STR("01ARZ3NDEKTSV4RR"),
        .session = STR("01ARZ3NDEKTSV4RA"),
        .listener_kind = CONFIG_LISTENER_MX,
        .client_ip = str_make((const char *)&client, sizeof client),
        .helo = STR("mail.example"),
        .esmtp = true,
        .received_ms = 1795456094000,
        .sender = STR("jack@mail.example"),
        .recipients = {&bob, 1},
        .content = ipc_body_inline(content),
    };
}

/* Sends it through the filter; the trace is the last thing to arrive. */
static void
submit(struct world *w, const struct msg_submit *fields)
{
    struct timeval patience = {20, 0};
    w->trace[0] = '\0';
    w->envelopes[0] = '\0';
    assert_int_equal(channel_request(w->edge[1], MSG_SUBMIT, fields, 20000, on_answer, w),
                     STATUS_OK);
    event_base_loopexit(w->loop, &patience);
    event_base_dispatch(w->loop);
    event_base_loop(w->loop, EVLOOP_NONBLOCK);
}

static void
expect_commit(struct world *w, const char *want)
{
    if (w->commits != 1 || strcmp(w->committed, want) != 0) {
        fail_msg("%zu commits; answered %u %s; got:\n%s", w->commits, w->code, w->reply,
                 w->committed);
    }
}

static void
expect_trace(struct world *w, const char *part)
{
    if (strstr(w->trace, part) == NULL) {
        fail_msg("no \"%s\" in:\n%s", part, w->trace);
    }
}

/* ---- the tests */

static void
test_ordinary_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(GOOD "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nbody\r\n"));
    submit(w, &fields);
    expect_commit(w, RECEIVED GOOD "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n|body\r\n");
    assert_int_equal(w->code, 250);
    assert_string_equal(w->reply, "2.0.0 Ok: queued as 01ARZ3NDEKTSV4RR");
    assert_string_equal(w->hold, "");
    expect_trace(w, "event=message_header from=\"Jack <jack@mail.example>\" "
                    "subject=\"caf\xc3\xa9\"");
    expect_trace(w, "event=decision action=accept");
    expect_trace(w, "event=header_edited action=added name=Received value=\"from mail.example "
                    "([192.0.2.9]) by ");
    expect_trace(w, "event=queued recipients=1");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_ACCEPTED]), 1);
}

static void
test_refused_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(DATE ID "\r\nbody"));
    submit(w, &fields);
    assert_int_equal(w->commits, 0);
    assert_int_equal(w->code, 554);
    assert_string_equal(w->reply, "5.6.0 The From field is missing (01ARZ3NDEKTSV4RR)");
    expect_trace(w, "event=finding");
    expect_trace(w, "name=from_missing");
    expect_trace(w, "event=decision action=reject rule=from_missing code=554 enhanced=5.6.0");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_REJECTED]), 1);
}

static void
test_header_over_the_limit(void **state)
{
    struct world *w = *state;
    char *content = malloc(300000);
    memset(content, 'x', 300000);
    struct msg_submit fields = ordinary(STR(""));
    int fd;
    assert_int_equal(ipc_memfd_create("test", str_make(content, 300000), &fd), STATUS_OK);
    assert_int_equal(ipc_memfd_seal(fd), STATUS_OK);
    fields.content = ipc_body_fd(fd, 300000);
    submit(w, &fields);
    close(fd);
    free(content);
    assert_int_equal(w->code, 552);
    assert_int_equal(w->commits, 0);
}

static void
test_what_only_we_may_write_goes(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        ordinary(STR("Return-Path: <x@y>\r\n" GOOD "Bcc: y@z\r\nx-postern-findings:\r\n none\r\n"
                     "return-path: <z@y>\r\n\r\nbody"));
    submit(w, &fields);
    expect_commit(w, RECEIVED GOOD "Bcc: y@z\r\n\r\n|body");
    expect_trace(w, "event=header_edited action=removed name=Return-Path");
}

static void
test_tagged_message(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(FROM ID "\r\nbody"));
    fields.sender = STR("");
    submit(w, &fields);
    expect_commit(w, RECEIVED "X-Postern-Findings: date_missing\r\n" FROM ID "\r\n|body");
}

static void
test_long_list_of_tags_is_folded(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        ordinary(STR("From: c@d\r\nTo: a@b\r\nTo: a@b\r\nX: \xe9\x07\r\n" ID ID "\r\nbody"));
    submit(w, &fields);
    expect_commit(w,
                  RECEIVED "X-Postern-Findings: header_control, header_8bit, header_not_utf8, "
                           "date_missing, message_id_repeated,\r\n field_repeated\r\n"
                           "From: c@d\r\nTo: a@b\r\nTo: a@b\r\nX: \xe9\x07\r\n" ID ID "\r\n|body");
}

static void
test_submission_is_completed(void **state)
{
    struct world *w = *state;
    struct msg_submit fields =
        ordinary(STR("From: bob@kartapuce.example\r\nbcc: secret@x\r\n\tmore@y\r\nSubject: x\r\n"
                     "Resent-Bcc: z@y\r\n\r\nbody"));
    fields.listener_kind = CONFIG_LISTENER_SMTPS;
    fields.user = STR("bob@kartapuce.example");
    fields.sender = fields.user;
    fields.helo = STR("laptop");
    fields.tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384");
    submit(w, &fields);
    expect_commit(w, "Received: from client.invalid (address withheld)\r\n"
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
    struct msg_submit fields = ordinary(STR(FROM "Bcc: x@y\r\n\r\nbody"));
    fields.zone = STR("inside");
    submit(w, &fields);
    expect_commit(w, RECEIVED FROM "Bcc: x@y\r\n\r\n|body");
}

static void
test_forwarded_message(void **state)
{
    struct world *w = *state;
    struct record_recipient expanded[] = {
        {.address = STR("bob@kartapuce.example"), .original = STR("sales@kartapuce.example")},
        {.address = STR("x@gmail.example"), .original = STR("sales@kartapuce.example")},
    };
    struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
    fields.recipients.items = expanded;
    fields.recipients.n = 2;
    submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_non_null(strstr(w->committed, "\tfor <sales@kartapuce.example>;"));
    assert_non_null(strstr(w->committed, "\r\nDelivered-To: sales@kartapuce.example\r\n" DATE));

    /* With a second address, neither may learn of the other. */
    expanded[1].original = STR("other@kartapuce.example");
    submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_null(strstr(w->committed, "for <"));
    assert_null(strstr(w->committed, "Delivered-To"));

    /* It comes back. */
    fields.content =
        ipc_body_inline(STR("Delivered-To: sales@kartapuce.example\r\n" GOOD "\r\nbody"));
    submit(w, &fields);
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
    struct msg_submit fields = ordinary(STR(GOOD "Subject: both\r\n\r\nbody"));
    fields.recipients.items = expanded;
    fields.recipients.n = 3;
    submit(w, &fields);
    assert_int_equal(w->code, 250);
    assert_int_equal(w->commits, 2);
    assert_string_equal(w->envelopes, "jack@mail.example>bob@kartapuce.example;"
                                      "jack@mail.example>x@gmail.example y@gmail.example;");
    const char *copy = strstr(w->trace, "copy: ");
    assert_non_null(copy);
    assert_non_null(strstr(copy, "event=copy_of id=01ARZ3NDEKTSV4RR sender=jack@mail.example "
                                 "recipients=x@gmail.example recipients=y@gmail.example"));
    assert_non_null(strstr(copy, "subject=both"));
    expect_trace(w, "event=forwarded recipients=x@gmail.example "
                    "recipients=y@gmail.example "
                    "sender=jack@mail.example id=");
    expect_trace(w, "event=queued recipients=1");
    expect_trace(w, "event=queued recipients=2");
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
        struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
        w->outcome = cases[i].outcome;
        submit(w, &fields);
        assert_int_equal(w->code, cases[i].code);
        assert_string_equal(w->reply, cases[i].reply);
        expect_trace(w, cases[i].code == 250 ? "event=queued" : "event=not_queued");
    }
}

static void
test_no_spool(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
    channel_destroy(&w->spool[1]);
    event_base_loop(w->loop, EVLOOP_NONBLOCK); /* the filter's end sees it */
    submit(w, &fields);
    assert_int_equal(w->code, 451);
    expect_trace(w, "event=not_queued");
    assert_int_equal(atomic_load(&w->shared.outcomes[FILTER_FAILED]), 1);
}

/* It may still commit: that must not be told as if it had not. */
static void
test_spool_does_not_answer(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
    w->silent = true;
    w->job_ms = 100;
    submit(w, &fields);
    assert_int_equal(w->commits, 1);
    assert_int_equal(w->code, 451);
    assert_string_equal(w->reply, "4.3.0 The queue does not answer; try again later");
    expect_trace(w, "event=queue_unknown");
    assert_null(strstr(w->trace, "event=not_queued"));
}

static void
test_no_time_left(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
    w->job_ms = -1;
    submit(w, &fields);
    assert_int_equal(w->commits, 0);
    assert_int_equal(w->code, 451);
    expect_trace(w, "event=not_queued");
}

/* The content goes on as the descriptor it came as; a head without room in the packet too. */
static void
test_large_bodies(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(""));
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
    submit(w, &fields);
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
    struct msg_submit good = ordinary(STR(GOOD "\r\nbody"));
    struct msg_submit bad[] = {good, good, good, good};
    int fd;
    assert_int_equal(ipc_memfd_create("test", STR(GOOD "\r\nbody"), &fd), STATUS_OK);
    bad[0].content = ipc_body_fd(fd, sizeof GOOD "\r\nbody" - 1);
    bad[1].id = STR("01ARZ3NDEKTSV4R'");
    bad[2].client_ip = STR("4444");
    bad[3].recipients.n = 0;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        submit(w, &bad[i]);
        assert_int_equal(w->create_status, STATUS_SYNTAX);
    }
    close(fd);
    assert_int_equal(w->commits, 0);
}

static void
test_too_much_at_one_time(void **state)
{
    struct world *w = *state;
    struct msg_submit fields = ordinary(STR(GOOD "\r\nbody"));
    atomic_store(&w->shared.memory, FILTER_MEMORY_MAX - 10);
    submit(w, &fields);
    assert_int_equal(w->create_status, STATUS_LIMIT);
    assert_int_equal(atomic_load(&w->shared.memory), FILTER_MEMORY_MAX - 10);
    atomic_store(&w->shared.memory, 0);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

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
        ordinary(STR(GOOD "Authentication-Results: mx.kartapuce.example; dmarc=pass\r\n"
                          "X-Postern-Verdict: action=accept dmarc=pass\r\n"
                          "Authentication-Results: dmarc=pass header.from=mail.example\r\n"
                          "Authentication-Results: other.example; spf=pass\r\n\r\nbody"));
    submit(w, &fields);
    expect_commit(w, RECEIVED GOOD "Authentication-Results: other.example; spf=pass\r\n\r\n|body");
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strstr(w->results, parts[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", parts[i], w->results);
        }
    }
    expect_trace(w, "event=header_edited action=removed name=Authentication-Results");
    expect_trace(w, "event=header_edited action=removed name=X-Postern-Verdict");
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
        WORLD_TEST(test_forwarded_message),
        WORLD_TEST(test_two_copies),
        WORLD_TEST(test_what_the_spool_says),
        WORLD_TEST(test_no_spool),
        WORLD_TEST(test_spool_does_not_answer),
        WORLD_TEST(test_no_time_left),
        WORLD_TEST(test_large_bodies),
        WORLD_TEST(test_dishonest_edges),
        WORLD_TEST(test_too_much_at_one_time),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
