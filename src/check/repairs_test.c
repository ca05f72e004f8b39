#include "check/test_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
test_nothing(void **state)
{
    struct mail_repair_notes notes = {.count = 0};
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("\r\n"));
    assert_string_equal(test_message_check(&message, check_repairs), "");
    message.input.repairs = &notes;
    assert_string_equal(test_message_check(&message, check_repairs), "");
    test_message_close(&message);
}

static void
test_each_repair_is_told(void **state)
{
    struct mail_repair_notes notes = {
        .items = {{MAIL_REPAIR_HEADER_END, 1, 40}, {MAIL_REPAIR_8BIT, 2, 7}}, .count = 2};
    struct test_message message;
    (void)state;
    test_message_open(&message, STR("\r\n"));
    message.input.repairs = &notes;
    message.input.line_ends_made = true;
    assert_string_equal(test_message_check(&message, check_repairs),
                        "repaired(repair=line_ends) repaired(repair=header_end count=1 offset=40) "
                        "repaired(repair=8bit count=2 offset=7)");
    test_message_close(&message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_each_repair_is_told),
    };
    return cmocka_run_group_tests_name("check repairs", tests, NULL, NULL);
}
