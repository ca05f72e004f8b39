/* The schedule's window on the database: destinations are taken up, filled, and let go. */
#include <stdlib.h>

#include "base/log.h"
#include "roles/spool/internal.h"

/* Questions to the database that may be under way at once. */
#define FILLS_MAX       64u
/* Destinations that one look at the table takes up, and that are let go at once. */
#define WAKE_BATCH      256u
/* Messages loaded ahead of their turn at once, and about how many octets. A few that are due can
 * as well be loaded when their turn comes, which is now. */
#define PREFETCH_MAX    256u
#define PREFETCH_LEAST  4u
#define PREFETCH_OCTETS (4u * 1024u * 1024u)

/* ---- names and reasons */

struct str
destination_of(const struct spool_role *role, struct str address,
               char out[static SPOOL_DESTINATION_MAX])
{
    char lower[SPOOL_DESTINATION_MAX];
    if (schedule_has_pauses(role->schedule)) {
        size_t at = str_rfind_char(address, '@');
        struct str domain =
            at == STR_NPOS ? role_config(role->runtime)->hostname : str_skip(address, at + 1);
        size_t n = domain.n < sizeof lower ? domain.n : sizeof lower;
        for (size_t i = 0; i < n; i++) {
            lower[i] = char_lower(domain.p[i]);
        }
        if (schedule_is_paused(role->schedule, str_make(lower, n))) {
            memcpy(out, lower, n);
            return str_make(out, n);
        }
    }
    return spool_destination_key(role_config(role->runtime), address, out);
}

struct spool_attempt
destination_reason(const struct spool_role *role, const struct spool_recipient *recipient)
{
    const struct schedule_destination *d = schedule_find(role->schedule, recipient->destination);
    const struct spool_failure *failure = d != NULL ? schedule_failure(d) : NULL;
    bool known = failure != NULL || (d != NULL && schedule_is_known(d));
    const struct spool_attempt why =
        known ? (failure != NULL ? spool_failure_view(failure) : (struct spool_attempt){0})
              : recipient->behind;
    if (recipient->last.code == 0 && schedule_is_paused(role->schedule, recipient->destination)) {
        return (struct spool_attempt){
            .enhanced = STR("4.3.2"),
            .text = STR("mail to this destination is paused by the administrator")};
    }
    /* A server's word on this very recipient says more than anything since. */
    bool own = recipient->last.code != 0 || why.at_ms <= recipient->last.at_ms;
    return own ? recipient->last : why;
}

/* ---- filling windows */

struct fill_job {
    struct job job;
    struct spool_role *role;
    struct schedule_destination *destination;
    size_t limits[SPOOL_RANKS];
    struct spool_destination stored;
    bool has_stored;
    struct spool_due due;
};

static enum status
run_fill(struct job *base, struct spool *spool)
{
    struct fill_job *job = (struct fill_job *)base;
    struct str name = schedule_name(job->destination); /* does not change while it is filled */
    enum status status = spool_destination_get(spool, name, &job->stored);
    job->has_stored = status == STATUS_OK;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    return spool_due(spool, name, role_now(job->role), job->limits, &job->due);
}

/* ---- loading what is next before its turn comes */

struct prefetch_job {
    struct job job;
    struct spool_role *role;
    struct schedule_destination *destination; /* pinned */
    int64_t keys[PREFETCH_MAX];
    struct parcel *parcels[PREFETCH_MAX]; /* NULL: not loaded */
    size_t count;
};

static enum status
run_prefetch(struct job *base, struct spool *spool)
{
    struct prefetch_job *job = (struct prefetch_job *)base;
    struct str name = schedule_name(job->destination);
    struct spool_choice choice = load_choice_due(name, role_now(job->role));
    uint64_t octets = 0;
    for (size_t i = 0; i < job->count && octets < PREFETCH_OCTETS; i++) {
        struct parcel *parcel = NULL;
        enum status status = load_in_worker(spool, job->keys[i], &choice, LOAD_ALL, &parcel);
        if (status != STATUS_OK || parcel->m.in_file) {
            parcel_unref(&parcel); /* it is loaded when its turn comes, and errors told then */
            continue;
        }
        parcel->only = parcel->m.recipients[0].destination;
        octets += parcel->m.size;
        job->parcels[i] = parcel;
    }
    return STATUS_OK;
}

