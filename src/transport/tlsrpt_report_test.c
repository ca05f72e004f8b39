#include "transport/tlsrpt_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/gzip.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 8460, appendix B, in other words: a day with a policy of each type. */
static struct tlsrpt_report
example(void)
{
    static const struct str lines[] = {STR_INIT("version: STSv1"), STR_INIT("mode: testing"),
                                       STR_INIT("mx: *.mail.example"), STR_INIT("max_age: 86400")};
    static const struct str mx[] = {STR_INIT("*.mail.example")};
    static const struct str tlsa[] = {STR_INIT("3 1 1 0123abcd")};
    static const struct tlsrpt_failure failures[] = {
        {.result = TLS_RESULT_CERTIFICATE_EXPIRED,
         .sending_ip = STR_INIT("2001:db8::1"),
         .mx = STR_INIT("mx1.mail.example"),
         .sessions = 100},
        {.result = TLS_RESULT_STARTTLS_NOT_SUPPORTED,
         .sending_ip = STR_INIT("192.0.2.1"),
         .mx = STR_INIT("mx2.mail.example"),
         .helo = STR_INIT("mx.mail.example"),
         .receiving_ip = STR_INIT("203.0.113.56"),
         .sessions = 200,
         .information = STR_INIT("https://reports.example/1"),
         .reason = STR_INIT("no STARTTLS")},
    };
    static const struct tlsrpt_policy policies[] = {
        {.type = TLS_POLICY_STS,
         .lines = lines,
         .line_count = 4,
         .domain = STR_INIT("company.example"),
         .mx = mx,
         .mx_count = 1,
         .successful = 5326,
         .failed = 300,
         .failures = failures,
         .failure_count = 2},
        {.type = TLS_POLICY_TLSA,
         .lines = tlsa,
         .line_count = 1,
         .domain = STR_INIT("xn--aca-6ma.example"),
         .successful = 1},
        {.type = TLS_POLICY_NONE, .domain = STR_INIT("plain.example"), .successful = 7},
    };
    return (struct tlsrpt_report){.organization = STR("Company X"),
                                  .start_s = 1459468800,
                                  .end_s = 1459555199,
                                  .contact = STR("sts@company-x.example"),
                                  .id = STR("0123456789@company-x.example"),
                                  .policies = policies,
                                  .policy_count = 3};
}

static struct tlsrpt_report
must_read(struct arena *arena, struct str text)
{
    struct tlsrpt_report report;
    const char *problem = NULL;
    enum status status = tlsrpt_report_read(arena, text, &report, &problem);
    if (status != STATUS_OK) {
        fail_msg("\"%.*s\": %s, %s", STR_ARG(text), status_name(status),
                 problem != NULL ? problem : "");
    }
    return report;
}

static void
test_writing(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report = example();
    struct str got = tlsrpt_report_write(arena, &report);
    (void)state;
    /* 56: policy-domain in each policy, A-labels, lower case */
    struct str want = STR(
        "{\"organization-name\":\"Company X\",\"date-range\":{\"start-datetime\":"
        "\"2016-04-01T00:00:00Z\",\"end-datetime\":\"2016-04-01T23:59:59Z\"},\"contact-info\":"
        "\"sts@company-x.example\",\"report-id\":\"0123456789@company-x.example\",\"policies\":["
        "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
        "\"mode: testing\",\"mx: *.mail.example\",\"max_age: 86400\"],\"policy-domain\":"
        "\"company.example\",\"mx-host\":[\"*.mail.example\"]},\"summary\":{"
        "\"total-successful-session-count\":5326,\"total-failure-session-count\":300},"
        "\"failure-details\":[{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":"
        "\"2001:db8::1\",\"receiving-mx-hostname\":\"mx1.mail.example\",\"failed-session-count\":"
        "100},{\"result-type\":\"starttls-not-supported\",\"sending-mta-ip\":\"192.0.2.1\","
        "\"receiving-mx-hostname\":\"mx2.mail.example\",\"receiving-mx-helo\":"
        "\"mx.mail.example\",\"receiving-ip\":\"203.0.113.56\",\"failed-session-count\":200,"
        "\"additional-information\":\"https://reports.example/1\",\"failure-reason-code\":"
        "\"no STARTTLS\"}]},"
        "{\"policy\":{\"policy-type\":\"tlsa\",\"policy-string\":[\"3 1 1 0123abcd\"],"
        "\"policy-domain\":\"xn--aca-6ma.example\"},\"summary\":{"
        "\"total-successful-session-count\":1,\"total-failure-session-count\":0}},"
        "{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"plain.example\"},"
        "\"summary\":{\"total-successful-session-count\":7,\"total-failure-session-count\":0}}]}");
    if (!str_eq(got, want)) {
        fail_msg("got %.*s", STR_ARG(got));
    }
    arena_destroy(&arena);
}

