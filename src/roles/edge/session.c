/* The SMTP core's actions, carried out. */
#include "roles/edge/connection.h"
#include "roles/edge/login.h"
#include "roles/edge/rcpt.h"
#include "roles/edge/record.h"
#include "roles/edge/request.h"
#include "roles/edge/submit.h"

static const struct smtp_reply reply_busy =
    SMTP_REPLY(452, 4, 3, 1, "Too much mail to hold now; try again later");
static const struct smtp_reply reply_message_rate =
    SMTP_REPLY(450, 4, 7, 1, "Too many messages from your address; try again later");
static const struct smtp_reply reply_network_message_rate =
    SMTP_REPLY(450, 4, 7, 1, "Too many messages from your network; try again later");
static const struct smtp_reply reply_full =
    SMTP_REPLY(421, 4, 3, 1, "No room for the rest of this message; try again later");
static const struct smtp_reply reply_slow =
    SMTP_REPLY(421, 4, 4, 2, "The message comes too slowly; closing");

/* ---- TLS and the greeting */

static void
tell_core_of_tls(struct connection *connection)
{
    struct tls_info info;
    tls_connection_info(connection->tls, &info);
    struct smtp_tls_info facts = {
        .version = str_from_cstr(info.version),
        .cipher = str_from_cstr(info.cipher),
        .bits = info.bits,
        .sni = str_from_cstr(info.server_name),
        .tls_exporter = str_make((const char *)info.exporter, info.exporter_length),
        .server_end_point = str_make((const char *)info.end_point, info.end_point_length),
    };
    record_tls_started(connection, &info);
    smtp_server_tls_started(connection->core, &facts);
}

static bool
on_input_waits(void *context)
{
    return connection_input_waits(context);
}

void
session_begin(struct connection *connection, bool early_talk)
{
    struct smtp_server_hooks hooks = {
        .on_event = record_smtp_event, .input_waits = on_input_waits, .ctx = connection};
    connection->core = smtp_server_create(
        profile_settings(connection->profile, connection->listener, connection->zone),
        &connection->client, connection->client_port, &hooks);
    if (connection->core == NULL) {
        LOG_ERROR("no SMTP session can be made", LOG_CSTR("listener", connection->listener->label));
        connection_close(connection, "limit");
        return;
    }
    if (connection->tls != NULL) {
        tell_core_of_tls(connection);
    }
    if (connection->local_user[0] != '\0') {
        struct str user = str_from_cstr(connection->local_user);
        TRACE(&connection->trace, auth_succeeded, .mechanism = STR("local user"), .user = user);
        smtp_server_identify(connection->core, user);
    }
    if (early_talk) {
        smtp_server_input_before_greeting(connection->core);
    }
    smtp_server_start(connection->core);
}

void
session_tls_started(struct connection *connection)
{
    tell_core_of_tls(connection);
}

/* ---- the envelope */

/* Why a new message cannot be taken now; NULL: it can. */
static const struct smtp_reply *
sender_refusal(struct connection *connection, const char **why_out)
{
    struct edge *edge = connection->edge;
    bool rated = connection->zone == NULL || connection->zone->rate_limits;
    const struct smtp_envelope *envelope = smtp_server_envelope(connection->core);
    if (!edge_memory_admits(edge, envelope->size)) {
        edge->counters.refused_memory++;
        *why_out = "limits.memory";
        return &reply_busy;
    }
    enum admission_verdict verdict =
        rated ? admission_message(&edge->admission_limits, &connection->place, edge_now_ms())
              : ADMISSION_OK;
    if (verdict == ADMISSION_OK) {
        return NULL;
    }
    edge->counters.refused[verdict]++;
    *why_out = admission_limit_name(verdict);
    return verdict == ADMISSION_ADDRESS_MESSAGES ? &reply_message_rate
                                                 : &reply_network_message_rate;
}

static void
check_sender(struct connection *connection, const struct smtp_address *sender)
{
    const char *why = NULL;
    if (transaction_begin(connection) == NULL) {
        smtp_server_sender_result(connection->core, &reply_busy);
        return;
    }
    const struct smtp_reply *refusal = sender_refusal(connection, &why);
    if (refusal != NULL) {
        record_mail_refused(connection, sender, refusal, why);
    }
    smtp_server_sender_result(connection->core, refusal);
}

/* ---- the content */

