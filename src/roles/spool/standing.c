/*
 * How destinations stand: who waits for each, since when, and why; and the pauses.
 *
 * The queue is walked a page at a time, so that the database goes on serving others in between.
 * What is counted is bounded: destinations past GROUPS_MAX and errors past ERRORS_MAX are only
 * told to be left out.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/spool/internal.h"

#define GROUPS_MAX       10000u
#define ERRORS_MAX       2000u
/* Of one answer; a packet holds IPC_PACKET_MAX. */
#define SHOWN_MAX        500u
#define ERRORS_SHOWN_MAX 50u
#define SHOWN_OCTETS     (128u * 1024u)
#define ERRORS_OCTETS    (48u * 1024u)
#define STANDING_CEILING (32u * 1024u * 1024u)
/* A word with a digit in it that is as long differs from message to message. */
#define VARYING_LEAST    5u

struct group {
    struct str name;
    uint32_t waiting;
    uint32_t held;
    int64_t oldest_ms;
    struct spool_destination stored; /* of a destination that is not in memory */
    UT_hash_handle hh;
};

/* The key is the text with its codes in front. */
struct error {
    struct str key;
    struct str text;
    struct str enhanced;
    struct str destination; /* one of them */
    uint16_t code;
    uint32_t recipients;
    UT_hash_handle hh;
};

/* A name that is paused; it may be a domain. */
struct paused {
    struct str name;
    UT_hash_handle hh;
};

struct standing_job {
    struct job job;
    struct spool_role *role;
    struct asker asker;
    struct ipc_message *message;
    struct arena *arena;
    struct spool_standing_walk walk;
    struct group *groups;
    struct error *errors;
    struct paused *paused;
    uint32_t left_out;
};

/* ---- counting; in the worker's thread */

static struct group *
group_of(struct standing_job *job, struct str name)
{
    struct group *group;
    HASH_FIND(hh, job->groups, name.p, name.n, group);
    if (group != NULL) {
        return group;
    }
    group = HASH_COUNT(job->groups) < GROUPS_MAX ? arena_alloc(job->arena, sizeof *group) : NULL;
    if (group == NULL) {
        return NULL;
    }
    *group = (struct group){.name = arena_str_dup(job->arena, name)};
    if (group->name.p != NULL) {
        HASH_ADD_KEYPTR(hh, job->groups, group->name.p, group->name.n, group);
    }
    return group;
}

static bool
is_word(char c)
{
    return char_is_alnum(c) || c == '.' || c == ':' || c == '-' || c == '_' || c == '@' || c == '+';
}

/* Copies a reply with what identifies one message, host or moment as "*". */
static struct str
generalize(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; out != NULL && i < text.n;) {
        size_t end = i;
        bool digit = false;
        while (end < text.n && is_word(text.p[end])) {
            digit = digit || char_is_digit(text.p[end]);
            end++;
        }
        if (end == i) {
            out[n++] = text.p[i++];
        } else if (digit && end - i >= VARYING_LEAST) {
            out[n++] = '*';
        } else {
            memcpy(out + n, text.p + i, end - i);
            n += end - i;
        }
        i = end > i ? end : i;
    }
    return str_make(out, out != NULL ? n : 0);
}

static void
count_error(struct standing_job *job, const struct spool_standing *row, const struct group *group)
{
    struct error *error;
    struct str text = generalize(job->arena, row->text);
    struct str key =
        arena_printf(job->arena, "%u %.*s %.*s", row->code, STR_ARG(row->enhanced), STR_ARG(text));
    HASH_FIND(hh, job->errors, key.p, key.n, error);
    if (error == NULL) {
        error =
            HASH_COUNT(job->errors) < ERRORS_MAX ? arena_alloc(job->arena, sizeof *error) : NULL;
        if (error == NULL || key.p == NULL) {
            return;
        }
        *error = (struct error){.key = key,
                                .text = text,
                                .enhanced = arena_str_dup(job->arena, row->enhanced),
                                .destination = group->name,
                                .code = row->code};
        HASH_ADD_KEYPTR(hh, job->errors, error->key.p, error->key.n, error);
    }
    error->recipients++;
}

