/*
 * ledger_segment.h - one file of traces. The ledger keeps traces in a row of such files, each for
 * the messages of some time, so that
 *
 *   - what is indexed stays small enough for memory, however long traces are kept,
 *   - retention deletes a file instead of millions of rows, and needs no vacuum,
 *   - a damaged file costs its own time only.
 *
 * A segment is <directory>/<name>.db; its name is an identifier (id_make) of the time when it was
 * begun, so names sort by age, and compare with the ids of messages. Parts of a message that come
 * after its segment was closed (a delivery days later) go to the segment of that day, with a copy
 * of its row marked `late`: searching looks at the first row, and refreshes it with the late ones.
 *
 * Used by ledger_traces.c (the writer) and ledger_search.c (readers), each with its own connection.
 */
#ifndef POSTERN_STORE_LEDGER_SEGMENT_H
#define POSTERN_STORE_LEDGER_SEGMENT_H

#include "store/ledger_database.h"
#include "store/ledger_summary.h"

/* Most files; retention keeps far fewer. */
#define SEGMENTS_MAX 4096u

struct segment {
    char name[ID_LENGTH + 1];
    sqlite3 *database; /* NULL: not open */
    sqlite3_stmt *find;
};

struct segment_list {
    char (*names)[ID_LENGTH + 1]; /* owned; oldest first */
    size_t count;
};

/* 16 letters and digits, as id_make makes them. */
bool segment_name_is_valid(struct str name);
/* When an identifier was made, in wall clock milliseconds. */
int64_t segment_name_time(const char *name);

/* The segments in the directory. STATUS_IO when it cannot be read. */
[[nodiscard]] enum status segment_list_read(const char *directory, struct segment_list *list_out);
void segment_list_free(struct segment_list *list);

/* Path of a segment's file, "" when it is too long; suffix: ".db", ".db-wal", ... */
void segment_path(const char *directory, const char *name, const char *suffix,
                  char out[static LEDGER_PATH_MAX]);

/* Opens a segment. Errors as in ledger_database.h. */
[[nodiscard]] enum status segment_open(const char *directory, const char *name,
                                       enum ledger_durability durability,
                                       struct segment *segment_out);
void segment_close(struct segment *segment);

/*
 * The row of an id. STATUS_NOT_FOUND: there is none. *row_out is the number of the row in this
 * segment, for segment_row_write and for the parts.
 */
[[nodiscard]] enum status segment_row_find(struct segment *segment, struct str id, int64_t *row_out,
                                           struct summary *summary_out);

/* The columns that segment_row_read expects, for SELECTs of others. */
#define SEGMENT_COLUMNS                                                                            \
    "m.n, m.id, m.session, m.kind, m.state, m.state_ms, m.first_ms, m.last_ms, m.client,"          \
    " m.sender, m.subject, m.message_id, m.recipients, m.recipient_count, m.expected,"             \
    " m.delivered, m.failed,"                                                                      \
    " (SELECT max(p.p) FROM part p WHERE p.n = m.n)"
/* Reads SEGMENT_COLUMNS of the statement's row; returns its n. */
int64_t segment_row_read(sqlite3_stmt *statement, struct summary *summary_out);

#endif
