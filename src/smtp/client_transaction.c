#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/client_internal.h"
#include "smtp/params.h"

/* ---- results */

/* What 2yz, 4yz and 5yz mean to the recipients they are about. */
static enum smtp_client_outcome
outcome_of(const struct smtp_reply *reply)
{
    if (smtp_reply_is_positive(reply)) {
        return SMTP_CLIENT_TAKEN;
    }
    return smtp_reply_is_temporary(reply) ? SMTP_CLIENT_DEFERRED : SMTP_CLIENT_FAILED;
}

/* Whose reply is due, whatever has gone out ahead of it. */
static enum smtp_client_stage
stage_awaited(const struct smtp_client *client)
{
    switch (client->transaction.awaited.command) {
    case COMMAND_RSET:
        return SMTP_CLIENT_STAGE_RSET;
    case COMMAND_MAIL:
        return SMTP_CLIENT_STAGE_MAIL;
    case COMMAND_RCPT:
        return SMTP_CLIENT_STAGE_RCPT;
    case COMMAND_DATA:
        return SMTP_CLIENT_STAGE_DATA;
    case COMMAND_CONTENT:
        return client->has_content ? SMTP_CLIENT_STAGE_CONTENT : SMTP_CLIENT_STAGE_END;
    case COMMAND_NONE:
        break;
    }
    return SMTP_CLIENT_STAGE_READY;
}

/*
 * The session has failed. To a recipient, what is no SMTP reply is no acceptance: the server has no
 * reason to keep the message for it, even where the content went ahead.
 */
void
client_transaction_fail(struct smtp_client *client)
{
    struct client_transaction *t = &client->transaction;
    const struct smtp_reply *reply = &client->failure.reply;
    if (client->failure.problem == SMTP_CLIENT_PROTOCOL) {
        for (size_t i = 0; i < t->message.recipient_count; i++) {
            if (!t->places[i].is_accepted) {
                client_result_set(t, i, SMTP_CLIENT_DEFERRED, stage_awaited(client), reply);
            }
        }
    }
    client_result_set_all(t, SMTP_CLIENT_DEFERRED, client->stage, reply);
}

/* RFC 6531 3.4: the parameter is given when an address or the header needs it. */
static bool
needs_smtputf8(const struct client_transaction *t)
{
    if (!str_is_ascii(t->message.sender) ||
        (!t->probe && t->message.smtputf8 && t->message.form->header_has_8bit)) {
        return true;
    }
    for (size_t i = 0; i < t->message.recipient_count; i++) {
        if (t->places[i].is_sent && !str_is_ascii(t->message.recipients[i].address)) {
            return true;
        }
    }
    return false;
}

/* ---- the order of commands */

static bool
cursor_eq(struct client_cursor a, struct client_cursor b)
{
    return a.command == b.command && a.index == b.index;
}

/* The first recipient from `from` on whose RCPT is sent; with `accepted`, was accepted. */
static size_t
next_place(const struct client_transaction *t, size_t from, bool accepted)
{
    size_t i = from;
    while (i < t->message.recipient_count &&
           !(accepted ? t->places[i].is_accepted : t->places[i].is_sent)) {
        i++;
    }
    return i;
}

static enum client_command
after_recipients(const struct client_transaction *t)
{
    if (t->probe) {
        return COMMAND_NONE;
    }
    return t->chunked ? COMMAND_CONTENT : COMMAND_DATA;
}

static struct client_cursor
cursor_after(const struct client_transaction *t, struct client_cursor cursor)
{
    size_t i;
    switch (cursor.command) {
    case COMMAND_RSET:
        return (struct client_cursor){COMMAND_MAIL, 0};
    case COMMAND_MAIL:
    case COMMAND_RCPT:
        i = next_place(t, cursor.command == COMMAND_RCPT ? cursor.index + 1 : 0, false);
        if (i < t->message.recipient_count) {
            return (struct client_cursor){COMMAND_RCPT, i};
        }
        return (struct client_cursor){after_recipients(t), 0};
    case COMMAND_DATA:
        return (struct client_cursor){COMMAND_CONTENT, 0};
    case COMMAND_CONTENT:
    case COMMAND_NONE:
        break;
    }
    return (struct client_cursor){COMMAND_NONE, 0};
}

/* ---- sending */

