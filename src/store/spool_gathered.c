/* Failures that are told together. */
#include "store/spool_internal.h"

enum status
spool_gather(struct spool *spool, struct str text, bool cut)
{
    sqlite3_stmt *s =
        spool_statement(spool, text.n > 0 ? SPOOL_SQL_GATHER : SPOOL_SQL_GATHER_COUNT);
    if (s == NULL) {
        return STATUS_IO;
    }
    if (text.n > 0) {
        sqlite3_bind_int(s, 1, cut);
        spool_bind_str(s, 2, text);
    }
    return spool_run(spool, s);
}

enum status
spool_gathered(struct spool *spool, struct arena *arena, size_t most, struct spool_gathered *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_GATHERED);
    struct spool_gathered all = {0};
    char *list = arena_alloc(arena, most + 1);
    size_t n = 0;
    int code = SQLITE_DONE;
    if (s == NULL) {
        return STATUS_IO;
    }
    if (list == NULL) {
        return STATUS_LIMIT;
    }
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        struct str text = spool_column_view(s, 3);
        uint64_t messages = (uint64_t)sqlite3_column_int64(s, 1);
        if (text.n > most - n) {
            code = SQLITE_DONE;
            break;
        }
        memcpy(list + n, text.p != NULL ? text.p : "", text.n);
        n += text.n;
        all.messages += messages;
        all.unlisted += text.n == 0 ? messages : 0;
        all.cut |= sqlite3_column_int(s, 2) != 0;
        all.last = sqlite3_column_int64(s, 0);
    }
    all.text = str_make(list, n);
    enum status status = spool_done(spool, s, code);
    if (status == STATUS_OK) {
        *out = all;
    }
    return status;
}

enum status
spool_gathered_forget(struct spool *spool, const struct spool_gathered *told)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_GATHERED_DELETE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, told->last);
    enum status status = spool_run(spool, s);
    if (status != STATUS_OK || told->unlisted == 0) {
        return status;
    }
    s = spool_statement(spool, SPOOL_SQL_GATHERED_UNCOUNT);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, (int64_t)told->unlisted);
    return spool_run(spool, s);
}
