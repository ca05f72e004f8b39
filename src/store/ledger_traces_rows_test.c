/* What the store keeps in memory is never told apart from what it reads, whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/ledger_rows.h"
#include "store/ledger_segment.h"
#include "store/ledger_test_directory.h"
#include "store/ledger_traces.h"

#define START_MS 1795456094123 /* 2026-11-23T17:48:14.123Z */
#define DAY_MS   (24LL * 3600 * 1000)
#define DUMP_MAX (8u << 20)

static int64_t now_ms = START_MS;

static int64_t
test_clock(void)
{
    return now_ms;
}

static const struct trace_store_limits generous = {.age_ms = 90 * DAY_MS, .size = 10ULL << 30};

static struct trace_store *
open_store(const char *directory)
{
    struct trace_store *store = NULL;
    assert_int_equal(trace_store_open(directory, &generous, now_ms, &store), STATUS_OK);
    return store;
}

/* ---- parts of one message */

enum part {
    PART_FILTER,
    PART_ANSWER,
    PART_HEADER, /* changes an indexed column of a row that is there */
    PART_DEFERRED,
    PART_DELIVERED,
    PART_ELSEWHERE, /* another recipient */
    PART_FINISHED,
    PARTS,
};

static void
record(struct trace *trace, enum part part)
{
    const struct ip_address client = {.octets = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
    switch (part) {
    case PART_FILTER:
        TRACE(trace, mail_accepted, .sender = STR("tom@provider.example"), .client = client);
        TRACE(trace, recipient_accepted, .address = STR("bob@kartapuce.com"));
        TRACE(trace, queued, .recipients = 2);
        break;
    case PART_ANSWER:
        TRACE(trace, message_answered, .code = 250);
        break;
    case PART_HEADER:
        TRACE(trace, message_header, .subject = STR("one"), .message_id = STR("<1@p.example>"));
        break;
    case PART_DEFERRED:
        TRACE(trace, deferred, .recipient = STR("bob@kartapuce.com"), .code = 451);
        break;
    case PART_DELIVERED:
        TRACE(trace, delivered, .recipient = STR("bob@kartapuce.com"), .code = 250);
        break;
    case PART_ELSEWHERE:
        TRACE(trace, delivered, .recipient = STR("jack@kartapuce.com"), .code = 250);
        break;
    case PART_FINISHED:
    case PARTS:
        TRACE(trace, finished, .delivered = 2);
        break;
    }
}

static enum status
append(struct trace_store *store, const char *id, enum part part)
{
    struct trace trace;
    trace_init(&trace, test_clock);
    record(&trace, part);
    struct str session = part == PART_FILTER ? STR("0000000000SESSIN") : STR("");
    enum status status =
        trace_store_append(store, str_from_cstr(id), session, trace_events(&trace));
    trace_free(&trace);
    return status;
}

static void
append_ok(struct trace_store *store, const char *id, enum part part)
{
    assert_int_equal(append(store, id, part), STATUS_OK);
}

/* ---- what the database has */

static void
query(sqlite3 *database, const char *sql, struct buf *out)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const unsigned char *text = sqlite3_column_text(statement, i);
            assert_int_equal(buf_printf(out, "%s|", text != NULL ? (const char *)text : "-"),
                             STATUS_OK);
        }
        assert_int_equal(buf_append(out, STR("\n")), STATUS_OK);
    }
    sqlite3_finalize(statement);
}

