#include "store/ledger_traces.h"

#include <sodium.h>

#include "base/log.h"
#include "store/ledger_traces_internal.h"

/* A part on its way into its row. */
struct taking {
    struct trace_store *store;
    struct row *row;
    bool finds_late;    /* the row is new, and its recipients are found in an older segment */
    enum status status; /* of inserting recipients */
};

static void
on_recipient(void *context, struct str address)
{
    struct taking *taking = context;
    sqlite3_stmt *statement = taking->store->insert_recipient;
    if (taking->finds_late || taking->status != STATUS_OK ||
        !row_add_recipient(taking->store->rows, taking->row, address)) {
        return;
    }
    ledger_bind_text(statement, 1, address);
    sqlite3_bind_int64(statement, 2, taking->row->number);
    taking->status = ledger_run(statement);
}

/* ---- writing rows */

static void
bind_state(sqlite3_stmt *s, const struct row *row)
{
    const struct summary *summary = &row->summary;
    sqlite3_bind_int64(s, 1, row->number);
    sqlite3_bind_int(s, 2, (int)summary->kind);
    sqlite3_bind_int(s, 3, (int)summary->state);
    sqlite3_bind_int64(s, 4, summary->state_ms);
    sqlite3_bind_int64(s, 5, summary->first_ms);
    sqlite3_bind_int64(s, 6, summary->last_ms);
    ledger_bind_text(s, 7, summary_str(&summary->subject));
    ledger_bind_text(s, 8, str_make(summary->recipients.p, summary->recipients.n));
    sqlite3_bind_int64(s, 9, summary->recipient_count);
    sqlite3_bind_int64(s, 10, summary->expected);
    sqlite3_bind_int64(s, 11, summary->delivered);
    sqlite3_bind_int64(s, 12, summary->failed);
}

static void
bind_indexed(sqlite3_stmt *s, const struct row *row)
{
    static const struct ip_address none;
    const struct summary *summary = &row->summary;
    struct str client = {(const char *)summary->client.octets, sizeof summary->client.octets};
    ledger_bind_text(s, 13, str_from_cstr(summary->session));
    ledger_bind_octets(s, 14, ip_eq(&summary->client, &none) ? STR("") : client);
    ledger_bind_text(s, 15, summary_str(&summary->sender));
    ledger_bind_text(s, 16, summary_str(&summary->message_id));
}

static enum status
write_row(struct trace_store *store, const struct row *row)
{
    if (!row->is_new && !row->index_changed) {
        bind_state(store->update_state, row);
        return ledger_run(store->update_state);
    }
    sqlite3_stmt *s = row->is_new ? store->insert_row : store->update_row;
    bind_state(s, row);
    bind_indexed(s, row);
    if (row->is_new) {
        sqlite3_bind_int(s, 17, row->is_late);
        ledger_bind_text(s, 18, str_from_cstr(row->summary.id));
    }
    return ledger_run(s);
}

/* Brings the database to what memory has. */
static enum status
write_rows(struct trace_store *store)
{
    enum status status = STATUS_OK;
    struct row *row;
    while (status == STATUS_OK && (row = rows_next_changed(store->rows)) != NULL) {
        status = write_row(store, row);
        row->is_new = row->is_changed = row->index_changed = false;
    }
    return status;
}

/* ---- parts */

static int64_t
hash_of(struct str events)
{
    static const unsigned char key[crypto_shorthash_KEYBYTES] = "postern's traces";
    uint8_t hash[crypto_shorthash_BYTES];
    int64_t number;
    crypto_shorthash(hash, (const unsigned char *)events.p, events.n, key);
    memcpy(&number, hash, sizeof number);
    return number;
}

static bool
part_is_there(struct trace_store *store, const struct row *row, int64_t hash)
{
    if (row_has_part(row, hash) || row->knows_parts) {
        return row_has_part(row, hash);
    }
    sqlite3_bind_int64(store->find_part, 1, row->number);
    sqlite3_bind_int64(store->find_part, 2, hash);
    bool found = sqlite3_step(store->find_part) == SQLITE_ROW;
    sqlite3_reset(store->find_part);
    return found;
}

static enum status
write_part(struct trace_store *store, struct row *row, int64_t hash, struct str events)
{
    sqlite3_bind_int64(store->insert_part, 1, store->next_part);
    sqlite3_bind_int64(store->insert_part, 2, row->number);
    sqlite3_bind_int64(store->insert_part, 3, hash);
    ledger_bind_octets(store->insert_part, 4, events);
    enum status status = ledger_run(store->insert_part);
    if (status == STATUS_OK) {
        store->next_part++;
        store->counts.parts++;
        row_add_part(row, hash);
    }
    return status;
}

