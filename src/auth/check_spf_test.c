#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/checks.h"
#include "auth/results.h"
#include "auth/spf.h"
#include "auth/test_zone.h"
#include "check/test_message.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct test_record records[] = {
    {"mail.example", "TXT", "v=spf1 ip4:192.0.2.9 -all exp=why.mail.example"},
    {"why.mail.example", "TXT", "%{c} is not ours"},
    {"soft.example", "TXT", "v=spf1 ~all"},
    {"neutral.example", "TXT", "v=spf1 ip4:192.0.2.1"},
    {"broken.example", "TXT", "v=spf1 moo"},
    {"late.example", "TIMEOUT", ""},
};

static void
test_findings(void **state)
{
    static const struct {
        struct str helo;
        struct str sender;
        const char *client;
        const char *want;
    } cases[] = {
        {STR_INIT("mail.example"), STR_INIT("jack@mail.example"), "192.0.2.9",
         "spf_helo_pass(domain=mail.example client=192.0.2.9 mechanism=ip4:192.0.2.9) "
         "spf_pass(domain=mail.example client=192.0.2.9 mechanism=ip4:192.0.2.9)"},
        {STR_INIT("mail.example"), STR_INIT(""), "192.0.2.9",
         "spf_helo_pass(domain=mail.example client=192.0.2.9 mechanism=ip4:192.0.2.9) "
         "spf_pass(domain=mail.example client=192.0.2.9 mechanism=ip4:192.0.2.9)"},
        {STR_INIT("soft.example"), STR_INIT("jack@mail.example"), "192.0.2.10",
         "spf_helo_softfail(domain=soft.example client=192.0.2.10 mechanism=~all) "
         "spf_fail(domain=mail.example client=192.0.2.10 mechanism=-all "
         "explanation=192.0.2.10 is not ours)"},
        {STR_INIT("mail.example"), STR_INIT("jack@soft.example"), "2001:db8::1",
         "spf_helo_fail(domain=mail.example client=2001:db8::1 mechanism=-all "
         "explanation=2001:db8::1 is not ours) "
         "spf_softfail(domain=soft.example client=2001:db8::1 mechanism=~all)"},
        {STR_INIT("neutral.example"), STR_INIT("jack@neutral.example"), "192.0.2.9",
         "spf_helo_neutral(domain=neutral.example client=192.0.2.9) "
         "spf_neutral(domain=neutral.example client=192.0.2.9)"},
        {STR_INIT("[192.0.2.9]"), STR_INIT("jack@nothing.example"), "192.0.2.9",
         "spf_helo_none(domain=[192.0.2.9] client=192.0.2.9 "
         "problem=\"[192.0.2.9]\" is not a domain name that can have a record) "
         "spf_none(domain=nothing.example client=192.0.2.9 "
         "problem=nothing.example has no SPF record)"},
        {STR_INIT("late.example"), STR_INIT("jack@broken.example"), "192.0.2.9",
         "spf_helo_temperror(domain=late.example client=192.0.2.9 "
         "problem=the record of late.example could not be asked for: timeout) "
         "spf_permerror(domain=broken.example client=192.0.2.9 "
         "problem=the record of broken.example: \"moo\": there is no such mechanism)"},
        {STR_INIT("broken.example"), STR_INIT("jack@late.example"), "192.0.2.9",
         "spf_helo_permerror(domain=broken.example client=192.0.2.9 "
         "problem=the record of broken.example: \"moo\": there is no such mechanism) "
         "spf_temperror(domain=late.example client=192.0.2.9 "
         "problem=the record of late.example could not be asked for: timeout)"},
    };
    struct dns_zone *zone = test_zone_create(records, COUNT_OF(records));
    struct dns_source dns = dns_source_from_zone(zone);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_message message;
        test_message_open(&message, STR("\r\n"));
        message.input.helo = cases[i].helo;
        message.input.sender = cases[i].sender;
        message.input.dns = &dns;
        assert_int_equal(ip_parse(str_from_cstr(cases[i].client), &message.input.client),
                         STATUS_OK);
        const char *got = test_message_check(&message, check_spf);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
    dns_zone_destroy(&zone);
}

/* What DMARC and the writers of header fields find afterwards. */
static void
test_shared_results(void **state)
{
    struct dns_zone *zone = test_zone_create(records, COUNT_OF(records));
    struct dns_source dns = dns_source_from_zone(zone);
    struct auth_results results = {.spf_helo = NULL};
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("\r\n"));
    message.input.sender = STR("");
    message.input.dns = &dns;
    message.input.auth = &results;
    (void)test_message_check(&message, check_spf);
    assert_non_null(results.spf_helo);
    assert_non_null(results.spf_mailfrom);
    assert_int_equal(results.spf_helo->result, SPF_RESULT_PASS);
    assert_int_equal(results.spf_helo->identity, SPF_IDENTITY_HELO);
    assert_int_equal(results.spf_mailfrom->result, SPF_RESULT_PASS);
    assert_int_equal(results.spf_mailfrom->identity, SPF_IDENTITY_MAILFROM);
    assert_string_equal(results.spf_mailfrom->domain.p, "mail.example");
    /* The null path asks nothing of its own. */
    assert_int_equal(dns_zone_questions(zone), 1);
    test_message_close(&message);
    dns_zone_destroy(&zone);
}

static void
test_cannot_be_made(void **state)
{
    struct dns_zone *zone = test_zone_create(records, COUNT_OF(records));
    struct dns_source dns = dns_source_from_zone(zone);
    struct auth_results results = {.spf_helo = NULL};
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("\r\n"));
    finding_list_init(&message.findings, message.arena);
    message.input.auth = &results;
    assert_int_equal(check_spf(&message.input, &message.findings), STATUS_TEMPORARY);
    struct arena *tiny = arena_create(256);
    message.input.dns = &dns;
    message.input.arena = tiny;
    assert_int_equal(check_spf(&message.input, &message.findings), STATUS_LIMIT);
    assert_int_equal(message.findings.count, 0);
    assert_null(results.spf_helo);
    assert_null(results.spf_mailfrom);
    arena_destroy(&tiny);
    test_message_close(&message);
    dns_zone_destroy(&zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_shared_results),
        cmocka_unit_test(test_cannot_be_made),
    };
    return cmocka_run_group_tests_name("check spf", tests, NULL, NULL);
}
