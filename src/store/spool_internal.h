/*
 * spool_internal.h - the inside of the queue store, shared by its files (spool_*.c) and tests.
 */
#ifndef POSTERN_STORE_SPOOL_INTERNAL_H
#define POSTERN_STORE_SPOOL_INTERNAL_H

#include <sqlite3.h>

#include "store/spool.h"
#include "store/spool_bodies.h"

/* PRAGMA application_id of our databases: "PstQ". */
#define SPOOL_APPLICATION_ID 0x50737451
#define SPOOL_DATABASE_NAME  "queue.db"
/* Left beside the database when damage was seen while running. */
#define SPOOL_DAMAGED_NAME   "queue.db.damaged"
#define SPOOL_LARGE_NAME     "large"
/* Of a page of the database. */
#define SPOOL_PAGE_OCTETS    4096u

/* All statements, prepared on first use; the texts are in spool_statement.c. */
enum spool_statement {
    SPOOL_SQL_BEGIN,
    SPOOL_SQL_COMMIT,
    SPOOL_SQL_ROLLBACK,
    SPOOL_SQL_COUNTS_SAVE,
    SPOOL_SQL_COUNTS_LOAD,
    SPOOL_SQL_FIND,
    SPOOL_SQL_OLDEST,
    SPOOL_SQL_MESSAGE_INSERT,
    SPOOL_SQL_BODY_INSERT,
    SPOOL_SQL_RECIPIENT_INSERT,
    SPOOL_SQL_RECIPIENT_STATE,
    SPOOL_SQL_RECIPIENT_SETTLE,
    SPOOL_SQL_RECIPIENT_REHOME,
    SPOOL_SQL_MESSAGE_PENDING,
    SPOOL_SQL_MESSAGE_DAMAGED,
    SPOOL_SQL_RECIPIENTS_DELETE,
    SPOOL_SQL_BODY_DELETE,
    SPOOL_SQL_MESSAGE_DELETE,
    SPOOL_SQL_DESTINATION_WAKE,
    SPOOL_SQL_DESTINATION_PUT,
    SPOOL_SQL_DESTINATION_FAILED,
    SPOOL_SQL_DESTINATION_DELETE,
    SPOOL_SQL_DESTINATION_GET,
    SPOOL_SQL_DESTINATIONS_DUE,
    SPOOL_SQL_PAUSE_PUT,
    SPOOL_SQL_PAUSE_DELETE,
    SPOOL_SQL_PAUSES,
    SPOOL_SQL_STANDING,
    SPOOL_SQL_GATHER,
    SPOOL_SQL_GATHER_COUNT,
    SPOOL_SQL_GATHERED,
    SPOOL_SQL_GATHERED_DELETE,
    SPOOL_SQL_GATHERED_UNCOUNT,
    SPOOL_SQL_DUE,
    SPOOL_SQL_DUE_NEXT,
    SPOOL_SQL_MESSAGE_LOAD,
    SPOOL_SQL_BODY_LOAD,
    SPOOL_SQL_RECIPIENTS_LOAD,
    SPOOL_SQL_MESSAGES_AFTER,
    SPOOL_SQL_AGED,
    SPOOL_SQL_AGED_WAITING,
    SPOOL_SQL_SEGMENTS_LOAD,
    SPOOL_SQL_SEGMENT_PUT,
    SPOOL_SQL_SEGMENT_DELETE,
    SPOOL_SQL_COUNT
};

/* Large files of messages that the transaction deleted; unlinked once it is committed. */
struct spool_doomed {
    struct spool_doomed *next;
    char id[ID_LENGTH + 1];
};

struct spool {
    sqlite3 *db;
    char *directory; /* owned */
    struct bodies *bodies;
    sqlite3_stmt *statements[SPOOL_SQL_COUNT];
    struct spool_counts counts; /* as of the open transaction */
    struct spool_counts counts_committed;
    int64_t key_last;
    int64_t key_last_committed;
    int64_t large_bytes; /* in files */
    int64_t large_bytes_committed;
    int64_t clock_last;
    struct spool_doomed *doomed;
    int log_pages; /* in the write-ahead log after the last commit */
    bool damaged;
    bool no_room; /* the transaction failed for that */
};

/* The text of a statement. */
const char *spool_statement_text(enum spool_statement which);

/* A statement ready for binding, or NULL (spool_error says why). Reset it with spool_done. */
sqlite3_stmt *spool_statement(struct spool *spool, enum spool_statement which);
/* Resets a statement and turns SQLite's code into a status (SQLITE_ROW and _DONE are fine). */
enum status spool_done(struct spool *spool, sqlite3_stmt *statement, int code);
/* Steps a statement that gives no rows, and resets it. */
enum status spool_run(struct spool *spool, sqlite3_stmt *statement);
/* The status for SQLite's code; notes damage. */
enum status spool_status(struct spool *spool, int code);

/* Leaves or removes the mark that lets the next start check all of the database. */
void spool_mark_damage(struct spool *spool, bool damaged);

/* Binds a text, borrowed until the statement is reset. */
void spool_bind_str(sqlite3_stmt *statement, int column, struct str s);
void spool_bind_blob(sqlite3_stmt *statement, int column, struct str s);
/* A column, until the statement is stepped or reset. */
struct str spool_column_view(sqlite3_stmt *statement, int column);
/* A column, copied into the arena; {NULL, 0} for the empty text. False when the arena is full. */
bool spool_column_str(sqlite3_stmt *statement, int column, struct arena *arena, struct str *out);

/* ---- spool_schema.c */

/* One step of the schema: what turns version i into version i + 1. */
struct spool_upgrade {
    const char *sql;
};
extern const struct spool_upgrade spool_upgrades[];
extern const int spool_upgrade_count;

/*
 * Brings the database to version `count` by the steps that it lacks, each in a transaction of its
 * own. STATUS_LIMIT: it is of a newer version.
 */
[[nodiscard]] enum status spool_schema_upgrade(sqlite3 *db, const struct spool_upgrade *steps,
                                               int count);
/* Looks whether the database is sound: all of it (PRAGMA quick_check), or only what start needs. */
[[nodiscard]] enum status spool_schema_check(sqlite3 *db, bool all);

/* ---- spool_log.c */

/*
 * Before SQLite opens the database: STATUS_SYNTAX when its log has lost transactions that were
 * acknowledged (store/wal_scan.h). The log is left as it is, and a copy kept as
 * "queue.db-wal.damaged-<time of its last change>". STATUS_IO: it cannot be read. *reason_out as
 * spool_open.
 */
[[nodiscard]] enum status spool_log_check(struct spool *spool, struct arena *arena,
                                          struct str *reason_out);

/* ---- spool_file.c */

/* Deletes files that belong to no message, and counts the octets of the others. */
[[nodiscard]] enum status spool_files_sweep(struct spool *spool);

#endif
