/* The tables of the queue: made, upgraded, checked. */
#include "store/spool_internal.h"

#include <stdio.h>

/*
 * Version 1. Small rows apart from the octets (`body`): walking the queue reads only the small
 * ones. recipient is stored by message, so that a message's recipients lie together and need no
 * index to be found. `queue` has one row: counts, so that nobody ever counts a million rows.
 */
static const char version_1[] =
    "CREATE TABLE queue ("
    "  messages INTEGER NOT NULL, recipients INTEGER NOT NULL, deferred INTEGER NOT NULL,"
    "  held INTEGER NOT NULL, bytes INTEGER NOT NULL, clock_ms INTEGER NOT NULL,"
    "  key_last INTEGER NOT NULL) STRICT;"
    "INSERT INTO queue VALUES (0, 0, 0, 0, 0, 0, 0);"
    "CREATE TABLE message ("
    "  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received_ms INTEGER NOT NULL,"
    "  queued_ms INTEGER NOT NULL, sender TEXT NOT NULL, ret INTEGER NOT NULL,"
    "  envid TEXT NOT NULL, flags INTEGER NOT NULL, priority INTEGER NOT NULL,"
    "  hold TEXT NOT NULL, size INTEGER NOT NULL, total INTEGER NOT NULL,"
    "  pending INTEGER NOT NULL, in_file INTEGER NOT NULL) STRICT;"
    "CREATE TABLE body ("
    "  message INTEGER PRIMARY KEY, head BLOB NOT NULL, content BLOB) STRICT;"
    "CREATE TABLE recipient ("
    "  message INTEGER NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL,"
    "  original TEXT NOT NULL, orcpt TEXT NOT NULL, notify INTEGER NOT NULL,"
    "  destination TEXT NOT NULL, rank INTEGER NOT NULL, state INTEGER NOT NULL,"
    "  due_ms INTEGER, attempts INTEGER NOT NULL, warned INTEGER NOT NULL,"
    "  last_ms INTEGER NOT NULL, code INTEGER NOT NULL, enhanced TEXT NOT NULL,"
    "  text TEXT NOT NULL, remote TEXT NOT NULL,"
    "  PRIMARY KEY (message, number)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX recipient_due ON recipient (destination, rank, due_ms)"
    "  WHERE due_ms IS NOT NULL;"
    "CREATE TABLE destination ("
    "  name TEXT PRIMARY KEY, look_ms INTEGER NOT NULL, failures INTEGER NOT NULL)"
    "  STRICT, WITHOUT ROWID;"
    "CREATE INDEX destination_look ON destination (look_ms);";

/*
 * Version 2. The body log (store/spool_bodies.h): where a message of it begins, and the blocks in
 * use of each of its files. Messages of version 1 stay where they are.
 */
static const char version_2[] =
    "ALTER TABLE message ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN block INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN head_size INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE segment (number INTEGER PRIMARY KEY, live BLOB NOT NULL) STRICT;";

/*
 * Version 3. Checksums (store/spool_sum.h; 0: of an earlier version, there is none), messages that
 * are known to be damaged, the last failure of a destination, recipients that an administrator sent
 * another way, and destinations that wait until they are resumed (`name` may be a domain).
 */
static const char version_3[] =
    "ALTER TABLE message ADD COLUMN head_sum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN content_sum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN row_sum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE recipient ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE recipient ADD COLUMN rerouted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE queue ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE destination ADD COLUMN failed_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE destination ADD COLUMN code INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE destination ADD COLUMN enhanced TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE destination ADD COLUMN text TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE destination ADD COLUMN remote TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE pause (name TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, by TEXT NOT NULL)"
    "  STRICT, WITHOUT ROWID;";

/*
 * Version 4. Failures that the postmaster is told of together (spool_gather). Row 0 counts those
 * for which the list has no room; `cut`: the text is not complete.
 */
static const char version_4[] =
    "CREATE TABLE gathered ("
    "  number INTEGER PRIMARY KEY, messages INTEGER NOT NULL, cut INTEGER NOT NULL,"
    "  text TEXT NOT NULL) STRICT;";

const struct spool_upgrade spool_upgrades[] = {{version_1}, {version_2}, {version_3}, {version_4}};
const int spool_upgrade_count = (int)(sizeof spool_upgrades / sizeof spool_upgrades[0]);

static enum status
read_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return STATUS_IO;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? STATUS_OK : STATUS_IO;
}

static enum status
upgrade_step(sqlite3 *db, const struct spool_upgrade *step, int version)
{
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return STATUS_IO;
    }
    /* user_version is part of the transaction: either all of the step happened or nothing. */
    if (sqlite3_exec(db, step->sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return STATUS_IO;
    }
    return STATUS_OK;
}

enum status
spool_schema_upgrade(sqlite3 *db, const struct spool_upgrade *steps, int count)
{
    int64_t version;
    enum status status = read_number(db, "PRAGMA user_version", &version);
    if (status != STATUS_OK) {
        return status;
    }
    if (version > count) {
        return STATUS_LIMIT;
    }
    for (int i = (int)version; status == STATUS_OK && i < count; i++) {
        status = upgrade_step(db, &steps[i], i + 1);
    }
    return status;
}

/* The first and the last row of each tree: their paths from the root are what start relies on. */
static const char *const soundings[] = {
    "SELECT count(*) FROM queue",
    "SELECT ifnull(max(key), 0) + ifnull(min(key), 0) FROM message",
    "SELECT count(*) FROM (SELECT head FROM body ORDER BY message LIMIT 1)",
    "SELECT count(*) FROM (SELECT head FROM body ORDER BY message DESC LIMIT 1)",
    "SELECT count(*) FROM (SELECT text FROM recipient ORDER BY message LIMIT 1)",
    "SELECT count(*) FROM (SELECT text FROM recipient ORDER BY message DESC LIMIT 1)",
    ("SELECT count(*) FROM (SELECT due_ms FROM recipient INDEXED BY recipient_due"
     " WHERE due_ms IS NOT NULL ORDER BY destination, rank LIMIT 1)"),
    "SELECT count(*) FROM (SELECT name FROM destination ORDER BY name LIMIT 1)",
    "SELECT count(*) FROM (SELECT name FROM destination ORDER BY look_ms LIMIT 1)",
    "SELECT count(*) FROM segment",
};

enum status
spool_schema_check(sqlite3 *db, bool all)
{
    int64_t ignored;
    sqlite3_stmt *statement;
    for (size_t i = 0; i < sizeof soundings / sizeof soundings[0]; i++) {
        if (read_number(db, soundings[i], &ignored) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
    }
    if (!all) {
        return STATUS_OK;
    }
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK) {
        return STATUS_SYNTAX;
    }
    bool sound = sqlite3_step(statement) == SQLITE_ROW &&
                 str_eq(str_from_cstr((const char *)sqlite3_column_text(statement, 0)), STR("ok"));
    sqlite3_finalize(statement);
    return sound ? STATUS_OK : STATUS_SYNTAX;
}
