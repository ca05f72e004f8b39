/* DATA and BDAT: content, and what is told at its end. */
#include "smtp/server_internal.h"

/* RFC 3030 2: "BDAT" SP size [SP "LAST"]. A size above this cannot be counted and ends the session.
 */
#define CHUNK_SIZE_MAX ((uint64_t)1 << 62)

struct content_row {
    enum smtp_content_error error;
    enum smtp_anomaly anomaly;
    bool close; /* after DATA, where the client may see the end elsewhere than we do */
    struct smtp_reply reply;
};

static const struct content_row content_table[] = {
    {SMTP_CONTENT_LINE_TOO_LONG, SMTP_ANOMALY_LINE_TOO_LONG, false,
     SMTP_REPLY(554, 5, 6, 0, "A line of the message is too long")},
    {SMTP_CONTENT_TOO_LARGE, SMTP_ANOMALY_TOO_LARGE, false,
     SMTP_REPLY(552, 5, 3, 4, "Message too big")}, /* RFC 1870 6.3 */
    {SMTP_CONTENT_LOOP, SMTP_ANOMALY_LOOP, false,
     SMTP_REPLY(554, 5, 4, 6, "Too many Received fields: a mail loop")}, /* RFC 5321 6.3 */
    {SMTP_CONTENT_MALFORMED, SMTP_ANOMALY_HEADER_MALFORMED, false,
     SMTP_REPLY(554, 5, 6, 0, "Malformed header")},
    {SMTP_CONTENT_NUL, SMTP_ANOMALY_NUL, false, SMTP_REPLY(554, 5, 6, 0, "NUL in the message")},
    {SMTP_CONTENT_BARE_LF, SMTP_ANOMALY_BARE_LF, true,
     SMTP_REPLY(521, 5, 5, 2, "Bare LF in the message; lines end in CR LF")},
    {SMTP_CONTENT_BARE_CR, SMTP_ANOMALY_BARE_CR, true,
     SMTP_REPLY(521, 5, 5, 2, "Bare CR in the message; lines end in CR LF")},
};

static const struct content_row *
content_row(enum smtp_content_error error)
{
    for (size_t i = 0; i < sizeof content_table / sizeof content_table[0]; i++) {
        if (content_table[i].error == error) {
            return &content_table[i];
        }
    }
    return &content_table[0];
}

static struct smtp_content_rules
content_rules(const struct smtp_server_settings *settings)
{
    return (struct smtp_content_rules){
        .size_max = settings->limits.message_size,
        .text_line_max = settings->limits.text_line,
        .received_max = settings->limits.received,
        .discard_max = settings->limits.discard,
        .bare_lf_is_data = settings->bare_lf == SMTP_BARE_LF_DATA,
        .bare_lf_is_crlf = settings->bare_lf == SMTP_BARE_LF_NORMALIZE,
        .refuse_malformed_header = settings->refuse_malformed_header,
    };
}

/* Traces an error once, and lets go of what was collected: it will not be needed. */
static void
note_content_error(struct smtp_server *server)
{
    struct transaction *transaction = server->transaction;
    if (transaction->content.error == SMTP_CONTENT_OK || transaction->error_noted) {
        return;
    }
    transaction->error_noted = true;
    server_note(server, content_row(transaction->content.error)->anomaly);
    server->discard_pending = server->discard_pending || transaction->body_given;
    transaction->body_given = false;
}

static struct smtp_action
body_action(struct smtp_server *server, struct str content)
{
    server->transaction->body_given = true;
    return (struct smtp_action){.kind = SMTP_ACTION_BODY, .content = content};
}

static struct smtp_action
message_action(struct smtp_server *server)
{
    struct transaction *transaction = server->transaction;
    struct smtp_action action = {.kind = SMTP_ACTION_MESSAGE};
    action.message.envelope = &transaction->envelope;
    action.message.facts = &transaction->content.facts;
    if (transaction->content.facts.header_malformed) {
        server_note(server, SMTP_ANOMALY_HEADER_MALFORMED);
    }
    server_set_state(server, SMTP_STATE_WAIT_MESSAGE);
    return action;
}

/* A refused message ends its transaction just as an accepted one does (RFC 5321 4.1.1.4). */
static void
content_refuse(struct smtp_server *server, struct smtp_reply reply)
{
    server->ahead = !server->session.esmtp && server_input_waits(server);
    server_transaction_end(server);
    server_set_state(server, SMTP_STATE_READY);
    server_reply(server, reply);
}

