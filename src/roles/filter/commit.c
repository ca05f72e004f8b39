#include "roles/filter/commit.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/message.h"
#include "roles/filter/priority.h"

_Static_assert(FILTER_COMMITS_MAX == OUTGOING_COPIES_MAX, "each copy has a commit of its own");

/* What a packet needs beside texts and bodies: fixed fields, lengths. */
#define PACKET_FIXED         1024u
#define PACKET_PER_RECIPIENT 16u

struct trace *
filter_commit_trace(struct filter_job *job, size_t index)
{
    return index == 0 ? &job->trace : &job->commits[index].trace;
}

/* ---- answers */

static void
finish_accepted(struct filter_job *job)
{
    char text[64];
    struct smtp_reply reply = {.code = 250, .enhanced = {2, 0, 0}};
    int n = snprintf(text, sizeof text, "Ok: queued as %s", job->id);
    reply.text = str_make(text, (size_t)n);
    filter_job_finish(job, job->hold.n > 0 ? FILTER_HELD : FILTER_ACCEPTED, &reply);
}

static void
finish_not_committed(struct filter_job *job, bool is_full)
{
    static const struct smtp_reply full =
        SMTP_REPLY(452, 4, 3, 1, "The queue is full; try again later");
    static const struct smtp_reply unavailable =
        SMTP_REPLY(451, 4, 3, 0, "The queue is not available; try again later");
    TRACE(&job->trace, not_queued, .reason = is_full ? STR("full") : STR("unavailable"),
          .code = is_full ? full.code : unavailable.code);
    filter_job_finish(job, FILTER_FAILED, is_full ? &full : &unavailable);
}

/* The spool went away or was too slow: its commit may have been made, or still be. */
static void
finish_unknown(struct filter_job *job)
{
    static const struct smtp_reply unknown =
        SMTP_REPLY(451, 4, 3, 0, "The queue does not answer; try again later");
    LOG_WARN("it is not known whether a message was queued", LOG_CSTR("id", job->id));
    TRACE(&job->trace, queue_unknown, .code = unknown.code);
    filter_job_finish(job, FILTER_FAILED, &unknown);
}

/* ---- results */

/* From good to bad; the worst of all copies counts. */
enum commit_result {
    COMMIT_DONE,
    COMMIT_FULL,
    COMMIT_UNAVAILABLE,
    COMMIT_UNKNOWN,
};

/* The result of one copy; the last one finishes the job. */
static void
take_result(struct filter_job *job, enum commit_result result)
{
    int worst = atomic_load(&job->worst);
    while (worst < (int)result && !atomic_compare_exchange_weak(&job->worst, &worst, (int)result)) {
    }
    if (atomic_fetch_sub(&job->pending, 1) != 1) {
        return;
    }
    switch ((enum commit_result)atomic_load(&job->worst)) {
    case COMMIT_DONE:
        finish_accepted(job);
        break;
    case COMMIT_FULL:
        finish_not_committed(job, true);
        break;
    case COMMIT_UNAVAILABLE:
        finish_not_committed(job, false);
        break;
    case COMMIT_UNKNOWN:
        finish_unknown(job);
        break;
    }
}

static enum commit_result
result_of(const struct filter_job *job, enum spool_outcome outcome)
{
    if (outcome == SPOOL_COMMITTED || outcome == SPOOL_DUPLICATE) {
        return COMMIT_DONE;
    }
    if (outcome == SPOOL_REFUSED) {
        LOG_ERROR("the spool refuses a commit", LOG_CSTR("id", job->id));
    }
    return outcome == SPOOL_FULL ? COMMIT_FULL : COMMIT_UNAVAILABLE;
}

/* A copy with an id of its own has a trace of its own. */
static void
record_done(struct filter_commit *commit)
{
    struct filter_job *job = commit->job;
    struct trace *trace = filter_commit_trace(job, (size_t)(commit - job->commits));
    TRACE(trace, queued, .recipients = (int64_t)commit->recipients, .size = (int64_t)commit->size);
    if (job->hold.n > 0) {
        TRACE(trace, held, .reason = job->hold, .by = STR("policy"));
    }
    if (trace != &job->trace) {
        LOG_INFO("forwarded", LOG_CSTR("id", job->id), LOG_CSTR("copy", commit->id),
                 LOG_INT("recipients", commit->recipients));
        trace_sender_add(job->shared->sender, str_from_cstr(commit->id),
                         str_from_cstr(job->session), trace);
    }
}

/* In the loop's thread, some time after the worker has let go of the job. */
static void
on_commit_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct filter_commit *commit = context;
    enum commit_result result = COMMIT_UNKNOWN;
    if (status == STATUS_OK && reply->type == MSG_COMMIT_REPLY) {
        result = result_of(commit->job, (enum spool_outcome)MSG_BODY(reply, commit_reply)->outcome);
    }
    ipc_message_free(&reply);
    if (result == COMMIT_DONE) {
        record_done(commit);
    }
    take_result(commit->job, result);
}

