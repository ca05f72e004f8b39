#include "transport/sts_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "smtp/address.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* "enforce 86400 a.example *.b.example", or "line N: why". */
static struct str
policy_text(struct arena *arena, struct str text)
{
    struct sts_policy policy;
    struct sts_problem problem = {0, ""};
    enum status status = sts_policy_parse(arena, text, &policy, &problem);
    if (status == STATUS_SYNTAX) {
        return arena_printf(arena, "line %zu: %s", problem.line, problem.text);
    }
    assert_int_equal(status, STATUS_OK);
    struct str got = arena_printf(arena, "%s %u", sts_mode_name(policy.mode), policy.max_age);
    for (size_t i = 0; i < policy.mx_count; i++) {
        got = arena_printf(arena, "%.*s %.*s", STR_ARG(got), STR_ARG(policy.mx[i]));
    }
    return policy.notes != 0 ? arena_printf(arena, "%.*s notes %x", STR_ARG(got), policy.notes)
                             : got;
}

static const struct {
    struct str text;
    const char *want;
} policies[] = {
    {STR_INIT("version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 86400\n"),
     "enforce 86400 a.example"},
    /* 34: line ends, blanks, order */
    {STR_INIT("version: STSv1\r\nmode: enforce\r\nmx: a.example\r\nmax_age: 86400\r\n"),
     "enforce 86400 a.example"},
    {STR_INIT("version: STSv1\nmode: enforce\r\nmx: a.example\nmax_age: 86400"),
     "enforce 86400 a.example"},
    {STR_INIT("version: STSv1\r\nmode: none\r\nmax_age: 86400\r"), "none 86400"},
    {STR_INIT("version:STSv1 \t\nmode:\t testing  \r\nmx:a.example \nmax_age:0 "),
     "testing 0 a.example"},
    {STR_INIT("max_age: 1\nmx: b.example\nmx: *.A.example\nmode: enforce\nversion: STSv1\n"),
     "enforce 1 b.example *.a.example"},
    {STR_INIT("version: STSv1\n\nmode: none\nmax_age: 5\n\n \n"), "none 5 notes 20"},
    /* 34: unknown keys */
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\nx-y.z_1: a: b \xc3\xa9\n"),
     "none 5 notes 1"},
    /* 34: a repeated key, the first counts */
    {STR_INIT("version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 5\n"),
     "enforce 5 a.example notes 2"},
    {STR_INIT("version: STSv1\nversion: STSv2\nmode: none\nmax_age: 5\nmax_age: x\nmode: bad\n"),
     "none 5 notes 2"},
    {STR_INIT("version: STSv1\nmode: bad\nmode: none\nmax_age: 5\n"),
     "line 2: the mode is not enforce, testing or none"},
    /* above the greatest: capped, never refused */
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 31557600\n"), "none 31557600"},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 31557601\n"), "none 31557600 notes 4"},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 9999999999\n"), "none 31557600 notes 4"},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 10000000000\n"),
     "line 3: max_age is not a number of seconds"},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: -1\n"),
     "line 3: max_age is not a number of seconds"},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 1 2\n"),
     "line 3: max_age is not a number of seconds"},
    /* 35: addresses are ignored */
    {STR_INIT("version: STSv1\nmode: enforce\nmx: 192.0.2.1\nmx: a.example\nmx: 2001:db8::1\n"
              "mx: [192.0.2.1]\nmx: [IPv6:2001:db8::1]\nmax_age: 5\n"),
     "enforce 5 a.example notes 8"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: 192.0.2.1\nmax_age: 5\n"),
     "line 0: there is no mx that is a name of a host"},
    /* 36: A-labels */
    {STR_INIT("version: STSv1\nmode: enforce\nmx: mx.XN--ACA-6MA.example\nmax_age: 5\n"),
     "enforce 5 mx.xn--aca-6ma.example"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: \xc3\xb1"
              "aca.example\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    /* 37: no mx */
    {STR_INIT("version: STSv1\nmode: enforce\nmax_age: 5\n"),
     "line 0: there is no mx that is a name of a host"},
    {STR_INIT("version: STSv1\nmode: testing\nmax_age: 5\n"),
     "line 0: there is no mx that is a name of a host"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx:\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    {STR_INIT("version: STSv1\nmode: none\nmx: a.example\nmax_age: 5\n"), "none 5 a.example"},
    /* names */
    {STR_INIT("version: STSv1\nmode: enforce\nmx: a.example.\nmx: A.example\nmax_age: 5\n"),
     "enforce 5 a.example notes 50"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: *\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: a*.example\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: .example\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    {STR_INIT("version: STSv1\nmode: enforce\nmx: a.example, b.example\nmax_age: 5\n"),
     "line 3: an mx is no name of a host"},
    /* what is missing */
    {STR_INIT(""), "line 0: there is no version"},
    {STR_INIT("mode: none\nmax_age: 5\n"), "line 0: there is no version"},
    {STR_INIT("version: STSv1\nmax_age: 5\n"), "line 0: there is no mode"},
    {STR_INIT("version: STSv1\nmode: none\n"), "line 0: there is no max_age"},
    /* what is no policy */
    {STR_INIT("version: STSv2\nmode: none\nmax_age: 5\n"), "line 1: the version is not STSv1"},
    {STR_INIT("Version: STSv1\nmode: none\nmax_age: 5\n"), "line 0: there is no version"},
    {STR_INIT("version: STSv1\nmode: Enforce\nmax_age: 5\n"),
     "line 2: the mode is not enforce, testing or none"},
    {STR_INIT("<html>\n"), "line 1: a line is not of the form \"key: value\""},
    {STR_INIT("version : STSv1\nmode: none\nmax_age: 5\n"),
     "line 1: a line is not of the form \"key: value\""},
    {STR_INIT(" version: STSv1\nmode: none\nmax_age: 5\n"),
     "line 1: a line is not of the form \"key: value\""},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\nx:\n"),
     "line 4: a line is not of the form \"key: value\""},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\nx: a\rb\n"),
     "line 4: a line is not of the form \"key: value\""},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\nx: \xff\n"),
     "line 4: a line is not of the form \"key: value\""},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\n\0\n"),
     "line 4: a line is not of the form \"key: value\""},
    {STR_INIT("version: STSv1\nmode: none\nmax_age: 5\n_x: 1\n"),
     "line 4: a line is not of the form \"key: value\""},
};

