/* Accounts for aggregate reports: counting once, bounds, age, damage, kill. */
#include "store/ledger_reports.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/random.h"
#include "store/ledger_test_directory.h"
#include "trace/trace.h"

#define DAY_MS (24 * 60 * 60 * 1000LL)
/* 2026-11-23T17:48:14Z */
#define NOW_MS INT64_C(1795456094000)
#define TODAY  (NOW_MS / DAY_MS)

static int64_t event_ms = NOW_MS;

static int64_t
test_clock(void)
{
    return event_ms;
}

static struct reports *
must_open(const struct test_directory *directory)
{
    struct reports *reports;
    assert_int_equal(reports_open(directory->path, &reports), STATUS_OK);
    return reports;
}

/* One observation in a piece with a line of `length` octets, which begins with `line`. */
static void
record(struct trace *trace, const char *domain, const char *line, size_t length)
{
    static char whole[6 * TRACE_TEXT_MAX + 1];
    struct str more[5];
    size_t n = 0;
    size_t const own = strlen(line);
    length = length > own ? length : own;
    memset(whole, 'x', length);
    memcpy(whole, line, own);
    for (size_t at = TRACE_TEXT_MAX; at < length; at += TRACE_TEXT_MAX) {
        size_t left = length - at;
        more[n++] = str_make(whole + at, left < TRACE_TEXT_MAX ? left : TRACE_TEXT_MAX);
    }
    TRACE(trace, dmarc_observed, .domain = str_from_cstr(domain),
          .line = str_make(whole, length < TRACE_TEXT_MAX ? length : TRACE_TEXT_MAX),
          .more = {more, n}, .octets = (int64_t)length);
}

static void
take(struct reports *reports, const char *id, const char *domain, const char *line)
{
    struct trace trace;
    trace_init(&trace, test_clock);
    TRACE(&trace, mail_accepted, .sender = STR("a@b.example"));
    record(&trace, domain, line, 0);
    reports_take(reports, str_from_cstr(id), trace_events(&trace), NOW_MS);
    trace_free(&trace);
}

/* "day domain line count" of all rows, with "|" between; days from today. */
static const char *
rows_of(const struct test_directory *directory, const char *domain, uint32_t page)
{
    static char text[16384];
    const struct reports_row *rows;
    struct reports_row last;
    struct arena *arena = arena_create(64u << 20);
    size_t count;
    size_t n = 0;
    struct reports_query query = {
        .domain = str_from_cstr(domain), .to_day = INT64_MAX, .limit = page};
    text[0] = '\0';
    do {
        assert_int_equal(reports_find(directory->path, &query, arena, &rows, &count), STATUS_OK);
        for (size_t i = 0; i < count; i++) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%d %.*s %.*s %d", n > 0 ? "|" : "",
                                  (int)(rows[i].day - TODAY), STR_ARG(rows[i].domain),
                                  (int)(rows[i].line.n < 8 ? rows[i].line.n : 8), rows[i].line.p,
                                  (int)rows[i].count);
            assert_true(n < sizeof text);
        }
        if (count > 0) {
            last = rows[count - 1];
            query.after = &last;
        }
    } while (count > 0);
    arena_destroy(&arena);
    return text;
}

static void
lines_are_counted(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    assert_string_equal(rows_of(directory, "", 200), "");
    take(reports, "0000000000000001", "a.example", "one");
    take(reports, "0000000000000002", "a.example", "one");
    take(reports, "0000000000000003", "a.example", "two");
    event_ms = NOW_MS - DAY_MS;
    take(reports, "0000000000000004", "b.example", "one");
    event_ms = NOW_MS;
    assert_string_equal(rows_of(directory, "", 200), ""); /* not before the commit */
    reports_commit(reports);
    for (uint32_t page = 1; page < 5; page++) {
        const char *got = rows_of(directory, "", page);
        assert_true(strncmp(got, "-1 b.example one 1|0 a.example ", 31) == 0);
        assert_non_null(strstr(got, "0 a.example one 2"));
        assert_non_null(strstr(got, "0 a.example two 1"));
    }
    assert_string_equal(rows_of(directory, "b.example", 200), "-1 b.example one 1");
    assert_string_equal(rows_of(directory, "c.example", 200), "");
    assert_int_equal(reports_counts(reports).observations, 4);
    reports_close(&reports);
    reports = must_open(directory); /* it stays */
    assert_string_equal(rows_of(directory, "b.example", 200), "-1 b.example one 1");
    reports_close(&reports);
}

