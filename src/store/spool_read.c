/* Reading the queue: what is due, one message, a page of messages. */
#include "store/spool_internal.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "store/spool_sum.h"

int64_t
spool_oldest_ms(struct spool *spool)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_OLDEST);
    int64_t queued_ms = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return queued_ms;
}

/* ---- states and filters */

static const char *const state_names[SPOOL_STATE_COUNT] = {
    [SPOOL_QUEUED] = "queued",   [SPOOL_DEFERRED] = "deferred",   [SPOOL_HELD] = "held",
    [SPOOL_RELAYED] = "relayed", [SPOOL_DELIVERED] = "delivered", [SPOOL_FAILED] = "failed",
    [SPOOL_EXPIRED] = "expired", [SPOOL_REMOVED] = "removed",     [SPOOL_LEASED] = "leased",
};

const char *
spool_state_name(enum spool_state state)
{
    return (unsigned)state < SPOOL_STATE_COUNT ? state_names[state] : "unknown";
}

unsigned
spool_state_find(struct str name)
{
    unsigned i = 0;
    while (i < SPOOL_STATE_COUNT && !str_eq(name, str_from_cstr(state_names[i]))) {
        i++;
    }
    return i;
}

/* By where it goes, or by its domain, whatever route that has: people know the one or the other. */
static bool
destination_fits(const struct spool_recipient *recipient, struct str pattern)
{
    size_t at = str_rfind_char(recipient->address, '@');
    return str_fits(recipient->destination, pattern) ||
           (at != STR_NPOS && str_fits(str_skip(recipient->address, at + 1), pattern));
}

bool
spool_filter_takes(const struct spool_filter *filter, const struct spool_recipient *recipient)
{
    return (filter->states == 0 || (filter->states & 1u << recipient->state) != 0) &&
           (smtp_address_fits(recipient->address, filter->recipient) ||
            smtp_address_fits(recipient->original, filter->recipient)) &&
           destination_fits(recipient, filter->destination);
}

/* ---- what is due */

static enum status
due_of_rank(struct spool *spool, struct str destination, int64_t now_ms, unsigned rank,
            size_t limit, struct spool_due *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_DUE);
    size_t n = 0;
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, destination);
    sqlite3_bind_int(s, 2, (int)rank);
    sqlite3_bind_int64(s, 3, now_ms);
    sqlite3_bind_int64(s, 4, (int64_t)limit + 1);
    while ((code = sqlite3_step(s)) == SQLITE_ROW && n < limit) {
        out->messages[rank][n++] = sqlite3_column_int64(s, 1);
    }
    out->more = out->more || code == SQLITE_ROW;
    out->count[rank] = n;
    return spool_done(spool, s, code);
}

static enum status
due_next(struct spool *spool, struct str destination, int64_t now_ms, unsigned rank,
         int64_t *next_ms)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_DUE_NEXT);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, destination);
    sqlite3_bind_int(s, 2, (int)rank);
    sqlite3_bind_int64(s, 3, now_ms);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW && sqlite3_column_int64(s, 0) < *next_ms) {
        *next_ms = sqlite3_column_int64(s, 0);
    }
    return spool_done(spool, s, code);
}

enum status
spool_due(struct spool *spool, struct str destination, int64_t now_ms,
          const size_t limits[SPOOL_RANKS], struct spool_due *out)
{
    enum status status = STATUS_OK;
    out->more = false;
    out->next_ms = INT64_MAX;
    for (unsigned rank = 0; status == STATUS_OK && rank < SPOOL_RANKS; rank++) {
        status = due_of_rank(spool, destination, now_ms, rank, limits[rank], out);
        if (status == STATUS_OK) {
            status = due_next(spool, destination, now_ms, rank, &out->next_ms);
        }
    }
    return status;
}

/* ---- one message */

enum status
spool_find(struct spool *spool, struct str id, int64_t *key_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_FIND);
    if (s == NULL) {
        return STATUS_IO;
    }
    spool_bind_str(s, 1, id);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *key_out = sqlite3_column_int64(s, 0);
    }
    enum status status = spool_done(spool, s, code);
    return status == STATUS_OK && code != SQLITE_ROW ? STATUS_NOT_FOUND : status;
}

/* What an earlier version wrote has no checksum. */
static bool
sum_fits(uint64_t stored, uint64_t now)
{
    return stored == 0 || stored == now;
}