static void
test_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got = policy_text(arena, policies[i].text);
        if (!str_eq(got, str_from_cstr(policies[i].want))) {
            fail_msg("\"%.*s\": got \"%.*s\"", STR_ARG(policies[i].text), STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

/* What is written reads as the same, and has nothing more to note. */
static void
test_writing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct sts_policy policy;
        struct sts_policy again;
        struct sts_problem problem;
        if (sts_policy_parse(arena, policies[i].text, &policy, &problem) == STATUS_OK) {
            struct str text = sts_policy_text(arena, &policy);
            assert_int_equal(sts_policy_parse(arena, text, &again, &problem), STATUS_OK);
            assert_int_equal(again.mode, policy.mode);
            assert_int_equal(again.max_age, policy.max_age);
            assert_int_equal(again.mx_count, policy.mx_count);
            assert_int_equal(again.notes, 0);
            assert_true(str_eq(sts_policy_text(arena, &again), text));
        }
        arena_destroy(&arena);
    }
}

static void
test_matching(void **state)
{
    static const struct {
        const char *pattern;
        const char *host;
        bool want;
    } rows[] = {
        {"mx.example.com", "mx.example.com", true},
        {"mx.example.com", "MX.Example.COM.", true},
        {"mx.example.com", "mx2.example.com", false},
        {"mx.example.com", "example.com", false},
        {"mx.example.com", "", false},
        {"mx.example.com", ".", false},
        /* 35: one label, no more and no less */
        {"*.example.com", "mx.example.com", true},
        {"*.example.com", "MX.example.com.", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", "a.b.example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "mxexample.com", false},
        {"*.com", "example.com", true},
        /* 36 */
        {"*.xn--aca-6ma.example", "mx.XN--aca-6ma.example", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str names[] = {STR("other.example"), str_from_cstr(rows[i].pattern)};
        struct sts_policy policy = {.mx = names, .mx_count = 2};
        if (sts_policy_matches(&policy, str_from_cstr(rows[i].host)) != rows[i].want) {
            fail_msg("%s, %s", rows[i].pattern, rows[i].host);
        }
    }
}

static void
test_limits(void **state)
{
    static const struct str head = STR_INIT("version: STSv1\nmode: enforce\nmax_age: 5\n");
    struct arena *arena = arena_create(16 << 20);
    struct sts_policy policy;
    struct sts_problem problem;
    struct str text = head;
    (void)state;
    for (unsigned i = 0; i <= STS_POLICY_MX_MAX; i++) {
        enum status want = i > 0 ? STATUS_OK : STATUS_SYNTAX;
        assert_int_equal(sts_policy_parse(arena, text, &policy, &problem), want);
        text = arena_printf(arena, "%.*smx: a%u.example\n", STR_ARG(text), i);
    }
    assert_int_equal(policy.mx_count, STS_POLICY_MX_MAX);
    assert_int_equal(sts_policy_parse(arena, text, &policy, &problem), STATUS_SYNTAX);
    assert_string_equal(problem.text, "there are more than 512 mx");
    /* 32: 64 KiB */
    char *large = arena_alloc(arena, STS_POLICY_SIZE_MAX + 1);
    memset(large, '\n', STS_POLICY_SIZE_MAX + 1);
    memcpy(large, "version: STSv1\nmode: none\nmax_age: 5\n", 37);
    assert_int_equal(
        sts_policy_parse(arena, str_make(large, STS_POLICY_SIZE_MAX), &policy, &problem),
        STATUS_OK);
    assert_int_equal(
        sts_policy_parse(arena, str_make(large, STS_POLICY_SIZE_MAX + 1), &policy, &problem),
        STATUS_SYNTAX);
    arena_destroy(&arena);
    arena = arena_create(64);
    assert_int_equal(sts_policy_parse(arena, head, &policy, &problem), STATUS_LIMIT);
    arena_destroy(&arena);
}

/* 32: what a web server's answer must be. */
static void
test_responses(void **state)
{
    static const struct {
        unsigned status;
        struct str type;
        size_t size;
        enum sts_response_fault want;
    } rows[] = {
        {200, STR_INIT("text/plain"), 100, STS_RESPONSE_OK},
        {200, STR_INIT("text/plain; charset=utf-8"), 100, STS_RESPONSE_OK},
        {200, STR_INIT(" Text/Plain ;charset=us-ascii; x=y"), STS_POLICY_SIZE_MAX, STS_RESPONSE_OK},
        {200, STR_INIT("text/plain"), STS_POLICY_SIZE_MAX + 1, STS_RESPONSE_SIZE},
        {200, STR_INIT("text/html"), 100, STS_RESPONSE_TYPE},
        {200, STR_INIT("text/plainly"), 100, STS_RESPONSE_TYPE},
        {200, STR_INIT("application/octet-stream"), 100, STS_RESPONSE_TYPE},
        {200, STR_INIT(""), 100, STS_RESPONSE_TYPE},
        {301, STR_INIT("text/plain"), 100, STS_RESPONSE_REDIRECT},
        {302, STR_INIT("text/plain"), 100, STS_RESPONSE_REDIRECT},
        {304, STR_INIT("text/plain"), 0, STS_RESPONSE_REDIRECT},
        {201, STR_INIT("text/plain"), 100, STS_RESPONSE_STATUS},
        {206, STR_INIT("text/plain"), 100, STS_RESPONSE_STATUS},
        {404, STR_INIT("text/plain"), 100, STS_RESPONSE_STATUS},
        {500, STR_INIT("text/plain"), 100, STS_RESPONSE_STATUS},
        {0, STR_INIT("text/plain"), 100, STS_RESPONSE_STATUS},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sts_response response = {rows[i].status, rows[i].type, rows[i].size};
        enum sts_response_fault got = sts_response_judge(&response);
        assert_int_equal(got, rows[i].want);
        assert_int_equal(sts_response_fault_text(got)[0] == '\0', got == STS_RESPONSE_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),  cmocka_unit_test(test_writing),
        cmocka_unit_test(test_matching),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests_name("transport sts_policy", tests, NULL, NULL);
}
