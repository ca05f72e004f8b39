#include "store/spool_schedule.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/random.h"
#include "store/spool_schedule_internal.h"

/* Nobody is evicted whose next look is nearer than this: it would be read right back in. */
#define EVICT_AHEAD_MS 5000

struct schedule *
schedule_create(const struct schedule_settings *settings)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL) {
        abort();
    }
    schedule->settings = *settings;
    return schedule;
}

static void
destination_free(struct schedule *schedule, struct schedule_destination *d)
{
    HASH_DEL(schedule->destinations, d);
    free(d->failure);
    free(d);
}

void
schedule_destroy(struct schedule **schedule)
{
    struct schedule *s = *schedule;
    if (s == NULL) {
        return;
    }
    struct entry *e;
    struct entry *next_entry;
    struct schedule_destination *d;
    struct schedule_destination *next;
    HASH_ITER(hh, s->entries, e, next_entry)
    {
        window_forget(s, e);
    }
    HASH_ITER(hh, s->destinations, d, next)
    {
        destination_free(s, d);
    }
    schedule_forget_pauses(s);
    free(s);
    *schedule = NULL;
}

const struct schedule_settings *
schedule_settings(const struct schedule *schedule)
{
    return &schedule->settings;
}

/* ---- the ring */

static bool
can_be_served(const struct schedule_destination *d, int64_t now_ms)
{
    return d->ready_count > 0 && !d->paused && d->blocked_until_ms <= now_ms &&
           d->running < (unsigned)d->limit;
}

void
schedule_ring_update(struct schedule *schedule, struct schedule_destination *d, int64_t now_ms)
{
    bool wanted = can_be_served(d, now_ms);
    if (wanted && !d->in_ring) {
        DL_APPEND(schedule->ring, d);
    } else if (!wanted && d->in_ring) {
        DL_DELETE(schedule->ring, d);
    }
    d->in_ring = wanted;
}

/* ---- destinations */

size_t
schedule_destination_count(const struct schedule *schedule)
{
    return HASH_COUNT(schedule->destinations);
}

size_t
schedule_blocked_count(const struct schedule *schedule, int64_t now_ms)
{
    size_t n = 0;
    for (const struct schedule_destination *d = schedule->destinations; d != NULL; d = d->hh.next) {
        n += d->blocked_until_ms > now_ms;
    }
    return n;
}

size_t
schedule_entry_count(const struct schedule *schedule)
{
    return HASH_COUNT(schedule->entries);
}

struct schedule_destination *
schedule_find(struct schedule *schedule, struct str name)
{
    struct schedule_destination *d;
    HASH_FIND(hh, schedule->destinations, name.p, name.n, d);
    return d;
}

struct schedule_destination *
schedule_get(struct schedule *schedule, struct str name)
{
    struct schedule_destination *d = schedule_find(schedule, name);
    if (d != NULL || name.n > SPOOL_DESTINATION_MAX ||
        schedule_destination_count(schedule) >= schedule->settings.destinations) {
        return d;
    }
    d = calloc(1, sizeof *d + name.n + 1);
    if (d == NULL) {
        return NULL;
    }
    if (name.n > 0) {
        memcpy(d->name, name.p, name.n);
    }
    d->name_length = name.n;
    d->limit = schedule->settings.concurrency_first;
    d->next_due_ms = INT64_MAX;
    d->paused = schedule_is_paused(schedule, name);
    d->more = true; /* what the database knows of it is read first: it may be blocked */
    schedule->fill_wanted = true;
    HASH_ADD_KEYPTR(hh, schedule->destinations, d->name, d->name_length, d);
    return d;
}

struct str
schedule_name(const struct schedule_destination *destination)
{
    return str_make(destination->name, destination->name_length);
}

uint32_t
schedule_concurrency(const struct schedule_destination *destination)
{
    return (uint32_t)destination->limit;
}

int64_t
schedule_blocked_until(const struct schedule_destination *destination)
{
    return destination->blocked_until_ms;
}

void
schedule_pin(struct schedule_destination *destination)
{
    destination->pins++;
}

void
schedule_unpin(struct schedule_destination *destination)
{
    destination->pins--;
}

bool
schedule_has_row(const struct schedule_destination *destination)
{
    return destination->has_row;
}

void
schedule_set_row(struct schedule_destination *destination)
{
    destination->has_row = true;
}

void
schedule_unblock(struct schedule *schedule, struct schedule_destination *destination,
                 int64_t now_ms)
{
    destination->blocked_until_ms = 0;
    destination->failures = 0;
    if (destination->limit < schedule->settings.concurrency_first) {
        destination->limit = schedule->settings.concurrency_first;
    }
    schedule_ring_update(schedule, destination, now_ms);
}

void
schedule_configure(struct schedule *schedule, const struct schedule_settings *settings)
{
    schedule->settings = *settings;
    for (struct schedule_destination *d = schedule->destinations; d != NULL; d = d->hh.next) {
        if (d->limit > settings->concurrency_max) {
            d->limit = settings->concurrency_max;
        }
        schedule_unblock(schedule, d, 0); /* schedule_tick looks at the ring with the real time */
    }
}

/* ---- serving */

