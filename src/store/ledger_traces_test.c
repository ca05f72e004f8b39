/* Traces on disk: found by every fact, late parts, retention, damage, kill -9. */
#include "store/ledger_traces.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/ledger_search.h"
#include "store/ledger_segment.h"
#include "store/ledger_test_directory.h"

#define START_MS 1795456094123 /* 2026-11-23T17:48:14.123Z */
#define DAY_MS   (24LL * 3600 * 1000)

static int64_t now_ms = START_MS;

static int64_t
test_clock(void)
{
    return now_ms;
}

static const struct trace_store_limits generous = {.age_ms = 90 * DAY_MS, .size = 10ULL << 30};

static struct trace_store *
open_store(const struct test_directory *directory)
{
    struct trace_store *store = NULL;
    assert_int_equal(trace_store_open(directory->path, &generous, now_ms, &store), STATUS_OK);
    return store;
}

struct mail {
    const char *sender;
    const char *recipient;
    const char *subject;
    const char *message_id;
    const char *client;
};

/* Takes the trace. */
static void
append(struct trace_store *store, const char *id, const char *session, struct trace *trace)
{
    assert_int_equal(
        trace_store_append(store, str_from_cstr(id), str_from_cstr(session), trace_events(trace)),
        STATUS_OK);
    trace_free(trace);
}

/* The end of a session. */
static void
append_closed(struct trace_store *store, const char *session)
{
    struct trace trace;
    trace_init(&trace, test_clock);
    TRACE(&trace, connection_closed, .reason = STR("quit"));
    append(store, session, session, &trace);
}

/* What the edge and the filter would have sent for one message. */
static void
append_mail(struct trace_store *store, const char *id, const char *session, const struct mail *mail)
{
    struct trace trace;
    struct ip_address client;
    assert_int_equal(ip_parse(str_from_cstr(mail->client), &client), STATUS_OK);
    trace_init(&trace, test_clock);
    TRACE(&trace, mail_accepted, .sender = str_from_cstr(mail->sender), .client = client);
    TRACE(&trace, recipient_accepted, .address = str_from_cstr(mail->recipient));
    TRACE(&trace, message_header, .subject = str_from_cstr(mail->subject),
          .message_id = str_from_cstr(mail->message_id));
    TRACE(&trace, queued, .recipients = 1);
    append(store, id, session, &trace);
}

static void
append_result(struct trace_store *store, const char *id, const char *recipient, bool delivered)
{
    struct trace trace;
    trace_init(&trace, test_clock);
    if (delivered) {
        TRACE(&trace, delivered, .recipient = str_from_cstr(recipient), .code = 250);
    } else {
        TRACE(&trace, deferred, .recipient = str_from_cstr(recipient), .code = 451);
    }
    append(store, id, "", &trace);
}

/* The subjects of what a query finds, with "|" between. */
static const char *
find(const struct test_directory *directory, struct trace_query query)
{
    static char found[65536];
    const struct summary *rows;
    size_t count;
    bool more;
    struct trace_search *search = trace_search_create(directory->path);
    query.limit = query.limit == 0 ? TRACE_SEARCH_ROWS_MAX : query.limit;
    assert_int_equal(trace_search_find(search, &query, &rows, &count, &more), STATUS_OK);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%.*s", i > 0 ? "|" : "",
                              STR_ARG(summary_str(&rows[i].subject)));
        assert_true(n < sizeof found);
    }
    snprintf(found + n, sizeof found - n, "%s", more ? "|+" : "");
    trace_search_destroy(&search);
    return found;
}

static struct summary
get_row(const struct test_directory *directory, const char *id)
{
    const struct summary *rows;
    size_t count;
    bool more;
    struct trace_search *search = trace_search_create(directory->path);
    struct trace_query query = {.id = str_from_cstr(id), .limit = 1};
    assert_int_equal(trace_search_find(search, &query, &rows, &count, &more), STATUS_OK);
    assert_int_equal(count, 1);
    struct summary row = rows[0];
    trace_search_destroy(&search);
    return row;
}

static bool
count_part(void *context, struct str id, struct str events)
{
    size_t *count = context;
    assert_int_equal(id.n, ID_LENGTH);
    assert_true(trace_is_valid(events));
    (*count)++;
    return true;
}

static size_t
count_parts(const struct test_directory *directory, const char *id)
{
    size_t count = 0;
    struct summary row;
    struct trace_search *search = trace_search_create(directory->path);
    enum status status = trace_search_parts(search, str_from_cstr(id), &row, count_part, &count);
    assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    trace_search_destroy(&search);
    return count;
}

