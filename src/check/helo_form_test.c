#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/test_message.h"

static void
test_helo_form(void **state)
{
    static const struct {
        struct str helo;
        struct str client;
        const char *want;
    } cases[] = {
        {STR_INIT("mail.example"), STR_INIT("192.0.2.9"), ""},
        {STR_INIT("Mail.Example"), STR_INIT("192.0.2.9"), ""},
        {STR_INIT("xn--caf-dma.example"), STR_INIT("192.0.2.9"), ""},
        {STR_INIT("caf\xc3\xa9.example"), STR_INIT("192.0.2.9"), ""},
        {STR_INIT("[192.0.2.9]"), STR_INIT("192.0.2.9"), ""},
        {STR_INIT("[IPv6:2001:db8:0::1]"), STR_INIT("2001:db8::1"), ""},
        {STR_INIT("localhost"), STR_INIT("192.0.2.9"), "helo_not_qualified(helo=localhost)"},
        {STR_INIT("192.0.2.9"), STR_INIT("192.0.2.9"), "helo_malformed(helo=192.0.2.9)"},
        {STR_INIT("a_b.example"), STR_INIT("192.0.2.9"), "helo_malformed(helo=a_b.example)"},
        {STR_INIT(""), STR_INIT("192.0.2.9"), "helo_malformed(helo=)"},
        {STR_INIT("a b\r"), STR_INIT("192.0.2.9"), "helo_malformed(helo=a b\\x0d)"},
        {STR_INIT("[192.0.2.10]"), STR_INIT("192.0.2.9"),
         "helo_other_address(helo=[192.0.2.10] client=192.0.2.9)"},
        {STR_INIT("[198.51.100.1]"), STR_INIT("192.0.2.9"),
         "helo_own_address(helo=[198.51.100.1] client=192.0.2.9)"},
        {STR_INIT("[198.51.100.1]"), STR_INIT("198.51.100.1"), ""},
        {STR_INIT("MX.kartapuce.example"), STR_INIT("192.0.2.9"),
         "helo_own_name(helo=MX.kartapuce.example)"},
        {STR_INIT("mx.kartapuce.example"), STR_INIT("198.51.100.1"), ""},
        {STR_INIT("www.mx.kartapuce.example"), STR_INIT("192.0.2.9"), ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        test_message_open(&message, STR("\r\n"));
        message.input.helo = cases[i].helo;
        assert_int_equal(ip_parse(cases[i].client, &message.input.client), STATUS_OK);
        const char *got = test_message_check(&message, check_helo_form);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_helo_form)};
    return cmocka_run_group_tests_name("check helo_form", tests, NULL, NULL);
}
