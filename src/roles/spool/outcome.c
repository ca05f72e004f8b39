/* What became of recipients is written down, and the sender is told in the same transaction. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/filter/vault.h"
#include "roles/spool/tell.h"
#include "roles/vault/vault.h"

/* Copies of the texts of one report. */
#define OUTCOME_CEILING (16u * 1024u * 1024u)
/* How long failures wait for the other deliveries of their message, to share one notice. */
#define PARK_MS         3000

/* A destination that gets something to do by an outcome: a later attempt, or one now. */
struct comeback {
    struct str name;
    struct schedule_destination *destination; /* pinned, or NULL */
    int64_t due_ms;
    bool flush; /* blocks are lifted */
    bool wake;  /* the database must know */
};

struct outcome_job {
    struct job job;
    struct spool_role *role;
    struct arena *arena;
    struct parcel *parcel;
    struct spool_result *results;
    struct outcome_log *lines; /* one a result */
    size_t count;
    struct str by; /* the administrator, for commands */
    struct spool_end end;
    struct str attempted; /* a destination of which `failure` must be kept; empty: none */
    struct spool_failure failure;
    bool reroutes; /* recipients have other destinations */
    bool marks;    /* whether the message is known to be damaged changes */
    bool damaged;
    struct intake notices[NOTICE_SLOTS];
    size_t notice_count;
    struct teller teller;
    struct parcel *unsigned_notices[NOTICE_SLOTS]; /* those of `notices`, while they are signed */
    struct comeback *comebacks;
    size_t comeback_count;
    struct trace trace;
    outcome_done *done;
    void *context;
    int64_t key;                 /* of the message */
    struct outcome_job *earlier; /* of the same message, written together with this one */
    int64_t parked_ms; /* monotonic: since when failures wait for others; 0: they do not */
    UT_hash_handle hh; /* role->parked, by the message's key */
};

struct outcome {
    struct spool_role *role;
    struct outcome_job *job;
    const struct spool_message *m;
    int64_t now_ms;
    int64_t age_ms;
    struct str by;
    struct teller *teller; /* the job's */
    const struct config_queue *queue;
};

static void *
need(void *p)
{
    if (p == NULL) {
        abort(); /* the ceilings have room for what one report can bring */
    }
    return p;
}

/* ---- verdicts */

static void
trace_attempt_later(struct outcome *o, const struct spool_recipient *r,
                    const struct spool_result *result)
{
    TRACE(&o->job->trace, deferred, .recipient = r->address, .code = result->last.code,
          .enhanced = result->last.enhanced, .text = result->last.text,
          .remote = result->last.remote, .next_attempt = role_wall(o->role, result->due_ms),
          .attempts = result->attempts);
    o->role->counts.deferrals++;
}

static void
expire(struct outcome *o, const struct spool_recipient *r, struct spool_result *result)
{
    o->role->counts.expired++;
    result->last = teller_reason(o->teller, r, result);
    TRACE(&o->job->trace, expired, .recipient = r->address, .age_ms = o->age_ms,
          .attempts = result->attempts, .code = result->last.code,
          .enhanced = result->last.enhanced, .text = result->last.text,
          .remote = result->last.remote);
    teller_end(o->teller, r, result, SPOOL_EXPIRED);
}

static void
warn_if_late(struct outcome *o, const struct spool_recipient *r, struct spool_result *result)
{
    if (!result->warned && o->queue->warn_after_ms > 0 && o->age_ms >= o->queue->warn_after_ms) {
        result->warned = true;
        teller_tell(o->teller, r, result, DSN_DELAY, DSN_DELAYED);
    }
}

static void
defer(struct outcome *o, const struct spool_recipient *r, struct spool_result *result)
{
    result->attempts++;
    if (o->age_ms >= o->queue->lifetime_ms) {
        expire(o, r, result);
        return;
    }
    result->state = SPOOL_DEFERRED;
    result->due_ms = o->now_ms + schedule_retry_delay(schedule_settings(o->role->schedule),
                                                      result->attempts, random_below(UINT32_MAX));
    trace_attempt_later(o, r, result);
    warn_if_late(o, r, result);
}

