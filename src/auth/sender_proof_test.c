#include "auth/sender_proof.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/dkim_verify.h"
#include "auth/spf.h"

struct proof_case {
    const char *what;
    const char *sender;
    enum spf_result spf;
    const char *signer; /* NULL: no signature */
    enum dkim_result dkim;
    bool body_limited;
    bool want;
};

static const struct proof_case cases[] = {
    {"nothing", "a@example.com", SPF_RESULT_NONE, NULL, 0, false, false},
    {"spf", "a@example.com", SPF_RESULT_PASS, NULL, 0, false, true},
    {"the null path", "", SPF_RESULT_PASS, "example.com", DKIM_RESULT_PASS, false, false},
    {"softfail", "a@example.com", SPF_RESULT_SOFTFAIL, NULL, 0, false, false},
    {"temperror", "a@example.com", SPF_RESULT_TEMPERROR, NULL, 0, false, false},
    {"its signature", "a@example.com", SPF_RESULT_FAIL, "Example.com", DKIM_RESULT_PASS, false,
     true},
    {"the domain above", "a@news.example.com", SPF_RESULT_NONE, "example.com", DKIM_RESULT_PASS,
     false, true},
    {"a domain below", "a@example.com", SPF_RESULT_NONE, "news.example.com", DKIM_RESULT_PASS,
     false, false},
    {"the same end", "a@anexample.com", SPF_RESULT_NONE, "example.com", DKIM_RESULT_PASS, false,
     false},
    {"somebody else's", "a@example.com", SPF_RESULT_NONE, "example.net", DKIM_RESULT_PASS, false,
     false},
    {"a broken one", "a@example.com", SPF_RESULT_NONE, "example.com", DKIM_RESULT_FAIL, false,
     false},
    {"a part of the body", "a@example.com", SPF_RESULT_NONE, "example.com", DKIM_RESULT_PASS, true,
     false},
};

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct proof_case *c = &cases[i];
        struct spf_outcome spf = {.result = c->spf, .identity = SPF_IDENTITY_MAILFROM};
        /* The one that counts is not the first. */
        struct dkim_outcome items[2] = {
            {.result = DKIM_RESULT_PASS, .signature.domain = STR("list.example")},
            {.result = c->dkim, .body_limited = c->body_limited, .body_uncovered = 1},
        };
        struct dkim_outcomes dkim = {.items = items, .count = 2, .total = 2};
        struct auth_results results = {.spf_mailfrom = &spf};
        if (c->signer != NULL) {
            items[1].signature.domain = str_from_cstr(c->signer);
            results.dkim = &dkim;
        }
        if (auth_sender_is_proven(&results, str_from_cstr(c->sender)) != c->want) {
            fail_msg("%s: want %d", c->what, c->want);
        }
    }
}

static void
test_checks_that_were_not_made(void **state)
{
    (void)state;
    struct auth_results results = {.spf_mailfrom = NULL};
    assert_false(auth_sender_is_proven(&results, STR("a@example.com")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_checks_that_were_not_made),
    };
    return cmocka_run_group_tests_name("auth sender_proof", tests, NULL, NULL);
}
