/* Logging in (RFC 4954): PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, 7677) as a client. */
#include "base/encode.h"
#include "smtp/client_internal.h"
#include "smtp/client_scram.h"

/* Memory of one login. */
#define LOGIN_CEILING    65536u
/* RFC 4954 4: a command line has 512 octets; what is longer waits for a challenge. */
#define INITIAL_LINE_MAX 500u
/* Challenges of one login; SCRAM has two. */
#define CHALLENGES_MAX   4u

struct mechanism {
    struct str name;
    enum smtp_client_mechanism bit;
};

/* The best first: SCRAM does not show the password to the server. */
static const struct mechanism mechanisms[] = {
    {STR_INIT("SCRAM-SHA-256"), SMTP_CLIENT_MECHANISM_SCRAM_SHA_256},
    {STR_INIT("PLAIN"), SMTP_CLIENT_MECHANISM_PLAIN},
    {STR_INIT("LOGIN"), SMTP_CLIENT_MECHANISM_LOGIN},
};

unsigned
client_mechanism_find(struct str name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        if (str_eq_nocase(mechanisms[i].name, name)) {
            return 1u << mechanisms[i].bit;
        }
    }
    return 0;
}

/* What was written and kept of the login may be the password. */
void
client_login_forget(struct smtp_client *client)
{
    struct client_login *login = &client->login;
    if (login->arena == NULL) {
        return;
    }
    arena_destroy_wiped(&login->arena);
    *login = (struct client_login){.arena = NULL};
    buf_free_wiped(&client->output);
    buf_init(&client->output, SMTP_CLIENT_OUTPUT_CEILING);
}

static void
login_fail(struct smtp_client *client, const struct smtp_reply *reply)
{
    client_fail(client, SMTP_CLIENT_LOGIN_FAILED, reply);
    client_login_forget(client);
}

/* Our own words about the login. */
static void
login_fail_words(struct smtp_client *client, const char *words)
{
    const struct smtp_reply own = {.enhanced = {4, 7, 0}, .text = str_from_cstr(words)};
    login_fail(client, &own);
}

/* Writes one line of the exchange in base 64 behind `verb`. */
static void
write_response(struct smtp_client *client, struct str verb, struct str octets)
{
    struct str encoded = base64_encode(client->login.arena, octets);
    if (encoded.p == NULL && octets.n > 0) {
        login_fail_words(client, "the login needs too much memory");
        return;
    }
    client_write(client, verb);
    client_write(client, encoded);
    client_write(client, STR("\r\n"));
}

static struct str
plain_response(struct client_login *login)
{
    return arena_printf(login->arena, "%c%.*s%c%.*s", '\0', STR_ARG(login->with.user), '\0',
                        STR_ARG(login->with.password));
}

/* ---- beginning */

static void
begin_mechanism(struct smtp_client *client, const struct mechanism *mechanism)
{
    struct client_login *login = &client->login;
    struct str first = {NULL, 0};
    login->mechanism = mechanism->bit;
    login->tried |= 1u << mechanism->bit;
    login->challenges = 0;
    client->stage = SMTP_CLIENT_STAGE_AUTH;
    client->action = SMTP_CLIENT_WAIT;
    if (mechanism->bit == SMTP_CLIENT_MECHANISM_PLAIN) {
        first = plain_response(login);
    } else if (mechanism->bit == SMTP_CLIENT_MECHANISM_SCRAM_SHA_256) {
        first = scram_client_begin(&login->scram, login->arena, &login->with, login->nonce);
    }
    client_write(client, STR("AUTH "));
    client_write(client, mechanism->name);
    login->initial_sent = first.n > 0 && first.n <= INITIAL_LINE_MAX / 4 * 3 - 32;
    login->first = first;
    if (login->initial_sent) {
        write_response(client, STR(" "), first);
    } else {
        client_write(client, STR("\r\n"));
    }
}

