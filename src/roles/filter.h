/*
 * filter.h - the role that looks at a message, decides, edits its header and has it queued.
 *
 * It takes MSG_SUBMIT from the edges and answers each with MSG_SUBMIT_REPLY. In between a worker
 * thread reads the header section (mail/fields.h), runs the table of checks (policy/checks.h),
 * decides (policy/decision.h), makes the header edits (filter/header.h) and sends MSG_COMMIT to the
 * spool. No worker waits for the spool: its reply is turned into the answer in the loop's thread,
 * so that many messages meet in one commit to disk.
 *
 * The client is told 250 only when the spool has committed. No answer, a full disk or a filter
 * under too much load are 4yz: the client keeps the message. When this process dies, the edge
 * answers 451 for all that was with it; a message that kills it comes again only with the client's
 * next attempt, under another id, so it cannot be recognised here.
 */
#ifndef POSTERN_ROLES_FILTER_H
#define POSTERN_ROLES_FILTER_H

#include "roles/role.h"

/* How long an edge waits for the answer. The filter has to check and the spool to commit;
 * RFC 5321 4.5.3.2.6 gives the client 10 minutes. */
#define FILTER_ANSWER_MS 300000

extern const struct role_definition filter_role;

#endif