/* The columns of SPOOL_SQL_MESSAGE_LOAD and _MESSAGES_AFTER. */
static bool
read_message(sqlite3_stmt *s, struct arena *arena, struct spool_message *m)
{
    m->key = sqlite3_column_int64(s, 0);
    m->received_ms = sqlite3_column_int64(s, 2);
    m->queued_ms = sqlite3_column_int64(s, 3);
    m->ret = (uint8_t)sqlite3_column_int(s, 5);
    m->flags = (uint32_t)sqlite3_column_int64(s, 7);
    m->priority = (enum spool_priority)sqlite3_column_int(s, 8);
    m->size = (uint64_t)sqlite3_column_int64(s, 10);
    m->total = (uint32_t)sqlite3_column_int64(s, 11);
    m->in_file = sqlite3_column_int(s, 12) != 0;
    m->place =
        (struct spool_place){sqlite3_column_int64(s, 13), (uint32_t)sqlite3_column_int64(s, 14),
                             (uint64_t)sqlite3_column_int64(s, 15)};
    m->head_sum = (uint64_t)sqlite3_column_int64(s, 16);
    m->content_sum = (uint64_t)sqlite3_column_int64(s, 17);
    m->damaged = sqlite3_column_int(s, 19) != 0;
    if (!spool_column_str(s, 1, arena, &m->id) || !spool_column_str(s, 4, arena, &m->sender) ||
        !spool_column_str(s, 6, arena, &m->envid) || !spool_column_str(s, 9, arena, &m->hold)) {
        return false;
    }
    m->altered = !sum_fits((uint64_t)sqlite3_column_int64(s, 18), spool_sum_message(m));
    return true;
}

/* Whether the recipient of this row is another than the one that was written. */
static bool
row_is_altered(sqlite3_stmt *s)
{
    const struct spool_recipient r = {
        .number = (uint32_t)sqlite3_column_int64(s, 0),
        .address = spool_column_view(s, 1),
        .original = spool_column_view(s, 2),
        .orcpt = spool_column_view(s, 3),
        .notify = (uint8_t)sqlite3_column_int(s, 4),
        .destination = spool_column_view(s, 5),
        .rerouted = sqlite3_column_int(s, 15) != 0,
    };
    return !sum_fits((uint64_t)sqlite3_column_int64(s, 16),
                     spool_sum_recipient(sqlite3_column_int64(s, 17), &r));
}

/* The columns of SPOOL_SQL_RECIPIENTS_LOAD. */
static bool
read_recipient(sqlite3_stmt *s, struct arena *arena, struct spool_recipient *r)
{
    r->number = (uint32_t)sqlite3_column_int64(s, 0);
    r->notify = (uint8_t)sqlite3_column_int(s, 4);
    r->state = (enum spool_state)sqlite3_column_int(s, 6);
    r->due_ms = sqlite3_column_int64(s, 7);
    r->attempts = (uint32_t)sqlite3_column_int64(s, 8);
    r->warned = sqlite3_column_int(s, 9) != 0;
    r->last.at_ms = sqlite3_column_int64(s, 10);
    r->last.code = (uint16_t)sqlite3_column_int(s, 11);
    r->rerouted = sqlite3_column_int(s, 15) != 0;
    r->altered = row_is_altered(s);
    return spool_column_str(s, 1, arena, &r->address) &&
           spool_column_str(s, 2, arena, &r->original) &&
           spool_column_str(s, 3, arena, &r->orcpt) &&
           spool_column_str(s, 5, arena, &r->destination) &&
           spool_column_str(s, 12, arena, &r->last.enhanced) &&
           spool_column_str(s, 13, arena, &r->last.text) &&
           spool_column_str(s, 14, arena, &r->last.remote);
}

static bool
choice_takes(const struct spool_choice *choice, sqlite3_stmt *s)
{
    enum spool_state state = (enum spool_state)sqlite3_column_int(s, 6);
    struct str destination =
        str_make(sqlite3_column_blob(s, 5), (size_t)sqlite3_column_bytes(s, 5));
    if (choice->destination.n > 0 && !str_eq(choice->destination, destination)) {
        return false;
    }
    if (choice->due_ms == INT64_MAX) {
        return choice->finals || !spool_state_is_final(state);
    }
    return (state == SPOOL_QUEUED || state == SPOOL_DEFERRED) &&
           sqlite3_column_int64(s, 7) <= choice->due_ms;
}

/* Also one that is not chosen: an altered destination is found under the old one. */
static bool
is_altered_and_open(sqlite3_stmt *s)
{
    return !spool_state_is_final((enum spool_state)sqlite3_column_int(s, 6)) && row_is_altered(s);
}

