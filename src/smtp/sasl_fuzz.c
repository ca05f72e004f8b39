/*
 * Fuzz target: SASL exchanges. The first octet gives the mechanism and the channel binding; each
 * line of the rest is one response. Passwords and proofs are never right.
 */
#include <stdlib.h>

#include "smtp/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fixed_random(void *p, size_t n)
{
    memset(p, 'x', n);
}

/* Plays the caller; false when the exchange is over. */
static bool
go_on(struct sasl_exchange *exchange, enum sasl_step step)
{
    switch (step) {
    case SASL_CHALLENGE:
        return true;
    case SASL_SCRAM_BEGIN:
        if (!sasl_user_is_valid(exchange->user)) {
            abort();
        }
        return go_on(exchange, sasl_scram_begin(exchange, STR("salt"), SASL_ITERATIONS_MIN));
    case SASL_SCRAM_VERIFY:
        if (exchange->client_proof.n != SASL_PROOF_LENGTH || exchange->auth_message.n == 0) {
            abort();
        }
        return go_on(exchange,
                     sasl_scram_finish(exchange, STR("0123456789abcdef0123456789abcdef")));
    case SASL_VERIFY_PASSWORD:
        if (!sasl_user_is_valid(exchange->user) || exchange->password.n == 0) {
            abort();
        }
        return false;
    case SASL_DONE:
    case SASL_MALFORMED:
    case SASL_REFUSED:
    case SASL_NO_ROOM:
        return false;
    }
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    static const struct smtp_tls_info tls = {.tls_exporter =
                                                 STR_INIT("exporter exporter exporter expor"),
                                             .server_end_point = STR_INIT("end point")};
    struct arena *arena = arena_create(1 << 16);
    struct sasl_exchange exchange = {
        .arena = arena,
        .mechanism = (enum smtp_auth_mechanism)(1u << (data[0] & 3u)),
        .tls = data[0] & 4 ? &tls : NULL,
        .plus_offered = (data[0] & 8) != 0,
        .random = fixed_random,
    };
    struct str rest = str_make((const char *)data + 1, size - 1);
    struct str line;
    bool more = (data[0] & 16) == 0 || go_on(&exchange, sasl_respond(&exchange, false, STR("")));
    for (bool lines = true; more && lines;) {
        lines = str_cut(rest, '\n', &line, &rest);
        more = go_on(&exchange, sasl_respond(&exchange, true, line));
    }
    arena_destroy_wiped(&arena);
    return 0;
}
