#include <errno.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "ipc/body.h"
#include "roles/memory_limit.h"
#include "roles/relay/internal.h"
#include "roles/vault/vault.h"
#include "tls/configured.h"

/* Idle sessions, the end of a stop. */
#define TICK_MS              250
/* Workers beside those of the deliveries: call-outs must not wait for slow servers. */
#define CALLOUT_WORKERS      16u
/* Call-outs that may wait for a worker; more are told that nobody could be asked. */
#define CALLOUTS_WAITING_MAX 1000u
/* Addresses of this machine that are known. */
#define OWN_ADDRESSES_MAX    256u
#define SMTP_PORT            25
/* For a password from the vault, whose one thread may be writing. */
#define VAULT_TIMEOUT_MS     10000
/* Above the resolver's own limit. */
#define DNS_MARGIN_MS        2000

/* ---- before the sandbox */

static void
find_own_addresses(struct relay *relay)
{
    struct ifaddrs *list = NULL;
    struct ip_address *own = calloc(OWN_ADDRESSES_MAX, sizeof *own);
    size_t count = 0;
    uint16_t port;
    if (own == NULL || getifaddrs(&list) != 0) {
        LOG_WARN("the machine's addresses cannot be listed", LOG_CSTR("reason", strerror(errno)));
    }
    for (struct ifaddrs *i = list; i != NULL && count < OWN_ADDRESSES_MAX; i = i->ifa_next) {
        if (i->ifa_addr != NULL && ip_from_sockaddr(i->ifa_addr, &own[count], &port) == STATUS_OK) {
            count++;
        }
    }
    if (list != NULL) {
        freeifaddrs(list);
    }
    relay->own = own;
    relay->world.route.own = own;
    relay->world.route.own_count = count;
}

static enum status
make_tls(const struct relay *relay, const struct config *config, struct tls_client **tls_out)
{
    char error[TLS_ERROR_MAX];
    struct buf trust;
    buf_init(&trust, ROLE_ROOTS_MAX + 1);
    enum status status = role_roots_write(&relay->roots, &trust);
    snprintf(error, sizeof error, "out of memory");
    if (status == STATUS_OK) {
        struct tls_client_settings settings = tls_client_settings_of(&config->tls, buf_str(&trust));
        status = tls_client_create(&settings, tls_out, error);
    }
    buf_free(&trust);
    if (status != STATUS_OK) {
        LOG_ERROR("the TLS settings cannot be used", LOG_CSTR("reason", error));
    }
    return status;
}

/* A new client with what the configuration and the roots are now; the old one on failure. */
static void
renew_tls(struct relay *relay, const struct config *config)
{
    struct tls_client *tls = NULL;
    if (make_tls(relay, config, &tls) == STATUS_OK) {
        pthread_mutex_lock(&relay->mutex);
        struct tls_client *old = relay->tls;
        relay->tls = tls;
        pthread_mutex_unlock(&relay->mutex);
        tls_client_unref(&old);
    }
}

/* The trusted roots of the configuration; they hold from the start or reload that follows. */
static void
relay_certificate(void *state, struct str name, int chain_fd)
{
    struct relay *relay = state;
    (void)name;
    role_roots_take(&relay->roots, chain_fd);
}

static void relay_close(void *state);

static enum status
relay_open(struct role_runtime *runtime, void **state_out)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        abort();
    }
    relay->runtime = runtime;
    relay->generation = 1;
    pthread_mutex_init(&relay->report_mutex, NULL);
    pthread_mutex_init(&relay->mutex, NULL);
    enum status status = tls_library_init();
    if (status == STATUS_OK) {
        role_roots_read_system(&relay->roots);
        find_own_addresses(relay);
        status = make_tls(relay, role_config(runtime), &relay->tls);
    }
    if (status != STATUS_OK) {
        relay_close(relay);
        return status;
    }
    *state_out = relay;
    return STATUS_OK;
}

/* ---- start */

static void
on_traces_sent(void *context)
{
    const struct relay *relay = context;
    role_stopped(relay->runtime);
}

static void
check_stopped(struct relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    bool busy = relay->lease_count + relay->old_lease_count + relay->callouts_waiting > 0;
    pthread_mutex_unlock(&relay->mutex);
    if (!busy && relay_idle_count(relay->world.idle) == 0) {
        event_del(relay->tick);
        trace_sender_on_empty(relay->traces, on_traces_sent, relay);
    }
}

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
    struct relay *relay = context;
    (void)fd;
    (void)what;
    if (relay->stopping) {
        relay_idle_leave_all(relay->world.idle, clock_monotonic_ms());
    }
    relay_idle_tick(relay->world.idle, clock_monotonic_ms());
    relay_lease_tick(relay);
    if (relay->stopping) {
        check_stopped(relay);
    }
}