/* A row for a message that has none in this segment, or a copy of that in an older one. */
static void
begin_row(struct taking *taking, struct str id)
{
    struct trace_store *store = taking->store;
    struct row *row = taking->row;
    row->is_new = true;
    row->knows_parts = true;
    row->number = store->next_row++;
    row->is_late = str_cmp(id, str_from_cstr(store->newest.name)) < 0 &&
                   trace_store_find_old(store, id, &row->summary) == STATUS_OK;
    taking->finds_late = row->is_late;
    store->counts.rows++;
}

/* The row of the id: in memory, in the database, or begun. */
static enum status
find_row(struct taking *taking, struct str id)
{
    struct trace_store *store = taking->store;
    taking->row = rows_find(store->rows, id);
    if (taking->row != NULL) {
        return STATUS_OK;
    }
    bool ask = rows_may_be_stored(store->rows, id);
    struct row *row = taking->row = rows_add(store->rows, id);
    enum status status =
        ask ? segment_row_find(&store->newest, id, &row->number, &row->summary) : STATUS_NOT_FOUND;
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    begin_row(taking, id);
    return STATUS_OK;
}

static void
copy_text(struct summary_text *to, const struct summary_text *from)
{
    to->n = from->n;
    memcpy(to->p, from->p, from->n);
}

/* Only what indexed_columns_differ looks at. */
static void
copy_indexed_columns(struct summary *to, const struct summary *from)
{
    memcpy(to->session, from->session, sizeof to->session);
    to->client = from->client;
    copy_text(&to->sender, &from->sender);
    copy_text(&to->message_id, &from->message_id);
}

static bool
indexed_columns_differ(const struct summary *a, const struct summary *b)
{
    return strcmp(a->session, b->session) != 0 || !ip_eq(&a->client, &b->client) ||
           !str_eq(summary_str(&a->sender), summary_str(&b->sender)) ||
           !str_eq(summary_str(&a->message_id), summary_str(&b->message_id));
}

static enum status
change_row(struct taking *taking, struct str session, struct str events)
{
    struct row *row = taking->row;
    struct summary before __attribute__((uninitialized)); /* large, and little of it is used */
    copy_indexed_columns(&before, &row->summary);
    if (row->summary.session[0] == '\0' && session.n > 0) {
        memcpy(row->summary.session, session.p, session.n);
        row->summary.session[session.n] = '\0';
    }
    enum status status = summary_add(&row->summary, events, on_recipient, taking);
    if (!row->is_new && indexed_columns_differ(&row->summary, &before)) {
        row->index_changed = true;
    }
    rows_change(taking->store->rows, row);
    return status == STATUS_OK ? taking->status : status;
}

static enum status
append(struct trace_store *store, struct str id, struct str session, struct str events)
{
    struct taking taking = {.store = store};
    int64_t hash = hash_of(events);
    enum status status = rows_is_full(store->rows) ? write_rows(store) : STATUS_OK;
    if (status == STATUS_OK) {
        status = find_row(&taking, id);
    }
    if (status == STATUS_OK && part_is_there(store, taking.row, hash)) {
        store->counts.repeated++;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = change_row(&taking, session, events);
    }
    return status == STATUS_OK ? write_part(store, taking.row, hash, events) : status;
}

/* What memory knows is of the transaction that is undone, too. */
static void
undo_batch(struct trace_store *store)
{
    rows_forget(store->rows);
    /* An error of SQLite may have rolled back already. */
    if (sqlite3_get_autocommit(store->newest.database) == 0 &&
        ledger_exec(store->newest.database, "ROLLBACK") != STATUS_OK) {
        LOG_ERROR("traces cannot be rolled back");
    }
    store->in_batch = false;
}

enum status
trace_store_append(struct trace_store *store, struct str id, struct str session, struct str events)
{
    enum status status = STATUS_OK;
    if (!segment_name_is_valid(id) || (session.n > 0 && !segment_name_is_valid(session)) ||
        !trace_is_valid(events)) {
        return STATUS_SYNTAX;
    }
    if (!store->in_batch) {
        status = ledger_exec(store->newest.database, "BEGIN");
        store->in_batch = status == STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = append(store, id, session, events);
    }
    if (status != STATUS_OK) {
        undo_batch(store);
        /* Not the caller's octets, but ours on the disk. */
        return status == STATUS_SYNTAX ? STATUS_IO : status;
    }
    return STATUS_OK;
}

enum status
trace_store_commit(struct trace_store *store)
{
    if (!store->in_batch) {
        return STATUS_OK;
    }
    enum status status = write_rows(store);
    if (status == STATUS_OK) {
        status = ledger_exec(store->newest.database, "COMMIT");
    }
    if (status != STATUS_OK) {
        undo_batch(store);
    }
    store->in_batch = false;
    return status;
}