static void
finish(struct outcome *o, const struct spool_recipient *r, struct spool_result *result,
       enum verdict_kind kind)
{
    result->attempts++;
    switch ((int)kind) {
    case VERDICT_DELIVERED:
        result->state = SPOOL_DELIVERED;
        teller_tell(o->teller, r, result, DSN_SUCCESS, DSN_DELIVERED);
        break;
    case VERDICT_RELAYED:
        result->state = SPOOL_RELAYED;
        break;
    case VERDICT_RELAYED_WITHOUT_DSN:
        result->state = SPOOL_RELAYED;
        teller_tell(o->teller, r, result, DSN_SUCCESS, DSN_RELAYED);
        break;
    default:
        o->role->counts.failed++;
        teller_end(o->teller, r, result, SPOOL_FAILED);
        return;
    }
    o->role->counts.delivered++;
}

/* What an administrator asks for; attempts and their last result stay as they are. */
static void
command(struct outcome *o, const struct spool_recipient *r, struct spool_result *result,
        enum verdict_kind kind)
{
    if (kind == VERDICT_REMOVED) {
        result->state = SPOOL_REMOVED;
        TRACE(&o->job->trace, removed, .recipient = r->address, .by = o->by);
    } else if (kind == VERDICT_HELD || kind == VERDICT_DAMAGED) {
        result->state = SPOOL_HELD;
    } else if (kind == VERDICT_REROUTED && result->state == SPOOL_HELD) {
        return; /* it still waits for its release */
    } else {
        result->state = result->attempts > 0 ? SPOOL_DEFERRED : SPOOL_QUEUED;
        result->due_ms = o->now_ms;
    }
}

static void
decide(struct outcome *o, const struct verdict *v, struct spool_result *result)
{
    const struct spool_recipient *r = &o->m->recipients[v->index];
    *result = (struct spool_result){
        .number = r->number,
        .state = r->state,
        .due_ms = r->due_ms,
        .attempts = r->attempts,
        .warned = r->warned,
        .last = v->last.at_ms > 0 ? attempt_copy(o->job->arena, &v->last) : r->last,
    };
    switch (v->kind) {
    case VERDICT_DELIVERED:
    case VERDICT_RELAYED:
    case VERDICT_RELAYED_WITHOUT_DSN:
    case VERDICT_FAILED:
        finish(o, r, result, v->kind);
        break;
    case VERDICT_DEFERRED:
        defer(o, r, result);
        break;
    case VERDICT_EXPIRED:
        expire(o, r, result);
        break;
    case VERDICT_WARN:
        warn_if_late(o, r, result);
        break;
    case VERDICT_HELD:
    case VERDICT_RELEASED:
    case VERDICT_FLUSHED:
    case VERDICT_REMOVED:
    case VERDICT_DAMAGED:
    case VERDICT_REROUTED:
        command(o, r, result, v->kind);
        break;
    }
}

/* ---- destinations that get something to do */

static struct comeback *
comeback_for(struct outcome_job *job, struct str name)
{
    for (size_t i = job->comeback_count; i > 0; i--) {
        if (str_eq(job->comebacks[i - 1].name, name)) {
            return &job->comebacks[i - 1];
        }
    }
    struct comeback *comeback = &job->comebacks[job->comeback_count++];
    *comeback = (struct comeback){.name = name, .due_ms = INT64_MAX};
    comeback->destination = schedule_get(job->role->schedule, name);
    if (comeback->destination != NULL) {
        schedule_pin(comeback->destination);
    }
    comeback->wake = comeback->destination == NULL || !schedule_has_row(comeback->destination);
    return comeback;
}

static void
note_comeback(struct outcome_job *job, const struct verdict *v, const struct spool_result *result)
{
    if ((result->state != SPOOL_QUEUED && result->state != SPOOL_DEFERRED) ||
        v->kind == VERDICT_WARN) {
        return;
    }
    struct comeback *comeback = comeback_for(job, job->parcel->m.recipients[v->index].destination);
    comeback->due_ms = result->due_ms < comeback->due_ms ? result->due_ms : comeback->due_ms;
    if (v->kind == VERDICT_FLUSHED || v->kind == VERDICT_REROUTED) {
        comeback->flush = true;
        comeback->wake = true; /* also when it is blocked there */
    }
}

/* ---- the job */

