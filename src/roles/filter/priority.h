/*
 * priority.h - how soon a message has its turn in the queue.
 */
#ifndef POSTERN_ROLES_FILTER_PRIORITY_H
#define POSTERN_ROLES_FILTER_PRIORITY_H

#include "config/config.h"
#include "ipc/messages.h"
#include "mail/fields.h"
#include "store/delivery.h"

/*
 * What the zone of its client says (zones[].priority). Where that is normal, mail of lists
 * (RFC 2919; the old Precedence) and notices (null sender) are bulk: nobody waits for them.
 */
enum spool_priority filter_priority(const struct config *config, const struct msg_submit *submit,
                                    const struct mail_head *head);

#endif
