#include "auth/test_dkim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/encode.h"

#define ARENA_CEILING (64u << 20)

static const struct mail_head_limits ample = {1u << 20, 2000};

void
test_dkim_open(struct test_dkim *world, const char *zone)
{
    struct str error = STR("");
    world->arena = arena_create(ARENA_CEILING);
    if (dns_zone_create(world->arena, str_from_cstr(zone), DNS_SECURITY_INSECURE, &world->zone,
                        &error) != STATUS_OK) {
        fail_msg("zone: %.*s", STR_ARG(error));
    }
    world->dns = dns_source_from_zone(world->zone);
}

void
test_dkim_close(struct test_dkim *world)
{
    dns_zone_destroy(&world->zone);
    arena_destroy(&world->arena);
}

struct private_key *
test_dkim_key(enum crypto_algorithm algorithm)
{
    static struct private_key *keys[2];
    if (keys[algorithm] == NULL) {
        assert_int_equal(private_key_generate(algorithm, 0, &keys[algorithm]), STATUS_OK);
    }
    return keys[algorithm];
}

struct str
test_dkim_public(struct arena *arena, enum crypto_algorithm algorithm)
{
    struct str octets;
    assert_int_equal(private_key_public(test_dkim_key(algorithm), arena, &octets), STATUS_OK);
    return base64_encode(arena, octets);
}

const char *
test_dkim_zone(struct arena *arena, const char *more)
{
    struct str zone =
        arena_printf(arena,
                     "{\"" TEST_DKIM_RSA "._domainkey." TEST_DKIM_DOMAIN
                     "\": [{\"type\": \"TXT\", \"value\": \"v=DKIM1; k=rsa; %s p=%.*s\"}],"
                     " \"" TEST_DKIM_ED25519 "._domainkey." TEST_DKIM_DOMAIN
                     "\": [{\"type\": \"TXT\", \"value\": \"v=DKIM1; k=ed25519; %s p=%.*s\"}]}",
                     more, STR_ARG(test_dkim_public(arena, CRYPTO_RSA_SHA256)), more,
                     STR_ARG(test_dkim_public(arena, CRYPTO_ED25519_SHA256)));
    assert_non_null(zone.p);
    return zone.p;
}

struct dkim_sign_request
test_dkim_request(struct arena *arena, struct str message)
{
    struct mail_head *head = arena_alloc(arena, sizeof *head);
    struct dkim_sign_key *keys = arena_alloc_array(arena, 2, sizeof *keys);
    assert_non_null(head);
    assert_non_null(keys);
    assert_int_equal(mail_head_parse(arena, message, &ample, head), STATUS_OK);
    keys[0] = (struct dkim_sign_key){STR(TEST_DKIM_RSA),
                                     private_key_signer(test_dkim_key(CRYPTO_RSA_SHA256))};
    keys[1] = (struct dkim_sign_key){STR(TEST_DKIM_ED25519),
                                     private_key_signer(test_dkim_key(CRYPTO_ED25519_SHA256))};
    return (struct dkim_sign_request){
        .head = head,
        .body = str_skip(message, head->raw.n),
        .domain = STR(TEST_DKIM_DOMAIN),
        .keys = keys,
        .key_count = 2,
        .head_form = CANONICAL_RELAXED,
        .body_form = CANONICAL_RELAXED,
        .time = TEST_DKIM_NOW,
        .expires = DKIM_NO_TIME,
    };
}

struct str
test_dkim_signed(struct arena *arena, struct str message, const struct dkim_sign_request *request)
{
    struct buf fields;
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX + message.n);
    assert_int_equal(dkim_sign(arena, request, &fields), STATUS_OK);
    assert_int_equal(buf_append(&fields, message), STATUS_OK);
    struct str all = arena_str_dup(arena, buf_str(&fields));
    assert_non_null(all.p);
    buf_free(&fields);
    return all;
}

struct dkim_outcomes
test_dkim_outcomes(struct test_dkim *world, struct str message)
{
    struct mail_head head;
    struct dkim_lookup lookup;
    struct dkim_outcomes outcomes;
    assert_int_equal(mail_head_parse(world->arena, message, &ample, &head), STATUS_OK);
    const struct dkim_verify_input input = {
        .head = &head,
        .body = str_skip(message, head.raw.n),
        .now = TEST_DKIM_NOW,
        .utf8 = true,
        .author_domain = STR(TEST_DKIM_DOMAIN),
    };
    dkim_lookup_init(&lookup, world->arena, &world->dns, NULL);
    assert_int_equal(dkim_verify(world->arena, &input, &lookup, &outcomes), STATUS_OK);
    return outcomes;
}

const char *
test_dkim_verdict(struct test_dkim *world, struct str message)
{
    struct dkim_outcomes outcomes = test_dkim_outcomes(world, message);
    struct str text = STR("");
    for (size_t i = 0; i < outcomes.count; i++) {
        const struct dkim_outcome *outcome = &outcomes.items[i];
        const char *gap = i > 0 ? " " : "";
        const char *result = dkim_result_name(outcome->result);
        text = outcome->problem == DKIM_PROBLEM_NONE
                   ? arena_printf(world->arena, "%.*s%s%s", STR_ARG(text), gap, result)
                   : arena_printf(world->arena, "%.*s%s%s(%s)", STR_ARG(text), gap, result,
                                  dkim_problem_name(outcome->problem));
    }
    return text.p;
}
