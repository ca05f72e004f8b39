/* Reading the accounts for aggregate reports, with a connection of one's own. */
#include <stdio.h>
#include <unistd.h>

#include "store/ledger_database.h"
#include "store/ledger_reports.h"

static const char query_text[] = "SELECT day, domain, key, line, count FROM observation"
                                 " WHERE day BETWEEN ?1 AND ?2 AND (?3 = '' OR domain = ?3) AND "
                                 "(day, domain, key) > (?4, ?5, ?6)"
                                 " ORDER BY day, domain, key LIMIT ?7";

static const struct ledger_schema schema = {NULL, REPORTS_SCHEMA_VERSION};

static void
bind_query(sqlite3_stmt *statement, const struct reports_query *query)
{
    static const struct reports_row before_all = {.day = INT64_MIN};
    const struct reports_row *after = query->after != NULL ? query->after : &before_all;
    sqlite3_bind_int64(statement, 1, query->from_day);
    sqlite3_bind_int64(statement, 2, query->to_day);
    ledger_bind_text(statement, 3, query->domain);
    sqlite3_bind_int64(statement, 4, after->day);
    ledger_bind_text(statement, 5, after->domain);
    sqlite3_bind_int64(statement, 6, after->key);
    sqlite3_bind_int64(statement, 7,
                       query->limit < REPORTS_PAGE_MAX ? query->limit : REPORTS_PAGE_MAX);
}

static enum status
take_row(sqlite3_stmt *statement, struct arena *arena, struct reports_row *row)
{
    *row = (struct reports_row){
        .day = sqlite3_column_int64(statement, 0),
        .domain = arena_str_dup(arena, ledger_column(statement, 1)),
        .key = sqlite3_column_int64(statement, 2),
        .line = arena_str_dup(arena, ledger_column(statement, 3)),
        .count = (uint64_t)sqlite3_column_int64(statement, 4),
    };
    return row->domain.p != NULL && row->line.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

static enum status
read_rows(sqlite3 *database, const struct reports_query *query, struct arena *arena,
          struct reports_row *rows, size_t *count_out)
{
    sqlite3_stmt *statement;
    size_t n = 0;
    int code = SQLITE_DONE;
    enum status status = ledger_prepare(database, query_text, &statement);
    if (status != STATUS_OK) {
        return status;
    }
    bind_query(statement, query);
    while (status == STATUS_OK && n < REPORTS_PAGE_MAX &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = take_row(statement, arena, &rows[n]);
        n += status == STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = ledger_status(database, code);
    }
    sqlite3_finalize(statement);
    *count_out = n;
    return status;
}

enum status
reports_find(const char *directory, const struct reports_query *query, struct arena *arena,
             const struct reports_row **rows_out, size_t *count_out)
{
    char path[LEDGER_PATH_MAX];
    sqlite3 *database;
    size_t count = 0;
    struct reports_row *rows = arena_alloc_array(arena, REPORTS_PAGE_MAX, sizeof *rows);
    int n = snprintf(path, sizeof path, "%s/reports.db", directory);
    if (rows == NULL || n < 0 || (size_t)n >= sizeof path) {
        return STATUS_LIMIT;
    }
    enum status status = STATUS_OK;
    if (access(path, F_OK) == 0) {
        status = ledger_database_open(path, LEDGER_READ_ONLY, &schema, &database);
        if (status == STATUS_OK) {
            status = read_rows(database, query, arena, rows, &count);
            ledger_database_close(&database);
        }
    }
    if (status == STATUS_OK) {
        *rows_out = rows;
        *count_out = count;
    }
    return status;
}
