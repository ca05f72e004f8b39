#include "smtp/test_edge.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define TEST_BUFFER_MAX (64u * 1024u * 1024u)

static void
must(enum status status)
{
    if (status != STATUS_OK) {
        abort();
    }
}

static void
on_event(void *ctx, const struct smtp_event *event)
{
    struct test_edge *edge = ctx;
    switch (event->kind) {
    case SMTP_EVENT_STATE:
        must(buf_printf(&edge->trace, "%s > %s\n", smtp_server_state_name(event->from),
                        smtp_server_state_name(event->to)));
        break;
    case SMTP_EVENT_COMMAND:
        must(buf_printf(&edge->trace, "%.*s (%.*s)\n", STR_ARG(event->verb),
                        STR_ARG(event->argument)));
        break;
    case SMTP_EVENT_REPLY:
        must(buf_printf(&edge->trace, "%u\n", event->reply->code));
        break;
    case SMTP_EVENT_ANOMALY:
        must(buf_printf(&edge->trace, "! %s\n", smtp_anomaly_name(event->anomaly)));
        break;
    }
}

static bool
on_input_waits(void *ctx)
{
    const struct test_edge *edge = ctx;
    return edge->waiting;
}

/* Server nonces that tests can foretell. */
static void
test_random(void *p, size_t n)
{
    memset(p, 'x', n);
}

void
test_edge_open(struct test_edge *edge, enum smtp_listener_kind kind,
               void (*tweak)(struct smtp_server_settings *settings))
{
    *edge = (struct test_edge){.arena = arena_create(TEST_BUFFER_MAX),
                               .user = STR_INIT("user"),
                               .password = STR_INIT("secret")};
    smtp_server_settings_init(&edge->settings, kind);
    edge->settings.hostname = STR("mx.example");
    edge->settings.random = test_random;
    if (tweak != NULL) {
        tweak(&edge->settings);
    }
    buf_init(&edge->log, TEST_BUFFER_MAX);
    buf_init(&edge->wire, TEST_BUFFER_MAX);
    buf_init(&edge->body, TEST_BUFFER_MAX);
    buf_init(&edge->trace, TEST_BUFFER_MAX);
    struct ip_address client;
    must(ip_parse(STR("192.0.2.7"), &client));
    struct smtp_server_hooks hooks = {
        .on_event = on_event, .input_waits = on_input_waits, .ctx = edge};
    edge->server = smtp_server_create(&edge->settings, &client, 4321, &hooks);
    if (edge->server == NULL) {
        abort();
    }
}

void
test_edge_close(struct test_edge *edge)
{
    smtp_server_destroy(&edge->server);
    arena_destroy(&edge->arena);
    buf_free(&edge->log);
    buf_free(&edge->wire);
    buf_free(&edge->body);
    buf_free(&edge->trace);
}

void
test_edge_tls(struct test_edge *edge)
{
    struct smtp_tls_info info = {.version = STR_INIT("TLSv1.3"),
                                 .cipher = STR_INIT("TLS_AES_256_GCM_SHA384"),
                                 .bits = 256,
                                 .sni = STR_INIT("mx.example"),
                                 .tls_exporter = STR_INIT(TEST_EDGE_EXPORTER)};
    smtp_server_tls_started(edge->server, &info);
    edge->tls_wanted = false;
}

void
test_edge_start(struct test_edge *edge)
{
    smtp_server_start(edge->server);
    test_edge_collect(edge);
}

static void
log_item(struct test_edge *edge, const char *text)
{
    must(buf_printf(&edge->log, "%s%s", buf_length(&edge->log) > 0 ? ", " : "", text));
}

/* The last line of each reply: its code, and the enhanced code if there is one. */
void
test_edge_collect(struct test_edge *edge)
{
    struct str output = smtp_server_output(edge->server);
    struct str rest = output;
    struct str line;
    must(buf_append(&edge->wire, output));
    while (str_cut(rest, '\n', &line, &rest)) {
        if (line.n < 4 || line.p[3] == '-') {
            continue;
        }
        struct str text = str_skip(line, 4);
        struct str word = str_head(text, str_find_char(text, ' '));
        bool enhanced = word.n >= 5 && char_is_digit(word.p[0]) && word.p[1] == '.';
        char item[64];
        snprintf(item, sizeof item, "%.3s%s%.*s", line.p, enhanced ? " " : "",
                 enhanced ? (int)word.n : 0, word.p);
        log_item(edge, item);
    }
    smtp_server_output_written(edge->server, output.n);
}

