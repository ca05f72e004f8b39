/* What the queue remembers of destinations: when to look at them, and why one could not be reached.
 */
#include "store/spool_internal.h"

/* ---- failures */

static size_t
copy_text(struct str from, char *to, size_t room)
{
    size_t n = from.n < room ? from.n : room;
    if (n > 0) {
        memcpy(to, from.p, n);
    }
    return n;
}

void
spool_failure_set(struct spool_failure *failure, const struct spool_attempt *attempt)
{
    struct spool_failure *f = failure;
    f->at_ms = attempt->at_ms;
    f->code = attempt->code;
    f->enhanced_n = (uint8_t)copy_text(attempt->enhanced, f->enhanced, sizeof f->enhanced);
    f->text_n = (uint16_t)copy_text(attempt->text, f->text, sizeof f->text);
    f->remote_n = (uint16_t)copy_text(attempt->remote, f->remote, sizeof f->remote);
}

struct spool_attempt
spool_failure_view(const struct spool_failure *failure)
{
    return (struct spool_attempt){
        .at_ms = failure->at_ms,
        .code = failure->code,
        .enhanced = str_make(failure->enhanced, failure->enhanced_n),
        .text = str_make(failure->text, failure->text_n),
        .remote = str_make(failure->remote, failure->remote_n),
    };
}

/* ---- reading */

enum status
spool_destination_get(struct spool *spool, struct str name, struct spool_destination *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_DESTINATION_GET);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, name);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const struct spool_attempt why = {
            .at_ms = sqlite3_column_int64(s, 2),
            .code = (uint16_t)sqlite3_column_int(s, 3),
            .enhanced = spool_column_view(s, 4),
            .text = spool_column_view(s, 5),
            .remote = spool_column_view(s, 6),
        };
        *out = (struct spool_destination){.name = name,
                                          .look_ms = sqlite3_column_int64(s, 0),
                                          .failures = (uint32_t)sqlite3_column_int64(s, 1)};
        spool_failure_set(&out->failure, &why);
    }
    enum status status = spool_done(spool, s, code);
    return status == STATUS_OK && code != SQLITE_ROW ? STATUS_NOT_FOUND : status;
}

enum status
spool_destinations_due(struct spool *spool, struct arena *arena,
                       const struct spool_destination *cursor, int64_t now_ms, size_t limit,
                       struct spool_destination_list *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_DESTINATIONS_DUE);
    struct spool_destination *items = arena_alloc_array(arena, limit, sizeof *items);
    size_t n = 0;
    int code;
    if (s == NULL || items == NULL) {
        return s == NULL ? STATUS_IO : STATUS_LIMIT;
    }
    sqlite3_bind_int64(s, 1, cursor->look_ms);
    spool_bind_str(s, 2, cursor->name);
    sqlite3_bind_int64(s, 3, now_ms);
    sqlite3_bind_int64(s, 4, (int64_t)limit);
    while ((code = sqlite3_step(s)) == SQLITE_ROW && n < limit) {
        items[n].failure.at_ms = 0;
        items[n].look_ms = sqlite3_column_int64(s, 1);
        items[n].failures = (uint32_t)sqlite3_column_int64(s, 2);
        if (!spool_column_str(s, 0, arena, &items[n++].name)) {
            (void)spool_done(spool, s, SQLITE_OK);
            return STATUS_LIMIT;
        }
    }
    *out = (struct spool_destination_list){items, n};
    return spool_done(spool, s, code);
}

/* ---- changes */

static enum status
run_destination(struct spool *spool, enum spool_statement which, struct str name, int64_t look_ms,
                uint32_t failures)
{
    sqlite3_stmt *s = spool_statement(spool, which);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, name);
    if (which != SPOOL_SQL_DESTINATION_DELETE) {
        sqlite3_bind_int64(s, 2, look_ms);
    }
    if (which == SPOOL_SQL_DESTINATION_PUT) {
        sqlite3_bind_int64(s, 3, failures);
    }
    return spool_run(spool, s);
}

enum status
spool_destination_wake(struct spool *spool, struct str name, int64_t look_ms)
{
    return run_destination(spool, SPOOL_SQL_DESTINATION_WAKE, name, look_ms, 0);
}

enum status
spool_destination_put(struct spool *spool, struct str name, int64_t look_ms, uint32_t failures)
{
    return run_destination(spool, SPOOL_SQL_DESTINATION_PUT, name, look_ms, failures);
}

enum status
spool_destination_failed(struct spool *spool, struct str name, int64_t look_ms,
                         const struct spool_failure *failure)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_DESTINATION_FAILED);
    const struct spool_attempt why = spool_failure_view(failure);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, name);
    sqlite3_bind_int64(s, 2, look_ms);
    sqlite3_bind_int64(s, 3, why.at_ms);
    sqlite3_bind_int(s, 4, why.code);
    spool_bind_str(s, 5, why.enhanced);
    spool_bind_str(s, 6, why.text);
    spool_bind_str(s, 7, why.remote);
    return spool_run(spool, s);
}

enum status
spool_destination_delete(struct spool *spool, struct str name)
{
    return run_destination(spool, SPOOL_SQL_DESTINATION_DELETE, name, 0, 0);
}
