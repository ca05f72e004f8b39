/* The signer's definition as a role. */
#include "roles/signer/signer.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/body.h"
#include "roles/signer/line.h"
#include "tls/identity.h"

/* How often keys that have retired are looked at. */
#define TICK_S 30

struct signer {
    struct role_runtime *runtime;
    struct key_store *keys;
    struct signer_counts counts;
    struct event *tick;
    bool started;
    int waiting[ROLE_INSTANCES_MAX]; /* sockets that came before the start; -1: none */
    struct signer_line *lines[ROLE_INSTANCES_MAX]; /* by the edge's instance */
};

/* ---- lines */

static void
on_breach(void *context, uint32_t instance)
{
    struct signer *signer = context;
    role_line_misbehaved(signer->runtime, ROLE_EDGE, instance);
}

static void
open_line(struct signer *signer, uint32_t instance, int fd)
{
    struct signer_line_settings settings = {
        .keys = signer->keys,
        .counts = &signer->counts,
        .on_breach = on_breach,
        .context = signer,
        .instance = instance,
    };
    signer_line_close(&signer->lines[instance]); /* of the edge that was there before */
    if (signer_line_open(&settings, fd, &signer->lines[instance]) != STATUS_OK) {
        LOG_ERROR("there is no thread for an edge, which has no TLS now",
                  LOG_INT("instance", instance));
    }
}

static bool
signer_line(void *state, enum role peer, uint32_t instance, int fd)
{
    struct signer *signer = state;
    if (peer != ROLE_EDGE) {
        return false;
    }
    if (signer->started) {
        open_line(signer, instance, fd);
        return true;
    }
    if (signer->waiting[instance] >= 0) {
        close(signer->waiting[instance]);
    }
    signer->waiting[instance] = fd;
    return true;
}

/* ---- keys */

static void
signer_key(void *state, struct str name, int key_fd)
{
    struct signer *signer = state;
    char error[TLS_ERROR_MAX] = "too many keys";
    struct arena *arena = arena_create(TLS_PEM_MAX + 4096);
    struct tls_signing_key *key = NULL;
    enum status status =
        tls_signing_key_parse(ipc_memfd_read(arena, key_fd, TLS_PEM_MAX), &key, error);
    arena_destroy_wiped(&arena);
    close(key_fd);
    if (status == STATUS_OK) {
        status = key_store_offer(signer->keys, key);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("a private key cannot be used", LOG_STR("key", name), LOG_CSTR("reason", error));
    }
}

static void
signer_reload(void *state, const struct config *config)
{
    struct signer *signer = state;
    (void)config;
    key_store_adopt(signer->keys, clock_monotonic_ms());
}

static void
on_tick(evutil_socket_t fd, short what, void *context)
{
    struct signer *signer = context;
    (void)fd;
    (void)what;
    key_store_expire(signer->keys, clock_monotonic_ms());
}

/* ---- the role's callbacks */

static enum status
signer_open(struct role_runtime *runtime, void **state_out)
{
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL) {
        return STATUS_LIMIT;
    }
    if (tls_library_init() != STATUS_OK) {
        LOG_ERROR("OpenSSL cannot be started");
        free(signer);
        return STATUS_IO;
    }
    signer->runtime = runtime;
    signer->keys = key_store_create();
    for (size_t i = 0; i < ROLE_INSTANCES_MAX; i++) {
        signer->waiting[i] = -1;
    }
    *state_out = signer;
    return STATUS_OK;
}

static enum status
signer_start(struct role_runtime *runtime, void *state)
{
    struct signer *signer = state;
    struct timeval tick = {TICK_S, 0};
    signer->tick = event_new(role_loop(runtime), -1, EV_PERSIST, on_tick, signer);
    if (signer->tick == NULL || event_add(signer->tick, &tick) != 0) {
        return STATUS_LIMIT;
    }
    key_store_adopt(signer->keys, clock_monotonic_ms());
    signer->started = true;
    for (uint32_t i = 0; i < ROLE_INSTANCES_MAX; i++) {
        if (signer->waiting[i] >= 0) {
            open_line(signer, i, signer->waiting[i]);
            signer->waiting[i] = -1;
        }
    }
    return STATUS_OK;
}

/* Edges ask on their lines; nobody has anything to say to the loop. */
static void
signer_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct signer *signer = context;
    role_peer_misbehaved(signer->runtime, channel);
    ipc_message_free(&message);
}

static void
signer_metrics(void *state, struct role_metrics *metrics)
{
    struct signer *signer = state;
    struct signer_counts *c = &signer->counts;
    long long const refused = atomic_load(&c->refused);
    role_metric_add(metrics, ROLE_METRIC_SIGNER_KEYS, (int64_t)key_store_count(signer->keys));
    role_metric_add(metrics, ROLE_METRIC_SIGNER_SIGNATURES_TOTAL, atomic_load(&c->signatures));
    role_metric_add(metrics, ROLE_METRIC_SIGNER_REFUSED_TOTAL, refused);
    role_metric_add(metrics, ROLE_METRIC_SIGNER_UNKNOWN_KEYS_TOTAL, atomic_load(&c->unknown_keys));
    role_metric_add(metrics, ROLE_METRIC_SIGNER_FAILURES_TOTAL, atomic_load(&c->failures));
    if (refused > 0) {
        role_warn(
            metrics,
            "an edge wanted signatures of what is no TLS handshake, %lld time(s); the log says "
            "which: it may have been taken over",
            refused);
    }
}

static void
signer_close(void *state)
{
    struct signer *signer = state;
    for (size_t i = 0; i < ROLE_INSTANCES_MAX; i++) {
        signer_line_close(&signer->lines[i]);
        if (signer->waiting[i] >= 0) {
            close(signer->waiting[i]);
        }
    }
    if (signer->tick != NULL) {
        event_free(signer->tick);
    }
    key_store_destroy(&signer->keys);
    free(signer);
}

const struct role_definition signer_role = {
    .role = ROLE_SIGNER,
    .open = signer_open,
    .start = signer_start,
    .on_message = signer_on_message,
    .reload = signer_reload,
    .key = signer_key,
    .line = signer_line,
    .metrics = signer_metrics,
    .close = signer_close,
};