static void
take_message(struct test_edge *edge, const struct smtp_action *action)
{
    struct buf recipients;
    buf_init(&recipients, TEST_BUFFER_MAX);
    const struct smtp_envelope *envelope = action->message.envelope;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        must(buf_printf(&recipients, "%s%.*s", i > 0 ? "," : "",
                        STR_ARG(envelope->recipients[i].address.text)));
    }
    struct test_message *message = &edge->messages[edge->message_count];
    edge->message_count += edge->message_count + 1 < TEST_EDGE_MESSAGES_MAX ? 1 : 0;
    message->sender = arena_str_dup(edge->arena, envelope->sender.text);
    message->recipients = arena_str_dup(edge->arena, buf_str(&recipients));
    message->content = arena_str_dup(edge->arena, buf_str(&edge->body));
    message->facts = *action->message.facts;
    test_edge_collect(edge);
    struct str text = arena_printf(edge->arena, "[%.*s -> %.*s: %zu]", STR_ARG(message->sender),
                                   STR_ARG(message->recipients), message->content.n);
    log_item(edge, text.p);
    buf_free(&recipients);
    buf_clear(&edge->body);
    bool refuse = !edge->permissive && str_find(message->content, STR("REFUSE")) != STR_NPOS;
    struct smtp_reply reply = refuse ? SMTP_REPLY(554, 5, 7, 1, "Not this")
                                     : SMTP_REPLY(250, 2, 0, 0, "Ok: queued as TEST");
    smtp_server_message_result(edge->server, &reply);
}

static void
answer_address(struct test_edge *edge, const struct smtp_action *action)
{
    if (edge->permissive) {
        smtp_server_sender_result(edge->server, NULL); /* the one nobody waits for does nothing */
        smtp_server_recipient_result(edge->server, NULL);
        return;
    }
    if (action->kind == SMTP_ACTION_CHECK_SENDER) {
        struct smtp_reply bad = SMTP_REPLY(550, 5, 7, 1, "Not from you");
        bool refuse = str_starts_with(action->sender->local, STR("bad"));
        smtp_server_sender_result(edge->server, refuse ? &bad : NULL);
        return;
    }
    struct str local = action->recipient->address.local;
    struct smtp_reply unknown = SMTP_REPLY(550, 5, 1, 1, "No such mailbox");
    struct smtp_reply later = SMTP_REPLY(451, 4, 3, 0, "Later");
    smtp_server_recipient_result(edge->server, str_starts_with(local, STR("no"))      ? &unknown
                                               : str_starts_with(local, STR("later")) ? &later
                                                                                      : NULL);
}

static enum smtp_auth_outcome
user_outcome(const struct test_edge *edge, struct str user, bool right)
{
    if (str_eq(user, STR("down"))) {
        return SMTP_AUTH_TEMPORARY;
    }
    if (str_eq(user, STR("guess"))) {
        return SMTP_AUTH_THROTTLED;
    }
    return right && str_eq(user, edge->user) ? SMTP_AUTH_OK : SMTP_AUTH_FAILED;
}

static void
hmac(const uint8_t key[32], struct str data, uint8_t out[32])
{
    unsigned n = 32;
    if (HMAC(EVP_sha256(), key, 32, (const unsigned char *)data.p, data.n, out, &n) == NULL) {
        abort();
    }
}

void
test_edge_scram_proof(struct str password, struct str auth_message, uint8_t proof_out[32],
                      uint8_t signature_out[32])
{
    uint8_t salted[32], client_key[32], stored_key[32], client_signature[32], server_key[32];
    PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)TEST_EDGE_SALT,
                      sizeof TEST_EDGE_SALT - 1, TEST_EDGE_ITERATIONS, EVP_sha256(), 32, salted);
    hmac(salted, STR("Client Key"), client_key);
    EVP_Digest(client_key, 32, stored_key, NULL, EVP_sha256(), NULL);
    hmac(stored_key, auth_message, client_signature);
    for (size_t i = 0; i < 32; i++) {
        proof_out[i] = client_key[i] ^ client_signature[i];
    }
    hmac(salted, STR("Server Key"), server_key);
    hmac(server_key, auth_message, signature_out);
}

static void
answer_scram(struct test_edge *edge, const struct smtp_action *action)
{
    const struct smtp_scram_request *scram = &action->scram;
    if (action->kind == SMTP_ACTION_AUTH_SCRAM_BEGIN) {
        enum smtp_auth_outcome outcome = user_outcome(edge, scram->user, true);
        /* An unknown user gets a salt too. */
        smtp_server_scram_begin_result(edge->server,
                                       outcome == SMTP_AUTH_FAILED ? SMTP_AUTH_OK : outcome,
                                       STR(TEST_EDGE_SALT), TEST_EDGE_ITERATIONS);
        return;
    }
    uint8_t proof[32], signature[32];
    test_edge_scram_proof(edge->password, scram->auth_message, proof, signature);
    bool right = str_eq(scram->client_proof, str_make((const char *)proof, 32));
    smtp_server_scram_verify_result(edge->server, user_outcome(edge, scram->user, right),
                                    STR("user@mx.example"), str_make((const char *)signature, 32));
}