static void
a_message_may_have_several(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    struct trace trace;
    trace_init(&trace, test_clock);
    record(&trace, "a.example", "one", 0);
    TRACE(&trace, queued, .recipients = 1);
    record(&trace, "a.example", "two", 0);
    reports_take(reports, STR("0000000000000001"), trace_events(&trace), NOW_MS);
    trace_free(&trace);
    reports_commit(reports);
    assert_int_equal(reports_counts(reports).observations, 2);
    reports_close(&reports);
}

/* A piece may come again at any time: in the same batch, later, after a restart. */
static void
repetitions_count_once(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    take(reports, "0000000000000001", "a.example", "one");
    take(reports, "0000000000000001", "a.example", "one");
    reports_commit(reports);
    take(reports, "0000000000000001", "a.example", "one");
    reports_commit(reports);
    reports_close(&reports);
    reports = must_open(directory);
    take(reports, "0000000000000001", "a.example", "one");
    take(reports, "0000000000000002", "a.example", "one");
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200), "0 a.example one 2");
    assert_int_equal(reports_counts(reports).repeated, 1);
    reports_close(&reports);
}

/* Lines are longer than one text of an event; one that was cut tells nothing but that it was. */
static void
long_lines_are_whole(void **state)
{
    static const size_t lengths[] = {TRACE_TEXT_MAX - 1, TRACE_TEXT_MAX, TRACE_TEXT_MAX + 1,
                                     6 * TRACE_TEXT_MAX};
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    const struct reports_row *rows;
    struct arena *arena = arena_create(8u << 20);
    size_t count;
    for (size_t i = 0; i < 4; i++) {
        struct reports_query query = {.domain = STR("a.example"), .to_day = INT64_MAX, .limit = 10};
        struct trace trace;
        char line[16];
        trace_init(&trace, test_clock);
        snprintf(line, sizeof line, "%zu", i);
        record(&trace, "a.example", line, lengths[i]);
        reports_take(reports, STR("0000000000000001"), trace_events(&trace), NOW_MS);
        reports_commit(reports);
        trace_free(&trace);
        assert_int_equal(reports_find(directory->path, &query, arena, &rows, &count), STATUS_OK);
        assert_int_equal(count, i + 1);
        bool found = false;
        for (size_t k = 0; k < count; k++) {
            found |= rows[k].line.n == lengths[i];
        }
        assert_true(found);
    }
    struct trace trace;
    trace_init(&trace, test_clock);
    TRACE(&trace, dmarc_observed, .domain = STR("b.example"), .line = STR("cut"), .octets = 4);
    reports_take(reports, STR("0000000000000002"), trace_events(&trace), NOW_MS);
    trace_free(&trace);
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "b.example", 10), "0 b.example  1");
    arena_destroy(&arena);
    reports_close(&reports);
}

static void
a_domain_has_its_share(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    for (unsigned i = 0; i < REPORTS_LINES_OF_DOMAIN_MAX + 3; i++) {
        char id[ID_LENGTH + 1];
        char line[16];
        snprintf(id, sizeof id, "%016u", i);
        snprintf(line, sizeof line, "%u", i);
        take(reports, id, "a.example", line);
    }
    take(reports, "000000000000000A", "a.example", "7"); /* a known one still counts */
    take(reports, "000000000000000B", "b.example", "7");
    reports_commit(reports);
    struct reports_query query = {.domain = STR("a.example"), .to_day = INT64_MAX, .limit = 200};
    const struct reports_row *rows;
    size_t count;
    uint64_t others = 0;
    uint64_t all = 0;
    struct arena *arena = arena_create(64u << 20);
    do {
        assert_int_equal(reports_find(directory->path, &query, arena, &rows, &count), STATUS_OK);
        for (size_t i = 0; i < count; i++) {
            others += rows[i].line.n == 0 ? rows[i].count : 0;
            all += rows[i].count;
        }
        query.after = count > 0 ? &rows[count - 1] : NULL;
    } while (count > 0);
    assert_int_equal(others, 3);
    assert_int_equal(all, REPORTS_LINES_OF_DOMAIN_MAX + 4);
    assert_string_equal(rows_of(directory, "b.example", 200), "0 b.example 7 1");
    arena_destroy(&arena);
    reports_close(&reports);
}

