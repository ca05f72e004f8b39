/* The edge's definition as a role: start, reload, stop, metrics. */
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "roles/edge.h"
#include "roles/edge/connection.h"

/* An entry of the counts of clients, with a column for each edge. */
#define CLIENT_ENTRY   (32u + 4u * TALLY_PROCESSES_MAX)
/* So long before the parent's patience ends, what is still open is ended with a word. */
#define STOP_MARGIN_MS 1000
#define TICK_US        (WHEEL_TICK_MS * 1000)

int64_t
edge_now_ms(void)
{
    return clock_monotonic_ms();
}

/* ---- memory budget */

void
edge_memory_add(struct edge *edge, uint64_t octets)
{
    edge->memory += octets;
}

void
edge_memory_remove(struct edge *edge, uint64_t octets)
{
    edge->memory -= octets;
}

bool
edge_memory_admits(const struct edge *edge, uint64_t more)
{
    uint64_t limit = edge->profile->config->limits.memory / 100 * EDGE_MEMORY_PERCENT;
    return edge->memory <= limit && more <= limit - edge->memory;
}

bool
edge_memory_is_spent(const struct edge *edge)
{
    return edge->memory > edge->profile->config->limits.memory;
}

/* ---- generations */

static void
edge_take_limits(struct edge *edge, const struct config *config)
{
    const struct config_limits *limits = &config->limits;
    edge->admission_limits = (struct admission_limits){
        .connections = limits->connections,
        .connections_per_address = limits->connections_per_address,
        .connections_per_network = limits->connections_per_network,
        .connection_rate = limits->connection_rate,
        .connection_rate_per_network = limits->connection_rate_per_network,
        .message_rate = limits->message_rate,
        .message_rate_per_network = limits->message_rate_per_network,
    };
}

static void
edge_adopt(struct edge *edge, const struct config *config)
{
    struct tls_identity *identities[CERTIFICATES_MAX];
    size_t count = certificate_store_select(&edge->certificates, config, identities);
    profile_unref(&edge->profile);
    edge->profile = profile_create(config, identities, count);
    edge_take_limits(edge, config);
    edge_listen(edge);
}

/* ---- time */

static void
on_due(void *context, struct wheel_entry *entry)
{
    (void)context;
    char *start = (char *)entry - offsetof(struct connection, deadline);
    connection_deadline_due((struct connection *)(void *)start);
}

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
    struct edge *edge = context;
    (void)fd;
    (void)what;
    wheel_turn(&edge->wheel, edge_now_ms(), on_due, edge);
}

/* ---- stopping */

static void
on_traces_sent(void *context)
{
    struct edge *edge = context;
    role_stopped(edge->runtime);
}

void
edge_consider_stopped(struct edge *edge)
{
    if (edge->stopping && !edge->stopped && edge->connections == NULL) {
        edge->stopped = true;
        trace_sender_on_empty(edge->traces, on_traces_sent, edge);
    }
}

static void
edge_stop_connections(struct edge *edge, bool at_once)
{
    struct connection *connection;
    struct connection *next;
    DL_FOREACH_SAFE(edge->connections, connection, next)
    {
        connection_stop(connection, at_once);
        connection_settle(connection);
    }
}

static void
on_grace_over(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    edge_stop_connections(context, true);
}

static void
edge_stop(void *state, int grace_ms)
{
    struct edge *edge = state;
    int64_t const wait_ms =
        grace_ms > 2 * STOP_MARGIN_MS ? grace_ms - STOP_MARGIN_MS : grace_ms / 2;
    struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
    edge->stopping = true;
    edge_listen_stop(edge);
    edge_stop_connections(edge, false);
    edge->grace = event_new(edge->loop, -1, 0, on_grace_over, edge);
    if (edge->grace != NULL) {
        event_add(edge->grace, &wait);
    }
    edge_consider_stopped(edge);
}

/* ---- the role's callbacks */

static enum status
edge_open(struct role_runtime *runtime, void **state_out)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (edge == NULL) {
        return STATUS_LIMIT;
    }
    char error[TLS_ERROR_MAX] = "";
    if (tls_library_init() != STATUS_OK || tls_remote_key_init(error) != STATUS_OK) {
        LOG_ERROR("OpenSSL cannot be started", LOG_CSTR("reason", error));
        free(edge);
        return STATUS_IO;
    }
    edge->runtime = runtime;
    edge->loop = role_loop(runtime);
    signing_init(&edge->signing);
    edge->reserve_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    for (size_t i = 0; i < EDGE_LISTENERS_MAX; i++) {
        edge->offered[i] = -1;
    }
    *state_out = edge;
    return STATUS_OK;
}

static struct tally *
edge_clients_alone(void)
{
    int fd;
    return tally_create(TALLY_ENTRIES_MIN, 1, &fd) == STATUS_OK ? tally_open(fd, 1, 0) : NULL;
}

