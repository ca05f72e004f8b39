/* Sessions for TLS reports: counting, the report of a day, bounds, forgetting, damage. */
#include "store/tls_sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/ledger_test_directory.h"

#define DAY_MS (24 * 60 * 60 * 1000LL)
/* 2026-11-23T17:48:14Z */
#define NOW_MS INT64_C(1795456094000)
#define TODAY  (NOW_MS / DAY_MS)

static struct tls_sessions *
must_open(const struct test_directory *directory)
{
    struct tls_sessions *sessions = NULL;
    assert_int_equal(tls_sessions_open(directory->path, &sessions), STATUS_OK);
    return sessions;
}

static struct tls_session
session_of(const char *domain, enum tls_policy_type type, enum tls_result result)
{
    return (struct tls_session){
        .domain = str_from_cstr(domain),
        .type = type,
        .lines = type == TLS_POLICY_STS ? STR("version: STSv1\nmode: enforce\nmx: mx.a.example")
                                        : STR(""),
        .is_used = true,
        .result = result,
        .mx = STR("mx.a.example"),
        .sending_ip = STR("192.0.2.1"),
        .receiving_ip = STR("203.0.113.5"),
    };
}

static void
count(struct tls_sessions *sessions, const struct tls_session *session, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        tls_sessions_count(sessions, session, NOW_MS);
    }
}

/* "type success/failed lines mx [result mx sender receiver reason n] ..." of a domain's day. */
static const char *
report_of(struct tls_sessions *sessions, int64_t day, const char *domain)
{
    static char text[16384];
    struct arena *arena = arena_create(16 << 20);
    struct tlsrpt_report report;
    size_t n = 0;
    text[0] = '\0';
    enum status status = tls_sessions_report(sessions, day, str_from_cstr(domain), arena, &report);
    for (size_t i = 0; status == STATUS_OK && i < report.policy_count; i++) {
        const struct tlsrpt_policy *policy = &report.policies[i];
        assert_true(str_eq(policy->domain, str_from_cstr(domain)));
        n += (size_t)snprintf(
            text + n, sizeof text - n, "%s%s %llu/%llu %zu %zu", i > 0 ? "; " : "",
            tls_policy_type_name(policy->type), (unsigned long long)policy->successful,
            (unsigned long long)policy->failed, policy->line_count, policy->mx_count);
        for (size_t k = 0; k < policy->failure_count && k < 20; k++) {
            const struct tlsrpt_failure *f = &policy->failures[k];
            n += (size_t)snprintf(text + n, sizeof text - n, " [%s %.*s %.*s %.*s %.*s %llu]",
                                  tls_result_name(f->result), STR_ARG(f->mx),
                                  STR_ARG(f->sending_ip), STR_ARG(f->receiving_ip),
                                  STR_ARG(f->reason), (unsigned long long)f->sessions);
        }
    }
    if (status != STATUS_OK) {
        snprintf(text, sizeof text, "%s", status_name(status));
    } else {
        assert_int_equal(report.start_s, day * 86400);
        assert_int_equal(report.end_s, day * 86400 + 86399);
    }
    arena_destroy(&arena);
    return text;
}

static const char *
domains_of(struct tls_sessions *sessions, int64_t day, const char *after)
{
    static char text[1024];
    struct arena *arena = arena_create(1 << 20);
    const struct str *domains;
    size_t domain_count;
    size_t n = 0;
    text[0] = '\0';
    assert_int_equal(
        tls_sessions_domains(sessions, day, str_from_cstr(after), arena, &domains, &domain_count),
        STATUS_OK);
    for (size_t i = 0; i < domain_count; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", STR_ARG(domains[i]));
    }
    arena_destroy(&arena);
    return text;
}

