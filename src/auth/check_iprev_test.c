#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/checks.h"
#include "auth/results.h"
#include "auth/test_zone.h"
#include "check/test_message.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct test_record records[] = {
    {"9.2.0.192.in-addr.arpa", "PTR", "mail.example"},
    {"10.2.0.192.in-addr.arpa", "PTR", "mail.example"},
    {"11.2.0.192.in-addr.arpa", "TIMEOUT", ""},
    {"mail.example", "A", "192.0.2.9"},
    {"xn--caf-dma.example", "A", "192.0.2.9"},
    {"a_b.example", "A", "192.0.2.9"},
    {"late.example", "TIMEOUT", ""},
};

static void
test_findings(void **state)
{
    static const struct {
        struct str helo;
        const char *client;
        const char *want;
    } cases[] = {
        {STR_INIT("mail.example"), "192.0.2.9",
         "iprev_pass(client=192.0.2.9 name=mail.example) helo_address_matches(helo=mail.example)"},
        {STR_INIT("caf\xc3\xa9.example"), "192.0.2.9",
         "iprev_pass(client=192.0.2.9 name=mail.example) "
         "helo_address_matches(helo=caf\xc3\xa9.example)"},
        {STR_INIT("a_b.example"), "192.0.2.9",
         "iprev_pass(client=192.0.2.9 name=mail.example) helo_address_matches(helo=a_b.example)"},
        {STR_INIT("mail.example"), "192.0.2.10",
         "iprev_fail(client=192.0.2.10 name=mail.example) "
         "helo_address_differs(helo=mail.example client=192.0.2.10)"},
        {STR_INIT("nothing.example"), "192.0.2.12",
         "iprev_missing(client=192.0.2.12) "
         "helo_address_missing(helo=nothing.example client=192.0.2.12)"},
        {STR_INIT("late.example"), "192.0.2.11",
         "iprev_temperror(client=192.0.2.11) helo_address_temperror(helo=late.example)"},
        {STR_INIT("[192.0.2.9]"), "192.0.2.9", "iprev_pass(client=192.0.2.9 name=mail.example)"},
        {STR_INIT("mail.example"), "2001:db8::1",
         "iprev_missing(client=2001:db8::1) "
         "helo_address_missing(helo=mail.example client=2001:db8::1)"},
    };
    struct dns_zone *zone = test_zone_create(records, COUNT_OF(records));
    struct dns_source dns = dns_source_from_zone(zone);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_message message;
        struct auth_results results = {.iprev = NULL};
        test_message_open(&message, STR("\r\n"));
        message.input.helo = cases[i].helo;
        message.input.dns = &dns;
        message.input.auth = &results;
        assert_int_equal(ip_parse(str_from_cstr(cases[i].client), &message.input.client),
                         STATUS_OK);
        const char *got = test_message_check(&message, check_iprev);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        assert_non_null(results.iprev);
        test_message_close(&message);
    }
    dns_zone_destroy(&zone);
}

static void
test_cannot_be_made(void **state)
{
    struct auth_results results = {.iprev = NULL};
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("\r\n"));
    finding_list_init(&message.findings, message.arena);
    message.input.auth = &results;
    assert_int_equal(check_iprev(&message.input, &message.findings), STATUS_TEMPORARY);
    assert_int_equal(message.findings.count, 0);
    assert_null(results.iprev);
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_cannot_be_made),
    };
    return cmocka_run_group_tests_name("check iprev", tests, NULL, NULL);
}
