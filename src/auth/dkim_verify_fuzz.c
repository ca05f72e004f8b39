/*
 * Any octets as a message, over a fixed zone: every signature has an outcome, no DNS question is
 * asked twice, and the message with our own signature on top of it verifies.
 */
#include <stdlib.h>

#include "auth/dkim_sign.h"
#include "auth/dkim_verify.h"
#include "auth/private_key.h"
#include "dns/source_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mail_head_limits limits = {65536, 1000};

/* RFC 8463 A.2, and the key that the corpus is signed with. */
static const char zone_text[] =
    "{\"brisbane._domainkey.football.example.com\": [{\"type\": \"TXT\", \"value\":"
    "   \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"}],"
    " \"test._domainkey.football.example.com\": [{\"type\": \"TXT\", \"value\":"
    "   \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08"
    "a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4h"
    "stT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"}],"
    " \"revoked._domainkey.a.example\": [{\"type\": \"TXT\", \"value\": \"v=DKIM1; p=\"}],"
    " \"late._domainkey.a.example\": [{\"type\": \"TIMEOUT\"}]}";

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static struct dkim_outcomes
verify(struct arena *arena, struct str message)
{
    struct mail_head head;
    struct dns_zone *zone;
    struct dkim_lookup lookup;
    struct str error;
    struct dkim_outcomes outcomes = {0};
    require(dns_zone_create(arena, str_from_cstr(zone_text), DNS_SECURITY_INSECURE, &zone,
                            &error) == STATUS_OK);
    struct dns_source dns = dns_source_from_zone(zone);
    if (mail_head_parse(arena, message, &limits, &head) == STATUS_OK) {
        const struct dkim_verify_input input = {
            .head = &head, .body = str_skip(message, head.raw.n), .now = 1528637909, .utf8 = true};
        dkim_lookup_init(&lookup, arena, &dns, NULL);
        require(dkim_verify(arena, &input, &lookup, &outcomes) == STATUS_OK);
        require(dns_zone_questions(zone) <= DKIM_SIGNATURES_MAX);
    }
    dns_zone_destroy(&zone);
    return outcomes;
}

/* Whatever it is, if we can sign it, it verifies. */
static void
round_trip(struct arena *arena, struct str message, struct private_key *private)
{
    struct mail_head head;
    struct buf text;
    const struct dkim_sign_key key = {STR("brisbane"), private_key_signer(private)};
    if (mail_head_parse(arena, message, &limits, &head) != STATUS_OK) {
        return;
    }
    const struct dkim_sign_request request = {
        .head = &head,
        .body = str_skip(message, head.raw.n),
        .domain = STR("football.example.com"),
        .keys = &key,
        .key_count = 1,
        .head_form = message.n % 2 == 0 ? CANONICAL_RELAXED : CANONICAL_SIMPLE,
        .body_form = message.n % 3 == 0 ? CANONICAL_RELAXED : CANONICAL_SIMPLE,
        .time = 1528637909,
        .expires = DKIM_NO_TIME,
    };
    buf_init(&text, DKIM_SIGN_FIELDS_MAX + message.n);
    if (dkim_sign(arena, &request, &text) == STATUS_OK) {
        require(buf_append(&text, message) == STATUS_OK);
        struct dkim_outcomes outcomes = verify(arena, buf_str(&text));
        /* The header may have become too large by it. */
        require(outcomes.count == 0 || outcomes.items[0].result == DKIM_RESULT_PASS);
    }
    buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char seed[PRIVATE_KEY_SEED] = {
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
        0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
        0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    static struct private_key *private;
    struct arena *arena = arena_create(32u << 20);
    struct str message = str_make((const char *)data, size);
    if (private == NULL) {
        require(private_key_from_seed(str_make((const char *)seed, sizeof seed), &private) ==
                STATUS_OK);
    }
    struct dkim_outcomes outcomes = verify(arena, message);
    for (size_t i = 0; i < outcomes.count; i++) {
        const struct dkim_outcome *outcome = &outcomes.items[i];
        require((outcome->result == DKIM_RESULT_PASS) == (outcome->problem == DKIM_PROBLEM_NONE));
        require(!dkim_outcome_authenticates(outcome) || outcome->body_uncovered == 0);
    }
    round_trip(arena, message, private);
    arena_destroy(&arena);
    return 0;
}