static sqlite3 *
open_segment(const char *directory, const struct segment_list *list, size_t i)
{
    char path[LEDGER_PATH_MAX];
    sqlite3 *database;
    segment_path(directory, list->names[i], ".db", path);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

/* The queries' answers of each segment, oldest first. */
static void
dump(const char *directory, const char *const *sql, size_t count, struct buf *out)
{
    struct segment_list list;
    assert_int_equal(segment_list_read(directory, &list), STATUS_OK);
    buf_init(out, DUMP_MAX);
    for (size_t i = 0; i < list.count; i++) {
        sqlite3 *database = open_segment(directory, &list, i);
        for (size_t k = 0; k < count; k++) {
            query(database, sql[k], out);
        }
        sqlite3_close(database);
    }
    segment_list_free(&list);
}

/* All that there is. */
static void
dump_all(const char *directory, struct buf *out)
{
    static const char *const sql[] = {
        "SELECT n, id, session, late, kind, state, state_ms, first_ms, last_ms, hex(client), "
        "sender,"
        " subject, message_id, recipients, recipient_count, expected, delivered, failed"
        " FROM message ORDER BY n",
        "SELECT n, address FROM recipient ORDER BY n, address",
        "SELECT p, n, hash, hex(events) FROM part ORDER BY p",
        "PRAGMA integrity_check",
    };
    dump(directory, sql, sizeof sql / sizeof sql[0], out);
}

static void
assert_rows(const char *directory, const char *sql, const char *want)
{
    struct buf got;
    dump(directory, &sql, 1, &got);
    assert_int_equal(buf_append_char(&got, '\0'), STATUS_OK);
    assert_string_equal(buf_str(&got).p, want);
    buf_free(&got);
}

static void
exec_on_newest(const char *directory, const char *sql)
{
    struct segment_list list;
    assert_int_equal(segment_list_read(directory, &list), STATUS_OK);
    sqlite3 *database = open_segment(directory, &list, list.count - 1);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    segment_list_free(&list);
}

/* ---- memory makes no difference */

#define STEPS    600u
#define MESSAGES 12u

/* The same for each seed: parts in any order, some of them again, messages in any order. */
static void
run_steps(struct trace_store **store, const char *directory, bool with_memory)
{
    uint32_t seed = 1;
    now_ms = START_MS;
    *store = open_store(directory);
    for (unsigned i = 0; i < STEPS; i++) {
        char id[ID_LENGTH + 1];
        seed = seed * 1664525u + 1013904223u;
        now_ms = START_MS + i / 200 * 8 * DAY_MS;
        /* messages of this segment and of the ones before; a repetition has the time of its first
         */
        unsigned message = (seed >> 8) % MESSAGES + i / 200 * (MESSAGES / 2);
        snprintf(id, sizeof id, "1M84WVC%09u", message);
        append_ok(*store, id, (seed >> 16) % PARTS);
        if (!with_memory) {
            assert_int_equal(trace_store_commit(*store), STATUS_OK);
            trace_store_close(store);
            *store = open_store(directory);
        }
        if (i % 200 == 199) {
            assert_int_equal(trace_store_commit(*store), STATUS_OK);
            trace_store_maintain(*store, &generous, now_ms + 8 * DAY_MS);
        }
    }
}

static void
memory_makes_no_difference(void **state)
{
    const struct test_directory *directory = *state;
    struct test_directory *other;
    struct trace_store *store;
    struct buf dumps[2];
    assert_int_equal(test_directory_make((void **)&other), 0);
    run_steps(&store, directory->path, true);
    trace_store_close(&store);
    run_steps(&store, other->path, false);
    trace_store_close(&store);
    dump_all(directory->path, &dumps[0]);
    dump_all(other->path, &dumps[1]);
    assert_true(buf_str(&dumps[0]).n > 10000);
    assert_int_equal(buf_str(&dumps[0]).n, buf_str(&dumps[1]).n);
    assert_memory_equal(buf_str(&dumps[0]).p, buf_str(&dumps[1]).p, buf_str(&dumps[0]).n);
    buf_free(&dumps[0]);
    buf_free(&dumps[1]);
    assert_int_equal(test_directory_remove((void **)&other), 0);
}

/* ---- more than memory holds */

static void
append_to_all(struct trace_store *store, unsigned count, enum part part)
{
    now_ms = START_MS + part;
    for (unsigned i = 0; i < count; i++) {
        char id[ID_LENGTH + 1];
        snprintf(id, sizeof id, "1M84WVC%09u", i);
        append_ok(store, id, part);
    }
}

/* A transaction that has no end, and messages that come back when they have left memory. */
static void
rows_come_back_from_the_database(void **state)
{
    const unsigned count = ROWS_MAX + ROWS_CHANGED_MAX + 100;
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory->path);
    struct trace_store_counts counts;
    for (int round = 0; round < 2; round++) {
        append_to_all(store, count, PART_FILTER);
        append_to_all(store, count, PART_DELIVERED);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        append_to_all(store, count, PART_ELSEWHERE);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
    }
    trace_store_counts(store, &counts);
    assert_int_equal(counts.rows, count);
    assert_int_equal(counts.parts, 3 * count);
    assert_int_equal(counts.repeated, 3 * count);
    trace_store_close(&store);
    assert_rows(directory->path, "SELECT count(*), min(delivered), max(delivered) FROM message",
                "5220|2|2|\n");
    assert_rows(directory->path, "SELECT address, count(*) FROM recipient GROUP BY address",
                "bob@kartapuce.com|5220|\njack@kartapuce.com|5220|\n");
}

