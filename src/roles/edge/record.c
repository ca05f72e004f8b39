#include "roles/edge/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "roles/edge/record_log.h"

#define MINUTE_MS    60000
#define TLS_TEXT_MAX 161
/* Aliases with more targets are told with the first ones. */
#define EXPANDED_MAX 64u

struct str
record_tls_text(const struct connection *connection, char *out, size_t size)
{
    const struct smtp_session *session = smtp_server_session(connection->core);
    if (!session->tls) {
        return str_make(NULL, 0);
    }
    snprintf(out, size, "%.*s %.*s", STR_ARG(session->tls_info.version),
             STR_ARG(session->tls_info.cipher));
    return str_from_cstr(out);
}

bool
record_refusal_is_told(struct edge *edge)
{
    int64_t now_ms = edge_now_ms();
    int64_t rest_ms = edge->refusals_rest_ms > now_ms ? edge->refusals_rest_ms : now_ms;
    if (rest_ms + MINUTE_MS / RECORD_REFUSALS_PER_MINUTE - now_ms > MINUTE_MS) {
        return false;
    }
    edge->refusals_rest_ms = rest_ms + MINUTE_MS / RECORD_REFUSALS_PER_MINUTE;
    return true;
}

/* ---- replies, by the command they answer */

static bool
verb_is(const struct connection *connection, const char *verb)
{
    return str_eq(connection->verb, str_from_cstr(verb));
}

static void
record_helo(struct connection *connection, const struct smtp_session *session)
{
    static const char *const forms[] = {
        [SMTP_HELO_NONE] = "",
        [SMTP_HELO_DOMAIN] = "domain",
        [SMTP_HELO_LABEL] = "label",
        [SMTP_HELO_LITERAL] = "literal",
        [SMTP_HELO_MALFORMED] = "malformed",
    };
    TRACE(&connection->trace, helo, .verb = connection->verb, .name = session->helo,
          .form = str_from_cstr(forms[session->helo_form]));
}

static struct str
body_name(enum smtp_body body)
{
    return body == SMTP_BODY_8BITMIME ? STR("8BITMIME")
           : body == SMTP_BODY_7BIT   ? STR("7BIT")
                                      : STR("");
}

static struct str
ret_name(enum smtp_dsn_ret ret)
{
    return ret == SMTP_DSN_RET_FULL   ? STR("FULL")
           : ret == SMTP_DSN_RET_HDRS ? STR("HDRS")
                                      : STR("");
}

static void
record_mail_accepted(struct connection *connection)
{
    const struct smtp_session *session = smtp_server_session(connection->core);
    const struct smtp_envelope *envelope = smtp_server_envelope(connection->core);
    char tls[TLS_TEXT_MAX];
    transaction_keep_sender(connection->transaction, envelope->sender.text);
    TRACE(&connection->transaction->trace, mail_accepted, .sender = envelope->sender.text,
          .client = connection->client, .helo = session->helo, .user = session->user,
          .size = (int64_t)envelope->size, .body = body_name(envelope->body),
          .smtputf8 = envelope->smtputf8, .ret = ret_name(envelope->ret), .envid = envelope->envid,
          .tls = record_tls_text(connection, tls, sizeof tls));
}

void
record_mail_refused(struct connection *connection, const struct smtp_address *sender,
                    const struct smtp_reply *reply, const char *why)
{
    char enhanced[RECORD_ENHANCED_MAX];
    connection->recorded = true;
    connection->transaction->answered = true;
    record_log_mail_refused(connection, sender->text, reply, why);
    TRACE(&connection->transaction->trace, mail_refused, .sender = sender->text,
          .client = connection->client, .helo = smtp_server_session(connection->core)->helo,
          .code = reply->code, .enhanced = record_enhanced_text(reply, enhanced),
          .text = reply->text, .why = str_from_cstr(why));
}

static size_t
notify_texts(unsigned notify, struct str texts[static 4])
{
    static const struct {
        unsigned bit;
        const char *name;
    } rows[] = {{SMTP_DSN_NOTIFY_NEVER, "never"},
                {SMTP_DSN_NOTIFY_SUCCESS, "success"},
                {SMTP_DSN_NOTIFY_FAILURE, "failure"},
                {SMTP_DSN_NOTIFY_DELAY, "delay"}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((notify & rows[i].bit) != 0) {
            texts[n++] = str_from_cstr(rows[i].name);
        }
    }
    return n;
}

