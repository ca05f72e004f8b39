#include "store/spool_schedule.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/random.h"

/* Windows while there is plenty of room, when it gets tight, and when it is full. */
#define WINDOW_WIDE    512u
#define WINDOW_NARROW  32u
#define WINDOW_LEAST   4u
/* What is read from the database at once: it is loaded ahead of its turn, so not too much. */
#define WINDOW_FILL    256u
/* Nobody is evicted whose next look is nearer than this: it would be read right back in. */
#define EVICT_AHEAD_MS 5000
/* Before a failed fill is tried again. */
#define FILL_RETRY_MS  5000

enum entry_state {
    ENTRY_READY,  /* in its destination's window */
    ENTRY_ACTIVE, /* being delivered, or its results on their way to the database */
};

struct entry_key {
    int64_t message;
    struct schedule_destination *destination;
};

struct entry {
    struct entry_key key;
    enum entry_state state;
    unsigned rank;
    struct entry *prev;
    struct entry *next;
    UT_hash_handle hh;
};

struct schedule_destination {
    struct entry *ready[SPOOL_RANKS];
    size_t ready_count;
    size_t entry_count; /* ready and active */
    unsigned turn;      /* of the ranks' pattern */
    unsigned running;   /* deliveries now */
    double limit;
    uint32_t failures;
    int64_t blocked_until_ms;
    int64_t next_due_ms;   /* of what is only in the database */
    int64_t idle_since_ms; /* last time that something happened */
    unsigned pins;
    bool has_row;
    bool known;       /* it was filled once: what the database knew of it is in here */
    bool more;        /* the database has due messages that are not in the window */
    bool filling;     /* the database is being asked */
    bool late_comers; /* something was committed while it was being asked */
    bool fill_waits;  /* the last fill brought nothing new: ask again after something settled */
    bool in_ring;
    struct schedule_destination *prev; /* the ring */
    struct schedule_destination *next;
    UT_hash_handle hh;
    size_t name_length;
    char name[];
};

struct schedule {
    struct schedule_settings settings;
    struct schedule_destination *destinations; /* hash by name, in order of arrival */
    struct schedule_destination *ring;         /* those that can be served now */
    struct entry *entries;
    struct schedule_destination *fill_from; /* where the search for fills goes on */
    bool fill_wanted;                       /* perhaps */
};

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
    free(d);
}

static void
entry_free(struct schedule *schedule, struct entry *e)
{
    struct schedule_destination *d = e->key.destination;
    if (e->state == ENTRY_READY) {
        DL_DELETE(d->ready[e->rank], e);
        d->ready_count--;
    }
    d->entry_count--;
    HASH_DEL(schedule->entries, e);
    free(e);
}

void
schedule_destroy(struct schedule **schedule)
{
    struct schedule *s = *schedule;
    if (s == NULL) {
        return;
    }
    while (s->entries != NULL) {
        entry_free(s, s->entries);
    }
    while (s->destinations != NULL) {
        destination_free(s, s->destinations);
    }
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
    return d->ready_count > 0 && d->blocked_until_ms <= now_ms && d->running < (unsigned)d->limit;
}

/* Puts the destination into the ring or takes it out, as it is now. */
static void
ring_update(struct schedule *schedule, struct schedule_destination *d, int64_t now_ms)
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
    ring_update(schedule, destination, now_ms);
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

/* ---- the window */

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
    DL_APPEND(d->ready[rank], e);
    d->ready_count++;
    d->entry_count++;
    return true;
}

static struct entry *
entry_find(struct schedule *schedule, struct schedule_destination *d, int64_t message)
{
    struct entry_key key;
    struct entry *e;
    memset(&key, 0, sizeof key);
    key.message = message;
    key.destination = d;
    HASH_FIND(hh, schedule->entries, &key, sizeof key, e);
    return e;
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
    ring_update(schedule, destination, now_ms);
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
    ring_update(schedule, d, now_ms);
}

void
schedule_fill_failed(struct schedule *schedule, struct schedule_destination *destination,
                     int64_t now_ms)
{
    destination->filling = false;
    destination->more = false;
    schedule_due_at(schedule, destination, now_ms + FILL_RETRY_MS, now_ms);
}

/* ---- serving */

/* Of each 13 turns, which rank goes first. */
static const unsigned char pattern[] = {0, 1, 0, 0, 1, 0, 0, 1, 0, 2, 0, 1, 0};

static struct entry *
take_ready(struct schedule_destination *d)
{
    unsigned rank = pattern[d->turn++ % sizeof pattern];
    for (unsigned i = 0; d->ready[rank] == NULL && i < SPOOL_RANKS; i++) {
        rank = i;
    }
    struct entry *e = d->ready[rank];
    DL_DELETE(d->ready[rank], e);
    d->ready_count--;
    e->state = ENTRY_ACTIVE;
    return e;
}

bool
schedule_next(struct schedule *schedule, int64_t now_ms,
              struct schedule_destination **destination_out, int64_t *message_out)
{
    struct schedule_destination *d = schedule->ring;
    if (d == NULL) {
        return false;
    }
    struct entry *e = take_ready(d);
    d->running++;
    d->idle_since_ms = now_ms;
    schedule->fill_wanted = schedule->fill_wanted || d->more;
    /* To the end of the ring, if it still has something. */
    DL_DELETE(schedule->ring, d);
    d->in_ring = false;
    ring_update(schedule, d, now_ms);
    *destination_out = d;
    *message_out = e->key.message;
    return true;
}

bool
schedule_is_ready(struct schedule *schedule, struct schedule_destination *destination,
                  int64_t message)
{
    const struct entry *e = entry_find(schedule, destination, message);
    return e != NULL && e->state == ENTRY_READY;
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
    ring_update(schedule, d, now_ms);
}

void
schedule_put_back(struct schedule *schedule, struct schedule_destination *destination,
                  int64_t message, int64_t now_ms)
{
    struct entry *e = entry_find(schedule, destination, message);
    if (e != NULL && e->state == ENTRY_ACTIVE) {
        e->state = ENTRY_READY;
        DL_PREPEND(destination->ready[e->rank], e);
        destination->ready_count++;
        ring_update(schedule, destination, now_ms);
    }
}

void
schedule_settled(struct schedule *schedule, struct schedule_destination *destination,
                 int64_t message)
{
    struct entry *e = entry_find(schedule, destination, message);
    if (e != NULL) {
        entry_free(schedule, e);
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
            ring_update(schedule, d, now_ms);
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
    for (unsigned rank = 0; rank < SPOOL_RANKS; rank++) {
        while (d->ready[rank] != NULL) {
            entry_free(schedule, d->ready[rank]);
        }
    }
    if (schedule->fill_from == d) {
        schedule->fill_from = d->hh.next;
    }
    destination_free(schedule, d);
    return true;
}