void
test_edge_answer(struct test_edge *edge, const struct smtp_action *action)
{
    switch (action->kind) {
    case SMTP_ACTION_CHECK_SENDER:
    case SMTP_ACTION_CHECK_RECIPIENT:
        answer_address(edge, action);
        break;
    case SMTP_ACTION_AUTH_PASSWORD:
        smtp_server_auth_result(edge->server,
                                user_outcome(edge, action->password.user,
                                             str_eq(action->password.password, edge->password)),
                                STR("user@mx.example"));
        break;
    case SMTP_ACTION_AUTH_SCRAM_BEGIN:
    case SMTP_ACTION_AUTH_SCRAM_VERIFY:
        answer_scram(edge, action);
        break;
    case SMTP_ACTION_MESSAGE:
        take_message(edge, action);
        break;
    case SMTP_ACTION_NONE:
    case SMTP_ACTION_FLUSH:
    case SMTP_ACTION_WAIT:
    case SMTP_ACTION_START_TLS:
    case SMTP_ACTION_BODY:
    case SMTP_ACTION_DISCARD:
    case SMTP_ACTION_CLOSE:
        break;
    }
}

/* True while the server has something to do without more input. */
static bool
do_action(struct test_edge *edge, const struct smtp_action *action)
{
    switch (action->kind) {
    case SMTP_ACTION_NONE:
        test_edge_collect(edge);
        return false;
    case SMTP_ACTION_FLUSH:
        test_edge_collect(edge);
        return true;
    case SMTP_ACTION_START_TLS:
        test_edge_collect(edge);
        log_item(edge, "tls");
        edge->tls_wanted = true;
        return false;
    case SMTP_ACTION_CLOSE:
        test_edge_collect(edge);
        log_item(edge, "closed");
        edge->closed = true;
        return false;
    case SMTP_ACTION_WAIT:
        return false;
    case SMTP_ACTION_BODY:
        must(buf_append(&edge->body, action->content));
        return true;
    case SMTP_ACTION_DISCARD:
        buf_clear(&edge->body);
        edge->discards++;
        return true;
    case SMTP_ACTION_CHECK_SENDER:
    case SMTP_ACTION_CHECK_RECIPIENT:
    case SMTP_ACTION_AUTH_PASSWORD:
    case SMTP_ACTION_AUTH_SCRAM_BEGIN:
    case SMTP_ACTION_AUTH_SCRAM_VERIFY:
    case SMTP_ACTION_MESSAGE:
        edge->deferred = *action;
        if (!edge->defer) {
            test_edge_answer(edge, action);
        }
        return !edge->defer;
    }
    return false;
}

/* Octets of a chunk that follow its command line in the same group; 0 for other lines. */
static size_t
chunk_length(struct str line)
{
    struct str size;
    struct str rest;
    uint64_t n = 0;
    if (!str_starts_with_nocase(line, STR("BDAT "))) {
        return 0;
    }
    (void)str_cut(str_trim(str_skip(line, 5)), ' ', &size, &rest);
    return str_parse_u64(size, TEST_BUFFER_MAX, &n) == STATUS_OK ? (size_t)n : 0;
}

/* Whether more may follow this line before its reply, once EHLO has told of PIPELINING. */
static bool
may_go_on(struct str line)
{
    static const char *const verbs[] = {"MAIL", "RCPT", "RSET", "NOOP", "VRFY", "STARTTLS", "QUIT"};
    struct str verb = str_head(str_trim(line), str_find_char(str_trim(line), ' '));
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (str_eq_nocase(verb, str_from_cstr(verbs[i]))) {
            return line.n <= 512 && !str_contains_char(line, '\0');
        }
    }
    return false;
}

/* How much of the input a client would send now without waiting. */
static size_t
group_length(const struct test_edge *edge, struct str input)
{
    bool pipelining = smtp_server_session(edge->server)->esmtp &&
                      smtp_server_state(edge->server) != SMTP_STATE_AUTH;
    size_t n = 0;
    if (edge->hasty) {
        return input.n;
    }
    if (smtp_server_state(edge->server) == SMTP_STATE_CHUNK) {
        return 1; /* where it ends is not known here */
    }
    while (n < input.n) {
        struct str line = str_skip(input, n);
        size_t lf = str_find_char(line, '\n');
        line = str_head(line, lf == STR_NPOS ? line.n : lf + 1);
        size_t chunk = chunk_length(line);
        n += line.n + chunk;
        if (!pipelining || chunk > 0 || !may_go_on(line)) {
            break;
        }
    }
    return n < input.n ? n : input.n;
}

static void
feed_piece(struct test_edge *edge, struct str piece)
{
    bool more = true;
    while (more && !edge->closed) {
        size_t used;
        struct smtp_action action = smtp_server_feed(edge->server, piece, &used);
        if (used > piece.n) {
            abort();
        }
        piece = str_skip(piece, used);
        more = do_action(edge, &action);
        if (edge->tls_wanted && piece.n > 0) {
            test_edge_tls(edge); /* what feed has left would run inside TLS */
            more = true;
        }
    }
}

void
test_edge_feed(struct test_edge *edge, struct str input, size_t step)
{
    if (edge->tls_wanted) {
        test_edge_tls(edge);
    }
    do {
        size_t n = group_length(edge, input);
        struct str piece = str_head(input, step > 0 && step < n ? step : n);
        input = str_skip(input, piece.n);
        feed_piece(edge, piece);
    } while (input.n > 0 && !edge->closed);
}
