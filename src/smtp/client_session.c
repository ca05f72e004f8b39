#include "smtp/client_internal.h"

/* ---- what EHLO offers */

static struct str
next_word(struct str *rest)
{
    struct str word;
    *rest = str_trim(*rest);
    (void)str_cut(*rest, ' ', &word, rest);
    return word;
}

static uint32_t
parse_limit(struct str value)
{
    uint64_t n;
    return str_parse_u64(value, UINT32_MAX, &n) == STATUS_OK ? (uint32_t)n : 0;
}

static void
offer_size(struct smtp_client_offers *offers, struct str args)
{
    uint64_t n;
    if (str_parse_u64(next_word(&args), UINT64_MAX, &n) == STATUS_OK) {
        offers->size_max = n;
    }
}

/* "LIMITS RCPTMAX=20 MAILMAX=10", RFC 9422 3. */
static void
offer_limits(struct smtp_client_offers *offers, struct str args)
{
    struct str name, value;
    for (struct str word = next_word(&args); word.n > 0; word = next_word(&args)) {
        if (!str_cut(word, '=', &name, &value)) {
            continue;
        }
        if (str_eq_nocase(name, STR("RCPTMAX"))) {
            offers->rcpt_max = parse_limit(value);
        } else if (str_eq_nocase(name, STR("MAILMAX"))) {
            offers->mail_max = parse_limit(value);
        }
    }
}

/* "AUTH PLAIN LOGIN", RFC 4954 3; other mechanisms are passed over. */
static void
offer_auth(struct smtp_client_offers *offers, struct str args)
{
    for (struct str word = next_word(&args); word.n > 0; word = next_word(&args)) {
        offers->mechanisms |= client_mechanism_find(word);
    }
}

static const struct {
    struct str keyword;
    enum smtp_client_keyword bit;
    size_t flag; /* offset of a bool in the offers, where `read` is NULL */
    void (*read)(struct smtp_client_offers *offers, struct str args);
} keywords[] = {
    {STR_INIT("PIPELINING"), SMTP_CLIENT_KEYWORD_PIPELINING,
     offsetof(struct smtp_client_offers, pipelining), NULL},
    {STR_INIT("CHUNKING"), SMTP_CLIENT_KEYWORD_CHUNKING,
     offsetof(struct smtp_client_offers, chunking), NULL},
    {STR_INIT("8BITMIME"), SMTP_CLIENT_KEYWORD_8BITMIME,
     offsetof(struct smtp_client_offers, eightbitmime), NULL},
    {STR_INIT("SMTPUTF8"), SMTP_CLIENT_KEYWORD_SMTPUTF8,
     offsetof(struct smtp_client_offers, smtputf8), NULL},
    {STR_INIT("DSN"), SMTP_CLIENT_KEYWORD_DSN, offsetof(struct smtp_client_offers, dsn), NULL},
    {STR_INIT("STARTTLS"), SMTP_CLIENT_KEYWORD_STARTTLS,
     offsetof(struct smtp_client_offers, starttls), NULL},
    {STR_INIT("SIZE"), SMTP_CLIENT_KEYWORD_SIZE, 0, offer_size},
    {STR_INIT("LIMITS"), SMTP_CLIENT_KEYWORD_LIMITS, 0, offer_limits},
    {STR_INIT("AUTH"), SMTP_CLIENT_KEYWORD_AUTH, 0, offer_auth},
};

static void
offer_line(struct smtp_client_offers *offers, struct str line, unsigned ignore)
{
    struct str keyword = next_word(&line);
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (!str_eq_nocase(keywords[i].keyword, keyword)) {
            continue;
        }
        if ((ignore & 1u << keywords[i].bit) != 0) {
            return;
        }
        if (keywords[i].read != NULL) {
            keywords[i].read(offers, line);
        } else {
            bool yes = true;
            memcpy((char *)offers + keywords[i].flag, &yes, sizeof yes);
        }
        return;
    }
}

static void
offers_read(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct smtp_client_offers *offers = &client->offers;
    bool esmtp = !client->said_helo;
    struct str line;
    struct str rest = reply->text;
    *offers = (struct smtp_client_offers){.esmtp = esmtp};
    bool more = str_cut(rest, '\n', &line, &rest);
    struct str name = str_head(next_word(&line), SMTP_DOMAIN_MAX);
    if (name.n > 0) {
        memcpy(offers->name, name.p, name.n);
    }
    while (more && esmtp) {
        more = str_cut(rest, '\n', &line, &rest);
        offer_line(offers, line, client->settings->ignore);
    }
}

