/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side (RFC 5802, RFC 7677). The keys stay with the
 * caller; here are the messages, the nonces and the channel binding.
 */
#include "base/encode.h"
#include "smtp/sasl.h"

#define SERVER_NONCE_OCTETS 18u

/* saslname: "=2C" is a comma, "=3D" an equals sign, nothing else is escaped (RFC 5802 5.1). */
static enum sasl_step
decode_user(struct sasl_exchange *exchange, struct str s)
{
    char *user = arena_cstr(exchange->arena, s);
    if (user == NULL) {
        return SASL_NO_ROOM;
    }
    size_t n = 0;
    while (s.n > 0) {
        size_t used = 1;
        char c = s.p[0];
        if (c == '=') {
            struct str escape = str_head(s, 3);
            used = 3;
            if (str_eq_nocase(escape, STR("=2C"))) {
                c = ',';
            } else if (!str_eq_nocase(escape, STR("=3D"))) {
                return SASL_MALFORMED;
            }
        }
        user[n++] = c;
        s = str_skip(s, used);
    }
    user[n] = '\0';
    exchange->user = str_make(user, n);
    return sasl_user_is_valid(exchange->user) ? SASL_SCRAM_BEGIN : SASL_MALFORMED;
}

/* Takes "k=value" from the front of a comma-separated list. */
static bool
take_attribute(struct str *rest, char key, struct str *value_out)
{
    struct str item;
    struct str tail;
    str_cut(*rest, ',', &item, &tail);
    if (item.n < 2 || item.p[0] != key || item.p[1] != '=') {
        return false;
    }
    *value_out = str_skip(item, 2);
    *rest = tail;
    return true;
}

static bool
nonce_is_valid(struct str nonce)
{
    for (size_t i = 0; i < nonce.n; i++) {
        if (nonce.p[i] <= ' ' || nonce.p[i] > '~') {
            return false;
        }
    }
    return nonce.n > 0 && nonce.n <= SASL_NONCE_MAX;
}

/* "p=tls-exporter" (RFC 9266) or "p=tls-server-end-point" (RFC 5929 4), where we have the data. */
static enum sasl_step
choose_binding(struct sasl_exchange *exchange, struct str type)
{
    if (exchange->tls == NULL) {
        return SASL_REFUSED;
    }
    if (str_eq(type, STR("tls-exporter"))) {
        exchange->binding = exchange->tls->tls_exporter;
    } else if (str_eq(type, STR("tls-server-end-point"))) {
        exchange->binding = exchange->tls->server_end_point;
    }
    return exchange->binding.n > 0 ? SASL_SCRAM_BEGIN : SASL_REFUSED;
}

/* gs2-cbind-flag, RFC 5802 6: who binds, who could, and who was lied to about what we offer. */
static enum sasl_step
read_binding_flag(struct sasl_exchange *exchange, struct str flag)
{
    bool plus = exchange->mechanism == SMTP_AUTH_SCRAM_SHA_256_PLUS;
    if (str_starts_with(flag, STR("p="))) {
        return plus ? choose_binding(exchange, str_skip(flag, 2)) : SASL_MALFORMED;
    }
    if (plus) {
        return SASL_MALFORMED;
    }
    if (str_eq(flag, STR("y"))) {
        /* The client can bind and thinks we cannot; if we offered it, somebody removed it. */
        return exchange->plus_offered ? SASL_REFUSED : SASL_SCRAM_BEGIN;
    }
    return str_eq(flag, STR("n")) ? SASL_SCRAM_BEGIN : SASL_MALFORMED;
}

/* client-first-message = gs2-cbind-flag "," [ "a=" authzid ] "," "n=" user "," "r=" nonce ["," ext]
 */
enum sasl_step
scram_client_first(struct sasl_exchange *exchange, struct str response)
{
    struct str message = arena_str_dup(exchange->arena, response);
    if (message.p == NULL) {
        return SASL_NO_ROOM;
    }
    struct str flag;
    struct str authzid;
    struct str bare;
    struct str rest;
    struct str user;
    struct str nonce;
    if (!str_cut(message, ',', &flag, &rest) || !str_cut(rest, ',', &authzid, &bare)) {
        return SASL_MALFORMED;
    }
    rest = bare;
    if (!take_attribute(&rest, 'n', &user) || !take_attribute(&rest, 'r', &nonce) ||
        !nonce_is_valid(nonce)) {
        return SASL_MALFORMED; /* "m=" (mandatory extension) too: we know none */
    }
    exchange->gs2_header = str_head(message, message.n - bare.n);
    exchange->client_first_bare = bare;
    exchange->nonce = nonce;
    enum sasl_step step = read_binding_flag(exchange, flag);
    if (step != SASL_SCRAM_BEGIN) {
        return step;
    }
    if (authzid.n > 0 &&
        (!str_starts_with(authzid, STR("a=")) || !str_eq(str_skip(authzid, 2), user))) {
        return SASL_REFUSED;
    }
    return decode_user(exchange, user);
}