/* RFC 5321 4.5.3.2 has no least rate; without one, a few octets a minute hold a place for days. */
static bool
comes_too_slowly(const struct connection *connection)
{
    const struct config_limits *limits = &connection->profile->config->limits;
    int64_t elapsed_ms = edge_now_ms() - connection->content_started_ms;
    return limits->data_rate > 0 && elapsed_ms > limits->data_rate_grace_ms &&
           connection->content_octets < limits->data_rate * (uint64_t)elapsed_ms / 1000;
}

static void
give_up_content(struct connection *connection, const struct smtp_reply *reply, const char *reason)
{
    connection->reason = reason;
    connection->noteworthy = true;
    smtp_server_end(connection->core, reply);
}

static void
take_content(struct connection *connection, struct str content)
{
    struct transaction *transaction = connection->transaction;
    transaction->content_size += content.n;
    if (body_append(&transaction->body, content) != STATUS_OK) {
        LOG_ERROR("no room for a message", LOG_CSTR("id", transaction->id),
                  LOG_INT("size", transaction->content_size));
        give_up_content(connection, &reply_full, "limit");
        return;
    }
    connection_charge(connection);
    if (edge_memory_is_spent(connection->edge)) {
        connection->edge->counters.refused_memory++;
        give_up_content(connection, &reply_full, "limit");
    }
}

static void
drop_content(struct connection *connection)
{
    if (connection->transaction != NULL) {
        body_reset(&connection->transaction->body);
    }
}

/* ---- feeding */

static bool
reads_content(const struct connection *connection)
{
    enum smtp_server_state state = smtp_server_state(connection->core);
    return state == SMTP_STATE_DATA || state == SMTP_STATE_CHUNK;
}

/*
 * Octets have come in while the core was reading content. That holds off the time-out whether they
 * are kept or read past: the reply that says why they are refused comes at their end.
 */
static void
note_content(struct connection *connection, size_t n)
{
    if (n == 0) {
        return;
    }
    connection->content_octets += n;
    connection->progressed = true;
    if (reads_content(connection) && comes_too_slowly(connection)) {
        connection->edge->counters.timeouts++;
        give_up_content(connection, &reply_slow, "timeout");
    }
}

/* Carries out an action; true when the core can be fed on at once. */
static bool
session_act(struct connection *connection, const struct smtp_action *action,
            enum connection_need *need_out)
{
    switch (action->kind) {
    case SMTP_ACTION_NONE:
        *need_out = CONNECTION_NEEDS_INPUT;
        return false;
    case SMTP_ACTION_FLUSH:
        *need_out = CONNECTION_NEEDS_ROOM;
        return false;
    case SMTP_ACTION_WAIT:
        *need_out = CONNECTION_NEEDS_ANSWER;
        return false;
    case SMTP_ACTION_START_TLS:
        *need_out = CONNECTION_NEEDS_TLS;
        return false;
    case SMTP_ACTION_CLOSE:
        *need_out = CONNECTION_NEEDS_CLOSE;
        return false;
    case SMTP_ACTION_CHECK_SENDER:
        check_sender(connection, action->sender);
        return true;
    case SMTP_ACTION_CHECK_RECIPIENT:
        rcpt_check(connection, action->recipient);
        return true;
    case SMTP_ACTION_AUTH_PASSWORD:
        login_password(connection, action->password.user, action->password.password);
        return true;
    case SMTP_ACTION_AUTH_SCRAM_BEGIN:
        login_scram_begin(connection, action->scram.user);
        return true;
    case SMTP_ACTION_AUTH_SCRAM_VERIFY:
        login_scram_verify(connection, &action->scram);
        return true;
    case SMTP_ACTION_BODY:
        take_content(connection, action->content);
        return true;
    case SMTP_ACTION_DISCARD:
        drop_content(connection);
        return true;
    case SMTP_ACTION_MESSAGE:
        submit_message(connection, action->message.envelope, action->message.facts);
        return true;
    }
    return false;
}

enum connection_need
session_feed(struct connection *connection, struct str input, size_t *used_out)
{
    enum connection_need need = CONNECTION_NEEDS_INPUT;
    size_t used = 0;
    bool more;
    smtp_server_tls_available(connection->core, signing_is_up(&connection->edge->signing));
    do {
        size_t n = 0;
        bool content = reads_content(connection);
        struct smtp_action action = smtp_server_feed(connection->core, str_skip(input, used), &n);
        used += n;
        more = session_act(connection, &action, &need);
        if (content) {
            note_content(connection, n);
        }
    } while (more);
    record_input_gone(connection);
    *used_out = used;
    return need;
}

void
session_resume(struct connection *connection)
{
    connection->progressed = true;
    connection_run(connection);
    connection_settle(connection);
}
