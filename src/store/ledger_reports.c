#include "store/ledger_reports.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "store/ledger_database.h"
#include "trace/trace.h"

#define FILE_NAME  "reports.db"
#define MS_PER_DAY (24 * 60 * 60 * 1000LL)
/* Days that are deleted at one time when the file is too large. */
#define PURGE_MAX  64

/*
 * `amount` has the number of rows of a domain and day, and with an empty domain those of the day.
 * The names of domains are not empty.
 */
static const char *const steps[] = {
    "CREATE TABLE observation ("
    "  day INTEGER NOT NULL,"
    "  domain TEXT NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  line TEXT NOT NULL,"
    "  count INTEGER NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX observation_key ON observation (day, domain, key);"
    "CREATE TABLE amount ("
    "  day INTEGER NOT NULL,"
    "  domain TEXT NOT NULL,"
    "  rows INTEGER NOT NULL,"
    "  PRIMARY KEY (day, domain)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE counted (hash INTEGER PRIMARY KEY NOT NULL, day INTEGER NOT NULL) STRICT;"
    "CREATE INDEX counted_day ON counted (day);",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};
_Static_assert(sizeof steps / sizeof steps[0] == REPORTS_SCHEMA_VERSION, "one step a version");

struct reports {
    char path[LEDGER_PATH_MAX];
    sqlite3 *database; /* NULL: it could not be opened again; nothing is counted */
    sqlite3_stmt *remember;
    sqlite3_stmt *count;
    sqlite3_stmt *add;
    sqlite3_stmt *amount;
    sqlite3_stmt *grow;
    bool in_batch;
    uint64_t batch; /* observations since the last commit */
    struct reports_counts counts;
};

struct reports_counts
reports_counts(const struct reports *reports)
{
    static const struct reports_counts none;
    return reports != NULL ? reports->counts : none;
}

/* ---- the file */

static enum status
prepare_all(struct reports *reports)
{
    const struct ledger_statement rows[] = {
        {&reports->remember, "INSERT INTO counted VALUES (?1, ?2) ON CONFLICT DO NOTHING"},
        {&reports->count, "UPDATE observation SET count = count + 1"
                          " WHERE day = ?1 AND domain = ?2 AND key = ?3"},
        {&reports->add, "INSERT INTO observation VALUES (?1, ?2, ?3, ?4, 1)"},
        {&reports->amount, "SELECT rows FROM amount WHERE day = ?1 AND domain = ?2"},
        {&reports->grow, "INSERT INTO amount VALUES (?1, ?2, 1)"
                         " ON CONFLICT DO UPDATE SET rows = rows + 1"},
    };
    return ledger_prepare_all(reports->database, rows, sizeof rows / sizeof rows[0]);
}

static enum status
open_file(struct reports *reports)
{
    enum status status =
        ledger_database_open(reports->path, LEDGER_BATCHED, &schema, &reports->database);
    if (status == STATUS_OK) {
        status = prepare_all(reports);
    }
    if (status != STATUS_OK) {
        ledger_database_close(&reports->database);
    }
    return status;
}

static void
set_aside(const struct reports *reports)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char from[LEDGER_PATH_MAX + 16];
    char to[LEDGER_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(from, sizeof from, "%s%s", reports->path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged%s", reports->path, suffixes[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            LOG_ERROR("a damaged file cannot be renamed", LOG_CSTR("file", from),
                      LOG_CSTR("reason", strerror(errno)));
        }
    }
    snprintf(to, sizeof to, "%s.damaged", reports->path);
    LOG_ERROR("the accounts for DMARC reports are damaged and were set aside; counting begins anew",
              LOG_CSTR("file", to));
}

enum status
reports_open(const char *directory, struct reports **reports_out)
{
    struct reports *reports = calloc(1, sizeof *reports);
    if (reports == NULL) {
        return STATUS_LIMIT;
    }
    int n = snprintf(reports->path, sizeof reports->path, "%s/" FILE_NAME, directory);
    enum status status =
        n > 0 && (size_t)n < sizeof reports->path ? open_file(reports) : STATUS_LIMIT;
    if (status == STATUS_SYNTAX) {
        set_aside(reports);
        status = open_file(reports);
    }
    if (status != STATUS_OK) {
        free(reports);
        return status;
    }
    *reports_out = reports;
    return STATUS_OK;
}

void
reports_close(struct reports **reports)
{
    if (*reports != NULL) {
        reports_commit(*reports);
        ledger_database_close(&(*reports)->database);
        free(*reports);
        *reports = NULL;
    }
}

