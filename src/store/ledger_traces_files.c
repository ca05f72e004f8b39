/* The files of the store: which segments there are, which is written to, which have to go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/ledger_traces_internal.h"

/* A new segment is begun when the newest has this part of the allowed size or age. */
#define SEGMENTS_KEPT    16u
#define SEGMENT_SIZE_MIN (1u << 20)
#define SEGMENT_SIZE_MAX (256u << 20)
/* Of the log, octets. */
#define LOG_PAGE         4096u
#define SEGMENT_AGE_MIN  (60LL * 1000)
#define SEGMENT_AGE_MAX  (7LL * 24 * 3600 * 1000)

/* ---- the newest segment */

static enum status
prepare_newest(struct trace_store *store)
{
    const struct ledger_statement rows[] = {
        {&store->insert_row,
         "INSERT INTO message (n, id, kind, state, state_ms, first_ms, last_ms, subject,"
         " recipients, recipient_count, expected, delivered, failed, session, client, sender,"
         " message_id, late)"
         " VALUES (?1, ?18, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
         " ?17)"},
        {&store->update_row,
         "UPDATE message SET kind = ?2, state = ?3, state_ms = ?4, first_ms = ?5, last_ms = ?6,"
         " subject = ?7, recipients = ?8, recipient_count = ?9, expected = ?10, delivered = ?11,"
         " failed = ?12, session = ?13, client = ?14, sender = ?15, message_id = ?16"
         " WHERE n = ?1"},
        {&store->update_state,
         "UPDATE message SET kind = ?2, state = ?3, state_ms = ?4, first_ms = ?5, last_ms = ?6,"
         " subject = ?7, recipients = ?8, recipient_count = ?9, expected = ?10, delivered = ?11,"
         " failed = ?12 WHERE n = ?1"},
        {&store->insert_recipient,
         "INSERT INTO recipient (address, n) VALUES (?1, ?2) ON CONFLICT DO NOTHING"},
        {&store->insert_part, "INSERT INTO part (p, n, hash, events) VALUES (?1, ?2, ?3, ?4)"},
        {&store->find_part, "SELECT 1 FROM part WHERE n = ?1 AND hash = ?2"},
    };
    return ledger_prepare_all(store->newest.database, rows, sizeof rows / sizeof rows[0]);
}

static enum status
query_max(struct segment *segment, const char *sql, int64_t *max_out)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(segment->database, sql, &statement);
    if (status != STATUS_OK) {
        return status;
    }
    status = ledger_status(segment->database, sqlite3_step(statement));
    *max_out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

/* The last id in the segment, "" when it has none. */
static enum status
query_last_id(struct segment *segment, char id_out[static ID_LENGTH + 1])
{
    sqlite3_stmt *statement;
    enum status status =
        ledger_prepare(segment->database, "SELECT max(id) FROM message", &statement);
    if (status != STATUS_OK) {
        return status;
    }
    status = ledger_status(segment->database, sqlite3_step(statement));
    struct str id = status == STATUS_OK ? ledger_column(statement, 0) : str_make(NULL, 0);
    if (id.n == ID_LENGTH) {
        memcpy(id_out, id.p, ID_LENGTH);
    }
    id_out[id.n == ID_LENGTH ? ID_LENGTH : 0] = '\0';
    sqlite3_finalize(statement);
    return status;
}

static uint64_t
segment_size_most(const struct trace_store_limits *limits)
{
    uint64_t const size = limits->size / SEGMENTS_KEPT;
    return size < SEGMENT_SIZE_MIN   ? SEGMENT_SIZE_MIN
           : size > SEGMENT_SIZE_MAX ? SEGMENT_SIZE_MAX
                                     : size;
}

/*
 * The log of the newest segment may have a quarter of what the segment may have, and of 256 MiB: at
 * each checkpoint nearly every page of the indexes is written, so few checkpoints write less. It
 * keeps its blocks for the next round.
 */
