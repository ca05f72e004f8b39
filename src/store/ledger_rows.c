#include "store/ledger_rows.h"

#include <sodium.h>
#include <stdlib.h>

struct rows {
    struct row *by_id;
    size_t next; /* the slot that is filled next: the oldest row, or an empty one */
    /* The last id that the database can have while memory does not; "": it has none of those. */
    char last_unknown[ID_LENGTH + 1];
    struct row *changed[ROWS_CHANGED_MAX];
    size_t changed_count;
    size_t taken; /* of the changed ones, by rows_next_changed */
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct row slots[ROWS_MAX];
};

struct rows *
rows_create(void)
{
    struct rows *rows = calloc(1, sizeof *rows);
    if (rows != NULL) {
        random_bytes(rows->key, sizeof rows->key);
    }
    return rows;
}

void
rows_destroy(struct rows **rows)
{
    if (*rows != NULL) {
        HASH_CLEAR(hh, (*rows)->by_id);
        free(*rows);
        *rows = NULL;
    }
}

/* ---- forgetting */

static void
note_unknown(struct rows *rows, struct str id)
{
    if (str_cmp(id, str_from_cstr(rows->last_unknown)) > 0) {
        memcpy(rows->last_unknown, id.p, ID_LENGTH);
    }
}

static void
drop(struct rows *rows, struct row *row)
{
    if (row->is_used) {
        note_unknown(rows, str_from_cstr(row->summary.id));
        HASH_DEL(rows->by_id, row);
        row->is_used = false;
    }
}

void
rows_forget(struct rows *rows)
{
    for (size_t i = 0; i < ROWS_MAX; i++) {
        drop(rows, &rows->slots[i]);
    }
    rows->next = 0;
    rows->changed_count = 0;
    rows->taken = 0;
}

void
rows_begin(struct rows *rows, struct str last_id)
{
    rows_forget(rows);
    memset(rows->last_unknown, 0, sizeof rows->last_unknown);
    if (last_id.n == ID_LENGTH) {
        note_unknown(rows, last_id);
    }
}

/* ---- rows */

struct row *
rows_find(struct rows *rows, struct str id)
{
    struct row *row;
    HASH_FIND(hh, rows->by_id, id.p, ID_LENGTH, row);
    return row;
}

bool
rows_may_be_stored(const struct rows *rows, struct str id)
{
    return str_cmp(id, str_from_cstr(rows->last_unknown)) <= 0;
}

bool
rows_is_full(const struct rows *rows)
{
    const struct row *oldest = &rows->slots[rows->next];
    return rows->changed_count == ROWS_CHANGED_MAX || (oldest->is_used && oldest->is_changed);
}

struct row *
rows_add(struct rows *rows, struct str id)
{
    struct row *row = &rows->slots[rows->next];
    rows->next = (rows->next + 1) % ROWS_MAX;
    drop(rows, row);
    memset(row, 0, sizeof *row);
    row->is_used = true;
    memcpy(row->summary.id, id.p, ID_LENGTH);
    HASH_ADD(hh, rows->by_id, summary.id, ID_LENGTH, row);
    return row;
}

void
rows_change(struct rows *rows, struct row *row)
{
    if (!row->is_changed) {
        row->is_changed = true;
        rows->changed[rows->changed_count++] = row;
    }
}

struct row *
rows_next_changed(struct rows *rows)
{
    if (rows->taken == rows->changed_count) {
        rows->taken = 0;
        rows->changed_count = 0;
        return NULL;
    }
    return rows->changed[rows->taken++];
}

/* ---- what belongs to a row */

bool
row_has_part(const struct row *row, int64_t hash)
{
    for (size_t i = 0; i < row->part_count; i++) {
        if (row->parts[i] == hash) {
            return true;
        }
    }
    return false;
}

void
row_add_part(struct row *row, int64_t hash)
{
    if (row->part_count < ROW_PARTS) {
        row->parts[row->part_count++] = hash;
    } else {
        row->knows_parts = false;
    }
}

bool
row_add_recipient(const struct rows *rows, struct row *row, struct str address)
{
    /* Keyed, so that nobody can make addresses that are taken for another and not found. */
    uint64_t hash;
    uint8_t octets[crypto_shorthash_BYTES];
    crypto_shorthash(octets, (const unsigned char *)address.p, address.n, rows->key);
    memcpy(&hash, octets, sizeof hash);
    for (size_t i = 0; i < row->recipient_count; i++) {
        if (row->recipients[i] == hash) {
            return false;
        }
    }
    if (row->recipient_count < ROW_RECIPIENTS) {
        row->recipients[row->recipient_count++] = hash;
    }
    return true;
}