static void
make_id(char id[static ID_LENGTH + 1])
{
    id_make(now_ms++, id);
}

static const struct mail mails[] = {
    {"tom@provider.example", "bob@kartapuce.com", "one", "<1@p.example>", "192.0.2.1"},
    {"Tom@Provider.example", "jack@kartapuce.com", "two 100%", "<2@p.example>", "192.0.2.77"},
    {"eve@elsewhere.example", "Bob@kartapuce.com", "three_x", "<3@p.example>", "2001:db8::1"},
    {"", "bob@kartapuce.com", "Four \\ four", "", "192.0.3.1"},
};

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
    {{.since_ms = START_MS + 1000}, NULL, "Four \\ four|three_x|two 100%"},
    {{.until_ms = START_MS + 2000}, NULL, "two 100%|one"},
    {{.since_ms = START_MS + 1000, .until_ms = START_MS + 2000}, NULL, "two 100%"},
    {{.sender = TEXT("tom*"), .recipient = TEXT("bob*")}, NULL, "one"},
    {{.sender = TEXT("' OR 1=1 --")}, NULL, ""},
};

static void
everything_is_found(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    char id[ID_LENGTH + 1];
    for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
        now_ms = START_MS + (int64_t)i * 1000;
        id_make(now_ms, id);
        append_mail(store, id, "0000000000SESSIN", &mails[i]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct trace_query query = queries[i].query;
        if (queries[i].network != NULL) {
            assert_int_equal(ip_network_parse(str_from_cstr(queries[i].network), &query.client),
                             STATUS_OK);
        }
        const char *got = find(directory, query);
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
    struct trace_store *store = open_store(directory);
    char id[ID_LENGTH + 1];
    make_id(id);
    int64_t then = now_ms;
    for (int i = 0; i < 3; i++) {
        now_ms = then;
        append_mail(store, id, "0000000000SESSIN", &mails[0]);
        append_result(store, id, mails[0].recipient, true);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
    }
    assert_int_equal(count_parts(directory, id), 2);
    struct summary row = get_row(directory, id);
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
    struct trace_store *store = open_store(directory);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[ID_LENGTH + 1];
        struct trace trace;
        make_id(id);
        trace_init(&trace, test_clock);
        TRACE(&trace, connection_opened, .client_port = 1);
        TRACE(&trace, limit_hit, .limit = STR("limits.connections"), .code = 421);
        TRACE(&trace, connection_closed, .reason = str_from_cstr(cases[i].reason),
              .messages = cases[i].messages);
        append(store, id, id, &trace);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        assert_int_equal(get_row(directory, id).state, cases[i].want);
    }
    assert_string_equal(trace_row_state_name(TRACE_STATE_TURNED_AWAY), "turned away");
    trace_store_close(&store);
}

static void
bad_parts_leave_the_batch_alone(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    char id[ID_LENGTH + 1];
    struct trace trace;
    make_id(id);
    append_mail(store, id, "0000000000SESSIN", &mails[0]);
    trace_init(&trace, test_clock);
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
    assert_int_equal(count_parts(directory, id), 1);
    trace_free(&trace);
    trace_store_close(&store);
}

/* A session's parts come with those of its messages, and the other way round. */
static void
sessions_and_messages_belong_together(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    char session[ID_LENGTH + 1];
    char lonely[ID_LENGTH + 1];
    char ids[3][ID_LENGTH + 1];
    make_id(session);
    for (size_t i = 0; i < 3; i++) {
        make_id(ids[i]);
        append_mail(store, ids[i], session, &mails[i]);
    }
    append_closed(store, session);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(count_parts(directory, session), 4);
    /* in lists a session stands only when it began no message */
    make_id(lonely);
    append_closed(store, lonely);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_string_equal(find(directory, (struct trace_query){.limit = 10}),
                        "|three_x|two 100%|one");
    assert_int_equal(get_row(directory, session).kind, TRACE_ROW_SESSION);
    assert_int_equal(count_parts(directory, ids[0]), 2);
    assert_int_equal(count_parts(directory, "0000000000NOBODY"), 0);
    trace_store_close(&store);
}

/* As if so much time had gone by: a new segment begins. */
static void
next_segment(struct trace_store *store, int64_t later_ms)
{
    now_ms += later_ms;
    trace_store_maintain(store, &generous, now_ms);
}

