#include "roles/resolver/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/log.h"
#include "dns/dns.h"
#include "dns/unbound_setup.h"

/* Memory of a context that lives for one question. */
#define PROBE_CACHE_SIZE (1u << 20)

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
    unbound_open_local_zones(ub, config);
    return true;
}

struct context *
context_create(struct event_base *loop, const struct config *config,
               const struct anchor_zone *zones, size_t count)
{
    const struct config_resolver *settings = &config->resolver;
    struct context *context = calloc(1, sizeof *context);
    struct ub_ctx *ub = ub_ctx_create_event(loop);
    bool done = context != NULL && ub != NULL && unbound_set_up(ub, settings, settings->cache_size);
    for (size_t i = 0; done && i < count; i++) {
        done = unbound_add_anchors(ub, buf_str(&zones[i].trusted));
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
    bool done =
        ub != NULL && unbound_set_up(ub, settings, PROBE_CACHE_SIZE) &&
        unbound_set_number(ub, "add-holddown:", (uint64_t)settings->anchor_hold_down_ms / 1000) &&
        unbound_set_number(ub, "del-holddown:", (uint64_t)settings->anchor_hold_down_ms / 1000);
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