enum sasl_step
sasl_scram_begin(struct sasl_exchange *exchange, struct str salt, unsigned iterations)
{
    char random[SERVER_NONCE_OCTETS];
    exchange->random(random, sizeof random);
    struct str ours = base64_encode(exchange->arena, str_make(random, sizeof random));
    struct str salt64 = base64_encode(exchange->arena, salt);
    if (ours.p == NULL || salt64.p == NULL) {
        return SASL_NO_ROOM;
    }
    exchange->nonce =
        arena_printf(exchange->arena, "%.*s%.*s", STR_ARG(exchange->nonce), STR_ARG(ours));
    exchange->server_first = arena_printf(exchange->arena, "r=%.*s,s=%.*s,i=%u",
                                          STR_ARG(exchange->nonce), STR_ARG(salt64), iterations);
    if (exchange->nonce.p == NULL || exchange->server_first.p == NULL) {
        return SASL_NO_ROOM;
    }
    exchange->challenge = exchange->server_first;
    exchange->place = SASL_AT_CLIENT_FINAL;
    return SASL_CHALLENGE;
}

/* "c=" is the header of the client's first message and the binding data: both must be ours. */
static enum sasl_step
check_binding(struct sasl_exchange *exchange, struct str text)
{
    struct str got;
    enum status status = base64_decode(exchange->arena, text, &got);
    if (status != STATUS_OK) {
        return status == STATUS_LIMIT ? SASL_NO_ROOM : SASL_MALFORMED;
    }
    bool same = str_eq(str_head(got, exchange->gs2_header.n), exchange->gs2_header) &&
                str_eq(str_skip(got, exchange->gs2_header.n), exchange->binding);
    return same ? SASL_SCRAM_VERIFY : SASL_REFUSED;
}

/* client-final-message = "c=" binding "," "r=" nonce ["," ext] "," "p=" proof */
enum sasl_step
scram_client_final(struct sasl_exchange *exchange, struct str response)
{
    struct str rest = response;
    struct str binding;
    struct str nonce;
    size_t proof_at = str_rfind_char(response, ',');
    if (!take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce) ||
        !str_starts_with(str_skip(response, proof_at), STR(",p="))) {
        return SASL_MALFORMED;
    }
    if (!str_eq(nonce, exchange->nonce)) {
        return SASL_REFUSED;
    }
    enum sasl_step step = check_binding(exchange, binding);
    if (step != SASL_SCRAM_VERIFY) {
        return step;
    }
    struct str proof;
    enum status status = base64_decode(exchange->arena, str_skip(response, proof_at + 3), &proof);
    if (status == STATUS_LIMIT) {
        return SASL_NO_ROOM;
    }
    if (status != STATUS_OK || proof.n != SASL_PROOF_LENGTH) {
        return SASL_MALFORMED;
    }
    struct str without_proof = str_head(response, proof_at);
    exchange->client_proof = proof;
    exchange->auth_message =
        arena_printf(exchange->arena, "%.*s,%.*s,%.*s", STR_ARG(exchange->client_first_bare),
                     STR_ARG(exchange->server_first), STR_ARG(without_proof));
    return exchange->auth_message.p != NULL ? SASL_SCRAM_VERIFY : SASL_NO_ROOM;
}

enum sasl_step
sasl_scram_finish(struct sasl_exchange *exchange, struct str server_signature)
{
    struct str signature64 = base64_encode(exchange->arena, server_signature);
    exchange->challenge = arena_printf(exchange->arena, "v=%.*s", STR_ARG(signature64));
    exchange->place = SASL_AT_ACKNOWLEDGE;
    bool room = signature64.p != NULL && exchange->challenge.p != NULL;
    return room ? SASL_CHALLENGE : SASL_NO_ROOM;
}