/*
 * What was read is still true for a message that waits in the window and on which nobody works:
 * every change goes through the loop, and changes that were asked for before the message was read
 * were written before.
 */
static void
on_prefetch_done(struct job *base)
{
    struct prefetch_job *job = (struct prefetch_job *)base;
    struct spool_role *role = job->role;
    for (size_t i = 0; i < job->count; i++) {
        struct parcel *parcel = job->parcels[i];
        if (parcel != NULL && !is_busy(role, job->keys[i]) &&
            schedule_is_ready(role->schedule, job->destination, job->keys[i])) {
            cache_add(role, parcel);
        }
        parcel_unref(&job->parcels[i]);
    }
    schedule_unpin(job->destination);
    free(job);
    dispatch(role);
}

static void
prefetch(struct spool_role *role, struct schedule_destination *d, const struct spool_due *due)
{
    struct prefetch_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    for (unsigned rank = 0; rank < SPOOL_RANKS; rank++) {
        for (size_t i = 0; i < due->count[rank] && job->count < PREFETCH_MAX; i++) {
            job->keys[job->count++] = due->messages[rank][i];
        }
    }
    if (job->count < PREFETCH_LEAST || schedule_is_paused(role->schedule, schedule_name(d))) {
        free(job);
        return;
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_prefetch, .done = on_prefetch_done};
    job->role = role;
    job->destination = d;
    schedule_pin(d);
    worker_submit(role->worker, &job->job);
}

static void
on_fill_done(struct job *base)
{
    struct fill_job *job = (struct fill_job *)base;
    struct spool_role *role = job->role;
    role->fills--;
    if (base->status == STATUS_OK) {
        schedule_filled(role->schedule, job->destination, &job->due,
                        job->has_stored ? &job->stored : NULL, role_now(role));
        prefetch(role, job->destination, &job->due);
    } else {
        LOG_ERROR("the queue cannot be read", LOG_CSTR("status", status_name(base->status)));
        schedule_fill_failed(role->schedule, job->destination, role_now(role));
    }
    free(job);
    dispatch(role);
}

void
destinations_fill(struct spool_role *role)
{
    size_t limits[SPOOL_RANKS];
    struct schedule_destination *d;
    while (role->fills < FILLS_MAX && (d = schedule_wants_fill(role->schedule, limits)) != NULL) {
        struct fill_job *job = calloc(1, sizeof *job);
        if (job == NULL) {
            abort();
        }
        job->job = (struct job){.kind = JOB_READ, .run = run_fill, .done = on_fill_done};
        job->role = role;
        job->destination = d;
        memcpy(job->limits, limits, sizeof limits);
        role->fills++;
        worker_submit(role->worker, &job->job);
    }
}

/* ---- destinations that come and go */

struct wake_job {
    struct job job;
    struct spool_role *role;
    struct arena *arena;
    struct spool_destination cursor;
    char cursor_name[SPOOL_DESTINATION_MAX + 1];
    struct spool_destination_list found;
};

static enum status
run_wake(struct job *base, struct spool *spool)
{
    struct wake_job *job = (struct wake_job *)base;
    return spool_destinations_due(spool, job->arena, &job->cursor, role_now(job->role), WAKE_BATCH,
                                  &job->found);
}

static void
on_wake_done(struct job *base)
{
    struct wake_job *job = (struct wake_job *)base;
    struct spool_role *role = job->role;
    for (size_t i = 0; base->status == STATUS_OK && i < job->found.count; i++) {
        const struct spool_destination *found = &job->found.items[i];
        struct schedule_destination *d = schedule_get(role->schedule, found->name);
        if (d == NULL || found->name.n > SPOOL_DESTINATION_MAX) {
            break; /* no room: the cursor stays before it */
        }
        schedule_set_row(d);
        memcpy(role->wake_name, found->name.p, found->name.n);
        role->wake_cursor.name = str_make(role->wake_name, found->name.n);
        role->wake_cursor.look_ms = found->look_ms;
    }
    role->waking = false;
    arena_destroy(&job->arena);
    free(job);
    dispatch(role);
}

