#include "roles/edge/rcpt.h"

#include <stdlib.h>

#include "policy/recipient.h"
#include "roles/edge/record.h"
#include "roles/edge/request.h"
#include "roles/vault/vault.h"
#include "smtp/params.h"

/* Questions and answers of one recipient: the largest alias with all its targets. */
#define RESOLUTION_CEILING (2u * 1024u * 1024u)
/* Rounds of questions: each goes one alias deeper or from a name to the one before its plus. */
#define ROUNDS_MAX         (2u * CONFIG_ALIAS_DEPTH_MAX + 4u)

struct known {
    struct known *next;
    struct resolution *resolution;
    bool utf8; /* whether the route takes UTF-8; the kind says nothing then */
    enum recipient_question_kind kind;
    struct str address;
    enum recipient_answer answer;
    struct str sender; /* SRS: who it leads to */
};

/* One recipient in question. Lives until its last answer has come. */
struct resolution {
    struct connection *connection; /* NULL: gone, or the transaction is over */
    struct arena *arena;           /* holds this struct too */
    struct smtp_recipient recipient;
    struct known *known;
    size_t pending;
    unsigned rounds;
    bool needs_utf8; /* a next hop without SMTPUTF8 could not be told this address */
};

static void rcpt_resolve(struct resolution *resolution);

static void
resolution_free(struct resolution *resolution)
{
    struct arena *arena = resolution->arena;
    arena_destroy(&arena);
}

void
rcpt_forget(struct transaction *transaction)
{
    struct resolution *resolution = transaction->resolution;
    transaction->resolution = NULL;
    if (resolution == NULL) {
        return;
    }
    resolution->connection = NULL;
    if (resolution->pending == 0) {
        resolution_free(resolution);
    }
}

size_t
rcpt_memory(const struct transaction *transaction)
{
    return transaction->resolution != NULL ? arena_held(transaction->resolution->arena) : 0;
}

/* The end of a resolution: answers the core, which may end the whole transaction. */
static void
rcpt_finish(struct resolution *resolution, const struct smtp_reply *refusal, const char *why)
{
    struct connection *connection = resolution->connection;
    connection->transaction->resolution = NULL;
    if (refusal != NULL) {
        record_recipient_refused(connection, resolution->recipient.address.text, refusal, why);
    }
    smtp_server_recipient_result(connection->core, refusal);
    resolution->connection = NULL;
    if (resolution->pending == 0) {
        resolution_free(resolution); /* else the last answer does, which is for nobody any more */
    }
}

/* ---- asking */

static void
take_answer(struct known *known, enum recipient_answer answer)
{
    struct resolution *resolution = known->resolution;
    struct connection *connection = resolution->connection;
    known->answer = answer;
    if (--resolution->pending > 0) {
        return;
    }
    if (connection == NULL) {
        resolution_free(resolution);
        return;
    }
    rcpt_resolve(resolution);
    session_resume(connection);
}

static void
on_lookup_reply(void *context, enum status status, struct ipc_message *reply)
{
    enum recipient_answer answer = RECIPIENT_ANSWER_FAILED;
    if (status == STATUS_OK) {
        answer = MSG_BODY(reply, recipient_lookup_reply)->exists ? RECIPIENT_ANSWER_YES
                                                                 : RECIPIENT_ANSWER_NO;
    }
    ipc_message_free(&reply);
    take_answer(context, answer);
}

/* What the next hop said: only a plain yes or no counts. */
static void
on_callout_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct known *known = context;
    uint16_t code = status == STATUS_OK ? MSG_BODY(reply, callout_reply)->code : 0;
    if (code >= 500 && !known->utf8 && !str_is_ascii(known->address) &&
        str_eq(MSG_BODY(reply, callout_reply)->enhanced, STR("5.6.7"))) {
        known->resolution->needs_utf8 = true;
    }
    ipc_message_free(&reply);
    take_answer(context, code >= 200 && code < 300   ? RECIPIENT_ANSWER_YES
                         : code >= 500 && code < 600 ? RECIPIENT_ANSWER_NO
                                                     : RECIPIENT_ANSWER_FAILED);
}

static enum recipient_answer
answer_of_srs(enum vault_srs_outcome outcome)
{
    switch (outcome) {
    case VAULT_SRS_DONE:
        return RECIPIENT_ANSWER_YES;
    case VAULT_SRS_FOREIGN:
        return RECIPIENT_ANSWER_NO;
    case VAULT_SRS_FORGED:
        return RECIPIENT_ANSWER_FORGED;
    case VAULT_SRS_EXPIRED:
        return RECIPIENT_ANSWER_EXPIRED;
    case VAULT_SRS_FAILED:
        break;
    }
    return RECIPIENT_ANSWER_FAILED;
}

