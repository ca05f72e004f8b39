#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/resolver.h"
#include "roles/resolver/internal.h"

/* Memory for reading one answer: a message of 64 KiB with its names written out. */
#define SCRATCH_MAX (1024u * 1024u)

void
resolver_count(struct resolver *resolver, const struct dns_answer *answer)
{
    resolver->answered[answer->outcome]++;
    resolver->secure += answer->security == DNS_SECURITY_SECURE;
    resolver->bogus += answer->security == DNS_SECURITY_BOGUS;
}

/* ---- contexts */

void
resolver_release(struct resolver *resolver, struct context *context)
{
    struct timeval now = {0, 0};
    if (--context->users == 0 && context->retired) {
        event_add(resolver->clean_up, &now); /* not from within its own callback */
    }
}

static void
on_clean_up(evutil_socket_t fd, short what, void *state)
{
    struct resolver *resolver = state;
    (void)fd;
    (void)what;
    for (struct context **at = &resolver->retired; *at != NULL;) {
        struct context *context = *at;
        if (context->users > 0) {
            at = &context->next;
            continue;
        }
        *at = context->next;
        context_destroy(context);
    }
}

static struct context *
make_context(struct resolver *resolver, const struct config *config)
{
    size_t count;
    const struct anchor_zone *zones = anchors_zones(resolver->anchors, &count);
    return context_create(role_loop(resolver->runtime), config, zones, count);
}

/* It goes when its last question has been answered. */
static void
retire_context(struct resolver *resolver, struct context *context)
{
    struct timeval now = {0, 0};
    context->retired = true;
    context->next = resolver->retired;
    resolver->retired = context;
    event_add(resolver->clean_up, &now);
}

static void
drop_fresh(struct resolver *resolver)
{
    struct context *fresh = resolver->fresh;
    resolver->fresh = NULL;
    if (fresh != NULL) {
        fresh->users--;
        retire_context(resolver, fresh);
    }
}

struct context *
resolver_fresh_context(struct resolver *resolver)
{
    int64_t const now = clock_monotonic_ms();
    if (resolver->fresh != NULL && now - resolver->fresh_ms < FRESH_MS) {
        return resolver->fresh;
    }
    drop_fresh(resolver);
    resolver->fresh = make_context(resolver, resolver->current->config);
    if (resolver->fresh == NULL) {
        return resolver->current;
    }
    resolver->fresh->users++;
    resolver->fresh_ms = now;
    return resolver->fresh;
}

bool
resolver_renew_context(struct resolver *resolver)
{
    struct context *next = make_context(resolver, role_config(resolver->runtime));
    if (next == NULL) {
        return false;
    }
    struct context *old = resolver->current;
    resolver->current = next;
    dns_table_clear(resolver->table);
    retire_context(resolver, old);
    drop_fresh(resolver);
    return true;
}

/* ---- role */

static void
on_sweep(evutil_socket_t fd, short what, void *state)
{
    (void)fd;
    (void)what;
    query_sweep(state);
}

static void
on_message(void *state, struct channel *channel, struct ipc_message *message)
{
    if (message->type == MSG_RESOLVE) {
        query_ask(state, channel, message);
    } else if (message->type == MSG_RESOLVE_BATCH) {
        query_ask_batch(state, channel, message);
    } else {
        ipc_message_free(&message);
    }
}

/* Who asks much gets the table as well. */
static void
on_peer(void *state, struct channel *channel, bool up)
{
    const struct resolver *resolver = state;
    enum role peer = channel_peer(channel);
    if (!up || resolver->table == NULL || (peer != ROLE_FILTER && peer != ROLE_RELAY)) {
        return;
    }
    struct msg_dns_table fields = {.table = dns_table_fd(resolver->table)};
    if (channel_send(channel, MSG_DNS_TABLE, 0, &fields) != STATUS_OK) {
        LOG_WARN("a role does not get the table of answers", LOG_CSTR("role", ipc_role_name(peer)));
    }
}