/* What was written is read as the same, plain and in gzip. */
static void
test_round(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report = example();
    struct str text = tlsrpt_report_write(arena, &report);
    struct tlsrpt_report again = must_read(arena, text);
    struct buf gzip;
    (void)state;
    assert_int_equal(again.notes, 0);
    assert_true(str_eq(tlsrpt_report_write(arena, &again), text));
    buf_init(&gzip, 1 << 20);
    assert_int_equal(gzip_encode(text, &gzip), STATUS_OK);
    again = must_read(arena, buf_str(&gzip));
    assert_true(str_eq(tlsrpt_report_write(arena, &again), text));
    for (size_t n = 0; n < buf_length(&gzip); n++) {
        const char *problem = NULL;
        assert_int_equal(tlsrpt_report_read(arena, str_head(buf_str(&gzip), n), &again, &problem),
                         STATUS_SYNTAX);
        assert_non_null(problem);
    }
    buf_free(&gzip);
    arena_destroy(&arena);
}

/* Octets from outside that are no text: JSON is made all the same. */
static void
test_odd_octets(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report = example();
    (void)state;
    report.organization = STR("a\xff\0b\"\n");
    struct tlsrpt_report again = must_read(arena, tlsrpt_report_write(arena, &report));
    assert_true(str_eq(again.organization, STR("a??b\"\n")));
    arena_destroy(&arena);
}

#define POLICY(inside) "{\"policies\":[{\"policy\":{\"policy-domain\":\"a.example\"}" inside "}]}"

static const struct {
    struct str text;
    unsigned notes; /* at least these */
} tolerated[] = {
    {STR_INIT(POLICY("")), TLSRPT_NOTE_MISSING},
    {STR_INIT("\xef\xbb\xbf" POLICY("")), TLSRPT_NOTE_MISSING},
    {STR_INIT("{\"policies\":[]}"), TLSRPT_NOTE_MISSING},
    {STR_INIT(POLICY(",\"failure-details\":{}")), TLSRPT_NOTE_TYPE},
    {STR_INIT(POLICY(",\"failure-details\":[1,{}]")), TLSRPT_NOTE_TYPE},
    {STR_INIT(POLICY(",\"failure-details\":null,\"summary\":[]")), TLSRPT_NOTE_MISSING},
    {STR_INIT(POLICY(",\"summary\":{\"total-failure-session-count\":-1}")), TLSRPT_NOTE_TYPE},
    {STR_INIT(POLICY(",\"failure-details\":[{\"result-type\":\"new-word\","
                     "\"failed-session-count\":\"3\"}]")),
     TLSRPT_NOTE_WORD | TLSRPT_NOTE_SUM},
    {STR_INIT(POLICY(",\"failure-details\":[{\"sending-mta-ip\":\"nowhere\"}]")),
     TLSRPT_NOTE_ADDRESS},
    {STR_INIT("{\"policies\":[{\"policy\":{\"policy-domain\":\"A.Example.\",\"mx-host\":\"b\","
              "\"policy-string\":\"c\",\"policy-type\":\"dane\"}},{\"policy\":{}}]}"),
     TLSRPT_NOTE_TYPE | TLSRPT_NOTE_WORD},
};

static void
test_tolerance(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tolerated); i++) {
        struct arena *arena = arena_create(TLSRPT_ARENA);
        struct tlsrpt_report report = must_read(arena, tolerated[i].text);
        if ((report.notes & tolerated[i].notes) != tolerated[i].notes) {
            fail_msg("%.*s: notes %x", STR_ARG(tolerated[i].text), report.notes);
        }
        /* written and read again it says the same, words that nobody knows included */
        struct str text = tlsrpt_report_write(arena, &report);
        struct tlsrpt_report again = must_read(arena, text);
        assert_true(str_eq(tlsrpt_report_write(arena, &again), text));
        for (size_t k = 0; k < report.policy_count; k++) {
            assert_true(str_eq(report.policies[k].domain, STR("a.example")));
        }
        arena_destroy(&arena);
    }
}

/* Members under the names that some give them, and what Google leaves empty. */
static void
test_other_names(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report = must_read(
        arena, STR("{\"policies\":[{\"policy\":{\"policy-domain\":\"a.example\",\"policy-type\":"
                   "\"sts\",\"mx-host-pattern\":[\"*.a.example\"]},\"summary\":{"
                   "\"total-successful-session-count\":0,\"total-failure-session-count\":4},"
                   "\"failure-details\":[{\"result-type\":\"Validation-Failure\","
                   "\"sending-mta-ip\":\"\",\"failed-session-count\":4,\"additional-info-uri\":"
                   "\"https://b.example/\"}]}]}"));
    const struct tlsrpt_policy *policy = &report.policies[0];
    (void)state;
    assert_int_equal(policy->mx_count, 1);
    assert_true(str_eq(policy->mx[0], STR("*.a.example")));
    assert_int_equal(policy->failures[0].result, TLS_RESULT_VALIDATION_FAILURE);
    assert_true(str_eq(policy->failures[0].information, STR("https://b.example/")));
    assert_int_equal(policy->failures[0].sending_ip.n, 0);
    assert_int_equal(report.notes & ~(unsigned)TLSRPT_NOTE_MISSING & ~(unsigned)TLSRPT_NOTE_TYPE,
                     0);
    arena_destroy(&arena);
}

