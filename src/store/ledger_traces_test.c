/* Traces on disk: found by every fact, late parts, followers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/ledger_traces_test_world.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

static const struct {
    struct trace_query query;
    const char *network;
    const char *want;
} queries[] = {
    {{.limit = 0}, NULL, "Four \\ four|three_x|two 100%|one"},
    {{.limit = 3}, NULL, "Four \\ four|three_x|two 100%|+"},
    {{.sender = TEXT("TOM@provider.example")}, NULL, "two 100%|one"},
    {{.sender = TEXT("*@provider.example")}, NULL, "two 100%|one"},
    {{.recipient = TEXT("bob@kartapuce.com")}, NULL, "Four \\ four|three_x|one"},
    {{.recipient = TEXT("J*")}, NULL, "two 100%"},
    {{.subject = TEXT("ONE")}, NULL, "one"},
    {{.subject = TEXT("*100%*")}, NULL, "two 100%"},
    {{.subject = TEXT("*e_x*")}, NULL, "three_x"},
    {{.subject = TEXT("*_e*")}, NULL, ""},
    {{.subject = TEXT("*n%e*")}, NULL, ""},
    {{.by_client = true}, "::/0", "Four \\ four|three_x|two 100%|one"},
    {{.subject = TEXT("* \\ *")}, NULL, "Four \\ four"},
    {{.message_id = TEXT("<2@p.example>")}, NULL, "two 100%"},
    {{.message_id = TEXT("<*@p.example>")}, NULL, "three_x|two 100%|one"},
    {{.by_client = true}, "192.0.2.1", "one"},
    {{.by_client = true}, "192.0.2.0/24", "two 100%|one"},
    {{.by_client = true}, "192.0.2.64/26", "two 100%"},
    {{.by_client = true}, "192.0.2.64/29", ""},
    {{.by_client = true}, "192.0.2.0/23", "Four \\ four|two 100%|one"},
    {{.by_client = true}, "2001:db8::/32", "three_x"},
    {{.by_client = true}, "0.0.0.0/0", "Four \\ four|two 100%|one"},
    {{.since_ms = TRACES_TEST_START_MS + 1000}, NULL, "Four \\ four|three_x|two 100%"},
    {{.until_ms = TRACES_TEST_START_MS + 2000}, NULL, "two 100%|one"},
    {{.since_ms = TRACES_TEST_START_MS + 1000, .until_ms = TRACES_TEST_START_MS + 2000},
     NULL,
     "two 100%"},
    {{.sender = TEXT("tom*"), .recipient = TEXT("bob*")}, NULL, "one"},
    {{.sender = TEXT("' OR 1=1 --")}, NULL, ""},
};

static void
everything_is_found(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    char id[ID_LENGTH + 1];
    for (size_t i = 0; i < sizeof traces_test_mails / sizeof traces_test_mails[0]; i++) {
        traces_test_now_ms = TRACES_TEST_START_MS + (int64_t)i * 1000;
        id_make(traces_test_now_ms, id);
        traces_test_append_mail(store, id, "0000000000SESSIN", &traces_test_mails[i]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct trace_query query = queries[i].query;
        if (queries[i].network != NULL) {
            assert_int_equal(ip_network_parse(str_from_cstr(queries[i].network), &query.client),
                             STATUS_OK);
        }
        const char *got = traces_test_find(directory, query);
        if (strcmp(got, queries[i].want) != 0) {
            fail_msg("query %zu: got %s, want %s", i, got, queries[i].want);
        }
    }
    trace_store_close(&store);
}

/* The role that got no acknowledgement sends again: nothing is there twice. */
static void
repetitions_are_taken_once(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    char id[ID_LENGTH + 1];
    traces_test_make_id(id);
    int64_t then = traces_test_now_ms;
    for (int i = 0; i < 3; i++) {
        traces_test_now_ms = then;
        traces_test_append_mail(store, id, "0000000000SESSIN", &traces_test_mails[0]);
        traces_test_append_result(store, id, traces_test_mails[0].recipient, true);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
    }
    assert_int_equal(traces_test_count_parts(directory, id), 2);
    struct summary row = traces_test_get_row(directory, id);
    assert_int_equal(row.recipient_count, 1);
    assert_int_equal(row.delivered, 1);
    assert_int_equal(row.state, TRACE_STATE_DELIVERED);
    trace_store_close(&store);
}

