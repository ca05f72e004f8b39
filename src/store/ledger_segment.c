#include "store/ledger_segment.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* The part of an identifier that comes from the time. */
#define ID_TIME_LENGTH 9

/*
 * `p` of a part goes on from segment to segment: it is the number by which followers know what is
 * new. `hash` and the part's length tell a repetition (a role that got no acknowledgement).
 */
static const char *const steps[] = {
    "CREATE TABLE message ("
    "  n INTEGER PRIMARY KEY,"
    "  id TEXT NOT NULL UNIQUE,"
    "  session TEXT NOT NULL,"
    "  late INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  state_ms INTEGER NOT NULL,"
    "  first_ms INTEGER NOT NULL,"
    "  last_ms INTEGER NOT NULL,"
    "  client BLOB NOT NULL,"
    "  sender TEXT NOT NULL COLLATE NOCASE,"
    "  subject TEXT NOT NULL,"
    "  message_id TEXT NOT NULL,"
    "  recipients TEXT NOT NULL,"
    "  recipient_count INTEGER NOT NULL,"
    "  expected INTEGER NOT NULL,"
    "  delivered INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX message_session ON message (session);"
    "CREATE INDEX message_sender ON message (sender) WHERE sender <> '';"
    "CREATE INDEX message_message_id ON message (message_id) WHERE message_id <> '';"
    "CREATE INDEX message_client ON message (client) WHERE client <> x'';"
    "CREATE TABLE recipient ("
    "  address TEXT NOT NULL COLLATE NOCASE,"
    "  n INTEGER NOT NULL,"
    "  PRIMARY KEY (address, n)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE part ("
    "  p INTEGER PRIMARY KEY,"
    "  n INTEGER NOT NULL,"
    "  hash INTEGER NOT NULL,"
    "  events BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX part_n ON part (n, hash);",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};

bool
segment_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!char_is_digit(name.p[i]) && (name.p[i] < 'A' || name.p[i] > 'Z')) {
            return false;
        }
    }
    return name.n == ID_LENGTH;
}

int64_t
segment_name_time(const char *name)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* as in id_make */
    int64_t ms = 0;
    for (size_t i = 0; i < ID_TIME_LENGTH && name[i] != '\0'; i++) {
        const char *digit = strchr(alphabet, name[i]);
        ms = ms << 5 | (digit != NULL ? digit - alphabet : 0);
    }
    return ms;
}

/* ---- files */

void
segment_path(const char *directory, const char *name, const char *suffix,
             char out[static LEDGER_PATH_MAX])
{
    int n = snprintf(out, LEDGER_PATH_MAX, "%s/%s%s", directory, name, suffix);
    if (n < 0 || (size_t)n >= LEDGER_PATH_MAX) {
        out[0] = '\0';
    }
}

static int
compare_names(const void *a, const void *b)
{
    return memcmp(a, b, ID_LENGTH);
}

static bool
list_add(struct segment_list *list, struct str name)
{
    if (list->count == SEGMENTS_MAX) {
        return false;
    }
    void *names = realloc(list->names, (list->count + 1) * sizeof list->names[0]);
    if (names == NULL) {
        return false;
    }
    list->names = names;
    memcpy(list->names[list->count], name.p, ID_LENGTH);
    list->names[list->count++][ID_LENGTH] = '\0';
    return true;
}

enum status
segment_list_read(const char *directory, struct segment_list *list_out)
{
    struct segment_list list = {NULL, 0};
    const struct dirent *entry;
    DIR *files = opendir(directory);
    if (files == NULL) {
        return STATUS_IO;
    }
    bool room = true;
    while (room && (entry = readdir(files)) != NULL) {
        struct str file = str_from_cstr(entry->d_name);
        struct str name = str_head(file, ID_LENGTH);
        if (str_eq(str_skip(file, ID_LENGTH), STR(".db")) && segment_name_is_valid(name)) {
            room = list_add(&list, name);
        }
    }
    closedir(files);
    if (!room) {
        segment_list_free(&list);
        return STATUS_LIMIT;
    }
    if (list.count > 0) {
        qsort(list.names, list.count, sizeof list.names[0], compare_names);
    }
    *list_out = list;
    return STATUS_OK;
}

void
segment_list_free(struct segment_list *list)
{
    free(list->names);
    *list = (struct segment_list){NULL, 0};
}

