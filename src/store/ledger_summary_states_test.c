/* How a message stands, by the events that come in: each row is a story and its end. */
#include "store/ledger_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t now_ms = 1795456094000;

static int64_t
test_clock(void)
{
    return now_ms;
}

/* What a client does, and what it is told. False: the letter is none of these events. */
static bool
tell_session(struct trace *trace, char letter)
{
    struct str both[] = {STR("a@far.example"), STR("b@far.example")};
    switch (letter) {
    case 'o':
        TRACE(trace, connection_opened, .client_port = 25);
        break;
    case 'q': /* the client said goodbye */
        TRACE(trace, connection_closed, .reason = STR("quit"));
        break;
    case 'x': /* turned away */
        TRACE(trace, connection_closed, .reason = STR("refused"));
        break;
    case 'l':
        TRACE(trace, connection_closed, .reason = STR("limit"));
        break;
    case 'y': /* refused after it had brought mail */
        TRACE(trace, connection_closed, .reason = STR("refused"), .messages = 1);
        break;
    case 't':
        TRACE(trace, tls_failed, .error = STR("no shared cipher"));
        break;
    case 'u':
        TRACE(trace, auth_failed, .user = STR("bob"));
        break;
    case 'm':
        TRACE(trace, mail_accepted, .sender = STR("a@b.example"));
        break;
    case 'M':
        TRACE(trace, mail_refused, .sender = STR("a@b.example"), .code = 550);
        break;
    case 'n':
        TRACE(trace, mail_refused, .sender = STR("a@b.example"), .code = 450);
        break;
    case 'r':
        TRACE(trace, recipient_accepted, .address = STR("bob@us.example"), .expanded = {both, 2});
        break;
    case 'R':
        TRACE(trace, recipient_refused, .address = STR("nobody@us.example"), .code = 550);
        break;
    case 's':
        TRACE(trace, recipient_refused, .address = STR("later@us.example"), .code = 451);
        break;
    case 'C':
        TRACE(trace, content_refused, .code = 552);
        break;
    case 'A':
        TRACE(trace, message_answered, .code = 250);
        break;
    case 'B':
        TRACE(trace, message_answered, .code = 554);
        break;
    case 'b':
        TRACE(trace, message_answered, .code = 451);
        break;
    case 'g':
        TRACE(trace, transaction_abandoned, .reason = STR("rset"));
        break;
    default:
        return false;
    }
    return true;
}

/* What becomes of a message: of its decision, in the queue, of its deliveries. */
static bool
tell_message(struct trace *trace, char letter)
{
    switch (letter) {
    case 'J':
        TRACE(trace, decision, .action = STR("reject"), .code = 550);
        break;
    case 'j':
        TRACE(trace, decision, .action = STR("defer"), .code = 450);
        break;
    case 'i':
        TRACE(trace, decision, .action = STR("discard"), .code = 250);
        break;
    case 'k':
        TRACE(trace, decision, .action = STR("accept"), .code = 550);
        break;
    case 'Q':
        TRACE(trace, queued, .recipients = 2);
        break;
    case 'N':
        TRACE(trace, not_queued, .code = 451);
        break;
    case 'K':
        TRACE(trace, queue_unknown, .code = 451);
        break;
    case 'h':
        TRACE(trace, held, .reason = STR("asked for"));
        break;
    case 'e':
        TRACE(trace, released, .by = STR("root"));
        break;
    case 'z':
        TRACE(trace, removed, .by = STR("root"));
        break;
    case 'D':
        TRACE(trace, delivered, .recipient = STR("d@us.example"));
        break;
    case 'd':
        TRACE(trace, deferred, .recipient = STR("d@us.example"), .code = 451);
        break;
    case 'F':
        TRACE(trace, failed, .recipient = STR("f@us.example"), .code = 550);
        break;
    case 'E':
        TRACE(trace, expired, .recipient = STR("f@us.example"));
        break;
    case '2':
        TRACE(trace, finished, .delivered = 2);
        break;
    case '1':
        TRACE(trace, finished, .delivered = 1, .failed = 1);
        break;
    case '0':
        TRACE(trace, finished, .failed = 2);
        break;
    case '3': /* one recipient only, whatever was expected */
        TRACE(trace, finished, .delivered = 1);
        break;
    case '-': /* to nobody who is named */
        TRACE(trace, delivered, .code = 250);
        break;
    case 'T':
        TRACE(trace, notice_created, .to = STR("a@b.example"), .subject = STR("Undelivered"));
        break;
    default:
        return false;
    }
    return true;
}

/* Letters of a story; each is an event, one millisecond after the one before it. */
static void
tell(struct trace *trace, char letter)
{
    now_ms++;
    if (!tell_session(trace, letter) && !tell_message(trace, letter)) {
        fail_msg("there is no event '%c'", letter);
    }
}