static void
on_srs_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct known *known = context;
    enum recipient_answer answer = RECIPIENT_ANSWER_FAILED;
    if (status == STATUS_OK) {
        const struct msg_srs_reply *fields = MSG_BODY(reply, srs_reply);
        answer = answer_of_srs((enum vault_srs_outcome)fields->outcome);
        known->sender = arena_str_dup(known->resolution->arena, fields->address);
        if (answer == RECIPIENT_ANSWER_YES && known->sender.p == NULL) {
            answer = RECIPIENT_ANSWER_FAILED;
        }
    }
    ipc_message_free(&reply);
    take_answer(known, answer);
}

static enum status
send_question(struct known *known, const struct config_domain *domain)
{
    struct connection *connection = known->resolution->connection;
    struct edge *edge = connection->edge;
    if (!known->utf8 && known->kind == RECIPIENT_QUESTION_SRS) {
        struct msg_srs srs = {
            .direction = VAULT_SRS_REVERSE, .address = known->address, .domain = domain->name};
        return channel_request(edge->vault, MSG_SRS, &srs, REQUEST_VAULT_TIMEOUT_MS, on_srs_reply,
                               known);
    }
    if (!known->utf8 && known->kind == RECIPIENT_QUESTION_USER) {
        struct msg_recipient_lookup lookup = {.name = known->address};
        return channel_request(edge->ledger, MSG_RECIPIENT_LOOKUP, &lookup,
                               REQUEST_LEDGER_TIMEOUT_MS, on_lookup_reply, known);
    }
    int64_t timeout = connection->profile->config->callout.timeout_ms + REQUEST_RELAY_MARGIN_MS;
    struct msg_callout callout = {.address = known->address,
                                  .domain = domain != NULL ? domain->name : STR(""),
                                  .utf8 = known->utf8};
    return channel_request(edge->relay, MSG_CALLOUT, &callout, (int)timeout, on_callout_reply,
                           known);
}

/* False when there is no room for it. `utf8`: not who it is, but whether its route takes UTF-8. */
static bool
rcpt_ask(struct resolution *resolution, const struct recipient_question *question, bool utf8)
{
    struct known *known = arena_alloc(resolution->arena, sizeof *known);
    if (known == NULL) {
        return false;
    }
    known->resolution = resolution;
    known->kind = question->kind;
    known->utf8 = utf8;
    known->address = question->address; /* in the same arena */
    known->answer = RECIPIENT_ANSWER_PENDING;
    known->sender = (struct str){0};
    known->next = resolution->known;
    resolution->known = known;
    if (send_question(known, question->domain) == STATUS_OK) {
        resolution->pending++;
    } else {
        known->answer = RECIPIENT_ANSWER_FAILED;
        resolution->connection->edge->counters.peer_failures++;
    }
    return true;
}

static const struct known *
known_find(const struct resolution *resolution, const struct recipient_question *question,
           bool utf8)
{
    const struct known *known = resolution->known;
    while (known != NULL && (known->utf8 != utf8 || known->kind != question->kind ||
                             !str_eq(known->address, question->address))) {
        known = known->next;
    }
    return known;
}

static enum recipient_answer
known_answer(void *context, const struct recipient_question *question, struct str *address_out)
{
    const struct known *known = known_find(context, question, false);
    if (known != NULL && known->kind == RECIPIENT_QUESTION_SRS) {
        *address_out = known->sender;
    }
    return known != NULL ? known->answer : RECIPIENT_ANSWER_PENDING;
}

/* ---- the outcome */

/* "rfc822;bob@example.com", encoded as it travels (RFC 3461 4.2). */
static struct str
orcpt_text(struct arena *arena, const struct smtp_recipient *recipient)
{
    if (recipient->orcpt_type.n == 0) {
        return str_make(NULL, 0);
    }
    struct str encoded = smtp_xtext_encode(arena, recipient->orcpt);
    return arena_printf(arena, "%.*s;%.*s", STR_ARG(recipient->orcpt_type), STR_ARG(encoded));
}

