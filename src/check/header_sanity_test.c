#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/test_message.h"

#define DATE "Date: Mon, 23 Nov 2026 17:48:14 +0000\r\n"
#define ID   "Message-ID: <a@b>\r\n"
#define GOOD DATE "From: Jack <jack@mail.example>\r\n" ID

static const struct {
    struct str content;
    const char *want;
} cases[] = {
    {STR_INIT(GOOD "\r\nbody"), ""},
    {STR_INIT(GOOD "Subject: a\r\nTo: x@y\r\nReceived: a\r\nReceived: b\r\n\r\n"), ""},
    {STR_INIT("\r\n"), "from_missing date_missing message_id_missing"},
    {STR_INIT(GOOD "From: x@y\r\n\r\n"), "from_repeated(count=2 first=Jack <jack@mail.example>)"},
    {STR_INIT(GOOD "FROM : x@y\r\n\r\n"),
     "header_syntax_obsolete(anomaly=blank_in_name count=1 offset=90) "
     "from_repeated(count=2 first=Jack <jack@mail.example>)"},
    {STR_INIT(DATE ID "From: Jack\r\n\r\n"), "from_malformed(from=Jack)"},
    {STR_INIT(DATE ID "From:\r\n\r\n"), "from_malformed(from=)"},
    {STR_INIT(DATE ID "From: team:;\r\n\r\n"), "from_malformed(from=team:;)"},
    {STR_INIT(DATE ID "From: a@b, c@d\r\n\r\n"),
     "from_several_domains(authors=2 from=a@b, c@d) sender_missing(authors=2)"},
    {STR_INIT(DATE ID "From: a@b, c@d\r\nSender: a@b\r\n\r\n"),
     "from_several_domains(authors=2 from=a@b, c@d)"},
    {STR_INIT(DATE ID "From: a@b, c@b\r\n\r\n"), "sender_missing(authors=2)"},
    {STR_INIT(DATE ID "From: a@b, c@b\r\nSender: a@b\r\n\r\n"), ""},
    {STR_INIT(DATE ID "From: a@[192.0.2.1]\r\n\r\n"), "from_malformed(from=a@[192.0.2.1])"},
    {STR_INIT(DATE ID "From: a@b <a@b>\r\n\r\n"), "from_irregular(domain=b from=a@b <a@b>)"},
    {STR_INIT(DATE ID "From: Bob\x01, me <a@b>\r\n\r\n"),
     "header_control(anomaly=control count=1 offset=58) "
     "from_ambiguous(reason=control from=Bob\\x01, me <a@b>)"},
    {STR_INIT(DATE ID "From: <@a,@b:c@d>\r\n\r\n"),
     "from_ambiguous(reason=route from=<@a,@b:c@d>)"},
    {STR_INIT(DATE ID "From\r\n : a@b\r\n\r\n"),
     "header_line_malformed(anomaly=bad_line count=1 offset=58) from_missing "
     "from_ambiguous(reason=hidden_field from=)"},
    {STR_INIT(GOOD DATE "\r\n"), "date_repeated(count=2 first=Mon, 23 Nov 2026 17:48:14 +0000)"},
    {STR_INIT(GOOD ID "\r\n"), "message_id_repeated(count=2 first=<a@b>)"},
    {STR_INIT(DATE "From: a@b\r\nMessage-Id: 4711\r\n\r\n"),
     "message_id_malformed(message_id=4711)"},
    {STR_INIT(GOOD "Subject: a\r\nSubject: b\r\nTo: a@b\r\nto: c@d\r\nTO: e@f\r\n\r\n"),
     "field_repeated(field=To count=3) field_repeated(field=Subject count=2)"},
    {STR_INIT(GOOD "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n"),
     "field_repeated(field=Content-Type count=2)"},
    {STR_INIT(GOOD "bad\r\n\r\n"), "header_line_malformed(anomaly=bad_line count=1 offset=90)"},
    {STR_INIT(GOOD "A: b\r\n"), "header_end_missing(anomaly=no_end count=1 offset=96)"},
    {STR_INIT(GOOD "A: b\x07\r\n\r\n"), "header_control(anomaly=control count=1 offset=90)"},
    {STR_INIT(GOOD "A: \xc3\xa9\r\n\r\n"), "header_8bit(anomaly=8bit count=1 offset=90)"},
    {STR_INIT(GOOD "A: \xe9\r\n\r\n"), "header_8bit(anomaly=8bit count=1 offset=90) "
                                       "header_not_utf8(anomaly=not_utf8 count=1 offset=90)"},
};

static void
test_header_sanity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        test_message_open(&message, cases[i].content);
        const char *got = test_message_check(&message, check_header_sanity);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

static void
test_smtputf8_allows_utf8_only(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, STR(GOOD "A: \xc3\xa9\r\n\r\n"));
    message.input.smtputf8 = true;
    assert_string_equal(test_message_check(&message, check_header_sanity), "");
    test_message_close(&message);
    test_message_open(&message, STR(GOOD "A: \xe9\r\n\r\n"));
    message.input.smtputf8 = true;
    assert_string_equal(test_message_check(&message, check_header_sanity),
                        "header_not_utf8(anomaly=not_utf8 count=1 offset=90)");
    test_message_close(&message);
}

/* Nothing is said of the fields of a section that was not read. */
static void
test_over_limit(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, STR(""));
    message.head = (struct mail_head){0};
    message.input.head_over_limit = true;
    assert_string_equal(test_message_check(&message, check_header_sanity), "header_too_large");
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_sanity),
        cmocka_unit_test(test_smtputf8_allows_utf8_only),
        cmocka_unit_test(test_over_limit),
    };
    return cmocka_run_group_tests_name("check header_sanity", tests, NULL, NULL);
}
