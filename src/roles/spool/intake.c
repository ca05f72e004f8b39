/* A message comes in: checked, written with others in one commit, answered, scheduled. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/spool/internal.h"
#include "store/spool_sum.h"

struct commit_job {
    struct job job;
    struct spool_role *role;
    struct channel *channel;
    uint64_t request;
    uint32_t epoch;
    struct intake intake;
};

/* ---- identifiers of messages that are gone */

bool
finished_contains(struct spool_role *role, struct str id)
{
    struct finished_id *found;
    HASH_FIND(hh, role->finished, id.p, id.n, found);
    return found != NULL;
}

void
finished_add(struct spool_role *role, struct str id)
{
    struct finished_id *finished;
    if (id.n != ID_LENGTH || finished_contains(role, id)) {
        return;
    }
    if (HASH_COUNT(role->finished) >= SPOOL_FINISHED_IDS) {
        finished = role->finished; /* the oldest */
        HASH_DEL(role->finished, finished);
    } else {
        finished = malloc(sizeof *finished);
    }
    if (finished != NULL) {
        memcpy(finished->id, id.p, ID_LENGTH);
        HASH_ADD(hh, role->finished, id, ID_LENGTH, finished);
    }
}

/* ---- where it goes */

/* A new target; there are at most as many as recipients. */
static struct target *
target_add(struct spool_role *role, struct intake *intake, struct str name)
{
    struct target *target = &intake->targets[intake->target_count++];
    target->name = arena_str_dup(intake->parcel->arena, name);
    target->destination = schedule_get(role->schedule, name);
    if (target->destination != NULL) {
        schedule_pin(target->destination);
    }
    target->wake = target->destination == NULL || !schedule_has_row(target->destination);
    HASH_ADD_KEYPTR(hh, intake->by_name, target->name.p, target->name.n, target);
    return target;
}

static void
place_recipient(struct spool_role *role, struct intake *intake, struct spool_recipient *r)
{
    char key[SPOOL_DESTINATION_MAX];
    struct str name = destination_of(role, r->address, key);
    struct target *target;
    HASH_FIND(hh, intake->by_name, name.p, name.n, target);
    if (target == NULL) {
        target = target_add(role, intake, name);
    }
    r->destination = target->name;
}

void
intake_prepare(struct spool_role *role, struct intake *intake, struct parcel *parcel)
{
    int64_t now = role_now(role);
    *intake = (struct intake){.parcel = parcel};
    intake->targets =
        arena_alloc_array(parcel->arena, parcel->m.recipient_count, sizeof *intake->targets);
    if (intake->targets == NULL) {
        abort(); /* the ceiling has room for SPOOL_RECIPIENTS_MAX of everything */
    }
    parcel->m.queued_ms = now;
    for (size_t i = 0; i < parcel->m.recipient_count; i++) {
        parcel->m.recipients[i].due_ms = now;
        place_recipient(role, intake, &parcel->m.recipients[i]);
    }
    HASH_CLEAR(hh, intake->by_name);
}

enum status
intake_insert(struct intake *intake, struct spool *spool, int64_t now_ms)
{
    enum status status = spool_insert(spool, &intake->parcel->m, &intake->duplicate);
    for (size_t i = 0; status == STATUS_OK && i < intake->target_count; i++) {
        const struct target *target = &intake->targets[i];
        if (target->wake) {
            /* Without a place in memory it is found when the search for due ones comes by. */
            int64_t look_ms = target->destination != NULL ? now_ms : now_ms + 1000;
            status = spool_destination_wake(spool, target->name, look_ms);
        }
    }
    return status;
}

void
intake_finish(struct spool_role *role, struct intake *intake, bool committed)
{
    struct parcel *parcel = intake->parcel;
    bool in_window = false;
    bool held = parcel->m.hold.n > 0;
    int64_t now = role_now(role);
    for (size_t i = 0; i < intake->target_count; i++) {
        struct schedule_destination *d = intake->targets[i].destination;
        if (d == NULL) {
            continue;
        }
        schedule_unpin(d);
        if (!committed) {
            continue;
        }
        schedule_set_row(d);
        if (!intake->duplicate && !held) {
            bool taken = schedule_offer(role->schedule, d, parcel->m.key,
                                        spool_rank(parcel->m.priority), now);
            in_window = in_window || taken;
        }
    }
    if (in_window) {
        cache_add(role, parcel);
    }
    parcel_unref(&intake->parcel);
}

/* ---- MSG_COMMIT */

static void
answer(struct spool_role *role, struct commit_job *job, enum spool_outcome outcome, struct str text)
{
    struct msg_commit_reply reply = {.outcome = (uint8_t)outcome, .text = str_head(text, 200)};
    if (job->epoch != role->filter_epoch) {
        return; /* another filter has come since: the number could be one of its own requests */
    }
    if (channel_send(job->channel, MSG_COMMIT_REPLY, job->request, &reply) != STATUS_OK) {
        LOG_WARN("a commit could not be answered", LOG_STR("id", job->intake.parcel->m.id));
    }
}

static void
refuse(struct spool_role *role, struct commit_job *job, enum status status)
{
    role->counts.refused++;
    if (status == STATUS_LIMIT) {
        answer(role, job, SPOOL_FULL, STR("no room in the queue"));
    } else {
        answer(role, job, SPOOL_UNAVAILABLE, STR("the queue cannot be written now"));
    }
}

