/*
 * jobs.h - the clerk's jobs, and what they have to work with. For the files of this folder.
 *
 * A job's function is called in the loop's thread when it is due and must not wait there; it calls
 * clerk_job_end once, at once or later.
 */
#ifndef POSTERN_ROLES_CLERK_JOBS_H
#define POSTERN_ROLES_CLERK_JOBS_H

#include "roles/clerk/schedule.h"
#include "roles/role.h"

enum clerk_job {
#define JOB(NAME, name, interval_s, function, meaning) CLERK_JOB_##NAME,
#include "roles/clerk/jobs.def"
#undef JOB
    CLERK_JOB_COUNT,
};

_Static_assert(CLERK_JOB_COUNT <= SCHEDULE_JOBS_MAX, "each job has its place in the schedule");

struct event;

/* Loop thread. */
struct clerk {
    struct role_runtime *runtime;
    struct event *timer;
    struct schedule schedule; /* by enum clerk_job */
    int64_t done;
    int64_t failed;
};

#define JOB(NAME, name, interval_s, function, meaning)                                             \
    void function(struct clerk *clerk, enum clerk_job job);
#include "roles/clerk/jobs.def"
#undef JOB

/* The job has been done (STATUS_OK), or why not; then it is tried again soon. */
void clerk_job_end(struct clerk *clerk, enum clerk_job job, enum status status);

#endif