static enum status
edge_start(struct role_runtime *runtime, void *state)
{
    struct edge *edge = state;
    struct timeval tick = {0, TICK_US};
    edge->filter = role_channel(runtime, ROLE_FILTER, 0);
    edge->ledger = role_channel(runtime, ROLE_LEDGER, 0);
    edge->relay = role_channel(runtime, ROLE_RELAY, 0);
    edge->vault = role_channel(runtime, ROLE_VAULT, 0);
    edge->traces = trace_sender_create(edge->loop, edge->ledger, TRACE_SENDER_CEILING);
    if (edge->clients == NULL) { /* it runs alone, in a test */
        edge->clients = edge_clients_alone();
    }
    edge->tick = event_new(edge->loop, -1, EV_PERSIST, on_tick, edge);
    wheel_init(&edge->wheel, edge_now_ms());
    if (edge->traces == NULL || edge->clients == NULL || edge->tick == NULL ||
        event_add(edge->tick, &tick) != 0) {
        return STATUS_LIMIT;
    }
    edge_adopt(edge, role_config(runtime));
    return STATUS_OK;
}

static void
edge_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct edge *edge = context;
    /* Nobody has anything to ask of the edge; the catalogue allows nothing but replies. */
    role_peer_misbehaved(edge->runtime, channel);
    ipc_message_free(&message);
}

static void
edge_reload(void *state, const struct config *config)
{
    edge_adopt(state, config);
}

static void
edge_certificate(void *state, struct str name, int chain_pem_fd)
{
    struct edge *edge = state;
    struct tls_signer signer = {signing_sign, &edge->signing};
    certificate_store_take(&edge->certificates, name, chain_pem_fd, &signer);
}

/* ---- the signer */

static void
edge_unwatch_signing(struct edge *edge)
{
    if (edge->signing_readable != NULL) {
        event_free(edge->signing_readable);
        edge->signing_readable = NULL;
    }
}

/* Between two handshakes it has nothing to say: it has gone, or answers too late. */
static void
on_signing_readable(evutil_socket_t fd, short what, void *context)
{
    struct edge *edge = context;
    (void)fd;
    (void)what;
    if (!signing_drain(&edge->signing)) {
        edge_unwatch_signing(edge);
    }
}

static bool
edge_line(void *state, enum role peer, uint32_t instance, int fd)
{
    struct edge *edge = state;
    (void)instance;
    if (peer != ROLE_SIGNER) {
        return false;
    }
    edge_unwatch_signing(edge);
    signing_connect(&edge->signing, fd);
    if (edge->signing.fd >= 0) {
        edge->signing_readable = event_new(edge->loop, edge->signing.fd, EV_READ | EV_PERSIST,
                                           on_signing_readable, edge);
        if (edge->signing_readable == NULL || event_add(edge->signing_readable, NULL) != 0) {
            LOG_WARN("the edge will not see when the signer goes");
        }
    }
    return true;
}

static void
edge_listener(void *state, uint32_t index, int fd)
{
    struct edge *edge = state;
    if (index >= EDGE_LISTENERS_MAX || edge->stopping) {
        close(fd);
        return;
    }
    if (edge->offered[index] >= 0) {
        close(edge->offered[index]);
    }
    edge->offered[index] = fd;
}

static void
edge_clients(void *state, int fd, uint32_t processes)
{
    struct edge *edge = state;
    struct tally *clients = tally_open(fd, processes, role_instance(edge->runtime));
    if (clients == NULL) {
        LOG_ERROR("the counts of clients cannot be shared with the other edges",
                  LOG_INT("processes", processes));
        return;
    }
    tally_close(&edge->clients);
    edge->clients = clients;
}