static void
send_mail(struct smtp_client *client)
{
    const struct client_transaction *t = &client->transaction;
    const struct smtp_client_offers *offers = &client->offers;
    const struct smtp_client_message *message = &t->message;
    client_printf(client, "MAIL FROM:<%.*s>", STR_ARG(message->sender));
    if (!t->probe && offers->size_max > 0) {
        client_printf(client, " SIZE=%" PRIu64, message->form->size);
    }
    if (!t->probe && offers->eightbitmime && message->form->has_8bit) {
        client_write(client, STR(" BODY=8BITMIME"));
    }
    if (t->smtputf8) {
        client_write(client, STR(" SMTPUTF8"));
    }
    if (offers->dsn && message->ret != SMTP_DSN_RET_UNSPECIFIED) {
        bool full = message->ret == SMTP_DSN_RET_FULL;
        client_write(client, full ? STR(" RET=FULL") : STR(" RET=HDRS"));
    }
    if (offers->dsn && message->envid.n > 0) {
        struct str envid = smtp_xtext_encode(t->arena, str_head(message->envid, SMTP_ENVID_MAX));
        client_printf(client, " ENVID=%.*s", STR_ARG(envid));
    }
    client_write(client, STR("\r\n"));
}

/* RFC 3461 4.1; NEVER stands alone. */
static void
send_notify(struct smtp_client *client, unsigned notify)
{
    static const struct {
        unsigned bit;
        struct str word;
    } words[] = {
        {SMTP_DSN_NOTIFY_SUCCESS, STR_INIT("SUCCESS")},
        {SMTP_DSN_NOTIFY_FAILURE, STR_INIT("FAILURE")},
        {SMTP_DSN_NOTIFY_DELAY, STR_INIT("DELAY")},
    };
    if ((notify & SMTP_DSN_NOTIFY_NEVER) != 0) {
        client_write(client, STR(" NOTIFY=NEVER"));
        return;
    }
    bool first = true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((notify & words[i].bit) != 0) {
            client_write(client, first ? STR(" NOTIFY=") : STR(","));
            client_write(client, words[i].word);
            first = false;
        }
    }
}

/* ORCPT came from a client long ago: passed on only while it is one word of printable ASCII. */
static bool
orcpt_is_safe(struct str orcpt)
{
    for (size_t i = 0; i < orcpt.n; i++) {
        if (orcpt.p[i] <= ' ' || orcpt.p[i] > '~') {
            return false;
        }
    }
    return orcpt.n <= SMTP_ORCPT_MAX && str_contains_char(orcpt, ';');
}

static void
send_rcpt(struct smtp_client *client, size_t index)
{
    const struct smtp_client_recipient *recipient = &client->transaction.message.recipients[index];
    client_printf(client, "RCPT TO:<%.*s>", STR_ARG(recipient->address));
    if (client->offers.dsn) {
        send_notify(client, recipient->notify);
        if (orcpt_is_safe(recipient->orcpt)) {
            client_printf(client, " ORCPT=%.*s", STR_ARG(recipient->orcpt));
        }
    }
    client_write(client, STR("\r\n"));
}

static void
send_content(struct smtp_client *client)
{
    const struct client_transaction *t = &client->transaction;
    const struct smtp_client_message *message = &t->message;
    if (t->empty_dot) {
        client_write(client, STR(".\r\n")); /* RFC 2920 3.1 */
        return;
    }
    if (t->chunked) {
        client_printf(client, "BDAT %" PRIu64 " LAST\r\n", message->form->size);
    }
    smtp_content_writer_start(&client->content, message->head, message->body, message->form,
                              !t->chunked);
    client->has_content = true;
}

static void
send_command(struct smtp_client *client, struct client_cursor cursor)
{
    switch (cursor.command) {
    case COMMAND_RSET:
        client_write(client, STR("RSET\r\n"));
        return;
    case COMMAND_MAIL:
        send_mail(client);
        return;
    case COMMAND_RCPT:
        send_rcpt(client, cursor.index);
        return;
    case COMMAND_DATA:
        client_write(client, STR("DATA\r\n"));
        return;
    case COMMAND_CONTENT:
        send_content(client);
        return;
    case COMMAND_NONE:
        return;
    }
}

/* May the next command go out although replies may be outstanding? RFC 2920 3.1. */
static bool
may_send_next(const struct smtp_client *client)
{
    const struct client_transaction *t = &client->transaction;
    bool in_step = cursor_eq(t->next, t->awaited);
    if (in_step || !client->offers.pipelining) {
        return in_step;
    }
    if (t->next.command != COMMAND_CONTENT) {
        return true;
    }
    /* A server that refused STARTTLS often closes: it speaks first, or nobody knew what it took. */
    bool is_alive = t->answered || !client->tls_refused;
    return t->chunked && is_alive && t->message.form->size <= SMTP_CLIENT_PIPELINED_CONTENT_MAX;
}

