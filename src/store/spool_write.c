/* Changes of the queue: a message comes in, its recipients are settled, it goes. */
#include <stdlib.h>

#include "store/spool_internal.h"
#include "store/spool_sum.h"

unsigned
spool_rank(enum spool_priority priority)
{
    switch (priority) {
    case SPOOL_PRIORITY_HIGH:
        return 0;
    case SPOOL_PRIORITY_BULK:
        return 2;
    case SPOOL_PRIORITY_NORMAL:
        break;
    }
    return 1;
}

/* Keeps the counts: `sign` is 1 for a recipient that comes into a state, -1 for one that leaves. */
static void
count_state(struct spool *spool, enum spool_state state, int sign)
{
    if (spool_state_is_final(state)) {
        return;
    }
    spool->counts.recipients += sign;
    spool->counts.deferred += state == SPOOL_DEFERRED ? sign : 0;
    spool->counts.held += state == SPOOL_HELD ? sign : 0;
}

/* ---- coming in */

static enum status
insert_row(struct spool *spool, const struct spool_message *m, int64_t key)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGE_INSERT);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    spool_bind_str(s, 2, m->id);
    sqlite3_bind_int64(s, 3, m->received_ms);
    sqlite3_bind_int64(s, 4, m->queued_ms);
    spool_bind_str(s, 5, m->sender);
    sqlite3_bind_int(s, 6, m->ret);
    spool_bind_str(s, 7, m->envid);
    sqlite3_bind_int64(s, 8, m->flags);
    sqlite3_bind_int(s, 9, (int)m->priority);
    spool_bind_str(s, 10, m->hold);
    sqlite3_bind_int64(s, 11, (int64_t)m->size);
    sqlite3_bind_int64(s, 12, (int64_t)m->recipient_count);
    sqlite3_bind_int64(s, 13, (int64_t)m->recipient_count);
    sqlite3_bind_int(s, 14, m->in_file);
    sqlite3_bind_int64(s, 15, m->place.segment);
    sqlite3_bind_int64(s, 16, m->place.block);
    sqlite3_bind_int64(s, 17, (int64_t)m->place.head_size);
    sqlite3_bind_int64(s, 18, (int64_t)m->head_sum);
    sqlite3_bind_int64(s, 19, (int64_t)m->content_sum);
    sqlite3_bind_int64(s, 20, (int64_t)spool_sum_message(m));
    return spool_run(spool, s);
}

static enum status
insert_body(struct spool *spool, const struct spool_message *m, int64_t key)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_BODY_INSERT);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    spool_bind_blob(s, 2, m->head);
    if (m->in_file) {
        sqlite3_bind_null(s, 3);
    } else {
        spool_bind_blob(s, 3, m->content);
    }
    enum status status = spool_run(spool, s);
    sqlite3_clear_bindings(s);
    return status;
}

static enum status
insert_recipient(struct spool *spool, const struct spool_message *m,
                 const struct spool_recipient *r)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENT_INSERT);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, m->key);
    sqlite3_bind_int64(s, 2, r->number);
    spool_bind_str(s, 3, r->address);
    spool_bind_str(s, 4, r->original);
    spool_bind_str(s, 5, r->orcpt);
    sqlite3_bind_int(s, 6, r->notify);
    spool_bind_str(s, 7, r->destination);
    sqlite3_bind_int(s, 8, (int)spool_rank(m->priority));
    sqlite3_bind_int(s, 9, (int)r->state);
    if (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) {
        sqlite3_bind_int64(s, 10, r->due_ms);
    } else {
        sqlite3_bind_null(s, 10);
    }
    sqlite3_bind_int64(s, 11, (int64_t)spool_sum_recipient(m->key, r));
    return spool_run(spool, s);
}

/* The body log has checksums of its own; those of a file come with the message. */
static void
add_sums(struct spool_message *m, bool logged)
{
    if (!logged) {
        m->head_sum = spool_sum(m->head);
        m->content_sum = m->in_file ? m->content_sum : spool_sum(m->content);
    }
}

