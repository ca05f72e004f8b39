/* AUTH (RFC 4954): the exchange as SMTP carries it. What is exchanged is in sasl.c and scram.c. */
#include "base/encode.h"
#include "base/random.h"
#include "smtp/server_internal.h"

/* A line of an exchange is decoded and copied a few times. */
#define AUTH_COPIES 4u
/* For what the exchange needs besides. */
#define AUTH_ROOM   (4u * SMTP_SERVER_AUTH_LINE)

static const struct smtp_reply reply_malformed =
    SMTP_REPLY(501, 5, 5, 2, "Malformed authentication response");
static const struct smtp_reply reply_failed =
    SMTP_REPLY(535, 5, 7, 8, "Authentication credentials invalid");
static const struct smtp_reply reply_temporary =
    SMTP_REPLY(454, 4, 7, 0, "Temporary authentication failure");

unsigned
server_auth_offered(const struct smtp_server *server)
{
    const struct smtp_server_settings *settings = server->settings;
    const struct smtp_session *session = &server->session;
    if (!session->tls && !settings->auth_without_tls) {
        return 0;
    }
    unsigned offered = settings->auth;
    if (session->tls_info.tls_exporter.n == 0 && session->tls_info.server_end_point.n == 0) {
        offered &= ~(unsigned)SMTP_AUTH_SCRAM_SHA_256_PLUS;
    }
    return offered;
}

void
server_auth_end(struct smtp_server *server)
{
    if (server->auth != NULL) {
        struct arena *arena = server->auth->arena;
        server->auth = NULL;
        arena_destroy_wiped(&arena);
    }
}

void
server_auth_fail(struct smtp_server *server, struct smtp_reply reply)
{
    server_auth_end(server);
    server_set_state(server, SMTP_STATE_READY);
    if (++server->auth_failures >= server->settings->limits.auth_failures) {
        reply = SMTP_REPLY(421, 4, 7, 0, "Too many authentication failures");
    }
    server_reply(server, reply);
}

/* Something kept us from finding out: not the client's failure. */
static void
auth_postpone(struct smtp_server *server)
{
    server_auth_end(server);
    server_set_state(server, SMTP_STATE_READY);
    server_reply(server, reply_temporary);
}

static void
auth_succeed(struct smtp_server *server, struct str identity)
{
    struct str user = arena_str_dup(server_arena(server), identity);
    if (user.n == 0) {
        auth_postpone(server);
        return;
    }
    server->session.user = user;
    server->session.mechanism = server->auth->exchange.mechanism;
    server_auth_end(server);
    server_set_state(server, SMTP_STATE_READY);
    server_reply(server, SMTP_REPLY(235, 2, 7, 0, "Authentication successful"));
}

static void
auth_challenge(struct smtp_server *server)
{
    struct auth *auth = server->auth;
    struct str text = base64_encode(auth->arena, auth->exchange.challenge);
    if (text.p == NULL && auth->exchange.challenge.n > 0) {
        auth_postpone(server);
        return;
    }
    server_set_state(server, SMTP_STATE_AUTH);
    server_reply(server, (struct smtp_reply){.code = 334, .text = text});
}

static struct smtp_action
auth_ask(struct smtp_server *server, enum smtp_server_state state, enum smtp_action_kind kind)
{
    const struct sasl_exchange *exchange = &server->auth->exchange;
    struct smtp_action action = {.kind = kind};
    if (kind == SMTP_ACTION_AUTH_PASSWORD) {
        action.password.user = exchange->user;
        action.password.password = exchange->password;
    } else {
        action.scram.user = exchange->user;
        action.scram.auth_message = exchange->auth_message;
        action.scram.client_proof = exchange->client_proof;
    }
    server_set_state(server, state);
    return action;
}

static struct smtp_action
auth_step(struct smtp_server *server, enum sasl_step step)
{
    switch (step) {
    case SASL_VERIFY_PASSWORD:
        return auth_ask(server, SMTP_STATE_WAIT_PASSWORD, SMTP_ACTION_AUTH_PASSWORD);
    case SASL_SCRAM_BEGIN:
        return auth_ask(server, SMTP_STATE_WAIT_SCRAM_BEGIN, SMTP_ACTION_AUTH_SCRAM_BEGIN);
    case SASL_SCRAM_VERIFY:
        return auth_ask(server, SMTP_STATE_WAIT_SCRAM_VERIFY, SMTP_ACTION_AUTH_SCRAM_VERIFY);
    case SASL_CHALLENGE:
        auth_challenge(server);
        break;
    case SASL_DONE:
        auth_succeed(server, server->auth->exchange.user);
        break;
    case SASL_MALFORMED:
        server_auth_fail(server, reply_malformed);
        break;
    case SASL_REFUSED:
        server_auth_fail(server, reply_failed);
        break;
    case SASL_NO_ROOM:
        auth_postpone(server);
        break;
    }
    return server_no_action();
}

/* RFC 4954 4: "=" stands for an empty initial response. */
static bool
decode_response(struct smtp_server *server, struct str text, struct str *response_out)
{
    if (text.n == 0) {
        *response_out = str_make("", 0);
        return true;
    }
    return base64_decode(server->auth->arena, text, response_out) == STATUS_OK;
}