void
record_recipient_accepted(struct connection *connection, const struct smtp_recipient *recipient,
                          const struct recipient_outcome *outcome, const char *why)
{
    struct str expanded[EXPANDED_MAX];
    struct str notify[4];
    size_t n = 0;
    for (size_t i = 0; outcome->is_expanded && i < outcome->target_count && n < EXPANDED_MAX; i++) {
        expanded[n++] = outcome->targets[i].address;
    }
    size_t notify_count = notify_texts(recipient->notify, notify);
    TRACE(&connection->transaction->trace, recipient_accepted, .address = recipient->address.text,
          .why = str_from_cstr(why), .expanded = {expanded, n}, .notify = {notify, notify_count},
          .orcpt = recipient->orcpt);
}

void
record_recipient_refused(struct connection *connection, struct str address,
                         const struct smtp_reply *reply, const char *why)
{
    char enhanced[RECORD_ENHANCED_MAX];
    connection->recorded = true;
    connection->edge->counters.recipients_refused++;
    record_log_recipient_refused(connection, address, reply, why);
    TRACE(&connection->transaction->trace, recipient_refused, .address = address,
          .code = reply->code, .enhanced = record_enhanced_text(reply, enhanced),
          .text = reply->text, .why = str_from_cstr(why));
}

static void
record_auth(struct connection *connection, const struct smtp_reply *reply)
{
    const struct smtp_session *session = smtp_server_session(connection->core);
    struct edge_counters *counters = &connection->edge->counters;
    if (reply->code == 235) {
        counters->auth_succeeded++;
        TRACE(&connection->trace, auth_succeeded, .mechanism = connection->mechanism,
              .user = session->user);
        return;
    }
    bool cancelled = reply->code == 501 && reply->enhanced.subject == 7;
    counters->auth_failed += cancelled ? 0 : 1;
    connection->noteworthy = true;
    const char *reason = connection->why != NULL ? connection->why
                         : cancelled             ? "cancelled"
                         : reply->code == 535    ? "failed"
                         : reply->code == 454    ? "temporary"
                                                 : "malformed";
    TRACE(&connection->trace, auth_failed, .mechanism = connection->mechanism,
          .user = str_from_cstr(connection->claimed_user), .reason = str_from_cstr(reason),
          .code = reply->code);
}

/*
 * What the client does while it has a message under way belongs to that message: in a fast dialogue
 * several have the same millisecond, and time alone could not tell them apart.
 */
static struct trace *
trace_of(struct connection *connection)
{
    return connection->transaction != NULL ? &connection->transaction->trace : &connection->trace;
}

static void
record_refused_command(struct connection *connection, const struct smtp_reply *reply)
{
    char enhanced[RECORD_ENHANCED_MAX];
    connection->noteworthy = true;
    if (verb_is(connection, "MAIL")) {
        record_log_mail_refused(connection, connection->argument, reply, connection->why);
    }
    TRACE(trace_of(connection), command_refused, .verb = connection->verb, .code = reply->code,
          .enhanced = record_enhanced_text(reply, enhanced), .text = reply->text);
}

/* The end of content: the filter's answer, or our own refusal before it was asked. */
static void
record_content_end(struct connection *connection, const struct smtp_reply *reply)
{
    struct transaction *transaction = connection->transaction;
    struct edge_counters *counters = &connection->edge->counters;
    char enhanced[RECORD_ENHANCED_MAX];
    transaction->answered = true;
    if (smtp_reply_is_positive(reply)) {
        counters->messages++;
        record_log_accepted(connection, reply);
    } else {
        counters->messages_refused++;
        record_log_content_refused(connection, reply, connection->why);
    }
    if (transaction->submitted) {
        TRACE(&transaction->trace, message_answered, .code = reply->code,
              .enhanced = record_enhanced_text(reply, enhanced), .text = reply->text);
        return;
    }
    TRACE(&transaction->trace, content_refused, .code = reply->code,
          .enhanced = record_enhanced_text(reply, enhanced), .text = reply->text,
          .why = str_from_cstr(connection->why), .size = (int64_t)transaction->content_size);
}

/* The message's data begins; of BDAT the first chunk, or one that belongs to no message. */
static void
content_begins(struct connection *connection)
{
    struct transaction *transaction = connection->transaction;
    if (transaction == NULL || !transaction->content_started) {
        connection->content_started_ms = edge_now_ms();
        connection->content_octets = 0;
    }
    if (transaction != NULL && !transaction->content_started) {
        transaction->content_started = true;
        TRACE(&transaction->trace, content_started, .verb = connection->verb);
    }
}

