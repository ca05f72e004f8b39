/* The last attempt at each host, how the whole stands, and the order of events in a timeline. */
#include "trace/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t now_ms;

static int64_t
test_clock(void)
{
    return now_ms;
}

/* Letters of a story about one message; a second goes by with each. */
static void
tell(struct trace *trace, char letter)
{
    struct str copies[] = {STR("a@x.example")};
    now_ms += 1000;
    switch (letter) {
    case 'a':
        TRACE(trace, recipient_accepted, .address = STR("a@x.example"));
        break;
    case 'b':
        TRACE(trace, recipient_accepted, .address = STR("b@x.example"));
        break;
    case 'R':
        TRACE(trace, recipient_refused, .address = STR("r@x.example"), .code = 550);
        break;
    case 'Q':
        TRACE(trace, queued, .recipients = 1);
        break;
    case '1': /* the first host did not answer */
        TRACE(trace, attempt_failed, .host = STR("mx1.x.example"), .stage = STR("connect"));
        break;
    case '2':
        TRACE(trace, attempt_failed, .host = STR("mx2.x.example"), .stage = STR("tls"));
        break;
    case 'd': /* the first host said later */
        TRACE(trace, deferred, .recipient = STR("a@x.example"), .code = 451,
              .remote = STR("MX1.x.example[192.0.2.1]:25"));
        break;
    case 'e': /* a host without a name */
        TRACE(trace, deferred, .recipient = STR("a@x.example"), .code = 451,
              .remote = STR("[192.0.2.9]:25"));
        break;
    case 'p': /* the same address, another server of it */
        TRACE(trace, deferred, .recipient = STR("a@x.example"), .code = 451,
              .remote = STR("[192.0.2.9]:2525"));
        break;
    case 'q':
        TRACE(trace, attempt_failed, .host = STR("192.0.2.9"), .port = 2525,
              .stage = STR("connect"));
        break;
    case 'n': /* nobody was asked */
        TRACE(trace, deferred, .recipient = STR("a@x.example"), .text = STR("no address"));
        break;
    case 'D':
        TRACE(trace, delivered, .recipient = STR("a@x.example"), .code = 250,
              .remote = STR("mx2.x.example[192.0.2.2]:25"));
        break;
    case 'F':
        TRACE(trace, failed, .recipient = STR("b@x.example"), .code = 550,
              .remote = STR("mx1.x.example[192.0.2.1]:25"));
        break;
    case 'E':
        TRACE(trace, expired, .recipient = STR("a@x.example"));
        break;
    case 'h':
        TRACE(trace, held, .reason = STR("asked for"));
        break;
    case 'l':
        TRACE(trace, released, .by = STR("root"));
        break;
    case 'z':
        TRACE(trace, removed, .by = STR("root"));
        break;
    case 'c':
        TRACE(trace, forwarded, .recipients = {copies, 1}, .id = STR("0000000000COPYOF"));
        break;
    case 'M':
        TRACE(trace, mail_refused, .sender = STR("s@y.example"), .code = 550);
        break;
    default:
        fail_msg("there is no event '%c'", letter);
    }
}

struct told {
    struct trace trace;
    struct timeline timeline;
    struct explain_summary summary;
};

static void
told_begin(struct told *told, const char *story)
{
    now_ms = 1795456094000;
    trace_init(&told->trace, test_clock);
    if (story[0] != 'M') {
        TRACE(&told->trace, mail_accepted, .sender = STR("s@y.example"));
    }
    for (const char *letter = story; *letter != '\0'; letter++) {
        tell(&told->trace, *letter);
    }
    struct timeline_part part = {STR("0000000000MESSAG"), trace_events(&told->trace)};
    assert_int_equal(timeline_init(&told->timeline, &part, 1), STATUS_OK);
    assert_int_equal(explain_summarise(&told->timeline, STR("0000000000MESSAG"), &told->summary),
                     STATUS_OK);
}

static void
told_end(struct told *told)
{
    explain_summary_fini(&told->summary);
    timeline_fini(&told->timeline);
    trace_free(&told->trace);
}

/* "number of the event" for each attempt that is told, the latest host first. */
static void
last_attempts(void **state)
{
    static const struct {
        const char *story;
        const char *want;
    } rows[] = {
        {"aQ", ""},
        {"aQ1", "attempt_failed"},
        {"aQ12", "attempt_failed attempt_failed"},
        {"aQ1212", "attempt_failed attempt_failed"},
        {"aQ12d", "deferred attempt_failed"}, /* the same host, whatever the case of its name */
        {"aQd1", "attempt_failed"},
        {"aQde", "deferred deferred"},
        {"aQee", "deferred"},
        {"aQep", "deferred deferred"},
        {"aQepe", "deferred deferred"},
        {"aQeq", "attempt_failed deferred"},
        {"aQpq", "attempt_failed"},
        {"aQn", ""},
        {"aQdnE", "deferred"},
        {"aQ1D", ""}, /* everybody has it */
        {"abQDF", "failed delivered"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct told told;
        char got[200] = "";
        told_begin(&told, rows[i].story);
        for (size_t k = 0; k < told.summary.attempt_count; k++) {
            size_t n = strlen(got);
            snprintf(got + n, sizeof got - n, "%s%s", k > 0 ? " " : "",
                     told.summary.attempts[k]->event.row->name);
        }
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s: %s, not %s", rows[i].story, got, rows[i].want);
        }
        told_end(&told);
    }
}

static void
the_latest_attempt_at_a_host_counts(void **state)
{
    struct told told;
    (void)state;
    told_begin(&told, "aQ12d1");
    assert_int_equal(told.summary.attempt_count, 2);
    assert_int_equal(told.summary.attempts[0]->event.time_ms, now_ms);
    assert_int_equal(told.summary.attempts[1]->event.time_ms, now_ms - 2000);
    told_end(&told);
}

