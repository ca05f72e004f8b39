/*
 * relay.h - the role that hands messages on: to mailboxes over LMTP, to other servers over SMTP.
 *
 * It takes MSG_DELIVER from the spool and answers each with MSG_DELIVERY_REPORT; MSG_CALLOUT from
 * the edges asks whether a next hop takes a recipient. A worker thread does one delivery at a time,
 * in plain linear code (deliver.h), over connections that are kept for the next message (idle.h).
 * How many deliveries it takes is told to the spool with MSG_RELAY_CAPACITY.
 *
 * When the spool dies, what it had leased is leased again by the next one. Recipients that are
 * still being delivered are waited for, and those that were settled in the meantime are answered
 * from memory (memory.h): a restart of the spool alone duplicates nothing.
 */
#ifndef POSTERN_ROLES_RELAY_RELAY_H
#define POSTERN_ROLES_RELAY_RELAY_H

#include "roles/role.h"

extern const struct role_definition relay_role;

#endif
