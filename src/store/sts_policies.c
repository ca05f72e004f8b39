#include "store/sts_policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/ledger_database.h"

#define FILE_NAME "mta-sts.db"

static const char *const steps[] = {
    "CREATE TABLE policy ("
    "  domain TEXT PRIMARY KEY NOT NULL,"
    "  used_s INTEGER NOT NULL,"
    "  row BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX policy_used ON policy (used_s);",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};

struct sts_policies {
    char path[LEDGER_PATH_MAX];
    sqlite3 *database;
    sqlite3_stmt *put;
    sqlite3_stmt *remove;
    sqlite3_stmt *all;
    sqlite3_stmt *doomed;
};

/* ---- the file */

static enum status
prepare_all(struct sts_policies *policies)
{
    const struct ledger_statement rows[] = {
        {&policies->put, "INSERT OR REPLACE INTO policy VALUES (?1, ?2, ?3)"},
        {&policies->remove, "DELETE FROM policy WHERE domain = ?1"},
        {&policies->all, "SELECT domain, row FROM policy ORDER BY used_s DESC LIMIT ?1"},
        {&policies->doomed, "INSERT OR IGNORE INTO temp.doomed VALUES (?1)"},
    };
    enum status status =
        ledger_exec(policies->database, "CREATE TEMP TABLE doomed (domain TEXT PRIMARY KEY)");
    return status == STATUS_OK
               ? ledger_prepare_all(policies->database, rows, sizeof rows / sizeof rows[0])
               : status;
}

static enum status
open_file(struct sts_policies *policies)
{
    enum status status =
        ledger_database_open(policies->path, LEDGER_BATCHED, &schema, &policies->database);
    if (status == STATUS_OK) {
        status = ledger_database_check(policies->database);
    }
    if (status == STATUS_OK) {
        status = prepare_all(policies);
    }
    if (status != STATUS_OK) {
        ledger_database_close(&policies->database);
    }
    return status;
}

enum status
sts_policies_open(const char *directory, struct sts_policies **policies_out)
{
    struct sts_policies *policies = calloc(1, sizeof *policies);
    if (policies == NULL) {
        return STATUS_LIMIT;
    }
    int n = snprintf(policies->path, sizeof policies->path, "%s/" FILE_NAME, directory);
    enum status status =
        n > 0 && (size_t)n < sizeof policies->path ? open_file(policies) : STATUS_LIMIT;
    if (status == STATUS_SYNTAX) {
        ledger_database_set_aside(policies->path);
        status = open_file(policies);
    }
    if (status != STATUS_OK) {
        free(policies);
        return status;
    }
    *policies_out = policies;
    return STATUS_OK;
}

void
sts_policies_close(struct sts_policies **policies)
{
    if (*policies != NULL) {
        ledger_database_close(&(*policies)->database);
        free(*policies);
        *policies = NULL;
    }
}

/* ---- rows */

enum status
sts_policies_put(struct sts_policies *policies, struct str domain, struct str row, int64_t used_s)
{
    ledger_bind_text(policies->put, 1, domain);
    sqlite3_bind_int64(policies->put, 2, used_s);
    ledger_bind_octets(policies->put, 3, row);
    return ledger_run(policies->put);
}

enum status
sts_policies_remove(struct sts_policies *policies, struct str domain)
{
    ledger_bind_text(policies->remove, 1, domain);
    return ledger_run(policies->remove);
}

static enum status
doom(struct sts_policies *policies, struct str domain)
{
    ledger_bind_text(policies->doomed, 1, domain);
    return ledger_run(policies->doomed);
}

enum status
sts_policies_each(struct sts_policies *policies,
                  bool (*visit)(void *context, struct str domain, struct str row), void *context)
{
    enum status status = STATUS_OK;
    int code = SQLITE_ROW;
    sqlite3_bind_int64(policies->all, 1, STS_POLICIES_MAX);
    while (status == STATUS_OK && (code = sqlite3_step(policies->all)) == SQLITE_ROW) {
        struct str domain = ledger_column(policies->all, 0);
        if (!visit(context, domain, ledger_column(policies->all, 1))) {
            status = doom(policies, domain);
        }
    }
    if (status == STATUS_OK) {
        status = ledger_status(policies->database, code);
    }
    sqlite3_reset(policies->all);
    if (status == STATUS_OK) {
        status = ledger_exec(policies->database,
                             "DELETE FROM policy WHERE domain IN (SELECT domain FROM temp.doomed);"
                             "DELETE FROM temp.doomed");
    }
    return status;
}