static void
apply_config(struct relay *relay, const struct config *config)
{
    relay->dns.timeout_ms = (int)config->resolver.timeout_ms + DNS_MARGIN_MS;
    relay_crew_set_most(relay->crew, config->queue.connections + CALLOUT_WORKERS);
    relay_idle_set(relay->world.idle, config->queue.connections, config->queue.timeouts.idle_ms);
}

/* Asks the vault, from a worker thread. */
static enum status
find_password(void *context, struct str host, struct str user, struct buf *password_out)
{
    struct relay *relay = context;
    struct msg_login_find fields = {.host = host, .user = user};
    struct ipc_message *message = NULL;
    enum status status = channel_call(role_channel(relay->runtime, ROLE_VAULT, 0), MSG_LOGIN_FIND,
                                      &fields, VAULT_TIMEOUT_MS, &message);
    if (status != STATUS_OK) {
        return status;
    }
    const struct msg_login_find_reply *reply = MSG_BODY(message, login_find_reply);
    if (reply->outcome == LOGIN_OUTCOME_UNKNOWN) {
        status = STATUS_NOT_FOUND;
    } else if (reply->outcome != LOGIN_OUTCOME_DONE) {
        status = STATUS_TEMPORARY;
    } else {
        status = buf_append(password_out, reply->password);
    }
    ipc_message_free(&message);
    return status;
}

static enum status
relay_start(struct role_runtime *runtime, void *state)
{
    struct relay *relay = state;
    struct timeval interval = {0, TICK_MS * 1000};
    struct event_base *loop = role_loop(runtime);
    relay->dns.resolver = role_channel(runtime, ROLE_RESOLVER, 0);
    relay->dns.view = dns_view_create();
    relay->world.route.dns = dns_source_from_channel(&relay->dns);
    relay->world.route.random_below = random_below;
    relay->world.route.smtp_port = SMTP_PORT;
    relay->world.idle = relay_idle_create();
    relay->world.quirks = relay_quirks_create();
    relay->world.passwords = (struct relay_passwords){find_password, relay};
    relay->crew = relay_crew_create(0, DELIVERY_CEILING);
    relay->memory = relay_memory_create();
    relay->callouts = relay_callout_cache_create();
    relay->traces =
        trace_sender_create(loop, role_channel(runtime, ROLE_LEDGER, 0), TRACE_SENDER_CEILING);
    relay->tick = event_new(loop, -1, EV_PERSIST, on_tick, relay);
    if (relay->traces == NULL || relay->tick == NULL || event_add(relay->tick, &interval) != 0) {
        LOG_ERROR("no memory to start with");
        return STATUS_LIMIT;
    }
    apply_config(relay, role_config(runtime));
    role_roots_adopt(&relay->roots);
    if (relay->roots.configured.n > 0) {
        renew_tls(relay, role_config(runtime));
    }
    return STATUS_OK;
}

struct tls_client *
relay_tls_ref(struct relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    struct tls_client *tls = tls_client_ref(relay->tls);
    pthread_mutex_unlock(&relay->mutex);
    return tls;
}

/* ---- call-outs */

struct callout {
    struct relay_task task; /* first: the crew hands this back */
    struct relay *relay;
    struct channel *edge;
    struct ipc_message *message; /* MSG_CALLOUT */
    const struct config *config; /* one reference */
};

static void
answer_callout(struct channel *edge, uint64_t request, const struct relay_callout_answer *answer)
{
    struct msg_callout_reply reply = {
        .code = answer->code, .enhanced = answer->enhanced, .text = answer->text};
    if (channel_send(edge, MSG_CALLOUT_REPLY, request, &reply) != STATUS_OK) {
        LOG_DEBUG("an edge is no longer there for its answer");
    }
}

static const struct relay_callout_answer nobody_asked = {
    .enhanced = STR_INIT("4.3.2"), .text = STR_INIT("the next hop could not be asked now")};

/* What an answer is kept under. */
static struct str
callout_key(struct arena *arena, const struct config *config, const struct ipc_message *message)
{
    const struct msg_callout *fields = MSG_BODY(message, callout);
    return fields->utf8 != 0 ? relay_callout_utf8_key(arena, config, fields->address)
                             : fields->address;
}