static void
old_days_go(void **state)
{
    const struct test_directory *directory = *state;
    struct reports_limits limits = {.age_ms = 3 * DAY_MS, .size = 1u << 30};
    struct reports *reports = must_open(directory);
    char id[ID_LENGTH + 1] = "0000000000000000";
    for (int i = 0; i < 6; i++) {
        event_ms = NOW_MS - i * DAY_MS;
        id[15] = (char)('1' + i);
        take(reports, id, "a.example", "x");
    }
    event_ms = NOW_MS;
    reports_commit(reports);
    uint64_t octets = reports_maintain(reports, &limits, NOW_MS);
    assert_true(octets > 0);
    assert_string_equal(rows_of(directory, "", 200),
                        "-3 a.example x 1|-2 a.example x 1|-1 a.example x 1|0 a.example x 1");
    /* Too large: day after day goes, from the oldest. */
    limits.size = octets - 1;
    reports_maintain(reports, &limits, NOW_MS);
    assert_true(strlen(rows_of(directory, "", 200)) < 60);
    /* A hash is kept for as long as its piece may come again. */
    limits.size = 1u << 30;
    reports_maintain(reports, &limits, NOW_MS + (REPORTS_REPEATED_DAYS + 1) * DAY_MS);
    take(reports, "0000000000000001", "a.example", "x");
    reports_commit(reports);
    assert_int_equal(reports_counts(reports).repeated, 0);
    reports_close(&reports);
}

/* Rows of a table, by a connection of the test's own. */
static int
rows_in(const struct test_directory *directory, const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    int rows = -1;
    assert_int_equal(sqlite3_open_v2(test_directory_file(directory, "reports.db"), &database,
                                     SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        rows = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return rows;
}

/* What is told of no domain is told of nothing, and what cannot be read neither. */
static void
what_makes_no_sense_is_not_counted(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    take(reports, "0000000000000001", "", "one");
    reports_take(reports, STR("0000000000000003"), STR("no trace"), NOW_MS);
    reports_take(NULL, STR("0000000000000003"), STR(""), NOW_MS);
    reports_commit(NULL);
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200), "");
    assert_int_equal(reports_counts(reports).observations, 0);
    assert_int_equal(reports_counts(NULL).observations, 0);
    /* A line whose pieces come to another length than is told. */
    struct trace trace;
    trace_init(&trace, test_clock);
    TRACE(&trace, dmarc_observed, .domain = STR("b.example"), .line = STR("longer"), .octets = 3);
    reports_take(reports, STR("0000000000000004"), trace_events(&trace), NOW_MS);
    trace_free(&trace);
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200), "0 b.example  1");
    assert_int_equal(rows_in(directory, "SELECT key FROM observation WHERE line = ''"), 0);
    reports_close(&reports);
}

/* How many rows a domain and a day have is kept beside them, and goes with them. */
static void
amounts_follow_the_rows(void **state)
{
    const struct test_directory *directory = *state;
    const struct reports_limits limits = {.age_ms = DAY_MS / 2, .size = 1u << 30};
    struct reports *reports = must_open(directory);
    event_ms = NOW_MS - 3 * DAY_MS;
    take(reports, "0000000000000001", "a.example", "old");
    event_ms = NOW_MS;
    take(reports, "0000000000000002", "a.example", "one");
    take(reports, "0000000000000003", "a.example", "two");
    take(reports, "0000000000000004", "a.example", "two");
    take(reports, "0000000000000005", "b.example", "one");
    reports_commit(reports);
    assert_int_equal(rows_in(directory, "SELECT sum(rows) FROM amount WHERE domain = ''"), 4);
    assert_int_equal(rows_in(directory, "SELECT max(rows) FROM amount WHERE domain = ''"), 3);
    assert_int_equal(rows_in(directory, "SELECT rows FROM amount WHERE domain = 'b.example'"), 1);
    assert_int_equal(rows_in(directory, "SELECT max(rows) FROM amount WHERE domain = 'a.example'"),
                     2);
    reports_maintain(reports, &limits, NOW_MS);
    assert_int_equal(rows_in(directory, "SELECT sum(rows) FROM amount WHERE domain = ''"), 3);
    assert_int_equal(rows_in(directory, "SELECT count(*) FROM amount WHERE domain = 'a.example'"),
                     1);
    reports_close(&reports);
}

