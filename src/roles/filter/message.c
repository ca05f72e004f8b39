/* One message through the filter: read, check, decide, edit, commit. */
#include <stdio.h>
#include <unistd.h>

#include "auth/results.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/message.h"
#include "policy/checks.h"
#include "roles/filter/header.h"
#include "roles/filter/job.h"
#include "roles/filter/record.h"
#include "smtp/envelope.h"
#include "store/delivery.h"

/* What a packet needs beside texts and bodies: fixed fields, lengths. */
#define PACKET_FIXED         1024u
#define PACKET_PER_RECIPIENT 16u

/* Everything about a message that is known while a worker has it. In the worker's arena. */
struct work {
    struct filter_job *job;
    struct filter_shared *shared;
    struct arena *arena;
    const struct config *config;
    struct mail_head head;
    struct check_input input;
    struct auth_results auth;
    struct finding_list findings;
    struct decision decision;
    struct mail_edits edits;
};

/* ---- reading */

static enum check_direction
direction_of(const struct config *config, const struct msg_submit *submit)
{
    bool relay = filter_is_submission(submit);
    for (size_t i = 0; i < config->zones.count && !relay; i++) {
        relay = config->zones.items[i].relay && str_eq(config->zones.items[i].name, submit->zone);
    }
    return relay ? CHECK_OUTBOUND : CHECK_INBOUND;
}

static const struct check_recipient *
recipients_of(struct arena *arena, const struct msg_submit *submit)
{
    struct check_recipient *recipients =
        arena_alloc_array(arena, submit->recipients.n, sizeof *recipients);
    for (size_t i = 0; recipients != NULL && i < submit->recipients.n; i++) {
        recipients[i] = (struct check_recipient){
            .address = submit->recipients.items[i].address,
            .original = submit->recipients.items[i].original,
        };
    }
    return recipients;
}

