#include "dns/source_zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dns/rdata.h"

static const char zone_text[] =
    "{\"Example.com\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"mx.example.com.\"},"
    "                   {\"type\": \"TXT\", \"strings\": [\"a\", \"b\"]}],"
    " \"mx.example.com\": [{\"type\": \"A\", \"value\": \"192.0.2.1\"},"
    "                      {\"type\": \"A\", \"value\": \"192.0.2.2\"},"
    "                      {\"type\": \"AAAA\", \"error\": \"ETIMEOUT\"}],"
    " \"www.example.com\": [{\"type\": \"CNAME\", \"value\": \"alias.example.com\"}],"
    " \"alias.example.com\": [{\"type\": \"CNAME\", \"value\": \"mx.example.com\"}],"
    " \"loop.example.com\": [{\"type\": \"CNAME\", \"value\": \"LOOP.example.com\"}],"
    " \"dangling.example.com\": [{\"type\": \"CNAME\", \"value\": \"gone.example.com\"}],"
    " \"late.example.com\": [{\"type\": \"A\", \"value\": \"192.0.2.3\"}, {\"type\": \"TIMEOUT\"}],"
    " \"sick.example.com\": [{\"type\": \"SERVFAIL\"}],"
    " \"forged.example.com\": [{\"type\": \"A\", \"value\": \"192.0.2.9\", \"secure\": \"bogus\"}],"
    " \"open.example.com\": [{\"type\": \"A\", \"value\": \"192.0.2.9\", \"secure\": false}],"
    " \"loose.example.com\": [{\"type\": \"CNAME\", \"value\": \"mx.example.com\","
    "                           \"secure\": false}],"
    " \"half.example.com\": [{\"type\": \"CNAME\", \"value\": \"open.example.com\"}],"
    " \"a b.example.com\": [{\"type\": \"A\", \"value\": \"192.0.2.4\"}],"
    " \"_25._tcp.mx.example.com\": [{\"type\": \"TLSA\", \"usage\": 3, \"selector\": 1,"
    "                                \"matching\": 1, \"data\": \"abcd\"}]}";

static void
test_answers(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        enum dns_outcome outcome;
        enum dns_security security;
        size_t records;
        const char *canonical;
    } cases[] = {
        {"example.com", DNS_TYPE_MX, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1, "example.com"},
        {"EXAMPLE.com.", DNS_TYPE_TXT, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1, "example.com"},
        {"example.com", DNS_TYPE_A, DNS_OUTCOME_NODATA, DNS_SECURITY_SECURE, 0, "example.com"},
        {"no.example.com", DNS_TYPE_A, DNS_OUTCOME_NXDOMAIN, DNS_SECURITY_SECURE, 0,
         "no.example.com"},
        {"mx.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 2,
         "mx.example.com"},
        {"mx.example.com", DNS_TYPE_AAAA, DNS_OUTCOME_TIMEOUT, DNS_SECURITY_SECURE, 0,
         "mx.example.com"},
        {"www.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 2,
         "mx.example.com"},
        {"www.example.com", DNS_TYPE_CNAME, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1,
         "www.example.com"},
        {"loop.example.com", DNS_TYPE_A, DNS_OUTCOME_SERVFAIL, DNS_SECURITY_SECURE, 0,
         "loop.example.com"},
        {"dangling.example.com", DNS_TYPE_A, DNS_OUTCOME_NXDOMAIN, DNS_SECURITY_SECURE, 0,
         "gone.example.com"},
        {"late.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1,
         "late.example.com"},
        {"late.example.com", DNS_TYPE_MX, DNS_OUTCOME_TIMEOUT, DNS_SECURITY_SECURE, 0,
         "late.example.com"},
        {"sick.example.com", DNS_TYPE_MX, DNS_OUTCOME_SERVFAIL, DNS_SECURITY_SECURE, 0,
         "sick.example.com"},
        {"forged.example.com", DNS_TYPE_A, DNS_OUTCOME_SERVFAIL, DNS_SECURITY_BOGUS, 0,
         "forged.example.com"},
        {"loose.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_INSECURE, 2,
         "mx.example.com"},
        {"half.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_INSECURE, 1,
         "open.example.com"},
        {"a\\032b.example.com", DNS_TYPE_A, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1,
         "a\\032b.example.com"},
        {"_25._tcp.mx.example.com", DNS_TYPE_TLSA, DNS_OUTCOME_ANSWER, DNS_SECURITY_SECURE, 1,
         "_25._tcp.mx.example.com"},
    };
    struct arena *arena = arena_create(1 << 20);
    struct dns_zone *zone;
    struct str error = STR("");
    (void)state;
    assert_int_equal(
        dns_zone_create(arena, str_from_cstr(zone_text), DNS_SECURITY_SECURE, &zone, &error),
        STATUS_OK);
    struct dns_source source = dns_source_from_zone(zone);
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        struct dns_answer answer;
        assert_int_equal(
            dns_resolve(&source, arena, str_from_cstr(cases[i].name), cases[i].type, &answer),
            STATUS_OK);
        if (answer.outcome != cases[i].outcome || answer.security != cases[i].security ||
            answer.record_count != cases[i].records) {
            fail_msg("%s: %s %s %zu", cases[i].name, dns_outcome_name(answer.outcome),
                     dns_security_name(answer.security), answer.record_count);
        }
        assert_string_equal(answer.canonical.p, cases[i].canonical);
    }
    assert_int_equal(dns_zone_questions(zone), count);
    dns_zone_destroy(&zone);
    arena_destroy(&arena);
}

static void
test_refused_zones(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{",
        "{\"a\": {}}",
        "{\"a..b\": []}",
        "{\"a\": [1]}",
        "{\"a\": [{}]}",
        "{\"a\": [{\"type\": \"WKS\", \"value\": \"x\"}]}",
        "{\"a\": [{\"type\": \"A\", \"value\": \"2001:db8::1\"}]}",
        "{\"a\": [{\"type\": \"MX\", \"value\": \"b\"}]}",
        "{\"a\": [{\"type\": \"MX\", \"pref\": 65536, \"value\": \"b\"}]}",
        "{\"a\": [{\"type\": \"A\", \"error\": \"PERHAPS\"}]}",
        "{\"a\": [{\"type\": \"A\", \"value\": \"192.0.2.1\", \"secure\": \"maybe\"}]}",
        "{\"a\": [{\"type\": \"TLSA\", \"usage\": 3, \"selector\": 1, \"matching\": 1}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_create(1 << 20);
        struct dns_zone *zone = NULL;
        struct str error = STR("");
        if (dns_zone_create(arena, str_from_cstr(cases[i]), DNS_SECURITY_INSECURE, &zone, &error) !=
                STATUS_SYNTAX ||
            error.n == 0) {
            fail_msg("accepted: %s", cases[i]);
        }
        arena_destroy(&arena);
    }
}

static void
test_bad_question(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dns_zone *zone;
    struct str error;
    struct dns_answer answer;
    (void)state;
    assert_int_equal(dns_zone_create(arena, STR("{}"), DNS_SECURITY_INSECURE, &zone, &error),
                     STATUS_OK);
    struct dns_source source = dns_source_from_zone(zone);
    assert_int_equal(dns_resolve(&source, arena, STR("a..b"), DNS_TYPE_A, &answer), STATUS_SYNTAX);
    struct arena *small = arena_create(64);
    assert_int_equal(dns_resolve(&source, small, STR("a.b"), DNS_TYPE_A, &answer), STATUS_LIMIT);
    arena_destroy(&small);
    dns_zone_destroy(&zone);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refused_zones),
        cmocka_unit_test(test_bad_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
