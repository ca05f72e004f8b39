#include "auth/results_authres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/dkim_verify.h"
#include "auth/dmarc.h"
#include "auth/spf.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

struct verdict_case {
    struct str author;
    enum dmarc_result dmarc;
    struct str dkim_aligned;
    struct str spf_aligned;
    struct str signer; /* whose signature passes */
    bool limited;      /* it leaves out a part of the body */
    struct str sender; /* whose SPF passes */
    const char *want;
};

static const struct verdict_case verdicts[] = {
    {STR_INIT("a.example"), DMARC_RESULT_PASS, STR_INIT("a.example"), STR_INIT("a.example"),
     STR_INIT("a.example"), false, STR_INIT("a.example"),
     "action=accept dmarc=pass spf=pass dkim=pass arc=unknown iprev=unknown from=a.example"},
    {STR_INIT("x.a.example"), DMARC_RESULT_PASS, STR_INIT("a.example"), STR_INIT(""),
     STR_INIT("a.example"), false, STR_INIT("b.example"),
     "action=accept dmarc=pass spf=unaligned dkim=pass arc=unknown iprev=unknown from=x.a.example"},
    /* anybody's signature */
    {STR_INIT("a.example"), DMARC_RESULT_FAIL, STR_INIT(""), STR_INIT(""), STR_INIT("b.example"),
     false, STR_INIT("b.example"),
     "action=accept dmarc=fail spf=unaligned dkim=unaligned arc=unknown iprev=unknown "
     "from=a.example"},
    /* the author's without a policy */
    {STR_INIT("a.example"), DMARC_RESULT_NONE, STR_INIT(""), STR_INIT(""), STR_INIT("A.example"),
     false, STR_INIT("A.example"),
     "action=accept dmarc=none spf=pass dkim=pass arc=unknown iprev=unknown from=a.example"},
    {STR_INIT("a.example"), DMARC_RESULT_FAIL, STR_INIT(""), STR_INIT(""), STR_INIT("a.example"),
     true, STR_INIT("b.example"),
     "action=accept dmarc=fail spf=unaligned dkim=policy arc=unknown iprev=unknown "
     "from=a.example"},
    /* no author */
    {STR_INIT(""), DMARC_RESULT_PERMERROR, STR_INIT(""), STR_INIT(""), STR_INIT("b.example"), false,
     STR_INIT(""),
     "action=accept dmarc=permerror spf=unaligned dkim=unaligned arc=unknown iprev=unknown"},
};

static void
test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        const struct verdict_case *c = &verdicts[i];
        struct arena *arena = arena_create(65536);
        const struct spf_outcome spf = {.result = SPF_RESULT_PASS, .domain = c->sender};
        const struct dkim_outcome signature = {.result = DKIM_RESULT_PASS,
                                               .signature = {.domain = c->signer},
                                               .body_limited = c->limited,
                                               .body_uncovered = c->limited ? 1 : 0};
        const struct dkim_outcomes dkim = {.items = &signature, .count = 1, .total = 1};
        const struct dmarc_outcome dmarc = {.result = c->dmarc,
                                            .author_domain = c->author,
                                            .dkim_aligned = c->dkim_aligned,
                                            .spf_aligned = c->spf_aligned};
        const struct auth_results results = {.spf_mailfrom = &spf, .dkim = &dkim, .dmarc = &dmarc};
        struct str got = auth_results_verdict(arena, &results, "accept");
        if (!str_eq(got, str_from_cstr(c->want))) {
            fail_msg("case %zu: %.*s", i, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

/* Nobody ran: nothing is claimed. */
static void
test_nothing_known(void **state)
{
    struct arena *arena = arena_create(65536);
    const struct auth_results results = {0};
    (void)state;
    assert_true(str_eq(
        auth_results_verdict(arena, &results, "hold"),
        STR("action=hold dmarc=unknown spf=unknown dkim=unknown arc=unknown iprev=unknown")));
    arena_destroy(&arena);
}

/* A reader of "pass" takes it for the whole message. */
static void
test_limited_signature(void **state)
{
    (void)state;
    for (unsigned limited = 0; limited < 2; limited++) {
        struct arena *arena = arena_create(65536);
        const struct dkim_outcome signature = {.result = DKIM_RESULT_PASS,
                                               .signature = {.domain = STR("a.example")},
                                               .key_bits = 2048,
                                               .body_limited = limited == 1,
                                               .body_uncovered = limited};
        const struct dkim_outcomes dkim = {.items = &signature, .count = 1, .total = 1};
        const struct auth_results results = {.dkim = &dkim};
        const struct auth_results_context context = {.results = &results,
                                                     .authserv_id = STR("mx.example")};
        struct authres authres;
        assert_int_equal(auth_results_collect(arena, &context, &authres), STATUS_OK);
        assert_int_equal(authres.result_count, 1);
        assert_true(str_eq(authres.results[0].result, limited == 1 ? STR("policy") : STR("pass")));
        assert_true(str_eq(authres.results[0].reason,
                           limited == 1 ? STR("the signature leaves out the end of the message")
                                        : STR("")));
        arena_destroy(&arena);
    }
}

/* A header section that was not read is not one without signatures. */
static void
test_head_unread(void **state)
{
    (void)state;
    for (unsigned unread = 0; unread < 2; unread++) {
        struct arena *arena = arena_create(65536);
        const struct dkim_outcomes dkim = {.head_unread = unread == 1};
        const struct auth_results results = {.dkim = &dkim};
        const struct auth_results_context context = {.results = &results,
                                                     .authserv_id = STR("mx.example")};
        struct authres authres;
        assert_int_equal(auth_results_collect(arena, &context, &authres), STATUS_OK);
        assert_int_equal(authres.result_count, 1);
        assert_true(str_eq(authres.results[0].result, unread ? STR("permerror") : STR("none")));
        assert_int_equal(authres.results[0].reason.n > 0, unread == 1);
        struct str verdict = auth_results_verdict(arena, &results, "accept");
        assert_int_equal(str_find(verdict, STR(" dkim=permerror ")) != STR_NPOS, unread == 1);
        arena_destroy(&arena);
    }
}

/* Junk on top leaves room for what was verified. */
static void
test_many_signatures(void **state)
{
    static struct dkim_outcome items[3 * AUTH_RESULTS_SIGNATURES_MAX];
    const struct dkim_outcomes dkim = {.items = items, .count = COUNT_OF(items)};
    const struct auth_results results = {.dkim = &dkim};
    const struct auth_results_context context = {.results = &results,
                                                 .authserv_id = STR("mx.example")};
    struct arena *arena = arena_create(65536);
    struct authres authres;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        bool last = i + 1 == COUNT_OF(items);
        items[i].result = last ? DKIM_RESULT_PASS : DKIM_RESULT_PERMERROR;
        items[i].looked_at = last;
    }
    assert_int_equal(auth_results_collect(arena, &context, &authres), STATUS_OK);
    assert_int_equal(authres.result_count, AUTH_RESULTS_SIGNATURES_MAX);
    assert_true(str_eq(authres.results[authres.result_count - 1].result, STR("pass")));
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),          cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_limited_signature), cmocka_unit_test(test_head_unread),
        cmocka_unit_test(test_many_signatures),
    };
    return cmocka_run_group_tests_name("auth results_authres", tests, NULL, NULL);
}
