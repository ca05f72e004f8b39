/* What became of recipients is written down, and the sender is told in the same transaction. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "policy/notice.h"
#include "roles/spool/internal.h"
#include "smtp/envelope.h"

/* Copies of the texts of one report. */
#define OUTCOME_CEILING (16u * 1024u * 1024u)
#define NOTICE_KINDS    3u

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
    bool marks; /* whether the message is known to be damaged changes */
    bool damaged;
    struct intake notices[NOTICE_KINDS];
    size_t notice_count;
    struct comeback *comebacks;
    size_t comeback_count;
    struct trace trace;
    outcome_done *done;
    void *context;
};

/* The recipients of one kind of notice, while they are collected. */
struct notice_list {
    struct dsn_recipient *items;
    size_t n;
};

struct outcome {
    struct spool_role *role;
    struct outcome_job *job;
    const struct spool_message *m;
    int64_t now_ms;
    int64_t age_ms;
    struct str by;
    struct notice_list lists[NOTICE_KINDS];
    const struct config_queue *queue;
    enum notice_extent extent;
};

static void *
need(void *p)
{
    if (p == NULL) {
        abort(); /* the ceilings have room for what one report can bring */
    }
    return p;
}

/* ---- who is told (RFC 3461 4.1) */

static bool
wants_notice(const struct spool_recipient *r, enum dsn_kind kind)
{
    static const unsigned bits[] = {[DSN_FAILURE] = SMTP_DSN_NOTIFY_FAILURE,
                                    [DSN_DELAY] = SMTP_DSN_NOTIFY_DELAY,
                                    [DSN_SUCCESS] = SMTP_DSN_NOTIFY_SUCCESS};
    if ((r->notify & SMTP_DSN_NOTIFY_NEVER) != 0) {
        return false;
    }
    if (r->notify == 0) {
        return kind != DSN_SUCCESS;
    }
    return (r->notify & bits[kind]) != 0;
}

static const char *
kind_name(enum dsn_kind kind)
{
    static const char *const names[] = {
        [DSN_FAILURE] = "failure", [DSN_DELAY] = "delay", [DSN_SUCCESS] = "success"};
    return names[kind];
}

/* Why nobody is told, or NULL. */
static const char *
suppression(const struct outcome *o, const struct spool_recipient *r, enum dsn_kind kind)
{
    if (o->m->sender.n == 0) {
        return "null_sender"; /* RFC 5321 6.1: never a bounce of a bounce */
    }
    if (o->m->altered) {
        return "damaged"; /* the address may be somebody else's by now */
    }
    if (!wants_notice(r, kind)) {
        return (r->notify & SMTP_DSN_NOTIFY_NEVER) != 0 ? "notify_never" : "notify_not_asked";
    }
    if (o->extent == NOTICE_EXTENT_FAILURES) {
        return kind == DSN_FAILURE ? NULL : "stranger";
    }
    return notice_extent_reason(o->extent);
}

static void
suppress(struct outcome *o, const struct spool_recipient *r, enum dsn_kind kind, const char *why)
{
    /* That nobody is told what nobody asked for is not worth a line. */
    if (kind != DSN_FAILURE && (o->extent == NOTICE_EXTENT_FULL || !wants_notice(r, kind))) {
        return;
    }
    TRACE(&o->job->trace, notice_suppressed, .kind = str_from_cstr(kind_name(kind)),
          .recipient = r->address, .why = str_from_cstr(why));
    o->role->counts.notices_suppressed++;
    if (kind == DSN_FAILURE) {
        LOG_WARN("undeliverable, and nobody is told", LOG_STR("id", o->m->id),
                 LOG_STR("recipient", r->address), LOG_CSTR("why", why));
    }
}

/* The name in "name[address]:port"; nothing of a socket's path, which is nobody's business. */
static struct str
host_of(struct str remote)
{
    size_t end = str_find_char(remote, '[');
    if (end == 0) {
        end = str_find_char(remote, ']');
        end = end != STR_NPOS ? end + 1 : STR_NPOS; /* an address alone */
    }
    if (str_starts_with(remote, STR("/"))) {
        return str_make(NULL, 0);
    }
    return end != STR_NPOS ? str_head(remote, end) : remote;
}