static void
test_counting(void **state)
{
    struct tls_sessions *sessions = must_open(*state);
    struct tls_session good = session_of("a.example", TLS_POLICY_STS, TLS_RESULT_SUCCESS);
    struct tls_session bad =
        session_of("a.example", TLS_POLICY_STS, TLS_RESULT_CERTIFICATE_EXPIRED);
    struct tls_session other = session_of("b.example", TLS_POLICY_NONE, TLS_RESULT_SUCCESS);
    count(sessions, &good, 5);
    count(sessions, &bad, 2);
    bad.receiving_ip = STR("2001:db8::5");
    bad.reason = STR("why");
    count(sessions, &bad, 1);
    count(sessions, &other, 1);
    tls_sessions_count(sessions, &good, NOW_MS + DAY_MS);
    assert_string_equal(report_of(sessions, TODAY, "a.example"),
                        "sts 5/3 3 1"
                        " [certificate-expired mx.a.example 192.0.2.1 2001:db8::5 why 1]"
                        " [certificate-expired mx.a.example 192.0.2.1 203.0.113.5  2]");
    assert_string_equal(report_of(sessions, TODAY, "b.example"), "no-policy-found 1/0 0 0");
    assert_string_equal(report_of(sessions, TODAY + 1, "a.example"), "sts 1/0 3 1");
    assert_string_equal(report_of(sessions, TODAY, "c.example"), "not-found");
    assert_string_equal(domains_of(sessions, TODAY, ""), "a.example b.example ");
    assert_string_equal(domains_of(sessions, TODAY, "a.example"), "b.example ");
    assert_string_equal(domains_of(sessions, TODAY - 1, ""), "");
    assert_int_equal(tls_sessions_counts(sessions).sessions, 10);
    tls_sessions_close(&sessions);
    sessions = must_open(*state); /* all of it is on disk */
    count(sessions, &good, 1);
    assert_string_equal(domains_of(sessions, TODAY, ""), "a.example b.example ");
    assert_non_null(strstr(report_of(sessions, TODAY, "a.example"), "sts 6/3 "));
    tls_sessions_close(&sessions);
}

/* 61: the policy that was not used is in the report, and no session is counted for it. */
static void
test_both_policies(void **state)
{
    struct tls_sessions *sessions = must_open(*state);
    struct tls_session dane = session_of("a.example", TLS_POLICY_TLSA, TLS_RESULT_TLSA_INVALID);
    struct tls_session sts = session_of("a.example", TLS_POLICY_STS, TLS_RESULT_TLSA_INVALID);
    dane.lines = STR("3 1 1 00ff");
    sts.is_used = false;
    count(sessions, &dane, 2);
    count(sessions, &sts, 2);
    assert_string_equal(report_of(sessions, TODAY, "a.example"),
                        "tlsa 0/2 1 0 [tlsa-invalid mx.a.example 192.0.2.1 203.0.113.5  2]; "
                        "sts 0/0 3 1");
    tls_sessions_close(&sessions);
}

/* A domain that changes its policy all day, and failures that are all different. */
static void
test_bounds(void **state)
{
    char text[64];
    struct tls_sessions *sessions = must_open(*state);
    struct tls_session session =
        session_of("a.example", TLS_POLICY_STS, TLS_RESULT_VALIDATION_FAILURE);
    struct arena *arena = arena_create(16 << 20);
    struct tlsrpt_report report;
    uint64_t sum = 0;
    session.mx = STR("");
    for (unsigned i = 0; i < TLS_SESSIONS_POLICIES_MAX + 5; i++) {
        session.lines = str_make(text, (size_t)snprintf(text, sizeof text, "mx: %u", i));
        count(sessions, &session, 1);
    }
    assert_int_equal(tls_sessions_report(sessions, TODAY, STR("a.example"), arena, &report),
                     STATUS_OK);
    assert_int_equal(report.policy_count, TLS_SESSIONS_POLICIES_MAX + 1);
    assert_int_equal(report.policies[TLS_SESSIONS_POLICIES_MAX].line_count, 0);
    assert_int_equal(report.policies[TLS_SESSIONS_POLICIES_MAX].failed, 5);
    session.domain = STR("b.example");
    session.lines = STR("");
    for (unsigned i = 0; i < TLS_SESSIONS_FAILURES_MAX + 7; i++) {
        session.reason = str_make(text, (size_t)snprintf(text, sizeof text, "%u", i));
        count(sessions, &session, 1);
    }
    assert_int_equal(tls_sessions_report(sessions, TODAY, STR("b.example"), arena, &report),
                     STATUS_OK);
    assert_int_equal(report.policies[0].failure_count, TLS_SESSIONS_FAILURES_MAX + 1);
    for (size_t i = 0; i < report.policies[0].failure_count; i++) {
        sum += report.policies[0].failures[i].sessions;
    }
    /* it goes on to add up to the summary */
    assert_int_equal(sum, TLS_SESSIONS_FAILURES_MAX + 7);
    assert_int_equal(report.policies[0].failed, sum);
    arena_destroy(&arena);
    tls_sessions_close(&sessions);
}

