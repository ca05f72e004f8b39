/* The octets of one queued message, for an administrator: asked for by name, and traced. */
#include <stdlib.h>

#include "base/log.h"
#include "roles/spool/internal.h"

struct text_job {
    struct job job;
    struct spool_role *role;
    struct asker asker;
    struct ipc_message *message;
    int64_t key;
};

static void
text_answer(struct text_job *job, const struct msg_queue_text_reply *reply)
{
    asker_answer(job->role, &job->asker, MSG_QUEUE_TEXT_REPLY, reply);
    ipc_message_free(&job->message);
    free(job);
}

static void
trace_reading(struct spool_role *role, struct str id, const struct msg_queue_text *q)
{
    struct trace trace;
    struct str part = q->header ? STR("header") : STR("text");
    trace_init(&trace, NULL);
    TRACE(&trace, read, .part = part, .by = q->by);
    trace_sender_add(role->traces, id, str_make(NULL, 0), &trace);
    trace_free(&trace);
    LOG_INFO("a queued message is read", LOG_STR("id", id), LOG_STR("part", part),
             LOG_STR("by", q->by));
}

static void
on_text_loaded(struct spool_role *role, void *context, enum status status, struct parcel *parcel)
{
    struct text_job *job = context;
    const struct msg_queue_text *q = MSG_BODY(job->message, queue_text);
    struct msg_queue_text_reply reply = {.found = status != STATUS_NOT_FOUND,
                                         .head = ipc_body_inline(STR("")),
                                         .content = ipc_body_inline(STR(""))};
    if (status == STATUS_SYNTAX) {
        reply.error = STR("its octets on the disk are damaged");
    } else if (status == STATUS_OK) {
        trace_reading(role, parcel->m.id, q);
        reply.head = parcel->head;
        if (!q->header) {
            reply.content = parcel->content;
            reply.content_offset = parcel->content_offset;
        }
    } else if (status != STATUS_NOT_FOUND) {
        reply.error = STR("the queue cannot be read now");
    }
    text_answer(job, &reply);
    parcel_unref(&parcel);
}

static enum status
run_text(struct job *base, struct spool *spool)
{
    struct text_job *job = (struct text_job *)base;
    return spool_find(spool, MSG_BODY(job->message, queue_text)->id, &job->key);
}

static void
on_text_found(struct job *base)
{
    struct text_job *job = (struct text_job *)base;
    const struct spool_choice any = {
        .due_ms = INT64_MAX, .finals = true, .most = 1, .octets = SIZE_MAX};
    if (base->status == STATUS_OK) {
        load_parcel(job->role, job->key, &any, LOAD_ALL, on_text_loaded, job);
    } else {
        on_text_loaded(job->role, job, base->status, NULL);
    }
}

void
text_message(struct spool_role *role, struct channel *channel, struct ipc_message *message)
{
    struct text_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_text, .done = on_text_found};
    job->role = role;
    job->message = message;
    asker_enter(role, &job->asker, channel, message->request);
    worker_submit(role->worker, &job->job);
}