/* All is answered so far, and what comes next would be for nobody. */
static bool
is_pointless(const struct client_transaction *t)
{
    switch (t->next.command) {
    case COMMAND_RCPT:
        return !t->mail_accepted;
    case COMMAND_DATA:
        return t->accepted_count == 0;
    case COMMAND_CONTENT:
        return t->accepted_count == 0 && !t->empty_dot;
    case COMMAND_RSET:
    case COMMAND_MAIL:
    case COMMAND_NONE:
        break;
    }
    return false;
}

/* By BDAT all may be sent while MAIL has no answer: whatever comes now, the server may have it. */
static bool
chunks_are_sent(const struct smtp_client *client)
{
    const struct client_transaction *t = &client->transaction;
    return t->chunked && !t->probe && !client->has_content && t->next.command == COMMAND_NONE &&
           t->awaited.command != COMMAND_NONE;
}

static enum smtp_client_stage
stage_of(const struct smtp_client *client)
{
    return chunks_are_sent(client) ? SMTP_CLIENT_STAGE_END : stage_awaited(client);
}

/* Sends what may be sent; ends the transaction when nothing is awaited any more. */
static void
transaction_go_on(struct smtp_client *client)
{
    struct client_transaction *t = &client->transaction;
    const struct client_cursor none = {COMMAND_NONE, 0};
    while (client->stage != SMTP_CLIENT_STAGE_CLOSED && t->next.command != COMMAND_NONE &&
           may_send_next(client)) {
        if (cursor_eq(t->next, t->awaited) && is_pointless(t)) {
            t->next = t->awaited = none;
            break;
        }
        send_command(client, t->next);
        t->next = cursor_after(t, t->next);
    }
    if (client->stage == SMTP_CLIENT_STAGE_CLOSED) {
        return;
    }
    client->stage = stage_of(client);
    if (t->awaited.command == COMMAND_NONE) {
        client->needs_rset = t->mail_accepted && !t->ended;
        client_ready(client);
    }
}

/* ---- replies */

static void
reply_to_mail(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_transaction *t = &client->transaction;
    t->mail_accepted = smtp_reply_is_positive(reply);
    if (!t->mail_accepted) {
        client_result_set_all(t, outcome_of(reply), SMTP_CLIENT_STAGE_MAIL, reply);
    }
}

static void
reply_to_rcpt(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_transaction *t = &client->transaction;
    size_t i = t->awaited.index;
    if (smtp_reply_is_positive(reply) && t->mail_accepted && !t->probe) {
        t->places[i].is_accepted = true;
        t->accepted_count++;
        return;
    }
    client_result_set(t, i, outcome_of(reply), SMTP_CLIENT_STAGE_RCPT, reply);
}

static void
reply_to_data(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_transaction *t = &client->transaction;
    bool lmtp = client->settings->protocol == SMTP_CLIENT_LMTP;
    if (reply->code == 354 && t->accepted_count == 0 && lmtp) {
        /* RFC 2033 4.2 forbids it, and nobody knows how many replies the dot would get. */
        client_fail_reply(client, reply);
        return;
    }
    if (reply->code == 354) {
        t->empty_dot = t->accepted_count == 0;
        return;
    }
    if (smtp_reply_is_positive(reply)) {
        client_fail_reply(client, reply);
        return;
    }
    client_result_set_all(t, outcome_of(reply), SMTP_CLIENT_STAGE_DATA, reply);
    t->next = t->awaited = (struct client_cursor){COMMAND_NONE, 0};
}

/* The verdict on the content: for all accepted recipients, or (LMTP) for one of them. */
static void
reply_to_content(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_transaction *t = &client->transaction;
    const struct client_cursor none = {COMMAND_NONE, 0};
    if (t->accepted_count == 0) {
        t->awaited = none; /* of a lone dot, or of BDAT for nobody: every result is there */
        return;
    }
    t->ended = true;
    if (client->settings->protocol == SMTP_CLIENT_SMTP) {
        client_result_set_all(t, outcome_of(reply), SMTP_CLIENT_STAGE_END, reply);
        t->awaited = none;
        return;
    }
    size_t i = next_place(t, t->awaited.index, true);
    client_result_set(t, i, outcome_of(reply), SMTP_CLIENT_STAGE_END, reply);
    i = next_place(t, i + 1, true);
    t->awaited = i < t->message.recipient_count ? (struct client_cursor){COMMAND_CONTENT, i} : none;
}

/*
 * BDAT is answered as if it were not known (RFC 5321 4.2.4: 500 to 504), by a server that offers it
 * and has accepted recipients. What it makes of the octets behind it is not known either.
 */
static bool
is_broken_chunking(const struct client_transaction *t, const struct smtp_reply *reply)
{
    return t->chunked && t->accepted_count > 0 && !t->ended && reply->code >= 500 &&
           reply->code <= 504;
}