/* ---- sending */

static size_t
recipients_size(const struct outgoing_copy *copy)
{
    size_t size = 0;
    for (size_t i = 0; i < copy->recipient_count; i++) {
        const struct record_recipient *r = &copy->recipients[i];
        size += r->address.n + r->original.n + r->orcpt.n + PACKET_PER_RECIPIENT;
    }
    return size;
}

/* Puts octets into a sealed memfd, which the caller closes. */
static enum status
body_to_memfd(struct str octets, struct ipc_body *body_out)
{
    int fd;
    enum status status = ipc_memfd_create("message", octets, &fd);
    if (status != STATUS_OK) {
        return status;
    }
    status = ipc_memfd_seal(fd);
    if (status != STATUS_OK) {
        close(fd);
        return status;
    }
    *body_out = ipc_body_fd(fd, octets.n);
    return STATUS_OK;
}

/* Inline where there is room in a packet that has `others` octets already. */
static enum status
body_make(struct str octets, size_t others, struct ipc_body *body_out)
{
    if (octets.n <= IPC_BODY_INLINE_MAX && others + octets.n <= IPC_PACKET_MAX) {
        *body_out = ipc_body_inline(octets);
        return STATUS_OK;
    }
    return body_to_memfd(octets, body_out);
}

/* What the memfds of head and content were for is done. */
static void
close_made(const struct msg_submit *submit, const struct msg_commit *fields)
{
    if (fields->head.fd >= 0) {
        close(fields->head.fd);
    }
    if (fields->content.fd >= 0 && fields->content.fd != submit->content.fd) {
        close(fields->content.fd);
    }
}

/*
 * Content that is the one that came goes as it came: the edge chose inline or memfd by its size,
 * and recipients and content fitted into one packet with the trace's events.
 */
static enum status
make_bodies(const struct msg_submit *submit, const struct outgoing_copy *copy,
            struct msg_commit *fields)
{
    enum status status = STATUS_OK;
    size_t others = PACKET_FIXED + recipients_size(copy);
    fields->head.fd = -1;
    if (buf_str(&copy->encoded).n > 0) {
        fields->content_offset = 0;
        status = body_make(copy->body, others, &fields->content);
    }
    if (status != STATUS_OK) {
        fields->content = submit->content;
        return status;
    }
    others += fields->content.fd < 0 ? fields->content.size : 0;
    return body_make(copy->head, others, &fields->head);
}

static enum status
send_copy(struct filter_job *job, const struct filter_content *content, size_t content_offset,
          const struct outgoing_copy *copy, struct filter_commit *commit)
{
    const struct msg_submit *submit = content->submit;
    struct msg_commit fields = {
        .id = str_from_cstr(commit->id),
        .received_ms = submit->received_ms,
        .sender = copy->sender,
        .ret = submit->ret,
        .envid = submit->envid,
        .flags = copy->flags,
        .priority = commit->priority,
        .hold = job->hold,
        .recipients = {copy->recipients, copy->recipient_count},
        .content = submit->content,
        .content_offset = content_offset,
    };
    int64_t left_ms = job->deadline_ms - clock_monotonic_ms();
    enum status status = make_bodies(submit, copy, &fields);
    if (status == STATUS_OK) {
        status = channel_request(job->shared->spool, MSG_COMMIT, &fields,
                                 left_ms > 0 ? (int)left_ms : 1, on_commit_reply, commit);
    }
    close_made(submit, &fields);
    return status;
}

enum status
filter_commit_send(struct filter_job *job, const struct check_input *checked,
                   const struct outgoing_copy *copies, size_t count)
{
    if (job->deadline_ms <= clock_monotonic_ms()) {
        return STATUS_TEMPORARY; /* nobody waits for it any more */
    }
    struct filter_shared *shared = job->shared;
    struct filter_content content = job->content;
    size_t const content_offset = checked->body_offset;
    enum spool_priority priority =
        filter_priority(job->settings->config, content.submit, checked->head);
    for (size_t i = 0; i < count; i++) {
        job->commits[i].job = job;
        job->commits[i].size = copies[i].head.n + copies[i].body.n;
        job->commits[i].recipients = copies[i].recipient_count;
        job->commits[i].priority = (uint8_t)priority;
        memcpy(job->commits[i].id, copies[i].id, sizeof job->commits[i].id);
    }
    atomic_store(&job->worst, COMMIT_DONE);
    atomic_store(&job->pending, (int)count);
    /* The replies may come, and the job be gone, before channel_request returns. */
    job->content = (struct filter_content){0};
    for (size_t i = 0; i < count; i++) {
        enum status status = send_copy(job, &content, content_offset, &copies[i], &job->commits[i]);
        if (status != STATUS_OK && i == 0) {
            job->content = content; /* nothing is under way: the caller's again */
            return status;
        }
        if (status != STATUS_OK) {
            take_result(job, COMMIT_UNAVAILABLE);
        }
    }
    filter_content_free(shared, &content);
    return STATUS_OK;
}
