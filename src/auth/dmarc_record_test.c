#include "auth/dmarc_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* "p=... sp=... adkim=s ... faults(...)", what is not at its default only; the result if not OK. */
static const char *
record_text(struct arena *arena, struct str text)
{
    static const char *const results[] = {"ok", "foreign", "duplicate"};
    enum dmarc_record_result result;
    struct dmarc_record r;
    assert_int_equal(dmarc_record_parse(arena, text, &result, &r), STATUS_OK);
    assert_int_equal(dmarc_record_is_ours(text), result != DMARC_RECORD_FOREIGN);
    if (result != DMARC_RECORD_OK) {
        return results[result];
    }
    struct str faults = dmarc_record_faults_text(arena, r.faults);
    return arena_printf(arena, "%sp=%s%s%s%s%s%s%s%s%s%s%s%.*s%s", r.is_usable ? "" : "useless ",
                        dmarc_policy_name(r.p), r.has_sp ? " sp=" : "",
                        r.has_sp ? dmarc_policy_name(r.sp) : "", r.has_np ? " np=" : "",
                        r.has_np ? dmarc_policy_name(r.np) : "",
                        r.adkim == DMARC_ALIGNMENT_STRICT ? " adkim=s" : "",
                        r.aspf == DMARC_ALIGNMENT_STRICT ? " aspf=s" : "",
                        r.psd == DMARC_PSD_YES ? " psd=y" : "",
                        r.psd == DMARC_PSD_NO ? " psd=n" : "", r.testing ? " t=y" : "",
                        faults.n > 0 ? " faults(" : "", STR_ARG(faults), faults.n > 0 ? ")" : "")
        .p;
}

static const struct {
    struct str text;
    const char *want;
} cases[] = {
    {STR_INIT("v=DMARC1; p=none"), "p=none"},
    {STR_INIT("v=DMARC1;p=reject;"), "p=reject"},
    {STR_INIT("v = DMARC1 ; p = Quarantine ; ; "), "p=quarantine"},
    {STR_INIT("V=DMARC1; P=reject; ADKIM=S"), "p=reject adkim=s"},
    {STR_INIT("v=DMARC1; sp=none; np=reject; p=quarantine; aspf=s; psd=y; t=y"),
     "p=quarantine sp=none np=reject aspf=s psd=y t=y"},
    {STR_INIT("v=DMARC1; p=reject; psd=n; t=n; adkim=r"), "p=reject psd=n"},
    /* not ours */
    {STR_INIT(""), "foreign"},
    {STR_INIT("v="), "foreign"},
    {STR_INIT("v=dmarc1; p=none"), "foreign"},
    {STR_INIT("v=DMARC12"), "foreign"},
    {STR_INIT("v=DMARC1 p=none"), "foreign"},
    {STR_INIT("p=none; v=DMARC1"), "foreign"},
    {STR_INIT("v=spf1 -all"), "foreign"},
    /* unknown and historic tags; what is no tag */
    {STR_INIT("v=DMARC1; p=reject; pct=0; ri=abc; rf=-; xyz=foo"), "p=reject"},
    {STR_INIT("v=DMARC1; p=reject; bogus; =x; p_=y"), "p=reject faults(syntax)"},
    {STR_INIT("v=DMARC1; p=reject; x=\xc3\xa9"), "p=reject faults(syntax)"},
    {STR_INIT("v=DMARC1; p=reject; a; b; a; b"), "p=reject faults(syntax)"},
    /* tags that are left at their default */
    {STR_INIT("v=DMARC1; p=reject; adkim=x"), "p=reject faults(alignment)"},
    {STR_INIT("v=DMARC1; p=reject; aspf="), "p=reject faults(syntax alignment)"},
    {STR_INIT("v=DMARC1; p=reject; psd=x; t=x; fo=2"), "p=reject faults(psd t fo)"},
    /* RFC 6376 3.2 */
    {STR_INIT("v=DMARC1; p=reject; p=none"), "duplicate"},
    {STR_INIT("v=DMARC1; p=none; P=none"), "duplicate"},
    {STR_INIT("v=DMARC1; p=none; x=1; x=1"), "duplicate"},
    {STR_INIT("v=DMARC1; v=DMARC1; p=none"), "duplicate"},
    /* RFC 9989 4.10.1 */
    {STR_INIT("v=DMARC1"), "useless p=none faults(p)"},
    {STR_INIT("v=DMARC1; psd=y"), "useless p=none psd=y faults(p)"},
    {STR_INIT("v=DMARC1; p=bad; sp=none"), "useless p=none faults(p)"},
    {STR_INIT("v=DMARC1; p=; sp=none"), "useless p=none faults(syntax p)"},
    {STR_INIT("v=DMARC1; p=reject; sp=bad"), "useless p=none faults(sp)"},
    {STR_INIT("v=DMARC1; p=reject; np=bad"), "useless p=none faults(np)"},
    {STR_INIT("v=DMARC1; rua=mailto:a@b.example"), "p=none faults(p)"},
    {STR_INIT("v=DMARC1; p=reject; sp=bad; np=none; rua=mailto:a@b.example"), "p=none faults(sp)"},
    {STR_INIT("v=DMARC1; p=bad; rua=bogus"), "useless p=none faults(p uri)"},
    {STR_INIT("v=DMARC1; ruf=mailto:a@b.example"), "useless p=none faults(p)"},
};

