/* MAIL and RCPT: the envelope. */
#include "smtp/params.h"
#include "smtp/server_internal.h"

#define RECIPIENTS_ROOM_FIRST 4u
/* What one more recipient may need in the transaction's arena; less left: 452. */
#define RECIPIENT_COST_MAX    8192u

struct path_texts {
    struct str keyword;         /* "FROM:" */
    struct smtp_reply syntax;   /* the path is none */
    struct smtp_reply too_long; /* RFC 5321 4.5.3.1.3 */
    struct smtp_reply utf8;     /* RFC 6531 3.5: not without SMTPUTF8 */
};

static const struct path_texts mail_texts = {
    STR_INIT("FROM:"),
    SMTP_REPLY(501, 5, 1, 7, "Sender address is malformed"),
    SMTP_REPLY(501, 5, 1, 7, "Sender address is too long"),
    SMTP_REPLY(550, 5, 6, 7, "Sender address needs SMTPUTF8"),
};

static const struct path_texts rcpt_texts = {
    STR_INIT("TO:"),
    SMTP_REPLY(501, 5, 1, 3, "Recipient address is malformed"),
    SMTP_REPLY(501, 5, 1, 3, "Recipient address is too long"),
    SMTP_REPLY(550, 5, 6, 7, "Recipient address needs SMTPUTF8"),
};

static struct smtp_param_rules
param_rules(const struct smtp_server_settings *settings)
{
    return (struct smtp_param_rules){.dsn = settings->dsn,
                                     .smtputf8 = settings->smtputf8,
                                     .auth = settings->auth != 0,
                                     .message_size = settings->limits.message_size};
}

/*
 * "FROM:" or "TO:" and the path; what follows is left in *rest. Replies and returns false when it
 * is wrong. RFC 5321 3.3 has no blank behind the colon, and a path has angle brackets; many clients
 * differ, and there is only one way to read them, so that both pass unless strict_paths is set.
 */
static bool
take_path(struct smtp_server *server, const struct path_texts *texts, unsigned flags,
          struct smtp_address *address, struct str *rest)
{
    const struct smtp_server_settings *settings = server->settings;
    struct str path = str_trim(str_skip(*rest, texts->keyword.n));
    if (!str_starts_with_nocase(*rest, texts->keyword) || path.n == 0) {
        /* The grammar names the command "MAIL FROM:" with a path: this is another one. */
        server_reply(server,
                     SMTP_REPLY(500, 5, 5, 2, "Syntax: MAIL FROM:<path> or RCPT TO:<path>"));
        return false;
    }
    bool odd = path.p != rest->p + texts->keyword.n || path.p[0] != '<';
    if (odd) {
        server_note(server, SMTP_ANOMALY_PATH_FORM);
        flags |= SMTP_ADDRESS_UNBRACKETED;
    }
    flags |= settings->long_local_parts ? SMTP_ADDRESS_LONG_LOCAL : 0u;
    enum status status =
        odd && settings->strict_paths
            ? STATUS_SYNTAX
            : smtp_path_parse(server->transaction->arena, path, flags, address, rest);
    if (status != STATUS_OK) {
        server_reply(server, status == STATUS_LIMIT    ? texts->too_long
                             : status == STATUS_DENIED ? texts->utf8
                                                       : texts->syntax);
    }
    return status == STATUS_OK;
}

/* ---- MAIL ---- */

static bool
transaction_begin(struct smtp_server *server)
{
    struct arena *arena = arena_create(SMTP_SERVER_TRANSACTION_CEILING);
    server->transaction = arena_alloc(arena, sizeof *server->transaction);
    if (server->transaction == NULL) {
        arena_destroy(&arena);
        server_reply(server, smtp_reply_for_status(STATUS_LIMIT));
        return false;
    }
    server->transaction->arena = arena;
    return true;
}

/* Reads the command into the new transaction; false after a reply. */
static bool
mail_read(struct smtp_server *server, struct str argument)
{
    struct smtp_envelope *envelope = &server->transaction->envelope;
    struct smtp_param_rules rules = param_rules(server->settings);
    /* SMTPUTF8 comes behind the path it allows. */
    unsigned flags = SMTP_ADDRESS_NULL | (rules.smtputf8 ? SMTP_ADDRESS_UTF8 : 0u);
    struct str rest = argument;
    if (!take_path(server, &mail_texts, flags, &envelope->sender, &rest)) {
        return false;
    }
    struct str path = str_head(argument, argument.n - rest.n);
    struct smtp_reply reply;
    if (!smtp_mail_params_parse(server->transaction->arena, rest, &rules, envelope, &reply)) {
        server_reply(server, reply);
        return false;
    }
    if (!envelope->smtputf8 && !str_is_ascii(path)) {
        server_reply(server, mail_texts.utf8);
        return false;
    }
    return true;
}

