#include "smtp/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/client_internal.h"

static const char *const stage_names[] = {
    [SMTP_CLIENT_STAGE_GREETING] = "greeting", [SMTP_CLIENT_STAGE_HELLO] = "hello",
    [SMTP_CLIENT_STAGE_TLS] = "tls",           [SMTP_CLIENT_STAGE_READY] = "ready",
    [SMTP_CLIENT_STAGE_RSET] = "rset",         [SMTP_CLIENT_STAGE_MAIL] = "mail",
    [SMTP_CLIENT_STAGE_RCPT] = "rcpt",         [SMTP_CLIENT_STAGE_DATA] = "data",
    [SMTP_CLIENT_STAGE_CONTENT] = "content",   [SMTP_CLIENT_STAGE_END] = "end",
    [SMTP_CLIENT_STAGE_AUTH] = "auth",         [SMTP_CLIENT_STAGE_QUIT] = "quit",
    [SMTP_CLIENT_STAGE_CLOSED] = "closed",
};

const char *
smtp_client_stage_name(enum smtp_client_stage stage)
{
    return stage_names[stage];
}

const char *
smtp_client_stage_words(enum smtp_client_stage stage)
{
    static const char *const words[] = {
        [SMTP_CLIENT_STAGE_GREETING] = "before the greeting",
        [SMTP_CLIENT_STAGE_HELLO] = "after EHLO",
        [SMTP_CLIENT_STAGE_TLS] = "after STARTTLS",
        [SMTP_CLIENT_STAGE_AUTH] = "during AUTH",
        [SMTP_CLIENT_STAGE_READY] = "between messages",
        [SMTP_CLIENT_STAGE_RSET] = "after RSET",
        [SMTP_CLIENT_STAGE_MAIL] = "after MAIL",
        [SMTP_CLIENT_STAGE_RCPT] = "after RCPT",
        [SMTP_CLIENT_STAGE_DATA] = "after DATA",
        [SMTP_CLIENT_STAGE_CONTENT] = "while the message was being sent",
        [SMTP_CLIENT_STAGE_END] = "after the end of the message",
        [SMTP_CLIENT_STAGE_QUIT] = "after QUIT",
        [SMTP_CLIENT_STAGE_CLOSED] = "after the end of the session",
    };
    return words[stage];
}

struct smtp_client *
smtp_client_create(const struct smtp_client_settings *settings)
{
    struct smtp_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        abort();
    }
    client->settings = settings;
    client->stage = SMTP_CLIENT_STAGE_GREETING;
    client->action = SMTP_CLIENT_WAIT;
    smtp_reply_reader_init(&client->reader);
    buf_init(&client->output, SMTP_CLIENT_OUTPUT_CEILING);
    return client;
}

void
smtp_client_destroy(struct smtp_client **client)
{
    if (*client == NULL) {
        return;
    }
    client_login_forget(*client);
    smtp_reply_reader_fini(&(*client)->reader);
    buf_free(&(*client)->output);
    arena_destroy(&(*client)->transaction.arena);
    free(*client);
    *client = NULL;
}

/* ---- what the other files use */

void
client_write(struct smtp_client *client, struct str s)
{
    if (buf_append(&client->output, s) != STATUS_OK) {
        struct smtp_reply words = SMTP_REPLY(0, 4, 3, 1, "too many commands wait to be written");
        client_fail(client, SMTP_CLIENT_PROTOCOL, &words);
    }
}

void
client_printf(struct smtp_client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = buf_vprintf(&client->output, format, args);
    va_end(args);
    if (status != STATUS_OK) {
        client_write(client, STR(""));
    }
}

struct str
client_text_cut(struct str text, char room[SMTP_CLIENT_TEXT_MAX])
{
    static const char gap[] = " [...] ";
    const size_t gap_n = sizeof gap - 1;
    const size_t head_n = SMTP_CLIENT_TEXT_MAX / 2;
    const size_t tail_n = SMTP_CLIENT_TEXT_MAX - head_n - gap_n;
    if (text.n <= SMTP_CLIENT_TEXT_MAX) {
        return text;
    }
    memcpy(room, text.p, head_n);
    memcpy(room + head_n, gap, gap_n);
    memcpy(room + head_n + gap_n, text.p + text.n - tail_n, tail_n);
    return str_make(room, SMTP_CLIENT_TEXT_MAX);
}