/* Results that come days later are with the message: in its row, its parts, its counts. */
static void
late_parts_find_their_message(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    struct trace_store_counts counts;
    char id[ID_LENGTH + 1];
    char other[ID_LENGTH + 1];
    make_id(id);
    append_mail(store, id, "0000000000SESSIN", &mails[0]);
    append_result(store, id, mails[0].recipient, false);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(get_row(directory, id).state, TRACE_STATE_DEFERRED);

    next_segment(store, 8 * DAY_MS);
    make_id(other);
    append_mail(store, other, "0000000000SESSIN", &mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    next_segment(store, 8 * DAY_MS);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 3);
    append_result(store, id, mails[0].recipient, true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);

    struct summary row = get_row(directory, id);
    assert_int_equal(row.state, TRACE_STATE_DELIVERED);
    assert_int_equal(row.last_ms, now_ms);
    assert_true(str_eq(summary_str(&row.sender), STR("tom@provider.example")));
    assert_int_equal(count_parts(directory, id), 3);
    /* once in each list, by any fact */
    assert_string_equal(find(directory, (struct trace_query){.limit = 10}), "two 100%|one");
    assert_string_equal(find(directory, (struct trace_query){.recipient = STR("bob@*")}), "one");
    trace_store_close(&store);

    /* the same after opening anew, and once more late */
    store = open_store(directory);
    append_result(store, id, "x@gmail.example", true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(get_row(directory, id).delivered, 2);
    trace_store_close(&store);
}

static void
changes_are_followed(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
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
        make_id(ids[i]);
        append_mail(store, ids[i], "0000000000SESSIN", &mails[i]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(trace_search_changed(search, &query, change + 1, &rows, &count, &more),
                     STATUS_OK);
    assert_int_equal(count, 2); /* the third is from elsewhere */
    assert_string_equal(rows[0].id, ids[0]);
    assert_int_equal(trace_search_last_change(search, &change), STATUS_OK);
    next_segment(store, 8 * DAY_MS);
    append_result(store, ids[1], mails[1].recipient, true);
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

static void
old_traces_go(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    struct trace_store_counts counts;
    char ids[6][ID_LENGTH + 1];
    for (size_t i = 0; i < 6; i++) {
        make_id(ids[i]);
        append_mail(store, ids[i], "0000000000SESSIN", &mails[0]);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        next_segment(store, 8 * DAY_MS);
    }
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 7);
    /* by age: all of a segment must be too old */
    const struct trace_store_limits month = {.age_ms = 30 * DAY_MS, .size = 10ULL << 30};
    trace_store_maintain(store, &month, now_ms);
    assert_int_equal(count_parts(directory, ids[1]), 0);
    assert_int_equal(count_parts(directory, ids[2]), 1);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 5);
    /* by size: the oldest first, the newest stays */
    const struct trace_store_limits small = {.age_ms = 90 * DAY_MS, .size = 1};
    uint64_t left = trace_store_maintain(store, &small, now_ms);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 1);
    assert_true(left > 0);
    make_id(ids[0]);
    append_mail(store, ids[0], "0000000000SESSIN", &mails[0]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(count_parts(directory, ids[0]), 1);
    trace_store_close(&store);
}

/* Size makes segments too, and disk use stays near the limit whatever comes. */
static void
disk_use_is_bounded(void **state)
{
    const struct test_directory *directory = *state;
    const struct trace_store_limits limits = {.age_ms = 90 * DAY_MS, .size = 4u << 20};
    struct trace_store *store = open_store(directory);
    struct trace_store_counts counts;
    uint64_t most = 0;
    for (int i = 0; i < 20000; i++) {
        char id[ID_LENGTH + 1];
        make_id(id);
        append_mail(store, id, "0000000000SESSIN", &mails[(size_t)i % 4]);
        if (i % 250 == 249) {
            assert_int_equal(trace_store_commit(store), STATUS_OK);
            uint64_t size = trace_store_maintain(store, &limits, now_ms);
            most = size > most ? size : most;
        }
    }
    trace_store_counts(store, &counts);
    assert_in_range(counts.segments, 2, 8);
    assert_in_range(most, 2u << 20, 6u << 20);
    trace_store_close(&store);
}

/* A clock that was set back makes no disorder: a new segment still comes after the others. */
static void
clock_may_jump(void **state)
{
    const struct test_directory *directory = *state;
    const struct trace_store_limits small = {.age_ms = 1000 * DAY_MS, .size = 16u << 20};
    struct trace_store *store = open_store(directory);
    struct trace_store_counts counts;
    char ids[3][ID_LENGTH + 1];
    for (size_t i = 0; i < 6000; i++) { /* more than a segment may have */
        make_id(ids[0]);
        append_mail(store, ids[0], "0000000000SESSIN", &mails[0]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    now_ms -= 100 * DAY_MS;
    trace_store_maintain(store, &small, now_ms);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 2);
    make_id(ids[1]);
    append_mail(store, ids[1], "0000000000SESSIN", &mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_close(&store);
    store = open_store(directory); /* the segment of the early clock is the newest still */
    make_id(ids[2]);
    append_mail(store, ids[2], "0000000000SESSIN", &mails[2]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(count_parts(directory, ids[0]), 1);
    assert_int_equal(count_parts(directory, ids[1]), 1);
    assert_string_equal(find(directory, (struct trace_query){.limit = 2}), "three_x|two 100%|+");
    trace_store_close(&store);
    now_ms = START_MS;
}

static void
corrupt(const char *path, off_t offset)
{
    char garbage[4096];
    int fd = open(path, O_WRONLY);
    memset(garbage, 0xa5, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, offset), sizeof garbage);
    close(fd);
}

/* Damage costs the traces of its own segment; the ledger goes on. */
static void
damaged_segments_are_set_aside(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory);
    struct segment_list list;
    char ids[2][ID_LENGTH + 1];
    char name[64];
    for (size_t i = 0; i < 2; i++) {
        make_id(ids[i]);
        append_mail(store, ids[i], "0000000000SESSIN", &mails[i]);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        if (i == 0) {
            next_segment(store, 8 * DAY_MS);
        }
    }
    trace_store_close(&store);
    assert_int_equal(segment_list_read(directory->path, &list), STATUS_OK);
    assert_int_equal(list.count, 2);
    snprintf(name, sizeof name, "%s.db", list.names[1]);
    corrupt(test_directory_file(directory, name), 0);
    store = open_store(directory);
    assert_int_equal(count_parts(directory, ids[0]), 1);
    assert_int_equal(count_parts(directory, ids[1]), 0);
    snprintf(name, sizeof name, "%s.db.damaged", list.names[1]);
    assert_int_equal(access(test_directory_file(directory, name), F_OK), 0);
    append_mail(store, ids[1], "0000000000SESSIN", &mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_close(&store);

    /* an older one that breaks while all is open is left out of searches */
    snprintf(name, sizeof name, "%s.db", list.names[0]);
    corrupt(test_directory_file(directory, name), 0);
    assert_int_equal(count_parts(directory, ids[0]), 0);
    assert_string_equal(find(directory, (struct trace_query){.limit = 10}), "two 100%");
    segment_list_free(&list);
}

/* The writer is killed while it writes: what it had committed is there, and it can go on. */
static void
commits_survive_a_kill(void **state)
{
    const struct test_directory *directory = *state;
    for (int round = 0; round < 5; round++) {
        int done[2];
        char id[ID_LENGTH + 1];
        size_t count = 0;
        assert_int_equal(pipe(done), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct trace_store *store = open_store(directory);
            for (;;) {
                char batch[20][ID_LENGTH + 1];
                for (size_t i = 0; i < 20; i++) {
                    make_id(batch[i]);
                    append_mail(store, batch[i], "0000000000SESSIN", &mails[i % 4]);
                }
                if (trace_store_commit(store) != STATUS_OK ||
                    write(done[1], batch, sizeof batch) != sizeof batch) {
                    _exit(1);
                }
            }
        }
        close(done[1]);
        struct trace_search *search = trace_search_create(directory->path);
        for (; read(done[0], id, sizeof id) == sizeof id; count++) {
            struct summary row;
            size_t parts = 0;
            assert_int_equal(
                trace_search_parts(search, str_from_cstr(id), &row, count_part, &parts), STATUS_OK);
            if (count == 100 + 50 * (size_t)round) {
                kill(pid, SIGKILL);
            }
        }
        trace_search_destroy(&search);
        close(done[0]);
        waitpid(pid, NULL, 0);
        assert_true(count > 100);
        now_ms += 60000; /* the next child's ids are others */
    }
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
        WITH_DIRECTORY(old_traces_go),
        WITH_DIRECTORY(disk_use_is_bounded),
        WITH_DIRECTORY(clock_may_jump),
        WITH_DIRECTORY(damaged_segments_are_set_aside),
        WITH_DIRECTORY(commits_survive_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