static enum status
add_targets(struct resolution *resolution, const struct recipient_outcome *outcome)
{
    struct transaction *transaction = resolution->connection->transaction;
    const struct smtp_recipient *recipient = &resolution->recipient;
    struct record_recipient target = {
        .original = recipient->address.text,
        .orcpt = orcpt_text(resolution->arena, recipient),
        .notify = (uint8_t)recipient->notify,
    };
    size_t const before = transaction->target_count;
    size_t const octets_before = transaction->target_octets;
    for (size_t i = 0; i < outcome->target_count; i++) {
        target.address = outcome->targets[i].address;
        target.local = outcome->targets[i].domain != NULL;
        enum status status = transaction_add_target(transaction, &target);
        if (status != STATUS_OK) {
            transaction->target_count = before;
            transaction->target_octets = octets_before;
            return status;
        }
    }
    return STATUS_OK;
}

static const char *
acceptance_reason(const struct resolution *resolution, const struct recipient_outcome *outcome)
{
    const struct recipient_target *first = &outcome->targets[0];
    if (outcome->is_reversed) {
        return "srs";
    }
    if (outcome->is_expanded) {
        return smtp_address_is_postmaster(&resolution->recipient.address) ? "postmaster" : "alias";
    }
    if (first->domain == NULL) {
        return "relay";
    }
    return first->user.n > 0 ? "user" : config_recipients_name(first->domain->recipients);
}

static void
warn_of_missing(const struct resolution *resolution, const struct recipient_outcome *outcome)
{
    for (size_t i = 0; i < outcome->missing_count; i++) {
        LOG_WARN("the target of an alias does not exist",
                 LOG_STR("alias", resolution->recipient.address.text),
                 LOG_STR("target", outcome->missing[i]));
    }
}

static void
rcpt_accept(struct resolution *resolution, const struct recipient_outcome *outcome)
{
    static const struct smtp_reply too_many =
        SMTP_REPLY(452, 4, 5, 3, "Too many recipients for one message; send the others again");
    struct connection *connection = resolution->connection;
    warn_of_missing(resolution, outcome);
    if (add_targets(resolution, outcome) != STATUS_OK) {
        rcpt_finish(resolution, &too_many, "limit");
        return;
    }
    record_recipient_accepted(connection, &resolution->recipient, outcome,
                              acceptance_reason(resolution, outcome));
    rcpt_finish(resolution, NULL, NULL);
}

/* ---- addresses that are not ASCII, and routes that do not take them (RFC 6531 3.2) */

static const struct smtp_reply no_utf8 =
    SMTP_REPLY(553, 5, 6, 7, "The next server does not take addresses with letters beyond ASCII");

static bool
has_domain_of_earlier(const struct recipient_outcome *outcome, size_t index)
{
    struct str address = outcome->targets[index].address;
    struct str domain = str_skip(address, str_rfind_char(address, '@') + 1);
    for (size_t i = 0; i < index; i++) {
        struct str other = outcome->targets[i].address;
        if (str_eq_nocase(str_skip(other, str_rfind_char(other, '@') + 1), domain)) {
            return true;
        }
    }
    return false;
}

/*
 * Asks for each target's route whether what the envelope says can be said there; what cannot be
 * found out is taken, and its sender hears of it later. False: it waits for answers, or is over.
 */
static bool
routes_take_it(struct resolution *resolution, const struct recipient_outcome *outcome)
{
    struct str sender = smtp_server_envelope(resolution->connection->core)->sender.text;
    for (size_t i = 0; i < outcome->target_count; i++) {
        struct recipient_question question = {.kind = RECIPIENT_QUESTION_CALLOUT,
                                              .address = outcome->targets[i].address,
                                              .domain = outcome->targets[i].domain};
        bool plain = str_is_ascii(sender) && str_is_ascii(question.address);
        if (plain || (!str_is_ascii(sender) && has_domain_of_earlier(outcome, i))) {
            continue;
        }
        const struct known *known = known_find(resolution, &question, true);
        if (known == NULL && !rcpt_ask(resolution, &question, true)) {
            struct smtp_reply reply = smtp_reply_for_status(STATUS_LIMIT);
            rcpt_finish(resolution, &reply, "limit");
            return false;
        }
        if (known != NULL && known->answer == RECIPIENT_ANSWER_NO) {
            rcpt_finish(resolution, &no_utf8, "smtputf8");
            return false;
        }
    }
    return resolution->pending == 0;
}

static const char *
refusal_reason(enum recipient_verdict verdict)
{
    switch (verdict) {
    case RECIPIENT_UNKNOWN:
        return "unknown";
    case RECIPIENT_NO_RELAY:
        return "relay_denied";
    case RECIPIENT_LIMIT:
        return "limit";
    case RECIPIENT_FORGED:
        return "srs_forged";
    case RECIPIENT_EXPIRED:
        return "srs_expired";
    case RECIPIENT_ACCEPT:
    case RECIPIENT_ASK:
    case RECIPIENT_TRY_LATER:
    case RECIPIENT_NO_POSTMASTER:
        break;
    }
    return "temporary";
}

