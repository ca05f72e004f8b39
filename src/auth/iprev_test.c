#include "auth/iprev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_zone.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
static const struct test_record records[] = {
    {"1.2.0.192.in-addr.arpa", "PTR", "other.example"},
    {"1.2.0.192.in-addr.arpa", "PTR", "a.example"},
    {"1.2.0.192.in-addr.arpa", "PTR", "b.example"},
    {"2.2.0.192.in-addr.arpa", "PTR", "a.example"},
    {"3.2.0.192.in-addr.arpa", "PTR", "late.example"},
    {"3.2.0.192.in-addr.arpa", "PTR", "other.example"},
    {"4.2.0.192.in-addr.arpa", "PTR", "late.example"},
    {"4.2.0.192.in-addr.arpa", "PTR", "a.example"},
    {"5.2.0.192.in-addr.arpa", "TIMEOUT", ""},
    {"6.2.0.192.in-addr.arpa", "PTR", ""},
    {"7.2.0.192.in-addr.arpa", "PTR", "n1.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n2.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n3.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n4.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n5.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n6.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n7.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n8.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "n9.example"},
    {"7.2.0.192.in-addr.arpa", "PTR", "a.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n1.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n2.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n3.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n4.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n5.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n6.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n7.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n8.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n9.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "n10.example"},
    {"8.2.0.192.in-addr.arpa", "PTR", "a.example"},
    {"9.2.0.192.in-addr.arpa", "CNAME", "9.0-15.example"},
    {"9.0-15.example", "PTR", "a.example"},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR",
     "six.example"},
    {"a.example", "A", "192.0.2.1"},
    {"a.example", "A", "192.0.2.4"},
    {"a.example", "A", "192.0.2.7"},
    {"a.example", "A", "192.0.2.8"},
    {"a.example", "A", "192.0.2.9"},
    {"b.example", "A", "192.0.2.1"},
    {"other.example", "A", "192.0.2.99"},
    {"alias.example", "CNAME", "a.example"},
    {"six.example", "AAAA", "2001:db8::1"},
    {"late.example", "TIMEOUT", ""},
};

static struct dns_zone *zone;

static void
test_iprev(void **state)
{
    static const struct {
        const char *client;
        enum iprev_result result;
        const char *name;
    } cases[] = {
        {"192.0.2.1", IPREV_RESULT_PASS, "a.example"},
        {"::ffff:192.0.2.1", IPREV_RESULT_PASS, "a.example"},
        {"192.0.2.2", IPREV_RESULT_FAIL, ""},
        {"192.0.2.3", IPREV_RESULT_TEMPERROR, ""},
        {"192.0.2.4", IPREV_RESULT_PASS, "a.example"},
        {"192.0.2.5", IPREV_RESULT_TEMPERROR, ""},
        {"192.0.2.6", IPREV_RESULT_PERMERROR, ""},
        {"192.0.2.7", IPREV_RESULT_PASS, "a.example"},
        {"192.0.2.8", IPREV_RESULT_FAIL, ""},
        {"192.0.2.9", IPREV_RESULT_PASS, "a.example"},
        {"192.0.2.10", IPREV_RESULT_PERMERROR, ""},
        {"2001:db8::1", IPREV_RESULT_PASS, "six.example"},
        {"2001:db8::2", IPREV_RESULT_PERMERROR, ""},
    };
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct iprev_outcome outcome;
        struct ip_address client;
        assert_int_equal(ip_parse(str_from_cstr(cases[i].client), &client), STATUS_OK);
        assert_int_equal(iprev_check(&source, arena, &client, &outcome), STATUS_OK);
        if (outcome.result != cases[i].result ||
            !str_eq(outcome.name, str_from_cstr(cases[i].name))) {
            fail_msg("%s: %s %.*s", cases[i].client, iprev_result_name(outcome.result),
                     STR_ARG(outcome.name));
        }
        assert_int_equal(outcome.problem.n == 0, outcome.result == IPREV_RESULT_PASS);
        assert_true(outcome.name_count <= IPREV_NAMES_MAX);
        arena_destroy(&arena);
    }
}

