#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "check/test_message.h"

/* Received on Mon, 23 Nov 2026 17:48:14 +0000. */
static void
test_date(void **state)
{
    static const struct {
        const char *date;
        const char *want;
    } cases[] = {
        {"Mon, 23 Nov 2026 17:48:14 +0000", ""},
        {"Tue, 24 Nov 2026 17:48:14 +0000", ""},
        {"Tue, 24 Nov 2026 17:48:15 +0000", "date_future(date=Tue, 24 Nov 2026 17:48:15 +0000)"},
        {"Tue, 24 Nov 2026 17:48:15 +0100", ""},
        {"Fri, 23 Oct 2026 17:48:14 +0000", ""},
        {"Fri, 23 Oct 2026 17:48:13 +0000", "date_past(date=Fri, 23 Oct 2026 17:48:13 +0000)"},
        {"1 Jan 1970 00:00:00 +0000", "date_past(date=1 Jan 1970 00:00:00 +0000)"},
        {"tomorrow", "date_malformed(date=tomorrow)"},
        {"", "date_malformed(date=)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        char content[128];
        int n = snprintf(content, sizeof content, "Date: %s\r\n\r\n", cases[i].date);
        test_message_open(&message, str_make(content, (size_t)n));
        const char *got = test_message_check(&message, check_date);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

static void
test_without_date(void **state)
{
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("From: a@b\r\n\r\n"));
    assert_string_equal(test_message_check(&message, check_date), "");
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_without_date),
    };
    return cmocka_run_group_tests_name("check date", tests, NULL, NULL);
}
