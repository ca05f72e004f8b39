#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/test_message.h"

static void
test_null_sender(void **state)
{
    static const struct check_recipient three[3];
    static const struct {
        struct str sender;
        size_t recipients;
        const char *want;
    } cases[] = {
        {STR_INIT(""), 1, ""},
        {STR_INIT(""), 2, "null_sender_many_recipients(recipients=2)"},
        {STR_INIT(""), 3, "null_sender_many_recipients(recipients=3)"},
        {STR_INIT("a@b"), 3, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        test_message_open(&message, STR("\r\n"));
        message.input.sender = cases[i].sender;
        message.input.recipients = three;
        message.input.recipient_count = cases[i].recipients;
        assert_string_equal(test_message_check(&message, check_null_sender), cases[i].want);
        test_message_close(&message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_null_sender)};
    return cmocka_run_group_tests_name("check null_sender", tests, NULL, NULL);
}
