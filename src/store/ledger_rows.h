/*
 * ledger_rows.h - the rows of the newest segment that were used last, in memory.
 *
 * The parts of a message come from several roles within a moment. With its row in memory a part
 * needs no SELECT, and a row is written once a transaction, however many parts it takes in it.
 * Memory is never ahead of the database but by the rows that are changed, which the writer writes
 * before it commits; when a transaction fails, it forgets all. No SQL is in here. One thread.
 */
#ifndef POSTERN_STORE_LEDGER_ROWS_H
#define POSTERN_STORE_LEDGER_ROWS_H

#include <uthash.h>

#include "store/ledger_summary.h"

/* Rows in memory, about 2.6 KB each: those of two seconds at a thousand messages a second. */
#define ROWS_MAX         4096u
/* Rows that wait to be written. */
#define ROWS_CHANGED_MAX 1024u
/* Parts and recipients of a row that are remembered; of others the database is asked. */
#define ROW_PARTS        8u
#define ROW_RECIPIENTS   4u

struct row {
    UT_hash_handle hh; /* by summary.id */
    bool is_used;
    bool is_new;        /* not in the database yet */
    bool is_late;       /* of a new one: its message began in an older segment */
    bool is_changed;    /* the database has an older state of it, or none */
    bool index_changed; /* ... and one of the columns with an index */
    bool knows_parts;   /* it has no parts but those in `parts` */
    uint8_t part_count;
    uint8_t recipient_count;
    int64_t number;                      /* `n` in the database */
    int64_t parts[ROW_PARTS];            /* their hashes */
    uint64_t recipients[ROW_RECIPIENTS]; /* hashes of those that the index has */
    struct summary summary;
};

struct rows;

/* NULL without memory. */
[[nodiscard]] struct rows *rows_create(void);
void rows_destroy(struct rows **rows);

/* Forgets all: a segment is begun or opened whose last id this is, "" when it has none. */
void rows_begin(struct rows *rows, struct str last_id);
/* Forgets all: what was changed is not in the database, and will not be. */
void rows_forget(struct rows *rows);

/* The row of an id of ID_LENGTH; NULL: it is not in memory. Valid until rows_add. */
struct row *rows_find(struct rows *rows, struct str id);
/* Whether the database can have a row of an id that is not in memory. */
bool rows_may_be_stored(const struct rows *rows, struct str id);

/* True when the changed rows must be written before rows_add or rows_change. */
bool rows_is_full(const struct rows *rows);
/* A row for an id that has none, empty but for it; the oldest one makes room. */
struct row *rows_add(struct rows *rows, struct str id);
/* The row is among the changed ones from now on. */
void rows_change(struct rows *rows, struct row *row);
/* Takes the first of the changed rows, in the order of rows_change; NULL: there are no more. */
struct row *rows_next_changed(struct rows *rows);

/* Whether a part is known to be there. */
bool row_has_part(const struct row *row, int64_t hash);
void row_add_part(struct row *row, int64_t hash);
/* False when the recipient is in the index already; else it is remembered that it will be. */
bool row_add_recipient(const struct rows *rows, struct row *row, struct str address);

#endif
