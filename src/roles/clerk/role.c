/* The clerk's definition as a role: it begins what is due, and waits for what is next. */
#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/clerk.h"
#include "roles/clerk/jobs.h"

static const struct {
    const char *name;
    const char *meaning;
    int64_t interval_s;
    void (*begin)(struct clerk *clerk, enum clerk_job job);
} jobs[CLERK_JOB_COUNT] = {
#define JOB(NAME, name, interval_s, function, meaning) {#name, meaning, interval_s, function},
#include "roles/clerk/jobs.def"
#undef JOB
};

static void
set_timer(struct clerk *clerk)
{
    int64_t const wait = schedule_wait_ms(&clerk->schedule, clock_monotonic_ms());
    struct timeval in = {wait / 1000, wait % 1000 * 1000};
    if (wait >= 0 && clerk->timer != NULL && event_add(clerk->timer, &in) != 0) {
        LOG_ERROR("the timer cannot be set");
    }
}

void
clerk_job_end(struct clerk *clerk, enum clerk_job job, enum status status)
{
    bool const done = status == STATUS_OK;
    clerk->done += done;
    clerk->failed += !done;
    if (schedule_end(&clerk->schedule, job, done, clock_monotonic_ms())) {
        LOG_AT(done ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
               done ? "a timed job is done again" : "a timed job failed and is tried again",
               LOG_CSTR("job", jobs[job].name), LOG_CSTR("status", status_name(status)));
    }
    set_timer(clerk);
}

static void
on_timer(evutil_socket_t fd, short what, void *context)
{
    struct clerk *clerk = context;
    size_t job;
    (void)fd;
    (void)what;
    while (schedule_take(&clerk->schedule, clock_monotonic_ms(), &job)) {
        LOG_DEBUG("a timed job begins", LOG_CSTR("job", jobs[job].name));
        jobs[job].begin(clerk, (enum clerk_job)job);
    }
    set_timer(clerk);
}

/* ---- the role */

static void
clerk_close(void *state)
{
    struct clerk *clerk = state;
    if (clerk->timer != NULL) {
        event_free(clerk->timer);
    }
    free(clerk);
}

static enum status
clerk_open(struct role_runtime *runtime, void **state_out)
{
    struct clerk *clerk = calloc(1, sizeof *clerk);
    if (clerk == NULL) {
        return STATUS_LIMIT;
    }
    clerk->runtime = runtime;
    for (size_t i = 0; i < CLERK_JOB_COUNT; i++) {
        schedule_add(&clerk->schedule, jobs[i].interval_s * 1000, clock_monotonic_ms());
    }
    *state_out = clerk;
    return STATUS_OK;
}

static enum status
clerk_start(struct role_runtime *runtime, void *state)
{
    struct clerk *clerk = state;
    clerk->timer = event_new(role_loop(runtime), -1, 0, on_timer, clerk);
    if (clerk->timer == NULL) {
        return STATUS_LIMIT;
    }
    set_timer(clerk);
    return STATUS_OK;
}

/* The clerk asks; nobody asks it. */
static void
clerk_on_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct clerk *clerk = context;
    ipc_message_free(&message);
    role_peer_misbehaved(clerk->runtime, channel);
}

static void
clerk_on_peer(void *state, struct channel *channel, bool up)
{
    struct clerk *clerk = state;
    (void)channel;
    if (up) {
        schedule_hasten(&clerk->schedule, clock_monotonic_ms());
        set_timer(clerk);
    }
}

static void
clerk_metrics(void *state, struct role_metrics *metrics_out)
{
    const struct clerk *clerk = state;
    int64_t const now = clock_monotonic_ms();
    role_metric_add(metrics_out, ROLE_METRIC_CLERK_JOBS_TOTAL, clerk->done);
    role_metric_add(metrics_out, ROLE_METRIC_CLERK_JOBS_FAILED_TOTAL, clerk->failed);
    for (size_t i = 0; i < CLERK_JOB_COUNT; i++) {
        if (schedule_is_overdue(&clerk->schedule, i, now)) {
            role_warn(metrics_out, "for %lld minutes the clerk could not %s",
                      (long long)(now - clerk->schedule.jobs[i].done_ms) / 60000, jobs[i].meaning);
        }
    }
}

const struct role_definition clerk_role = {
    .role = ROLE_CLERK,
    .open = clerk_open,
    .start = clerk_start,
    .on_message = clerk_on_message,
    .on_peer = clerk_on_peer,
    .metrics = clerk_metrics,
    .close = clerk_close,
};