static unsigned
log_pages_for(const struct trace_store_limits *limits)
{
    return (unsigned)(segment_size_most(limits) / 4 / LOG_PAGE);
}

static enum status
set_log_size(struct trace_store *store)
{
    char sql[128];
    unsigned const pages = store->log_pages;
    snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %u; PRAGMA journal_size_limit = %u",
             pages, pages * (LOG_PAGE + LOG_PAGE / 4));
    return ledger_exec(store->newest.database, sql);
}

static void
follow_limits(struct trace_store *store, const struct trace_store_limits *limits)
{
    if (store->log_pages != log_pages_for(limits)) {
        store->log_pages = log_pages_for(limits);
        if (set_log_size(store) != STATUS_OK) {
            LOG_WARN("the log of the newest traces keeps its size");
        }
    }
}

/* Statements for the newest segment, and nothing in memory of another. */
static enum status
use_newest(struct trace_store *store)
{
    char last_id[ID_LENGTH + 1];
    enum status status = query_last_id(&store->newest, last_id);
    if (status == STATUS_OK) {
        rows_begin(store->rows, str_from_cstr(last_id));
        status = prepare_newest(store);
    }
    return status;
}

/* Opens (or makes) the segment as the one that is written to. */
static enum status
open_newest(struct trace_store *store, const char *name)
{
    int64_t row;
    int64_t part;
    enum status status = segment_open(store->directory, name, LEDGER_BATCHED, &store->newest);
    if (status == STATUS_OK) {
        status = set_log_size(store);
    }
    if (status == STATUS_OK) {
        status = query_max(&store->newest, "SELECT max(n) FROM message", &row);
    }
    if (status == STATUS_OK) {
        status = query_max(&store->newest, "SELECT max(p) FROM part", &part);
    }
    if (status == STATUS_OK) {
        status = use_newest(store);
    }
    if (status != STATUS_OK) {
        segment_close(&store->newest);
        return status;
    }
    store->next_row = row + 1;
    store->next_part = part >= store->next_part ? part + 1 : store->next_part;
    return STATUS_OK;
}

/* When the last id of the newest segment was made; -1: it has none. */
static int64_t
last_id_time(struct trace_store *store)
{
    char id[ID_LENGTH + 1];
    bool has_id = store->newest.database != NULL &&
                  query_last_id(&store->newest, id) == STATUS_OK && id[0] != '\0';
    return has_id ? segment_name_time(id) : -1;
}

/*
 * The name of a segment that begins now: after all other names, and after all ids in them, also
 * when the clock was set back. By that the segments of an id are found.
 */
static void
next_name(struct trace_store *store, int64_t now_ms, char name[static ID_LENGTH + 1])
{
    int64_t last_ms = last_id_time(store);
    if (store->list.count > 0) {
        int64_t name_ms = segment_name_time(store->list.names[store->list.count - 1]);
        last_ms = name_ms > last_ms ? name_ms : last_ms;
    }
    id_make(now_ms > last_ms ? now_ms : last_ms + 1, name);
}

/* The file itself goes last: what a crash leaves behind is still listed, and deleted next time. */
static void
delete_files(const struct trace_store *store, const char *name)
{
    static const char *const suffixes[] = {".db-wal", ".db-shm", ".db"};
    char path[LEDGER_PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        segment_path(store->directory, name, suffixes[i], path);
        if (unlink(path) != 0 && errno != ENOENT) {
            LOG_ERROR("a file of traces cannot be deleted", LOG_CSTR("file", path),
                      LOG_CSTR("reason", strerror(errno)));
        }
    }
}

/* On failure the segment is not there, and list and numbers are as before. */
static enum status
begin_segment(struct trace_store *store, int64_t now_ms)
{
    char name[ID_LENGTH + 1];
    struct segment_list list;
    int64_t const next_row = store->next_row;
    next_name(store, now_ms, name);
    enum status status = open_newest(store, name);
    if (status != STATUS_OK) {
        return status;
    }
    status = segment_list_read(store->directory, &list);
    if (status != STATUS_OK) {
        /* Its file would stand between ids and the segment that has them. */
        segment_close(&store->newest);
        delete_files(store, name);
        store->next_row = next_row;
        return status;
    }
    segment_list_free(&store->list);
    store->list = list;
    return STATUS_OK;
}

