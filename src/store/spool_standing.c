/* How destinations stand: pauses, and a walk over all who wait. */
#include "store/spool_internal.h"

enum status
spool_pause_put(struct spool *spool, const struct spool_pause *pause)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_PAUSE_PUT);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, pause->name);
    sqlite3_bind_int64(s, 2, pause->since_ms);
    spool_bind_str(s, 3, pause->by);
    return spool_run(spool, s);
}

enum status
spool_pause_delete(struct spool *spool, struct str name)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_PAUSE_DELETE);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, name);
    return spool_run(spool, s);
}

enum status
spool_pauses(struct spool *spool, struct arena *arena, struct spool_pause *items, size_t *count_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_PAUSES);
    size_t n = 0;
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, SPOOL_PAUSES_MAX);
    while ((code = sqlite3_step(s)) == SQLITE_ROW && n < SPOOL_PAUSES_MAX) {
        items[n].since_ms = sqlite3_column_int64(s, 1);
        if (!spool_column_str(s, 0, arena, &items[n].name) ||
            !spool_column_str(s, 2, arena, &items[n].by)) {
            (void)spool_done(spool, s, SQLITE_OK);
            return STATUS_LIMIT;
        }
        n++;
    }
    *count_out = n;
    return spool_done(spool, s, code);
}

enum status
spool_standing(struct spool *spool, struct spool_standing_walk *walk, spool_standing_row *on_row,
               void *context)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_STANDING);
    size_t rows = 0;
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, walk->message);
    sqlite3_bind_int64(s, 2, walk->number);
    sqlite3_bind_int64(s, 3, SPOOL_PAGE_ROWS);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const struct spool_standing row = {
            .destination = spool_column_view(s, 2),
            .state = (enum spool_state)sqlite3_column_int(s, 3),
            .code = (uint16_t)sqlite3_column_int(s, 4),
            .enhanced = spool_column_view(s, 5),
            .text = spool_column_view(s, 6),
            .queued_ms = sqlite3_column_int64(s, 7),
            .last_ms = sqlite3_column_int64(s, 8),
            .address = spool_column_view(s, 9),
            .rerouted = sqlite3_column_int(s, 10) != 0,
        };
        walk->message = sqlite3_column_int64(s, 0);
        walk->number = sqlite3_column_int64(s, 1);
        rows++;
        if (!spool_state_is_final(row.state)) {
            on_row(context, &row);
        }
    }
    walk->end = rows < SPOOL_PAGE_ROWS;
    return spool_done(spool, s, code);
}