struct smtp_action
server_mail(struct smtp_server *server, struct str argument)
{
    unsigned most = server->settings->limits.transactions;
    if (most != 0 && server->session.transactions >= most) {
        /* RFC 9422 4.1: the client may come back on another connection. */
        server_reply_and_close(server, SMTP_REPLY(421, 4, 7, 0, "Too many messages, reconnect"));
        return server_no_action();
    }
    if (!transaction_begin(server)) {
        return server_no_action();
    }
    if (!mail_read(server, argument)) {
        server_transaction_end(server);
        return server_no_action();
    }
    server->session.transactions++;
    server_set_state(server, SMTP_STATE_WAIT_SENDER);
    return (struct smtp_action){.kind = SMTP_ACTION_CHECK_SENDER,
                                .sender = &server->transaction->envelope.sender};
}

void
smtp_server_sender_result(struct smtp_server *server, const struct smtp_reply *reply)
{
    if (server->state != SMTP_STATE_WAIT_SENDER) {
        return;
    }
    if (reply == NULL) {
        server_set_state(server, SMTP_STATE_MAIL);
        server_reply(server, SMTP_REPLY(250, 2, 1, 0, "Sender ok"));
        return;
    }
    server_transaction_end(server);
    server_set_state(server, SMTP_STATE_READY);
    server_reply(server, server_refusal(reply));
}

/* ---- RCPT ---- */

static bool
rcpt_read(struct smtp_server *server, struct str argument)
{
    struct transaction *transaction = server->transaction;
    struct smtp_recipient *candidate = &transaction->candidate;
    struct smtp_param_rules rules = param_rules(server->settings);
    unsigned flags =
        SMTP_ADDRESS_POSTMASTER | (transaction->envelope.smtputf8 ? SMTP_ADDRESS_UTF8 : 0u);
    struct str rest = argument;
    struct smtp_reply reply;
    *candidate = (struct smtp_recipient){.notify = 0};
    if (!take_path(server, &rcpt_texts, flags, &candidate->address, &rest)) {
        return false;
    }
    if (!smtp_rcpt_params_parse(transaction->arena, rest, &rules, transaction->envelope.smtputf8,
                                candidate, &reply)) {
        server_reply(server, reply);
        return false;
    }
    return true;
}

/* Room for one more in the envelope's array. */
static bool
recipients_grow(struct transaction *transaction)
{
    struct smtp_envelope *envelope = &transaction->envelope;
    if (envelope->recipient_count < transaction->recipients_room) {
        return true;
    }
    size_t room =
        transaction->recipients_room > 0 ? 2 * transaction->recipients_room : RECIPIENTS_ROOM_FIRST;
    struct smtp_recipient *grown = arena_alloc_array(transaction->arena, room, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (envelope->recipient_count > 0) {
        memcpy(grown, envelope->recipients, envelope->recipient_count * sizeof *grown);
    }
    envelope->recipients = grown;
    transaction->recipients_room = room;
    return true;
}

struct smtp_action
server_rcpt(struct smtp_server *server, struct str argument)
{
    struct transaction *transaction = server->transaction;
    bool full =
        transaction->envelope.recipient_count >= server->settings->limits.recipients ||
        arena_used(transaction->arena) > SMTP_SERVER_TRANSACTION_CEILING - RECIPIENT_COST_MAX;
    if (full || !recipients_grow(transaction)) {
        /* RFC 5321 4.5.3.1.10: 452, so that the rest comes in another transaction. */
        server_reply(server, SMTP_REPLY(452, 4, 5, 3, "Too many recipients"));
        return server_no_action();
    }
    transaction->recipients_tried++;
    if (!rcpt_read(server, argument)) {
        return server_no_action();
    }
    server_set_state(server, SMTP_STATE_WAIT_RECIPIENT);
    return (struct smtp_action){.kind = SMTP_ACTION_CHECK_RECIPIENT,
                                .recipient = &transaction->candidate};
}

void
smtp_server_recipient_result(struct smtp_server *server, const struct smtp_reply *reply)
{
    if (server->state != SMTP_STATE_WAIT_RECIPIENT) {
        return;
    }
    struct smtp_envelope *envelope = &server->transaction->envelope;
    if (reply == NULL) {
        envelope->recipients[envelope->recipient_count++] = server->transaction->candidate;
    }
    server_set_state(server, envelope->recipient_count > 0 ? SMTP_STATE_RCPT : SMTP_STATE_MAIL);
    server_reply(server,
                 reply == NULL ? SMTP_REPLY(250, 2, 1, 5, "Recipient ok") : server_refusal(reply));
}