static void
callout_run(struct relay_task *task, struct arena *arena)
{
    struct callout *callout = (struct callout *)task;
    struct relay *relay = callout->relay;
    struct str address = MSG_BODY(callout->message, callout)->address;
    struct relay_callout_answer answer = nobody_asked;
    bool utf8 = MSG_BODY(callout->message, callout)->utf8 != 0;
    if (arena != NULL) {
        struct tls_client *tls = relay_tls_ref(relay);
        (utf8 ? relay_callout_ask_utf8 : relay_callout_ask)(&relay->world, callout->config, tls,
                                                            arena, address, &answer);
        relay_callout_keep(relay->callouts, callout->config,
                           callout_key(arena, callout->config, callout->message),
                           clock_monotonic_ms(), &answer);
        tls_client_unref(&tls);
    }
    answer_callout(callout->edge, callout->message->request, &answer);
    pthread_mutex_lock(&relay->mutex);
    relay->callouts_waiting--;
    pthread_mutex_unlock(&relay->mutex);
    config_unref(&callout->config);
    ipc_message_free(&callout->message);
    free(callout);
}

static void
callout_begin(struct relay *relay, struct channel *edge, struct ipc_message *message)
{
    struct callout *callout = calloc(1, sizeof *callout);
    if (callout == NULL) {
        abort();
    }
    *callout = (struct callout){.task = {.run = callout_run},
                                .relay = relay,
                                .edge = edge,
                                .message = message,
                                .config = role_config_ref(relay->runtime)};
    pthread_mutex_lock(&relay->mutex);
    relay->callouts_waiting++;
    pthread_mutex_unlock(&relay->mutex);
    relay_crew_add(relay->crew, &callout->task);
}

static void
take_callout(struct relay *relay, struct channel *edge, struct ipc_message *message)
{
    struct arena *arena = arena_create(4096);
    struct relay_callout_answer answer = nobody_asked;
    pthread_mutex_lock(&relay->mutex);
    bool full = relay->callouts_waiting >= CALLOUTS_WAITING_MAX;
    pthread_mutex_unlock(&relay->mutex);
    bool known = relay_callout_find(relay->callouts, arena,
                                    callout_key(arena, role_config(relay->runtime), message),
                                    clock_monotonic_ms(), &answer);
    if (known || full || relay->stopping) {
        answer_callout(edge, message->request, &answer);
        ipc_message_free(&message);
    } else {
        callout_begin(relay, edge, message);
    }
    arena_destroy(&arena);
}

/* ---- messages and peers */

static void
relay_on_message(void *state, struct channel *channel, struct ipc_message *message)
{
    struct relay *relay = state;
    switch ((int)message->type) {
    case MSG_DELIVER:
        relay_lease_take(relay, message);
        return;
    case MSG_DNS_TABLE:
        dns_view_take(relay->dns.view, message);
        return;
    case MSG_CALLOUT:
        take_callout(relay, channel, message);
        return;
    default:
        role_peer_misbehaved(relay->runtime, channel);
        ipc_message_free(&message);
        return;
    }
}

static void
relay_on_peer(void *state, struct channel *channel, bool up)
{
    struct relay *relay = state;
    if (channel_peer(channel) != ROLE_SPOOL) {
        return;
    }
    relay_lease_spool_changed(relay);
    if (up) {
        relay_lease_tell_capacity(relay);
    }
}

/* ---- reload, stop, metrics */

static void
relay_reload(void *state, const struct config *config)
{
    struct relay *relay = state;
    apply_config(relay, config);
    role_roots_adopt(&relay->roots);
    renew_tls(relay, config);
    /* Other routes, other demands on TLS, another name in EHLO: nothing old is used again. */
    relay_callout_cache_clear(relay->callouts);
    relay_idle_leave_all(relay->world.idle, clock_monotonic_ms());
    relay_lease_tell_capacity(relay);
}

static void
relay_stop(void *state, int grace_ms)
{
    struct relay *relay = state;
    (void)grace_ms; /* what has not been answered by then is ended with the process */
    relay->stopping = true;
    relay_lease_tell_capacity(relay);
    relay_crew_drop_waiting(relay->crew);
}

