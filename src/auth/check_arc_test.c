#include "auth/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/results.h"
#include "auth/test_chain.h"
#include "check/test_message.h"

#define PASS STR("mx; dmarc=pass header.from=author.example")

static const struct str plain = STR_INIT("From: a@author.example\r\n\r\nHello.\r\n");

/* The findings for a message, with these trusted sealers. */
static void
expect(struct test_chain *chain, struct str content, const char *trusted, const char *want)
{
    struct test_message message;
    struct auth_results results = {0};
    struct str sealer = str_from_cstr(trusted);
    test_message_open(&message, content);
    struct config config = *message.config;
    config.authentication.arc.trusted_sealers = (struct config_texts){&sealer, sealer.n > 0};
    message.input.config = &config;
    message.input.dns = &chain->dns;
    message.input.auth = &results;
    assert_string_equal(test_message_check(&message, check_arc), want);
    assert_non_null(results.arc);
    test_message_close(&message);
}

static void
test_findings(void **state)
{
    struct test_chain chain;
    (void)state;
    test_chain_open(&chain);
    struct str one = test_chain_seal(&chain, plain, plain, STR("list.example"), PASS);
    struct str two = test_chain_seal(&chain, one, one, STR("next.example"), STR("mx; none"));
    struct str bad = test_chain_replace(&chain, one, "Hello", "Hallo");
    expect(&chain, plain, "list.example", "");
    expect(&chain, one, "", "arc_pass(sealer=list.example sets=1 oldest_pass=0)");
    expect(&chain, one, "list.example",
           "arc_pass(sealer=list.example sets=1 oldest_pass=0) "
           "arc_vouched(sealer=list.example instance=1 domain=author.example)");
    expect(&chain, two, "list.example", "arc_pass(sealer=next.example sets=2 oldest_pass=0)");
    expect(&chain, bad, "list.example", "arc_fail(reason=the body was altered instance=1)");
    chain.outcome = DNS_OUTCOME_SERVFAIL;
    expect(&chain, one, "list.example",
           "arc_unverified(reason=the DNS did not answer for the key instance=1)");
    test_chain_close(&chain);
}

/* Without DNS a chain cannot be looked at; to have none needs no DNS. */
static void
test_without_dns(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, plain);
    assert_int_equal(check_arc(&message.input, &message.findings), STATUS_OK);
    test_message_close(&message);
    test_message_open(&message, STR("ARC-Seal: i=1\r\n\r\n"));
    assert_int_equal(check_arc(&message.input, &message.findings), STATUS_TEMPORARY);
    test_message_close(&message);
}

/* What was not read may hold a chain: it cannot be said that there is none. */
static void
test_head_over_limit(void **state)
{
    struct auth_results auth = {0};
    struct test_message message;
    (void)state;
    test_message_open(&message, plain);
    message.input.auth = &auth;
    message.input.head_over_limit = true;
    assert_string_equal(test_message_check(&message, check_arc), "");
    assert_int_equal(auth.arc->result, ARC_RESULT_FAIL);
    assert_false(auth.arc->temporary);
    assert_true(auth.arc->reason.n > 0);
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_without_dns),
        cmocka_unit_test(test_head_over_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
