/* Messages are loaded from the database; and who works on which message at the moment. */
#include <stdlib.h>

#include "base/log.h"
#include "roles/spool/internal.h"
#include "store/spool_sum.h"

/* ---- loading a message */

struct load_job {
    struct job job;
    struct spool_role *role;
    int64_t key;
    struct spool_choice choice;
    enum load_what what;
    char destination[SPOOL_DESTINATION_MAX];
    struct parcel *parcel;
    int content_fd;
    loaded *on_loaded;
    void *context;
};

/* Of those who were never answered; the destination may not be in memory. */
static enum status
add_reasons(struct spool *spool, struct arena *arena, struct spool_message *m)
{
    struct spool_destination d = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct spool_recipient *r = &m->recipients[i];
        if (r->last.code != 0) {
            continue;
        }
        if (!str_eq(d.name, r->destination)) {
            d = (struct spool_destination){.name = r->destination};
            status = spool_destination_get(spool, r->destination, &d);
        }
        if (d.failure.at_ms > 0) {
            const struct spool_attempt why = spool_failure_view(&d.failure);
            r->behind = why;
            r->behind.enhanced = arena_str_dup(arena, why.enhanced);
            r->behind.text = arena_str_dup(arena, why.text);
            r->behind.remote = arena_str_dup(arena, why.remote);
        } else if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status
load_in_worker(struct spool *spool, int64_t key, const struct spool_choice *choice,
               enum load_what what, struct parcel **parcel_out)
{
    struct spool_message m;
    /* The content is at most SPOOL_FILE_ABOVE here; the head at most limits.header_size. */
    struct arena *arena = arena_create(SPOOL_PARCEL_CEILING);
    enum status status = spool_load(spool, arena, key, choice, what != LOAD_ENVELOPE, &m);
    if (status == STATUS_SYNTAX && what == LOAD_NOTICE) {
        status = spool_load(spool, arena, key, choice, false, &m);
    }
    if (status == STATUS_OK && m.recipient_count == 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK && what == LOAD_NOTICE) {
        status = add_reasons(spool, arena, &m);
    }
    if (status != STATUS_OK) {
        arena_destroy(&arena);
        return status;
    }
    *parcel_out = parcel_from_arena(arena, &m);
    return what != LOAD_ALL || m.in_file ? STATUS_OK : parcel_prepare(*parcel_out, -1);
}

struct spool_choice
load_choice_due(struct str destination, int64_t now_ms)
{
    return (struct spool_choice){
        .destination = destination,
        .due_ms = now_ms,
        /* One more than a lease holds tells that there are more. */
        .most = SPOOL_LEASE_RECIPIENTS + 1,
        .octets = SPOOL_LEASE_OCTETS * 2,
    };
}

static enum status
run_load(struct job *base, struct spool *spool)
{
    struct load_job *job = (struct load_job *)base;
    return load_in_worker(spool, job->key, &job->choice, job->what, &job->parcel);
}

/* What an earlier version wrote has no checksum. */
static bool
content_is_sound(const struct spool_message *m)
{
    return m->content_sum == 0 || spool_sum(m->content) == m->content_sum;
}

static enum status
run_read_file(struct job *base, struct spool *spool)
{
    struct load_job *job = (struct load_job *)base;
    int fd;
    (void)spool;
    enum status status =
        spool_file_read(role_directory(job->role->runtime), job->parcel->m.id, &fd);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_SYNTAX; /* the message is there, so its content has been lost */
    }
    if (status == STATUS_OK) {
        status = parcel_prepare(job->parcel, fd); /* STATUS_SYNTAX: it is too short or too long */
    }
    return status == STATUS_OK && !content_is_sound(&job->parcel->m) ? STATUS_SYNTAX : status;
}

static void
on_load_done(struct job *base)
{
    struct load_job *job = (struct load_job *)base;
    if (base->status == STATUS_OK && job->what == LOAD_ALL && job->parcel->m.in_file &&
        base->kind == JOB_READ) {
        base->kind = JOB_FILE;
        base->run = run_read_file;
        worker_submit(job->role->worker, base);
        return;
    }
    if (base->status != STATUS_OK) {
        parcel_unref(&job->parcel);
    }
    job->on_loaded(job->role, job->context, base->status, job->parcel);
    free(job);
}

void
load_parcel(struct spool_role *role, int64_t key, const struct spool_choice *choice,
            enum load_what what, loaded *on_loaded, void *context)
{
    struct load_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    struct str name = str_head(choice->destination, sizeof job->destination);
    *job = (struct load_job){.job = {.kind = JOB_READ, .run = run_load, .done = on_load_done},
                             .role = role,
                             .key = key,
                             .choice = *choice,
                             .what = what,
                             .on_loaded = on_loaded,
                             .context = context};
    if (name.n > 0) {
        memcpy(job->destination, name.p, name.n);
    }
    job->choice.destination = str_make(job->destination, name.n);
    worker_submit(role->worker, &job->job);
}

/* ---- who works on what */

static struct busy *
busy_find(const struct spool_role *role, int64_t key)
{
    struct busy *busy;
    HASH_FIND(hh, role->busy, &key, sizeof key, busy);
    return busy;
}

static struct busy *
busy_get(struct spool_role *role, int64_t key)
{
    struct busy *busy = busy_find(role, key);
    if (busy == NULL) {
        busy = calloc(1, sizeof *busy);
        if (busy == NULL) {
            abort();
        }
        busy->key = key;
        HASH_ADD(hh, role->busy, key, sizeof busy->key, busy);
    }
    return busy;
}

static void
busy_drop_if_free(struct spool_role *role, struct busy *busy)
{
    if (busy->deliveries == 0 && !busy->claimed) {
        HASH_DEL(role->busy, busy);
        free(busy);
    }
}

bool
is_being_delivered(const struct spool_role *role, int64_t key)
{
    const struct busy *busy = busy_find(role, key);
    return busy != NULL && busy->deliveries > 0;
}

unsigned
deliveries_under_way(const struct spool_role *role, int64_t key)
{
    struct busy *busy;
    HASH_FIND(hh, role->busy, &key, sizeof key, busy);
    return busy != NULL ? busy->deliveries : 0;
}

bool
is_busy(const struct spool_role *role, int64_t key)
{
    return busy_find(role, key) != NULL;
}

bool
claim_take(struct spool_role *role, int64_t key)
{
    if (busy_find(role, key) != NULL) {
        return false;
    }
    busy_get(role, key)->claimed = true;
    cache_drop(role, key); /* it will not be what it was */
    return true;
}

void
claim_release(struct spool_role *role, int64_t key)
{
    struct busy *busy = busy_get(role, key);
    busy->claimed = false;
    busy_drop_if_free(role, busy);
}

bool
delivery_enter(struct spool_role *role, int64_t key)
{
    const struct busy *busy = busy_find(role, key);
    if (busy != NULL && busy->claimed) {
        return false;
    }
    busy_get(role, key)->deliveries++;
    return true;
}

void
delivery_leave(struct spool_role *role, int64_t key)
{
    struct busy *busy = busy_get(role, key);
    busy->deliveries--;
    busy_drop_if_free(role, busy);
}
