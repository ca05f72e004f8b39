#include "transport/sts_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fetch/url.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define POLICY      "version: STSv1\nmode: none\nmax_age: 5\n"

static void
test_request(void **state)
{
    char label[254];
    struct arena *arena = arena_create(1 << 20);
    struct fetch_request request;
    struct fetch_url url;
    (void)state;
    assert_int_equal(sts_fetch_request(arena, STR("xn--aca-6ma.example"), &request), STATUS_OK);
    assert_true(
        str_eq(request.url, STR("https://mta-sts.xn--aca-6ma.example/.well-known/mta-sts.txt")));
    assert_int_equal(fetch_url_parse(request.url, &url), STATUS_OK);
    assert_int_equal(request.size_max, STS_POLICY_SIZE_MAX);
    assert_true(request.timeout_ms > 0 && request.timeout_ms <= FETCH_TIMEOUT_MAX_MS);
    assert_false(request.redirects); /* 32 */
    assert_int_equal(request.media_type_count, 1);
    assert_true(str_eq(request.media_types[0], STR("text/plain")));
    assert_int_equal(sts_fetch_request(arena, STR("[192.0.2.1]"), &request), STATUS_SYNTAX);
    assert_int_equal(sts_fetch_request(arena, STR("a.example/x"), &request), STATUS_SYNTAX);
    assert_int_equal(sts_fetch_request(arena, STR(""), &request), STATUS_SYNTAX);
    memset(label, 'a', sizeof label);
    label[63] = label[127] = label[191] = '.';
    assert_int_equal(sts_fetch_request(arena, str_make(label, 250), &request), STATUS_LIMIT);
    arena_destroy(&arena);
}

static void
test_answers(void **state)
{
    static const struct {
        struct fetch_response response;
        enum tls_result want;
        const char *reason;
    } rows[] = {
        {{FETCH_OUTCOME_OK, 200, STR_INIT("text/plain"), STR_INIT(POLICY), STR_INIT("")},
         TLS_RESULT_SUCCESS,
         ""},
        {{FETCH_OUTCOME_OK, 200, STR_INIT("text/plain"), STR_INIT("mode: x\n"), STR_INIT("")},
         TLS_RESULT_STS_POLICY_INVALID,
         "line 1: the mode is not enforce, testing or none"},
        {{FETCH_OUTCOME_OK, 200, STR_INIT("text/plain"), STR_INIT(""), STR_INIT("")},
         TLS_RESULT_STS_POLICY_INVALID,
         "there is no version"},
        /* 32, whatever the fetcher thinks */
        {{FETCH_OUTCOME_OK, 200, STR_INIT("text/html"), STR_INIT(POLICY), STR_INIT("")},
         TLS_RESULT_STS_POLICY_FETCH_ERROR,
         "the policy is not of type text/plain"},
        {{FETCH_OUTCOME_OK, 302, STR_INIT("text/plain"), STR_INIT(POLICY), STR_INIT("")},
         TLS_RESULT_STS_POLICY_FETCH_ERROR,
         "the web server redirects"},
        {{FETCH_OUTCOME_NOT_FOUND, 404, STR_INIT(""), STR_INIT(""), STR_INIT("it said 404")},
         TLS_RESULT_STS_POLICY_FETCH_ERROR,
         "it said 404"},
        {{FETCH_OUTCOME_TIMED_OUT, 0, STR_INIT(""), STR_INIT(""), STR_INIT("slow")},
         TLS_RESULT_STS_POLICY_FETCH_ERROR,
         "slow"},
        {{FETCH_OUTCOME_TLS_EXPIRED, 0, STR_INIT(""), STR_INIT(""), STR_INIT("old")},
         TLS_RESULT_STS_WEBPKI_INVALID,
         "old"},
        {{FETCH_OUTCOME_TLS_NAME, 0, STR_INIT(""), STR_INIT(""), STR_INIT("other")},
         TLS_RESULT_STS_WEBPKI_INVALID,
         "other"},
        {{FETCH_OUTCOME_TLS_UNTRUSTED, 0, STR_INIT(""), STR_INIT(""), STR_INIT("own")},
         TLS_RESULT_STS_WEBPKI_INVALID,
         "own"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct sts_fetched fetched;
        assert_int_equal(sts_fetch_read(arena, &rows[i].response, &fetched), STATUS_OK);
        if (fetched.result != rows[i].want ||
            !str_eq(fetched.reason, str_from_cstr(rows[i].reason))) {
            fail_msg("%zu: got %s, \"%.*s\"", i, tls_result_name(fetched.result),
                     STR_ARG(fetched.reason));
        }
        arena_destroy(&arena);
    }
}

/* Every failure has a reason and a result of MTA-STS. */
static void
test_all_outcomes(void **state)
{
    (void)state;
    for (unsigned i = 1; i < FETCH_OUTCOME_COUNT; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct fetch_response response = {.outcome = (enum fetch_outcome)i};
        struct sts_fetched fetched;
        assert_int_equal(sts_fetch_read(arena, &response, &fetched), STATUS_OK);
        assert_true(fetched.result >= TLS_RESULT_STS_POLICY_FETCH_ERROR);
        assert_true(fetched.reason.n > 0);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_all_outcomes),
    };
    return cmocka_run_group_tests_name("transport sts_fetch", tests, NULL, NULL);
}