/* What the index has after the story, taken as one part. */
static struct summary
summary_of(const char *story)
{
    struct summary summary = {0};
    struct trace trace;
    trace_init(&trace, test_clock);
    for (const char *letter = story; *letter != '\0'; letter++) {
        tell(&trace, *letter);
    }
    assert_int_equal(summary_add(&summary, trace_events(&trace), NULL, NULL), STATUS_OK);
    trace_free(&trace);
    return summary;
}

static void
states_of_stories(void **state)
{
    static const struct {
        const char *story;
        const char *state;
        const char *kind;
    } rows[] = {
        /* connections */
        {"o", "open", "session"},
        {"oq", "closed", "session"},
        {"ox", "turned away", "session"},
        {"ol", "turned away", "session"},
        {"oy", "closed", "session"},
        /* refused before the content */
        {"m", "open", "message"},
        {"M", "refused", "message"},
        {"n", "try later", "message"},
        {"mR", "refused", "message"},
        {"ms", "try later", "message"},
        {"mRg", "refused", "message"},
        {"msg", "try later", "message"},
        {"mg", "closed", "message"},
        {"mrg", "closed", "message"},
        {"mrR", "open", "message"},
        {"mRr", "open", "message"},
        {"mRs", "refused", "message"},
        /* refused with it */
        {"mrC", "refused", "message"},
        {"mrB", "refused", "message"},
        {"mrb", "try later", "message"},
        {"mrJB", "refused", "message"},
        {"mrjb", "try later", "message"},
        {"mrJ", "refused", "message"},
        {"mrj", "try later", "message"},
        {"mrk", "open", "message"},
        {"mri", "discarded", "message"},
        {"mriA", "discarded", "message"},
        {"mri0", "discarded", "message"},
        {"mrN", "try later", "message"},
        {"mrK", "try later", "message"},
        /* in the queue */
        {"mrQA", "queued", "message"},
        {"mrQh", "held", "message"},
        {"mrQhe", "queued", "message"},
        {"mrQd", "deferred", "message"},
        {"mrQdD", "deferred", "message"},
        {"mrQD", "queued", "message"},
        {"mrQF", "queued", "message"},
        {"mrQdF", "deferred", "message"},
        {"mrQz", "removed", "message"},
        {"mrQz0", "removed", "message"},
        /* ended */
        {"mrQDD", "delivered", "message"},
        {"mrQDF", "partly delivered", "message"},
        {"mrQFD", "partly delivered", "message"},
        {"mrQFF", "failed", "message"},
        {"mrQEE", "failed", "message"},
        {"mrQDE", "partly delivered", "message"},
        {"mrQ2", "delivered", "message"},
        {"mrQ1", "partly delivered", "message"},
        {"mrQ0", "failed", "message"},
        {"mrQD1", "partly delivered", "message"},
        {"mrQF2", "delivered", "message"},
        {"mrQ3", "delivered", "message"},
        /* others */
        {"T", "open", "notice"},
        {"TQDD", "delivered", "notice"},
        {"D", "delivered", "message"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct summary summary = summary_of(rows[i].story);
        if (strcmp(trace_row_state_name(summary.state), rows[i].state) != 0 ||
            strcmp(trace_row_kind_name(summary.kind), rows[i].kind) != 0) {
            fail_msg("%s: %s %s, not %s %s", rows[i].story, trace_row_kind_name(summary.kind),
                     trace_row_state_name(summary.state), rows[i].kind, rows[i].state);
        }
    }
    assert_string_equal(trace_row_state_name((enum trace_row_state)13), "unknown");
    assert_string_equal(trace_row_kind_name((enum trace_row_kind)3), "unknown");
}

/* Parts come in any order: how it stands is said by the event that was the last to happen. */
static void
the_latest_event_counts_not_the_latest_part(void **state)
{
    struct summary summary = {0};
    struct trace early;
    struct trace late;
    (void)state;
    trace_init(&early, test_clock);
    trace_init(&late, test_clock);
    tell(&early, 'm');
    tell(&early, 'r');
    tell(&early, 'Q');
    int64_t const first_ms = now_ms - 2;
    tell(&late, 'h');
    assert_int_equal(summary_add(&summary, trace_events(&late), NULL, NULL), STATUS_OK);
    assert_int_equal(summary.first_ms, now_ms);
    assert_int_equal(summary_add(&summary, trace_events(&early), NULL, NULL), STATUS_OK);
    assert_int_equal(summary.state, TRACE_STATE_HELD);
    assert_int_equal(summary.first_ms, first_ms);
    assert_int_equal(summary.last_ms, now_ms);
    assert_int_equal(summary.state_ms, now_ms);
    assert_int_equal(summary.expected, 2);
    trace_free(&early);
    trace_free(&late);
}

static void
numbers_of_recipients(void **state)
{
    (void)state;
    struct summary summary = summary_of("mrRsQDF");
    assert_int_equal(summary.recipient_count, 3);
    assert_int_equal(summary.expected, 2);
    assert_int_equal(summary.delivered, 1);
    assert_int_equal(summary.failed, 1);
    assert_true(str_eq(str_make(summary.recipients.p, summary.recipients.n),
                       STR("bob@us.example, nobody@us.example, later@us.example")));
    summary = summary_of("mrQ1");
    assert_int_equal(summary.delivered, 1);
    assert_int_equal(summary.failed, 1);
    summary = summary_of("T");
    assert_int_equal(summary.recipient_count, 1);
    assert_true(str_eq(summary_str(&summary.subject), STR("Undelivered")));
}

/* A connection without mail has why it came to nothing for its subject, a message never. */
static void
reasons_of_connections(void **state)
{
    static const struct {
        const char *story;
        const char *subject;
    } rows[] = {{"oq", "quit"},
                {"ox", "refused"},
                {"ot", "TLS: no shared cipher"},
                {"otx", "TLS: no shared cipher"},
                {"ou", "login failed: bob"},
                {"ouq", "login failed: bob"},
                {"mt", ""},
                {"mq", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct summary summary = summary_of(rows[i].story);
        assert_true(str_eq(summary_str(&summary.subject), str_from_cstr(rows[i].subject)));
    }
}

struct found {
    char text[400];
};

static void
on_recipient(void *context, struct str address)
{
    struct found *found = context;
    size_t n = strlen(found->text);
    snprintf(found->text + n, sizeof found->text - n, "<%.*s>", STR_ARG(address));
}

/* Everybody who had to do with it can be searched for: also behind an alias, also refused. */
static void
recipients_that_are_searched_for(void **state)
{
    static const struct {
        const char *story;
        const char *found;
    } rows[] = {
        {"mr", "<bob@us.example><a@far.example><b@far.example>"},
        {"mR", "<nobody@us.example>"},
        {"ms", "<later@us.example>"},
        {"D", "<d@us.example>"},
        {"F", "<f@us.example>"},
        {"E", "<f@us.example>"},
        {"T", "<a@b.example>"},
        {"d", ""},
        {"mQ", ""},
        {"-", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct summary summary = {0};
        struct found found = {0};
        struct trace trace;
        trace_init(&trace, test_clock);
        for (const char *letter = rows[i].story; *letter != '\0'; letter++) {
            tell(&trace, *letter);
        }
        assert_int_equal(summary_add(&summary, trace_events(&trace), on_recipient, &found),
                         STATUS_OK);
        assert_string_equal(found.text, rows[i].found);
        trace_free(&trace);
    }
}

/* The list of recipients has a bound, and ends between two of them. */
static void
the_list_of_recipients_is_bounded(void **state)
{
    struct summary summary = {0};
    struct trace trace;
    char address[101];
    (void)state;
    memset(address, 'x', sizeof address - 1);
    address[sizeof address - 1] = '\0';
    trace_init(&trace, test_clock);
    for (int i = 0; i < 12; i++) {
        TRACE(&trace, recipient_accepted, .address = str_from_cstr(address));
    }
    TRACE(&trace, recipient_accepted, .address = STR("short@us.example"));
    assert_int_equal(summary_add(&summary, trace_events(&trace), NULL, NULL), STATUS_OK);
    assert_int_equal(summary.recipient_count, 13);
    assert_true(summary.recipients.n <= SUMMARY_RECIPIENTS_MAX);
    assert_int_equal(summary.recipients.n, 10 * 102 - 2);
    trace_free(&trace);
}

static void
long_texts_are_cut(void **state)
{
    static char room[TRACE_TEXT_MAX];
    struct summary summary = {0};
    struct trace trace;
    (void)state;
    memset(room, 'y', sizeof room);
    trace_init(&trace, test_clock);
    TRACE(&trace, mail_accepted, .sender = str_make(room, sizeof room));
    TRACE(&trace, message_header, .subject = str_make(room, sizeof room),
          .message_id = str_make(room, sizeof room));
    TRACE(&trace, message_header, .from = STR("x")); /* empty ones change nothing */
    assert_int_equal(summary_add(&summary, trace_events(&trace), NULL, NULL), STATUS_OK);
    assert_int_equal(summary.sender.n, SUMMARY_ADDRESS_MAX);
    assert_int_equal(summary.subject.n, SUMMARY_TEXT_MAX);
    assert_int_equal(summary.message_id.n, SUMMARY_TEXT_MAX);
    assert_int_equal(summary_add(&summary, STR("\x07malformed"), NULL, NULL), STATUS_SYNTAX);
    trace_free(&trace);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_of_stories),
        cmocka_unit_test(the_latest_event_counts_not_the_latest_part),
        cmocka_unit_test(numbers_of_recipients),
        cmocka_unit_test(reasons_of_connections),
        cmocka_unit_test(recipients_that_are_searched_for),
        cmocka_unit_test(the_list_of_recipients_is_bounded),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