static const char *
abandon_reason(const struct connection *connection)
{
    static const struct {
        const char *verb;
        const char *reason;
    } rows[] = {{"RSET", "rset"}, {"EHLO", "helo"}, {"HELO", "helo"}, {"QUIT", "quit"}};
    for (size_t i = 0; connection->reason == NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (verb_is(connection, rows[i].verb)) {
            return rows[i].reason;
        }
    }
    return connection->reason != NULL ? connection->reason : "reset";
}

/* The core has let go of its transaction: so does the edge. */
static void
transaction_over(struct connection *connection)
{
    struct transaction *transaction = connection->transaction;
    if (!transaction->answered) {
        TRACE(&transaction->trace, transaction_abandoned,
              .reason = str_from_cstr(abandon_reason(connection)));
    }
    transaction_destroy(connection);
}

/* Whether this reply is the answer to the content; not 354, nor the answer to one chunk of it. */
static bool
ends_content(const struct connection *connection, const struct smtp_reply *reply)
{
    const struct transaction *transaction = connection->transaction;
    bool chunk_taken = reply->code == 250 && smtp_server_envelope(connection->core) != NULL;
    return transaction != NULL && transaction->content_started && !transaction->answered &&
           (verb_is(connection, "DATA") || verb_is(connection, "BDAT")) && !chunk_taken;
}

static void
record_positive_reply(struct connection *connection, const struct smtp_reply *reply)
{
    if (connection->commands == 0) {
        TRACE(&connection->trace, greeted, .code = reply->code, .text = reply->text,
              .delay_ms = edge_now_ms() - connection->opened_ms);
    } else if (verb_is(connection, "MAIL") && connection->transaction != NULL) {
        record_mail_accepted(connection);
    } else if (verb_is(connection, "EHLO") || verb_is(connection, "HELO")) {
        record_helo(connection, smtp_server_session(connection->core));
    }
}

/* What is recorded already, or is not about the last command, is left out here. */
static void
record_reply(struct connection *connection, const struct smtp_reply *reply)
{
    bool ended_from_outside = connection->reason != NULL;
    if (connection->recorded || ended_from_outside) {
        connection->recorded = false;
    } else if (ends_content(connection, reply)) {
        record_content_end(connection, reply);
    } else if (verb_is(connection, "AUTH") && reply->code != 334) {
        record_auth(connection, reply);
    } else if (smtp_reply_is_positive(reply)) {
        record_positive_reply(connection, reply);
    } else if (verb_is(connection, "RCPT") && connection->transaction != NULL) {
        record_recipient_refused(connection, connection->argument, reply,
                                 reply->code == 452 ? "limit" : "syntax");
        connection->recorded = false;
    } else {
        record_refused_command(connection, reply);
    }
    connection->why = NULL;
    if (connection->reason == NULL) {
        connection->reason = connection->breach;
    }
    if (connection->transaction != NULL && smtp_server_envelope(connection->core) == NULL) {
        transaction_over(connection);
    }
}

/* ---- the hook */

static void
record_command(struct connection *connection, const struct smtp_event *event)
{
    connection->commands++;
    connection->verb = event->verb;
    connection->argument = event->argument;
    connection->why = NULL;
    if (verb_is(connection, "AUTH")) {
        free(connection->claimed_user);
        connection->claimed_user = NULL;
        connection->mechanism = event->argument;
    }
}

static void
record_anomaly(struct connection *connection, enum smtp_anomaly anomaly)
{
    struct str what = str_from_cstr(smtp_anomaly_name(anomaly));
    connection->noteworthy = true;
    connection->why = what.p;
    if (anomaly == SMTP_ANOMALY_EARLY_TALK) {
        return; /* told with its own event, which knows how much it was */
    }
    if (anomaly == SMTP_ANOMALY_OUT_OF_TURN || anomaly == SMTP_ANOMALY_NOT_SMTP) {
        connection->breach = what.p;
        connection->edge->counters.refused_breach++;
    }
    bool tolerated = anomaly == SMTP_ANOMALY_PATH_FORM || anomaly == SMTP_ANOMALY_AFTER_STARTTLS;
    TRACE(trace_of(connection), anomaly, .what = what, .refused = !tolerated);
    if (tolerated) {
        connection->why = NULL;
    }
}

