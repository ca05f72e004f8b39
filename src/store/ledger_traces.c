#include "store/ledger_traces.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/ledger_segment.h"

/* A new segment is begun when the newest has this part of the allowed size or age. */
#define SEGMENTS_KEPT     16u
#define SEGMENT_SIZE_MIN  (1u << 20)
#define SEGMENT_SIZE_MAX  (256u << 20)
#define SEGMENT_AGE_MIN   (60LL * 1000)
#define SEGMENT_AGE_MAX   (7LL * 24 * 3600 * 1000)
/* Older segments that are open at one time, for rows of messages that began there. */
#define OLD_SEGMENTS_OPEN 4u

struct trace_store {
    char directory[LEDGER_PATH_MAX];
    struct segment newest;
    struct segment old[OLD_SEGMENTS_OPEN]; /* the one used last is first */
    struct segment_list list;              /* all names, the newest too */
    bool in_batch;
    int64_t next_row;  /* of the newest segment */
    int64_t next_part; /* of all */
    struct trace_store_counts counts;
    sqlite3_stmt *insert_row;
    sqlite3_stmt *update_row;   /* all columns */
    sqlite3_stmt *update_state; /* those without an index */
    sqlite3_stmt *insert_recipient;
    sqlite3_stmt *insert_part;
    sqlite3_stmt *find_part;
};

/* ---- the newest segment */

static enum status
prepare_newest(struct trace_store *store)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } rows[] = {
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
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == STATUS_OK; i++) {
        status = ledger_prepare(store->newest.database, rows[i].sql, rows[i].statement);
    }
    return status;
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