/* More parts than a row remembers: they are still taken once. */
static void
many_parts_are_taken_once(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = open_store(directory->path);
    struct trace_store_counts counts;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 3 * ROW_PARTS; i++) {
            now_ms = START_MS + i;
            append_ok(store, "1M84WVCTAEZ0YHXN", PART_DEFERRED);
        }
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.parts, 3 * ROW_PARTS);
    assert_int_equal(counts.repeated, 3 * ROW_PARTS);
    trace_store_close(&store);
}

/* The first part that comes late finds its recipients in the older segment; later ones tell. */
static void
late_rows_begin_without_recipients(void **state)
{
    const struct test_directory *directory = *state;
    now_ms = START_MS;
    struct trace_store *store = open_store(directory->path);
    append_ok(store, "1M84WVC000000001", PART_FILTER);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    now_ms += 8 * DAY_MS;
    trace_store_maintain(store, &generous, now_ms);
    append_ok(store, "1M84WVC000000001", PART_DELIVERED);
    append_ok(store, "1M84WVC000000001", PART_ELSEWHERE);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_close(&store);
    assert_rows(directory->path,
                "SELECT late, address, delivered FROM recipient JOIN message USING (n)",
                "0|bob@kartapuce.com|0|\n1|jack@kartapuce.com|2|\n");
}

/* ---- transactions that fail */

static const struct {
    const char *trigger;
    bool at_commit; /* else a part fails */
} failures[] = {
    {"BEFORE INSERT ON message WHEN new.id = '1M84WVC000000002' BEGIN SELECT RAISE(ABORT, 'no');",
     true},
    {"BEFORE UPDATE ON message WHEN new.id = '1M84WVC000000001' BEGIN SELECT RAISE(ABORT, 'no');",
     true},
    {"BEFORE UPDATE ON message BEGIN SELECT RAISE(ROLLBACK, 'no');", true},
    {"BEFORE INSERT ON part WHEN new.n > 1 BEGIN SELECT RAISE(ABORT, 'no');", false},
    {"BEFORE INSERT ON part WHEN new.n > 1 BEGIN SELECT RAISE(ROLLBACK, 'no');", false},
    {"BEFORE INSERT ON recipient BEGIN SELECT RAISE(ABORT, 'no');", false},
};

static enum status
append_second_batch(struct trace_store *store)
{
    enum status status = append(store, "1M84WVC000000001", PART_HEADER);
    if (status == STATUS_OK) {
        status = append(store, "1M84WVC000000001", PART_DELIVERED);
    }
    if (status == STATUS_OK) {
        status = append(store, "1M84WVC000000002", PART_FILTER);
    }
    return status;
}

/* Nothing of it is there, nothing of it is remembered: the parts come again, and count once. */
static void
failed_batches_leave_no_trace(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        struct test_directory *own;
        char sql[512];
        assert_int_equal(test_directory_make((void **)&own), 0);
        struct trace_store *store = open_store(own->path);
        append_ok(store, "1M84WVC000000001", PART_FILTER);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        snprintf(sql, sizeof sql, "CREATE TRIGGER fail %s END", failures[i].trigger);
        exec_on_newest(own->path, sql);
        enum status status = append_second_batch(store);
        assert_int_equal(status, failures[i].at_commit ? STATUS_OK : STATUS_IO);
        assert_int_equal(trace_store_commit(store), failures[i].at_commit ? STATUS_IO : STATUS_OK);
        assert_rows(own->path, "SELECT id, message_id, delivered FROM message",
                    "1M84WVC000000001||0|\n");
        assert_rows(own->path, "SELECT count(*) FROM part", "1|\n");
        exec_on_newest(own->path, "DROP TRIGGER fail");
        assert_int_equal(append_second_batch(store), STATUS_OK);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        assert_rows(own->path, "SELECT id, message_id, delivered FROM message ORDER BY id",
                    "1M84WVC000000001|<1@p.example>|1|\n1M84WVC000000002||0|\n");
        assert_rows(own->path, "SELECT count(*) FROM part", "4|\n");
        assert_rows(own->path, "SELECT count(*) FROM recipient", "2|\n");
        trace_store_close(&store);
        assert_int_equal(test_directory_remove((void **)&own), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(memory_makes_no_difference),
        WITH_DIRECTORY(rows_come_back_from_the_database),
        WITH_DIRECTORY(many_parts_are_taken_once),
        WITH_DIRECTORY(late_rows_begin_without_recipients),
        cmocka_unit_test(failed_batches_leave_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