static bool
may_relay(const struct connection *connection)
{
    return smtp_server_session(connection->core)->user.n > 0 ||
           (connection->zone != NULL && connection->zone->relay);
}

/* One round: resolves with what is known; asks what is missing, or answers the core. */
static enum status
rcpt_round(struct resolution *resolution, struct recipient_outcome *outcome_out)
{
    struct connection *connection = resolution->connection;
    struct recipient_request request = {
        .config = connection->profile->config,
        .address = &resolution->recipient.address,
        .may_relay = may_relay(connection),
        .answer = known_answer,
        .context = resolution,
    };
    enum status status = recipient_resolve(&request, resolution->arena, outcome_out);
    if (status == STATUS_OK && outcome_out->verdict == RECIPIENT_ASK &&
        resolution->rounds++ == ROUNDS_MAX) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; status == STATUS_OK && i < outcome_out->question_count; i++) {
        const struct recipient_question *question = &outcome_out->questions[i];
        /* Two aliases may lead to the same name. */
        if (known_find(resolution, question, false) == NULL &&
            !rcpt_ask(resolution, question, false)) {
            status = STATUS_LIMIT;
        }
    }
    return status;
}

static void
rcpt_resolve(struct resolution *resolution)
{
    struct recipient_outcome outcome = {.verdict = RECIPIENT_TRY_LATER};
    enum status status;
    do {
        status = rcpt_round(resolution, &outcome);
        if (resolution->pending > 0) {
            return; /* take_answer goes on */
        }
        /* Questions that could not be sent are answered: look again. */
    } while (status == STATUS_OK && outcome.verdict == RECIPIENT_ASK);
    if (status != STATUS_OK) {
        struct smtp_reply reply = smtp_reply_for_status(status);
        rcpt_finish(resolution, &reply, "limit");
    } else if (outcome.verdict == RECIPIENT_ACCEPT) {
        if (routes_take_it(resolution, &outcome)) {
            rcpt_accept(resolution, &outcome);
        }
    } else if (outcome.verdict == RECIPIENT_UNKNOWN && resolution->needs_utf8) {
        rcpt_finish(resolution, &no_utf8, "smtputf8");
    } else {
        struct smtp_reply reply = recipient_reply(outcome.verdict);
        if (outcome.verdict == RECIPIENT_NO_POSTMASTER) {
            LOG_ERROR("nobody would get the mail to postmaster or abuse; add the user that "
                      "bounce.postmaster names",
                      LOG_STR("recipient", resolution->recipient.address.text));
        }
        rcpt_finish(resolution, &reply, refusal_reason(outcome.verdict));
    }
}

/* False when there is no room for more recipients; then the core has been answered. */
static bool
memory_admits(struct connection *connection, const struct smtp_recipient *recipient)
{
    static const struct smtp_reply busy =
        SMTP_REPLY(452, 4, 3, 1, "Too much mail to hold now; try again later");
    connection_charge(connection);
    if (edge_memory_admits(connection->edge, 0)) {
        return true;
    }
    connection->edge->counters.refused_memory++;
    record_recipient_refused(connection, recipient->address.text, &busy, "limits.memory");
    smtp_server_recipient_result(connection->core, &busy);
    return false;
}

void
rcpt_check(struct connection *connection, const struct smtp_recipient *recipient)
{
    if (!memory_admits(connection, recipient)) {
        return;
    }
    struct arena *arena = arena_create(RESOLUTION_CEILING);
    struct resolution *resolution = arena_alloc(arena, sizeof *resolution);
    if (resolution == NULL ||
        smtp_address_dup(arena, &recipient->address, &resolution->recipient.address) != STATUS_OK) {
        struct smtp_reply reply = smtp_reply_for_status(STATUS_LIMIT);
        arena_destroy(&arena);
        smtp_server_recipient_result(connection->core, &reply);
        return;
    }
    resolution->arena = arena;
    resolution->connection = connection;
    resolution->recipient.notify = recipient->notify;
    resolution->recipient.orcpt_type = arena_str_dup(arena, recipient->orcpt_type);
    resolution->recipient.orcpt = arena_str_dup(arena, recipient->orcpt);
    connection->transaction->resolution = resolution;
    rcpt_resolve(resolution);
}