static enum status
write_job(struct outcome_job *job, struct spool *spool)
{
    int64_t now = role_now(job->role);
    enum status status = job->earlier != NULL ? write_job(job->earlier, spool) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    status = spool_settle(spool, job->parcel->m.key, job->parcel->m.total, job->results, job->count,
                          &job->end);
    if (status == STATUS_OK && job->marks && !job->end.gone) {
        status = spool_mark_message(spool, job->parcel->m.key, job->damaged);
    }
    for (size_t i = 0; status == STATUS_OK && job->reroutes && i < job->count; i++) {
        status = spool_rehome(spool, job->parcel->m.key,
                              &job->parcel->m.recipients[job->lines[i].recipient]);
    }
    if (status == STATUS_OK && job->attempted.n > 0) {
        status = spool_destination_failed(spool, job->attempted, now, &job->failure);
    }
    if (status == STATUS_OK && job->teller.gathers) {
        status = spool_gather(spool, job->teller.gathered, job->teller.gathered_cut);
    }
    for (size_t i = 0; status == STATUS_OK && i < job->notice_count; i++) {
        status = intake_insert(&job->notices[i], spool, now);
    }
    for (size_t i = 0; status == STATUS_OK && i < job->comeback_count; i++) {
        const struct comeback *comeback = &job->comebacks[i];
        if (comeback->flush) {
            status = spool_destination_put(spool, comeback->name, now, 0);
        } else if (comeback->wake) {
            int64_t least = comeback->destination != NULL ? now : now + 1000;
            status = spool_destination_wake(spool, comeback->name,
                                            comeback->due_ms > least ? comeback->due_ms : least);
        }
    }
    return status;
}

static enum status
run_outcome(struct job *base, struct spool *spool)
{
    return write_job((struct outcome_job *)base, spool);
}

static void
finish_comebacks(struct outcome_job *job, bool written)
{
    struct spool_role *role = job->role;
    int64_t now = role_now(role);
    for (size_t i = 0; i < job->comeback_count; i++) {
        struct comeback *comeback = &job->comebacks[i];
        if (comeback->destination == NULL) {
            continue;
        }
        schedule_unpin(comeback->destination);
        if (!written) {
            continue;
        }
        schedule_set_row(comeback->destination);
        if (comeback->flush) {
            schedule_unblock(role->schedule, comeback->destination, now);
        }
        schedule_due_at(role->schedule, comeback->destination, comeback->due_ms, now);
    }
}

static void
finish_job(struct outcome_job *job, enum status status)
{
    struct spool_role *role = job->role;
    bool written = status == STATUS_OK;
    if (job->earlier != NULL) {
        finish_job(job->earlier, status);
    }
    if (written) {
        outcome_log_write(role, &job->parcel->m, job->lines, job->count, job->by);
    }
    if (written && job->teller.gathers) {
        postmaster_gathered(role, 1, false);
    }
    if (!written) {
        LOG_ERROR("the results of a delivery could not be written",
                  LOG_STR("id", job->parcel->m.id), LOG_CSTR("status", status_name(status)));
    } else if (job->end.gone) {
        TRACE(&job->trace, finished, .delivered = job->end.delivered, .failed = job->end.failed);
        finished_add(role, job->parcel->m.id);
        cache_drop(role, job->parcel->m.key);
    }
    trace_sender_add(role->traces, job->parcel->m.id, str_make(NULL, 0), &job->trace);
    job->done(role, job->context, job->parcel, written);
    for (size_t i = 0; i < job->notice_count; i++) {
        intake_finish(role, &job->notices[i], written);
    }
    finish_comebacks(job, written);
    trace_free(&job->trace);
    parcel_unref(&job->parcel);
    arena_destroy(&job->arena);
    free(job);
}

static void go_on(struct outcome_job *job);

/* How many deliveries the outcomes of this chain are of. */
static unsigned
chain_length(const struct outcome_job *job)
{
    unsigned n = 0;
    for (; job != NULL; job = job->earlier) {
        n++;
    }
    return n;
}

/* The failures that waited for this delivery go on if it was the last. */
static void
go_on_without_others(struct spool_role *role, int64_t key)
{
    struct outcome_job *parked;
    HASH_FIND(hh, role->parked, &key, sizeof key, parked);
    if (parked != NULL && deliveries_under_way(role, key) <= chain_length(parked)) {
        HASH_DEL(role->parked, parked);
        go_on(parked);
    }
}

