/*
 * RFC 5011: the keys of the trust anchors' zones are asked for at intervals, by a libunbound
 * context that lives for this one question and keeps the zone's state file. When other keys are
 * trusted afterwards, the role gets a new context: that happens a few times in a decade, and costs
 * a cache.
 */
#include <event2/event.h>
#include <stdio.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/resolver/internal.h"

/* RFC 5011 2.3: not more often than once an hour, also after a failure. */
#define PROBE_INTERVAL_MIN_S 3600
/* How long the clock's jumps may go unnoticed. */
#define LOOK_AGAIN_MOST_S    3600
/*
 * A hold-down below this is a laboratory's: then its keys are asked for every quarter of it.
 * (libunbound's own "permit-small-holddown" divides by zero when a key's TTL is below 20 seconds.)
 */
#define SMALL_HOLD_DOWN_MS   (24 * 3600 * 1000)
#define SECURE               2

static int64_t
now_s(void)
{
    return clock_wall_ms() / 1000;
}

static bool
in_laboratory(const struct resolver *resolver)
{
    return resolver->current->config->resolver.anchor_hold_down_ms < SMALL_HOLD_DOWN_MS;
}

static int64_t
interval_min_s(const struct resolver *resolver)
{
    int64_t quarter = resolver->current->config->resolver.anchor_hold_down_ms / 4000;
    return !in_laboratory(resolver) ? PROBE_INTERVAL_MIN_S : quarter > 1 ? quarter : 1;
}

static void
schedule(struct resolver *resolver)
{
    size_t count;
    anchors_zones(resolver->anchors, &count);
    int64_t in_s = LOOK_AGAIN_MOST_S;
    int64_t const now = now_s();
    for (size_t i = 0; i < count; i++) {
        int64_t left = resolver->watch.not_before_s[i] - now;
        in_s = left < in_s ? left : in_s;
    }
    struct timeval in = {in_s > 0 ? in_s : 0, 0};
    if (count > 0) {
        event_add(resolver->watch.timer, &in);
    }
}

/* When the zone's keys are asked for next; the state file says what RFC 5011 2.3 makes of its TTL.
 */
static void
plan(struct resolver *resolver, size_t index, bool probed)
{
    size_t count;
    const struct anchor_zone *zone = &anchors_zones(resolver->anchors, &count)[index];
    int64_t const earliest = probed ? now_s() + interval_min_s(resolver) : 0;
    int64_t at = in_laboratory(resolver) ? earliest : zone->next_probe_s;
    resolver->watch.not_before_s[index] = at > earliest ? at : earliest;
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_probed(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    struct resolver *resolver = data;
    struct watch *watch = &resolver->watch;
    (void)packet;
    (void)n;
    (void)limited;
    watch->failed = rcode != 0 || security != SECURE;
    watch->finished = true;
    if (watch->failed) {
        LOG_WARN("the keys of a trust anchor could not be asked for",
                 LOG_CSTR("state", watch->path), LOG_CSTR("reason", why != NULL ? why : ""));
    }
    /* The context may not be deleted from within its own callback. */
    event_active(watch->timer, EV_TIMEOUT, 0);
}

static void
probe(struct resolver *resolver, const struct anchor_zone *zone, size_t index)
{
    struct watch *watch = &resolver->watch;
    int id;
    watch->not_before_s[index] = now_s() + interval_min_s(resolver);
    watch->ub = context_create_probe(role_loop(resolver->runtime), resolver->current->config, zone);
    if (watch->ub == NULL) {
        watch->probe_failures++;
        return;
    }
    watch->finished = false;
    watch->probes++;
    snprintf(watch->path, sizeof watch->path, "%s", zone->path);
    if (ub_resolve_event(watch->ub, zone->name, DNS_TYPE_DNSKEY, CLASS_IN, resolver, on_probed,
                         &id) != 0) {
        ub_ctx_delete(watch->ub);
        watch->ub = NULL;
        watch->probe_failures++;
    }
}

static void
take_result(struct resolver *resolver)
{
    struct watch *watch = &resolver->watch;
    size_t count;
    struct anchor_zone *zones = anchors_zones(resolver->anchors, &count);
    ub_ctx_delete(watch->ub);
    watch->ub = NULL;
    watch->probe_failures += watch->failed;
    for (size_t i = 0; i < count; i++) {
        bool changed = false;
        if (strcmp(zones[i].path, watch->path) != 0) {
            continue;
        }
        if (anchor_zone_load(&zones[i], &changed) == STATUS_OK && changed) {
            watch->changes++;
            LOG_INFO("other keys of a zone are trusted now (RFC 5011)",
                     LOG_CSTR("zone", zones[i].name), LOG_CSTR("state", zones[i].path));
            if (resolver_renew_context(resolver)) {
                self_test_restart(resolver);
            }
        }
        plan(resolver, i, true);
    }
}

static void
on_timer(evutil_socket_t fd, short what, void *state)
{
    struct resolver *resolver = state;
    struct watch *watch = &resolver->watch;
    size_t count;
    (void)fd;
    (void)what;
    if (watch->ub != NULL && watch->finished) {
        take_result(resolver);
    }
    const struct anchor_zone *zones = anchors_zones(resolver->anchors, &count);
    for (size_t i = 0; i < count && watch->ub == NULL; i++) {
        if (watch->not_before_s[i] <= now_s()) {
            probe(resolver, &zones[i], i);
        }
    }
    if (watch->ub == NULL) {
        schedule(resolver);
    }
}

void
watch_restart(struct resolver *resolver)
{
    size_t count;
    anchors_zones(resolver->anchors, &count);
    for (size_t i = 0; i < count; i++) {
        plan(resolver, i, false);
    }
    schedule(resolver);
}

enum status
watch_start(struct resolver *resolver)
{
    resolver->watch.timer = event_new(role_loop(resolver->runtime), -1, 0, on_timer, resolver);
    if (resolver->watch.timer == NULL) {
        return STATUS_IO;
    }
    watch_restart(resolver);
    return STATUS_OK;
}

void
watch_metrics(struct resolver *resolver, struct role_metrics *metrics)
{
    size_t count;
    const struct anchor_zone *zones = anchors_zones(resolver->anchors, &count);
    int64_t pending = 0;
    int64_t revoked = 0;
    for (size_t i = 0; i < count; i++) {
        pending += zones[i].pending;
        revoked += zones[i].revoked;
    }
    role_metric_add(metrics, ROLE_METRIC_DNS_ANCHOR_PROBES_TOTAL, resolver->watch.probes);
    role_metric_add(metrics, ROLE_METRIC_DNS_ANCHOR_PROBE_FAILURES_TOTAL,
                    resolver->watch.probe_failures);
    role_metric_add(metrics, ROLE_METRIC_DNS_ANCHOR_CHANGES_TOTAL, resolver->watch.changes);
    role_metric_add(metrics, ROLE_METRIC_DNS_ANCHOR_KEYS_PENDING, pending);
    role_metric_add(metrics, ROLE_METRIC_DNS_ANCHOR_KEYS_REVOKED, revoked);
}