/* What was counted since the last commit is lost; a damaged file gives way to a new one. */
static void
give_up(struct reports *reports, enum status status)
{
    LOG_ERROR("observations for DMARC reports are not counted",
              LOG_INT("lost", (int64_t)reports->batch), LOG_CSTR("status", status_name(status)));
    reports->counts.lost += reports->batch;
    reports->batch = 0;
    reports->in_batch = false;
    /* An error of SQLite may have rolled back already. */
    if (sqlite3_get_autocommit(reports->database) == 0 &&
        ledger_exec(reports->database, "ROLLBACK") != STATUS_OK) {
        LOG_ERROR("observations cannot be rolled back");
    }
    if (status == STATUS_SYNTAX) {
        ledger_database_close(&reports->database);
        set_aside(reports);
        if (open_file(reports) != STATUS_OK) {
            LOG_ERROR("nothing is counted for DMARC reports until the ledger is started again");
        }
    }
}

/* ---- counting */

static int64_t
hash_of(struct str a, struct str b)
{
    static const unsigned char key[crypto_generichash_KEYBYTES] = "postern's reports";
    crypto_generichash_state state;
    uint8_t hash[crypto_generichash_BYTES];
    int64_t number;
    crypto_generichash_init(&state, key, sizeof key, sizeof hash);
    crypto_generichash_update(&state, (const unsigned char *)a.p, a.n);
    crypto_generichash_update(&state, (const unsigned char *)b.p, b.n);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(&number, hash, sizeof number);
    return number;
}

static void
bind_row(sqlite3_stmt *statement, int64_t day, struct str domain)
{
    sqlite3_bind_int64(statement, 1, day);
    ledger_bind_text(statement, 2, domain);
}

static enum status
amount_of(struct reports *reports, int64_t day, struct str domain, int64_t *rows_out)
{
    bind_row(reports->amount, day, domain);
    int code = sqlite3_step(reports->amount);
    enum status status = ledger_status(reports->database, code);
    *rows_out = code == SQLITE_ROW ? sqlite3_column_int64(reports->amount, 0) : 0;
    sqlite3_reset(reports->amount);
    return status;
}

static enum status
add_row(struct reports *reports, int64_t day, struct str domain, int64_t key, struct str line)
{
    bind_row(reports->add, day, domain);
    sqlite3_bind_int64(reports->add, 3, key);
    ledger_bind_text(reports->add, 4, line);
    enum status status = ledger_run(reports->add);
    for (int i = 0; i < 2 && status == STATUS_OK; i++) {
        bind_row(reports->grow, day, i == 0 ? domain : STR(""));
        status = ledger_run(reports->grow);
    }
    return status;
}

/* Adds one to a row that is there; *found_out: whether it is. */
static enum status
count_row(struct reports *reports, int64_t day, struct str domain, int64_t key, bool *found_out)
{
    bind_row(reports->count, day, domain);
    sqlite3_bind_int64(reports->count, 3, key);
    enum status status = ledger_run(reports->count);
    *found_out = status == STATUS_OK && sqlite3_changes(reports->database) > 0;
    return status;
}