static void
edge_metrics(void *state, struct role_metrics *metrics)
{
    const struct edge *edge = state;
    const struct edge_counters *c = &edge->counters;
    bool first = role_instance(edge->runtime) == 0;
    const struct {
        enum role_metric metric;
        int64_t value;
    } rows[] = {
        {ROLE_METRIC_EDGE_CONNECTIONS_OPEN, (int64_t)edge->connection_count},
        {ROLE_METRIC_EDGE_CONNECTIONS_TOTAL, c->connections},
        {ROLE_METRIC_EDGE_REFUSED_CONNECTIONS_TOTAL, c->refused[ADMISSION_CONNECTIONS]},
        {ROLE_METRIC_EDGE_REFUSED_ADDRESS_TOTAL, c->refused[ADMISSION_ADDRESS]},
        {ROLE_METRIC_EDGE_REFUSED_NETWORK_TOTAL, c->refused[ADMISSION_NETWORK]},
        {ROLE_METRIC_EDGE_REFUSED_ADDRESS_RATE_TOTAL, c->refused[ADMISSION_ADDRESS_RATE]},
        {ROLE_METRIC_EDGE_REFUSED_NETWORK_RATE_TOTAL, c->refused[ADMISSION_NETWORK_RATE]},
        {ROLE_METRIC_EDGE_REFUSED_ADDRESS_MESSAGES_TOTAL, c->refused[ADMISSION_ADDRESS_MESSAGES]},
        {ROLE_METRIC_EDGE_REFUSED_NETWORK_MESSAGES_TOTAL, c->refused[ADMISSION_NETWORK_MESSAGES]},
        {ROLE_METRIC_EDGE_REFUSED_TABLE_FULL_TOTAL, c->refused[ADMISSION_TABLE_FULL]},
        {ROLE_METRIC_EDGE_REFUSED_MEMORY_TOTAL, c->refused_memory},
        {ROLE_METRIC_EDGE_REFUSED_NO_TLS_TOTAL, c->refused_no_tls},
        {ROLE_METRIC_EDGE_REFUSED_EARLY_TALK_TOTAL, c->refused_early_talk},
        {ROLE_METRIC_EDGE_REFUSED_BREACH_TOTAL, c->refused_breach},
        {ROLE_METRIC_EDGE_REFUSED_PROXY_TOTAL, c->refused_proxy},
        {ROLE_METRIC_EDGE_REFUSED_DESCRIPTORS_TOTAL, c->no_descriptors},
        {ROLE_METRIC_EDGE_MESSAGES_ACCEPTED_TOTAL, c->messages},
        {ROLE_METRIC_EDGE_MESSAGES_REFUSED_TOTAL, c->messages_refused},
        {ROLE_METRIC_EDGE_RECIPIENTS_REFUSED_TOTAL, c->recipients_refused},
        {ROLE_METRIC_EDGE_OCTETS_IN_TOTAL, c->octets_in},
        {ROLE_METRIC_EDGE_OCTETS_OUT_TOTAL, c->octets_out},
        {ROLE_METRIC_EDGE_TLS_SESSIONS_TOTAL, c->tls_sessions},
        {ROLE_METRIC_EDGE_TLS_FAILURES_TOTAL, c->tls_failures},
        {ROLE_METRIC_EDGE_UNSIGNED_HANDSHAKES_TOTAL, edge->signing.failures},
        {ROLE_METRIC_EDGE_AUTH_SUCCEEDED_TOTAL, c->auth_succeeded},
        {ROLE_METRIC_EDGE_AUTH_FAILED_TOTAL, c->auth_failed},
        {ROLE_METRIC_EDGE_TIMEOUTS_TOTAL, c->timeouts},
        {ROLE_METRIC_EDGE_PEER_FAILURES_TOTAL, c->peer_failures},
        {ROLE_METRIC_EDGE_MEMORY_OCTETS, (int64_t)edge->memory},
        /* All edges share the table: told once, so that sums are right. */
        {ROLE_METRIC_EDGE_ADMISSION_ENTRIES, first ? (int64_t)tally_entries(edge->clients) : 0},
        {ROLE_METRIC_EDGE_TRACES_DROPPED_TOTAL, (int64_t)trace_sender_dropped(edge->traces)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        role_metric_add(metrics, rows[i].metric, rows[i].value);
    }
    for (size_t i = 0; i < edge->profile->listener_count; i++) {
        if (edge->profile->listeners[i].broken) {
            role_warn(metrics,
                      "the listener %s has no TLS and answers 421; the log says why it has none",
                      edge->profile->listeners[i].label);
        }
    }
}

static void
edge_close(void *state)
{
    struct edge *edge = state;
    struct event *events[] = {edge->tick, edge->grace};
    edge_listen_stop(edge);
    edge_stop_connections(edge, true);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (edge->traces != NULL) {
        trace_sender_destroy(&edge->traces);
    }
    tally_close(&edge->clients);
    certificate_store_fini(&edge->certificates);
    profile_unref(&edge->profile);
    edge_unwatch_signing(edge);
    signing_fini(&edge->signing);
    free(edge);
}

/* No files, no sockets of its own: connections come through the listening sockets alone. */
/* One for each processor, where the configuration does not say. */
static uint32_t
edge_processes(const struct config *config)
{
    long const cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->workers.edge > 0) {
        return config->workers.edge;
    }
    return cores > 0 ? (uint32_t)cores : 1;
}

/* limits.memory counts what clients hold; what surrounds it is at most as much again. */
static uint64_t
edge_memory(const struct config *config)
{
    uint64_t entries = 8ull * config->limits.connections;
    uint64_t clients = (entries < TALLY_ENTRIES_MAX ? entries : TALLY_ENTRIES_MAX) * CLIENT_ENTRY;
    return 2 * config->limits.memory + clients;
}

const struct role_definition edge_role = {
    .role = ROLE_EDGE,
    .processes = edge_processes,
    .memory = edge_memory,
    .open = edge_open,
    .start = edge_start,
    .on_message = edge_on_message,
    .reload = edge_reload,
    .certificate = edge_certificate,
    .line = edge_line,
    .listener = edge_listener,
    .clients = edge_clients,
    .stop = edge_stop,
    .metrics = edge_metrics,
    .close = edge_close,
};