static void
test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        const char *got = record_text(arena, cases[i].text);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("\"%.*s\": got \"%s\"", STR_ARG(cases[i].text), got);
        }
        arena_destroy(&arena);
    }
}

/* Each as "text|address|limit". */
static void
test_addresses(void **state)
{
    static const struct {
        struct str rua;
        const char *want;
        unsigned faults;
    } rows[] = {
        {STR_INIT("mailto:A@Example.COM"), "mailto:A@Example.COM|A@Example.COM|0", 0},
        {STR_INIT("mailto:a@b.example,mailto:c@d.example!10m"),
         "mailto:a@b.example|a@b.example|0 mailto:c@d.example|c@d.example|10485760", 0},
        {STR_INIT("mailto:a@b.example!10 K , MAILTO:u%20v@b.example ! 2G"),
         "mailto:a@b.example|a@b.example|10240 MAILTO:u%20v@b.example|u v@b.example|2147483648", 0},
        {STR_INIT("mailto:a@b.example!7"), "mailto:a@b.example|a@b.example|7", 0},
        {STR_INIT("mailto:a@b.example!99999999999999999999t"), "mailto:a@b.example|a@b.example|0",
         0},
        {STR_INIT("mailto:a@b.example!x"), "", DMARC_FAULT_URI},
        {STR_INIT("mailto:a@b.example?subject=x%2"), "mailto:a@b.example?subject=x%2|a@b.example|0",
         0},
        {STR_INIT("mailto:a%4"), "mailto:a%4||0", 0},
        {STR_INIT("ftp://abuse.example"), "ftp://abuse.example||0", 0},
        {STR_INIT("mailto://abuse.example"), "mailto://abuse.example||0", 0},
        {STR_INIT("mailto:@b.example"), "mailto:@b.example||0", 0},
        {STR_INIT("mailto:a@b c"), "", DMARC_FAULT_URI},
        {STR_INIT("bogus, ,mailto:a@b.example"), "mailto:a@b.example|a@b.example|0",
         DMARC_FAULT_URI},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(65536);
        enum dmarc_record_result result;
        struct dmarc_record record;
        struct str got = STR("");
        struct str text = arena_printf(arena, "v=DMARC1; p=none; rua=%.*s", STR_ARG(rows[i].rua));
        assert_int_equal(dmarc_record_parse(arena, text, &result, &record), STATUS_OK);
        for (size_t k = 0; k < record.rua_count; k++) {
            const struct dmarc_uri *uri = &record.rua[k];
            got = arena_printf(arena, "%.*s%s%.*s|%.*s|%llu", STR_ARG(got), k > 0 ? " " : "",
                               STR_ARG(uri->text), STR_ARG(uri->address),
                               (unsigned long long)uri->size_limit);
        }
        if (!str_eq(got, str_from_cstr(rows[i].want)) || record.faults != rows[i].faults) {
            fail_msg("\"%.*s\": got \"%.*s\", faults %x", STR_ARG(rows[i].rua), STR_ARG(got),
                     record.faults);
        }
        arena_destroy(&arena);
    }
}

