#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "check/test_message.h"

static void
test_received_count(void **state)
{
    static const struct {
        size_t count;
        const char *want;
    } cases[] = {{0, ""}, {50, ""}, {51, "loop_received(count=51)"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        struct buf content;
        buf_init(&content, 1024);
        for (size_t k = 0; k < cases[i].count; k++) {
            assert_int_equal(buf_append(&content, STR("Received: x\r\n")), STATUS_OK);
        }
        assert_int_equal(buf_append(&content, STR("\r\n")), STATUS_OK);
        test_message_open(&message, buf_str(&content));
        assert_string_equal(test_message_check(&message, check_loop), cases[i].want);
        test_message_close(&message);
        buf_free(&content);
    }
}

static void
test_delivered_to(void **state)
{
    static const struct check_recipient forwarded[] = {
        {STR_INIT("bob@kartapuce.example"), STR_INIT("bob@kartapuce.example")},
        {STR_INIT("x@gmail.example"), STR_INIT("sales@kartapuce.example")},
    };
    static const struct {
        struct str content;
        const char *want;
    } cases[] = {
        {STR_INIT("Delivered-To: sales@kartapuce.example\r\n\r\n"),
         "loop_delivered_to(address=sales@kartapuce.example to=x@gmail.example)"},
        {STR_INIT("Delivered-To: other@x\r\ndelivered-to:\r\n SALES@Kartapuce.Example\r\n\r\n"),
         "loop_delivered_to(address=sales@kartapuce.example to=x@gmail.example)"},
        /* A mailbox may get again what was sent on from it by hand. */
        {STR_INIT("Delivered-To: bob@kartapuce.example\r\n\r\n"), ""},
        {STR_INIT("Delivered-To: not an address\r\n\r\n"), ""},
        {STR_INIT("X-Delivered-To: sales@kartapuce.example\r\n\r\n"), ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        test_message_open(&message, cases[i].content);
        message.input.recipients = forwarded;
        message.input.recipient_count = 2;
        const char *got = test_message_check(&message, check_loop);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received_count),
        cmocka_unit_test(test_delivered_to),
    };
    return cmocka_run_group_tests_name("check loop", tests, NULL, NULL);
}
