/* Destinations that an administrator has paused, and why one could not be reached. */
#include <stdlib.h>

#include "store/spool_schedule_internal.h"

/* ---- pauses */

static struct schedule_pause *
pause_find(const struct schedule *schedule, struct str name)
{
    struct schedule_pause *pause;
    HASH_FIND(hh, schedule->pauses, name.p, name.n, pause);
    return pause;
}

bool
schedule_is_paused(const struct schedule *schedule, struct str name)
{
    return pause_find(schedule, name) != NULL;
}

bool
schedule_has_pauses(const struct schedule *schedule)
{
    return schedule->pauses != NULL;
}

size_t
schedule_pause_count(const struct schedule *schedule)
{
    return HASH_COUNT(schedule->pauses);
}

const struct schedule_pause *
schedule_pauses(const struct schedule *schedule)
{
    return schedule->pauses;
}

const struct schedule_pause *
schedule_pause_next(const struct schedule_pause *pause)
{
    return pause->hh.next;
}

const struct spool_pause *
schedule_pause_get(const struct schedule_pause *pause)
{
    return &pause->pause;
}

/* Tells the destination of that name, if it is in memory. */
static void
tell(struct schedule *schedule, struct str name, bool paused, int64_t now_ms)
{
    struct schedule_destination *d = schedule_find(schedule, name);
    if (d != NULL) {
        d->paused = paused;
        schedule_ring_update(schedule, d, now_ms);
    }
}

bool
schedule_pause(struct schedule *schedule, const struct spool_pause *pause, int64_t now_ms)
{
    struct schedule_pause *p;
    if (pause->name.n > SPOOL_DESTINATION_MAX || schedule_is_paused(schedule, pause->name) ||
        HASH_COUNT(schedule->pauses) >= SPOOL_PAUSES_MAX) {
        return false;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        abort();
    }
    memcpy(p->name_text, pause->name.p, pause->name.n);
    p->pause.name = str_make(p->name_text, pause->name.n);
    p->pause.since_ms = pause->since_ms;
    p->pause.by = str_head(pause->by, sizeof p->by_text);
    if (p->pause.by.n > 0) {
        memcpy(p->by_text, pause->by.p, p->pause.by.n);
    }
    p->pause.by.p = p->by_text;
    HASH_ADD_KEYPTR(hh, schedule->pauses, p->name_text, p->pause.name.n, p);
    tell(schedule, p->pause.name, true, now_ms);
    return true;
}

bool
schedule_resume(struct schedule *schedule, struct str name, int64_t now_ms)
{
    struct schedule_pause *p = pause_find(schedule, name);
    if (p == NULL) {
        return false;
    }
    tell(schedule, name, false, now_ms);
    HASH_DEL(schedule->pauses, p);
    free(p);
    return true;
}

void
schedule_forget_pauses(struct schedule *schedule)
{
    struct schedule_pause *p = schedule->pauses;
    HASH_CLEAR(hh, schedule->pauses);
    while (p != NULL) {
        struct schedule_pause *next = p->hh.next;
        free(p);
        p = next;
    }
}

/* ---- failures */

void
schedule_note_failure(struct schedule_destination *destination, const struct spool_attempt *why,
                      int64_t now_ms)
{
    struct schedule_destination *d = destination;
    bool together = d->failure != NULL && d->blocked_until_ms > now_ms;
    if (together && d->failure->code != 0 && why->code == 0) {
        return; /* a server's word says more than that a connection was refused */
    }
    if (d->failure == NULL) {
        d->failure = calloc(1, sizeof *d->failure);
    }
    if (d->failure != NULL) {
        spool_failure_set(d->failure, why);
    }
}

bool
schedule_note_success(struct schedule_destination *destination)
{
    bool had = destination->failure != NULL;
    free(destination->failure);
    destination->failure = NULL;
    return had;
}

bool
schedule_is_known(const struct schedule_destination *destination)
{
    return destination->known;
}

const struct spool_failure *
schedule_failure(const struct schedule_destination *destination)
{
    return destination->failure;
}
