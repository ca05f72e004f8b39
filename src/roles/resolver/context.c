#include "roles/resolver/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/log.h"
#include "dns/dns.h"

/* Memory of a context that lives for one question. */
#define PROBE_CACHE_SIZE    (1u << 20)
/* RFC 8914's flag day: what passes without fragments nearly everywhere. */
#define EDNS_OCTETS         "1232"
#define TCP_CONNECTIONS     "64"
#define UDP_SOCKETS         "512"
#define QUESTIONS_UNDER_WAY "4096"

static bool
set_option(struct ub_ctx *ub, const char *name, const char *value)
{
    int failed = ub_ctx_set_option(ub, name, value);
    if (failed != 0) {
        LOG_ERROR("libunbound refuses an option", LOG_CSTR("option", name),
                  LOG_CSTR("value", value), LOG_CSTR("reason", ub_strerror(failed)));
    }
    return failed == 0;
}

static bool
set_number(struct ub_ctx *ub, const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return set_option(ub, name, text);
}

static const char *
endpoint_text(const struct config_endpoint *endpoint, char out[static IP_TEXT_MAX + 8])
{
    char address[IP_TEXT_MAX];
    snprintf(out, IP_TEXT_MAX + 8, "%s@%u", ip_format(&endpoint->ip, address),
             endpoint->port != 0 ? endpoint->port : 53);
    return out;
}

static bool
set_upstream(struct ub_ctx *ub, const struct config_resolver *config)
{
    char text[IP_TEXT_MAX + 8];
    for (size_t i = 0; i < config->forwarders.count; i++) {
        if (ub_ctx_set_fwd(ub, endpoint_text(&config->forwarders.items[i], text)) != 0) {
            LOG_ERROR("not a forwarder", LOG_CSTR("address", text));
            return false;
        }
    }
    if (config->stub_root.port != 0 &&
        ub_ctx_set_stub(ub, ".", endpoint_text(&config->stub_root, text), 0) != 0) {
        LOG_ERROR("not a server of the root", LOG_CSTR("address", text));
        return false;
    }
    bool own = config->stub_root.port != 0 || config->forwarders.count > 0;
    return set_option(ub, "do-not-query-localhost:", own ? "no" : "yes");
}

static bool
set_common(struct ub_ctx *ub, const struct config_resolver *config, uint64_t cache_size)
{
    /* Two thirds are for records, which are the larger part of the cache. */
    return set_number(ub, "msg-cache-size:", cache_size / 3) &&
           set_number(ub, "rrset-cache-size:", cache_size / 3 * 2) &&
           set_number(ub, "cache-min-ttl:", (uint64_t)config->cache_ttl_min_ms / 1000) &&
           set_number(ub, "cache-max-ttl:", (uint64_t)config->cache_ttl_max_ms / 1000) &&
           set_number(
               ub, "cache-max-negative-ttl:", (uint64_t)config->cache_negative_ttl_max_ms / 1000) &&
           set_option(ub, "edns-buffer-size:", EDNS_OCTETS) &&
           set_option(ub, "outgoing-range:", UDP_SOCKETS) &&
           set_option(ub, "outgoing-num-tcp:", TCP_CONNECTIONS) &&
           set_option(ub, "num-queries-per-thread:", QUESTIONS_UNDER_WAY) &&
           set_option(ub, "chroot:", "") && set_option(ub, "username:", "") &&
           set_upstream(ub, config);
}

static bool
add_anchors(struct ub_ctx *ub, const struct anchor_zone *zone)
{
    struct str rest = buf_str(&zone->trusted);
    bool done = true;
    while (done && rest.n > 0) {
        struct str line;
        char text[ANCHOR_RECORD_MAX];
        str_cut(rest, '\n', &line, &rest);
        snprintf(text, sizeof text, "%.*s", STR_ARG(line));
        done = ub_ctx_add_ta(ub, text) == 0;
        if (!done) {
            LOG_ERROR("not a trust anchor (a DS or DNSKEY record)", LOG_STR("record", line));
        }
    }
    return done;
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_settled(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    (void)data, (void)rcode, (void)packet, (void)n, (void)security, (void)why, (void)limited;
}

/* The first question makes libunbound settle; "localhost." is answered without the network. */
static bool
settle(struct ub_ctx *ub, const struct config_resolver *config)
{
    int id;
    int failed = ub_resolve_event(ub, "localhost.", DNS_TYPE_A, CLASS_IN, NULL, on_settled, &id);
    if (failed != 0) {
        LOG_ERROR("libunbound cannot start", LOG_CSTR("reason", ub_strerror(failed)));
        return false;
    }
    for (size_t i = 0; i < config->local_zones.count; i++) {
        char name[1024];
        snprintf(name, sizeof name, "%.*s.", STR_ARG(config->local_zones.items[i]));
        ub_ctx_zone_remove(ub, name);
    }
    return true;
}

struct context *
context_create(struct event_base *loop, const struct config *config,
               const struct anchor_zone *zones, size_t count)
{
    const struct config_resolver *settings = &config->resolver;
    struct context *context = calloc(1, sizeof *context);
    struct ub_ctx *ub = ub_ctx_create_event(loop);
    bool done = context != NULL && ub != NULL && set_common(ub, settings, settings->cache_size);
    if (done && !settings->dnssec) {
        done = set_option(ub, "module-config:", "iterator");
    }
    for (size_t i = 0; done && i < count; i++) {
        done = add_anchors(ub, &zones[i]);
    }
    if (!done || !settle(ub, settings)) {
        ub_ctx_delete(ub);
        free(context);
        return NULL;
    }
    context->ub = ub;
    context->config = config_ref(config);
    return context;
}

void
context_destroy(struct context *context)
{
    ub_ctx_delete(context->ub);
    config_unref(&context->config);
    free(context);
}

struct ub_ctx *
context_create_probe(struct event_base *loop, const struct config *config,
                     const struct anchor_zone *zone)
{
    const struct config_resolver *settings = &config->resolver;
    struct ub_ctx *ub = ub_ctx_create_event(loop);
    bool done = ub != NULL && set_common(ub, settings, PROBE_CACHE_SIZE) &&
                set_number(ub, "add-holddown:", (uint64_t)settings->anchor_hold_down_ms / 1000) &&
                set_number(ub, "del-holddown:", (uint64_t)settings->anchor_hold_down_ms / 1000);
    if (done && ub_ctx_add_ta_autr(ub, zone->path) != 0) {
        LOG_ERROR("libunbound does not take a state of trust anchors",
                  LOG_CSTR("file", zone->path));
        done = false;
    }
    if (!done || !settle(ub, settings)) {
        ub_ctx_delete(ub);
        return NULL;
    }
    return ub;
}
