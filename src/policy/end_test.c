#include "policy/end.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/envelope.h"

#define FULL     NOTICE_EXTENT_FULL
#define FAILURES NOTICE_EXTENT_FAILURES
#define STRANGER NOTICE_EXTENT_NONE_STRANGER
#define UNPROVEN NOTICE_EXTENT_NONE_UNPROVEN
#define NEVER    SMTP_DSN_NOTIFY_NEVER
#define SUCCESS  SMTP_DSN_NOTIFY_SUCCESS
#define FAILURE  SMTP_DSN_NOTIFY_FAILURE

static void
test_failures(void **state)
{
    static const struct {
        struct end_failure failure; /* null, to_postmaster, altered, command, notify, extent */
        enum end want;
    } cases[] = {
        {{false, false, false, false, 0, FULL}, END_FAILED},
        {{false, false, false, false, 0, FAILURES}, END_FAILED},
        {{false, false, false, false, FAILURE, FULL}, END_FAILED},
        {{false, false, false, false, FAILURE | SUCCESS, FULL}, END_FAILED},
        {{false, false, false, true, 0, FULL}, END_FAILED},
        {{false, false, false, false, 0, STRANGER}, END_FAILED_STRANGER},
        {{false, false, false, false, 0, UNPROVEN}, END_FAILED_UNPROVEN},
        {{false, false, false, false, FAILURE, UNPROVEN}, END_FAILED_UNPROVEN},
        {{false, false, false, true, 0, UNPROVEN}, END_FAILED_BY_COMMAND},
        {{false, false, false, true, 0, STRANGER}, END_FAILED_BY_COMMAND},
        {{false, false, false, false, NEVER, FULL}, END_FAILED_UNWANTED},
        {{false, false, false, false, SUCCESS, FULL}, END_FAILED_UNWANTED},
        {{false, false, false, false, NEVER, UNPROVEN}, END_FAILED_UNWANTED},
        {{false, false, false, true, NEVER, FULL}, END_FAILED_UNWANTED},
        /* notices have NOTIFY=NEVER themselves: that is not a sender's wish */
        {{true, false, false, false, 0, FULL}, END_FAILED_NULL_SENDER},
        {{true, false, false, false, NEVER, FULL}, END_FAILED_NULL_SENDER},
        {{true, false, false, false, 0, UNPROVEN}, END_FAILED_NULL_SENDER},
        {{true, false, false, true, NEVER, FULL}, END_FAILED_BY_COMMAND},
        {{true, true, false, false, NEVER, FULL}, END_FAILED_AT_POSTMASTER},
        {{true, true, true, false, NEVER, FULL}, END_FAILED_AT_POSTMASTER},
        {{true, true, false, true, NEVER, FULL}, END_FAILED_BY_COMMAND},
        {{false, false, true, false, 0, FULL}, END_FAILED_DAMAGED},
        {{false, false, true, false, NEVER, FULL}, END_FAILED_DAMAGED},
        {{false, false, true, true, 0, FULL}, END_FAILED_BY_COMMAND},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum end got = end_of_failure(&cases[i].failure);
        if (got != cases[i].want) {
            fail_msg("%zu: got %s, want %s", i, end_name(got), end_name(cases[i].want));
        }
    }
}

/* Whatever is known of a failure: somebody is told, or it is kept, or the sender wanted neither. */
static void
test_no_failure_is_silent(void **state)
{
    static const uint8_t notify[] = {
        0, NEVER, SUCCESS, FAILURE, SUCCESS | FAILURE, SMTP_DSN_NOTIFY_DELAY};
    (void)state;
    for (unsigned bits = 0; bits < 16; bits++) {
        for (unsigned extent = FULL; extent <= UNPROVEN; extent++) {
            for (size_t i = 0; i < sizeof notify; i++) {
                struct end_failure f = {bits & 1,        (bits & 2) != 0,
                                        (bits & 4) != 0, (bits & 8) != 0,
                                        notify[i],       (enum notice_extent)extent};
                enum end_told told = end_told(end_of_failure(&f));
                bool wants = notify[i] == 0 || (notify[i] & FAILURE) != 0;
                bool has_sender = !f.null_sender && !f.to_postmaster && !f.altered;
                assert_true(told == END_TOLD_SENDER || told == END_TOLD_POSTMASTER ||
                            told == END_TOLD_KEPT || told == END_TOLD_ADMINISTRATOR ||
                            told == END_TOLD_NOBODY_AS_ASKED);
                assert_int_equal(told == END_TOLD_NOBODY_AS_ASKED, has_sender && !wants);
                assert_int_equal(told == END_TOLD_KEPT, f.to_postmaster && !f.by_command);
                assert_true(told != END_TOLD_SENDER || has_sender);
            }
        }
    }
}

static void
test_rows(void **state)
{
    (void)state;
    for (unsigned end = 0; end < END_COUNT_; end++) {
        assert_true(strlen(end_name((enum end)end)) > 0);
        assert_true(strlen(end_text((enum end)end)) > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_failure_is_silent),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