static bool
auth_begin(struct smtp_server *server, enum smtp_auth_mechanism mechanism)
{
    const struct smtp_session *session = &server->session;
    struct arena *arena =
        arena_create(AUTH_ROOM + AUTH_COPIES * server->settings->limits.auth_line);
    struct auth *auth = arena_alloc(arena, sizeof *auth);
    if (auth == NULL) {
        arena_destroy(&arena);
        server_reply(server, reply_temporary);
        return false;
    }
    auth->arena = arena;
    auth->exchange = (struct sasl_exchange){
        .arena = arena,
        .mechanism = mechanism,
        .tls = session->tls ? &session->tls_info : NULL,
        .plus_offered = (server_auth_offered(server) & SMTP_AUTH_SCRAM_SHA_256_PLUS) != 0,
        .random = server->settings->random != NULL ? server->settings->random : random_bytes,
    };
    server->auth = auth;
    return true;
}

/* Whether AUTH may be used now; replies if not. */
static bool
auth_admit(struct smtp_server *server)
{
    struct smtp_reply reply;
    if (server->settings->auth == 0) {
        reply = SMTP_REPLY(502, 5, 5, 1, "AUTH is not offered");
    } else if (server->session.user.n > 0) {
        reply = SMTP_REPLY(503, 5, 5, 1, "Already authenticated");
    } else if (server_auth_offered(server) == 0) {
        reply = SMTP_REPLY(503, 5, 7, 11, "Encryption required: STARTTLS first");
    } else if (!server->session.esmtp) {
        reply = SMTP_REPLY(503, 5, 5, 1, "Say EHLO first");
    } else {
        return true;
    }
    server_reply(server, reply);
    return false;
}

struct smtp_action
server_auth(struct smtp_server *server, struct str argument)
{
    if (!auth_admit(server)) {
        return server_no_action();
    }
    if (argument.n == 0) {
        server_reply(server, SMTP_REPLY(501, 5, 5, 4, "Syntax: AUTH mechanism [response]"));
        return server_no_action();
    }
    struct str name;
    struct str initial;
    bool has_response = str_cut(argument, ' ', &name, &initial);
    unsigned mechanism = sasl_mechanism_find(name) & server_auth_offered(server);
    if (mechanism == 0) {
        server_reply(server, SMTP_REPLY(504, 5, 5, 4, "Mechanism not offered"));
        return server_no_action();
    }
    if (!auth_begin(server, (enum smtp_auth_mechanism)mechanism)) {
        return server_no_action();
    }
    struct str response = {NULL, 0};
    initial = str_trim(initial);
    if (has_response &&
        !decode_response(server, str_eq(initial, STR("=")) ? STR("") : initial, &response)) {
        server_auth_fail(server, reply_malformed);
        return server_no_action();
    }
    return auth_step(server, sasl_respond(&server->auth->exchange, has_response, response));
}

struct smtp_action
server_auth_line(struct smtp_server *server, struct str line)
{
    if (server_input_waits(server)) {
        server_out_of_turn(server); /* the next line answers a challenge, or this line's outcome */
        return server_no_action();
    }
    if (str_eq(line, STR("*"))) {
        /* RFC 4954 4: the client gives up, and has guessed nothing. It counts as an error. */
        server_auth_end(server);
        server_set_state(server, SMTP_STATE_READY);
        server_reply(server, SMTP_REPLY(501, 5, 7, 0, "Authentication cancelled"));
        return server_no_action();
    }
    struct str response;
    if (!decode_response(server, line, &response)) {
        server_auth_fail(server, reply_malformed);
        return server_no_action();
    }
    return auth_step(server, sasl_respond(&server->auth->exchange, true, response));
}

/* ---- results ---- */

/* Handles every outcome but OK; true for OK. */
static bool
outcome_is_ok(struct smtp_server *server, enum smtp_auth_outcome outcome)
{
    switch (outcome) {
    case SMTP_AUTH_OK:
        return true;
    case SMTP_AUTH_FAILED:
        server_auth_fail(server, reply_failed);
        break;
    case SMTP_AUTH_TEMPORARY:
        auth_postpone(server);
        break;
    case SMTP_AUTH_THROTTLED:
        server_reply_and_close(server, SMTP_REPLY(421, 4, 7, 0, "Too many attempts, try later"));
        break;
    }
    return false;
}

void
smtp_server_auth_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                        struct str identity)
{
    if (server->state == SMTP_STATE_WAIT_PASSWORD && outcome_is_ok(server, outcome)) {
        auth_succeed(server, identity);
    }
}

void
smtp_server_scram_begin_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                               struct str salt, unsigned iterations)
{
    if (server->state != SMTP_STATE_WAIT_SCRAM_BEGIN || !outcome_is_ok(server, outcome)) {
        return;
    }
    if (salt.n == 0 || salt.n > SASL_SALT_MAX || iterations < SASL_ITERATIONS_MIN) {
        auth_postpone(server);
        return;
    }
    (void)auth_step(server, sasl_scram_begin(&server->auth->exchange, salt, iterations));
}

void
smtp_server_scram_verify_result(struct smtp_server *server, enum smtp_auth_outcome outcome,
                                struct str identity, struct str server_signature)
{
    if (server->state != SMTP_STATE_WAIT_SCRAM_VERIFY || !outcome_is_ok(server, outcome)) {
        return;
    }
    struct sasl_exchange *exchange = &server->auth->exchange;
    exchange->user = arena_str_dup(server->auth->arena, identity);
    if (identity.n == 0 || exchange->user.p == NULL || server_signature.n != SASL_PROOF_LENGTH) {
        auth_postpone(server);
        return;
    }
    (void)auth_step(server, sasl_scram_finish(exchange, server_signature));
}
