#include "smtp/client_internal.h"

void
client_result_set(struct client_transaction *t, size_t i, enum smtp_client_outcome outcome,
                  enum smtp_client_stage stage, const struct smtp_reply *reply)
{
    struct smtp_client_result *result = &t->results[i];
    if (result->outcome != SMTP_CLIENT_PENDING) {
        return;
    }
    *result = (struct smtp_client_result){.outcome = outcome, .stage = stage, .reply = *reply};
    /* Past the ceiling the text is lost, never the outcome. */
    char room[SMTP_CLIENT_TEXT_MAX];
    result->reply.text = arena_str_dup(t->arena, client_text_cut(reply->text, room));
}

void
client_result_set_all(struct client_transaction *t, enum smtp_client_outcome outcome,
                      enum smtp_client_stage stage, const struct smtp_reply *reply)
{
    for (size_t i = 0; i < t->message.recipient_count; i++) {
        client_result_set(t, i, outcome, stage, reply);
    }
}

/* ---- what cannot be sent */

static bool
is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/*
 * The address goes into a command line: nothing in it may end the path or the line. Addresses in
 * normal form never do; this is the last place to be sure.
 */
static bool
address_is_safe(struct str address)
{
    bool quoted = false;
    for (size_t i = 0; i < address.n; i++) {
        char c = address.p[i];
        if (is_control(c)) {
            return false;
        }
        if (quoted && c == '\\') {
            if (++i == address.n || is_control(address.p[i])) {
                return false;
            }
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == ' ' || c == '<' || c == '>')) {
            return false;
        }
    }
    return !quoted;
}

/* This server cannot take it, but another one may offer what is missing. */
static void
result_set_lacking(struct client_transaction *t, size_t i, const struct smtp_reply *reply)
{
    bool open = t->results[i].outcome == SMTP_CLIENT_PENDING;
    client_result_set(t, i, SMTP_CLIENT_FAILED, SMTP_CLIENT_STAGE_READY, reply);
    t->results[i].lacks_feature |= open;
}

/* Content that this server cannot take: true, with the words. */
static bool
content_obstacle(const struct smtp_client *client, struct smtp_reply *words_out)
{
    const struct smtp_client_offers *offers = &client->offers;
    const struct smtp_client_message *message = &client->transaction.message;
    const struct smtp_content_form *form = message->form;
    if (offers->size_max > 0 && form->size > offers->size_max) {
        *words_out = SMTP_REPLY(0, 5, 3, 4, "the message is larger than the server takes");
    } else if (message->smtputf8 && form->header_has_8bit && !offers->smtputf8) {
        *words_out = SMTP_REPLY(
            0, 5, 6, 7, "the message has UTF-8 in its header and the server offers no SMTPUTF8");
    } else if (form->has_8bit && !offers->eightbitmime) {
        *words_out = SMTP_REPLY(0, 5, 6, 3,
                                "the message has 8-bit content and the server offers no 8BITMIME");
    } else {
        return false;
    }
    return true;
}

/* What no server can take. */
static void
find_errors(struct smtp_client *client)
{
    struct client_transaction *t = &client->transaction;
    const struct smtp_client_message *message = &t->message;
    struct smtp_reply words;
    if (!address_is_safe(message->sender)) {
        words = SMTP_REPLY(0, 5, 1, 7, "the sender's address cannot be written in SMTP");
        client_result_set_all(t, SMTP_CLIENT_FAILED, SMTP_CLIENT_STAGE_READY, &words);
    }
    if (!t->probe && message->form->has_nul) {
        words = SMTP_REPLY(0, 5, 6, 0, "the message holds a NUL octet, which mail cannot");
        client_result_set_all(t, SMTP_CLIENT_FAILED, SMTP_CLIENT_STAGE_READY, &words);
    }
    words = SMTP_REPLY(0, 5, 1, 3, "the address cannot be written in SMTP");
    for (size_t i = 0; i < message->recipient_count; i++) {
        struct str address = message->recipients[i].address;
        if (!address_is_safe(address) || address.n == 0) {
            client_result_set(t, i, SMTP_CLIENT_FAILED, SMTP_CLIENT_STAGE_READY, &words);
        }
    }
}

/* What this server cannot take, and another one may. */
static void
find_lacks(struct smtp_client *client)
{
    struct client_transaction *t = &client->transaction;
    const struct smtp_client_message *message = &t->message;
    bool utf8 = client->offers.smtputf8;
    bool sender = !utf8 && !str_is_ascii(message->sender);
    struct smtp_reply words, content;
    bool unfit = !t->probe && content_obstacle(client, &content);
    for (size_t i = 0; i < message->recipient_count; i++) {
        if (sender) {
            words = SMTP_REPLY(
                0, 5, 6, 7, "the sender's address is not ASCII and the server offers no SMTPUTF8");
            result_set_lacking(t, i, &words);
        } else if (unfit) {
            result_set_lacking(t, i, &content);
        } else if (!utf8 && !str_is_ascii(message->recipients[i].address)) {
            words = SMTP_REPLY(0, 5, 6, 7,
                               "the address is not ASCII and the server offers no SMTPUTF8");
            result_set_lacking(t, i, &words);
        }
    }
}

void
client_find_obstacles(struct smtp_client *client)
{
    find_errors(client);
    find_lacks(client);
}
