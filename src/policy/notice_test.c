#include "policy/notice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "smtp/envelope.h"

enum { STRANGER = SMTP_MESSAGE_STRANGER, PROVEN = SMTP_MESSAGE_SENDER_PROVEN };
enum { NEVER = SMTP_DSN_NOTIFY_NEVER, SUCCESS = SMTP_DSN_NOTIFY_SUCCESS };
enum { FAILURE = SMTP_DSN_NOTIFY_FAILURE, DELAY = SMTP_DSN_NOTIFY_DELAY };

static void
test_extent(void **state)
{
    static const struct {
        enum config_strangers setting;
        uint32_t flags;
        enum notice_extent want;
        const char *reason;
    } cases[] = {
        {CONFIG_STRANGERS_HEADERS, 0, NOTICE_EXTENT_FULL, NULL},
        {CONFIG_STRANGERS_NEVER, SMTP_MESSAGE_HAS_8BIT, NOTICE_EXTENT_FULL, NULL},
        {CONFIG_STRANGERS_HEADERS, STRANGER | PROVEN, NOTICE_EXTENT_FAILURES, NULL},
        {CONFIG_STRANGERS_HEADERS, STRANGER, NOTICE_EXTENT_NONE_UNPROVEN, "sender_unproven"},
        {CONFIG_STRANGERS_NEVER, STRANGER | PROVEN, NOTICE_EXTENT_NONE_STRANGER, "stranger"},
        {CONFIG_STRANGERS_NEVER, STRANGER, NOTICE_EXTENT_NONE_STRANGER, "stranger"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config = {.bounce = {.to_strangers = cases[i].setting}};
        enum notice_extent got = notice_extent_of(&config, cases[i].flags);
        assert_int_equal(got, cases[i].want);
        if (cases[i].reason == NULL) {
            assert_null(notice_extent_reason(got));
        } else {
            assert_string_equal(notice_extent_reason(got), cases[i].reason);
        }
    }
}

static void
test_notify_for_the_next_hop(void **state)
{
    static const struct {
        enum notice_extent extent;
        uint8_t notify;
        uint8_t want;
    } cases[] = {
        {NOTICE_EXTENT_FULL, 0, 0},
        {NOTICE_EXTENT_FULL, SUCCESS | FAILURE, SUCCESS | FAILURE},
        {NOTICE_EXTENT_FAILURES, 0, FAILURE},
        {NOTICE_EXTENT_FAILURES, SUCCESS | FAILURE | DELAY, FAILURE},
        {NOTICE_EXTENT_FAILURES, SUCCESS | DELAY, NEVER},
        {NOTICE_EXTENT_FAILURES, NEVER, NEVER},
        {NOTICE_EXTENT_NONE_UNPROVEN, 0, NEVER},
        {NOTICE_EXTENT_NONE_STRANGER, FAILURE, NEVER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(notice_extent_notify(cases[i].extent, cases[i].notify), cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extent),
        cmocka_unit_test(test_notify_for_the_next_hop),
    };
    return cmocka_run_group_tests_name("policy notice", tests, NULL, NULL);
}
