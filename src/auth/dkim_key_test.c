#include "auth/dkim_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_dkim.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 8463 A.2 */
#define ED25519 "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static void
test_records(void **state)
{
    static const struct {
        const char *text;
        enum dkim_problem want;
        bool record;
        const char *facts; /* type, then the first letters of what holds */
    } cases[] = {
        {"v=DKIM1; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"v=DKIM1; p=", DKIM_PROBLEM_NONE, true, "rsa rhe"},
        {"v=DKIM1; p=; ", DKIM_PROBLEM_NONE, true, "rsa rhe"},
        {"v=DKIM1; k=ed25519; p=" ED25519, DKIM_PROBLEM_NONE, true, "ed25519 he"},
        {"v=DKIM1; k=other; p=YWJj", DKIM_PROBLEM_NONE, true, "? he"},
        {"v=DKIM1; h=sha1; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa e"},
        {"v=DKIM1; h=sha1 : SHA256; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"v=DKIM1; s=tlsrpt; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa h"},
        {"v=DKIM1; s=tlsrpt:email; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"v=DKIM1; s=*; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"v=DKIM1; t=y; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa het"},
        {"v=DKIM1; t=s:y; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa hets"},
        {"v=DKIM1; g=x; n=\xc3\xa9 n; p=YWJj; zz=1", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"V=DKIM2; p=YWJj", DKIM_PROBLEM_NONE, true, "rsa he"},
        {"v=DKIM1", DKIM_PROBLEM_KEY_MISSING, true, ""},
        {"v=DKIM1; k=rsa", DKIM_PROBLEM_KEY_MISSING, true, ""},
        {"v=DKIM1; bogus", DKIM_PROBLEM_KEY_SYNTAX, true, ""},
        {"v=DKIM1; p=; p=", DKIM_PROBLEM_KEY_SYNTAX, true, ""},
        {"v=DKIM1: k=rsa; p=YWJj", DKIM_PROBLEM_KEY_VERSION, false, ""},
        {"v=dkim1; p=YWJj", DKIM_PROBLEM_KEY_VERSION, false, ""},
        {"v=DKIM2; p=YWJj", DKIM_PROBLEM_KEY_VERSION, false, ""},
        {"p=YWJj; v=DKIM1", DKIM_PROBLEM_KEY_VERSION, true, ""},
        {"v=spf1 -all", DKIM_PROBLEM_KEY_VERSION, false, ""},
        {"some text", DKIM_PROBLEM_KEY_SYNTAX, false, ""},
        {"", DKIM_PROBLEM_KEY_SYNTAX, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str text = str_from_cstr(cases[i].text);
        struct dkim_key key = {0};
        char facts[64] = "";
        enum dkim_problem got = dkim_key_parse(text, &key);
        if (got == DKIM_PROBLEM_NONE) {
            snprintf(facts, sizeof facts, "%s %s%s%s%s%s",
                     key.type_known ? crypto_key_type_name(key.algorithm) : "?",
                     key.revoked ? "r" : "", key.sha256 ? "h" : "", key.email ? "e" : "",
                     key.testing ? "t" : "", key.strict ? "s" : "");
        }
        if (got != cases[i].want || dkim_key_is_record(text) != cases[i].record ||
            strcmp(facts, cases[i].facts) != 0) {
            fail_msg("\"%s\": got %s, \"%s\"", cases[i].text, dkim_problem_name(got), facts);
        }
    }
}

static void
test_fits(void **state)
{
    static const struct {
        const char *text;
        enum crypto_algorithm algorithm;
        bool below;
        enum dkim_problem want;
    } cases[] = {
        {"p=YWJj", CRYPTO_RSA_SHA256, true, DKIM_PROBLEM_NONE},
        {"p=YWJj", CRYPTO_ED25519_SHA256, false, DKIM_PROBLEM_KEY_TYPE},
        {"k=ed25519; p=YWJj", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_KEY_TYPE},
        {"k=other; p=YWJj", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_KEY_TYPE},
        {"p=", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_KEY_REVOKED},
        {"h=sha1; p=YWJj", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_KEY_HASH},
        {"s=other; p=YWJj", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_KEY_SERVICE},
        {"t=s; p=YWJj", CRYPTO_RSA_SHA256, false, DKIM_PROBLEM_NONE},
        {"t=s; p=YWJj", CRYPTO_RSA_SHA256, true, DKIM_PROBLEM_KEY_STRICT},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dkim_key key = {0};
        assert_int_equal(dkim_key_parse(str_from_cstr(cases[i].text), &key), DKIM_PROBLEM_NONE);
        assert_int_equal(dkim_key_fits(&key, cases[i].algorithm, cases[i].below), cases[i].want);
    }
}

static void
test_usable(void **state)
{
    static const struct {
        const char *text;
        enum dkim_problem want;
        unsigned bits;
    } cases[] = {
        {"k=ed25519; p=" ED25519, DKIM_PROBLEM_NONE, 256},
        {"k=ed25519; p=YWJj", DKIM_PROBLEM_KEY_MALFORMED, 0},
        {"p=" ED25519, DKIM_PROBLEM_KEY_MALFORMED, 0},
        {"p=Y", DKIM_PROBLEM_KEY_MALFORMED, 0},
        {"p=Y!Jj", DKIM_PROBLEM_KEY_MALFORMED, 0},
        {"p=", DKIM_PROBLEM_KEY_REVOKED, 0},
        {"k=other; p=", DKIM_PROBLEM_KEY_TYPE, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dkim_key key = {0};
        unsigned bits = 1;
        assert_int_equal(dkim_key_parse(str_from_cstr(cases[i].text), &key), DKIM_PROBLEM_NONE);
        assert_int_equal(dkim_key_usable(&key, &bits), cases[i].want);
        assert_int_equal(bits, cases[i].bits);
    }
}

static const char zone[] =
    "{\"one._domainkey.a.example\": [{\"type\": \"TXT\", \"strings\": [\"v=DKIM1; \", \"p=YW\","
    "                               \"Jj\"]}],"
    " \"among._domainkey.a.example\": [{\"type\": \"TXT\", \"value\": \"v=spf1 -all\"},"
    "                                 {\"type\": \"TXT\", \"value\": \"p=YWJj\"}],"
    " \"other._domainkey.a.example\": [{\"type\": \"TXT\", \"value\": \"v=spf1 -all\"}],"
    " \"broken._domainkey.a.example\": [{\"type\": \"TXT\", \"value\": \"hello\"},"
    "                                  {\"type\": \"TXT\", \"value\": \"v=DKIM1; k=rsa\"}],"
    " \"many._domainkey.a.example\": [{\"type\": \"TXT\", \"value\": \"p=YQ==\"},"
    "    {\"type\": \"TXT\", \"value\": \"p=Yg==\"}, {\"type\": \"TXT\", \"value\": \"p=Yw==\"},"
    "    {\"type\": \"TXT\", \"value\": \"p=ZA==\"}, {\"type\": \"TXT\", \"value\": \"p=ZQ==\"}],"
    " \"alias._domainkey.a.example\": [{\"type\": \"CNAME\","
    "                                  \"value\": \"one._domainkey.a.example\"}],"
    " \"address._domainkey.a.example\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"}],"
    " \"sick._domainkey.a.example\": [{\"type\": \"SERVFAIL\"}],"
    " \"late._domainkey.a.example\": [{\"type\": \"TIMEOUT\"}]}";

static void
test_lookup(void **state)
{
    static const struct {
        const char *selector;
        enum dkim_problem want;
        size_t count;
    } cases[] = {
        {"one", DKIM_PROBLEM_NONE, 1},
        {"among", DKIM_PROBLEM_NONE, 1},
        {"alias", DKIM_PROBLEM_NONE, 1},
        {"many", DKIM_PROBLEM_NONE, DKIM_KEYS_MAX},
        {"other", DKIM_PROBLEM_KEY_VERSION, 0},
        {"broken", DKIM_PROBLEM_KEY_MISSING, 0},
        {"address", DKIM_PROBLEM_KEY_NONE, 0},
        {"absent", DKIM_PROBLEM_KEY_NONE, 0},
        {"sick", DKIM_PROBLEM_KEY_UNAVAILABLE, 0},
        {"late", DKIM_PROBLEM_KEY_UNAVAILABLE, 0},
    };
    struct test_dkim world;
    struct dkim_lookup lookup;
    (void)state;
    test_dkim_open(&world, zone);
    dkim_lookup_init(&lookup, world.arena, &world.dns, NULL);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            const struct dkim_key_set *set =
                dkim_lookup_find(&lookup, str_from_cstr(cases[i].selector), STR("a.example"));
            if (set->problem != cases[i].want || set->count != cases[i].count) {
                fail_msg("%s: got %s", cases[i].selector, dkim_problem_name(set->problem));
            }
        }
        /* Nothing is asked twice. */
        assert_int_equal(dns_zone_questions(world.zone), COUNT_OF(cases));
    }
    test_dkim_close(&world);
}

/* A message makes us ask a limited number of questions. */
static void
test_lookup_limit(void **state)
{
    struct test_dkim world;
    struct dkim_lookup lookup;
    (void)state;
    test_dkim_open(&world, "{}");
    dkim_lookup_init(&lookup, world.arena, &world.dns, NULL);
    for (unsigned i = 0; i <= DKIM_LOOKUPS_MAX; i++) {
        struct str selector = arena_printf(world.arena, "s%u", i);
        const struct dkim_key_set *set = dkim_lookup_find(&lookup, selector, STR("a.example"));
        assert_int_equal(set->problem, i < DKIM_LOOKUPS_MAX ? DKIM_PROBLEM_KEY_NONE
                                                            : DKIM_PROBLEM_KEY_UNAVAILABLE);
    }
    assert_int_equal(dns_zone_questions(world.zone), DKIM_LOOKUPS_MAX);
    test_dkim_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),      cmocka_unit_test(test_fits),
        cmocka_unit_test(test_usable),       cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_lookup_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