static enum status
read_message(struct work *work)
{
    const struct msg_submit *submit = work->job->content.submit;
    const struct config *config = work->config;
    struct mail_head_limits limits = {config->limits.header_size, config->limits.header_fields};
    struct str content = work->job->content.view.octets;
    enum status status = mail_head_parse(work->arena, content, &limits, &work->head);
    work->input = (struct check_input){
        .arena = work->arena,
        .config = config,
        .received_ms = submit->received_ms,
        .direction = direction_of(config, submit),
        .helo = submit->helo,
        .user = submit->user,
        .sender = submit->sender,
        .recipients = recipients_of(work->arena, submit),
        .recipient_count = submit->recipients.n,
        .smtputf8 = (submit->flags & SMTP_MESSAGE_SMTPUTF8) != 0,
        .content = content,
        .head = &work->head,
        .head_over_limit = status != STATUS_OK,
        .dns = work->shared->dns.resolve != NULL ? &work->shared->dns : NULL,
        .auth = &work->auth,
    };
    memcpy(&work->input.client, submit->client_ip.p, sizeof work->input.client);
    finding_list_init(&work->findings, work->arena);
    return work->input.recipients != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* ---- answers */

static void
finish_for_status(struct filter_job *job, enum status status)
{
    struct smtp_reply reply = smtp_reply_for_status(status);
    if (!smtp_reply_is_temporary(&reply)) {
        /* It is we who cannot, not the message that may not. */
        reply = SMTP_REPLY(451, 4, 3, 0, "The message cannot be taken now; try again later");
    }
    TRACE(&job->trace, not_queued, .reason = str_from_cstr(status_name(status)),
          .code = reply.code);
    filter_job_finish(job, FILTER_FAILED, &reply);
}

static void
finish_refused(struct work *work)
{
    struct smtp_reply reply = work->decision.reply;
    struct str text = arena_printf(work->arena, "%.*s (%s)", STR_ARG(reply.text), work->job->id);
    reply.text = text.p != NULL ? text : reply.text;
    LOG_INFO("message refused", LOG_CSTR("id", work->job->id), LOG_INT("code", reply.code),
             LOG_CSTR("finding", finding_row(work->decision.cause->id)->name));
    filter_job_finish(
        work->job,
        work->decision.action == CONFIG_ACTION_REJECT ? FILTER_REJECTED : FILTER_DEFERRED, &reply);
}

static void
finish_accepted(struct filter_job *job)
{
    char text[64];
    struct smtp_reply reply = {.code = 250, .enhanced = {2, 0, 0}};
    int n = snprintf(text, sizeof text, "Ok: queued as %s", job->id);
    reply.text = str_make(text, (size_t)n);
    TRACE(&job->trace, queued, .recipients = (int64_t)job->recipients, .size = (int64_t)job->size);
    if (job->hold.n > 0) {
        TRACE(&job->trace, held, .reason = job->hold, .by = STR("policy"));
    }
    filter_job_finish(job, job->hold.n > 0 ? FILTER_HELD : FILTER_ACCEPTED, &reply);
}

static void
finish_not_committed(struct filter_job *job, enum spool_outcome outcome)
{
    static const struct smtp_reply full =
        SMTP_REPLY(452, 4, 3, 1, "The queue is full; try again later");
    static const struct smtp_reply unavailable =
        SMTP_REPLY(451, 4, 3, 0, "The queue is not available; try again later");
    bool is_full = outcome == SPOOL_FULL;
    if (outcome == SPOOL_REFUSED) {
        LOG_ERROR("the spool refuses a commit", LOG_CSTR("id", job->id));
    }
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

/* ---- the spool */

/* In the loop's thread, some time after the worker has let go of the job. */
static void
on_commit_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct filter_job *job = context;
    if (status != STATUS_OK || reply->type != MSG_COMMIT_REPLY) {
        ipc_message_free(&reply);
        finish_unknown(job);
        return;
    }
    enum spool_outcome outcome = (enum spool_outcome)MSG_BODY(reply, commit_reply)->outcome;
    ipc_message_free(&reply);
    if (outcome == SPOOL_COMMITTED || outcome == SPOOL_DUPLICATE) {
        finish_accepted(job);
    } else {
        finish_not_committed(job, outcome);
    }
}

static size_t
recipients_size(const struct msg_submit *submit)
{
    size_t size = 0;
    for (size_t i = 0; i < submit->recipients.n; i++) {
        const struct record_recipient *r = &submit->recipients.items[i];
        size += r->address.n + r->original.n + r->orcpt.n + PACKET_PER_RECIPIENT;
    }
    return size;
}

/* Puts octets into a sealed memfd, which the caller closes. */
static enum status
body_to_memfd(struct str octets, struct ipc_body *body_out)
{
    int fd;
    enum status status = ipc_memfd_create("head", octets, &fd);
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

/*
 * The head goes inline where there is room. The content goes as it came: the edge chose inline or
 * memfd by its size, and recipients and content fitted into one packet with the trace's events.
 */
static enum status
commit_head(const struct work *work, struct str head, struct ipc_body *body_out)
{
    const struct msg_submit *submit = work->job->content.submit;
    size_t others = PACKET_FIXED + recipients_size(submit) +
                    (submit->content.fd < 0 ? submit->content.size : 0);
    if (head.n <= IPC_BODY_INLINE_MAX && others + head.n <= IPC_PACKET_MAX) {
        *body_out = ipc_body_inline(head);
        return STATUS_OK;
    }
    return body_to_memfd(head, body_out);
}

static enum status
commit_send(struct work *work, struct str head)
{
    struct filter_job *job = work->job;
    const struct msg_submit *submit = job->content.submit;
    struct msg_commit commit = {
        .id = submit->id,
        .received_ms = submit->received_ms,
        .sender = submit->sender,
        .ret = submit->ret,
        .envid = submit->envid,
        .flags = submit->flags,
        .priority = SPOOL_PRIORITY_NORMAL,
        .hold = job->hold,
        .recipients = {submit->recipients.items, submit->recipients.n},
        .content = submit->content,
        .content_offset = work->head.raw.n,
    };
    int64_t left_ms = job->deadline_ms - clock_monotonic_ms();
    if (left_ms <= 0) {
        return STATUS_TEMPORARY; /* nobody waits for it any more */
    }
    enum status status = commit_head(work, head, &commit.head);
    if (status != STATUS_OK) {
        return status;
    }
    job->size = head.n + (job->content.view.octets.n - work->head.raw.n);
    /* The reply may come, and the job be gone, before channel_request returns. */
    struct filter_content content = job->content;
    job->content = (struct filter_content){0};
    status = channel_request(job->shared->spool, MSG_COMMIT, &commit, (int)left_ms, on_commit_reply,
                             job);
    filter_content_free(work->shared, &content);
    if (commit.head.fd >= 0) {
        close(commit.head.fd);
    }
    return status;
}

/* ---- the whole */

static void
accept_message(struct work *work)
{
    struct filter_header_input input = {
        .config = work->config,
        .submit = work->job->content.submit,
        .head = &work->head,
        .decision = &work->decision,
    };
    mail_edits_init(&work->edits, work->arena, &work->head);
    enum status status = filter_header_edit(&input, &work->edits);
    struct str head = {0};
    if (status == STATUS_OK) {
        record_edits(&work->job->trace, &work->edits);
        head = mail_edits_apply(&work->edits);
        status = head.p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    if (status == STATUS_OK && work->decision.action == CONFIG_ACTION_HOLD) {
        work->job->hold = str_from_cstr(finding_row(work->decision.cause->id)->name);
    }
    if (status == STATUS_OK) {
        status = commit_send(work, head);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("message not queued", LOG_CSTR("id", work->job->id),
                  LOG_CSTR("reason", status_name(status)));
        finish_for_status(work->job, status);
    }
}

void
filter_message_process(struct filter_job *job, struct arena *arena)
{
    struct work *work = arena_alloc(arena, sizeof *work);
    if (work == NULL) {
        finish_for_status(job, STATUS_LIMIT);
        return;
    }
    work->job = job;
    work->shared = job->shared;
    work->arena = arena;
    work->config = job->settings->config;
    enum status status = read_message(work);
    if (status == STATUS_OK && job->content.submit->events.n > 0) {
        status = trace_append(&job->trace, job->content.submit->events);
    }
    if (status != STATUS_OK) {
        finish_for_status(job, status);
        return;
    }
    checks_run(ROLE_FILTER, &work->input, &work->findings);
    work->decision =
        decision_make(job->settings->rules, work->input.direction, &work->findings, arena);
    record_header(&job->trace, arena, &work->head);
    record_findings(&job->trace, &work->findings);
    record_decision(&job->trace, &work->decision, &work->findings);
    if (work->decision.action >= CONFIG_ACTION_DEFER) {
        finish_refused(work);
    } else {
        accept_message(work);
    }
}