/* When the file is too large the oldest days go, and no more of them than must. */
static void
only_what_is_too_much_goes(void **state)
{
    const struct test_directory *directory = *state;
    struct reports_limits limits = {.age_ms = 30 * DAY_MS, .size = 1u << 30};
    struct reports *reports = must_open(directory);
    for (unsigned i = 0; i < 60; i++) { /* twenty long lines a day */
        char id[ID_LENGTH + 1];
        char line[16];
        struct trace trace;
        event_ms = NOW_MS - (2 - i / 20) * DAY_MS;
        snprintf(id, sizeof id, "%016u", i);
        snprintf(line, sizeof line, "%u", i);
        trace_init(&trace, test_clock);
        record(&trace, "a.example", line, 6 * TRACE_TEXT_MAX - 1);
        reports_take(reports, str_from_cstr(id), trace_events(&trace), NOW_MS);
        trace_free(&trace);
    }
    event_ms = NOW_MS;
    reports_commit(reports);
    uint64_t const all = reports_maintain(reports, &limits, NOW_MS);
    assert_int_equal(rows_in(directory, "SELECT count(*) FROM observation"), 60);
    limits.size = all;
    assert_int_equal(reports_maintain(reports, &limits, NOW_MS), all);
    limits.size = all - 4096;
    uint64_t const left = reports_maintain(reports, &limits, NOW_MS);
    assert_true(left < all);
    assert_int_equal(rows_in(directory, "SELECT count(*) FROM observation"), 40);
    assert_int_equal(rows_in(directory, "SELECT min(day) FROM observation"), TODAY - 1);
    limits.size = 1;
    reports_maintain(reports, &limits, NOW_MS);
    assert_int_equal(rows_in(directory, "SELECT count(*) FROM observation"), 0);
    assert_int_equal(reports_maintain(NULL, &limits, NOW_MS), 0);
    reports_close(&reports);
}

/* Pieces are known again for as long as they may be repeated, and forgotten afterwards. */
static void
pieces_are_remembered_for_their_time(void **state)
{
    static const struct {
        int64_t days;
        uint64_t repeated;
    } rows[] = {{REPORTS_REPEATED_DAYS, 1}, {REPORTS_REPEATED_DAYS + 1, 0}};
    const struct test_directory *directory = *state;
    const struct reports_limits limits = {.age_ms = 300 * DAY_MS, .size = 1u << 30};
    for (size_t i = 0; i < 2; i++) {
        struct reports *reports = must_open(directory);
        char domain[16];
        snprintf(domain, sizeof domain, "d%zu.example", i);
        take(reports, "0000000000000001", domain, "one");
        reports_commit(reports);
        reports_maintain(reports, &limits, NOW_MS + rows[i].days * DAY_MS);
        take(reports, "0000000000000001", domain, "one");
        reports_commit(reports);
        assert_int_equal(reports_counts(reports).repeated, rows[i].repeated);
        reports_close(&reports);
    }
}

static void
spoil(const struct test_directory *directory)
{
    static const char junk[8192] = "this is no database";
    int fd = open(test_directory_file(directory, "reports.db"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    unlink(test_directory_file(directory, "reports.db-wal"));
    unlink(test_directory_file(directory, "reports.db-shm"));
}

static void
a_damaged_file_is_set_aside(void **state)
{
    const struct test_directory *directory = *state;
    spoil(directory);
    struct reports *reports = must_open(directory);
    assert_int_equal(access(test_directory_file(directory, "reports.db.damaged"), F_OK), 0);
    take(reports, "0000000000000001", "a.example", "one");
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200), "0 a.example one 1");
    reports_close(&reports);
}

