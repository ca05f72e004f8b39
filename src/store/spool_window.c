/* What is due for each destination: some of it in memory, the rest in the database. */
#include <stdlib.h>

#include "store/spool_schedule_internal.h"

/* Windows while there is plenty of room, when it gets tight, and when it is full. */
#define WINDOW_WIDE   512u
#define WINDOW_NARROW 32u
#define WINDOW_LEAST  4u
/* What is read from the database at once: it is loaded ahead of its turn, so not too much. */
#define WINDOW_FILL   256u

/* Before a failed fill is tried again. */
#define FILL_RETRY_MS 5000

/* ---- entries */

static void
list_append(struct entry_list *list, struct entry *e)
{
    e->prev = list->last;
    e->next = NULL;
    if (list->last != NULL) {
        list->last->next = e;
    } else {
        list->first = e;
    }
    list->last = e;
}

static void
list_prepend(struct entry_list *list, struct entry *e)
{
    e->prev = NULL;
    e->next = list->first;
    if (list->first != NULL) {
        list->first->prev = e;
    } else {
        list->last = e;
    }
    list->first = e;
}

static void
list_remove(struct entry_list *list, struct entry *e)
{
    if (e->prev != NULL) {
        e->prev->next = e->next;
    } else {
        list->first = e->next;
    }
    if (e->next != NULL) {
        e->next->prev = e->prev;
    } else {
        list->last = e->prev;
    }
}

static void
window_remove(struct schedule_destination *d, struct entry *e)
{
    list_remove(&d->ready[e->rank], e);
    d->ready_count--;
    e->state = ENTRY_ACTIVE;
}

void
window_forget(struct schedule *schedule, struct entry *e)
{
    struct schedule_destination *d = e->key.destination;
    if (e->state == ENTRY_READY) {
        window_remove(d, e);
    }
    d->entry_count--;
    /* The analyzer does not see that e is in the hash, which therefore is not empty. */
    HASH_DEL(schedule->entries, e); /* NOLINT(clang-analyzer-core.NullDereference) */
    free(e);
}

void
window_clear(struct schedule *schedule, struct schedule_destination *d)
{
    for (unsigned rank = 0; rank < SPOOL_RANKS; rank++) {
        struct entry *next;
        for (struct entry *e = d->ready[rank].first; e != NULL; e = next) {
            next = e->next;
            window_forget(schedule, e);
        }
    }
}

void
window_put_back(struct schedule_destination *d, struct entry *e)
{
    e->state = ENTRY_READY;
    list_prepend(&d->ready[e->rank], e);
    d->ready_count++;
}

struct entry *
window_find(struct schedule *schedule, struct schedule_destination *d, int64_t message)
{
    struct entry_key key;
    struct entry *e;
    memset(&key, 0, sizeof key);
    key.message = message;
    key.destination = d;
    HASH_FIND(hh, schedule->entries, &key, sizeof key, e);
    return e;
}

/* False when the message is in already. */
static bool
entry_add(struct schedule *schedule, struct schedule_destination *d, int64_t message, unsigned rank)
{
    struct entry_key key;
    struct entry *e;
    memset(&key, 0, sizeof key); /* it is hashed as octets */
    key.message = message;
    key.destination = d;
    HASH_FIND(hh, schedule->entries, &key, sizeof key, e);
    if (e != NULL) {
        return false;
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        abort();
    }
    e->key = key;
    e->state = ENTRY_READY;
    e->rank = rank;
    HASH_ADD(hh, schedule->entries, key, sizeof key, e);
    list_append(&d->ready[rank], e);
    d->ready_count++;
    d->entry_count++;
    return true;
}

/* Of each 13 turns, which rank goes first. */
static const unsigned char pattern[] = {0, 1, 0, 0, 1, 0, 0, 1, 0, 2, 0, 1, 0};

struct entry *
window_take(struct schedule_destination *d)
{
    unsigned rank = pattern[d->turn++ % sizeof pattern];
    for (unsigned i = 0; d->ready[rank].first == NULL && i < SPOOL_RANKS; i++) {
        rank = i;
    }
    struct entry *e = d->ready[rank].first;
    if (e != NULL) {
        window_remove(d, e);
    }
    return e;
}

/* ---- coming in */