/* ---- the stages */

void
client_hello(struct smtp_client *client)
{
    const char *verb = client->settings->protocol == SMTP_CLIENT_LMTP ? "LHLO" : "EHLO";
    client->stage = SMTP_CLIENT_STAGE_HELLO;
    client->action = SMTP_CLIENT_WAIT;
    client_printf(client, "%s %.*s\r\n", client->said_helo ? "HELO" : verb,
                  STR_ARG(client->settings->hostname));
}

static void
reply_to_greeting(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (reply->code == 220) {
        client_hello(client);
    } else if (reply->code >= 400) {
        client_fail(client, SMTP_CLIENT_REFUSED, reply);
    } else {
        client_fail_reply(client, reply);
    }
}

static void
fail_without_tls(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct smtp_reply words =
        SMTP_REPLY(0, 4, 7, 4, "encryption is required and the server does not offer STARTTLS");
    client_fail(client, SMTP_CLIENT_TLS_MISSING, reply != NULL ? reply : &words);
}

static void
reply_to_hello(struct smtp_client *client, const struct smtp_reply *reply)
{
    enum smtp_client_tls tls = client->settings->tls;
    bool can_helo = client->settings->protocol == SMTP_CLIENT_SMTP && !client->said_helo;
    if (reply->code >= 500 && can_helo && tls != SMTP_CLIENT_TLS_REQUIRED) {
        client->said_helo = true; /* RFC 5321 3.2: a server without extensions */
        client_hello(client);
        return;
    }
    if (reply->code / 100 != 2) {
        if (reply->code >= 400) {
            client_fail(client, SMTP_CLIENT_REFUSED, reply);
        } else {
            client_fail_reply(client, reply);
        }
        return;
    }
    offers_read(client, reply);
    bool may_encrypt = !client->encrypted && tls != SMTP_CLIENT_TLS_NEVER;
    if (may_encrypt && client->offers.starttls) {
        client->stage = SMTP_CLIENT_STAGE_TLS;
        client_write(client, STR("STARTTLS\r\n"));
    } else if (may_encrypt && tls == SMTP_CLIENT_TLS_REQUIRED) {
        fail_without_tls(client, NULL);
    } else {
        client_ready(client);
    }
}

static void
reply_to_starttls(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (reply->code == 220) {
        client->action = SMTP_CLIENT_START_TLS;
    } else if (reply->code < 400) {
        client_fail_reply(client, reply);
    } else if (client->settings->tls == SMTP_CLIENT_TLS_REQUIRED) {
        fail_without_tls(client, reply);
    } else {
        client->tls_refused = true;
        client_ready(client);
    }
}

static void
reply_to_quit(struct smtp_client *client)
{
    client->stage = SMTP_CLIENT_STAGE_CLOSED;
    client->action = SMTP_CLIENT_CLOSED;
}

void
client_session_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    switch (client->stage) {
    case SMTP_CLIENT_STAGE_GREETING:
        reply_to_greeting(client, reply);
        return;
    case SMTP_CLIENT_STAGE_HELLO:
        reply_to_hello(client, reply);
        return;
    case SMTP_CLIENT_STAGE_TLS:
        reply_to_starttls(client, reply);
        return;
    case SMTP_CLIENT_STAGE_AUTH:
        client_auth_reply(client, reply);
        return;
    case SMTP_CLIENT_STAGE_QUIT:
        reply_to_quit(client);
        return;
    case SMTP_CLIENT_STAGE_READY:
    case SMTP_CLIENT_STAGE_RSET:
    case SMTP_CLIENT_STAGE_MAIL:
    case SMTP_CLIENT_STAGE_RCPT:
    case SMTP_CLIENT_STAGE_DATA:
    case SMTP_CLIENT_STAGE_CONTENT:
    case SMTP_CLIENT_STAGE_END:
    case SMTP_CLIENT_STAGE_CLOSED:
        break;
    }
    client_fail_reply(client, reply); /* nobody asked */
}

void
smtp_client_quit(struct smtp_client *client)
{
    if (client->stage == SMTP_CLIENT_STAGE_READY) {
        client->stage = SMTP_CLIENT_STAGE_QUIT;
        client->action = SMTP_CLIENT_WAIT;
        client_write(client, STR("QUIT\r\n"));
    }
}