/*
 * What a stranger may know: that the address it wrote to was not reached. Neither which address
 * that leads to, nor the servers behind and their words; a status only where it is about the same
 * address (RFC 3464 4.2: a forwarding address may be confidential).
 */
static void
tell_stranger(struct notice_list *list, const struct spool_recipient *r,
              const struct spool_result *result)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->items[i].address, r->original)) {
            return; /* another target of the same alias */
        }
    }
    bool sent_on = !str_eq_nocase(r->address, r->original);
    list->items[list->n++] = (struct dsn_recipient){
        .address = r->original,
        .original = r->original,
        .orcpt = r->orcpt,
        .action = DSN_FAILED,
        .status = sent_on ? str_make(NULL, 0) : result->last.enhanced,
        .expired = result->state == SPOOL_EXPIRED,
    };
}

static void
tell(struct outcome *o, const struct spool_recipient *r, const struct spool_result *result,
     enum dsn_kind kind, enum dsn_action action)
{
    const char *why_not = suppression(o, r, kind);
    if (why_not != NULL) {
        suppress(o, r, kind, why_not);
        return;
    }
    struct notice_list *list = &o->lists[kind];
    if (o->extent == NOTICE_EXTENT_FAILURES) {
        tell_stranger(list, r, result);
        return;
    }
    list->items[list->n++] = (struct dsn_recipient){
        .address = r->address,
        .original = r->original,
        .orcpt = r->orcpt,
        .action = action,
        .status = result->last.enhanced,
        .expired = result->state == SPOOL_EXPIRED,
        .code = result->last.code,
        .text = result->last.text,
        .remote = host_of(result->last.remote),
        .attempt_ms = result->last.at_ms > 0 ? role_wall(o->role, result->last.at_ms) : 0,
        .retry_until_ms = result->state == SPOOL_HELD
                              ? 0
                              : role_wall(o->role, o->m->queued_ms + o->queue->lifetime_ms),
    };
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
    result->state = SPOOL_EXPIRED;
    o->role->counts.expired++;
    TRACE(&o->job->trace, expired, .recipient = r->address, .age_ms = o->age_ms,
          .attempts = result->attempts);
    tell(o, r, result, DSN_FAILURE, DSN_FAILED);
}

static void
warn_if_late(struct outcome *o, const struct spool_recipient *r, struct spool_result *result)
{
    if (!result->warned && o->queue->warn_after_ms > 0 && o->age_ms >= o->queue->warn_after_ms) {
        result->warned = true;
        tell(o, r, result, DSN_DELAY, DSN_DELAYED);
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
        tell(o, r, result, DSN_SUCCESS, DSN_DELIVERED);
        break;
    case VERDICT_RELAYED:
        result->state = SPOOL_RELAYED;
        break;
    case VERDICT_RELAYED_WITHOUT_DSN:
        result->state = SPOOL_RELAYED;
        tell(o, r, result, DSN_SUCCESS, DSN_RELAYED);
        break;
    default:
        result->state = SPOOL_FAILED;
        tell(o, r, result, DSN_FAILURE, DSN_FAILED);
        o->role->counts.failed++;
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
    } else {
        result->state = result->attempts > 0 ? SPOOL_DEFERRED : SPOOL_QUEUED;
        result->due_ms = o->now_ms;
    }
}

static struct spool_attempt
copy_attempt(struct arena *arena, const struct spool_attempt *a)
{
    return (struct spool_attempt){
        .at_ms = a->at_ms,
        .code = a->code,
        .enhanced = arena_str_dup(arena, a->enhanced),
        .text = arena_str_dup(arena, str_head(a->text, SPOOL_REPLY_TEXT_MAX)),
        .remote = arena_str_dup(arena, a->remote),
    };
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
        .last = v->last.at_ms > 0 ? copy_attempt(o->job->arena, &v->last) : r->last,
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
    if (v->kind == VERDICT_FLUSHED) {
        comeback->flush = true;
        comeback->wake = true; /* also when it is blocked there */
    }
}