static void
set_aside(struct trace_store *store, const char *name)
{
    static const char *const suffixes[] = {".db", ".db-wal", ".db-shm"};
    char from[LEDGER_PATH_MAX];
    char to[LEDGER_PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char damaged[16];
        snprintf(damaged, sizeof damaged, "%s.damaged", suffixes[i]);
        segment_path(store->directory, name, suffixes[i], from);
        segment_path(store->directory, name, damaged, to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            LOG_ERROR("a damaged file cannot be renamed", LOG_CSTR("file", from),
                      LOG_CSTR("reason", strerror(errno)));
        }
    }
    segment_path(store->directory, name, ".db.damaged", to);
    LOG_ERROR("a file of traces is damaged and was set aside", LOG_CSTR("file", to));
}

/*
 * Opens each segment once, which brings its schema up to date. Damaged ones are set aside. `p` of
 * the parts must go on where it was, though the newest segment may be empty.
 */
static enum status
visit_all(struct trace_store *store)
{
    int64_t last_part = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        struct segment segment;
        int64_t part = 0;
        enum status status =
            segment_open(store->directory, store->list.names[i], LEDGER_BATCHED, &segment);
        if (status == STATUS_OK) {
            status = query_max(&segment, "SELECT max(p) FROM part", &part);
            segment_close(&segment);
        }
        if (status == STATUS_SYNTAX) {
            set_aside(store, store->list.names[i]);
        } else if (status != STATUS_OK) {
            return status;
        }
        last_part = part > last_part ? part : last_part;
    }
    store->next_part = last_part + 1;
    segment_list_free(&store->list);
    return segment_list_read(store->directory, &store->list);
}

static enum status
open_store(struct trace_store *store, const struct trace_store_limits *limits, int64_t now_ms)
{
    store->log_pages = log_pages_for(limits);
    enum status status = segment_list_read(store->directory, &store->list);
    if (status == STATUS_OK) {
        status = visit_all(store);
    }
    if (status != STATUS_OK) {
        return status;
    }
    const char *name = store->list.count > 0 ? store->list.names[store->list.count - 1] : NULL;
    status = name != NULL ? open_newest(store, name) : begin_segment(store, now_ms);
    if (status == STATUS_OK) {
        trace_store_maintain(store, limits, now_ms);
    }
    return status;
}

enum status
trace_store_open(const char *directory, const struct trace_store_limits *limits, int64_t now_ms,
                 struct trace_store **store_out)
{
    struct trace_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return STATUS_LIMIT;
    }
    snprintf(store->directory, sizeof store->directory, "%s", directory);
    store->rows = rows_create();
    enum status status = store->rows != NULL ? open_store(store, limits, now_ms) : STATUS_LIMIT;
    if (status != STATUS_OK) {
        trace_store_close(&store);
        return status;
    }
    *store_out = store;
    return STATUS_OK;
}

static void
close_old(struct trace_store *store)
{
    for (size_t i = 0; i < OLD_SEGMENTS_OPEN; i++) {
        segment_close(&store->old[i]);
    }
}

void
trace_store_close(struct trace_store **store)
{
    if (*store != NULL) {
        segment_close(&(*store)->newest);
        close_old(*store);
        segment_list_free(&(*store)->list);
        rows_destroy(&(*store)->rows);
        free(*store);
        *store = NULL;
    }
}

void
trace_store_counts(const struct trace_store *store, struct trace_store_counts *counts_out)
{
    *counts_out = store->counts;
    counts_out->segments = store->list.count;
}

/* ---- older segments */