enum status
segment_open(const char *directory, const char *name, enum ledger_durability durability,
             struct segment *segment_out)
{
    struct segment segment = {.database = NULL};
    char path[LEDGER_PATH_MAX];
    memcpy(segment.name, name, ID_LENGTH);
    segment_path(directory, name, ".db", path);
    enum status status = ledger_database_open(path, durability, &schema, &segment.database);
    if (status == STATUS_OK) {
        status = ledger_prepare(segment.database,
                                "SELECT " SEGMENT_COLUMNS " FROM message m WHERE m.id = ?1",
                                &segment.find);
    }
    if (status != STATUS_OK) {
        segment_close(&segment);
        return status;
    }
    *segment_out = segment;
    return STATUS_OK;
}

void
segment_close(struct segment *segment)
{
    ledger_database_close(&segment->database);
    segment->find = NULL;
}

/* ---- rows */

static void
take_text(sqlite3_stmt *statement, int column, struct summary_text *text)
{
    struct str s = str_head(ledger_column(statement, column), sizeof text->p);
    text->n = (uint16_t)s.n;
    if (s.n > 0) {
        memcpy(text->p, s.p, s.n);
    }
}

static void
take_id(sqlite3_stmt *statement, int column, char id[static ID_LENGTH + 1])
{
    struct str s = str_head(ledger_column(statement, column), ID_LENGTH);
    if (s.n > 0) {
        memcpy(id, s.p, s.n);
    }
    id[s.n] = '\0';
}

/* The columns in the order of SEGMENT_COLUMNS. */
enum column {
    COLUMN_N,
    COLUMN_ID,
    COLUMN_SESSION,
    COLUMN_KIND,
    COLUMN_STATE,
    COLUMN_STATE_MS,
    COLUMN_FIRST_MS,
    COLUMN_LAST_MS,
    COLUMN_CLIENT,
    COLUMN_SENDER,
    COLUMN_SUBJECT,
    COLUMN_MESSAGE_ID,
    COLUMN_RECIPIENTS,
    COLUMN_RECIPIENT_COUNT,
    COLUMN_EXPECTED,
    COLUMN_DELIVERED,
    COLUMN_FAILED,
    COLUMN_CHANGE,
};

int64_t
segment_row_read(sqlite3_stmt *statement, struct summary *summary)
{
    struct str client = ledger_column(statement, COLUMN_CLIENT);
    struct str recipients =
        str_head(ledger_column(statement, COLUMN_RECIPIENTS), SUMMARY_RECIPIENTS_MAX);
    take_id(statement, COLUMN_ID, summary->id);
    take_id(statement, COLUMN_SESSION, summary->session);
    summary->kind = (enum trace_row_kind)sqlite3_column_int(statement, COLUMN_KIND);
    summary->state = (enum trace_row_state)sqlite3_column_int(statement, COLUMN_STATE);
    summary->state_ms = sqlite3_column_int64(statement, COLUMN_STATE_MS);
    summary->first_ms = sqlite3_column_int64(statement, COLUMN_FIRST_MS);
    summary->last_ms = sqlite3_column_int64(statement, COLUMN_LAST_MS);
    summary->client = (struct ip_address){{0}};
    if (client.n == sizeof summary->client.octets) {
        memcpy(summary->client.octets, client.p, client.n);
    }
    take_text(statement, COLUMN_SENDER, &summary->sender);
    take_text(statement, COLUMN_SUBJECT, &summary->subject);
    take_text(statement, COLUMN_MESSAGE_ID, &summary->message_id);
    summary->recipients.n = (uint16_t)recipients.n;
    if (recipients.n > 0) {
        memcpy(summary->recipients.p, recipients.p, recipients.n);
    }
    summary->recipient_count = (uint32_t)sqlite3_column_int64(statement, COLUMN_RECIPIENT_COUNT);
    summary->expected = (uint32_t)sqlite3_column_int64(statement, COLUMN_EXPECTED);
    summary->delivered = (uint32_t)sqlite3_column_int64(statement, COLUMN_DELIVERED);
    summary->failed = (uint32_t)sqlite3_column_int64(statement, COLUMN_FAILED);
    summary->change = sqlite3_column_int64(statement, COLUMN_CHANGE);
    return sqlite3_column_int64(statement, COLUMN_N);
}

enum status
segment_row_find(struct segment *segment, struct str id, int64_t *row_out,
                 struct summary *summary_out)
{
    ledger_bind_text(segment->find, 1, id);
    int code = sqlite3_step(segment->find);
    enum status status = ledger_status(segment->database, code);
    if (code == SQLITE_ROW) {
        *row_out = segment_row_read(segment->find, summary_out);
    } else if (code == SQLITE_DONE) {
        status = STATUS_NOT_FOUND;
    }
    sqlite3_reset(segment->find);
    return status;
}