/* A session that was turned away is not one that came and went. */
static void
sessions_turned_away_are_told_apart(void **state)
{
    static const struct {
        const char *reason;
        int64_t messages;
        enum trace_row_state want;
    } cases[] = {
        {"refused", 0, TRACE_STATE_TURNED_AWAY}, {"limit", 0, TRACE_STATE_TURNED_AWAY},
        {"quit", 0, TRACE_STATE_CLOSED},         {"timeout", 0, TRACE_STATE_CLOSED},
        {"refused", 2, TRACE_STATE_CLOSED}, /* after mail: it had too many errors, say */
    };
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[ID_LENGTH + 1];
        struct trace trace;
        traces_test_make_id(id);
        trace_init(&trace, traces_test_clock);
        TRACE(&trace, connection_opened, .client_port = 1);
        TRACE(&trace, limit_hit, .limit = STR("limits.connections"), .code = 421);
        TRACE(&trace, connection_closed, .reason = str_from_cstr(cases[i].reason),
              .messages = cases[i].messages);
        traces_test_append(store, id, id, &trace);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        assert_int_equal(traces_test_get_row(directory, id).state, cases[i].want);
    }
    assert_string_equal(trace_row_state_name(TRACE_STATE_TURNED_AWAY), "turned away");
    trace_store_close(&store);
}

static void
bad_parts_leave_the_batch_alone(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    char id[ID_LENGTH + 1];
    struct trace trace;
    traces_test_make_id(id);
    traces_test_append_mail(store, id, "0000000000SESSIN", &traces_test_mails[0]);
    trace_init(&trace, traces_test_clock);
    TRACE(&trace, early_talk);
    struct str good = trace_events(&trace);
    assert_int_equal(trace_store_append(store, STR("short"), STR(""), good), STATUS_SYNTAX);
    assert_int_equal(trace_store_append(store, STR("../../../etc/pas"), STR(""), good),
                     STATUS_SYNTAX);
    assert_int_equal(trace_store_append(store, str_from_cstr(id), STR("x"), good), STATUS_SYNTAX);
    assert_int_equal(
        trace_store_append(store, str_from_cstr(id), STR(""), str_head(good, good.n - 1)),
        STATUS_SYNTAX);
    assert_int_equal(trace_store_append(store, str_from_cstr(id), STR(""), STR("")), STATUS_SYNTAX);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, id), 1);
    trace_free(&trace);
    trace_store_close(&store);
}

/* A session's parts come with those of its messages, and the other way round. */
static void
sessions_and_messages_belong_together(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    char session[ID_LENGTH + 1];
    char lonely[ID_LENGTH + 1];
    char ids[3][ID_LENGTH + 1];
    traces_test_make_id(session);
    for (size_t i = 0; i < 3; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], session, &traces_test_mails[i]);
    }
    traces_test_append_closed(store, session);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, session), 4);
    /* in lists a session stands only when it began no message */
    traces_test_make_id(lonely);
    traces_test_append_closed(store, lonely);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_string_equal(traces_test_find(directory, (struct trace_query){.limit = 10}),
                        "quit|three_x|two 100%|one"); /* it has why it ended for a subject */
    assert_string_equal(
        traces_test_find(directory, (struct trace_query){.limit = 10, .only_mail = true}),
        "three_x|two 100%|one");
    assert_string_equal(
        traces_test_find(directory,
                         (struct trace_query){.limit = 10, .states = 1u << TRACE_STATE_CLOSED}),
        "quit");
    assert_int_equal(traces_test_get_row(directory, session).kind, TRACE_ROW_SESSION);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 2);
    assert_int_equal(traces_test_count_parts(directory, "0000000000NOBODY"), 0);
    trace_store_close(&store);
}

