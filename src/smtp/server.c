/* The server core's life, feeding and replies. See server.h for the whole. */
#include <stdlib.h>

#include "base/random.h"
#include "smtp/server_internal.h"

/* Room for the longest reply above the mark at which feed stops. */
#define OUTPUT_CEILING (SMTP_SERVER_OUTPUT_HIGH + SMTP_REPLY_LINES_MAX * SMTP_REPLY_LINE_MAX)

void
smtp_server_settings_init(struct smtp_server_settings *settings, enum smtp_listener_kind kind)
{
    bool mx = kind == SMTP_LISTENER_MX;
    *settings = (struct smtp_server_settings){
        .kind = kind,
        .tls = mx ? SMTP_TLS_OPPORTUNISTIC : SMTP_TLS_REQUIRED,
        .auth = mx ? 0u
                   : (unsigned)(SMTP_AUTH_PLAIN | SMTP_AUTH_LOGIN | SMTP_AUTH_SCRAM_SHA_256 |
                                SMTP_AUTH_SCRAM_SHA_256_PLUS),
        .smtputf8 = true,
        .chunking = true,
        .dsn = true,
        .long_local_parts = true,
        .refuse_early_talk = mx,
        .any_helo = !mx,
        .limits = {.command_line = 2048,
                   .auth_line = SMTP_SERVER_AUTH_LINE,
                   .message_size = 50u * 1024u * 1024u,
                   .text_line = 998,
                   .recipients = mx ? 1000 : 500,
                   .transactions = 1000,
                   .commands = 20000,
                   .idle_commands = 100,
                   .errors = 20,
                   .auth_failures = 3,
                   .received = 50,
                   .small_chunks = 1000,
                   .discard = 64u * 1024u * 1024u},
        .timeouts = {.command_ms = 300000, .data_ms = 180000, .auth_ms = 60000},
    };
}

static bool
settings_are_usable(const struct smtp_server_settings *settings)
{
    const struct smtp_server_limits *limits = &settings->limits;
    bool lines_set = limits->command_line > 2 && limits->auth_line > 2 &&
                     limits->command_line <= SMTP_SERVER_LINE_CEILING &&
                     limits->auth_line <= SMTP_SERVER_LINE_CEILING;
    bool limits_set = lines_set && limits->text_line > 0 && limits->recipients > 0 &&
                      limits->recipients <= SMTP_SERVER_RECIPIENTS_CEILING &&
                      limits->idle_commands > 0 && limits->errors > 0 &&
                      limits->auth_failures > 0 && limits->received > 0;
    return limits_set && settings->hostname.n > 0 && settings->hostname.n <= SMTP_DOMAIN_MAX;
}

struct smtp_server *
smtp_server_create(const struct smtp_server_settings *settings, const struct ip_address *client,
                   uint16_t client_port, const struct smtp_server_hooks *hooks)
{
    struct smtp_server *server = settings_are_usable(settings) ? calloc(1, sizeof *server) : NULL;
    if (server == NULL) {
        return NULL;
    }
    server->settings = settings;
    if (hooks != NULL) {
        server->hooks = *hooks;
    }
    server->session.client = *client;
    server->session.client_port = client_port;
    smtp_line_init(&server->line);
    buf_init(&server->output, OUTPUT_CEILING);
    return server;
}

void
smtp_server_destroy(struct smtp_server **server)
{
    if (server == NULL || *server == NULL) {
        return;
    }
    struct smtp_server *s = *server;
    server_auth_end(s);
    server_transaction_end(s);
    smtp_line_fini(&s->line);
    buf_free(&s->output);
    arena_destroy(&s->arena);
    free(s);
    *server = NULL;
}

/* ---- state and events ---- */

static const char *const state_names[SMTP_STATE_COUNT_] = {
    [SMTP_STATE_CONNECTED] = "connected",
    [SMTP_STATE_GREETED] = "greeted",
    [SMTP_STATE_READY] = "ready",
    [SMTP_STATE_MAIL] = "mail",
    [SMTP_STATE_RCPT] = "rcpt",
    [SMTP_STATE_BDAT] = "bdat",
    [SMTP_STATE_BDAT_FAILED] = "bdat_failed",
    [SMTP_STATE_DATA] = "data",
    [SMTP_STATE_CHUNK] = "chunk",
    [SMTP_STATE_AUTH] = "auth",
    [SMTP_STATE_WAIT_TLS] = "wait_tls",
    [SMTP_STATE_WAIT_SENDER] = "wait_sender",
    [SMTP_STATE_WAIT_RECIPIENT] = "wait_recipient",
    [SMTP_STATE_WAIT_PASSWORD] = "wait_password",
    [SMTP_STATE_WAIT_SCRAM_BEGIN] = "wait_scram_begin",
    [SMTP_STATE_WAIT_SCRAM_VERIFY] = "wait_scram_verify",
    [SMTP_STATE_WAIT_MESSAGE] = "wait_message",
    [SMTP_STATE_CLOSING] = "closing",
};