enum status
spool_insert(struct spool *spool, struct spool_message *message, bool *duplicate_out)
{
    bool logged = bodies_takes(message);
    enum status status = logged ? bodies_append(spool->bodies, message) : STATUS_OK;
    spool->no_room = status == STATUS_LIMIT;
    message->total = (uint32_t)message->recipient_count;
    if (status == STATUS_OK) {
        add_sums(message, logged);
        status = insert_row(spool, message, spool->key_last + 1);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (sqlite3_changes(spool->db) == 0) {
        if (logged) {
            bodies_forget(spool->bodies, message->place, message->size);
        }
        *duplicate_out = true;
        return spool_find(spool, message->id, &message->key);
    }
    message->key = ++spool->key_last;
    status = logged ? STATUS_OK : insert_body(spool, message, message->key);
    for (size_t i = 0; status == STATUS_OK && i < message->recipient_count; i++) {
        status = insert_recipient(spool, message, &message->recipients[i]);
        count_state(spool, message->recipients[i].state, 1);
    }
    spool->counts.messages++;
    spool->counts.bytes += (int64_t)message->size;
    spool->large_bytes += message->in_file ? (int64_t)message->size : 0;
    *duplicate_out = false;
    return status;
}

/* ---- going */

static void
count_end(struct spool_end *end, enum spool_state state)
{
    end->delivered += state == SPOOL_DELIVERED || state == SPOOL_RELAYED;
    end->failed += state == SPOOL_FAILED || state == SPOOL_EXPIRED;
}

static enum status
delete_recipients(struct spool *spool, int64_t key, struct spool_end *end)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENTS_DELETE);
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        enum spool_state state = (enum spool_state)sqlite3_column_int(s, 0);
        count_state(spool, state, -1);
        count_end(end, state);
    }
    return spool_done(spool, s, code);
}

static void
doom_file(struct spool *spool, struct str id)
{
    struct spool_doomed *doomed = calloc(1, sizeof *doomed);
    if (doomed == NULL || id.n > ID_LENGTH) {
        free(doomed);
        return; /* the sweep at start finds it */
    }
    memcpy(doomed->id, id.p, id.n);
    doomed->next = spool->doomed;
    spool->doomed = doomed;
}

/* *logged_out: its octets were in the body log. */
static enum status
delete_message(struct spool *spool, int64_t key, bool *logged_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGE_DELETE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    int code = sqlite3_step(s);
    if (code != SQLITE_ROW) {
        return spool_done(spool, s, code);
    }
    int64_t size = sqlite3_column_int64(s, 0);
    spool->counts.messages--;
    spool->counts.damaged -= sqlite3_column_int(s, 5) != 0;
    spool->counts.bytes -= size;
    if (sqlite3_column_int(s, 1) != 0) {
        spool->large_bytes -= size;
        doom_file(spool, str_from_cstr((const char *)sqlite3_column_text(s, 2)));
    }
    struct spool_place place = {.segment = sqlite3_column_int64(s, 3),
                                .block = (uint32_t)sqlite3_column_int64(s, 4)};
    *logged_out = place.segment != 0;
    if (*logged_out) {
        bodies_forget(spool->bodies, place, (uint64_t)size);
    }
    return spool_done(spool, s, sqlite3_step(s));
}

static enum status
delete_all(struct spool *spool, int64_t key, struct spool_end *end)
{
    bool logged = false;
    enum status status = delete_recipients(spool, key, end);
    if (status == STATUS_OK) {
        status = delete_message(spool, key, &logged);
    }
    end->gone = true;
    if (status != STATUS_OK || logged) {
        return status;
    }
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_BODY_DELETE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    return spool_run(spool, s);
}

/* ---- settling */