static void
fail_chunking(struct smtp_client *client, const struct smtp_reply *reply)
{
    char text[SMTP_CLIENT_TEXT_MAX];
    struct str quoted = str_head(reply->text, SMTP_CLIENT_REPLY_QUOTE_MAX);
    snprintf(
        text, sizeof text,
        "the server offers CHUNKING and answered \"%u %.*s\" to BDAT; it gets DATA from now on",
        reply->code, STR_ARG(quoted));
    struct smtp_reply own = {.enhanced = {4, 5, 0}, .text = str_from_cstr(text)};
    client_result_set_all(&client->transaction, SMTP_CLIENT_DEFERRED, SMTP_CLIENT_STAGE_CONTENT,
                          &own);
    client->transaction.chunking_failed = true;
    client_fail(client, SMTP_CLIENT_PROTOCOL, &own);
}

/* A verdict before the content was sent: a refusal counts, but nothing more can be said here. */
static void
reply_too_early(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (!smtp_reply_is_positive(reply)) {
        client_result_set_all(&client->transaction, outcome_of(reply), SMTP_CLIENT_STAGE_CONTENT,
                              reply);
    }
    client_fail_reply(client, reply);
}

void
client_transaction_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_transaction *t = &client->transaction;
    struct client_cursor answered = t->awaited;
    t->answered = true;
    if (reply->code / 100 == 3 && answered.command != COMMAND_DATA) {
        client_fail_reply(client, reply);
        return;
    }
    if (answered.command == COMMAND_CONTENT && is_broken_chunking(t, reply)) {
        fail_chunking(client, reply);
        return;
    }
    if (answered.command == COMMAND_CONTENT && client->has_content) {
        reply_too_early(client, reply);
        return;
    }
    switch (answered.command) {
    case COMMAND_RSET:
        if (!smtp_reply_is_positive(reply)) {
            client_fail_reply(client, reply);
        }
        break;
    case COMMAND_MAIL:
        reply_to_mail(client, reply);
        break;
    case COMMAND_RCPT:
        reply_to_rcpt(client, reply);
        break;
    case COMMAND_DATA:
        reply_to_data(client, reply);
        break;
    case COMMAND_CONTENT:
        reply_to_content(client, reply);
        break;
    case COMMAND_NONE:
        break;
    }
    /* What reply_to_data and reply_to_content have not moved already. */
    if (cursor_eq(t->awaited, answered)) {
        t->awaited = cursor_after(t, answered);
    }
    transaction_go_on(client);
}

void
client_transaction_content_written(struct smtp_client *client)
{
    if (client->stage != SMTP_CLIENT_STAGE_CLOSED) {
        client->stage = stage_of(client);
    }
}

/* ---- beginning */

static void
transaction_begin(struct smtp_client *client, const struct smtp_client_message *message, bool probe)
{
    struct client_transaction *t = &client->transaction;
    struct arena *arena = t->arena;
    size_t n = message->recipient_count;
    if (arena == NULL) {
        arena = arena_create(SMTP_CLIENT_TRANSACTION_CEILING);
    } else {
        arena_reset(arena);
    }
    *t = (struct client_transaction){.arena = arena, .message = *message, .probe = probe};
    t->results = arena_alloc_array(arena, n, sizeof *t->results);
    t->places = arena_alloc_array(arena, n, sizeof *t->places);
    if (t->results == NULL || t->places == NULL) {
        abort(); /* SMTP_CLIENT_RECIPIENTS_MAX of them always fit */
    }
    t->chunked = client->offers.chunking;
    if (client->stage != SMTP_CLIENT_STAGE_READY) {
        struct smtp_reply words = SMTP_REPLY(0, 4, 4, 2, "the session is not open");
        client_result_set_all(t, SMTP_CLIENT_DEFERRED, client->stage, &words);
        return;
    }
    client_find_obstacles(client);
    for (size_t i = 0; i < n; i++) {
        t->places[i].is_sent = t->results[i].outcome == SMTP_CLIENT_PENDING;
    }
    if (next_place(t, 0, false) == n) {
        return; /* nobody is left: READY as before */
    }
    t->smtputf8 = needs_smtputf8(t);
    t->next = (struct client_cursor){client->needs_rset ? COMMAND_RSET : COMMAND_MAIL, 0};
    t->awaited = t->next;
    client->action = SMTP_CLIENT_WAIT;
    transaction_go_on(client);
}

void
smtp_client_send(struct smtp_client *client, const struct smtp_client_message *message)
{
    transaction_begin(client, message, false);
}

void
smtp_client_probe(struct smtp_client *client, const struct smtp_client_message *message)
{
    transaction_begin(client, message, true);
}