static size_t
row_octets(sqlite3_stmt *s)
{
    size_t n = 64;
    static const int columns[] = {1, 2, 3, 5, 12, 13, 14};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        n += (size_t)sqlite3_column_bytes(s, columns[i]);
    }
    return n;
}

/* Recipients in a list that grows; the arena keeps the outgrown ones, at most as much again. */
struct growing {
    struct spool_recipient *items;
    size_t n;
    size_t room;
};

static bool
growing_add(struct growing *g, sqlite3_stmt *s, struct arena *arena)
{
    if (g->n == g->room) {
        size_t room = g->room > 0 ? g->room * 2 : 4;
        struct spool_recipient *items = arena_alloc_array(arena, room, sizeof *items);
        if (items == NULL) {
            return false;
        }
        if (g->n > 0) {
            memcpy(items, g->items, g->n * sizeof *items);
        }
        g->items = items;
        g->room = room;
    }
    return read_recipient(s, arena, &g->items[g->n++]);
}

static enum status
load_recipients(struct spool *spool, struct arena *arena, int64_t key,
                const struct spool_choice *choice, struct spool_message *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_RECIPIENTS_LOAD);
    struct growing taken = {0};
    size_t octets = 0;
    int code;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int64(s, 2, choice->first);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        out->recipients_altered = out->recipients_altered || is_altered_and_open(s);
        if (!choice_takes(choice, s)) {
            continue;
        }
        octets += row_octets(s);
        if (taken.n == choice->most || (taken.n > 0 && octets > choice->octets)) {
            break;
        }
        if (!growing_add(&taken, s, arena)) {
            (void)spool_done(spool, s, SQLITE_OK);
            return STATUS_LIMIT;
        }
    }
    out->recipients = taken.items;
    out->recipient_count = taken.n;
    return spool_done(spool, s, code);
}

static bool
body_is_sound(const struct spool_message *m)
{
    uint64_t in_row = (uint64_t)m->head.n + m->content.n;
    if (m->head_sum == 0) { /* of an earlier version: only its length is known */
        return m->in_file ? in_row <= m->size : in_row == m->size;
    }
    return spool_sum(m->head) == m->head_sum &&
           (m->in_file || spool_sum(m->content) == m->content_sum);
}

static enum status
load_body(struct spool *spool, struct arena *arena, struct spool_message *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_BODY_LOAD);
    bool fits = true;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, out->key);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        fits = spool_column_str(s, 0, arena, &out->head) &&
               spool_column_str(s, 1, arena, &out->content);
    }
    enum status status = spool_done(spool, s, code);
    if (status != STATUS_OK || !fits) {
        return fits ? status : STATUS_LIMIT;
    }
    return code == SQLITE_ROW && body_is_sound(out) ? STATUS_OK : STATUS_SYNTAX;
}

enum status
spool_load(struct spool *spool, struct arena *arena, int64_t key, const struct spool_choice *choice,
           bool with_body, struct spool_message *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGE_LOAD);
    struct spool_message message = {0};
    bool fits = true;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        fits = read_message(s, arena, &message);
    }
    enum status status = spool_done(spool, s, code);
    if (status == STATUS_OK && (code != SQLITE_ROW || !fits)) {
        status = fits ? STATUS_NOT_FOUND : STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        status = load_recipients(spool, arena, key, choice, &message);
    }
    if (status == STATUS_OK && with_body && (message.altered || message.recipients_altered)) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK && with_body) {
        status = message.place.segment != 0 ? bodies_read(spool->bodies, arena, &message)
                                            : load_body(spool, arena, &message);
    }
    if (status == STATUS_OK) {
        *out = message;
    }
    return status;
}

/* ---- pages */

static size_t
keep_matching(const struct spool_filter *filter, struct spool_message *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (spool_filter_takes(filter, &m->recipients[i])) {
            m->recipients[n++] = m->recipients[i];
        }
    }
    m->recipient_count = n;
    return n;
}

/* "<>" is the null path; the empty pattern is no filter. */
static bool
sender_fits(struct str pattern, struct str sender)
{
    return str_eq(pattern, STR("<>")) ? sender.n == 0 : smtp_address_fits(sender, pattern);
}

