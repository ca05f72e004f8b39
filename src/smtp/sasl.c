#include "smtp/sasl.h"

struct mechanism_row {
    enum smtp_auth_mechanism mechanism;
    const char *name;
};

/* In the order of preference in which EHLO tells them. */
static const struct mechanism_row mechanism_table[] = {
    {SMTP_AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS"},
    {SMTP_AUTH_SCRAM_SHA_256, "SCRAM-SHA-256"},
    {SMTP_AUTH_PLAIN, "PLAIN"},
    {SMTP_AUTH_LOGIN, "LOGIN"},
};

#define MECHANISM_COUNT (sizeof mechanism_table / sizeof mechanism_table[0])

unsigned
sasl_mechanism_find(struct str name)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        if (str_eq_nocase(name, str_from_cstr(mechanism_table[i].name))) {
            return mechanism_table[i].mechanism;
        }
    }
    return 0;
}

const char *
sasl_mechanism_name(enum smtp_auth_mechanism mechanism)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        if (mechanism_table[i].mechanism == mechanism) {
            return mechanism_table[i].name;
        }
    }
    return "none";
}

bool
sasl_user_is_valid(struct str user)
{
    for (size_t i = 0; i < user.n; i++) {
        if ((unsigned char)user.p[i] < ' ' || user.p[i] == 0x7f) {
            return false;
        }
    }
    return user.n > 0 && user.n <= SASL_USER_MAX && str_is_utf8(user);
}

static bool
password_is_valid(struct str password)
{
    return password.n > 0 && password.n <= SASL_PASSWORD_MAX && str_is_utf8(password) &&
           !str_contains_char(password, '\0');
}

static enum sasl_step
challenge(struct sasl_exchange *exchange, enum sasl_place next, struct str text)
{
    exchange->challenge = text;
    exchange->place = next;
    return SASL_CHALLENGE;
}

/* Copies what the caller will verify: the response is gone by the time the answer comes. */
static enum sasl_step
verify_password(struct sasl_exchange *exchange, struct str user, struct str password)
{
    exchange->place = SASL_AT_END;
    exchange->user = arena_str_dup(exchange->arena, user);
    exchange->password = arena_str_dup(exchange->arena, password);
    bool room = exchange->user.p != NULL && exchange->password.p != NULL;
    return room ? SASL_VERIFY_PASSWORD : SASL_NO_ROOM;
}

/* RFC 4616 2: [authzid] NUL authcid NUL passwd */
static enum sasl_step
plain_respond(struct sasl_exchange *exchange, struct str response)
{
    struct str authzid;
    struct str user;
    struct str password;
    struct str rest;
    if (!str_cut(response, '\0', &authzid, &rest) || !str_cut(rest, '\0', &user, &password) ||
        !sasl_user_is_valid(user) || !password_is_valid(password)) {
        return SASL_MALFORMED;
    }
    if (authzid.n > 0 && !str_eq(authzid, user)) {
        return SASL_REFUSED; /* nobody acts for somebody else here */
    }
    return verify_password(exchange, user, password);
}

static enum sasl_step
login_respond(struct sasl_exchange *exchange, struct str response)
{
    if (exchange->place == SASL_AT_PASSWORD) {
        return password_is_valid(response) ? verify_password(exchange, exchange->user, response)
                                           : SASL_MALFORMED;
    }
    if (!sasl_user_is_valid(response)) {
        return SASL_MALFORMED;
    }
    exchange->user = arena_str_dup(exchange->arena, response);
    if (exchange->user.p == NULL) {
        return SASL_NO_ROOM;
    }
    return challenge(exchange, SASL_AT_PASSWORD, STR("Password:"));
}

/* No initial response: PLAIN and SCRAM get an empty challenge, LOGIN its first question. */
static enum sasl_step
first_challenge(struct sasl_exchange *exchange)
{
    switch (exchange->mechanism) {
    case SMTP_AUTH_LOGIN:
        return challenge(exchange, SASL_AT_USER, STR("Username:"));
    case SMTP_AUTH_PLAIN:
        return challenge(exchange, SASL_AT_USER, STR(""));
    case SMTP_AUTH_SCRAM_SHA_256:
    case SMTP_AUTH_SCRAM_SHA_256_PLUS:
        return challenge(exchange, SASL_AT_CLIENT_FIRST, STR(""));
    }
    return SASL_MALFORMED;
}

static enum sasl_step
scram_respond(struct sasl_exchange *exchange, struct str response)
{
    if (str_contains_char(response, '\0')) {
        return SASL_MALFORMED;
    }
    if (exchange->place == SASL_AT_ACKNOWLEDGE) {
        /* RFC 4954 4: the server's last message was a challenge; its response is empty. */
        return response.n == 0 ? SASL_DONE : SASL_MALFORMED;
    }
    return exchange->place == SASL_AT_CLIENT_FINAL ? scram_client_final(exchange, response)
                                                   : scram_client_first(exchange, response);
}

enum sasl_step
sasl_respond(struct sasl_exchange *exchange, bool has_response, struct str response)
{
    if (!has_response) {
        return first_challenge(exchange);
    }
    switch (exchange->mechanism) {
    case SMTP_AUTH_PLAIN:
        return plain_respond(exchange, response);
    case SMTP_AUTH_LOGIN:
        return login_respond(exchange, response);
    case SMTP_AUTH_SCRAM_SHA_256:
    case SMTP_AUTH_SCRAM_SHA_256_PLUS:
        return scram_respond(exchange, response);
    }
    return SASL_MALFORMED;
}
