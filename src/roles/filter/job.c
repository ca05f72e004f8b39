#include "roles/filter/job.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/filter/header.h"
#include "roles/filter/names.h"

/* ---- settings */

struct filter_settings *
filter_settings_create(const struct config *config)
{
    struct filter_settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL) {
        abort();
    }
    atomic_init(&settings->references, 1);
    settings->config = config_ref(config);
    settings->rules = decision_rules_create(config, NULL);
    settings->zone_rules = calloc(config->zones.count + 1, sizeof *settings->zone_rules);
    if (settings->zone_rules == NULL) {
        abort();
    }
    for (size_t i = 0; i < config->zones.count; i++) {
        settings->zone_rules[i] = decision_rules_create(config, &config->zones.items[i]);
    }
    return settings;
}

const struct decision_rules *
filter_settings_rules(const struct filter_settings *settings, const struct config_zone *zone)
{
    return zone != NULL ? settings->zone_rules[zone - settings->config->zones.items]
                        : settings->rules;
}

struct filter_settings *
filter_settings_ref(struct filter_settings *settings)
{
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

void
filter_settings_unref(struct filter_settings **settings)
{
    struct filter_settings *s = *settings;
    *settings = NULL;
    if (s != NULL && atomic_fetch_sub(&s->references, 1) == 1) {
        decision_rules_destroy(&s->rules);
        for (size_t i = 0; i < s->config->zones.count; i++) {
            decision_rules_destroy(&s->zone_rules[i]);
        }
        free(s->zone_rules);
        config_unref(&s->config);
        free(s);
    }
}

/* ---- jobs */

static bool
id_is_valid(struct str id)
{
    bool valid = id.n == ID_LENGTH;
    for (size_t i = 0; valid && i < id.n; i++) {
        valid = char_is_alnum(id.p[i]);
    }
    return valid;
}

static bool
submit_is_valid(const struct msg_submit *submit)
{
    return id_is_valid(submit->id) && id_is_valid(submit->session) &&
           submit->client_ip.n == sizeof(struct ip_address) && submit->recipients.n > 0;
}

/* A trace that goes on from what the edge has recorded. */
static enum status
begin_trace(struct trace *trace, struct str events)
{
    trace_init(trace, NULL);
    return events.n > 0 ? trace_append(trace, events) : STATUS_OK;
}

static bool
memory_take(struct filter_shared *shared, size_t octets)
{
    if (atomic_fetch_add(&shared->memory, octets) + octets > FILTER_MEMORY_MAX) {
        atomic_fetch_sub(&shared->memory, octets);
        return false;
    }
    return true;
}

enum status
filter_job_create(struct filter_shared *shared, struct filter_settings *settings,
                  struct channel *edge, struct ipc_message *message, struct filter_job **job_out)
{
    struct msg_submit *submit = MSG_BODY(message, submit);
    struct ipc_body_view view;
    struct trace trace;
    if (!submit_is_valid(submit) || begin_trace(&trace, submit->events) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (ipc_body_view_open(&submit->content, &view) != STATUS_OK) {
        trace_free(&trace);
        return STATUS_SYNTAX;
    }
    size_t memory = view.octets.n + submit->events.n + sizeof **job_out;
    struct filter_job *job = NULL;
    if (memory_take(shared, memory)) {
        job = calloc(1, sizeof *job);
    }
    if (job == NULL) {
        ipc_body_view_close(&view);
        trace_free(&trace);
        return STATUS_LIMIT;
    }
    job->shared = shared;
    job->settings = filter_settings_ref(settings);
    job->edge = edge;
    job->request = message->request;
    job->deadline_ms = clock_monotonic_ms() + FILTER_ANSWER_MS - FILTER_MARGIN_MS;
    job->content = (struct filter_content){message, submit, view, memory};
    memcpy(job->id, submit->id.p, ID_LENGTH);
    memcpy(job->session, submit->session.p, ID_LENGTH);
    job->trace = trace;
    for (size_t i = 0; i < FILTER_COMMITS_MAX; i++) {
        trace_init(&job->commits[i].trace, NULL);
    }
    atomic_fetch_add(&shared->active, 1);
    *job_out = job;
    return STATUS_OK;
}

enum check_direction
filter_direction(const struct config *config, const struct msg_submit *submit)
{
    const struct config_zone *zone = config_zone_find(config, submit->zone);
    bool relay = filter_is_submission(submit) || (zone != NULL && zone->relay);
    return relay ? CHECK_OUTBOUND : CHECK_INBOUND;
}

void
filter_job_prepare(struct filter_job *job, void (*ready)(void *job))
{
    const struct config *config = job->settings->config;
    struct mail_head_limits limits = {config->limits.header_size, config->limits.header_fields};
    job->names = names_open(job->shared, config);
    if (job->names->cache == NULL || job->shared->resolver == NULL ||
        filter_direction(config, job->content.submit) != CHECK_INBOUND) {
        ready(job);
        return;
    }
    struct names *names = job->names;
    /* What is too large is read by the worker, who says so. */
    names->has_head =
        mail_head_parse(names->arena, job->content.view.octets, &limits, &names->head) == STATUS_OK;
    if (names->has_head) {
        names_prefetch(names, job->content.submit, ready, job);
    } else {
        ready(job);
    }
}

void
filter_content_free(struct filter_shared *shared, struct filter_content *content)
{
    ipc_body_view_close(&content->view);
    ipc_message_free(&content->message);
    atomic_fetch_sub(&shared->memory, content->memory);
    *content = (struct filter_content){0};
}

static void
job_answer(struct filter_job *job, const struct smtp_reply *reply)
{
    char enhanced[16];
    int n = snprintf(enhanced, sizeof enhanced, "%u.%u.%u", (unsigned)reply->enhanced.class,
                     (unsigned)reply->enhanced.subject, (unsigned)reply->enhanced.detail);
    struct msg_submit_reply fields = {
        .code = reply->code,
        .enhanced = str_make(enhanced, n > 0 ? (size_t)n : 0),
        .text = reply->text,
    };
    enum status status = channel_send(job->edge, MSG_SUBMIT_REPLY, job->request, &fields);
    if (status != STATUS_OK) {
        /* It is gone, and with it the client: a message that was queued comes a second time. */
        LOG_WARN("the edge cannot be answered", LOG_CSTR("id", job->id),
                 LOG_INT("code", reply->code), LOG_CSTR("reason", status_name(status)));
    }
}

void
filter_job_finish(struct filter_job *job, enum filter_outcome outcome,
                  const struct smtp_reply *reply)
{
    struct filter_shared *shared = job->shared;
    job_answer(job, reply);
    trace_sender_add(shared->sender, str_from_cstr(job->id), str_from_cstr(job->session),
                     &job->trace);
    trace_free(&job->trace);
    for (size_t i = 0; i < FILTER_COMMITS_MAX; i++) {
        trace_free(&job->commits[i].trace);
    }
    filter_content_free(shared, &job->content);
    names_close(&job->names);
    filter_settings_unref(&job->settings);
    free(job);
    atomic_fetch_add(&shared->outcomes[outcome], 1);
    atomic_fetch_sub(&shared->active, 1);
}
