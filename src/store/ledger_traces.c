#include "store/ledger_traces.h"

#include <sodium.h>

#include "base/log.h"
#include "store/ledger_traces_internal.h"

/* A row on its way: new ones are inserted, others updated. */
struct change {
    struct trace_store *store;
    struct summary summary;
    struct summary before; /* to see whether indexed columns change */
    int64_t row;
    bool is_new;
    bool is_late;
    enum status status; /* of inserting recipients */
};

static void
on_recipient(void *context, struct str address)
{
    struct change *change = context;
    sqlite3_stmt *statement = change->store->insert_recipient;
    if (change->is_late || change->status != STATUS_OK) {
        return; /* found through the row in its own segment */
    }
    ledger_bind_text(statement, 1, address);
    sqlite3_bind_int64(statement, 2, change->row);
    change->status = ledger_run(statement);
}

static void
bind_state(sqlite3_stmt *s, const struct change *change)
{
    const struct summary *summary = &change->summary;
    sqlite3_bind_int64(s, 1, change->row);
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
bind_indexed(sqlite3_stmt *s, const struct change *change)
{
    static const struct ip_address none;
    const struct summary *summary = &change->summary;
    struct str client = {(const char *)summary->client.octets, sizeof summary->client.octets};
    ledger_bind_text(s, 13, str_from_cstr(summary->session));
    ledger_bind_octets(s, 14, ip_eq(&summary->client, &none) ? STR("") : client);
    ledger_bind_text(s, 15, summary_str(&summary->sender));
    ledger_bind_text(s, 16, summary_str(&summary->message_id));
}

static bool
indexed_columns_differ(const struct summary *a, const struct summary *b)
{
    return strcmp(a->session, b->session) != 0 || !ip_eq(&a->client, &b->client) ||
           !str_eq(summary_str(&a->sender), summary_str(&b->sender)) ||
           !str_eq(summary_str(&a->message_id), summary_str(&b->message_id));
}

static enum status
write_row(struct change *change)
{
    struct trace_store *store = change->store;
    if (!change->is_new && !indexed_columns_differ(&change->summary, &change->before)) {
        bind_state(store->update_state, change);
        return ledger_run(store->update_state);
    }
    sqlite3_stmt *s = change->is_new ? store->insert_row : store->update_row;
    bind_state(s, change);
    bind_indexed(s, change);
    if (change->is_new) {
        sqlite3_bind_int(s, 17, change->is_late);
        ledger_bind_text(s, 18, str_from_cstr(change->summary.id));
    }
    return ledger_run(s);
}

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
part_is_there(struct trace_store *store, int64_t row, int64_t hash)
{
    sqlite3_bind_int64(store->find_part, 1, row);
    sqlite3_bind_int64(store->find_part, 2, hash);
    bool found = sqlite3_step(store->find_part) == SQLITE_ROW;
    sqlite3_reset(store->find_part);
    return found;
}

static enum status
write_part(struct trace_store *store, int64_t row, int64_t hash, struct str events)
{
    sqlite3_bind_int64(store->insert_part, 1, store->next_part);
    sqlite3_bind_int64(store->insert_part, 2, row);
    sqlite3_bind_int64(store->insert_part, 3, hash);
    ledger_bind_octets(store->insert_part, 4, events);
    enum status status = ledger_run(store->insert_part);
    if (status == STATUS_OK) {
        store->next_part++;
        store->counts.parts++;
    }
    return status;
}

/* Finds the row of the id, or the one it had in an older segment, or prepares a new one. */
static enum status
find_row(struct change *change, struct str id, struct str session)
{
    struct trace_store *store = change->store;
    enum status status = segment_row_find(&store->newest, id, &change->row, &change->summary);
    if (status == STATUS_NOT_FOUND) {
        change->is_new = true;
        change->row = store->next_row;
        change->is_late = str_cmp(id, str_from_cstr(store->newest.name)) < 0 &&
                          trace_store_find_old(store, id, &change->summary) == STATUS_OK;
        status = STATUS_OK;
    }
    if (status == STATUS_OK && !change->is_late && change->is_new) {
        change->summary = (struct summary){.change = 0};
        memcpy(change->summary.id, id.p, id.n);
    }
    change->before = change->summary;
    if (change->summary.session[0] == '\0' && session.n > 0) {
        memcpy(change->summary.session, session.p, session.n);
        change->summary.session[session.n] = '\0';
    }
    return status;
}

static enum status
append(struct trace_store *store, struct str id, struct str session, struct str events)
{
    struct change change = {.store = store};
    int64_t hash = hash_of(events);
    enum status status = find_row(&change, id, session);
    if (status == STATUS_OK && !change.is_new && part_is_there(store, change.row, hash)) {
        store->counts.repeated++;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = summary_add(&change.summary, events, on_recipient, &change);
    }
    if (status == STATUS_OK) {
        status = change.status;
    }
    if (status == STATUS_OK) {
        status = write_row(&change);
    }
    if (status == STATUS_OK) {
        status = write_part(store, change.row, hash, events);
    }
    if (status == STATUS_OK && change.is_new) {
        store->next_row++;
        store->counts.rows++;
    }
    return status;
}

static void
undo_batch(struct trace_store *store)
{
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
    enum status status = ledger_exec(store->newest.database, "COMMIT");
    if (status != STATUS_OK) {
        undo_batch(store);
    }
    store->in_batch = false;
    return status;
}
