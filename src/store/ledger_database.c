#include "store/ledger_database.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "store/wal_vfs.h"

/* How long a reader waits for the writer's short locks (a checkpoint, a schema change). */
#define BUSY_TIMEOUT_MS  5000
/* The write-ahead log is cut back to this after a checkpoint, octets. */
#define JOURNAL_SIZE_MAX "16777216"

enum status
ledger_status(sqlite3 *database, int code)
{
    enum status status = STATUS_IO;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_FULL:
        status = STATUS_LIMIT;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = STATUS_SYNTAX;
        break;
    default:
        break;
    }
    const char *file = sqlite3_db_filename(database, "main");
    LOG_ERROR("a database failed", LOG_CSTR("file", file),
              LOG_CSTR("reason", sqlite3_errmsg(database)), LOG_INT("code", code));
    return status;
}

enum status
ledger_exec(sqlite3 *database, const char *sql)
{
    return ledger_status(database, sqlite3_exec(database, sql, NULL, NULL, NULL));
}

enum status
ledger_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **statement_out)
{
    return ledger_status(database, sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                      statement_out, NULL));
}

enum status
ledger_prepare_all(sqlite3 *database, const struct ledger_statement *rows, size_t count)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = ledger_prepare(database, rows[i].sql, rows[i].statement);
    }
    return status;
}

enum status
ledger_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    enum status status = ledger_status(sqlite3_db_handle(statement), code);
    sqlite3_reset(statement);
    return status;
}

void
ledger_bind_text(sqlite3_stmt *statement, int number, struct str text)
{
    /* A NULL pointer would bind NULL, which is not the empty text. */
    sqlite3_bind_text(statement, number, text.p != NULL ? text.p : "", (int)text.n, SQLITE_STATIC);
}

void
ledger_bind_octets(sqlite3_stmt *statement, int number, struct str octets)
{
    sqlite3_bind_blob(statement, number, octets.p != NULL ? octets.p : "", (int)octets.n,
                      SQLITE_STATIC);
}

struct str
ledger_column(sqlite3_stmt *statement, int number)
{
    const char *p = sqlite3_column_blob(statement, number);
    return str_make(p, p != NULL ? (size_t)sqlite3_column_bytes(statement, number) : 0);
}

bool
ledger_column_text(sqlite3_stmt *statement, int number, char *text, size_t room)
{
    struct str s = ledger_column(statement, number);
    if (s.n == 0 || s.n >= room || str_contains_char(s, '\0')) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return true;
}

/* ---- opening */

/* The first column of the first row of a query, as a number. */
static enum status
query_number(sqlite3 *database, const char *sql, int64_t *number_out)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(database, sql, &statement);
    if (status != STATUS_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    status = ledger_status(database, code);
    if (code == SQLITE_ROW) {
        *number_out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum status
upgrade_steps(sqlite3 *database, const struct ledger_schema *schema, int64_t from)
{
    char pragma[64];
    enum status status = STATUS_OK;
    for (int64_t i = from; i < schema->version && status == STATUS_OK; i++) {
        status = ledger_exec(database, schema->steps[i]);
    }
    if (status != STATUS_OK) {
        return status;
    }
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", schema->version);
    return ledger_exec(database, pragma);
}

static enum status
upgrade(sqlite3 *database, const struct ledger_schema *schema, bool may_change)
{
    int64_t version = 0;
    enum status status = query_number(database, "PRAGMA user_version", &version);
    if (status != STATUS_OK || version == schema->version) {
        return status;
    }
    if (version > schema->version || !may_change) {
        LOG_ERROR("a database is of another version of Postern",
                  LOG_CSTR("file", sqlite3_db_filename(database, "main")),
                  LOG_INT("version", version), LOG_INT("known", schema->version));
        return STATUS_DENIED;
    }
    status = ledger_exec(database, "BEGIN IMMEDIATE");
    if (status == STATUS_OK) {
        status = upgrade_steps(database, schema, version);
        enum status ended = ledger_exec(database, status == STATUS_OK ? "COMMIT" : "ROLLBACK");
        status = status == STATUS_OK ? ended : status;
    }
    return status;
}

static enum status
set_pragmas(sqlite3 *database, enum ledger_durability durability)
{
    sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
    if (durability == LEDGER_READ_ONLY) {
        return ledger_exec(database, "PRAGMA query_only = ON");
    }
    enum status status =
        ledger_exec(database, "PRAGMA journal_mode = WAL;"
                              "PRAGMA journal_size_limit = " JOURNAL_SIZE_MAX ";"
                              "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4096;");
    if (status == STATUS_OK) {
        /* Traces and reports hold no keys: what is deleted need not be overwritten as well. */
        status = ledger_exec(database, durability == LEDGER_DURABLE ? "PRAGMA synchronous = FULL"
                                                                    : "PRAGMA synchronous = NORMAL;"
                                                                      "PRAGMA secure_delete = OFF");
    }
    return status;
}

enum status
ledger_database_open(const char *path, enum ledger_durability durability,
                     const struct ledger_schema *schema, sqlite3 **database_out)
{
    bool read_only = durability == LEDGER_READ_ONLY;
    /* A reader too opens for writing: in WAL mode it takes part in the shared index of the log. */
    int flags = SQLITE_OPEN_READWRITE | (read_only ? 0 : SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(path, &database, flags, wal_vfs_name());
    enum status status = code == SQLITE_OK ? STATUS_OK : ledger_status(database, code);
    if (status == STATUS_OK) {
        status = set_pragmas(database, durability);
    }
    if (status == STATUS_OK) {
        status = upgrade(database, schema, !read_only);
    }
    if (status != STATUS_OK) {
        ledger_database_close(&database);
        return status;
    }
    *database_out = database;
    return STATUS_OK;
}

enum status
ledger_database_check(sqlite3 *database)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(database, "PRAGMA quick_check(1)", &statement);
    if (status != STATUS_OK) {
        return status;
    }
    status = ledger_status(database, sqlite3_step(statement));
    if (status == STATUS_OK && !str_eq(ledger_column(statement, 0), STR("ok"))) {
        LOG_ERROR("the database is damaged",
                  LOG_CSTR("file", sqlite3_db_filename(database, "main")),
                  LOG_STR("reason", ledger_column(statement, 0)));
        status = STATUS_SYNTAX;
    }
    sqlite3_finalize(statement);
    return status;
}

void
ledger_database_set_aside(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char from[LEDGER_PATH_MAX + 16];
    char to[LEDGER_PATH_MAX + 16];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged%s", path, suffixes[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            LOG_ERROR("a damaged file cannot be renamed", LOG_CSTR("file", from),
                      LOG_CSTR("reason", strerror(errno)));
        }
    }
    LOG_ERROR("a damaged file was set aside as FILE.damaged; a new one takes its place",
              LOG_CSTR("file", path));
}

void
ledger_database_close(sqlite3 **database)
{
    if (*database != NULL) {
        for (sqlite3_stmt *s; (s = sqlite3_next_stmt(*database, NULL)) != NULL;) {
            sqlite3_finalize(s);
        }
        sqlite3_close(*database);
        *database = NULL;
    }
}