bool
schedule_next(struct schedule *schedule, int64_t now_ms,
              struct schedule_destination **destination_out, int64_t *message_out)
{
    struct schedule_destination *d = schedule->ring;
    struct entry *e = d != NULL ? window_take(d) : NULL;
    if (e == NULL) {
        return false;
    }
    d->running++;
    d->idle_since_ms = now_ms;
    schedule->fill_wanted = schedule->fill_wanted || d->more;
    /* To the end of the ring, if it still has something. */
    DL_DELETE(schedule->ring, d);
    d->in_ring = false;
    schedule_ring_update(schedule, d, now_ms);
    *destination_out = d;
    *message_out = e->key.message;
    return true;
}

static void
block(struct schedule *schedule, struct schedule_destination *d, int64_t now_ms)
{
    if (d->blocked_until_ms > now_ms) {
        return; /* several deliveries failed together: that is one failure */
    }
    d->failures++;
    d->blocked_until_ms =
        now_ms + schedule_retry_delay(&schedule->settings, d->failures, random_below(UINT32_MAX));
    d->limit = 1;
}

void
schedule_ended(struct schedule *schedule, struct schedule_destination *destination,
               enum schedule_result result, int64_t now_ms)
{
    struct schedule_destination *d = destination;
    const struct schedule_settings *settings = &schedule->settings;
    d->running--;
    d->idle_since_ms = now_ms;
    switch (result) {
    case SCHEDULE_SUCCESS:
        if (d->failures > 0) {
            schedule_unblock(schedule, d, now_ms);
        }
        d->limit += 1 / d->limit;
        break;
    case SCHEDULE_REFUSED:
        d->limit -= 1 / d->limit;
        break;
    case SCHEDULE_UNREACHABLE:
        block(schedule, d, now_ms);
        break;
    case SCHEDULE_NOTHING:
        break;
    }
    if (d->limit > settings->concurrency_max) {
        d->limit = settings->concurrency_max;
    }
    d->limit = d->limit < 1 ? 1 : d->limit;
    schedule_ring_update(schedule, d, now_ms);
}

void
schedule_put_back(struct schedule *schedule, struct schedule_destination *destination,
                  int64_t message, int64_t now_ms)
{
    struct entry *e = window_find(schedule, destination, message);
    if (e != NULL && e->state == ENTRY_ACTIVE) {
        window_put_back(destination, e);
        schedule_ring_update(schedule, destination, now_ms);
    }
}

void
schedule_settled(struct schedule *schedule, struct schedule_destination *destination,
                 int64_t message)
{
    struct entry *e = window_find(schedule, destination, message);
    if (e != NULL) {
        window_forget(schedule, e);
        if (destination->ready_count == 0 && destination->in_ring) {
            DL_DELETE(schedule->ring, destination);
            destination->in_ring = false;
        }
    }
    destination->fill_waits = false;
    schedule->fill_wanted = schedule->fill_wanted || destination->more;
}

void
schedule_due_at(struct schedule *schedule, struct schedule_destination *destination, int64_t due_ms,
                int64_t now_ms)
{
    if (due_ms > now_ms) {
        destination->next_due_ms =
            due_ms < destination->next_due_ms ? due_ms : destination->next_due_ms;
        return;
    }
    destination->more = true;
    destination->late_comers = destination->late_comers || destination->filling;
    schedule->fill_wanted = true;
}

void
schedule_tick(struct schedule *schedule, int64_t now_ms)
{
    for (struct schedule_destination *d = schedule->destinations; d != NULL; d = d->hh.next) {
        if (d->next_due_ms <= now_ms) {
            d->next_due_ms = INT64_MAX;
            schedule_due_at(schedule, d, now_ms, now_ms);
        }
        if (!d->in_ring) {
            schedule_ring_update(schedule, d, now_ms);
        }
    }
}

/* ---- taking destinations out */

static bool
is_evictable(const struct schedule_destination *d, int64_t now_ms, bool short_of_room)
{
    if (d->pins > 0 || d->filling || d->entry_count > d->ready_count || d->running > 0) {
        return false;
    }
    if (d->blocked_until_ms > now_ms) {
        /* Its window is worth keeping while there is room. */
        return short_of_room && d->blocked_until_ms > now_ms + EVICT_AHEAD_MS;
    }
    return d->entry_count == 0 && !d->more && d->next_due_ms > now_ms + EVICT_AHEAD_MS &&
           (short_of_room || now_ms - d->idle_since_ms >= SCHEDULE_IDLE_MS);
}

bool
schedule_evict(struct schedule *schedule, int64_t now_ms,
               char name_out[static SPOOL_DESTINATION_MAX + 1], int64_t *look_ms_out,
               uint32_t *failures_out)
{
    bool short_of_room =
        schedule_destination_count(schedule) > schedule->settings.destinations * 3 / 4;
    struct schedule_destination *d = schedule->destinations;
    while (d != NULL && !is_evictable(d, now_ms, short_of_room)) {
        d = d->hh.next;
    }
    if (d == NULL) {
        return false;
    }
    bool blocked = d->blocked_until_ms > now_ms;
    memcpy(name_out, d->name, d->name_length + 1);
    *look_ms_out = blocked ? d->blocked_until_ms : d->next_due_ms;
    *failures_out = blocked ? d->failures : 0;
    window_clear(schedule, d);
    if (schedule->fill_from == d) {
        schedule->fill_from = d->hh.next;
    }
    destination_free(schedule, d);
    return true;
}
