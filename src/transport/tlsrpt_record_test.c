#include "transport/tlsrpt_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_zone.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* "mailto a@b.example, https https://..." and "skipped N"; "" where it is not valid. */
static struct str
record_text(struct arena *arena, struct str text)
{
    struct tlsrpt_record record;
    const char *problem = NULL;
    enum status status = tlsrpt_record_parse(arena, text, &record, &problem);
    struct str got = STR("");
    assert_int_equal(status == STATUS_SYNTAX, problem != NULL);
    if (status != STATUS_OK) {
        return got;
    }
    for (size_t i = 0; i < record.rua_count; i++) {
        const struct tlsrpt_uri *uri = &record.rua[i];
        bool is_mailto = uri->scheme == TLSRPT_MAILTO;
        got = arena_printf(arena, "%.*s%s%.*s", STR_ARG(got), i > 0 ? " " : "",
                           STR_ARG(is_mailto ? uri->address : uri->text));
    }
    return record.skipped > 0
               ? arena_printf(arena, "%.*s skipped %zu", STR_ARG(got), record.skipped)
               : got;
}

static const struct {
    struct str text;
    const char *want;
} records[] = {
    {STR_INIT("v=TLSRPTv1; rua=mailto:tls@example.com"), "tls@example.com"},
    {STR_INIT("v=TLSRPTv1;rua=https://tls.example.com/v1/report?x=y#z;"),
     "https://tls.example.com/v1/report?x=y#z"},
    {STR_INIT("v=TLSRPTv1 ;\trua=mailto:a@b.example , HTTPS://c.example,MAILTO:d@E.example ; "),
     "a@b.example HTTPS://c.example d@e.example"},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a@b.example; rua=https://c.example/"),
     "a@b.example https://c.example/"},
    {STR_INIT("v=TLSRPTv1; x=y; rua=mailto:a%21%2bb@b.example?subject=x; z.1=2"), "a!+b@b.example"},
    {STR_INIT("v=TLSRPTv1; rua=mailto:%22a%2Cb%22@b.example"), "\"a,b\"@b.example"},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a%2Cb@b.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=ftp://a.example,mailto:a@b.example"), "a@b.example skipped 1"},
    {STR_INIT("v=TLSRPTv1"), ""},
    {STR_INIT("v=TLSRPTv1;"), ""},
    {STR_INIT("v=TLSRPTv10; rua=mailto:a@b.example"), ""},
    {STR_INIT("v=tlsrptv1; rua=mailto:a@b.example"), ""},
    {STR_INIT("rua=mailto:a@b.example; v=TLSRPTv1"), ""},
    {STR_INIT("v=TLSRPTv1; rua="), ""},
    {STR_INIT("v=TLSRPTv1; rua=,mailto:a@b.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=noscheme"), ""},
    {STR_INIT("v=TLSRPTv1; rua=ftp://a.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=http://a.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=https:"), ""},
    {STR_INIT("v=TLSRPTv1; rua=https:///x"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:nobody"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a%4@b.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a@b.example other"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a@b.example!10m"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a@b.example;;"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a@b.example; x=="), ""},
    {STR_INIT("v=TLSRPTv1; RUA=mailto:a@b.example"), ""},
    {STR_INIT("v=TLSRPTv1; rua=mailto:a\0@b.example"), ""},
};

static void
test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got = record_text(arena, records[i].text);
        if (!str_eq(got, str_from_cstr(records[i].want))) {
            fail_msg("\"%.*s\": got \"%.*s\"", STR_ARG(records[i].text), STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

static void
test_limits(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct tlsrpt_record record;
    const char *problem = NULL;
    struct str text = STR("v=TLSRPTv1; rua=mailto:a@b.example");
    (void)state;
    for (unsigned i = 0; i < TLSRPT_URIS_MAX; i++) {
        text = arena_printf(arena, "%.*s,mailto:a@b.example", STR_ARG(text));
    }
    assert_int_equal(tlsrpt_record_parse(arena, text, &record, &problem), STATUS_OK);
    assert_int_equal(record.rua_count, TLSRPT_URIS_MAX);
    assert_int_equal(record.skipped, 1);
    struct arena *small = arena_create(16);
    assert_int_equal(tlsrpt_record_parse(small, text, &record, &problem), STATUS_LIMIT);
    arena_destroy(&small);
    arena_destroy(&arena);
}

static const struct test_record zone_records[] = {
    {"_smtp._tls.one.example", "TXT", "v=TLSRPTv1; rua=mailto:a@b.example"},
    {"_smtp._tls.one.example", "TXT", "other"},
    {"_smtp._tls.pieces.example", "TXT", "v=TLSRPTv1; r|ua=mailto:a@b|.example"},
    {"_smtp._tls.two.example", "TXT", "v=TLSRPTv1; rua=mailto:a@b.example"},
    {"_smtp._tls.two.example", "TXT", "v=TLSRPTv1; rua=mailto:c@d.example"},
    {"_smtp._tls.bad.example", "TXT", "v=TLSRPTv1; bad"},
    {"_smtp._tls.other.example", "TXT", "other"},
    {"_smtp._tls.servfail.example", "SERVFAIL", ""},
    {"_smtp._tls.timeout.example", "TIMEOUT", ""},
};

static void
test_lookup(void **state)
{
    static const struct {
        const char *domain;
        enum tlsrpt_lookup_state want;
    } rows[] = {
        {"one.example", TLSRPT_LOOKUP_FOUND},          {"pieces.example", TLSRPT_LOOKUP_FOUND},
        {"two.example", TLSRPT_LOOKUP_INVALID},        {"bad.example", TLSRPT_LOOKUP_INVALID},
        {"other.example", TLSRPT_LOOKUP_NONE},         {"absent.example", TLSRPT_LOOKUP_NONE},
        {"sub.one.example", TLSRPT_LOOKUP_NONE},       {"[192.0.2.1]", TLSRPT_LOOKUP_NONE},
        {"servfail.example", TLSRPT_LOOKUP_TEMPORARY}, {"timeout.example", TLSRPT_LOOKUP_TEMPORARY},
    };
    struct dns_zone *zone = test_zone_create(zone_records, COUNT_OF(zone_records));
    struct dns_source dns = dns_source_from_zone(zone);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct tlsrpt_lookup lookup;
        assert_int_equal(tlsrpt_lookup(&dns, arena, str_from_cstr(rows[i].domain), &lookup),
                         STATUS_OK);
        if (lookup.state != rows[i].want) {
            fail_msg("%s: got %s", rows[i].domain, tlsrpt_lookup_state_name(lookup.state));
        }
        assert_int_equal(lookup.problem != NULL, lookup.state == TLSRPT_LOOKUP_INVALID);
        assert_int_equal(lookup.record.rua_count, lookup.state == TLSRPT_LOOKUP_FOUND);
        arena_destroy(&arena);
    }
    dns_zone_destroy(&zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lookup),
    };
    return cmocka_run_group_tests_name("transport tlsrpt_record", tests, NULL, NULL);
}
