/*
 * Delay warnings and expiry for mail that nobody tries: its destination is blocked, or has so much
 * mail that its turn does not come. What is tried is warned about and expires with its attempts
 * (outcome.c); this walks the queue in order of age for the rest, a page at a time.
 *
 * The clock: age is measured by the queue's clock, so setting the wall clock ages nothing while the
 * spool runs. After a start that follows a jump of the wall clock everything may look old; so
 * nothing expires by this walk before AGE_GRACE_MS, in which every destination can be tried once.
 */
#include <stdlib.h>

#include "base/log.h"
#include "roles/spool/internal.h"

#define AGE_INTERVAL_MS 60000
#define AGE_GRACE_MS    (10 * 60000)
/* Messages of one page; they are loaded with their octets for the notices. */
#define AGE_PAGE        16u

struct age_job {
    struct job job;
    struct spool_role *role;
    bool expires;
    struct spool_age age;
    int64_t keys[AGE_PAGE];
    size_t count;
    bool end;
    size_t waiting; /* messages that are still worked on */
};

static void age_page(struct spool_role *role, bool expires);

static void
age_page_done(struct age_job *job)
{
    struct spool_role *role = job->role;
    bool expires = job->expires;
    bool end = job->end;
    free(job);
    if (!end && !role->stopping) {
        age_page(role, expires);
    } else if (expires) {
        age_page(role, false);
    } else {
        role->ageing = false;
    }
}

static void
age_one_done(struct spool_role *role, struct age_job *job, int64_t key)
{
    claim_release(role, key);
    if (--job->waiting == 0) {
        age_page_done(job);
    }
}

struct aged {
    struct age_job *job;
    int64_t key;
};

static void
on_aged_written(struct spool_role *role, void *context, struct parcel *parcel, bool written)
{
    struct aged *aged = context;
    (void)parcel;
    (void)written;
    age_one_done(role, aged->job, aged->key);
    free(aged);
}

/* What is held is the administrator's; but nobody can wait for what is damaged for ever. */
static bool
waits_still(const struct spool_message *m, const struct spool_recipient *r)
{
    return r->state == SPOOL_QUEUED || r->state == SPOOL_DEFERRED ||
           (r->state == SPOOL_HELD && m->damaged);
}

static struct verdict
verdict_on(const struct spool_role *role, const struct spool_recipient *r, uint32_t index,
           bool expires)
{
    struct verdict verdict = {.index = index, .kind = expires ? VERDICT_EXPIRED : VERDICT_WARN};
    if (expires && r->state == SPOOL_HELD) {
        verdict.kind = VERDICT_FAILED;
        verdict.last = damage_attempt(role, true);
    }
    return verdict;
}

static void
on_aged_loaded(struct spool_role *role, void *context, enum status status, struct parcel *parcel)
{
    struct aged *aged = context;
    size_t n = 0;
    struct verdict *verdicts =
        status == STATUS_OK ? calloc(parcel->m.recipient_count, sizeof *verdicts) : NULL;
    for (size_t i = 0; verdicts != NULL && i < parcel->m.recipient_count; i++) {
        const struct spool_recipient *r = &parcel->m.recipients[i];
        if (waits_still(&parcel->m, r) && (aged->job->expires || !r->warned)) {
            verdicts[n++] = verdict_on(role, r, (uint32_t)i, aged->job->expires);
        }
    }
    if (n > 0) {
        const struct verdict_list list = {.items = verdicts, .count = n};
        outcome_write(role, parcel, &list, on_aged_written, aged);
    } else {
        age_one_done(role, aged->job, aged->key);
        free(aged);
    }
    free(verdicts);
    parcel_unref(&parcel);
}

static void
age_one(struct spool_role *role, struct age_job *job, int64_t key)
{
    struct spool_choice choice = {
        .due_ms = INT64_MAX, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};
    struct aged *aged = calloc(1, sizeof *aged);
    if (aged == NULL) {
        abort();
    }
    *aged = (struct aged){job, key};
    load_parcel(role, key, &choice, LOAD_NOTICE, on_aged_loaded, aged);
}

static enum status
run_age(struct job *base, struct spool *spool)
{
    struct age_job *job = (struct age_job *)base;
    return spool_aged(spool, &job->age, AGE_PAGE, job->keys, &job->count, &job->end);
}

static void
on_age_done(struct job *base)
{
    struct age_job *job = (struct age_job *)base;
    struct spool_role *role = job->role;
    if (base->status != STATUS_OK || role->stopping) {
        job->end = true;
        job->count = 0;
    } else if (job->expires) {
        role->expire_cursor = job->end ? 0 : job->age.cursor; /* from the beginning next time */
    } else {
        role->warn_cursor = job->age.cursor;
    }
    job->waiting = 1;
    for (size_t i = 0; i < job->count; i++) {
        if (claim_take(role, job->keys[i])) { /* else it is being delivered: that will tell */
            job->waiting++;
            age_one(role, job, job->keys[i]);
        }
    }
    if (--job->waiting == 0) {
        age_page_done(job);
    }
}

static void
age_page(struct spool_role *role, bool expires)
{
    const struct config_queue *queue = &role_config(role->runtime)->queue;
    struct age_job *job = calloc(1, sizeof *job);
    int64_t limit = expires ? queue->lifetime_ms : queue->warn_after_ms;
    if (job == NULL) {
        abort();
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_age, .done = on_age_done};
    job->role = role;
    job->expires = expires;
    job->age = (struct spool_age){
        .before_ms = limit > 0 ? role_now(role) - limit : INT64_MIN,
        .unwarned = !expires,
        .cursor = expires ? role->expire_cursor : role->warn_cursor,
    };
    worker_submit(role->worker, &job->job);
}

void
age_tick(struct spool_role *role)
{
    int64_t now = role_now(role);
    if (role->ageing || role->stopping || now < role->age_next_ms) {
        return;
    }
    role->ageing = true;
    role->age_next_ms = now + AGE_INTERVAL_MS;
    age_page(role, now - role->started_ms >= AGE_GRACE_MS);
}