static enum status
count_line(struct reports *reports, int64_t day, struct str domain, struct str line)
{
    int64_t key = line.n > 0 ? hash_of(line, STR("")) : 0;
    int64_t of_domain;
    int64_t of_day;
    bool found;
    enum status status = count_row(reports, day, domain, key, &found);
    if (status != STATUS_OK || found) {
        return status;
    }
    status = amount_of(reports, day, domain, &of_domain);
    if (status == STATUS_OK) {
        status = amount_of(reports, day, STR(""), &of_day);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (of_day >= REPORTS_ROWS_OF_DAY_MAX) {
        reports->counts.lost++;
        return STATUS_OK;
    }
    if (line.n > 0 && of_domain >= REPORTS_LINES_OF_DOMAIN_MAX) {
        return count_line(reports, day, domain, STR("")); /* NOLINT(misc-no-recursion): once */
    }
    return add_row(reports, day, domain, key, line);
}

/* A line is longer than a text of an event may be: it goes on in a list, and its length is told. */
static struct str
line_of(const struct trace_event *event, char room[static REPORTS_LINE_MAX])
{
    struct str rest = trace_event_value(event, "more")->texts;
    struct str piece = trace_event_text(event, "line");
    size_t n = 0;
    do {
        if (piece.n > REPORTS_LINE_MAX - n) {
            return STR("");
        }
        memcpy(room + n, piece.p != NULL ? piece.p : "", piece.n);
        n += piece.n;
    } while (trace_texts_next(&rest, &piece));
    return trace_event_number(event, "octets") == (int64_t)n ? str_make(room, n) : STR("");
}

static enum status
count_event(struct reports *reports, const struct trace_event *event)
{
    char room[REPORTS_LINE_MAX];
    struct str domain = trace_event_text(event, "domain");
    if (domain.n == 0 || event->time_ms < 0) {
        return STATUS_OK;
    }
    reports->batch++;
    return count_line(reports, event->time_ms / MS_PER_DAY, domain, line_of(event, room));
}

/* *fresh_out: it was not counted before. */
static enum status
remember(struct reports *reports, int64_t hash, int64_t now_ms, bool *fresh_out)
{
    enum status status = STATUS_OK;
    if (!reports->in_batch) {
        status = ledger_exec(reports->database, "BEGIN");
        reports->in_batch = status == STATUS_OK;
    }
    if (status == STATUS_OK) {
        sqlite3_bind_int64(reports->remember, 1, hash);
        sqlite3_bind_int64(reports->remember, 2, now_ms / MS_PER_DAY);
        status = ledger_run(reports->remember);
    }
    *fresh_out = status == STATUS_OK && sqlite3_changes(reports->database) > 0;
    reports->counts.repeated += status == STATUS_OK && !*fresh_out;
    return status;
}

/* The next observation of a piece; most have none. */
static bool
next_observation(struct trace_reader *reader, struct trace_event *event)
{
    while (trace_reader_next(reader, event) == STATUS_OK) {
        if (event->number == TRACE_DMARC_OBSERVED) {
            return true;
        }
    }
    return false;
}

void
reports_take(struct reports *reports, struct str id, struct str events, int64_t now_ms)
{
    struct trace_reader reader;
    struct trace_event event;
    bool fresh = false;
    if (reports == NULL || trace_reader_init(&reader, events) != STATUS_OK ||
        !next_observation(&reader, &event)) {
        return;
    }
    if (reports->database == NULL) {
        reports->counts.lost++;
        return;
    }
    enum status status = remember(reports, hash_of(id, events), now_ms, &fresh);
    while (status == STATUS_OK && fresh) {
        status = count_event(reports, &event);
        fresh = next_observation(&reader, &event);
    }
    if (status != STATUS_OK) {
        give_up(reports, status);
    }
}

void
reports_commit(struct reports *reports)
{
    if (reports == NULL || !reports->in_batch) {
        return;
    }
    enum status status = ledger_exec(reports->database, "COMMIT");
    if (status != STATUS_OK) {
        give_up(reports, status);
        return;
    }
    reports->counts.observations += reports->batch;
    reports->batch = 0;
    reports->in_batch = false;
}

/* ---- age and size */

/* Deletes what is of days before `day`. */
static enum status
delete_before(struct reports *reports, int64_t day)
{
    static const char *const tables[] = {"observation", "amount"};
    char sql[128];
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && status == STATUS_OK; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE day < %lld", tables[i], (long long)day);
        status = ledger_exec(reports->database, sql);
    }
    return status;
}

static enum status
query_number(struct reports *reports, const char *sql, int64_t *number_out)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(reports->database, sql, &statement);
    if (status != STATUS_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    status = ledger_status(reports->database, code);
    *number_out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

/* Octets in use: pages that are free are filled again before the file grows. */
static enum status
size_of(struct reports *reports, uint64_t *octets_out)
{
    int64_t octets;
    enum status status =
        query_number(reports,
                     "SELECT (page_count - freelist_count) * page_size"
                     " FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
                     &octets);
    *octets_out = status == STATUS_OK && octets > 0 ? (uint64_t)octets : 0;
    return status;
}

static enum status
shrink(struct reports *reports, uint64_t size)
{
    uint64_t octets = 0;
    enum status status = size_of(reports, &octets);
    for (int i = 0; i < PURGE_MAX && status == STATUS_OK && octets > size; i++) {
        int64_t oldest;
        status = query_number(reports, "SELECT min(day) FROM observation", &oldest);
        if (status != STATUS_OK || oldest == 0) {
            break;
        }
        LOG_WARN("the accounts for DMARC reports are larger than retention.dmarc_observations_size;"
                 " the oldest day is dropped",
                 LOG_INT("octets", (int64_t)octets), LOG_INT("day", oldest));
        status = delete_before(reports, oldest + 1);
        if (status == STATUS_OK) {
            status = size_of(reports, &octets);
        }
    }
    return status;
}

uint64_t
reports_maintain(struct reports *reports, const struct reports_limits *limits, int64_t now_ms)
{
    char sql[128];
    uint64_t octets = 0;
    if (reports == NULL || reports->database == NULL) {
        return 0;
    }
    int64_t const today = now_ms / MS_PER_DAY;
    snprintf(sql, sizeof sql, "DELETE FROM counted WHERE day < %lld",
             (long long)(today - REPORTS_REPEATED_DAYS));
    enum status status = ledger_exec(reports->database, sql);
    if (status == STATUS_OK) {
        status = delete_before(reports, (now_ms - limits->age_ms) / MS_PER_DAY);
    }
    if (status == STATUS_OK) {
        status = shrink(reports, limits->size);
    }
    if (status == STATUS_OK) {
        status = size_of(reports, &octets);
    }
    if (status != STATUS_OK) {
        give_up(reports, status);
    }
    return octets;
}
