#include "dns/source_unbound.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/name.h"
#include "dns/unbound_setup.h"

#define CLASS_IN   1
/* A command asks some hundred questions at most. */
#define CACHE_SIZE (4u << 20)

struct dns_unbound {
    struct ub_ctx *ub;
    const struct config_resolver *settings;
};

/* A question that was asked; the callback sets the rest. */
struct pending {
    bool answered;
    struct ub_result *result;
    int failed;
};

static bool
add_trust(struct ub_ctx *ub, const struct config_resolver *settings)
{
    if (!settings->dnssec) {
        return true;
    }
    for (size_t i = 0; i < settings->trust_anchors.count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s", STR_ARG(settings->trust_anchors.items[i]));
        if (ub_ctx_add_ta_file(ub, path) != 0) {
            LOG_ERROR("trust anchors cannot be used", LOG_CSTR("file", path));
            return false;
        }
    }
    return settings->trust_anchors.count > 0 || unbound_add_anchors(ub, unbound_root_anchors());
}

struct dns_unbound *
dns_unbound_create(const struct config_resolver *settings)
{
    struct dns_unbound *unbound = calloc(1, sizeof *unbound);
    struct ub_ctx *ub = ub_ctx_create();
    if (unbound == NULL || ub == NULL || !unbound_set_up(ub, settings, CACHE_SIZE) ||
        !add_trust(ub, settings) || ub_ctx_async(ub, 1) != 0) {
        ub_ctx_delete(ub);
        free(unbound);
        return NULL;
    }
    unbound_open_local_zones(ub, settings);
    *unbound = (struct dns_unbound){.ub = ub, .settings = settings};
    return unbound;
}

void
dns_unbound_destroy(struct dns_unbound **unbound)
{
    if (*unbound != NULL) {
        ub_ctx_delete((*unbound)->ub);
        free(*unbound);
        *unbound = NULL;
    }
}

static void
on_answer(void *data, int failed, struct ub_result *result)
{
    struct pending *pending = data;
    pending->answered = true;
    pending->failed = failed;
    pending->result = result;
}

/* Asks and waits at most as long as is configured. */
static void
ask(const struct dns_unbound *unbound, const char *name, uint16_t type, struct pending *pending)
{
    int id = 0;
    int64_t const deadline = clock_monotonic_ms() + unbound->settings->timeout_ms;
    pending->failed = ub_resolve_async(unbound->ub, name, type, CLASS_IN, pending, on_answer, &id);
    pending->answered = pending->failed != 0;
    while (!pending->answered) {
        int64_t const left = deadline - clock_monotonic_ms();
        struct pollfd wait = {.fd = ub_fd(unbound->ub), .events = POLLIN};
        if (left <= 0) {
            ub_cancel(unbound->ub, id);
            return;
        }
        if (poll(&wait, 1, (int)left) > 0 && ub_process(unbound->ub) != 0) {
            pending->answered = true;
            pending->failed = -1;
            return;
        }
    }
}

static void
read_result(const struct dns_unbound *unbound, struct arena *arena, struct str name, uint16_t type,
            const struct ub_result *from, struct dns_answer *out)
{
    struct unbound_result result = {
        .rcode = from->rcode,
        .packet = str_make(from->answer_packet, (size_t)from->answer_len),
        .security = !unbound->settings->dnssec ? DNS_SECURITY_INDETERMINATE
                    : from->bogus              ? DNS_SECURITY_BOGUS
                    : from->secure             ? DNS_SECURITY_SECURE
                                               : DNS_SECURITY_INSECURE,
        .why = from->why_bogus,
    };
    unbound_read_answer(arena, &result, name, type, out);
}

static enum status
resolve(void *ctx, struct arena *arena, struct str name, uint16_t type, struct dns_answer *out)
{
    const struct dns_unbound *unbound = ctx;
    struct str normal;
    struct pending pending = {.result = NULL};
    enum status status = dns_name_normalize(arena, name, &normal);
    struct str text =
        status == STATUS_OK ? arena_printf(arena, "%.*s.", STR_ARG(normal)) : str_make(NULL, 0);
    if (status != STATUS_OK || text.p == NULL) {
        return status != STATUS_OK ? status : STATUS_LIMIT;
    }
    ask(unbound, text.p, type, &pending);
    struct dns_answer answer = {
        .outcome = pending.answered ? DNS_OUTCOME_SERVFAIL : DNS_OUTCOME_TIMEOUT,
        .canonical = normal,
        .detail = pending.answered ? STR("libunbound failed") : STR("no server answered in time"),
    };
    if (pending.answered && pending.failed == 0) {
        read_result(unbound, arena, normal, type, pending.result, &answer);
    }
    /* Texts and records may still be libunbound's. */
    status = dns_answer_copy(arena, &answer, out);
    ub_resolve_free(pending.result);
    return status;
}

struct dns_source
dns_source_from_unbound(struct dns_unbound *unbound)
{
    return (struct dns_source){.resolve = resolve, .ctx = unbound};
}