/*
 * Where a recipient waits: its destination, or its domain where that is paused, to whose own
 * destination it moves when its turn comes.
 */
static struct str
waits_for(const struct standing_job *job, const struct spool_standing *row,
          char lower[static SPOOL_DESTINATION_MAX])
{
    struct paused *paused = NULL;
    struct str domain = str_skip(row->address, str_rfind_char(row->address, '@') + 1);
    if (job->paused == NULL || row->rerouted || domain.n > SPOOL_DESTINATION_MAX) {
        return row->destination;
    }
    for (size_t i = 0; i < domain.n; i++) {
        lower[i] = char_lower(domain.p[i]);
    }
    HASH_FIND(hh, job->paused, lower, domain.n, paused);
    return paused != NULL ? paused->name : row->destination;
}

static void
on_row(void *context, const struct spool_standing *row)
{
    struct standing_job *job = context;
    const struct msg_queue_standing *q = MSG_BODY(job->message, queue_standing);
    char lower[SPOOL_DESTINATION_MAX];
    struct str name = waits_for(job, row, lower);
    if (!str_fits(name, q->destination)) {
        return;
    }
    struct group *group = group_of(job, name);
    if (group == NULL) {
        job->left_out++;
        return;
    }
    if (row->state == SPOOL_HELD) {
        group->held++;
        return;
    }
    group->waiting++;
    if (group->oldest_ms == 0 || row->queued_ms < group->oldest_ms) {
        group->oldest_ms = row->queued_ms;
    }
    if (row->last_ms > 0 && (row->code != 0 || row->text.n > 0)) {
        count_error(job, row, group);
    }
}

static int
longer_first(const struct group *a, const struct group *b)
{
    return (a->waiting < b->waiting) - (a->waiting > b->waiting);
}

static int
commoner_first(const struct error *a, const struct error *b)
{
    return (a->recipients < b->recipients) - (a->recipients > b->recipients);
}

static enum status
run_standing(struct job *base, struct spool *spool)
{
    struct standing_job *job = (struct standing_job *)base;
    enum status status = spool_standing(spool, &job->walk, on_row, job);
    size_t n = 0;
    if (status != STATUS_OK || !job->walk.end) {
        return status;
    }
    HASH_SORT(job->groups, longer_first);
    HASH_SORT(job->errors, commoner_first);
    for (struct group *g = job->groups; g != NULL && n < SHOWN_MAX; g = g->hh.next, n++) {
        enum status found = spool_destination_get(spool, g->name, &g->stored);
        if (found != STATUS_OK && found != STATUS_NOT_FOUND) {
            return found;
        }
    }
    return STATUS_OK;
}

/* ---- the answer; in the loop */

static void
add_failure(struct spool_role *role, const struct spool_failure *failure,
            struct record_queue_destination *out)
{
    const struct spool_attempt why = spool_failure_view(failure);
    if (why.at_ms > 0) {
        out->failed_ms = role_wall(role, why.at_ms);
        out->code = why.code;
        out->enhanced = why.enhanced;
        out->text = why.text;
        out->remote = why.remote;
    }
}

/* What is in memory is newer than what the database knows. */
static struct record_queue_destination
show_group(struct spool_role *role, const struct group *g)
{
    const struct schedule_destination *d = schedule_find(role->schedule, g->name);
    int64_t now = role_now(role);
    int64_t blocked = g->stored.failures > 0 ? g->stored.look_ms : 0;
    struct record_queue_destination out = {
        .name = g->name,
        .waiting = g->waiting,
        .held = g->held,
        .oldest_ms = g->waiting > 0 ? role_wall(role, g->oldest_ms) : 0,
    };
    if (d == NULL || !schedule_is_known(d)) {
        add_failure(role, &g->stored.failure, &out);
    } else {
        blocked = schedule_blocked_until(d);
    }
    if (d != NULL && schedule_failure(d) != NULL) {
        add_failure(role, schedule_failure(d), &out);
    }
    out.blocked_until_ms = blocked > now ? role_wall(role, blocked) : 0;
    return out;
}