/* Opens (or makes) the segment as the one that is written to. */
static enum status
open_newest(struct trace_store *store, const char *name)
{
    int64_t row;
    int64_t part;
    enum status status = segment_open(store->directory, name, LEDGER_BATCHED, &store->newest);
    if (status == STATUS_OK) {
        status = query_max(&store->newest, "SELECT max(n) FROM message", &row);
    }
    if (status == STATUS_OK) {
        status = query_max(&store->newest, "SELECT max(p) FROM part", &part);
    }
    if (status == STATUS_OK) {
        status = prepare_newest(store);
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
    sqlite3_stmt *statement;
    int64_t time_ms = -1;
    if (store->newest.database != NULL &&
        ledger_prepare(store->newest.database, "SELECT max(id) FROM message", &statement) ==
            STATUS_OK) {
        struct str id =
            sqlite3_step(statement) == SQLITE_ROW ? ledger_column(statement, 0) : str_make(NULL, 0);
        time_ms = segment_name_is_valid(id) ? segment_name_time(id.p) : -1;
        sqlite3_finalize(statement);
    }
    return time_ms;
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

static enum status
begin_segment(struct trace_store *store, int64_t now_ms)
{
    char name[ID_LENGTH + 1];
    next_name(store, now_ms, name);
    enum status status = open_newest(store, name);
    if (status == STATUS_OK) {
        segment_list_free(&store->list);
        status = segment_list_read(store->directory, &store->list);
    }
    return status;
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
    enum status status = open_store(store, limits, now_ms);
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

/* The latest row of an id in the segments before the newest, from that of its own time on. */
static enum status
find_in_old(struct trace_store *store, struct str id, struct summary *summary)
{
    int64_t row;
    for (size_t i = store->list.count - 1; i > 0; i--) {
        const char *name = store->list.names[i - 1];
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

/* ---- writing a row */

/* A row on its way: new ones are inserted, others updated. */
struct change {
    struct trace_store *store;
    struct summary summary;
    struct summary before; /* to see whether indexed columns change */
    int64_t row;
    bool is_new;
    bool is_late;
    enum status status; /* of inserting recipients */
};

static void
on_recipient(void *context, struct str address)
{
    struct change *change = context;
    sqlite3_stmt *statement = change->store->insert_recipient;
    if (change->is_late || change->status != STATUS_OK) {
        return; /* found through the row in its own segment */
    }
    ledger_bind_text(statement, 1, address);
    sqlite3_bind_int64(statement, 2, change->row);
    change->status = ledger_run(statement);
}

static void
bind_state(sqlite3_stmt *s, const struct change *change)
{
    const struct summary *summary = &change->summary;
    sqlite3_bind_int64(s, 1, change->row);
    sqlite3_bind_int(s, 2, (int)summary->kind);
    sqlite3_bind_int(s, 3, (int)summary->state);
    sqlite3_bind_int64(s, 4, summary->state_ms);
    sqlite3_bind_int64(s, 5, summary->first_ms);
    sqlite3_bind_int64(s, 6, summary->last_ms);
    ledger_bind_text(s, 7, summary_str(&summary->subject));
    ledger_bind_text(s, 8, str_make(summary->recipients.p, summary->recipients.n));
    sqlite3_bind_int64(s, 9, summary->recipient_count);
    sqlite3_bind_int64(s, 10, summary->expected);
    sqlite3_bind_int64(s, 11, summary->delivered);
    sqlite3_bind_int64(s, 12, summary->failed);
}

static void
bind_indexed(sqlite3_stmt *s, const struct change *change)
{
    static const struct ip_address none;
    const struct summary *summary = &change->summary;
    struct str client = {(const char *)summary->client.octets, sizeof summary->client.octets};
    ledger_bind_text(s, 13, str_from_cstr(summary->session));
    ledger_bind_octets(s, 14, ip_eq(&summary->client, &none) ? STR("") : client);
    ledger_bind_text(s, 15, summary_str(&summary->sender));
    ledger_bind_text(s, 16, summary_str(&summary->message_id));
}

static bool
indexed_columns_differ(const struct summary *a, const struct summary *b)
{
    return strcmp(a->session, b->session) != 0 || !ip_eq(&a->client, &b->client) ||
           !str_eq(summary_str(&a->sender), summary_str(&b->sender)) ||
           !str_eq(summary_str(&a->message_id), summary_str(&b->message_id));
}

static enum status
write_row(struct change *change)
{
    struct trace_store *store = change->store;
    if (!change->is_new && !indexed_columns_differ(&change->summary, &change->before)) {
        bind_state(store->update_state, change);
        return ledger_run(store->update_state);
    }
    sqlite3_stmt *s = change->is_new ? store->insert_row : store->update_row;
    bind_state(s, change);
    bind_indexed(s, change);
    if (change->is_new) {
        sqlite3_bind_int(s, 17, change->is_late);
        ledger_bind_text(s, 18, str_from_cstr(change->summary.id));
    }
    return ledger_run(s);
}

static int64_t
hash_of(struct str events)
{
    static const unsigned char key[crypto_shorthash_KEYBYTES] = "postern's traces";
    uint8_t hash[crypto_shorthash_BYTES];
    int64_t number;
    crypto_shorthash(hash, (const unsigned char *)events.p, events.n, key);
    memcpy(&number, hash, sizeof number);
    return number;
}

static bool
part_is_there(struct trace_store *store, int64_t row, int64_t hash)
{
    sqlite3_bind_int64(store->find_part, 1, row);
    sqlite3_bind_int64(store->find_part, 2, hash);
    bool found = sqlite3_step(store->find_part) == SQLITE_ROW;
    sqlite3_reset(store->find_part);
    return found;
}

static enum status
write_part(struct trace_store *store, int64_t row, int64_t hash, struct str events)
{
    sqlite3_bind_int64(store->insert_part, 1, store->next_part);
    sqlite3_bind_int64(store->insert_part, 2, row);
    sqlite3_bind_int64(store->insert_part, 3, hash);
    ledger_bind_octets(store->insert_part, 4, events);
    enum status status = ledger_run(store->insert_part);
    if (status == STATUS_OK) {
        store->next_part++;
        store->counts.parts++;
    }
    return status;
}

/* Finds the row of the id, or the one it had in an older segment, or prepares a new one. */
static enum status
find_row(struct change *change, struct str id, struct str session)
{
    struct trace_store *store = change->store;
    enum status status = segment_row_find(&store->newest, id, &change->row, &change->summary);
    if (status == STATUS_NOT_FOUND) {
        change->is_new = true;
        change->row = store->next_row;
        change->is_late = str_cmp(id, str_from_cstr(store->newest.name)) < 0 &&
                          find_in_old(store, id, &change->summary) == STATUS_OK;
        status = STATUS_OK;
    }
    if (status == STATUS_OK && !change->is_late && change->is_new) {
        change->summary = (struct summary){.change = 0};
        memcpy(change->summary.id, id.p, id.n);
    }
    change->before = change->summary;
    if (change->summary.session[0] == '\0' && session.n > 0) {
        memcpy(change->summary.session, session.p, session.n);
        change->summary.session[session.n] = '\0';
    }
    return status;
}

static enum status
append(struct trace_store *store, struct str id, struct str session, struct str events)
{
    struct change change = {.store = store};
    int64_t hash = hash_of(events);
    enum status status = find_row(&change, id, session);
    if (status == STATUS_OK && !change.is_new && part_is_there(store, change.row, hash)) {
        store->counts.repeated++;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = summary_add(&change.summary, events, on_recipient, &change);
    }
    if (status == STATUS_OK) {
        status = change.status;
    }
    if (status == STATUS_OK) {
        status = write_row(&change);
    }
    if (status == STATUS_OK) {
        status = write_part(store, change.row, hash, events);
    }
    if (status == STATUS_OK && change.is_new) {
        store->next_row++;
        store->counts.rows++;
    }
    return status;
}

static void
undo_batch(struct trace_store *store)
{
    /* An error of SQLite may have rolled back already. */
    if (sqlite3_get_autocommit(store->newest.database) == 0 &&
        ledger_exec(store->newest.database, "ROLLBACK") != STATUS_OK) {
        LOG_ERROR("traces cannot be rolled back");
    }
    store->in_batch = false;
}

enum status
trace_store_append(struct trace_store *store, struct str id, struct str session, struct str events)
{
    enum status status = STATUS_OK;
    if (!segment_name_is_valid(id) || (session.n > 0 && !segment_name_is_valid(session)) ||
        !trace_is_valid(events)) {
        return STATUS_SYNTAX;
    }
    if (!store->in_batch) {
        status = ledger_exec(store->newest.database, "BEGIN");
        store->in_batch = status == STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = append(store, id, session, events);
    }
    if (status != STATUS_OK) {
        undo_batch(store);
        /* Not the caller's octets, but ours on the disk. */
        return status == STATUS_SYNTAX ? STATUS_IO : status;
    }
    return STATUS_OK;
}

enum status
trace_store_commit(struct trace_store *store)
{
    if (!store->in_batch) {
        return STATUS_OK;
    }
    enum status status = ledger_exec(store->newest.database, "COMMIT");
    if (status != STATUS_OK) {
        undo_batch(store);
    }
    store->in_batch = false;
    return status;
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

/* The file itself goes last: what a crash leaves behind is still listed, and deleted next time. */
static void
delete_segment(struct trace_store *store, const char *name)
{
    static const char *const suffixes[] = {".db-wal", ".db-shm", ".db"};
    char path[LEDGER_PATH_MAX];
    close_old(store);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        segment_path(store->directory, name, suffixes[i], path);
        if (unlink(path) != 0 && errno != ENOENT) {
            LOG_ERROR("a file of old traces cannot be deleted", LOG_CSTR("file", path),
                      LOG_CSTR("reason", strerror(errno)));
        }
    }
    LOG_INFO("old traces were deleted", LOG_CSTR("segment", name));
}

static void
rotate(struct trace_store *store, const struct trace_store_limits *limits, int64_t now_ms)
{
    uint64_t most_size = limits->size / SEGMENTS_KEPT;
    int64_t most_age = limits->age_ms / SEGMENTS_KEPT;
    most_size = most_size < SEGMENT_SIZE_MIN   ? SEGMENT_SIZE_MIN
                : most_size > SEGMENT_SIZE_MAX ? SEGMENT_SIZE_MAX
                                               : most_size;
    most_age = most_age < SEGMENT_AGE_MIN   ? SEGMENT_AGE_MIN
               : most_age > SEGMENT_AGE_MAX ? SEGMENT_AGE_MAX
                                            : most_age;
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
        if (prepare_newest(store) != STATUS_OK) {
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
