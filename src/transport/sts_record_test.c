#include "transport/sts_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_zone.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* NULL: not valid. */
static const struct {
    struct str text;
    const char *id;
} records[] = {
    {STR_INIT("v=STSv1; id=20160831085700Z;"), "20160831085700Z"},
    {STR_INIT("v=STSv1;id=a"), "a"},
    {STR_INIT("v=STSv1 \t;\t id=a \t; "), "a"},
    {STR_INIT("v=STSv1; id=01234567890123456789012345678901"), "01234567890123456789012345678901"},
    /* extension fields, before and after */
    {STR_INIT("v=STSv1; x=1; id=a; y.z-_9=!<>~"), "a"},
    {STR_INIT("v=STSv1; id=a; a2345678901234567890123456789012=1"), "a"},
    /* 31: the version comes first */
    {STR_INIT("id=a; v=STSv1"), NULL},
    {STR_INIT(" v=STSv1; id=a"), NULL},
    {STR_INIT("V=STSv1; id=a"), NULL},
    {STR_INIT("v=stsv1; id=a"), NULL},
    {STR_INIT("v=STSv10; id=a"), NULL},
    {STR_INIT("v=STSv1 id=a"), NULL},
    {STR_INIT("v = STSv1; id=a"), NULL},
    {STR_INIT("v=STSv1"), NULL},
    {STR_INIT("v=STSv1;"), NULL},
    {STR_INIT(""), NULL},
    /* the id */
    {STR_INIT("v=STSv1; id="), NULL},
    {STR_INIT("v=STSv1; id=a b"), NULL},
    {STR_INIT("v=STSv1; id=a-b"), NULL},
    {STR_INIT("v=STSv1; ID=a"), NULL},
    {STR_INIT("v=STSv1; id =a"), NULL},
    {STR_INIT("v=STSv1; id= a"), NULL},
    {STR_INIT("v=STSv1; id=012345678901234567890123456789012"), NULL},
    {STR_INIT("v=STSv1; id=a; id=a"), NULL},
    {STR_INIT("v=STSv1; x=1"), NULL},
    /* what is no field */
    {STR_INIT("v=STSv1; id=a;;"), NULL},
    {STR_INIT("v=STSv1;; id=a"), NULL},
    {STR_INIT("v=STSv1; id=a; bogus"), NULL},
    {STR_INIT("v=STSv1; id=a; x="), NULL},
    {STR_INIT("v=STSv1; id=a; x=="), NULL},
    {STR_INIT("v=STSv1; id=a; x=1 2"), NULL},
    {STR_INIT("v=STSv1; id=a; -x=1"), NULL},
    {STR_INIT("v=STSv1; id=a; =1"), NULL},
    {STR_INIT("v=STSv1; id=a; a23456789012345678901234567890123=1"), NULL},
    {STR_INIT("v=STSv1; id=a; x=\xc3\xa9"), NULL},
    {STR_INIT("v=STSv1; id=a\0"), NULL},
    {STR_INIT("v=STSv1; id=a\n"), NULL},
};

static void
test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct str id = STR("untouched");
        const char *problem = NULL;
        bool valid = sts_record_parse(records[i].text, &id, &problem);
        struct str want = str_from_cstr(records[i].id != NULL ? records[i].id : "untouched");
        if (valid != (records[i].id != NULL) || !str_eq(id, want) || valid != (problem == NULL)) {
            fail_msg("\"%.*s\": got %d, \"%.*s\"", STR_ARG(records[i].text), valid, STR_ARG(id));
        }
    }
}

static const struct test_record zone_records[] = {
    {"_mta-sts.one.example", "TXT", "v=STSv1; id=1"},
    {"_mta-sts.one.example", "TXT", "v=spf1 -all"},
    {"_mta-sts.one.example", "TXT", "v=STSv2; id=1"},
    {"_mta-sts.pieces.example", "TXT", "v=ST|Sv1; i|d=12|3"},
    {"_mta-sts.two.example", "TXT", "v=STSv1; id=1"},
    {"_mta-sts.two.example", "TXT", "v=STSv1; id=1"},
    {"_mta-sts.broken.example", "TXT", "v=STSv1; bogus"},
    {"_mta-sts.idfirst.example", "TXT", "id=1; v=STSv1"},
    {"_mta-sts.servfail.example", "SERVFAIL", ""},
    {"_mta-sts.timeout.example", "TIMEOUT", ""},
    {"_mta-sts.alias.example", "CNAME", "_mta-sts.one.example"},
    {"_mta-sts.aliasfail.example", "CNAME", "_mta-sts.servfail.example"},
    {"_mta-sts.address.example", "A", "192.0.2.1"},
};

static void
test_lookup(void **state)
{
    static const struct {
        const char *domain;
        const char *want;
    } rows[] = {
        {"one.example", "found 1"},
        {"pieces.example", "found 123"}, /* 31: pieces are joined */
        {"two.example", "invalid "},     /* 31: several records */
        {"broken.example", "invalid "},  /* found, but not readable */
        {"idfirst.example", "none "},    /* 31: id before v */
        {"sub.one.example", "none "},    /* 30: the parent is not asked */
        {"absent.example", "none "},
        {"address.example", "none "},
        {"servfail.example", "temporary "},
        {"timeout.example", "temporary "},
        {"alias.example", "found 1"},
        {"aliasfail.example", "temporary "},
        {"[192.0.2.1]", "none "},
        {"", "none "},
    };
    struct dns_zone *zone = test_zone_create(zone_records, COUNT_OF(zone_records));
    struct dns_source dns = dns_source_from_zone(zone);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct sts_lookup lookup;
        assert_int_equal(sts_lookup(&dns, arena, str_from_cstr(rows[i].domain), &lookup),
                         STATUS_OK);
        struct str got =
            arena_printf(arena, "%s %.*s", sts_lookup_state_name(lookup.state), STR_ARG(lookup.id));
        if (!str_eq(got, str_from_cstr(rows[i].want))) {
            fail_msg("%s: got \"%.*s\"", rows[i].domain, STR_ARG(got));
        }
        assert_int_equal(lookup.problem != NULL, lookup.state == STS_LOOKUP_INVALID);
        arena_destroy(&arena);
    }
    dns_zone_destroy(&zone);
}

static void
test_memory(void **state)
{
    struct dns_zone *zone = test_zone_create(zone_records, COUNT_OF(zone_records));
    struct dns_source dns = dns_source_from_zone(zone);
    struct arena *arena = arena_create(8);
    struct sts_lookup lookup = {.state = STS_LOOKUP_COUNT_};
    (void)state;
    assert_int_equal(sts_lookup(&dns, arena, STR("one.example"), &lookup), STATUS_LIMIT);
    assert_int_equal(lookup.state, STS_LOOKUP_COUNT_);
    arena_destroy(&arena);
    dns_zone_destroy(&zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("transport sts_record", tests, NULL, NULL);
}