static void
add_pause(const struct schedule *schedule, struct record_queue_destination *out)
{
    const struct schedule_pause *p = schedule_pauses(schedule);
    for (; p != NULL; p = schedule_pause_next(p)) {
        const struct spool_pause *pause = schedule_pause_get(p);
        if (str_eq(pause->name, out->name)) {
            out->paused_ms = pause->since_ms;
            out->paused_by = pause->by;
        }
    }
}

static size_t
octets_of(const struct record_queue_destination *d)
{
    return 128 + d->name.n + d->paused_by.n + d->text.n + d->remote.n;
}

/* Also those for which nothing waits: nobody may forget them. */
static void
add_idle_pauses(struct standing_job *job, struct msg_queue_standing_reply *reply)
{
    const struct msg_queue_standing *q = MSG_BODY(job->message, queue_standing);
    const struct schedule_pause *p = schedule_pauses(job->role->schedule);
    for (; p != NULL && reply->destinations.n < SHOWN_MAX; p = schedule_pause_next(p)) {
        const struct spool_pause *pause = schedule_pause_get(p);
        struct group *group;
        HASH_FIND(hh, job->groups, pause->name.p, pause->name.n, group);
        if (group == NULL && str_fits(pause->name, q->destination)) {
            reply->destinations.items[reply->destinations.n++] = (struct record_queue_destination){
                .name = pause->name, .paused_ms = pause->since_ms, .paused_by = pause->by};
        }
    }
}

static void
fill_destinations(struct standing_job *job, struct msg_queue_standing_reply *reply)
{
    size_t octets = 0;
    reply->left_out = job->left_out;
    add_idle_pauses(job, reply);
    for (size_t i = 0; i < reply->destinations.n; i++) {
        octets += octets_of(&reply->destinations.items[i]);
    }
    for (const struct group *g = job->groups; g != NULL; g = g->hh.next) {
        if (reply->destinations.n == SHOWN_MAX || octets > SHOWN_OCTETS) {
            reply->left_out += g->waiting + g->held;
            continue;
        }
        struct record_queue_destination *out = &reply->destinations.items[reply->destinations.n++];
        *out = show_group(job->role, g);
        add_pause(job->role->schedule, out);
        octets += octets_of(out);
    }
}

static void
fill_errors(struct standing_job *job, struct msg_queue_standing_reply *reply)
{
    size_t octets = 0;
    for (const struct error *e = job->errors; e != NULL; e = e->hh.next) {
        if (reply->errors.n == ERRORS_SHOWN_MAX || octets > ERRORS_OCTETS) {
            return;
        }
        octets += 64 + e->text.n + e->destination.n;
        reply->errors.items[reply->errors.n++] = (struct record_queue_error){
            .recipients = e->recipients,
            .destination = e->destination,
            .code = e->code,
            .enhanced = str_head(e->enhanced, SPOOL_ENHANCED_MAX),
            .text = str_head(e->text, SPOOL_REPLY_TEXT_MAX),
        };
    }
}

static void
on_standing_done(struct job *base)
{
    struct standing_job *job = (struct standing_job *)base;
    struct msg_queue_standing_reply reply = {0};
    if (base->status == STATUS_OK && !job->walk.end && job->asker.channel != NULL) {
        worker_submit(job->role->worker, base);
        return;
    }
    reply.destinations.items =
        arena_alloc_array(job->arena, SHOWN_MAX, sizeof *reply.destinations.items);
    reply.errors.items =
        arena_alloc_array(job->arena, ERRORS_SHOWN_MAX, sizeof *reply.errors.items);
    if (base->status == STATUS_OK && reply.destinations.items != NULL &&
        reply.errors.items != NULL) {
        fill_destinations(job, &reply);
        fill_errors(job, &reply);
    } else {
        reply.error = STR("the queue cannot be read now");
    }
    asker_answer(job->role, &job->asker, MSG_QUEUE_STANDING_REPLY, &reply);
    HASH_CLEAR(hh, job->groups);
    HASH_CLEAR(hh, job->errors);
    HASH_CLEAR(hh, job->paused);
    ipc_message_free(&job->message);
    arena_destroy(&job->arena);
    free(job);
}