/* ---- notices */

static void
trace_notice_sent(struct outcome *o, enum dsn_kind kind, const struct parcel *notice)
{
    const struct notice_list *list = &o->lists[kind];
    size_t n = list->n < TRACE_TEXTS_MAX ? list->n : TRACE_TEXTS_MAX;
    struct str *names = need(arena_alloc_array(o->job->arena, n, sizeof *names));
    for (size_t i = 0; i < n; i++) {
        names[i] = list->items[i].address;
    }
    TRACE(&o->job->trace, notice_sent, .kind = str_from_cstr(kind_name(kind)), .id = notice->m.id,
          .to = notice->m.recipients[0].original, .recipients = {names, n});
}

static void
make_notices(struct outcome *o)
{
    for (unsigned kind = 0; kind < NOTICE_KINDS; kind++) {
        const struct notice_list *list = &o->lists[kind];
        if (list->n == 0) {
            continue;
        }
        struct parcel *notice =
            notice_make(o->role, o->job->parcel, (enum dsn_kind)kind, list->items, list->n);
        if (notice != NULL) {
            trace_notice_sent(o, (enum dsn_kind)kind, notice);
            intake_prepare(o->role, &o->job->notices[o->job->notice_count++], notice);
        }
    }
}

/* ---- the job */

static enum status
run_outcome(struct job *base, struct spool *spool)
{
    struct outcome_job *job = (struct outcome_job *)base;
    int64_t now = role_now(job->role);
    enum status status = spool_settle(spool, job->parcel->m.key, job->parcel->m.total, job->results,
                                      job->count, &job->end);
    if (status == STATUS_OK && job->marks && !job->end.gone) {
        status = spool_mark_message(spool, job->parcel->m.key, job->damaged);
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
on_outcome_done(struct job *base)
{
    struct outcome_job *job = (struct outcome_job *)base;
    struct spool_role *role = job->role;
    bool written = base->status == STATUS_OK;
    if (written) {
        outcome_log_write(role, &job->parcel->m, job->lines, job->count, job->by);
    }
    if (!written) {
        LOG_ERROR("the results of a delivery could not be written",
                  LOG_STR("id", job->parcel->m.id), LOG_CSTR("status", status_name(base->status)));
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

void
outcome_write(struct spool_role *role, struct parcel *parcel, const struct verdict_list *verdicts,
              outcome_done *done, void *context)
{
    size_t count = verdicts->count;
    struct outcome_job *job = need(calloc(1, sizeof *job));
    job->job = (struct job){.kind = JOB_MUST, .run = run_outcome, .done = on_outcome_done};
    job->role = role;
    job->arena = arena_create(OUTCOME_CEILING);
    job->parcel = parcel_ref(parcel);
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
                        .extent = notice_extent_of(role_config(role->runtime), parcel->m.flags)};
    o.age_ms = o.now_ms - parcel->m.queued_ms;
    bool some_stay = false;
    job->damaged = verdicts->items[0].kind == VERDICT_DAMAGED;
    job->marks = job->damaged || (parcel->m.damaged && verdicts->items[0].kind == VERDICT_RELEASED);
    for (unsigned kind = 0; kind < NOTICE_KINDS; kind++) {
        o.lists[kind].items =
            need(arena_alloc_array(job->arena, count, sizeof *o.lists[kind].items));
    }
    trace_command(&o, verdicts);
    for (size_t i = 0; i < count; i++) {
        decide(&o, &verdicts->items[i], &job->results[i]);
        job->lines[i] = (struct outcome_log){.recipient = verdicts->items[i].index,
                                             .kind = verdicts->items[i].kind,
                                             .result = &job->results[i],
                                             .now_ms = o.now_ms};
        note_comeback(job, &verdicts->items[i], &job->results[i]);
        some_stay = some_stay || !spool_state_is_final(job->results[i].state);
    }
    if (some_stay) {
        cache_drop(role, parcel->m.key); /* the database knows better from now on */
    }
    make_notices(&o);
    worker_submit(role->worker, &job->job);
}
