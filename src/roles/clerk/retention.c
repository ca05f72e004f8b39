/* The ledger deletes what its configuration no longer keeps. */
#include "roles/clerk/jobs.h"

/* It may delete files of gigabytes, behind traces that wait to be written. */
#define RETENTION_TIMEOUT_MS (5 * 60 * 1000)

static void
on_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct clerk *clerk = context;
    if (status == STATUS_OK &&
        (reply->type != MSG_RETENTION_REPLY || !MSG_BODY(reply, retention_reply)->done)) {
        status = STATUS_TEMPORARY;
    }
    ipc_message_free(&reply);
    clerk_job_end(clerk, CLERK_JOB_RETENTION, status);
}

void
job_retention(struct clerk *clerk, enum clerk_job job)
{
    enum status status =
        channel_request(role_channel(clerk->runtime, ROLE_LEDGER, 0), MSG_RETENTION, NULL,
                        RETENTION_TIMEOUT_MS, on_reply, clerk);
    if (status != STATUS_OK) {
        clerk_job_end(clerk, job, status);
    }
}