/* The pauses of now, for the worker's thread. */
static void
copy_pauses(struct standing_job *job)
{
    const struct schedule_pause *p = schedule_pauses(job->role->schedule);
    for (; p != NULL; p = schedule_pause_next(p)) {
        struct paused *paused = arena_alloc(job->arena, sizeof *paused);
        if (paused == NULL) {
            return;
        }
        *paused = (struct paused){.name = arena_str_dup(job->arena, schedule_pause_get(p)->name)};
        if (paused->name.p != NULL) {
            HASH_ADD_KEYPTR(hh, job->paused, paused->name.p, paused->name.n, paused);
        }
    }
}

static void
standing(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    struct standing_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_standing, .done = on_standing_done};
    job->role = role;
    job->message = message;
    job->arena = arena_create(STANDING_CEILING);
    copy_pauses(job);
    asker_enter(role, &job->asker, channel, message->request);
    worker_submit(role->worker, &job->job);
}

/* ---- pauses */

struct pause_job {
    struct job job;
    struct spool_role *role;
    struct asker asker;
    struct ipc_message *message;
    struct spool_pause pause;
};

static enum status
run_pause(struct job *base, struct spool *spool)
{
    struct pause_job *job = (struct pause_job *)base;
    return MSG_BODY(job->message, queue_pause)->pause ? spool_pause_put(spool, &job->pause)
                                                      : spool_pause_delete(spool, job->pause.name);
}

static void
on_pause_done(struct job *base)
{
    struct pause_job *job = (struct pause_job *)base;
    struct spool_role *role = job->role;
    const struct msg_queue_pause *q = MSG_BODY(job->message, queue_pause);
    struct msg_queue_pause_reply reply = {0};
    if (base->status == STATUS_OK) {
        reply.changed = q->pause ? schedule_pause(role->schedule, &job->pause, role_now(role))
                                 : schedule_resume(role->schedule, q->name, role_now(role));
    } else {
        reply.error = STR("the queue cannot be written now");
    }
    if (reply.changed) {
        LOG_INFO(q->pause ? "a destination is paused" : "a destination is resumed",
                 LOG_STR("destination", q->name), LOG_STR("by", q->by));
    }
    asker_answer(role, &job->asker, MSG_QUEUE_PAUSE_REPLY, &reply);
    ipc_message_free(&job->message);
    free(job);
    dispatch(role);
}

/* Empty: it can be done. */
static struct str
pause_refusal(const struct spool_role *role, const struct msg_queue_pause *q)
{
    for (size_t i = 0; i < q->name.n; i++) {
        if ((unsigned char)q->name.p[i] <= ' ' || q->name.p[i] == 0x7f) {
            return STR("that is neither a destination nor a domain");
        }
    }
    if (q->name.n == 0) {
        return STR("a destination or a domain is wanted");
    }
    if (q->pause && schedule_pause_count(role->schedule) >= SPOOL_PAUSES_MAX) {
        return STR("too many destinations are paused already");
    }
    return str_make(NULL, 0);
}

static void
pause(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    const struct msg_queue_pause *q = MSG_BODY(message, queue_pause);
    struct pause_job *job = calloc(1, sizeof *job);
    struct msg_queue_pause_reply refusal = {.error = pause_refusal(role, q)};
    if (job == NULL) {
        abort();
    }
    asker_enter(role, &job->asker, channel, message->request);
    if (refusal.error.n > 0) {
        asker_answer(role, &job->asker, MSG_QUEUE_PAUSE_REPLY, &refusal);
        ipc_message_free(&message);
        free(job);
        return;
    }
    job->job = (struct job){.kind = JOB_COMMIT, .run = run_pause, .done = on_pause_done};
    job->role = role;
    job->message = message;
    job->pause = (struct spool_pause){.name = q->name, .since_ms = clock_wall_ms(), .by = q->by};
    worker_submit(role->worker, &job->job);
}

void
standing_message(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    if (message->type == MSG_QUEUE_PAUSE) {
        pause(role, channel, message);
    } else {
        standing(role, channel, message);
    }
}
