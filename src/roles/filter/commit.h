/*
 * commit.h - handing the copies of a message to the spool, and answering when all are on disk.
 *
 * The client hears 250 only when every copy is committed. When one is and another is not, it hears
 * "later" and comes again: what was committed is then delivered twice, never lost.
 */
#ifndef POSTERN_ROLES_FILTER_COMMIT_H
#define POSTERN_ROLES_FILTER_COMMIT_H

#include "roles/filter/job.h"
#include "roles/filter/outgoing.h"

/* Where what is done with a copy is written: the first copy has the message's own trace. */
struct trace *filter_commit_trace(struct filter_job *job, size_t index);

/*
 * Sends the copies of what was checked. With STATUS_OK the job is no longer the caller's: it is
 * finished when the spool has answered, perhaps before this returns. STATUS_TEMPORARY: nobody waits
 * any more, or the spool is not there; nothing was sent then, and the job is the caller's.
 */
[[nodiscard]] enum status filter_commit_send(struct filter_job *job,
                                             const struct check_input *checked,
                                             const struct outgoing_copy *copies, size_t count);

#endif