static void
more_hosts_than_are_told(void **state)
{
    struct told told;
    (void)state;
    now_ms = 1795456094000;
    trace_init(&told.trace, test_clock);
    TRACE(&told.trace, mail_accepted, .sender = STR("s@y.example"));
    TRACE(&told.trace, recipient_accepted, .address = STR("a@x.example"));
    for (int i = 0; i < 20; i++) {
        char host[32];
        now_ms++;
        snprintf(host, sizeof host, "mx%d.x.example", i);
        TRACE(&told.trace, attempt_failed, .host = str_from_cstr(host));
    }
    struct timeline_part part = {STR("0000000000MESSAG"), trace_events(&told.trace)};
    assert_int_equal(timeline_init(&told.timeline, &part, 1), STATUS_OK);
    assert_int_equal(explain_summarise(&told.timeline, STR("0000000000MESSAG"), &told.summary),
                     STATUS_OK);
    assert_int_equal(told.summary.attempt_count, EXPLAIN_HOSTS_MAX);
    assert_int_equal(told.summary.attempts[0]->event.time_ms, now_ms);
    told_end(&told);
}

static void
results(void **state)
{
    static const struct {
        const char *story;
        enum explain_result want;
    } rows[] = {
        {"aQ", EXPLAIN_RESULT_WAITING},    {"aQd", EXPLAIN_RESULT_WAITING},
        {"aQh", EXPLAIN_RESULT_WAITING},   {"a", EXPLAIN_RESULT_WAITING},
        {"", EXPLAIN_RESULT_WAITING},      {"aQD", EXPLAIN_RESULT_DELIVERED},
        {"aQc", EXPLAIN_RESULT_DELIVERED}, {"aRQD", EXPLAIN_RESULT_MISSED},
        {"R", EXPLAIN_RESULT_MISSED},      {"abQDF", EXPLAIN_RESULT_MISSED},
        {"abQD", EXPLAIN_RESULT_WAITING},  {"abQFd", EXPLAIN_RESULT_MISSED},
        {"aQdE", EXPLAIN_RESULT_MISSED},   {"aQz", EXPLAIN_RESULT_MISSED},
        {"M", EXPLAIN_RESULT_MISSED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct told told;
        told_begin(&told, rows[i].story);
        if (explain_result(&told.summary) != rows[i].want) {
            fail_msg("%s: %d, not %d", rows[i].story, (int)explain_result(&told.summary),
                     (int)rows[i].want);
        }
        told_end(&told);
    }
}

/* What is told of the recipient: why it waits, though it was held and released in between. */
static void
reasons_outlive_a_release(void **state)
{
    static const struct {
        const char *story;
        enum trace_event_id want;
    } rows[] = {
        {"aQhl", TRACE_RELEASED},  {"aQdhl", TRACE_DEFERRED},   {"aQdh", TRACE_HELD},
        {"aQhld", TRACE_DEFERRED}, {"aQdhlD", TRACE_DELIVERED}, {"aQdhlz", TRACE_REMOVED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct told told;
        told_begin(&told, rows[i].story);
        assert_int_equal(told.summary.recipient_count, 1);
        if (told.summary.recipients[0].event->number != (uint16_t)rows[i].want) {
            fail_msg("%s: %s", rows[i].story, told.summary.recipients[0].event->row->name);
        }
        told_end(&told);
    }
}

/* In one millisecond the cause stands before its effect, whichever part brought it. */
static void
cause_before_effect(void **state)
{
    struct trace parts[2];
    struct timeline timeline;
    char got[200] = "";
    (void)state;
    now_ms = 1795456094000;
    for (size_t i = 0; i < 2; i++) {
        trace_init(&parts[i], test_clock);
    }
    TRACE(&parts[0], finished, .delivered = 1);
    TRACE(&parts[0], delivered, .recipient = STR("a@x.example"));
    TRACE(&parts[0], connection_closed, .reason = STR("quit"));
    TRACE(&parts[1], message_answered, .code = 250);
    TRACE(&parts[1], queued, .recipients = 1);
    TRACE(&parts[1], decision, .action = STR("accept"));
    TRACE(&parts[1], header_edited, .name = STR("Received"));
    now_ms -= 1;
    TRACE(&parts[1], mail_accepted, .sender = STR("s@y.example"));
    struct timeline_part list[] = {{STR("0000000000MESSAG"), trace_events(&parts[0])},
                                   {STR("0000000000MESSAG"), STR("\x09")},
                                   {STR("0000000000MESSAG"), trace_events(&parts[1])}};
    assert_int_equal(timeline_init(&timeline, list, 3), STATUS_SYNTAX); /* the rest is there */
    for (size_t i = 0; i < timeline.count; i++) {
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s", i > 0 ? " " : "",
                 timeline.items[i].event.row->name);
    }
    assert_string_equal(got, "mail_accepted decision header_edited queued message_answered "
                             "connection_closed delivered finished");
    assert_false(timeline.cut);
    timeline_fini(&timeline);
    assert_int_equal(timeline_init(&timeline, list, 0), STATUS_OK);
    assert_int_equal(timeline.count, 0);
    timeline_fini(&timeline);
    trace_free(&parts[0]);
    trace_free(&parts[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_attempts),
        cmocka_unit_test(the_latest_attempt_at_a_host_counts),
        cmocka_unit_test(more_hosts_than_are_told),
        cmocka_unit_test(results),
        cmocka_unit_test(reasons_outlive_a_release),
        cmocka_unit_test(cause_before_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