void
destinations_wake(struct spool_role *role)
{
    struct wake_job *job = role->waking ? NULL : calloc(1, sizeof *job);
    if (job == NULL) {
        return;
    }
    role->waking = true;
    job->job = (struct job){.kind = JOB_READ, .run = run_wake, .done = on_wake_done};
    job->role = role;
    job->arena = arena_create(1024 * 1024);
    memcpy(job->cursor_name, role->wake_name, sizeof role->wake_name);
    job->cursor = role->wake_cursor;
    job->cursor.name.p = job->cursor_name;
    worker_submit(role->worker, &job->job);
}

struct evict_job {
    struct job job;
    struct spool_role *role;
    char name[SPOOL_DESTINATION_MAX + 1];
    int64_t look_ms;
    uint32_t failures;
};

static enum status
run_evict(struct job *base, struct spool *spool)
{
    struct evict_job *job = (struct evict_job *)base;
    struct str name = str_from_cstr(job->name);
    return job->look_ms == INT64_MAX
               ? spool_destination_delete(spool, name)
               : spool_destination_put(spool, name, job->look_ms, job->failures);
}

static void
on_evict_done(struct job *base)
{
    struct evict_job *job = (struct evict_job *)base;
    if (base->status != STATUS_OK) {
        /* The database would not find it in time: back into memory. */
        struct schedule_destination *d =
            schedule_get(job->role->schedule, str_from_cstr(job->name));
        if (d != NULL) {
            schedule_set_row(d);
        }
    }
    free(job);
}

void
destinations_evict(struct spool_role *role)
{
    for (unsigned i = 0; i < WAKE_BATCH; i++) {
        struct evict_job *job = calloc(1, sizeof *job);
        if (job == NULL || !schedule_evict(role->schedule, role_now(role), job->name, &job->look_ms,
                                           &job->failures)) {
            free(job);
            return;
        }
        job->job = (struct job){.kind = JOB_COMMIT, .run = run_evict, .done = on_evict_done};
        job->role = role;
        worker_submit(role->worker, &job->job);
    }
}

/* ---- recipients whose way has changed with the configuration */

struct rehome_job {
    struct job job;
    struct spool_role *role;
    struct parcel *parcel;
    uint32_t *indexes; /* owned; into the parcel's recipients, which have the new destination */
    size_t count;
};

static enum status
run_rehome(struct job *base, struct spool *spool)
{
    struct rehome_job *job = (struct rehome_job *)base;
    const struct spool_message *m = &job->parcel->m;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < job->count; i++) {
        const struct spool_recipient *r = &m->recipients[job->indexes[i]];
        status = spool_rehome(spool, m->key, r);
        if (status == STATUS_OK) {
            status = spool_destination_wake(spool, r->destination, role_now(job->role));
        }
    }
    return status;
}

static void
on_rehome_done(struct job *base)
{
    struct rehome_job *job = (struct rehome_job *)base;
    struct spool_role *role = job->role;
    int64_t now = role_now(role);
    for (size_t i = 0; i < job->count; i++) {
        struct str name = job->parcel->m.recipients[job->indexes[i]].destination;
        struct schedule_destination *d = schedule_get(role->schedule, name);
        if (d != NULL) {
            schedule_set_row(d);
            schedule_due_at(role->schedule, d, now, now);
        }
    }
    parcel_unref(&job->parcel);
    free(job->indexes);
    free(job);
    dispatch(role);
}

void
destinations_rehome(struct spool_role *role, struct parcel *parcel)
{
    struct rehome_job *job = NULL;
    for (size_t i = 0; i < parcel->m.recipient_count; i++) {
        struct spool_recipient *r = &parcel->m.recipients[i];
        char key[SPOOL_DESTINATION_MAX];
        struct str name = destination_of(role, r->address, key);
        if (r->rerouted || str_eq(name, r->destination)) {
            continue;
        }
        if (job == NULL) {
            job = calloc(1, sizeof *job);
            if (job == NULL ||
                (job->indexes = calloc(parcel->m.recipient_count, sizeof(uint32_t))) == NULL) {
                abort();
            }
        }
        r->destination = arena_str_dup(parcel->arena, name);
        job->indexes[job->count++] = (uint32_t)i;
    }
    if (job != NULL) {
        job->job = (struct job){.kind = JOB_MUST, .run = run_rehome, .done = on_rehome_done};
        job->role = role;
        job->parcel = parcel_ref(parcel);
        worker_submit(role->worker, &job->job);
    }
}