/* Texts that are too long are cut, a policy at a line; what has no domain is not counted. */
static void
test_long_texts(void **state)
{
    struct tls_sessions *sessions = must_open(*state);
    struct tls_session session = session_of("a.example", TLS_POLICY_STS, TLS_RESULT_SUCCESS);
    char *lines = malloc(2 * TLS_SESSIONS_LINES_MAX);
    for (size_t i = 0; i < 2 * TLS_SESSIONS_LINES_MAX; i++) {
        lines[i] = i % 100 == 99 ? '\n' : 'x';
    }
    session.lines = str_make(lines, 2 * TLS_SESSIONS_LINES_MAX);
    count(sessions, &session, 1);
    assert_string_equal(report_of(sessions, TODAY, "a.example"), "sts 1/0 163 0");
    session.domain = STR("");
    count(sessions, &session, 1);
    session.domain = str_make(lines, TLS_SESSIONS_TEXT_MAX + 1);
    count(sessions, &session, 1);
    assert_string_equal(domains_of(sessions, TODAY, ""), "a.example ");
    free(lines);
    tls_sessions_close(&sessions);
}

static void
test_forgetting(void **state)
{
    struct tls_sessions *sessions = must_open(*state);
    struct tls_session a = session_of("a.example", TLS_POLICY_STS, TLS_RESULT_TLSA_INVALID);
    struct tls_session b = session_of("b.example", TLS_POLICY_STS, TLS_RESULT_TLSA_INVALID);
    count(sessions, &a, 1);
    count(sessions, &b, 1);
    tls_sessions_count(sessions, &a, NOW_MS - DAY_MS);
    assert_int_equal(tls_sessions_forget(sessions, TODAY, STR("a.example")), STATUS_OK);
    assert_string_equal(domains_of(sessions, TODAY, ""), "b.example ");
    assert_string_equal(domains_of(sessions, TODAY - 1, ""), "a.example ");
    count(sessions, &a, 1); /* nothing of before is left in it */
    assert_string_equal(report_of(sessions, TODAY, "a.example"),
                        "sts 0/1 3 1 [tlsa-invalid mx.a.example 192.0.2.1 203.0.113.5  1]");
    assert_int_equal(tls_sessions_expire(sessions, TODAY), STATUS_OK);
    assert_string_equal(domains_of(sessions, TODAY - 1, ""), "");
    assert_string_equal(domains_of(sessions, TODAY, ""), "a.example b.example ");
    tls_sessions_close(&sessions);
}

static void
test_damage(void **state)
{
    const struct test_directory *directory = *state;
    struct tls_session session = session_of("a.example", TLS_POLICY_STS, TLS_RESULT_SUCCESS);
    FILE *file = fopen(test_directory_file(directory, "tls-sessions.db"), "we");
    assert_non_null(file);
    fputs("this is no database, and was never meant to be one", file);
    fclose(file);
    struct tls_sessions *sessions = must_open(directory);
    count(sessions, &session, 1);
    assert_string_equal(report_of(sessions, TODAY, "a.example"), "sts 1/0 3 1");
    tls_sessions_close(&sessions);
    assert_int_equal(access(test_directory_file(directory, "tls-sessions.db.damaged"), F_OK), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(test_counting),   WITH_DIRECTORY(test_both_policies),
        WITH_DIRECTORY(test_bounds),     WITH_DIRECTORY(test_long_texts),
        WITH_DIRECTORY(test_forgetting), WITH_DIRECTORY(test_damage),
    };
    return cmocka_run_group_tests_name("tls_sessions", tests, NULL, NULL);
}