/* An older segment, opened if it is not; NULL when it cannot be (that is logged). */
static struct segment *
old_segment(struct trace_store *store, const char *name)
{
    struct segment found = {.database = NULL};
    size_t i = 0;
    while (i < OLD_SEGMENTS_OPEN - 1 &&
           (store->old[i].database == NULL || strcmp(store->old[i].name, name) != 0)) {
        i++;
    }
    if (store->old[i].database != NULL && strcmp(store->old[i].name, name) == 0) {
        found = store->old[i];
    } else if (segment_open(store->directory, name, LEDGER_READ_ONLY, &found) != STATUS_OK) {
        return NULL;
    } else {
        segment_close(&store->old[i]);
    }
    memmove(&store->old[1], &store->old[0], i * sizeof store->old[0]);
    store->old[0] = found;
    return &store->old[0];
}

enum status
trace_store_find_old(struct trace_store *store, struct str id, struct summary *summary)
{
    int64_t row;
    for (size_t i = store->list.count; i > 1; i--) {
        const char *name = store->list.names[i - 2];
        struct segment *segment = old_segment(store, name);
        enum status status =
            segment != NULL ? segment_row_find(segment, id, &row, summary) : STATUS_NOT_FOUND;
        if (status == STATUS_OK) {
            return STATUS_OK;
        }
        if (str_cmp(id, str_from_cstr(name)) > 0) {
            break; /* it was made after this segment was begun: no older one has it */
        }
    }
    return STATUS_NOT_FOUND;
}

/* ---- retention */

static uint64_t
file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t
segment_size(const struct trace_store *store, const char *name)
{
    char path[LEDGER_PATH_MAX];
    segment_path(store->directory, name, ".db", path);
    uint64_t size = file_size(path);
    segment_path(store->directory, name, ".db-wal", path);
    return size + file_size(path);
}

static void
delete_segment(struct trace_store *store, const char *name)
{
    close_old(store);
    delete_files(store, name);
    LOG_INFO("old traces were deleted", LOG_CSTR("segment", name));
}

static void
rotate(struct trace_store *store, const struct trace_store_limits *limits, int64_t now_ms)
{
    uint64_t const most_size = segment_size_most(limits);
    int64_t most_age = limits->age_ms / SEGMENTS_KEPT;
    most_age = most_age < SEGMENT_AGE_MIN   ? SEGMENT_AGE_MIN
               : most_age > SEGMENT_AGE_MAX ? SEGMENT_AGE_MAX
                                            : most_age;
    follow_limits(store, limits);
    struct segment last = store->newest;
    bool is_empty = store->next_row == 1;
    bool is_old = now_ms - segment_name_time(last.name) >= most_age;
    if (is_empty || (!is_old && segment_size(store, last.name) < most_size)) {
        return;
    }
    /* Its log goes into the file: from now on it is only read. */
    if (ledger_exec(last.database, "PRAGMA wal_checkpoint(TRUNCATE)") != STATUS_OK ||
        begin_segment(store, now_ms) != STATUS_OK) {
        LOG_ERROR("a new file for traces cannot be begun");
        store->newest = last;
        if (use_newest(store) != STATUS_OK) {
            LOG_ERROR("the file of traces is not usable");
        }
        return;
    }
    segment_close(&last);
}

uint64_t
trace_store_maintain(struct trace_store *store, const struct trace_store_limits *limits,
                     int64_t now_ms)
{
    uint64_t total = 0;
    size_t gone = 0;
    rotate(store, limits, now_ms);
    for (size_t i = 0; i < store->list.count; i++) {
        total += segment_size(store, store->list.names[i]);
    }
    while (gone + 1 < store->list.count) {
        /* All of a segment is older than the beginning of the next one. */
        bool too_old = now_ms - segment_name_time(store->list.names[gone + 1]) > limits->age_ms;
        if (!too_old && total <= limits->size) {
            break;
        }
        total -= segment_size(store, store->list.names[gone]);
        delete_segment(store, store->list.names[gone++]);
    }
    if (gone > 0) {
        memmove(store->list.names, store->list.names + gone,
                (store->list.count - gone) * sizeof store->list.names[0]);
        store->list.count -= gone;
    }
    return total;
}