void
smtp_server_message_result(struct smtp_server *server, const struct smtp_reply *reply)
{
    if (server->state != SMTP_STATE_WAIT_MESSAGE) {
        return;
    }
    struct smtp_reply told = smtp_reply_for_status(STATUS_BUG);
    if (reply != NULL && smtp_reply_is_valid(reply) && reply->code / 100 != 3) {
        told = *reply;
    }
    if (smtp_reply_is_positive(&told)) {
        server->session.messages++;
        server->errors = 0;
        server->idle_commands = 0;
    }
    server->transaction->body_given = false; /* the caller has the message, whatever became of it */
    content_refuse(server, told);
}

/* ---- DATA ---- */

struct smtp_action
server_data(struct smtp_server *server, struct str argument)
{
    (void)argument;
    struct transaction *transaction = server->transaction;
    if (transaction->envelope.recipient_count == 0) {
        /* RFC 2920 3.1: after nothing but refused recipients, 554 tells that nobody is left. */
        server_reply(server, transaction->recipients_tried > 0
                                 ? SMTP_REPLY(554, 5, 5, 1, "No valid recipients")
                                 : SMTP_REPLY(503, 5, 5, 1, "Recipient not yet given"));
        return server_no_action();
    }
    smtp_content_start(&transaction->content, true);
    server_reply(server, SMTP_REPLY(354, 0, 0, 0, "Go ahead; end with CR LF . CR LF"));
    server_set_state(server, SMTP_STATE_DATA);
    return server_no_action();
}

static struct smtp_action
data_end(struct smtp_server *server, bool flood)
{
    enum smtp_content_error error = server->transaction->content.error;
    if (error == SMTP_CONTENT_OK) {
        return message_action(server);
    }
    const struct content_row *row = content_row(error);
    if (row->close || flood) {
        server_reply_and_close(server, row->reply);
    } else {
        content_refuse(server, row->reply);
    }
    return server_no_action();
}

static struct smtp_action
data_content(struct smtp_server *server, struct str input, size_t *used_out)
{
    struct smtp_content *content = &server->transaction->content;
    struct smtp_content_rules rules = content_rules(server->settings);
    struct str piece;
    if (buf_length(&server->output) > 0) {
        server_out_of_turn(server); /* 354 is not even written yet */
        *used_out = 0;
        return server_no_action();
    }
    enum status status = smtp_content_read(content, &rules, input, used_out, &piece);
    if (status == STATUS_OK) {
        return body_action(server, piece);
    }
    server->more_input = *used_out < input.n;
    note_content_error(server);
    if (status == STATUS_AGAIN) {
        return server_no_action();
    }
    return data_end(server, status == STATUS_LIMIT);
}

/* ---- BDAT ---- */

static bool
bdat_parse(struct str argument, uint64_t *size_out, bool *last_out)
{
    struct str size;
    struct str rest;
    bool more = str_cut(argument, ' ', &size, &rest);
    bool last = more && str_eq_nocase(str_trim(rest), STR("LAST"));
    if ((more && !last) || str_parse_u64(size, CHUNK_SIZE_MAX, size_out) != STATUS_OK) {
        return false;
    }
    *last_out = last;
    return true;
}

/* Why this chunk cannot be taken; code 0: it can. It is read past in both cases. */
static struct smtp_reply
bdat_refusal(const struct smtp_server *server)
{
    const struct smtp_server_settings *settings = server->settings;
    if (settings->tls == SMTP_TLS_REQUIRED && !server->session.tls) {
        return SMTP_REPLY(530, 5, 7, 0, "Must issue a STARTTLS command first");
    }
    if (!settings->chunking) {
        return SMTP_REPLY(502, 5, 5, 1, "BDAT is not offered");
    }
    if (server->state == SMTP_STATE_BDAT_FAILED) {
        return SMTP_REPLY(503, 5, 5, 1, "A chunk of this message was refused");
    }
    if (server->transaction == NULL) {
        return SMTP_REPLY(503, 5, 5, 1, "Sender not yet given");
    }
    if (server->state == SMTP_STATE_MAIL) {
        return server->transaction->recipients_tried > 0
                   ? SMTP_REPLY(554, 5, 5, 1, "No valid recipients")
                   : SMTP_REPLY(503, 5, 5, 1, "Recipient not yet given");
    }
    return (struct smtp_reply){.code = 0};
}

/* Begins the message, or goes on with it; false when its chunks are too many and too small. */
static bool
bdat_begin(struct smtp_server *server)
{
    struct transaction *transaction = server->transaction;
    const struct smtp_server_limits *limits = &server->settings->limits;
    if (server->state == SMTP_STATE_RCPT) {
        smtp_content_start(&transaction->content, false);
    }
    uint64_t size = transaction->content.facts.size;
    uint64_t most = limits->message_size;
    if (most != 0 && (size > most || server->chunk.left > most - size)) {
        transaction->content.error = SMTP_CONTENT_TOO_LARGE;
        note_content_error(server);
    }
    bool small = server->chunk.left < SMTP_SERVER_SMALL_CHUNK && !server->chunk.last;
    return !small || ++transaction->small_chunks <= limits->small_chunks;
}

