/*
 * spool.h - the role that owns the mail queue: it says "committed" only when a message is on disk,
 * plans attempts, leases messages to the relay, writes down results and tells senders.
 *
 * MSG_COMMIT from the filter is answered after the commit (store/spool.h); MSG_DELIVER goes to the
 * relay as it has room (MSG_RELAY_CAPACITY) and destinations allow (store/spool_schedule.h), and
 * MSG_DELIVERY_REPORT brings the results. Commands: MSG_QUEUE_LIST, MSG_QUEUE_SHOW, MSG_QUEUE_ACT.
 * The inside is described in spool/internal.h.
 */
#ifndef POSTERN_ROLES_SPOOL_H
#define POSTERN_ROLES_SPOOL_H

#include "roles/role.h"

extern const struct role_definition spool_role;

#endif