void
client_fail(struct smtp_client *client, enum smtp_client_problem problem,
            const struct smtp_reply *reply)
{
    if (client->stage == SMTP_CLIENT_STAGE_CLOSED) {
        return;
    }
    char room[SMTP_CLIENT_TEXT_MAX];
    struct str text = client_text_cut(reply->text, room);
    if (text.n > 0) {
        memcpy(client->failure_text, text.p, text.n);
    }
    client->failure =
        (struct smtp_client_failure){.problem = problem, .stage = client->stage, .reply = *reply};
    client->failure.reply.text = str_make(client->failure_text, text.n);
    client_transaction_fail(client);
    client->stage = SMTP_CLIENT_STAGE_CLOSED;
    client->action = SMTP_CLIENT_CLOSED;
    buf_clear(&client->output);
    client->has_content = false;
}

void
client_fail_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    char text[SMTP_CLIENT_TEXT_MAX];
    struct str quoted = str_head(reply->text, SMTP_CLIENT_REPLY_QUOTE_MAX);
    snprintf(text, sizeof text, "the server answered \"%u %.*s\", which makes no sense here",
             reply->code, STR_ARG(quoted));
    struct smtp_reply own = {.enhanced = {4, 5, 0}, .text = str_from_cstr(text)};
    client_fail(client, SMTP_CLIENT_PROTOCOL, &own);
}

void
client_ready(struct smtp_client *client)
{
    client->stage = SMTP_CLIENT_STAGE_READY;
    client->action = SMTP_CLIENT_READY;
}

/* ---- feeding */

static bool
stage_is_of_transaction(enum smtp_client_stage stage)
{
    return stage >= SMTP_CLIENT_STAGE_RSET && stage <= SMTP_CLIENT_STAGE_END;
}

/* Greeting and EHLO carry no enhanced codes: what looks like one is the server's text. */
static bool
stage_has_enhanced(enum smtp_client_stage stage)
{
    return stage != SMTP_CLIENT_STAGE_GREETING && stage != SMTP_CLIENT_STAGE_HELLO;
}

static void
client_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    /* RFC 5321 3.8: 421 may answer any command, or come unasked; the server closes. */
    if (reply->code == 421) {
        client_fail(client, SMTP_CLIENT_REFUSED, reply);
    } else if (stage_is_of_transaction(client->stage)) {
        client_transaction_reply(client, reply);
    } else {
        client_session_reply(client, reply);
    }
}

static void
client_reply_broken(struct smtp_client *client, enum status status)
{
    char quote[SMTP_CLIENT_REPLY_QUOTE_MAX];
    char text[SMTP_CLIENT_TEXT_MAX];
    struct str quoted = smtp_reply_quote(&client->reader, quote);
    snprintf(text, sizeof text,
             status == STATUS_LIMIT ? "the server's reply has no end; its last line begins \"%.*s\""
                                    : "the server answered \"%.*s\", which is not an SMTP reply",
             STR_ARG(quoted));
    struct smtp_reply own = {.enhanced = {4, 5, 0}, .text = str_from_cstr(text)};
    client_fail(client, SMTP_CLIENT_PROTOCOL, &own);
}

enum smtp_client_action
smtp_client_feed(struct smtp_client *client, struct str input)
{
    while (input.n > 0 && client->stage != SMTP_CLIENT_STAGE_CLOSED) {
        size_t used;
        struct smtp_reply reply;
        if (client->action == SMTP_CLIENT_START_TLS) {
            struct smtp_reply words =
                SMTP_REPLY(0, 4, 7, 0, "the server sent plaintext behind its reply to STARTTLS");
            client_fail(client, SMTP_CLIENT_TLS_INJECTION, &words);
            break;
        }
        enum status status = smtp_reply_read(&client->reader, input,
                                             stage_has_enhanced(client->stage), &used, &reply);
        input = str_skip(input, used);
        if (status == STATUS_OK) {
            client->replies++;
            client_reply(client, &reply);
        } else if (status != STATUS_AGAIN) {
            client_reply_broken(client, status);
        }
    }
    return client->action;
}