/* The state now; STATUS_NOT_FOUND when there is no such recipient (any more). */
static enum status
recipient_state(struct spool *spool, int64_t key, uint32_t number, enum spool_state *state_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENT_STATE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int64(s, 2, number);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *state_out = (enum spool_state)sqlite3_column_int(s, 0);
    }
    enum status status = spool_done(spool, s, code);
    return status == STATUS_OK && code != SQLITE_ROW ? STATUS_NOT_FOUND : status;
}

static enum status
update_recipient(struct spool *spool, int64_t key, const struct spool_result *r)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENT_SETTLE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int64(s, 2, r->number);
    sqlite3_bind_int(s, 3, (int)r->state);
    if (r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED) {
        sqlite3_bind_int64(s, 4, r->due_ms);
    } else {
        sqlite3_bind_null(s, 4);
    }
    sqlite3_bind_int64(s, 5, r->attempts);
    sqlite3_bind_int(s, 6, r->warned);
    sqlite3_bind_int64(s, 7, r->last.at_ms);
    sqlite3_bind_int(s, 8, r->last.code);
    spool_bind_str(s, 9, r->last.enhanced);
    spool_bind_str(s, 10, str_head(r->last.text, SPOOL_REPLY_TEXT_MAX));
    spool_bind_str(s, 11, r->last.remote);
    return spool_run(spool, s);
}

/* Takes the recipients that became final off the message; *left_out is how many are not. */
static enum status
message_pending(struct spool *spool, int64_t key, int64_t finals, int64_t *left_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGE_PENDING);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int64(s, 2, finals);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *left_out = sqlite3_column_int64(s, 0);
        code = sqlite3_step(s);
    }
    return spool_done(spool, s, code);
}

static bool
settles_all(uint32_t total, const struct spool_result *results, size_t count)
{
    if (count != total) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!spool_state_is_final(results[i].state)) {
            return false;
        }
    }
    return true;
}

enum status
spool_settle(struct spool *spool, int64_t key, uint32_t total, const struct spool_result *results,
             size_t count, struct spool_end *end_out)
{
    int64_t finals = 0;
    int64_t left = 1;
    *end_out = (struct spool_end){0};
    if (settles_all(total, results, count)) {
        for (size_t i = 0; i < count; i++) {
            count_end(end_out, results[i].state);
        }
        return delete_all(spool, key, end_out);
    }
    for (size_t i = 0; i < count; i++) {
        enum spool_state before;
        enum status status = recipient_state(spool, key, results[i].number, &before);
        if (status == STATUS_NOT_FOUND || (status == STATUS_OK && spool_state_is_final(before))) {
            continue;
        }
        if (status == STATUS_OK) {
            status = update_recipient(spool, key, &results[i]);
        }
        if (status != STATUS_OK) {
            return status;
        }
        count_state(spool, before, -1);
        count_state(spool, results[i].state, 1);
        finals += spool_state_is_final(results[i].state);
    }
    enum status status = finals > 0 ? message_pending(spool, key, finals, &left) : STATUS_OK;
    return status == STATUS_OK && left <= 0 ? delete_all(spool, key, end_out) : status;
}

enum status
spool_rehome(struct spool *spool, int64_t key, const struct spool_recipient *recipient)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENT_REHOME);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int64(s, 2, recipient->number);
    spool_bind_str(s, 3, recipient->destination);
    sqlite3_bind_int(s, 4, recipient->rerouted);
    sqlite3_bind_int64(s, 5, (int64_t)spool_sum_recipient(key, recipient));
    return spool_run(spool, s);
}

enum status
spool_mark_message(struct spool *spool, int64_t key, bool damaged)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGE_DAMAGED);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int(s, 2, damaged);
    enum status status = spool_run(spool, s);
    if (status == STATUS_OK && sqlite3_changes(spool->db) > 0) {
        spool->counts.damaged += damaged ? 1 : -1;
    }
    return status;
}