/* Results that come days later are with the message: in its row, its parts, its counts. */
static void
late_parts_find_their_message(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_store_counts counts;
    char id[ID_LENGTH + 1];
    char other[ID_LENGTH + 1];
    traces_test_make_id(id);
    traces_test_append_mail(store, id, "0000000000SESSIN", &traces_test_mails[0]);
    traces_test_append_result(store, id, traces_test_mails[0].recipient, false);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_get_row(directory, id).state, TRACE_STATE_DEFERRED);

    traces_test_next_segment(store, 8 * DAY_MS);
    traces_test_make_id(other);
    traces_test_append_mail(store, other, "0000000000SESSIN", &traces_test_mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    traces_test_next_segment(store, 8 * DAY_MS);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 3);
    traces_test_append_result(store, id, traces_test_mails[0].recipient, true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);

    struct summary row = traces_test_get_row(directory, id);
    assert_int_equal(row.state, TRACE_STATE_DELIVERED);
    assert_int_equal(row.last_ms, traces_test_now_ms);
    assert_true(str_eq(summary_str(&row.sender), STR("tom@provider.example")));
    assert_int_equal(traces_test_count_parts(directory, id), 3);
    /* once in each list, by any fact */
    assert_string_equal(traces_test_find(directory, (struct trace_query){.limit = 10}),
                        "two 100%|one");
    assert_string_equal(
        traces_test_find(directory, (struct trace_query){.recipient = STR("bob@*")}), "one");
    trace_store_close(&store);

    /* the same after opening anew, and once more late */
    store = traces_test_open_store(directory);
    traces_test_append_result(store, id, "x@gmail.example", true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_get_row(directory, id).delivered, 2);
    trace_store_close(&store);
}

static void
changes_are_followed(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_search *search = trace_search_create(directory->path);
    const struct trace_query query = {.limit = 10, .sender = STR("*provider.example")};
    const struct summary *rows;
    char ids[3][ID_LENGTH + 1];
    size_t count;
    bool more;
    int64_t change = -1;
    assert_int_equal(trace_search_last_change(search, &change), STATUS_OK);
    assert_int_equal(change, 0);
    for (size_t i = 0; i < 3; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[i]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(trace_search_changed(search, &query, change + 1, &rows, &count, &more),
                     STATUS_OK);
    assert_int_equal(count, 2); /* the third is from elsewhere */
    assert_string_equal(rows[0].id, ids[0]);
    assert_int_equal(trace_search_last_change(search, &change), STATUS_OK);
    traces_test_next_segment(store, 8 * DAY_MS);
    traces_test_append_result(store, ids[1], traces_test_mails[1].recipient, true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(trace_search_changed(search, &query, change + 1, &rows, &count, &more),
                     STATUS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].id, ids[1]);
    assert_int_equal(rows[0].state, TRACE_STATE_DELIVERED);
    assert_true(rows[0].change > change);
    trace_search_destroy(&search);
    trace_store_close(&store);
}

#define DELIVERED (1u << TRACE_STATE_DELIVERED)
#define DEFERRED  (1u << TRACE_STATE_DEFERRED)
#define QUEUED    (1u << TRACE_STATE_QUEUED)

/* By how they stand now, in whatever segment that was told. */
static void
rows_are_found_by_their_state(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    char ids[4][ID_LENGTH + 1];
    for (size_t i = 0; i < 4; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[i]);
    }
    traces_test_append_result(store, ids[0], traces_test_mails[0].recipient, true);
    traces_test_append_result(store, ids[1], traces_test_mails[1].recipient, false);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    static const struct {
        uint32_t states;
        uint32_t limit;
        const char *want;
    } rows[] = {
        {DELIVERED, 10, "one"},
        {DELIVERED, 1, "one"}, /* behind many that do not fit */
        {DEFERRED, 10, "two 100%"},
        {QUEUED, 10, "Four \\ four|three_x"},
        {QUEUED, 1, "Four \\ four|+"},
        {QUEUED | DELIVERED, 10, "Four \\ four|three_x|one"},
        {1u << TRACE_STATE_FAILED, 10, ""},
        {0, 10, "Four \\ four|three_x|two 100%|one"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct trace_query query = {.states = rows[i].states, .limit = rows[i].limit};
        assert_string_equal(traces_test_find(directory, query), rows[i].want);
    }
    /* What comes later, in another segment, changes what fits. */
    traces_test_next_segment(store, 8 * DAY_MS);
    traces_test_append_result(store, ids[1], traces_test_mails[1].recipient, true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_string_equal(
        traces_test_find(directory, (struct trace_query){.states = DEFERRED, .limit = 10}), "");
    assert_string_equal(
        traces_test_find(directory, (struct trace_query){.states = DELIVERED, .limit = 10}),
        "two 100%|one");
    assert_string_equal(
        traces_test_find(directory, (struct trace_query){.states = DELIVERED, .limit = 1}),
        "two 100%|+");
    /* Pages go on before the last one. */
    assert_string_equal(
        traces_test_find(directory,
                         (struct trace_query){.limit = 10, .before = str_from_cstr(ids[1])}),
        "one");
    trace_store_close(&store);
}

/* Who follows sees the changes of what stands as is asked for, and no others. */
static void
changes_of_a_state_are_followed(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_search *search = trace_search_create(directory->path);
    const struct trace_query query = {.limit = 10, .states = DEFERRED, .only_mail = true};
    const struct summary *rows;
    char ids[2][ID_LENGTH + 1];
    char session[ID_LENGTH + 1];
    size_t count;
    bool more;
    for (size_t i = 0; i < 2; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[i]);
        traces_test_append_result(store, ids[i], traces_test_mails[i].recipient, i == 0);
    }
    traces_test_make_id(session);
    traces_test_append_closed(store, session);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(trace_search_changed(search, &query, 1, &rows, &count, &more), STATUS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].id, ids[1]);
    assert_false(more);
    const struct trace_query mail = {.limit = 10, .only_mail = true};
    assert_int_equal(trace_search_changed(search, &mail, 1, &rows, &count, &more), STATUS_OK);
    assert_int_equal(count, 2);
    const struct trace_query all = {.limit = 2};
    assert_int_equal(trace_search_changed(search, &all, 1, &rows, &count, &more), STATUS_OK);
    assert_int_equal(count, 2);
    assert_true(more);
    trace_search_destroy(&search);
    trace_store_close(&store);
}