void
smtp_client_tls_started(struct smtp_client *client)
{
    client->encrypted = true;
    client->tls_refused = false;
    client->said_helo = false;
    smtp_reply_reader_fini(&client->reader);
    smtp_reply_reader_init(&client->reader);
    buf_clear(&client->output);
    client_hello(client);
}

void
smtp_client_failed(struct smtp_client *client, enum smtp_client_problem problem, struct str text)
{
    struct smtp_reply words = {.enhanced = {4, 4, 2}, .text = text};
    if (problem == SMTP_CLIENT_TLS_FAILED) {
        words.enhanced = (struct smtp_enhanced){4, 7, 5};
    } else if (problem == SMTP_CLIENT_LOGIN_FAILED) {
        words.enhanced = (struct smtp_enhanced){4, 7, 0};
    }
    client_fail(client, problem, &words);
}

/* ---- output */

size_t
smtp_client_output(const struct smtp_client *client, struct str *pieces, size_t most)
{
    size_t count = 0;
    if (most > 0 && buf_length(&client->output) > 0) {
        pieces[count++] = buf_str(&client->output);
    }
    if (client->has_content) {
        struct smtp_content_writer ahead = client->content;
        while (count < most && smtp_content_writer_next(&ahead, &pieces[count])) {
            count++;
        }
    }
    return count;
}

void
smtp_client_output_written(struct smtp_client *client, size_t n)
{
    size_t commands = buf_length(&client->output);
    if (commands > n) {
        commands = n;
    }
    buf_consume(&client->output, commands);
    if (!client->has_content) {
        return;
    }
    smtp_content_writer_skip(&client->content, n - commands);
    struct smtp_content_writer ahead = client->content;
    struct str piece;
    if (buf_length(&client->output) == 0 && !smtp_content_writer_next(&ahead, &piece)) {
        client->has_content = false;
        client_transaction_content_written(client);
    }
}

/* ---- questions */

enum smtp_client_stage
smtp_client_stage(const struct smtp_client *client)
{
    return client->stage;
}

uint64_t
smtp_client_replies(const struct smtp_client *client)
{
    return client->replies;
}

const struct smtp_client_offers *
smtp_client_offers(const struct smtp_client *client)
{
    return &client->offers;
}

const struct smtp_client_failure *
smtp_client_failure(const struct smtp_client *client)
{
    return &client->failure;
}

bool
smtp_client_is_encrypted(const struct smtp_client *client)
{
    return client->encrypted;
}

bool
smtp_client_is_logged_in(const struct smtp_client *client)
{
    return client->logged_in;
}

bool
smtp_client_tls_was_refused(const struct smtp_client *client)
{
    return client->tls_refused;
}

const struct smtp_client_result *
smtp_client_results(const struct smtp_client *client)
{
    return client->transaction.results;
}

bool
smtp_client_was_answered(const struct smtp_client *client)
{
    return client->transaction.answered;
}

bool
smtp_client_was_chunked(const struct smtp_client *client)
{
    return client->transaction.chunked;
}

bool
smtp_client_chunking_failed(const struct smtp_client *client)
{
    return client->transaction.chunking_failed;
}

bool
smtp_client_chunking_is_silent(const struct smtp_client *client)
{
    const struct client_transaction *t = &client->transaction;
    enum smtp_client_problem problem = client->failure.problem;
    return t->chunked && t->awaited.command == COMMAND_CONTENT &&
           (problem == SMTP_CLIENT_TIMEOUT || problem == SMTP_CLIENT_LOST);
}

size_t
smtp_client_recipients_most(const struct smtp_client *client)
{
    uint32_t told = client->offers.rcpt_max;
    return told > 0 && told < SMTP_CLIENT_RECIPIENTS_MAX ? told : SMTP_CLIENT_RECIPIENTS_MAX;
}
