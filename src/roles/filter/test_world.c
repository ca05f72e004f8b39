#include "roles/filter/test_world.h"

#include <event2/thread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "ipc/message.h"

static const char settings[] = "hostname: mx.kartapuce.example\n"
                               "listeners:\n"
                               "  - {address: 198.51.100.1, port: 25, kind: mx}\n"
                               "domains:\n"
                               "  - {name: kartapuce.example, delivery: \"lmtp://192.0.2.2:24\"}\n"
                               "zones:\n"
                               "  - {name: inside, networks: [192.0.2.0/24], relay: true}\n"
                               "  - {name: printers, networks: [192.0.3.0/24], relay: true,\n"
                               "     domain: kartapuce.example, bare_lf: normalize,\n"
                               "     checks: [{finding: date_missing, action: tag}]}\n"
                               "  - {name: strict, networks: [192.0.4.0/24], relay: true,\n"
                               "     repair: false}\n"
                               "  - {name: partner, networks: [192.0.5.0/24],\n"
                               "     checks: [{finding: from_missing, action: tag},\n"
                               "              {finding: header_line_malformed, action: tag},\n"
                               "              {finding: dmarc_author_unknown, action: tag}]}\n"
                               "bounce: {postmaster: bob@kartapuce.example}\n";

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
    snprintf(w->committed, WORLD_TEXT_MAX, "%.*s|%.*s", STR_ARG(rest),
             STR_ARG(str_skip(content.octets, commit->content_offset)));
    snprintf(w->hold, sizeof w->hold, "%.*s", STR_ARG(commit->hold));
    keep_envelope(w, commit);
    w->head_was_fd = commit->head.fd >= 0;
    w->commits++;
    w->flags = commit->flags;
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

int
world_open(void **state)
{
    static struct config_errors errors;
    struct world *w = calloc(1, sizeof *w);
    const struct config *config;
    evthread_use_pthreads();
    w->loop = event_base_new();
    w->arena = arena_create(4u << 20);
    w->committed = calloc(1, WORLD_TEXT_MAX);
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

int
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

struct record_recipient world_bob = {.address = STR_INIT("bob@kartapuce.example"),
                                     .original = STR_INIT("bob@kartapuce.example"),
                                     .local = true};

struct msg_submit
world_ordinary(struct str content)
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
        .recipients = {&world_bob, 1},
        .content = ipc_body_inline(content),
    };
}

void
world_submit(struct world *w, const struct msg_submit *fields)
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

void
world_expect_commit(struct world *w, const char *want)
{
    if (w->commits != 1 || strcmp(w->committed, want) != 0) {
        fail_msg("%zu commits; answered %u %s; got:\n%s", w->commits, w->code, w->reply,
                 w->committed);
    }
}

void
world_expect_trace(struct world *w, const char *part)
{
    if (strstr(w->trace, part) == NULL) {
        fail_msg("no \"%s\" in:\n%s", part, w->trace);
    }
}