static size_t
window_size(const struct schedule *schedule)
{
    size_t entries = schedule_entry_count(schedule);
    if (entries < schedule->settings.entries / 4) {
        return WINDOW_WIDE;
    }
    return entries < schedule->settings.entries ? WINDOW_NARROW : WINDOW_LEAST;
}

static size_t
fill_size(const struct schedule *schedule)
{
    size_t window = window_size(schedule);
    return window < WINDOW_FILL ? window : WINDOW_FILL;
}

bool
schedule_offer(struct schedule *schedule, struct schedule_destination *destination, int64_t message,
               unsigned rank, int64_t now_ms)
{
    destination->idle_since_ms = now_ms;
    destination->late_comers = destination->late_comers || destination->filling;
    /* Who has older mail in the database keeps the order: the new one waits there too. */
    if (destination->more || destination->filling ||
        destination->ready_count >= window_size(schedule)) {
        destination->more = true;
        schedule->fill_wanted = true;
        return false;
    }
    bool added = entry_add(schedule, destination, message, rank);
    schedule_ring_update(schedule, destination, now_ms);
    return added;
}

static bool
wants_fill(const struct schedule *schedule, const struct schedule_destination *d)
{
    return d->more && !d->filling && !d->fill_waits && d->ready_count <= window_size(schedule) / 4;
}

struct schedule_destination *
schedule_wants_fill(struct schedule *schedule, size_t limits_out[SPOOL_RANKS])
{
    if (!schedule->fill_wanted) {
        return NULL;
    }
    struct schedule_destination *d =
        schedule->fill_from != NULL ? schedule->fill_from : schedule->destinations;
    for (; d != NULL; d = d->hh.next) {
        if (!wants_fill(schedule, d)) {
            continue;
        }
        /* Those that are in already come first in the answer. */
        size_t limit = fill_size(schedule) + d->entry_count;
        for (unsigned rank = 0; rank < SPOOL_RANKS; rank++) {
            limits_out[rank] = limit < SPOOL_DUE_MAX ? limit : SPOOL_DUE_MAX;
        }
        d->filling = true;
        d->late_comers = false;
        schedule->fill_from = d->hh.next;
        schedule->fill_wanted = true;
        return d;
    }
    /* The end of the list: one more round only if it began in the middle. */
    bool again = schedule->fill_from != NULL;
    schedule->fill_from = NULL;
    schedule->fill_wanted = again;
    return again ? schedule_wants_fill(schedule, limits_out) : NULL;
}

void
schedule_filled(struct schedule *schedule, struct schedule_destination *destination,
                struct spool_due *due, const struct spool_destination *stored, int64_t now_ms)
{
    size_t added = 0;
    struct schedule_destination *d = destination;
    for (unsigned rank = 0; rank < SPOOL_RANKS; rank++) {
        size_t n = 0;
        for (size_t i = 0; i < due->count[rank]; i++) {
            int64_t message = due->messages[rank][i];
            if (entry_add(schedule, d, message, rank)) {
                due->messages[rank][n++] = message;
            }
        }
        due->count[rank] = n;
        added += n;
    }
    if (stored != NULL && !d->known) {
        d->has_row = true;
        d->failures = stored->failures;
        if (stored->failure.at_ms > 0 && d->failure == NULL) {
            const struct spool_attempt why = spool_failure_view(&stored->failure);
            schedule_note_failure(d, &why, now_ms);
        }
        d->blocked_until_ms = stored->failures > 0 ? stored->look_ms : 0;
        d->limit = stored->failures > 0 ? 1 : d->limit;
    }
    d->known = true;
    d->filling = false;
    d->more = due->more || d->late_comers;
    d->fill_waits = added == 0 && due->more;
    d->next_due_ms = due->next_ms < d->next_due_ms ? due->next_ms : d->next_due_ms;
    d->idle_since_ms = now_ms;
    schedule->fill_wanted = schedule->fill_wanted || d->more;
    schedule_ring_update(schedule, d, now_ms);
}

void
schedule_fill_failed(struct schedule *schedule, struct schedule_destination *destination,
                     int64_t now_ms)
{
    destination->filling = false;
    destination->more = false;
    schedule_due_at(schedule, destination, now_ms + FILL_RETRY_MS, now_ms);
}

bool
schedule_is_ready(struct schedule *schedule, struct schedule_destination *destination,
                  int64_t message)
{
    const struct entry *e = window_find(schedule, destination, message);
    return e != NULL && e->state == ENTRY_READY;
}