static void
test_refused(void **state)
{
    static const struct str texts[] = {
        STR_INIT(""),
        STR_INIT("[]"),
        STR_INIT("null"),
        STR_INIT("{}"),
        STR_INIT("{\"policies\":{}}"),
        STR_INIT("{\"policies\":[{}]}"),
        STR_INIT("{\"policies\":[1]}"),
        STR_INIT("{\"policies\":[{\"policy\":{\"policy-domain\":\"[192.0.2.1]\"}}]}"),
        STR_INIT("{\"policies\":[],\"policies\":[]}"),
        STR_INIT("{\"policies\":[]} x"),
        STR_INIT("<feedback/>"),
        STR_INIT("\x1f\x8b\x08"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct arena *arena = arena_create(TLSRPT_ARENA);
        struct tlsrpt_report report;
        const char *problem = NULL;
        if (tlsrpt_report_read(arena, texts[i], &report, &problem) != STATUS_SYNTAX) {
            fail_msg("%.*s: read", STR_ARG(texts[i]));
        }
        assert_non_null(problem);
        arena_destroy(&arena);
    }
}

static void
check_time(struct arena *arena, const char *text, int64_t want)
{
    struct str json =
        arena_printf(arena, "{\"date-range\":{\"start-datetime\":\"%s\"},\"policies\":[]}", text);
    struct tlsrpt_report report = must_read(arena, json);
    if (report.start_s != want) {
        fail_msg("%s: got %lld", text, (long long)report.start_s);
    }
}

static void
test_times(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    (void)state;
    check_time(arena, "2016-04-01T00:00:00Z", 1459468800);
    check_time(arena, "2016-04-01t00:00:00z", 1459468800);
    check_time(arena, "2016-04-01 00:00:00", 1459468800);
    check_time(arena, "2016-04-01T02:00:00.123+02:00", 1459468800);
    check_time(arena, "2016-03-31T23:30:00-00:30", 1459468800);
    check_time(arena, "2016-04-01", 0);
    check_time(arena, "2016-13-01T00:00:00Z", 0);
    check_time(arena, "2016-04-01T00:00:00+2", 0);
    check_time(arena, "yesterday", 0);
    check_time(arena, "", 0);
    arena_destroy(&arena);
}

/* 60: a bomb is stopped at TLSRPT_JSON_MAX; more than is kept is left out. */
static void
test_limits(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report;
    const char *problem = NULL;
    struct buf gzip;
    size_t n = TLSRPT_JSON_MAX + 1;
    char *text = malloc(n);
    (void)state;
    memset(text, ' ', n);
    memcpy(text, "{\"policies\":[]}", 15);
    assert_int_equal(tlsrpt_report_read(arena, str_make(text, n - 1), &report, &problem),
                     STATUS_OK);
    assert_int_equal(tlsrpt_report_read(arena, str_make(text, n), &report, &problem), STATUS_LIMIT);
    assert_non_null(problem);
    buf_init(&gzip, 1 << 20);
    assert_int_equal(gzip_encode(str_make(text, n), &gzip), STATUS_OK);
    problem = NULL;
    assert_int_equal(tlsrpt_report_read(arena, buf_str(&gzip), &report, &problem), STATUS_LIMIT);
    assert_non_null(problem);
    buf_free(&gzip);
    free(text);
    arena_destroy(&arena);
}

static void
test_counts(void **state)
{
    struct arena *arena = arena_create(TLSRPT_ARENA);
    struct tlsrpt_report report;
    const char *problem = NULL;
    json_t *list = json_array();
    (void)state;
    for (unsigned i = 0; i <= TLSRPT_FAILURES_MAX; i++) {
        json_array_append_new(list, json_pack("{s:s, s:i}", "result-type", "tlsa-invalid",
                                              "failed-session-count", 1));
    }
    json_t *json = json_pack("{s:[{s:{s:s}, s:o}]}", "policies", "policy", "policy-domain",
                             "a.example", "failure-details", list);
    char *text = json_dumps(json, JSON_COMPACT);
    report = must_read(arena, str_from_cstr(text));
    assert_int_equal(report.policies[0].failure_count, TLSRPT_FAILURES_MAX);
    assert_true((report.notes & TLSRPT_NOTE_LIMIT) != 0);
    arena_destroy(&arena);
    arena = arena_create(4096);
    assert_int_equal(tlsrpt_report_read(arena, str_from_cstr(text), &report, &problem),
                     STATUS_LIMIT);
    assert_null(problem);
    free(text);
    json_decref(json);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),     cmocka_unit_test(test_round),
        cmocka_unit_test(test_odd_octets),  cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_other_names), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_times),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests_name("transport tlsrpt_report", tests, NULL, NULL);
}