static void
record_state(struct connection *connection, enum smtp_server_state to)
{
    if (to == SMTP_STATE_DATA || to == SMTP_STATE_CHUNK) {
        content_begins(connection);
    }
    if (connection->transaction != NULL && to == SMTP_STATE_CLOSING &&
        smtp_server_envelope(connection->core) == NULL) {
        transaction_over(connection);
    }
}

void
record_smtp_event(void *context, const struct smtp_event *event)
{
    struct connection *connection = context;
    switch (event->kind) {
    case SMTP_EVENT_STATE:
        record_state(connection, event->to);
        break;
    case SMTP_EVENT_COMMAND:
        record_command(connection, event);
        break;
    case SMTP_EVENT_REPLY:
        record_reply(connection, event->reply);
        break;
    case SMTP_EVENT_ANOMALY:
        record_anomaly(connection, event->anomaly);
        break;
    }
}

void
record_input_gone(struct connection *connection)
{
    connection->argument = str_make(NULL, 0);
}

/* ---- told by others */

void
record_tls_started(struct connection *connection, const struct tls_info *info)
{
    TRACE(&connection->trace, tls_started, .version = str_from_cstr(info->version),
          .cipher = str_from_cstr(info->cipher), .bits = info->bits,
          .sni = str_from_cstr(info->server_name), .implicit = connection->commands == 0,
          .resumed = info->resumed);
}

void
record_content(struct connection *connection, const struct smtp_content_facts *facts)
{
    TRACE(&connection->transaction->trace, content_received, .size = (int64_t)facts->size,
          .lines = (int64_t)facts->lines, .longest_line = (int64_t)facts->longest_line,
          .has_8bit = facts->has_8bit, .bare_line_ends = facts->has_bare_lf,
          .chunked = facts->chunked, .received_count = facts->received_count);
}

static void
log_connection(const struct connection *connection, const char *state, int64_t messages)
{
    const struct smtp_session *session =
        connection->core != NULL ? smtp_server_session(connection->core) : NULL;
    char client[IP_TEXT_MAX];
    char tls[TLS_TEXT_MAX];
    /* Scanners that only look are counted, not logged. */
    bool told = connection->noteworthy || connection->commands > 0;
    LOG_AT(told ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "connection closed",
           LOG_CSTR("session", connection->id),
           LOG_CSTR("client", ip_format(&connection->client, client)),
           LOG_CSTR("listener", connection->listener->label),
           LOG_STR("helo", session != NULL ? session->helo : STR("")),
           LOG_STR("tls", session != NULL ? record_tls_text(connection, tls, sizeof tls) : STR("")),
           LOG_STR("user", session != NULL ? session->user : STR("")),
           LOG_CSTR("reason", connection->reason), LOG_CSTR("state", state),
           LOG_INT("commands", connection->commands), LOG_INT("messages", messages),
           LOG_INT("octets_in", connection->octets_in),
           LOG_INT("octets_out", connection->octets_out),
           LOG_INT("duration_ms", edge_now_ms() - connection->opened_ms));
}

void
record_session_so_far(struct connection *connection)
{
    struct str id = str_from_cstr(connection->id);
    trace_sender_add(connection->edge->traces, id, id, &connection->trace);
}

void
record_connection_closed(struct connection *connection)
{
    struct smtp_server *core = connection->core;
    const char *state =
        core != NULL ? smtp_server_state_name(smtp_server_state(core)) : "connected";
    int64_t messages = core != NULL ? smtp_server_session(core)->messages : 0;
    if (connection->transaction != NULL) {
        transaction_over(connection);
    }
    log_connection(connection, state, messages);
    if (!connection->noteworthy && connection->commands == 0) {
        return;
    }
    TRACE(&connection->trace, connection_closed, .reason = str_from_cstr(connection->reason),
          .state = str_from_cstr(state), .commands = connection->commands, .messages = messages,
          .octets_in = (int64_t)connection->octets_in,
          .octets_out = (int64_t)connection->octets_out,
          .duration_ms = edge_now_ms() - connection->opened_ms);
    record_session_so_far(connection);
}

void
record_send_events(struct edge *edge, struct str id, const struct connection *connection,
                   struct str events)
{
    struct trace copy;
    trace_init(&copy, NULL);
    if (trace_append(&copy, events) == STATUS_OK) {
        trace_sender_add(edge->traces, id, str_from_cstr(connection->id), &copy);
    }
    trace_free(&copy);
}
