#include "auth/arc_override.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/test_chain.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define PASS  "mx; dmarc=pass header.from=author.example"
#define FAILS "mx; dmarc=fail header.from=author.example"
#define MUTE  "mx; arc=pass"

static const struct str plain = STR_INIT("From: a@author.example\r\n\r\nHello.\r\n");

static void
test_override(void **state)
{
    static const struct {
        const char *label;
        const char *sealers[3]; /* with what they report; NULL ends the list */
        const char *results[3];
        unsigned want; /* the instance that vouches; 0: none */
    } cases[] = {
        {"one trusted", {"good.example"}, {PASS}, 1},
        {"one stranger", {"evil.example"}, {PASS}, 0},
        {"trusted, but it failed", {"good.example"}, {FAILS}, 0},
        {"trusted, says nothing", {"good.example"}, {MUTE}, 0},
        {"another domain passed",
         {"good.example"},
         {"mx; dmarc=pass header.from=other.example"},
         0},
        {"no domain named", {"good.example"}, {"mx; dmarc=pass"}, 0},
        {"U-label, upper case", {"good.example"}, {"mx; dmarc=PASS header.from=AUTHOR.example"}, 1},
        {"says two things",
         {"good.example"},
         {"mx; dmarc=pass header.from=author.example; dmarc=fail header.from=author.example"},
         0},
        {"failed at the second", {"good.example", "also.good.example"}, {PASS, FAILS}, 1},
        {"newest that passed", {"good.example", "also.good.example"}, {PASS, PASS}, 2},
        {"a stranger behind it", {"good.example", "evil.example"}, {PASS, FAILS}, 0},
        {"a stranger before it", {"evil.example", "good.example"}, {PASS, PASS}, 2},
        {"only a stranger says it", {"evil.example", "good.example"}, {PASS, MUTE}, 0},
        {"a stranger between",
         {"good.example", "evil.example", "good.example"},
         {PASS, MUTE, MUTE},
         0},
        {"below a trusted one", {"x.below.example"}, {PASS}, 1},
        {"itself is not below", {"below.example"}, {PASS}, 0},
        {"below one that is trusted alone", {"x.good.example"}, {PASS}, 0},
    };
    static const struct str trusted[] = {STR_INIT("Good.example"), STR_INIT("also.good.example"),
                                         STR_INIT(".below.example"), STR_INIT("")};
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str message = plain;
        struct arc_voucher voucher = {0};
        for (size_t j = 0; j < 3 && cases[i].sealers[j] != NULL; j++) {
            message = test_chain_seal(&chain, message, message, str_from_cstr(cases[i].sealers[j]),
                                      str_from_cstr(cases[i].results[j]));
        }
        struct arc_verification verification = test_chain_verify(&chain, message);
        assert_int_equal(verification.result, ARC_RESULT_PASS);
        bool got = arc_override(chain.arena, &verification, trusted, COUNT_OF(trusted),
                                STR("author.example"), &voucher);
        if (voucher.instance != cases[i].want || got != (cases[i].want > 0)) {
            fail_msg("%s: %u", cases[i].label, voucher.instance);
        }
    }
    test_chain_close(&chain);
}

/* Nothing vouches where the chain does not hold. */
static void
test_failed_chain(void **state)
{
    static const struct str trusted[] = {STR_INIT("good.example")};
    struct test_chain chain;
    struct arc_voucher voucher;
    (void)state;
    test_chain_open(&chain);
    struct str message = test_chain_seal(&chain, plain, plain, STR("good.example"), STR(PASS));
    message = test_chain_replace(&chain, message, "Hello", "Hallo");
    struct arc_verification verification = test_chain_verify(&chain, message);
    assert_false(
        arc_override(chain.arena, &verification, trusted, 1, STR("author.example"), &voucher));
    verification = test_chain_verify(&chain, plain);
    assert_false(
        arc_override(chain.arena, &verification, trusted, 1, STR("author.example"), &voucher));
    test_chain_close(&chain);
}

static void
test_comment(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str message = test_chain_seal(&chain, plain, plain, STR("a.example"),
                                         STR("mx; spf=pass smtp.remote-ip=192.0.2.7; arc=none"));
    message = test_chain_seal(&chain, message, message, STR("b.example"), STR(PASS));
    struct arc_verification verification = test_chain_verify(&chain, message);
    struct str comment = arc_override_comment(chain.arena, &verification);
    assert_string_equal(arena_cstr(chain.arena, comment),
                        "arc=pass as[2].d=b.example as[2].s=arc as[1].d=a.example as[1].s=arc "
                        "remote-ip[1]=192.0.2.7");
    test_chain_close(&chain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_failed_chain),
        cmocka_unit_test(test_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