struct order {
    int64_t last_ms;
    size_t parts;
};

/* For trace_search_parts: those of an id come in the order in which they were written. */
static bool
check_order(void *context, struct str id, struct str events)
{
    struct order *order = context;
    struct trace_reader reader;
    struct trace_event event;
    (void)id;
    assert_int_equal(trace_reader_init(&reader, events), STATUS_OK);
    assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
    assert_true(event.time_ms > order->last_ms);
    order->last_ms = event.time_ms;
    return ++order->parts < 3;
}

/* A session has the parts of each of its messages once, though one went on in a later segment. */
static void
parts_come_in_order_and_once(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct order order = {0};
    struct summary row;
    char session[ID_LENGTH + 1];
    char id[ID_LENGTH + 1];
    traces_test_make_id(session);
    traces_test_append_closed(store, session);
    traces_test_make_id(id);
    traces_test_append_mail(store, id, session, &traces_test_mails[0]);
    traces_test_now_ms++;
    traces_test_append_result(store, id, traces_test_mails[0].recipient, false);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, session), 3);
    assert_int_equal(traces_test_count_parts(directory, id), 3);
    traces_test_next_segment(store, 8 * DAY_MS);
    traces_test_append_result(store, id, traces_test_mails[0].recipient, true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, session), 4);
    struct trace_search *search = trace_search_create(directory->path);
    assert_int_equal(trace_search_parts(search, str_from_cstr(id), &row, check_order, &order),
                     STATUS_OK);
    assert_int_equal(order.parts, 3); /* it wanted no more */
    trace_search_destroy(&search);
    trace_store_close(&store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(everything_is_found),
        WITH_DIRECTORY(repetitions_are_taken_once),
        WITH_DIRECTORY(sessions_turned_away_are_told_apart),
        WITH_DIRECTORY(bad_parts_leave_the_batch_alone),
        WITH_DIRECTORY(sessions_and_messages_belong_together),
        WITH_DIRECTORY(late_parts_find_their_message),
        WITH_DIRECTORY(changes_are_followed),
        WITH_DIRECTORY(rows_are_found_by_their_state),
        WITH_DIRECTORY(changes_of_a_state_are_followed),
        WITH_DIRECTORY(parts_come_in_order_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