/* Loads the recipients of the message on which the walk stands; *taken_out: it passes. */
static enum status
page_take(struct spool *spool, struct arena *arena, const struct spool_filter *filter,
          struct spool_message *m, bool *taken_out)
{
    struct spool_choice all = {
        .due_ms = INT64_MAX, .finals = true, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};
    *taken_out = false;
    if (!sender_fits(filter->sender, m->sender) ||
        (filter->queued_before_ms != 0 && m->queued_ms > filter->queued_before_ms)) {
        return STATUS_OK;
    }
    enum status status = load_recipients(spool, arena, m->key, &all, m);
    if (status == STATUS_OK) {
        *taken_out = keep_matching(filter, m) > 0;
    }
    return status;
}

static enum status
list_one(struct spool *spool, struct arena *arena, const struct spool_filter *filter,
         struct spool_page *out)
{
    int64_t key;
    bool taken = false;
    struct spool_choice none = {.due_ms = INT64_MAX};
    enum status status = spool_find(spool, filter->id, &key);
    if (status == STATUS_OK) {
        status = spool_load(spool, arena, key, &none, false, &out->messages[0]);
    }
    if (status == STATUS_OK) {
        status = page_take(spool, arena, filter, &out->messages[0], &taken);
    }
    out->count = taken ? 1 : 0;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status
list_walk(struct spool *spool, struct arena *arena, const struct spool_filter *filter,
          int64_t after, size_t limit, struct spool_page *out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_MESSAGES_AFTER);
    enum status status = STATUS_OK;
    int64_t last = 0;
    size_t rows = 0;
    int code = SQLITE_DONE;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, after);
    sqlite3_bind_int64(s, 2, SPOOL_PAGE_ROWS);
    while (status == STATUS_OK && out->count < limit && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct spool_message *m = &out->messages[out->count];
        bool taken = false;
        *m = (struct spool_message){0};
        status = read_message(s, arena, m) ? STATUS_OK : STATUS_LIMIT;
        last = m->key;
        rows++;
        if (status == STATUS_OK) {
            status = page_take(spool, arena, filter, m, &taken);
        }
        out->count += taken;
    }
    out->next = out->count == limit || rows == SPOOL_PAGE_ROWS ? last : 0;
    enum status done = spool_done(spool, s, code);
    return status == STATUS_OK ? done : status;
}

enum status
spool_list(struct spool *spool, struct arena *arena, const struct spool_filter *filter,
           int64_t after, size_t limit, struct spool_page *out)
{
    struct spool_page page = {
        .messages = arena_alloc_array(arena, limit, sizeof *page.messages),
    };
    if (page.messages == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = filter->id.n > 0 ? list_one(spool, arena, filter, &page)
                                          : list_walk(spool, arena, filter, after, limit, &page);
    if (status == STATUS_OK) {
        *out = page;
    }
    return status;
}

/* ---- age */

/* `last`: up to this state it waits. */
static enum status
waits(struct spool *spool, int64_t key, bool unwarned, enum spool_state last, bool *waits_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_AGED_WAITING);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, key);
    sqlite3_bind_int(s, 2, unwarned);
    sqlite3_bind_int(s, 3, (int)last);
    int code = sqlite3_step(s);
    *waits_out = code == SQLITE_ROW;
    return spool_done(spool, s, code);
}

enum status
spool_aged(struct spool *spool, struct spool_age *age, size_t limit, int64_t *keys_out,
           size_t *count_out, bool *end_out)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_AGED);
    enum status status = STATUS_OK;
    size_t n = 0;
    int code = SQLITE_DONE;
    bool young = false;
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, age->cursor);
    sqlite3_bind_int64(s, 2, SPOOL_PAGE_ROWS);
    size_t rows = 0;
    while (status == STATUS_OK && n < limit && (code = sqlite3_step(s)) == SQLITE_ROW) {
        bool wanted;
        if (sqlite3_column_int64(s, 1) > age->before_ms) {
            young = true; /* rows are in order of age */
            break;
        }
        rows++;
        age->cursor = sqlite3_column_int64(s, 0);
        bool damaged = sqlite3_column_int(s, 2) != 0;
        status = waits(spool, age->cursor, age->unwarned, damaged ? SPOOL_HELD : SPOOL_DEFERRED,
                       &wanted);
        if (status == STATUS_OK && wanted) {
            keys_out[n++] = age->cursor;
        }
    }
    *count_out = n;
    *end_out = young || (n < limit && rows < SPOOL_PAGE_ROWS);
    enum status done = spool_done(spool, s, code);
    return status == STATUS_OK ? done : status;
}