static void
on_commit_done(struct job *base)
{
    struct commit_job *job = (struct commit_job *)base;
    struct spool_role *role = job->role;
    const struct spool_message *m = &job->intake.parcel->m;
    if (base->status != STATUS_OK) {
        refuse(role, job, base->status);
        if (m->in_file) {
            spool_file_discard(role_directory(role->runtime), m->id);
        }
    } else if (job->intake.duplicate) {
        role->counts.duplicates++;
        answer(role, job, SPOOL_DUPLICATE, STR("committed before"));
    } else {
        role->counts.committed++;
        answer(role, job, SPOOL_COMMITTED, STR(""));
        LOG_DEBUG("queued", LOG_STR("id", m->id), LOG_STR("sender", m->sender),
                  LOG_INT("recipients", m->recipient_count), LOG_INT("size", m->size));
        if (m->hold.n > 0) {
            outcome_log_quarantined(role, m);
        }
    }
    intake_finish(role, &job->intake, base->status == STATUS_OK);
    free(job);
    dispatch(role);
}

static enum status
run_commit(struct job *base, struct spool *spool)
{
    struct commit_job *job = (struct commit_job *)base;
    return intake_insert(&job->intake, spool, job->intake.parcel->m.queued_ms);
}

static void
submit_commit(struct commit_job *job)
{
    const struct spool_message *m = &job->intake.parcel->m;
    job->job.kind = JOB_COMMIT;
    job->job.octets = (size_t)(m->in_file ? m->head.n : m->size);
    job->job.run = run_commit;
    job->job.done = on_commit_done;
    worker_submit(job->role->worker, &job->job);
}

static enum status
run_write_file(struct job *base, struct spool *spool)
{
    struct commit_job *job = (struct commit_job *)base;
    struct spool_message *m = &job->intake.parcel->m;
    (void)spool;
    m->content_sum = spool_sum(m->content);
    return spool_file_write(role_directory(job->role->runtime), m->id, m->content);
}

static void
on_file_written(struct job *base)
{
    struct commit_job *job = (struct commit_job *)base;
    if (base->status == STATUS_OK) {
        submit_commit(job);
    } else {
        on_commit_done(base);
    }
}

static void
submit_file(struct commit_job *job)
{
    job->job.kind = JOB_FILE;
    job->job.octets = (size_t)job->intake.parcel->m.content.n;
    job->job.run = run_write_file;
    job->job.done = on_file_written;
    worker_submit(job->role->worker, &job->job);
}

/*
 * The limits of the configuration. What is on its way to the disk counts too: twice for its free
 * space, since a small one goes to the log first and to its place later.
 */
static bool
has_room(struct spool_role *role, uint64_t size)
{
    const struct config_queue *queue = &role_config(role->runtime)->queue;
    struct worker_counts counts = worker_counts(role->worker);
    uint64_t coming = worker_submitted(role->worker) - counts.seen + size;
    return (uint64_t)counts.queue.messages < queue->max_messages &&
           counts.size + coming <= queue->max_size &&
           (counts.disk_free == UINT64_MAX ||
            counts.disk_free >= queue->min_free_disk + 2 * coming);
}

/* Answers at once what needs no disk. True: answered. */
static bool
answer_at_once(struct spool_role *role, struct commit_job *job, const struct msg_commit *fields)
{
    struct msg_commit_reply reply = {.outcome = SPOOL_DUPLICATE, .text = STR("delivered before")};
    if (role->stopping) {
        reply.outcome = SPOOL_UNAVAILABLE;
        reply.text = STR("the spool is stopping");
    } else if (worker_counts(role->worker).damaged) {
        reply.outcome = SPOOL_UNAVAILABLE;
        reply.text = STR("the queue is damaged");
    } else if (finished_contains(role, fields->id)) {
        role->counts.duplicates++;
    } else if (!has_room(role, fields->head.size + fields->content.size)) {
        role->counts.refused++;
        reply.outcome = SPOOL_FULL;
        reply.text = STR("no room in the queue");
    } else {
        return false;
    }
    if (channel_send(job->channel, MSG_COMMIT_REPLY, job->request, &reply) != STATUS_OK) {
        LOG_WARN("a commit could not be answered", LOG_STR("id", fields->id));
    }
    return true;
}

static void
refuse_malformed(struct channel *channel, uint64_t request)
{
    struct msg_commit_reply reply = {.outcome = SPOOL_REFUSED,
                                     .text = STR("the commit is malformed")};
    LOG_ERROR("a commit of the filter is malformed");
    if (channel_send(channel, MSG_COMMIT_REPLY, request, &reply) != STATUS_OK) {
        LOG_WARN("a commit could not be answered");
    }
}

void
intake_commit(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    struct parcel *parcel;
    struct commit_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    *job = (struct commit_job){
        .role = role, .channel = channel, .request = message->request, .epoch = role->filter_epoch};
    if (answer_at_once(role, job, MSG_BODY(message, commit))) {
        ipc_message_free(&message);
        free(job);
        return;
    }
    if (parcel_from_commit(message, &parcel) != STATUS_OK) {
        refuse_malformed(channel, job->request);
        free(job);
        return;
    }
    intake_prepare(role, &job->intake, parcel);
    if (parcel->m.in_file) {
        submit_file(job);
    } else {
        submit_commit(job);
    }
    dispatch(role); /* a new destination is asked about while its message is written */
}
