/*
 * ledger_database.h - what the ledger's databases (users, traces) and the vault's have in common:
 * opening an SQLite file, its schema version, statements.
 *
 * A connection is used by one thread. Errors of SQLite are logged here with their text, so callers
 * only pass the status on: STATUS_LIMIT: no room on the disk; STATUS_SYNTAX: the file is damaged or
 * no database; STATUS_DENIED: its schema is of a later version of the program; STATUS_IO: the rest.
 */
#ifndef POSTERN_STORE_LEDGER_DATABASE_H
#define POSTERN_STORE_LEDGER_DATABASE_H

#include <sqlite3.h>

#include "base/str.h"

/* Longest path of a database file with its NUL. */
#define LEDGER_PATH_MAX 4096u

/* Steps from one schema version to the next: steps[0] makes version 1 of an empty file. */
struct ledger_schema {
    const char *const *steps; /* SQL */
    int version;              /* how many there are */
};

enum ledger_durability {
    LEDGER_DURABLE,   /* a commit survives a power cut (synchronous=FULL) */
    LEDGER_BATCHED,   /* a power cut may lose the last commits, never the file (NORMAL) */
    LEDGER_READ_ONLY, /* nothing is changed; the file must exist and have this schema version */
};

/*
 * Opens the file, makes it if it is not there, checks it quickly and brings its schema up to date
 * in one transaction. The caller closes with ledger_database_close.
 */
[[nodiscard]] enum status ledger_database_open(const char *path, enum ledger_durability durability,
                                               const struct ledger_schema *schema,
                                               sqlite3 **database_out);
void ledger_database_close(sqlite3 **database);
/*
 * Renames a damaged file, and what SQLite keeps beside it, to FILE.damaged, and says so in the log.
 * For files whose loss is better than to stand still. None may be open.
 */
void ledger_database_set_aside(const char *path);
/*
 * Reads the whole file once and says whether it is sound; for small files, so that what needs them
 * later does not meet damage then. Logs what is wrong. STATUS_SYNTAX: it is damaged.
 */
[[nodiscard]] enum status ledger_database_check(sqlite3 *database);

/* Runs SQL without parameters and results. */
[[nodiscard]] enum status ledger_exec(sqlite3 *database, const char *sql);
/* Prepares a statement that lives as long as its connection. */
[[nodiscard]] enum status ledger_prepare(sqlite3 *database, const char *sql,
                                         sqlite3_stmt **statement_out);
/* A statement that is prepared when its file is opened, and where it is kept. */
struct ledger_statement {
    sqlite3_stmt **statement;
    const char *sql;
};
/* Prepares `count` of them, as ledger_prepare; up to the first that fails. */
[[nodiscard]] enum status ledger_prepare_all(sqlite3 *database, const struct ledger_statement *rows,
                                             size_t count);
/* What a result code of SQLite means; logs errors. SQLITE_ROW and SQLITE_DONE are STATUS_OK. */
enum status ledger_status(sqlite3 *database, int code);
/* Steps a statement without results to its end and resets it. */
[[nodiscard]] enum status ledger_run(sqlite3_stmt *statement);

/* Parameters, from 1. Texts must live until the statement is reset. */
void ledger_bind_text(sqlite3_stmt *statement, int number, struct str text);
void ledger_bind_octets(sqlite3_stmt *statement, int number, struct str octets);
/* A column of the row, text or blob; borrowed until the next step. */
struct str ledger_column(sqlite3_stmt *statement, int number);
/* Copies a column as a text with NUL; false when it is empty, has a NUL, or `room` is too small. */
[[nodiscard]] bool ledger_column_text(sqlite3_stmt *statement, int number, char *text, size_t room);

#endif