/* The best mechanism that the server offers and that was not tried; none: the login has failed. */
static void
begin_next(struct smtp_client *client, const struct smtp_reply *refusal)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        unsigned bit = 1u << mechanisms[i].bit;
        if ((client->offers.mechanisms & bit) != 0 && (client->login.tried & bit) == 0) {
            begin_mechanism(client, &mechanisms[i]);
            return;
        }
    }
    if (refusal != NULL) {
        login_fail(client, refusal);
        return;
    }
    login_fail_words(client,
                     "a login is configured, and the server offers none of PLAIN, LOGIN and "
                     "SCRAM-SHA-256");
}

void
smtp_client_login(struct smtp_client *client, const struct smtp_client_login *with,
                  struct str nonce)
{
    if (client->stage != SMTP_CLIENT_STAGE_READY) {
        return;
    }
    client_login_forget(client);
    client->login.arena = arena_create(LOGIN_CEILING);
    client->login.with.user = arena_str_dup(client->login.arena, with->user);
    client->login.with.password = arena_str_dup(client->login.arena, with->password);
    client->login.nonce = arena_str_dup(client->login.arena, nonce);
    client->stage = SMTP_CLIENT_STAGE_AUTH;
    begin_next(client, NULL);
}

/* ---- challenges */

/* LOGIN asks for the name, then for the password, in words that differ; the order counts. */
static void
answer_login(struct smtp_client *client)
{
    const struct client_login *login = &client->login;
    write_response(client, STR(""),
                   login->challenges == 1 ? login->with.user : login->with.password);
}

static void
answer_scram(struct smtp_client *client, struct str challenge)
{
    struct client_login *login = &client->login;
    struct str response = {NULL, 0};
    enum status status = scram_client_answer(&login->scram, login->arena, challenge, &response);
    if (status == STATUS_OK) {
        write_response(client, STR(""), response);
    } else {
        login_fail_words(client, "the server does not keep to SCRAM-SHA-256, or does not know the "
                                 "password itself");
    }
}

static void
answer_challenge(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_login *login = &client->login;
    struct str challenge = {NULL, 0};
    if (!login->initial_sent && login->challenges == 0 &&
        login->mechanism != SMTP_CLIENT_MECHANISM_LOGIN) {
        login->initial_sent = true;
        write_response(client, STR(""), login->first);
        return;
    }
    if (++login->challenges > CHALLENGES_MAX || login->mechanism == SMTP_CLIENT_MECHANISM_PLAIN ||
        (login->mechanism == SMTP_CLIENT_MECHANISM_LOGIN && login->challenges > 2)) {
        client_fail_reply(client, reply);
        client_login_forget(client);
        return;
    }
    if (login->mechanism == SMTP_CLIENT_MECHANISM_LOGIN) {
        answer_login(client);
        return;
    }
    if (base64_decode(login->arena, str_trim(reply->text), &challenge) != STATUS_OK) {
        client_fail_reply(client, reply);
        client_login_forget(client);
        return;
    }
    answer_scram(client, challenge);
}

/* RFC 4954 4: 504 and 534 are about the mechanism, the others about who we are. */
static bool
is_about_mechanism(const struct smtp_reply *reply)
{
    return reply->code == 504 || reply->code == 534;
}

void
client_auth_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct client_login *login = &client->login;
    bool unproven = login->mechanism == SMTP_CLIENT_MECHANISM_SCRAM_SHA_256 &&
                    !scram_client_is_proven(&login->scram);
    if (reply->code == 334) {
        answer_challenge(client, reply);
    } else if (reply->code == 235 && unproven) {
        login_fail_words(client, "the server has not proven that it knows the password");
    } else if (reply->code == 235) {
        client->logged_in = true;
        client_login_forget(client);
        client_ready(client);
    } else if (is_about_mechanism(reply)) {
        begin_next(client, reply);
    } else if (reply->code >= 400) {
        login_fail(client, reply);
    } else {
        client_fail_reply(client, reply);
        client_login_forget(client);
    }
}