const char *
smtp_server_state_name(enum smtp_server_state state)
{
    return (unsigned)state < SMTP_STATE_COUNT_ ? state_names[state] : "unknown";
}

const char *
smtp_anomaly_name(enum smtp_anomaly anomaly)
{
    static const char *const names[] = {
        [SMTP_ANOMALY_EARLY_TALK] = "early_talk",
        [SMTP_ANOMALY_BARE_LF] = "bare_lf",
        [SMTP_ANOMALY_BARE_CR] = "bare_cr",
        [SMTP_ANOMALY_NUL] = "nul",
        [SMTP_ANOMALY_LINE_TOO_LONG] = "line_too_long",
        [SMTP_ANOMALY_AFTER_STARTTLS] = "after_starttls",
        [SMTP_ANOMALY_OUT_OF_TURN] = "out_of_turn",
        [SMTP_ANOMALY_NOT_SMTP] = "not_smtp",
        [SMTP_ANOMALY_PATH_FORM] = "path_form",
        [SMTP_ANOMALY_HEADER_MALFORMED] = "header_malformed",
        [SMTP_ANOMALY_LOOP] = "loop",
        [SMTP_ANOMALY_TOO_LARGE] = "too_large",
    };
    return (unsigned)anomaly < sizeof names / sizeof names[0] ? names[anomaly] : "unknown";
}

void
server_event(struct smtp_server *server, const struct smtp_event *event)
{
    if (server->hooks.on_event != NULL) {
        server->hooks.on_event(server->hooks.ctx, event);
    }
}

void
server_set_state(struct smtp_server *server, enum smtp_server_state state)
{
    if (server->state == state || server->state == SMTP_STATE_CLOSING) {
        return; /* nothing leads out of CLOSING */
    }
    struct smtp_event event = {.kind = SMTP_EVENT_STATE, .from = server->state, .to = state};
    server->state = state;
    server_event(server, &event);
}

void
server_note(struct smtp_server *server, enum smtp_anomaly anomaly)
{
    struct smtp_event event = {.kind = SMTP_EVENT_ANOMALY, .anomaly = anomaly};
    server_event(server, &event);
}

bool
server_input_waits(const struct smtp_server *server)
{
    return server->more_input ||
           (server->hooks.input_waits != NULL && server->hooks.input_waits(server->hooks.ctx));
}

/* ---- replies ---- */

static void
reply_queue(struct smtp_server *server, const struct smtp_reply *reply)
{
    struct smtp_event event = {.kind = SMTP_EVENT_REPLY, .reply = reply};
    server_event(server, &event);
    if (smtp_reply_format(&server->output, reply) != STATUS_OK) {
        server_set_state(server, SMTP_STATE_CLOSING); /* no memory left to answer with */
    }
}

void
server_reply_and_close(struct smtp_server *server, struct smtp_reply reply)
{
    reply_queue(server, &reply);
    server_auth_end(server);
    server_transaction_end(server);
    server_set_state(server, SMTP_STATE_CLOSING);
}

void
server_reply(struct smtp_server *server, struct smtp_reply reply)
{
    if (reply.code >= 500 && ++server->errors >= server->settings->limits.errors) {
        server_reply_and_close(server, SMTP_REPLY(421, 4, 7, 0, "Too many errors"));
    } else if (reply.code == 421) {
        server_reply_and_close(server, reply); /* RFC 5321 3.8: after 421 the server closes */
    } else {
        reply_queue(server, &reply);
    }
}

void
server_out_of_turn(struct smtp_server *server)
{
    server_note(server, SMTP_ANOMALY_OUT_OF_TURN);
    server_reply_and_close(server, SMTP_REPLY(554, 5, 5, 0, "You did not wait for the reply"));
}

struct smtp_reply
server_refusal(const struct smtp_reply *reply)
{
    if (!smtp_reply_is_valid(reply) || smtp_reply_is_positive(reply)) {
        return smtp_reply_for_status(STATUS_BUG);
    }
    return *reply;
}

struct str
smtp_server_output(const struct smtp_server *server)
{
    return buf_str(&server->output);
}

void
smtp_server_output_written(struct smtp_server *server, size_t n)
{
    buf_consume(&server->output, n);
    if (buf_length(&server->output) == 0) {
        buf_free(&server->output); /* an idle connection keeps nothing */
    }
}