static void
on_outcome_done(struct job *base)
{
    struct outcome_job *job = (struct outcome_job *)base;
    struct spool_role *role = job->role;
    int64_t key = job->key;
    finish_job(job, base->status);
    go_on_without_others(role, key);
    dispatch(role);
}

static void
trace_command(struct outcome *o, const struct verdict_list *verdicts)
{
    enum verdict_kind kind = verdicts->items[0].kind;
    if (kind == VERDICT_HELD) {
        TRACE(&o->job->trace, held, .reason = STR("asked for"), .by = o->by);
    } else if (kind == VERDICT_DAMAGED) {
        TRACE(&o->job->trace, held, .reason = verdicts->items[0].last.text, .by = o->by);
    } else if (kind == VERDICT_RELEASED) {
        TRACE(&o->job->trace, released, .by = o->by);
    } else if (kind == VERDICT_FLUSHED) {
        TRACE(&o->job->trace, flushed, .by = o->by);
    }
}

static void
submit(struct spool_role *role, void *context)
{
    struct outcome_job *job = context;
    worker_submit(role->worker, &job->job);
}

/* Whether some recipient of these outcomes is still to be dealt with. */
static bool
some_stay(const struct outcome_job *job)
{
    for (; job != NULL; job = job->earlier) {
        for (size_t i = 0; i < job->count; i++) {
            if (!spool_state_is_final(job->results[i].state)) {
                return true;
            }
        }
    }
    return false;
}

/* The last step before it is written. */
static void
make_notices(struct outcome_job *job)
{
    struct spool_role *role = job->role;
    job->notice_count = teller_make(&job->teller, job->notices);
    if (some_stay(job)) {
        cache_drop(role, job->key); /* the database knows better from now on */
    }
    for (size_t i = 0; i < job->notice_count; i++) {
        job->unsigned_notices[i] = job->notices[i].parcel;
    }
    notice_sign(role, job->unsigned_notices, job->notice_count, submit, job);
}

static void
on_sender(void *context, enum status status, struct ipc_message *reply)
{
    struct outcome_job *job = context;
    job->role->signing--;
    if (status == STATUS_OK && reply->type == MSG_SRS_REPLY &&
        MSG_BODY(reply, srs_reply)->outcome == VAULT_SRS_DONE) {
        job->teller.sender = arena_str_dup(job->arena, MSG_BODY(reply, srs_reply)->address);
    } else {
        LOG_WARN("who sent a forwarded message cannot be found out",
                 LOG_STR("id", job->parcel->m.id));
    }
    ipc_message_free(&reply);
    make_notices(job);
}

/* Asks the vault who sent the message; false: it cannot be asked. */
static bool
ask_sender(struct outcome_job *job)
{
    struct channel *vault = role_channel(job->role->runtime, ROLE_VAULT, 0);
    struct str sender = job->parcel->m.sender;
    struct msg_srs srs = {.direction = VAULT_SRS_REVERSE,
                          .address = sender,
                          .domain = str_skip(sender, str_rfind_char(sender, '@') + 1)};
    if (vault == NULL ||
        channel_request(vault, MSG_SRS, &srs, VAULT_TIMEOUT_MS, on_sender, job) != STATUS_OK) {
        return false;
    }
    job->role->signing++;
    return true;
}

static void
go_on(struct outcome_job *job)
{
    if (!teller_has_notices(&job->teller) || !notice_sender_is_short(&job->parcel->m) ||
        !ask_sender(job)) {
        make_notices(job);
    }
}

/* ---- failures of one message in several deliveries share a notice */

/*
 * Whether the outcome waits, in memory, for other deliveries of its message that are under way.
 * What is lost with the memory is reported again: the relay remembers what it has done.
 */
static bool
wait_for_others(struct outcome_job *job)
{
    struct spool_role *role = job->role;
    struct outcome_job *parked;
    HASH_FIND(hh, role->parked, &job->key, sizeof job->key, parked);
    if (!teller_has_failures(&job->teller)) {
        return false; /* what was delivered is written at once, or it may be delivered again */
    }
    if (parked != NULL) {
        HASH_DEL(role->parked, parked);
        teller_join(&job->teller, &parked->teller);
        job->earlier = parked;
        job->parked_ms = parked->parked_ms;
    }
    bool others = deliveries_under_way(role, job->key) > chain_length(job);
    if (!others || role->stopping) {
        return false;
    }
    job->parked_ms = job->parked_ms > 0 ? job->parked_ms : clock_monotonic_ms();
    HASH_ADD(hh, role->parked, key, sizeof job->key, job);
    return true;
}