struct smtp_action
server_bdat(struct smtp_server *server, struct str argument)
{
    struct chunk chunk = {.left = 0};
    if (!bdat_parse(argument, &chunk.left, &chunk.last)) {
        /* Nobody can tell now where the next command begins. */
        server_reply_and_close(server, SMTP_REPLY(501, 5, 5, 4, "Syntax: BDAT size [LAST]"));
        return server_no_action();
    }
    chunk.reply = bdat_refusal(server);
    chunk.refused = chunk.reply.code != 0;
    server->chunk = chunk;
    if (!chunk.refused && !bdat_begin(server)) {
        server_reply_and_close(server, SMTP_REPLY(421, 4, 7, 0, "Too many small chunks"));
        return server_no_action();
    }
    bool swallow = chunk.refused || server->transaction->content.error != SMTP_CONTENT_OK;
    if (swallow && chunk.left > server->settings->limits.discard) {
        server_reply_and_close(server, chunk.refused ? chunk.reply
                                                     : content_row(SMTP_CONTENT_TOO_LARGE)->reply);
        return server_no_action();
    }
    server->state_before = server->state;
    server_set_state(server, SMTP_STATE_CHUNK);
    return server_no_action();
}

/* A chunk that was not taken has been read past. */
static void
chunk_refused_end(struct smtp_server *server, struct smtp_reply reply)
{
    bool failed = server->state_before == SMTP_STATE_BDAT_FAILED ||
                  server->state_before == SMTP_STATE_BDAT || !server->chunk.refused;
    if (failed && server->chunk.last) {
        server_transaction_end(server); /* the client will send no more of it */
        server_set_state(server, SMTP_STATE_READY);
    } else {
        server_set_state(server, failed ? SMTP_STATE_BDAT_FAILED : server->state_before);
    }
    server_reply(server, reply);
}

/* All octets of the chunk are read. */
static struct smtp_action
chunk_end(struct smtp_server *server)
{
    if (!server->session.esmtp && server_input_waits(server)) {
        server_out_of_turn(server);
        return server_no_action();
    }
    if (server->chunk.refused) {
        chunk_refused_end(server, server->chunk.reply);
        return server_no_action();
    }
    struct smtp_content *content = &server->transaction->content;
    if (server->chunk.last && smtp_content_finish(content)) {
        return body_action(server, STR("\r\n"));
    }
    if (content->error != SMTP_CONTENT_OK) {
        note_content_error(server);
        struct smtp_reply reply = content_row(content->error)->reply;
        if (reply.code == 521) {
            /* Unlike DATA, a chunk's end is certain: no need to close, which 521 announces. */
            reply.code = 554;
            reply.enhanced = (struct smtp_enhanced){5, 6, 0};
        }
        chunk_refused_end(server, reply);
        return server_no_action();
    }
    if (server->chunk.last) {
        return message_action(server);
    }
    server_set_state(server, SMTP_STATE_BDAT);
    server_reply(server, SMTP_REPLY(250, 2, 0, 0, "Chunk ok"));
    return server_no_action();
}

static struct smtp_action
chunk_content(struct smtp_server *server, struct str input, size_t *used_out)
{
    struct chunk *chunk = &server->chunk;
    if (chunk->left == 0) {
        *used_out = 0;
        server->more_input = input.n > 0;
        return chunk_end(server);
    }
    input = str_head(input, chunk->left < input.n ? (size_t)chunk->left : input.n);
    if (chunk->refused) {
        *used_out = input.n;
        chunk->left -= input.n;
        return server_no_action();
    }
    struct smtp_content_rules rules = content_rules(server->settings);
    struct str piece;
    enum status status =
        smtp_content_read(&server->transaction->content, &rules, input, used_out, &piece);
    chunk->left -= *used_out;
    if (status == STATUS_OK) {
        return body_action(server, piece);
    }
    note_content_error(server);
    if (status == STATUS_LIMIT) {
        server_reply_and_close(server, content_row(server->transaction->content.error)->reply);
    }
    return server_no_action();
}

struct smtp_action
server_content(struct smtp_server *server, struct str input, size_t *used_out)
{
    return server->state == SMTP_STATE_DATA ? data_content(server, input, used_out)
                                            : chunk_content(server, input, used_out);
}
