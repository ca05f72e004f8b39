/* The filter's loop: messages in, settings, metrics, an orderly stop. */
#include <event2/event.h>
#include <stdlib.h>

#include "auth/crypto.h"
#include "base/log.h"
#include "dns/source_channel.h"
#include "roles/filter.h"
#include "roles/filter/job.h"
#include "roles/filter/pool.h"
#include "roles/filter/vault.h"
#include "roles/memory_limit.h"

/* How often a filter that is to stop looks whether all messages are answered. */
#define STOP_POLL_MS  20
/* What the way to the resolver and back may take, beside the time that it has for a question. */
#define DNS_MARGIN_MS 1000

struct filter {
    struct role_runtime *runtime;
    struct filter_shared shared;
    struct dns_source_channel dns; /* behind shared.dns */
    struct filter_settings *settings;
    struct event *stop_poll;
    bool stopping;
    uint64_t received;
    uint64_t turned_away; /* there was too much, or the filter was stopping */
};

/* ---- messages */

/* For messages that do not become a job. */
static void
answer_busy(struct filter *filter, struct channel *edge, uint64_t request)
{
    struct msg_submit_reply reply = {
        .code = 451,
        .enhanced = STR("4.3.2"),
        .text = filter->stopping ? STR("The gateway is stopping; try again later")
                                 : STR("Too many messages at one time; try again later"),
    };
    filter->turned_away++;
    if (channel_send(edge, MSG_SUBMIT_REPLY, request, &reply) != STATUS_OK) {
        LOG_WARN("the edge cannot be answered");
    }
}

static void
on_prepared(void *context)
{
    struct filter_job *job = context;
    bool inbound = filter_direction(job->settings->config, job->content.submit) == CHECK_INBOUND;
    pool_add(inbound ? job->shared->pool : job->shared->own_pool, job);
}

static void
take_submit(struct filter *filter, struct channel *edge, struct ipc_message *message)
{
    struct filter_job *job;
    enum status status = STATUS_LIMIT;
    filter->received++;
    if (!filter->stopping) {
        status = filter_job_create(&filter->shared, filter->settings, edge, message, &job);
    }
    if (status == STATUS_OK) {
        filter_job_prepare(job, on_prepared);
        return;
    }
    if (status == STATUS_SYNTAX) {
        role_peer_misbehaved(filter->runtime, edge);
    } else {
        answer_busy(filter, edge, message->request);
    }
    ipc_message_free(&message);
}

static void
filter_on_message(void *state, struct channel *channel, struct ipc_message *message)
{
    struct filter *filter = state;
    if (message->type == MSG_SUBMIT) {
        take_submit(filter, channel, message);
        return;
    }
    if (message->type == MSG_DNS_TABLE) {
        dns_view_take(filter->shared.view, message);
        return;
    }
    if (message->type == MSG_VAULT_KEYS) {
        vault_client_take_keys(filter->shared.vault, MSG_BODY(message, vault_keys));
    }
    ipc_message_free(&message);
}

static void
filter_on_peer(void *state, struct channel *channel, bool up)
{
    struct filter *filter = state;
    (void)up;
    if (channel_peer(channel) == ROLE_VAULT) {
        vault_client_on_peer(filter->shared.vault);
    }
}

/* ---- start, reload, stop */

static int
dns_timeout_ms(const struct config *config)
{
    return (int)config->resolver.timeout_ms + DNS_MARGIN_MS;
}

static enum status
filter_open(struct role_runtime *runtime, void **state_out)
{
    struct filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        return STATUS_LIMIT;
    }
    filter->runtime = runtime;
    filter->settings = filter_settings_create(role_config(runtime));
    *state_out = filter;
    return STATUS_OK;
}

static void
on_all_traces_sent(void *context)
{
    struct filter *filter = context;
    role_stopped(filter->runtime);
}

static void
on_stop_poll(evutil_socket_t fd, short what, void *context)
{
    struct filter *filter = context;
    (void)fd;
    (void)what;
    if (atomic_load(&filter->shared.active) == 0) {
        event_del(filter->stop_poll);
        trace_sender_on_empty(filter->shared.sender, on_all_traces_sent, filter);
    }
}

static enum status
filter_start(struct role_runtime *runtime, void *state)
{
    struct filter *filter = state;
    struct event_base *loop = role_loop(runtime);
    filter->shared.spool = role_channel(runtime, ROLE_SPOOL, 0);
    filter->shared.key_cache = key_cache_create(FILTER_KEY_CACHE);
    filter->shared.vault = vault_client_create(role_channel(runtime, ROLE_VAULT, 0));
    filter->shared.resolver = role_channel(runtime, ROLE_RESOLVER, 0);
    filter->shared.view = dns_view_create();
    filter->dns.resolver = filter->shared.resolver;
    filter->dns.view = filter->shared.view;
    filter->dns.timeout_ms = dns_timeout_ms(filter->settings->config);
    atomic_init(&filter->shared.dns_timeout_ms, filter->dns.timeout_ms);
    filter->shared.dns = dns_source_from_channel(&filter->dns);
    filter->shared.sender =
        trace_sender_create(loop, role_channel(runtime, ROLE_LEDGER, 0), TRACE_SENDER_CEILING);
    filter->stop_poll = event_new(loop, -1, EV_PERSIST, on_stop_poll, filter);
    if (filter->shared.sender == NULL || filter->stop_poll == NULL) {
        LOG_ERROR("no memory to start with");
        return STATUS_LIMIT;
    }
    size_t const workers = filter->settings->config->workers.filter;
    filter->shared.pool = pool_create(workers, FILTER_ARENA_MAX, filter_message_process);
    filter->shared.own_pool =
        pool_create(workers / FILTER_OWN_SHARE + 1, FILTER_ARENA_MAX, filter_message_process);
    return filter->shared.pool != NULL && filter->shared.own_pool != NULL ? STATUS_OK : STATUS_IO;
}