void
outcome_tick(struct spool_role *role, bool all)
{
    struct outcome_job *job;
    struct outcome_job *next;
    HASH_ITER(hh, role->parked, job, next)
    {
        if (all || clock_monotonic_ms() - job->parked_ms >= PARK_MS) {
            HASH_DEL(role->parked, job);
            go_on(job);
        }
    }
}

/* The database remembers it across a restart. */
static void
keep_failure(struct outcome_job *job, const struct schedule_destination *attempted)
{
    if (attempted == NULL) {
        return;
    }
    job->attempted = arena_str_dup(job->arena, schedule_name(attempted));
    if (schedule_failure(attempted) != NULL) {
        job->failure = *schedule_failure(attempted);
    }
}

/* Before anything is decided: what follows goes by the new destinations. */
static void
reroute(struct outcome *o, const struct verdict_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct spool_recipient *r = &o->job->parcel->m.recipients[list->items[i].index];
        char key[SPOOL_DESTINATION_MAX];
        struct str name = list->to.n > 0 ? list->to : destination_of(o->role, r->address, key);
        r->destination = arena_str_dup(o->job->arena, name);
        r->rerouted = list->to.n > 0;
        TRACE(&o->job->trace, rerouted, .recipient = r->address, .to = list->to, .by = list->by);
    }
    o->job->reroutes = true;
}

void
outcome_write_part(struct spool_role *role, struct parcel *parcel,
                   const struct verdict_list *verdicts, outcome_done *done, void *context)
{
    size_t count = verdicts->count;
    struct outcome_job *job = need(calloc(1, sizeof *job));
    job->job = (struct job){.kind = JOB_MUST, .run = run_outcome, .done = on_outcome_done};
    job->role = role;
    job->arena = arena_create(OUTCOME_CEILING);
    job->parcel = parcel_ref(parcel);
    job->key = parcel->m.key;
    job->count = count;
    job->results = need(arena_alloc_array(job->arena, count, sizeof *job->results));
    job->comebacks = need(arena_alloc_array(job->arena, count, sizeof *job->comebacks));
    job->lines = need(arena_alloc_array(job->arena, count, sizeof *job->lines));
    job->by = arena_str_dup(job->arena, verdicts->by);
    job->done = done;
    job->context = context;
    trace_init(&job->trace, NULL);
    struct outcome o = {.role = role,
                        .job = job,
                        .m = &parcel->m,
                        .now_ms = role_now(role),
                        .by = verdicts->by,
                        .queue = &role_config(role->runtime)->queue,
                        .teller = &job->teller};
    job->teller = (struct teller){
        .role = role,
        .about = parcel,
        .arena = job->arena,
        .trace = &job->trace,
        .extent = notice_extent_of(role_config(role->runtime), parcel->m.flags),
        .by_command = verdicts->by.n > 0,
    };
    o.age_ms = o.now_ms - parcel->m.queued_ms;
    keep_failure(job, verdicts->attempted);
    job->damaged = verdicts->items[0].kind == VERDICT_DAMAGED;
    job->marks = job->damaged || (parcel->m.damaged && verdicts->items[0].kind == VERDICT_RELEASED);
    teller_start(&job->teller, count);
    trace_command(&o, verdicts);
    if (verdicts->items[0].kind == VERDICT_REROUTED) {
        reroute(&o, verdicts);
    }
    for (size_t i = 0; i < count; i++) {
        decide(&o, &verdicts->items[i], &job->results[i]);
        job->lines[i] = (struct outcome_log){.recipient = verdicts->items[i].index,
                                             .kind = verdicts->items[i].kind,
                                             .result = &job->results[i],
                                             .now_ms = o.now_ms};
        note_comeback(job, &verdicts->items[i], &job->results[i]);
    }
    if (!wait_for_others(job)) {
        go_on(job);
    }
}