/* Changes the file beside who has it open, between two batches. */
static void
change(const struct test_directory *directory, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(test_directory_file(directory, "reports.db"), &database),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

/* A day has so many rows, of all domains together; what is known goes on being counted. */
static void
a_day_has_its_bound(void **state)
{
    const struct test_directory *directory = *state;
    char sql[128];
    struct reports *reports = must_open(directory);
    take(reports, "0000000000000001", "a.example", "one");
    reports_commit(reports);
    snprintf(sql, sizeof sql, "UPDATE amount SET rows = rows + %u WHERE domain = ''",
             REPORTS_ROWS_OF_DAY_MAX - 2);
    change(directory, sql);
    take(reports, "0000000000000002", "b.example", "two");   /* the last row */
    take(reports, "0000000000000003", "c.example", "three"); /* one too many */
    take(reports, "0000000000000004", "b.example", "two");
    event_ms = NOW_MS - DAY_MS;
    take(reports, "0000000000000005", "c.example", "three"); /* another day */
    event_ms = NOW_MS;
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200),
                        "-1 c.example three 1|0 a.example one 1|0 b.example two 2");
    assert_int_equal(reports_counts(reports).lost, 1);
    reports_close(&reports);
}

/* An error loses the batch that it comes in, tells how much that was, and nothing else. */
static void
an_error_loses_its_batch(void **state)
{
    const struct test_directory *directory = *state;
    static const char *const kinds[] = {"FAIL", "ROLLBACK"};
    struct reports *reports = must_open(directory);
    reports_commit(reports);
    for (unsigned i = 0; i < 2; i++) {
        char sql[256];
        char id[ID_LENGTH + 1];
        snprintf(sql, sizeof sql,
                 "DROP TRIGGER IF EXISTS bad; CREATE TRIGGER bad BEFORE INSERT ON observation"
                 " WHEN NEW.line = 'bad' BEGIN SELECT RAISE(%s, 'bad'); END",
                 kinds[i]);
        change(directory, sql);
        snprintf(id, sizeof id, "000000000000%u001", i);
        take(reports, id, "a.example", "one");
        id[15] = '2';
        take(reports, id, "a.example", "bad");
        assert_int_equal(reports_counts(reports).lost, 2 * (i + 1));
        id[15] = '3';
        take(reports, id, "a.example", "two");
        reports_commit(reports);
        assert_int_equal(reports_counts(reports).observations, i + 1);
        assert_int_equal(reports_counts(reports).lost, 2 * (i + 1));
        assert_string_equal(rows_of(directory, "", 200),
                            i == 0 ? "0 a.example two 1" : "0 a.example two 2");
    }
    reports_close(&reports);
}

/* Who closes has not to commit before. */
static void
closing_commits(void **state)
{
    const struct test_directory *directory = *state;
    struct reports *reports = must_open(directory);
    take(reports, "0000000000000001", "a.example", "one");
    reports_close(&reports);
    assert_null(reports);
    assert_string_equal(rows_of(directory, "", 200), "0 a.example one 1");
}

/* What is committed is there after kill -9, and is not counted again. */
static void
commits_survive_a_kill(void **state)
{
    const struct test_directory *directory = *state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct reports *reports = must_open(directory);
        take(reports, "0000000000000001", "a.example", "one");
        reports_commit(reports);
        take(reports, "0000000000000002", "a.example", "one");
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    struct reports *reports = must_open(directory);
    take(reports, "0000000000000001", "a.example", "one");
    take(reports, "0000000000000002", "a.example", "one");
    reports_commit(reports);
    assert_string_equal(rows_of(directory, "", 200), "0 a.example one 2");
    reports_close(&reports);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(lines_are_counted),
        WITH_DIRECTORY(a_message_may_have_several),
        WITH_DIRECTORY(repetitions_count_once),
        WITH_DIRECTORY(long_lines_are_whole),
        WITH_DIRECTORY(a_domain_has_its_share),
        WITH_DIRECTORY(old_days_go),
        WITH_DIRECTORY(a_day_has_its_bound),
        WITH_DIRECTORY(an_error_loses_its_batch),
        WITH_DIRECTORY(closing_commits),
        WITH_DIRECTORY(a_damaged_file_is_set_aside),
        WITH_DIRECTORY(commits_survive_a_kill),
        WITH_DIRECTORY(what_makes_no_sense_is_not_counted),
        WITH_DIRECTORY(amounts_follow_the_rows),
        WITH_DIRECTORY(only_what_is_too_much_goes),
        WITH_DIRECTORY(pieces_are_remembered_for_their_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