static enum status
resolver_open(struct role_runtime *runtime, void **state_out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    const struct config *config = role_config(runtime);
    if (resolver == NULL) {
        return STATUS_LIMIT;
    }
    resolver->runtime = runtime;
    resolver->scratch = arena_create(SCRATCH_MAX);
    resolver->anchors = anchors_create(role_directory(runtime));
    resolver->table = dns_table_create();
    if (resolver->table == NULL) { /* it only saves time */
        LOG_WARN("there is no memory for answers that others can read",
                 LOG_CSTR("reason", strerror(errno)));
    }
    enum status status = anchors_select(resolver->anchors, &config->resolver);
    if (status == STATUS_OK) {
        resolver->current = make_context(resolver, config);
        status = resolver->current != NULL ? STATUS_OK : STATUS_IO;
    }
    if (status != STATUS_OK) {
        anchors_destroy(&resolver->anchors);
        dns_table_destroy(&resolver->table);
        arena_destroy(&resolver->scratch);
        free(resolver);
        return status;
    }
    *state_out = resolver;
    return STATUS_OK;
}

static enum status
resolver_start(struct role_runtime *runtime, void *state)
{
    struct resolver *resolver = state;
    struct timeval interval = {0, SWEEP_MS * 1000};
    resolver->clean_up = event_new(role_loop(runtime), -1, 0, on_clean_up, resolver);
    resolver->sweep = event_new(role_loop(runtime), -1, EV_PERSIST, on_sweep, resolver);
    if (resolver->clean_up == NULL || resolver->sweep == NULL ||
        event_add(resolver->sweep, &interval) != 0) {
        return STATUS_IO;
    }
    enum status status = self_test_start(resolver);
    return status == STATUS_OK ? watch_start(resolver) : status;
}

static void
resolver_reload(void *state, const struct config *config)
{
    struct resolver *resolver = state;
    if (anchors_select(resolver->anchors, &config->resolver) != STATUS_OK ||
        !resolver_renew_context(resolver)) {
        LOG_ERROR("the resolver keeps its old settings; restart Postern to change its anchors");
        return;
    }
    self_test_restart(resolver);
    watch_restart(resolver);
}

static void
resolver_metrics(void *state, struct role_metrics *metrics_out)
{
    static const enum role_metric names[DNS_OUTCOME_COUNT] = {
        [DNS_OUTCOME_ANSWER] = ROLE_METRIC_DNS_ANSWERS_TOTAL,
        [DNS_OUTCOME_NODATA] = ROLE_METRIC_DNS_NODATA_TOTAL,
        [DNS_OUTCOME_NXDOMAIN] = ROLE_METRIC_DNS_NXDOMAIN_TOTAL,
        [DNS_OUTCOME_SERVFAIL] = ROLE_METRIC_DNS_SERVFAIL_TOTAL,
        [DNS_OUTCOME_TIMEOUT] = ROLE_METRIC_DNS_TIMEOUT_TOTAL,
        [DNS_OUTCOME_REFUSED] = ROLE_METRIC_DNS_REFUSED_TOTAL,
    };
    struct resolver *resolver = state;
    role_metric_add(metrics_out, ROLE_METRIC_DNS_QUESTIONS_TOTAL, resolver->asked);
    role_metric_add(metrics_out, ROLE_METRIC_DNS_BATCHES_TOTAL, resolver->batches_asked);
    for (size_t i = 0; i < DNS_OUTCOME_COUNT; i++) {
        role_metric_add(metrics_out, names[i], resolver->answered[i]);
    }
    role_metric_add(metrics_out, ROLE_METRIC_DNS_SECURE_TOTAL, resolver->secure);
    role_metric_add(metrics_out, ROLE_METRIC_DNS_BOGUS_TOTAL, resolver->bogus);
    role_metric_add(metrics_out, ROLE_METRIC_DNS_OVER_LIMIT_TOTAL, resolver->refused);
    role_metric_add(metrics_out, ROLE_METRIC_DNS_UNDER_WAY, (int64_t)resolver->query_count);
    self_test_metrics(resolver, metrics_out);
    watch_metrics(resolver, metrics_out);
}

/* Files: the state of the trust anchors, in the role's own directory and nowhere else. */
/* libunbound keeps several caches, and each may be copied while it is resized. */
static uint64_t
resolver_memory(const struct config *config)
{
    return 8 * config->resolver.cache_size;
}

const struct role_definition resolver_role = {
    .role = ROLE_RESOLVER,
    .memory = resolver_memory,
    .open = resolver_open,
    .start = resolver_start,
    .on_message = on_message,
    .on_peer = on_peer,
    .reload = resolver_reload,
    .metrics = resolver_metrics,
};
