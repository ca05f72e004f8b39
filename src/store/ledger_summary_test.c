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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_found_by_its_own_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
