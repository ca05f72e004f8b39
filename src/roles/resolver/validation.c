#include <event2/event.h>
#include <stdio.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/resolver/internal.h"

/* Again after a failure, doubling up to the most; and after a success. */
#define AGAIN_FIRST_S   2
#define AGAIN_MOST_S    300
#define AGAIN_SUCCESS_S 3600
#define SECURE          2
/* A domain name with its final dot. */
#define NAME_ROOM       1024
#define BOGUS           1

static void
schedule(struct resolver *resolver, int seconds)
{
    struct timeval in = {seconds, 0};
    event_add(resolver->self_test.timer, &in);
}

static int
interval_s(const struct self_test *test)
{
    int seconds = AGAIN_FIRST_S;
    if (test->result == SELF_TEST_WORKS) {
        return AGAIN_SUCCESS_S;
    }
    for (unsigned i = 1; i < test->failures && seconds < AGAIN_MOST_S; i++) {
        seconds *= 2;
    }
    return seconds < AGAIN_MOST_S ? seconds : AGAIN_MOST_S;
}

/* The name that is asked, or NULL when all were. */
static const char *
name_at(struct resolver *resolver, size_t index, char out[static NAME_ROOM])
{
    size_t count;
    const struct anchor_zone *zones = anchors_zones(resolver->anchors, &count);
    struct str more = resolver->current->config->resolver.self_test;
    if (index < count) {
        return zones[index].name;
    }
    if (index > count || more.n == 0) {
        return NULL;
    }
    snprintf(out, NAME_ROOM, "%.*s.", STR_ARG(more));
    return out;
}

static void
conclude(struct resolver *resolver, enum self_test_result result, const char *reason)
{
    struct self_test *test = &resolver->self_test;
    char room[NAME_ROOM];
    const char *name = name_at(resolver, test->zone, room);
    if (result == SELF_TEST_FAILS) {
        snprintf(test->reason, sizeof test->reason, "the SOA record of %.200s: %.150s",
                 name != NULL ? name : "?", reason);
        test->failures++;
    }
    if (result == SELF_TEST_FAILS && (test->result != result || test->failures == 1)) {
        LOG_WARN("DNSSEC validation does not work", LOG_CSTR("asked", test->reason));
    } else if (result == SELF_TEST_WORKS && test->result != result) {
        LOG_INFO("DNSSEC validation works");
    }
    if (result == SELF_TEST_WORKS) {
        test->failures = 0;
    }
    test->result = result;
}

static void ask_next(struct resolver *resolver);

static const char *
fault_of(int rcode, int security, const char *why)
{
    if (security == BOGUS) {
        return why != NULL ? why : "its signatures do not fit the trust anchors";
    }
    if (rcode != 0) {
        return "no server gave an answer";
    }
    return security != SECURE ? "the answer came without signatures; servers in between may strip "
                                "them"
                              : NULL;
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_answer(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    struct resolver *resolver = data;
    struct self_test *test = &resolver->self_test;
    struct context *context = test->context;
    const char *fault = fault_of(rcode, security, why);
    (void)packet;
    (void)n;
    (void)limited;
    test->context = NULL;
    if (context->retired) {
        schedule(resolver, 0); /* it says nothing about the settings of today */
    } else if (fault != NULL) {
        conclude(resolver, SELF_TEST_FAILS, fault);
        schedule(resolver, interval_s(test));
    } else {
        test->zone++;
        ask_next(resolver);
    }
    resolver_release(resolver, context);
}

static void
ask_next(struct resolver *resolver)
{
    struct self_test *test = &resolver->self_test;
    char room[NAME_ROOM];
    const char *name = name_at(resolver, test->zone, room);
    int id;
    if (name == NULL) {
        /* Without any anchor nothing can be validated: all of them were revoked. */
        conclude(resolver, test->zone > 0 ? SELF_TEST_WORKS : SELF_TEST_FAILS, "no trust anchor");
        schedule(resolver, interval_s(test));
        return;
    }
    struct context *context = resolver->current;
    test->context = context;
    test->asked_ms = clock_monotonic_ms();
    context->users++;
    if (ub_resolve_event(context->ub, name, DNS_TYPE_SOA, CLASS_IN, resolver, on_answer, &id) !=
        0) {
        test->context = NULL;
        resolver_release(resolver, context);
        schedule(resolver, AGAIN_MOST_S);
    }
}

static void
on_timer(evutil_socket_t fd, short what, void *state)
{
    struct resolver *resolver = state;
    (void)fd;
    (void)what;
    if (!resolver->current->config->resolver.dnssec) {
        resolver->self_test.result = SELF_TEST_OFF;
    } else if (resolver->self_test.context == NULL) {
        resolver->self_test.zone = 0;
        ask_next(resolver);
    }
}

void
self_test_restart(struct resolver *resolver)
{
    resolver->self_test.failures = 0;
    schedule(resolver, 0);
}

enum status
self_test_start(struct resolver *resolver)
{
    resolver->self_test.timer = event_new(role_loop(resolver->runtime), -1, 0, on_timer, resolver);
    if (resolver->self_test.timer == NULL) {
        return STATUS_IO;
    }
    schedule(resolver, 0);
    return STATUS_OK;
}

void
self_test_metrics(struct resolver *resolver, struct role_metrics *metrics)
{
    struct self_test *test = &resolver->self_test;
    bool late =
        test->context != NULL && test->result != SELF_TEST_FAILS &&
        clock_monotonic_ms() - test->asked_ms > resolver->current->config->resolver.timeout_ms;
    role_metric_add(metrics, ROLE_METRIC_DNS_VALIDATION_WORKS,
                    test->result == SELF_TEST_WORKS && !late);
    role_metric_add(metrics, ROLE_METRIC_DNS_VALIDATION_FAILURES_TOTAL, test->failures);
    if (test->result == SELF_TEST_FAILS || late) {
        role_warn(metrics, "DNSSEC validation does not work: %s",
                  late ? "no server answers" : test->reason);
    }
}
