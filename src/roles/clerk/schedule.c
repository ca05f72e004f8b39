#include "roles/clerk/schedule.h"

void
schedule_add(struct schedule *schedule, int64_t interval_ms, int64_t now_ms)
{
    if (schedule->count < SCHEDULE_JOBS_MAX) {
        schedule->jobs[schedule->count++] =
            (struct schedule_job){.interval_ms = interval_ms, .due_ms = now_ms, .done_ms = now_ms};
    }
}

/* The waiting job that is due first; NULL: all run. */
static struct schedule_job *
find_first(struct schedule *schedule)
{
    struct schedule_job *first = NULL;
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_job *job = &schedule->jobs[i];
        if (!job->runs && (first == NULL || job->due_ms < first->due_ms)) {
            first = job;
        }
    }
    return first;
}

bool
schedule_take(struct schedule *schedule, int64_t now_ms, size_t *job_out)
{
    struct schedule_job *job = find_first(schedule);
    if (job == NULL || job->due_ms > now_ms) {
        return false;
    }
    job->runs = true;
    job->began_ms = now_ms;
    *job_out = (size_t)(job - schedule->jobs);
    return true;
}

bool
schedule_end(struct schedule *schedule, size_t number, bool done, int64_t now_ms)
{
    struct schedule_job *job = &schedule->jobs[number];
    bool const news = job->failing == done;
    int64_t const retry =
        job->interval_ms < SCHEDULE_RETRY_MS ? job->interval_ms : SCHEDULE_RETRY_MS;
    job->runs = false;
    job->failing = !done;
    job->due_ms = done ? job->began_ms + job->interval_ms : now_ms + retry;
    if (done) {
        job->done_ms = now_ms;
    }
    return news;
}

void
schedule_hasten(struct schedule *schedule, int64_t now_ms)
{
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->jobs[i].failing && !schedule->jobs[i].runs) {
            schedule->jobs[i].due_ms = now_ms;
        }
    }
}

int64_t
schedule_wait_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t wait = -1;
    for (size_t i = 0; i < schedule->count; i++) {
        const struct schedule_job *job = &schedule->jobs[i];
        int64_t const own = job->due_ms > now_ms ? job->due_ms - now_ms : 0;
        if (!job->runs && (wait < 0 || own < wait)) {
            wait = own;
        }
    }
    return wait;
}

bool
schedule_is_overdue(const struct schedule *schedule, size_t number, int64_t now_ms)
{
    const struct schedule_job *job = &schedule->jobs[number];
    return now_ms - job->done_ms > job->interval_ms + SCHEDULE_OVERDUE_MS;
}