/* ---- memory of session and transaction ---- */

struct arena *
server_arena(struct smtp_server *server)
{
    if (server->arena == NULL) {
        server->arena = arena_create(SMTP_SERVER_SESSION_CEILING);
    }
    return server->arena;
}

void
server_transaction_end(struct smtp_server *server)
{
    if (server->transaction == NULL) {
        return;
    }
    server->discard_pending = server->discard_pending || server->transaction->body_given;
    struct arena *arena = server->transaction->arena;
    server->transaction = NULL;
    arena_destroy(&arena);
}

/* ---- from outside ---- */

void
smtp_server_start(struct smtp_server *server)
{
    if (server->state != SMTP_STATE_CONNECTED) {
        return;
    }
    const struct smtp_server_settings *settings = server->settings;
    struct str greeting = settings->greeting.n > 0 ? settings->greeting : STR("ESMTP");
    char text[SMTP_REPLY_LINE_MAX];
    size_t n = 0;
    memcpy(text, settings->hostname.p, settings->hostname.n);
    n = settings->hostname.n;
    text[n++] = ' ';
    greeting = str_head(greeting, sizeof text - n);
    memcpy(text + n, greeting.p, greeting.n);
    struct smtp_reply reply = {.code = 220, .text = str_make(text, n + greeting.n)};
    reply_queue(server, &reply);
    server_set_state(server, SMTP_STATE_GREETED);
}

void
smtp_server_input_before_greeting(struct smtp_server *server)
{
    if (server->state != SMTP_STATE_CONNECTED || server->session.early_talk) {
        return;
    }
    server->session.early_talk = true;
    server_note(server, SMTP_ANOMALY_EARLY_TALK);
    if (server->settings->refuse_early_talk) {
        server_reply_and_close(server, SMTP_REPLY(554, 5, 5, 1, "You spoke before the greeting"));
    }
}

/* Copies what the edge told; what does not fit is left out, as if TLS had not given it. */
static void
tls_info_copy(struct arena *arena, const struct smtp_tls_info *info, struct smtp_tls_info *copy)
{
    copy->bits = info->bits;
    copy->version = arena_str_dup(arena, info->version);
    copy->cipher = arena_str_dup(arena, info->cipher);
    copy->sni = arena_str_dup(arena, str_head(info->sni, SMTP_DOMAIN_MAX));
    copy->tls_exporter = arena_str_dup(arena, info->tls_exporter);
    copy->server_end_point = arena_str_dup(arena, info->server_end_point);
}

void
smtp_server_tls_started(struct smtp_server *server, const struct smtp_tls_info *info)
{
    bool implicit = server->state == SMTP_STATE_CONNECTED;
    if (!implicit && server->state != SMTP_STATE_WAIT_TLS) {
        return;
    }
    /* RFC 3207 4.2: what the client said before is forgotten. What it did wrong is not: the counts
     * of errors and commands are ours. */
    arena_destroy(&server->arena);
    server->session.helo = str_make(NULL, 0);
    server->session.helo_form = SMTP_HELO_NONE;
    server->session.esmtp = false;
    server->session.user = str_make(NULL, 0);
    server->session.tls = true;
    tls_info_copy(server_arena(server), info, &server->session.tls_info);
    if (!implicit) {
        server_set_state(server, SMTP_STATE_GREETED);
    }
}

void
smtp_server_tls_available(struct smtp_server *server, bool available)
{
    server->tls_unavailable = !available;
}

void
smtp_server_identify(struct smtp_server *server, struct str user)
{
    server->session.user = arena_str_dup(server_arena(server), user);
}

void
smtp_server_end(struct smtp_server *server, const struct smtp_reply *reply)
{
    if (server->state != SMTP_STATE_CLOSING) {
        server_reply_and_close(server, server_refusal(reply));
    }
}

/* ---- feeding ---- */

static bool
state_waits(enum smtp_server_state state)
{
    return state >= SMTP_STATE_WAIT_TLS && state <= SMTP_STATE_WAIT_MESSAGE;
}

static bool
line_begins(const struct smtp_line_reader *reader)
{
    return reader->length == 0 || reader->finished;
}

