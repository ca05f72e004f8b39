/* One message through the filter: read, check, decide, edit, commit. */
#include "auth/sender_proof.h"
#include "base/clock.h"
#include "base/log.h"
#include "check/mend.h"
#include "policy/checks.h"
#include "roles/filter/commit.h"
#include "roles/filter/header.h"
#include "roles/filter/names.h"
#include "roles/filter/outgoing.h"
#include "roles/filter/record.h"
#include "smtp/envelope.h"

/* Everything about a message that is known while a worker has it. In the worker's arena. */
struct work {
    struct filter_job *job;
    struct filter_shared *shared;
    struct arena *arena;
    const struct config *config;
    const struct config_zone *zone; /* of the client; NULL: none */
    struct mail_head head;          /* as received */
    struct mail_repaired mended;    /* what became of it, in mail of our own */
    struct check_input input;
    struct auth_results auth;
    struct finding_list findings;
    struct decision decision;
    const struct names *names; /* of this message */
    const struct key_ring *keys;
};

/* ---- reading */

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
    enum status status = STATUS_OK;
    work->zone = config_zone_find(config, submit->zone);
    if (work->names->has_head) {
        work->head = work->names->head;
        work->auth.author = work->names->author;
    } else {
        status = mail_head_parse(work->arena, content, &limits, &work->head);
    }
    work->input = (struct check_input){
        .arena = work->arena,
        .config = config,
        .received_ms = submit->received_ms,
        .direction = filter_direction(config, submit),
        .helo = submit->helo,
        .user = submit->user,
        .sender = submit->sender,
        .recipients = recipients_of(work->arena, submit),
        .recipient_count = submit->recipients.n,
        .smtputf8 = (submit->flags & SMTP_MESSAGE_SMTPUTF8) != 0,
        .content = content,
        .head = &work->head,
        .head_over_limit = status != STATUS_OK,
        .dns = work->names->source.resolve != NULL ? &work->names->source : NULL,
        .auth = &work->auth,
    };
    work->input.body_offset = work->head.raw.n;
    work->input.line_ends_made = submit->bare_line_ends && work->zone != NULL &&
                                 work->zone->bare_lf == CONFIG_ZONE_BARE_LF_NORMALIZE;
    memcpy(&work->input.client, submit->client_ip.p, sizeof work->input.client);
    work->auth.keys = work->shared->key_cache;
    finding_list_init(&work->findings, work->arena);
    return work->input.recipients != NULL ? check_mend(&work->input, work->zone, &work->mended)
                                          : STATUS_LIMIT;
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
    LOG_INFO("refused by policy", LOG_CSTR("id", work->job->id), LOG_INT("code", reply.code),
             LOG_CSTR("finding", finding_row(work->decision.cause->id)->name));
    filter_job_finish(
        work->job,
        work->decision.action == CONFIG_ACTION_REJECT ? FILTER_REJECTED : FILTER_DEFERRED, &reply);
}

/* ---- the whole */

/* What the edge saw, and what only the filter knows of the sender. */
static uint32_t
flags_of(const struct work *work)
{
    const struct msg_submit *submit = work->job->content.submit;
    const uint32_t own = SMTP_MESSAGE_STRANGER | SMTP_MESSAGE_SENDER_PROVEN |
                         SMTP_MESSAGE_SENDER_REWRITTEN | SMTP_MESSAGE_TO_POSTMASTER;
    uint32_t flags = submit->flags & ~own;
    if (work->input.repairs != NULL && work->input.head->anomalies[MAIL_ANOMALY_8BIT].count == 0) {
        flags &= ~(uint32_t)SMTP_MESSAGE_HEADER_8BIT; /* it has been encoded */
    }
    if (work->input.direction == CHECK_INBOUND) {
        flags |= SMTP_MESSAGE_STRANGER;
        flags |= auth_sender_is_proven(&work->auth, submit->sender)
                     ? (uint32_t)SMTP_MESSAGE_SENDER_PROVEN
                     : 0u;
    }
    return flags;
}

/* Makes the copies and has them committed; the job is the spool's answers' from then on. */
static enum status
commit_copies(struct work *work)
{
    struct filter_job *job = work->job;
    struct outgoing_copy copies[OUTGOING_COPIES_MAX];
    size_t count = 0;
    struct outgoing_input input = {
        .arena = work->arena,
        .config = work->config,
        .submit = job->content.submit,
        .checked = &work->input,
        .decision = &work->decision,
        .vault = work->shared->vault,
        .keys = work->keys,
        .flags = flags_of(work),
        .trace = &job->trace,
    };
    enum status status = outgoing_plan(&input, copies, &count);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        status = outgoing_make(&input, &copies[i], filter_commit_trace(job, i));
    }
    if (status == STATUS_OK) {
        status = filter_commit_send(job, &work->input, copies, count);
    }
    outgoing_free(copies, count);
    return status;
}

static void
accept_message(struct work *work)
{
    if (work->decision.action == CONFIG_ACTION_HOLD) {
        work->job->hold = str_from_cstr(finding_row(work->decision.cause->id)->name);
    }
    enum status status = commit_copies(work);
    if (status != STATUS_OK) {
        LOG_ERROR("message not queued", LOG_CSTR("id", work->job->id),
                  LOG_CSTR("reason", status_name(status)));
        finish_for_status(work->job, status);
    }
}

static void
count_findings(struct work *work)
{
    size_t count;
    const struct finding_row *rows = finding_rows(&count);
    for (size_t i = 0; i < work->findings.count; i++) {
        size_t place = (size_t)(finding_row(work->findings.items[i].id) - rows);
        if (place < FILTER_FINDINGS_MAX) {
            atomic_fetch_add_explicit(&work->shared->findings[place], 1, memory_order_relaxed);
        }
    }
}

static void
process(struct work *work)
{
    struct filter_job *job = work->job;
    enum status status = read_message(work);
    if (status != STATUS_OK) {
        finish_for_status(job, status);
        return;
    }
    checks_run(ROLE_FILTER, &work->input, &work->findings);
    work->decision = decision_make(filter_settings_rules(job->settings, work->zone),
                                   work->input.direction, &work->findings, work->arena);
    count_findings(work);
    record_header(&job->trace, work->arena, work->input.head);
    if (work->input.repairs != NULL) {
        record_edits(&job->trace, &work->mended.edits);
    }
    record_findings(&job->trace, &work->findings);
    record_decision(&job->trace, &work->decision, &work->findings);
    record_dmarc(&job->trace, &work->input, &work->decision);
    if (work->decision.action >= CONFIG_ACTION_DEFER) {
        finish_refused(work);
    } else {
        accept_message(work);
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
    struct filter_shared *shared = job->shared;
    struct names *names = job->names; /* the job may be gone before its names */
    struct key_ring *keys = shared->vault != NULL ? vault_client_keys(shared->vault) : NULL;
    work->job = job;
    work->shared = shared;
    work->arena = arena;
    work->config = job->settings->config;
    work->keys = keys;
    work->names = names;
    job->names = NULL;
    process(work);
    names_close(&names);
    key_ring_unref(&keys);
}
