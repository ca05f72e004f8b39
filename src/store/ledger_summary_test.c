/* What the index learns from events: of copies, which have no envelope but what their event says.
 */
#include "store/ledger_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t
test_clock(void)
{
    return 1795456094000;
}

struct found {
    char text[256];
};

static void
on_recipient(void *context, struct str address)
{
    struct found *found = context;
    size_t n = strlen(found->text);
    snprintf(found->text + n, sizeof found->text - n, "<%.*s>", STR_ARG(address));
}

static void
a_copy_is_found_by_its_own_envelope(void **state)
{
    struct str recipients[] = {STR("a@far.example"), STR("b@far.example")};
    struct summary summary = {0};
    struct found found = {0};
    struct ip_address client;
    struct trace trace;
    (void)state;
    assert_int_equal(ip_parse(STR("192.0.2.7"), &client), STATUS_OK);
    trace_init(&trace, test_clock);
    TRACE(&trace, copy_of, .id = STR("01ARZ3NDEKTSV4RR"), .sender = STR("SRS0=x@us.example"),
          .recipients = {recipients, 2}, .client = client);
    TRACE(&trace, message_header, .subject = STR("forwarded"));
    TRACE(&trace, queued, .recipients = 2);
    assert_int_equal(summary_add(&summary, trace_events(&trace), on_recipient, &found), STATUS_OK);
    assert_int_equal(summary.kind, TRACE_ROW_MESSAGE);
    assert_int_equal(summary.state, TRACE_STATE_QUEUED);
    assert_int_equal(summary.recipient_count, 2);
    assert_true(ip_eq(&summary.client, &client));
    assert_true(str_eq(summary_str(&summary.sender), STR("SRS0=x@us.example")));
    assert_true(str_eq(summary_str(&summary.subject), STR("forwarded")));
    assert_true(str_eq(str_make(summary.recipients.p, summary.recipients.n),
                       STR("a@far.example, b@far.example")));
    assert_string_equal(found.text, "<a@far.example><b@far.example>");
    trace_free(&trace);
}

/* Events that say nothing to the index, and those that nobody knows, only move the times. */
static void
other_events_only_move_the_times(void **state)
{
    static const struct {
        uint16_t number;
        enum trace_row_kind kind;
    } cases[] = {
        {0, TRACE_ROW_SESSION},   {TRACE_GREETED, TRACE_ROW_SESSION}, {30, TRACE_ROW_MESSAGE},
        {199, TRACE_ROW_MESSAGE}, {TRACE_ERROR, TRACE_ROW_SESSION},   {65535, TRACE_ROW_SESSION},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* the version, 1000 ms, the event's number, 5 ms later in zigzag, no fields */
        char octets[] = {1,
                         (char)0xe8,
                         3,
                         0,
                         0,
                         0,
                         0,
                         0,
                         0,
                         (char)(cases[i].number & 0xff),
                         (char)(cases[i].number >> 8),
                         10,
                         0};
        struct summary summary = {0};
        assert_int_equal(summary_add(&summary, str_make(octets, sizeof octets), NULL, NULL),
                         STATUS_OK);
        assert_int_equal(summary.kind, cases[i].kind);
        assert_int_equal(summary.state, TRACE_STATE_OPEN);
        assert_int_equal(summary.first_ms, 1005);
        assert_int_equal(summary.last_ms, 1005);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_found_by_its_own_envelope),
        cmocka_unit_test(other_events_only_move_the_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