/* RFC 7208 7.3, %{p} */
static void
test_name_for(void **state)
{
    struct iprev_outcome outcome = {
        .name_count = 4,
        .names = {{.name = STR("x.example"), .confirmed = true},
                  {.name = STR("mx.a.example"), .confirmed = true},
                  {.name = STR("A.example"), .confirmed = true},
                  {.name = STR("b.example"), .confirmed = false}},
    };
    (void)state;
    assert_string_equal(iprev_name_for(&outcome, STR("a.example")).p, "A.example");
    assert_string_equal(iprev_name_for(&outcome, STR("b.example")).p, "x.example");
    outcome.names[2].confirmed = false;
    assert_string_equal(iprev_name_for(&outcome, STR("a.example")).p, "mx.a.example");
    outcome.name_count = 0;
    assert_string_equal(iprev_name_for(&outcome, STR("a.example")).p, "unknown");
}

static void
test_helo(void **state)
{
    static const struct {
        struct str helo;
        const char *client;
        enum helo_address want;
    } cases[] = {
        {STR_INIT("a.example"), "192.0.2.1", HELO_ADDRESS_MATCHES},
        {STR_INIT("ALIAS.example."), "192.0.2.9", HELO_ADDRESS_MATCHES},
        {STR_INIT("a.example"), "192.0.2.2", HELO_ADDRESS_DIFFERS},
        {STR_INIT("a.example"), "2001:db8::1", HELO_ADDRESS_NONE},
        {STR_INIT("six.example"), "2001:db8::1", HELO_ADDRESS_MATCHES},
        {STR_INIT("nothing.example"), "192.0.2.1", HELO_ADDRESS_NONE},
        {STR_INIT("late.example"), "192.0.2.1", HELO_ADDRESS_TEMPERROR},
        {STR_INIT("[192.0.2.1]"), "192.0.2.1", HELO_ADDRESS_NO_NAME},
        {STR_INIT("192.0.2.1"), "192.0.2.1", HELO_ADDRESS_NO_NAME},
        {STR_INIT(""), "192.0.2.1", HELO_ADDRESS_NO_NAME},
        {STR_INIT("a b"), "192.0.2.1", HELO_ADDRESS_NO_NAME},
    };
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1 << 20);
        enum helo_address got;
        struct ip_address client;
        assert_int_equal(ip_parse(str_from_cstr(cases[i].client), &client), STATUS_OK);
        assert_int_equal(helo_matches(&source, arena, cases[i].helo, &client, &got), STATUS_OK);
        if (got != cases[i].want) {
            fail_msg("%.*s: %s", STR_ARG(cases[i].helo), helo_address_name(got));
        }
        arena_destroy(&arena);
    }
}

static void
test_full_arena(void **state)
{
    bool done = false;
    struct dns_source source = dns_source_from_zone(zone);
    (void)state;
    for (size_t ceiling = 16; ceiling < 65536 && !done; ceiling += 31) {
        struct arena *arena = arena_create(ceiling);
        struct iprev_outcome outcome;
        struct ip_address client;
        assert_int_equal(ip_parse(STR("192.0.2.7"), &client), STATUS_OK);
        enum status status = iprev_check(&source, arena, &client, &outcome);
        assert_true(status == STATUS_OK || status == STATUS_LIMIT);
        done = status == STATUS_OK;
        arena_destroy(&arena);
    }
    assert_true(done);
}

static int
open_zone(void **state)
{
    (void)state;
    zone = test_zone_create(records, COUNT_OF(records));
    return 0;
}

static int
close_zone(void **state)
{
    (void)state;
    dns_zone_destroy(&zone);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iprev),
        cmocka_unit_test(test_name_for),
        cmocka_unit_test(test_helo),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests_name("iprev", tests, open_zone, close_zone);
}