static void
relay_metrics(void *state, struct role_metrics *metrics)
{
    struct relay *relay = state;
    const struct relay_counters *c = &relay->world.counters;
    struct relay_crew_counts crew = relay_crew_counts(relay->crew);
    const struct {
        enum role_metric metric;
        const atomic_ullong *value;
    } counters[] = {
        {ROLE_METRIC_RELAY_RECIPIENTS_DELIVERED_TOTAL, &c->delivered},
        {ROLE_METRIC_RELAY_RECIPIENTS_DEFERRED_TOTAL, &c->deferred},
        {ROLE_METRIC_RELAY_RECIPIENTS_FAILED_TOTAL, &c->failed},
        {ROLE_METRIC_RELAY_CONNECTIONS_OPENED_TOTAL, &c->connections},
        {ROLE_METRIC_RELAY_CONNECTIONS_FAILED_TOTAL, &c->connections_failed},
        {ROLE_METRIC_RELAY_CONNECTIONS_REUSED_TOTAL, &c->connections_reused},
        {ROLE_METRIC_RELAY_TLS_SESSIONS_TOTAL, &c->tls},
        {ROLE_METRIC_RELAY_TLS_FAILURES_TOTAL, &c->tls_failed},
        {ROLE_METRIC_RELAY_LOGIN_FAILURES_TOTAL, &c->logins_failed},
        {ROLE_METRIC_RELAY_SESSIONS_AUTHENTICATED_TOTAL, &c->authenticated},
        {ROLE_METRIC_RELAY_HOSTS_INSECURE_TOTAL, &c->insecure},
#define RESULT(NAME) {ROLE_METRIC_RELAY_RESULT_##NAME##_TOTAL, &c->results[TLS_RESULT_##NAME]}
        RESULT(SUCCESS),
        RESULT(STARTTLS_NOT_SUPPORTED),
        RESULT(CERTIFICATE_HOST_MISMATCH),
        RESULT(CERTIFICATE_EXPIRED),
        RESULT(CERTIFICATE_NOT_TRUSTED),
        RESULT(VALIDATION_FAILURE),
        RESULT(TLSA_INVALID),
        RESULT(DNSSEC_INVALID),
#undef RESULT
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        role_metric_add(metrics, counters[i].metric, (int64_t)atomic_load(counters[i].value));
    }
    role_metric_add(metrics, ROLE_METRIC_DNS_READ_TOTAL, (int64_t)dns_view_found(relay->dns.view));
    role_metric_add(metrics, ROLE_METRIC_RELAY_CONNECTIONS_IDLE,
                    (int64_t)relay_idle_count(relay->world.idle));
    role_metric_add(metrics, ROLE_METRIC_RELAY_WORKERS, (int64_t)crew.threads);
    role_metric_add(metrics, ROLE_METRIC_RELAY_WORKERS_BUSY, (int64_t)crew.working);
    role_metric_add(metrics, ROLE_METRIC_RELAY_DELIVERIES_WAITING, (int64_t)crew.waiting);
    role_metric_add(metrics, ROLE_METRIC_RELAY_CALLOUT_ANSWERS_KEPT,
                    (int64_t)relay_callout_cache_count(relay->callouts));
}

static void
relay_close(void *state)
{
    struct relay *relay = state;
    if (relay->tick != NULL) {
        event_free(relay->tick);
    }
    relay_crew_destroy(&relay->crew);
    relay_idle_destroy(&relay->world.idle);
    relay_quirks_destroy(&relay->world.quirks);
    relay_memory_destroy(&relay->memory);
    relay_callout_cache_destroy(&relay->callouts);
    trace_sender_destroy(&relay->traces);
    dns_view_destroy(&relay->dns.view);
    tls_client_unref(&relay->tls);
    role_roots_free(&relay->roots);
    free(relay->own);
    pthread_mutex_destroy(&relay->report_mutex);
    pthread_mutex_destroy(&relay->mutex);
    free(relay);
}

static uint64_t
relay_memory(const struct config *config)
{
    uint64_t const message = MEMORY_LIMIT_MESSAGE_COPIES * config->limits.message_size;
    return (uint64_t)config->queue.connections * (MEMORY_LIMIT_THREAD + message);
}

const struct role_definition relay_role = {
    .role = ROLE_RELAY,
    .memory = relay_memory,
    .open = relay_open,
    .start = relay_start,
    .certificate = relay_certificate,
    .on_message = relay_on_message,
    .on_peer = relay_on_peer,
    .reload = relay_reload,
    .stop = relay_stop,
    .metrics = relay_metrics,
    .close = relay_close,
};