static struct smtp_action
feed_line(struct smtp_server *server, struct str input, size_t *used_out)
{
    if (server->state != SMTP_STATE_AUTH && line_begins(&server->line) &&
        server_is_foreign_octet(input.p[0])) {
        server_not_smtp(server); /* its line may never end */
        return server_no_action();
    }
    const struct smtp_server_limits *limits = &server->settings->limits;
    /* AUTH may bring its first answer along: how long a command may be is known with its verb. */
    size_t most = server->state == SMTP_STATE_AUTH || limits->auth_line > limits->command_line
                      ? limits->auth_line
                      : limits->command_line;
    struct str line;
    enum smtp_line_result result = smtp_line_read(&server->line, input, most, used_out, &line);
    if (result == SMTP_LINE_MORE) {
        return server_no_action();
    }
    server->more_input = *used_out < input.n;
    if (result != SMTP_LINE_OK) {
        server_bad_line(server, result);
        return server_no_action();
    }
    return server->state == SMTP_STATE_AUTH ? server_auth_line(server, line)
                                            : server_command(server, line);
}

/* One step; sets *idle_out when nothing can be done without more input. */
static struct smtp_action
feed_step(struct smtp_server *server, struct str input, size_t *used_out, bool *idle_out)
{
    *used_out = 0;
    if (server->discard_pending) {
        server->discard_pending = false;
        return (struct smtp_action){.kind = SMTP_ACTION_DISCARD};
    }
    if (server->state == SMTP_STATE_CLOSING) {
        return (struct smtp_action){.kind = SMTP_ACTION_CLOSE};
    }
    if (server->state == SMTP_STATE_CONNECTED || state_waits(server->state)) {
        return (struct smtp_action){.kind = SMTP_ACTION_WAIT};
    }
    if (buf_length(&server->output) >= SMTP_SERVER_OUTPUT_HIGH) {
        return (struct smtp_action){.kind = SMTP_ACTION_FLUSH};
    }
    bool content = server->state == SMTP_STATE_DATA || server->state == SMTP_STATE_CHUNK;
    bool chunk_is_read = server->state == SMTP_STATE_CHUNK && server->chunk.left == 0;
    *idle_out = input.n == 0 && !chunk_is_read;
    if (*idle_out) {
        return server_no_action();
    }
    return content ? server_content(server, input, used_out) : feed_line(server, input, used_out);
}

struct smtp_action
smtp_server_feed(struct smtp_server *server, struct str input, size_t *used_out)
{
    struct smtp_action action;
    size_t used = 0;
    bool idle = false;
    do {
        size_t n;
        action = feed_step(server, str_skip(input, used), &n, &idle);
        used += n;
    } while (action.kind == SMTP_ACTION_NONE && !idle);
    if (action.kind == SMTP_ACTION_START_TLS) {
        /* RFC 3207 4.2; commands slipped in behind STARTTLS would run inside TLS. */
        if (used < input.n) {
            server_note(server, SMTP_ANOMALY_AFTER_STARTTLS);
        }
        used = input.n;
    }
    *used_out = used;
    return action;
}

/* ---- facts ---- */

enum smtp_server_state
smtp_server_state(const struct smtp_server *server)
{
    return server->state;
}

size_t
smtp_server_memory(const struct smtp_server *server)
{
    size_t octets = arena_held(server->arena) + server->output.size + server->line.held.size;
    octets += server->transaction != NULL ? arena_held(server->transaction->arena) : 0;
    octets += server->auth != NULL ? arena_held(server->auth->arena) : 0;
    return octets;
}

int64_t
smtp_server_timeout_ms(const struct smtp_server *server)
{
    const struct smtp_server_timeouts *timeouts = &server->settings->timeouts;
    switch (server->state) {
    case SMTP_STATE_GREETED:
    case SMTP_STATE_READY:
    case SMTP_STATE_MAIL:
    case SMTP_STATE_RCPT:
    case SMTP_STATE_BDAT:
    case SMTP_STATE_BDAT_FAILED:
    case SMTP_STATE_WAIT_TLS: /* the client's handshake */
        return timeouts->command_ms;
    case SMTP_STATE_DATA:
    case SMTP_STATE_CHUNK:
        return timeouts->data_ms;
    case SMTP_STATE_AUTH:
        return timeouts->auth_ms;
    case SMTP_STATE_CONNECTED:
    case SMTP_STATE_WAIT_SENDER:
    case SMTP_STATE_WAIT_RECIPIENT:
    case SMTP_STATE_WAIT_PASSWORD:
    case SMTP_STATE_WAIT_SCRAM_BEGIN:
    case SMTP_STATE_WAIT_SCRAM_VERIFY:
    case SMTP_STATE_WAIT_MESSAGE:
    case SMTP_STATE_CLOSING:
    case SMTP_STATE_COUNT_:
        break;
    }
    return 0;
}

const struct smtp_session *
smtp_server_session(const struct smtp_server *server)
{
    return &server->session;
}

const struct smtp_envelope *
smtp_server_envelope(const struct smtp_server *server)
{
    return server->transaction != NULL ? &server->transaction->envelope : NULL;
}
