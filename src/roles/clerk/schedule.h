/*
 * schedule.h - when each of the clerk's jobs is due. Pure: the time comes in.
 *
 * All are due at the start. A job that was done is due again one interval after its beginning; what
 * was missed (the machine slept) is not made up for. A job that failed is due again after
 * SCHEDULE_RETRY_MS, or its interval if that is shorter. No job runs twice at a time.
 *
 * Times are milliseconds of the monotonic clock.
 */
#ifndef POSTERN_ROLES_CLERK_SCHEDULE_H
#define POSTERN_ROLES_CLERK_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_RETRY_MS   5000
/* A job is overdue when it was not done for so long beyond its interval. */
#define SCHEDULE_OVERDUE_MS (15 * 60 * 1000)
#define SCHEDULE_JOBS_MAX   32

struct schedule_job {
    int64_t interval_ms;
    int64_t began_ms; /* its last beginning */
    int64_t due_ms;   /* without meaning while it runs */
    int64_t done_ms;  /* when it was done last; at first the start */
    bool runs;
    bool failing; /* its last run failed */
};

struct schedule {
    struct schedule_job jobs[SCHEDULE_JOBS_MAX];
    size_t count;
};

/* Adds a job, due at once; its number is the count so far, of SCHEDULE_JOBS_MAX at most. */
void schedule_add(struct schedule *schedule, int64_t interval_ms, int64_t now_ms);
/* Marks the job that has been due for longest as running. False: none is due. */
bool schedule_take(struct schedule *schedule, int64_t now_ms, size_t *job_out);
/* It has ended. True when that is news: it failed and had not before, or is done again. */
bool schedule_end(struct schedule *schedule, size_t job, bool done, int64_t now_ms);
/* Jobs whose last run failed are due now: what they wait for may be there again. */
void schedule_hasten(struct schedule *schedule, int64_t now_ms);
/* Until the next job is due; 0: one is; -1: all of them run. */
int64_t schedule_wait_ms(const struct schedule *schedule, int64_t now_ms);
/* True when a job was not done for longer than it may be, whether it fails or hangs. */
bool schedule_is_overdue(const struct schedule *schedule, size_t job, int64_t now_ms);

#endif