static void
filter_reload(void *state, const struct config *config)
{
    struct filter *filter = state;
    if (config->workers.filter != filter->settings->config->workers.filter) {
        LOG_WARN("workers.filter changes with the next start only");
    }
    filter_settings_unref(&filter->settings);
    filter->settings = filter_settings_create(config);
    filter->dns.timeout_ms = dns_timeout_ms(config);
    atomic_store(&filter->shared.dns_timeout_ms, filter->dns.timeout_ms);
}

static void
filter_stop(void *state, int grace_ms)
{
    struct filter *filter = state;
    struct timeval interval = {0, STOP_POLL_MS * 1000};
    (void)grace_ms;
    filter->stopping = true;
    event_add(filter->stop_poll, &interval);
}

/* In the order of finding_rows. */
static const char *const finding_metrics[] = {
#define FINDING(number, NAME, name, check, verdict, weight, meaning, standard)                     \
    "findings_total{finding=\"" #name "\"}",
#include "finding/findings.def"
#undef FINDING
};
#define FINDING_METRICS (sizeof finding_metrics / sizeof finding_metrics[0])
_Static_assert(FINDING_METRICS <= FILTER_FINDINGS_MAX, "every finding is counted");
_Static_assert(FINDING_METRICS + 32 <= ROLE_METRICS_MAX, "and told");

static void
filter_metrics(void *state, struct role_metrics *metrics)
{
    static const enum role_metric names[FILTER_OUTCOME_COUNT] = {
        [FILTER_ACCEPTED] = ROLE_METRIC_FILTER_MESSAGES_ACCEPTED_TOTAL,
        [FILTER_HELD] = ROLE_METRIC_FILTER_MESSAGES_HELD_TOTAL,
        [FILTER_REJECTED] = ROLE_METRIC_FILTER_MESSAGES_REJECTED_TOTAL,
        [FILTER_DEFERRED] = ROLE_METRIC_FILTER_MESSAGES_DEFERRED_TOTAL,
        [FILTER_FAILED] = ROLE_METRIC_FILTER_MESSAGES_FAILED_TOTAL,
    };
    struct filter *filter = state;
    role_metric_add(metrics, ROLE_METRIC_FILTER_MESSAGES_RECEIVED_TOTAL, (int64_t)filter->received);
    role_metric_add(metrics, ROLE_METRIC_FILTER_MESSAGES_TURNED_AWAY_TOTAL,
                    (int64_t)filter->turned_away);
    for (size_t i = 0; i < FILTER_OUTCOME_COUNT; i++) {
        role_metric_add(metrics, names[i], (int64_t)atomic_load(&filter->shared.outcomes[i]));
    }
    role_metric_add(metrics, ROLE_METRIC_FILTER_MESSAGES_OPEN,
                    (int64_t)atomic_load(&filter->shared.active));
    role_metric_add(metrics, ROLE_METRIC_FILTER_MESSAGE_OCTETS,
                    (int64_t)atomic_load(&filter->shared.memory));
    role_metric_add(metrics, ROLE_METRIC_DNS_READ_TOTAL,
                    (int64_t)dns_view_found(filter->shared.view));
    role_metric_add(metrics, ROLE_METRIC_FILTER_TRACES_WAITING,
                    (int64_t)trace_sender_waiting(filter->shared.sender));
    role_metric_add(metrics, ROLE_METRIC_FILTER_TRACES_DROPPED_TOTAL,
                    (int64_t)trace_sender_dropped(filter->shared.sender));
    for (size_t i = 0; i < FINDING_METRICS; i++) {
        role_metric_add_named(metrics, finding_metrics[i],
                              (int64_t)atomic_load(&filter->shared.findings[i]));
    }
}

static void
filter_close(void *state)
{
    struct filter *filter = state;
    pool_destroy(&filter->shared.pool);
    pool_destroy(&filter->shared.own_pool);
    trace_sender_destroy(&filter->shared.sender);
    vault_client_destroy(&filter->shared.vault);
    key_cache_destroy(&filter->shared.key_cache);
    dns_view_destroy(&filter->shared.view);
    if (filter->stop_poll != NULL) {
        event_free(filter->stop_poll);
    }
    filter_settings_unref(&filter->settings);
    free(filter);
}

static uint64_t
filter_memory(const struct config *config)
{
    uint64_t const message = MEMORY_LIMIT_MESSAGE_COPIES * config->limits.message_size;
    uint64_t const own = config->workers.filter / FILTER_OWN_SHARE + 1;
    return (config->workers.filter + own) * (MEMORY_LIMIT_THREAD + message);
}

const struct role_definition filter_role = {
    .role = ROLE_FILTER,
    .memory = filter_memory,
    .open = filter_open,
    .start = filter_start,
    .on_message = filter_on_message,
    .on_peer = filter_on_peer,
    .reload = filter_reload,
    .stop = filter_stop,
    .metrics = filter_metrics,
    .close = filter_close,
};
