#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/checks.h"
#include "auth/results.h"
#include "auth/test_dkim.h"
#include "check/test_message.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct str content = STR_INIT("From: joe@signer.example\r\nTo: bob@b.example\r\n"
                                           "Subject: a subject\r\n\r\nHello\r\n");

static struct test_dkim world;
static struct str signed_content; /* at the hour that test messages are received at */

static int
setup(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct test_message message;
    (void)state;
    test_dkim_open(&world, test_dkim_zone(arena, ""));
    arena_destroy(&arena);
    test_message_open(&message, content);
    struct dkim_sign_request request = test_dkim_request(world.arena, content);
    request.time = message.input.received_ms / 1000;
    request.expires = request.time + 1000;
    signed_content = test_dkim_signed(world.arena, content, &request);
    test_message_close(&message);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    test_dkim_close(&world);
    return 0;
}

static struct str
edited(const char *from, const char *to)
{
    size_t at = str_find(signed_content, str_from_cstr(from));
    assert_int_not_equal(at, STR_NPOS);
    return arena_printf(world.arena, "%.*s%s%.*s", (int)at, signed_content.p, to,
                        STR_ARG(str_skip(signed_content, at + strlen(from))));
}

#define RSA "domain=signer.example selector=rsa algorithm=rsa-sha256"
#define ED  "domain=signer.example selector=ed algorithm=ed25519-sha256"

static void
test_findings(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *want;
    } cases[] = {
        {"Hello", "Hello", "dkim_pass(" RSA " bits=2048) dkim_pass(" ED " bits=256)"},
        {"Hello", "Hullo",
         "dkim_fail(" RSA " bits=2048 reason=the body was changed after it was signed) "
         "dkim_fail(" ED " bits=256 reason=the body was changed after it was signed)"},
        {"s=rsa;", "s=none;",
         "dkim_permerror(domain=signer.example selector=none algorithm=rsa-sha256 "
         "reason=there is no key record) dkim_pass(" ED " bits=256)"},
        {"a=rsa-sha256", "a=rsa-sha1",
         "dkim_broken_cryptography(domain=signer.example selector=rsa algorithm=rsa-sha1 "
         "reason=the algorithm rsa-sha1 is broken and not accepted (RFC 8301)) "
         "dkim_pass(" ED " bits=256)"},
        {"DKIM-Signature: v=1;", "DKIM-Signature: v",
         "dkim_permerror(reason=the field is not a list of tags) dkim_pass(" ED " bits=256)"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_message message;
        test_message_open(&message, edited(cases[i].from, cases[i].to));
        message.input.dns = &world.dns;
        assert_string_equal(test_message_check(&message, check_dkim), cases[i].want);
        test_message_close(&message);
    }
}

/* The clock, remarks beside a pass, no signature, no DNS, no header. */
static void
test_circumstances(void **state)
{
    struct arena *arena = arena_create(1u << 20);
    struct test_dkim testing;
    struct auth_results auth = {0};
    struct test_message message;
    (void)state;
    test_message_open(&message, signed_content);
    message.input.dns = &world.dns;
    message.input.received_ms += 1001000;
    assert_string_equal(test_message_check(&message, check_dkim),
                        "dkim_expired(" RSA " reason=the signature has expired (x=)) "
                        "dkim_expired(" ED " reason=the signature has expired (x=))");
    message.input.received_ms -= 1001000;
    message.input.dns = NULL;
    assert_int_equal(check_dkim(&message.input, &message.findings), STATUS_TEMPORARY);
    test_dkim_open(&testing, test_dkim_zone(arena, "t=y;"));
    message.input.dns = &testing.dns;
    message.input.auth = &auth;
    assert_string_equal(test_message_check(&message, check_dkim),
                        "dkim_pass(" RSA " bits=2048) dkim_testing(domain=signer.example) "
                        "dkim_pass(" ED " bits=256) dkim_testing(domain=signer.example)");
    assert_non_null(auth.dkim);
    assert_int_equal(auth.dkim->count, 2);
    message.input.head_over_limit = true;
    assert_string_equal(test_message_check(&message, check_dkim),
                        "dkim_permerror(reason=the header section is too large to be read)");
    assert_int_equal(auth.dkim->count, 0);
    assert_int_equal(dkim_outcomes_best(auth.dkim), DKIM_RESULT_PERMERROR);
    test_dkim_close(&testing);
    test_message_close(&message);
    test_message_open(&message, content);
    message.input.dns = &world.dns;
    assert_string_equal(test_message_check(&message, check_dkim), "dkim_none");
    test_message_close(&message);
    arena_destroy(&arena);
}

/* More signatures than are looked at are one finding, and so is any amount of junk. */
static void
test_many(void **state)
{
    static const char *const fields[] = {
        "DKIM-Signature: v",
        "DKIM-Signature: v=1; a=rsa-sha256; d=stranger.example; s=x; h=From; "
        "bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA",
    };
    (void)state;
    for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++) {
        struct test_message message;
        struct arena *arena = arena_create(1u << 20);
        struct str text = content;
        for (unsigned i = 0; i < 8 * DKIM_SIGNATURES_MAX; i++) {
            text = arena_printf(arena, "%s\r\n%.*s", fields[k], STR_ARG(text));
        }
        test_message_open(&message, text);
        message.input.dns = &world.dns;
        finding_list_init(&message.findings, arena);
        assert_int_equal(check_dkim(&message.input, &message.findings), STATUS_OK);
        assert_int_equal(message.findings.count, DKIM_SIGNATURES_MAX + 1);
        assert_int_equal(message.findings.items[DKIM_SIGNATURES_MAX].id, FINDING_DKIM_MANY);
        test_message_close(&message);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_findings),
                                       cmocka_unit_test(test_circumstances),
                                       cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