static void
test_failure_options(void **state)
{
    static const struct {
        struct str fo;
        unsigned want;
    } rows[] = {
        {STR_INIT("0"), DMARC_FAILURE_ALL},
        {STR_INIT("1:d:S"), DMARC_FAILURE_ANY | DMARC_FAILURE_DKIM | DMARC_FAILURE_SPF},
        {STR_INIT("d : s"), DMARC_FAILURE_DKIM | DMARC_FAILURE_SPF},
        {STR_INIT("0:1"), DMARC_FAILURE_ALL}, /* the default: they exclude each other */
        {STR_INIT("d:d"), DMARC_FAILURE_ALL},
        {STR_INIT("01"), DMARC_FAILURE_ALL},
        {STR_INIT("d:"), DMARC_FAILURE_ALL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(65536);
        enum dmarc_record_result result;
        struct dmarc_record record;
        struct str text = arena_printf(arena, "v=DMARC1; p=none; fo=%.*s", STR_ARG(rows[i].fo));
        assert_int_equal(dmarc_record_parse(arena, text, &result, &record), STATUS_OK);
        assert_int_equal(record.failure, rows[i].want);
        assert_int_equal(str_eq(record.fo, rows[i].fo), (record.faults & DMARC_FAULT_FO) == 0);
        arena_destroy(&arena);
    }
}

static void
test_limits(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    enum dmarc_record_result result;
    struct dmarc_record record;
    struct str text = STR("v=DMARC1; p=none; rua=mailto:a@b");
    (void)state;
    for (unsigned i = 1; i < DMARC_URIS_MAX; i++) {
        text = arena_printf(arena, "%.*s,mailto:a@b", STR_ARG(text));
    }
    assert_int_equal(dmarc_record_parse(arena, text, &result, &record), STATUS_OK);
    assert_int_equal(record.rua_count, DMARC_URIS_MAX);
    assert_int_equal(record.faults, 0);
    text = arena_printf(arena, "%.*s,mailto:a@b", STR_ARG(text));
    assert_int_equal(dmarc_record_parse(arena, text, &result, &record), STATUS_OK);
    assert_int_equal(record.rua_count, DMARC_URIS_MAX);
    assert_int_equal(record.faults, DMARC_FAULT_LIMIT);
    text = STR("v=DMARC1");
    for (unsigned i = 1; i < DMARC_TAGS_MAX; i++) {
        text = arena_printf(arena, "%.*s; %c%c=1", STR_ARG(text), (int)('a' + i / 16),
                            (int)('a' + i % 16));
    }
    text = arena_printf(arena, "%.*s; p=reject", STR_ARG(text));
    assert_int_equal(dmarc_record_parse(arena, text, &result, &record), STATUS_OK);
    assert_int_equal(record.faults, DMARC_FAULT_LIMIT | DMARC_FAULT_P);
    arena_destroy(&arena);
    arena = arena_create(64);
    result = DMARC_RECORD_FOREIGN;
    assert_int_equal(dmarc_record_parse(arena, STR("v=DMARC1; rua=mailto:a@b"), &result, &record),
                     STATUS_LIMIT);
    assert_int_equal(result, DMARC_RECORD_FOREIGN);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_failure_options),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("auth dmarc_record", tests, NULL, NULL);
}
