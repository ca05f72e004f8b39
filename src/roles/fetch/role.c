#include <event2/event.h>
#include <stdlib.h>

#include "base/log.h"
#include "roles/fetch/fetch.h"
#include "roles/fetch/internal.h"
#include "tls/library.h"

/* How often it is looked, while the role stops, whether the last fetch has ended. */
#define STOP_TICK_MS 50

/* ---- clients */

void
fetch_client_release(struct fetch_client *client)
{
    if (client != NULL && --client->users == 0) {
        fetch_curl_unref(&client->curl);
        free(client);
    }
}

static enum status
make_curl(struct fetch_state *state, const struct config_fetch *config, struct fetch_client *client)
{
    struct buf trust;
    buf_init(&trust, ROLE_ROOTS_MAX + 1);
    enum status status = role_roots_write(&state->roots, &trust);
    if (status == STATUS_OK) {
        struct fetch_curl_settings settings = {
            .dns = &client->dns,
            .trust_pem = buf_str(&trust),
            .also_allowed = config->private_addresses.items,
            .also_allowed_count = config->private_addresses.count,
            .port = config->port,
        };
        status = fetch_curl_create(&settings, &client->curl);
    }
    buf_free(&trust);
    return status;
}

/* A new client with what the configuration and the roots are now; the old one stays on failure. */
static enum status
renew_client(struct fetch_state *state, const struct config *config)
{
    struct fetch_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return STATUS_LIMIT;
    }
    client->users = 1;
    client->timeout_ms = (int)config->fetch.timeout_ms;
    client->dns_channel = (struct dns_source_channel){
        .resolver = role_channel(state->runtime, ROLE_RESOLVER, 0),
        .timeout_ms = (int)config->resolver.timeout_ms + FETCH_DNS_MARGIN_MS,
    };
    client->dns = dns_source_from_channel(&client->dns_channel);
    enum status status = make_curl(state, &config->fetch, client);
    if (status != STATUS_OK) {
        LOG_ERROR("there is no memory for the settings of fetches");
        fetch_client_release(client);
        return status;
    }
    fetch_client_release(state->client);
    state->client = client;
    return STATUS_OK;
}

/* ---- role */

static void
fetch_certificate(void *context, struct str name, int chain_fd)
{
    struct fetch_state *state = context;
    (void)name;
    role_roots_take(&state->roots, chain_fd);
}

static void
fetch_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    if (message->type == MSG_FETCH) {
        fetch_job_ask(context, channel, message);
    } else {
        ipc_message_free(&message);
    }
}

static void
fetch_on_peer(void *context, struct channel *channel, bool up)
{
    struct fetch_state *state = context;
    if (!up) {
        asker_forget(&state->askers, channel);
    }
}

static void fetch_close(void *context);

static enum status
fetch_open(struct role_runtime *runtime, void **state_out)
{
    struct fetch_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return STATUS_LIMIT;
    }
    state->runtime = runtime;
    enum status status = tls_library_init();
    if (status == STATUS_OK) {
        status = fetch_curl_init();
    }
    if (status != STATUS_OK) {
        LOG_ERROR("the libraries for fetches cannot be started");
        fetch_close(state);
        return status;
    }
    role_roots_read_system(&state->roots);
    *state_out = state;
    return STATUS_OK;
}

static enum status
fetch_start(struct role_runtime *runtime, void *context)
{
    struct fetch_state *state = context;
    struct work_settings settings = {
        .loop = role_loop(runtime),
        .threads = FETCH_THREADS,
        .batch = 1,
        .most_jobs = FETCH_WAITING_MAX,
        .most_octets = SIZE_MAX,
    };
    state->queue = work_create(&settings);
    if (state->queue == NULL) {
        LOG_ERROR("there is no memory to start with");
        return STATUS_LIMIT;
    }
    role_roots_adopt(&state->roots);
    return renew_client(state, role_config(runtime));
}

static void
fetch_reload(void *context, const struct config *config)
{
    struct fetch_state *state = context;
    role_roots_adopt(&state->roots);
    (void)renew_client(state, config);
}

static void
on_stop_tick(evutil_socket_t fd, short what, void *context)
{
    struct fetch_state *state = context;
    struct timeval const tick = {0, STOP_TICK_MS * 1000};
    (void)fd;
    (void)what;
    if (work_pending(state->queue) > 0) {
        event_base_once(role_loop(state->runtime), -1, EV_TIMEOUT, on_stop_tick, state, &tick);
    } else {
        role_stopped(state->runtime);
    }
}

/* Nobody waits for a page any longer: fetches under way are given up. */
static void
fetch_stop(void *context, int grace_ms)
{
    struct fetch_state *state = context;
    (void)grace_ms;
    state->stopping = true;
    fetch_curl_give_up();
    on_stop_tick(-1, 0, state);
}

static void
fetch_metrics(void *context, struct role_metrics *metrics_out)
{
    /* Static: the frame keeps the names. */
    static const char *const names[FETCH_OUTCOME_COUNT] = {
#define OUTCOME(NUMBER, text) [FETCH_OUTCOME_##NUMBER] = "fetches_total{outcome=\"" text "\"}"
        OUTCOME(OK, "ok"),
        OUTCOME(NOT_FOUND, "not-found"),
        OUTCOME(STATUS, "status"),
        OUTCOME(REDIRECT, "redirect"),
        OUTCOME(TOO_LARGE, "too-large"),
        OUTCOME(WRONG_TYPE, "wrong-type"),
        OUTCOME(BROKEN, "broken"),
        OUTCOME(TIMED_OUT, "timed-out"),
        OUTCOME(UNREACHABLE, "unreachable"),
        OUTCOME(TLS_NAME, "tls-name"),
        OUTCOME(TLS_EXPIRED, "tls-expired"),
        OUTCOME(TLS_UNTRUSTED, "tls-untrusted"),
        OUTCOME(TLS_OTHER, "tls-other"),
        OUTCOME(NAME, "name"),
        OUTCOME(ADDRESS, "address"),
        OUTCOME(BUSY, "busy"),
#undef OUTCOME
    };
    struct fetch_state *state = context;
    for (size_t i = 0; i < FETCH_OUTCOME_COUNT; i++) {
        role_metric_add_named(metrics_out, names[i], state->outcomes[i]);
    }
    role_metric_add(metrics_out, ROLE_METRIC_FETCHES_SHARED_TOTAL, state->shared);
    role_metric_add(metrics_out, ROLE_METRIC_FETCHES_UNDER_WAY,
                    state->queue != NULL ? (int64_t)work_pending(state->queue) : 0);
}

static void
fetch_close(void *context)
{
    struct fetch_state *state = context;
    work_destroy(&state->queue);
    fetch_client_release(state->client);
    role_roots_free(&state->roots);
    free(state);
}

const struct role_definition fetch_role = {
    .role = ROLE_FETCH,
    .open = fetch_open,
    .start = fetch_start,
    .on_message = fetch_on_message,
    .on_peer = fetch_on_peer,
    .reload = fetch_reload,
    .certificate = fetch_certificate,
    .stop = fetch_stop,
    .metrics = fetch_metrics,
    .close = fetch_close,
};
