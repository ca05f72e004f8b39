/*
 * rcpt.h - CHECK_RECIPIENT: whether a recipient is accepted, and where it goes.
 *
 * policy/recipient.h decides; what it has to know of others is asked here, all questions of a round
 * at once: users of the ledger, call-outs of the relay (which caches the answers).
 */
#ifndef POSTERN_ROLES_EDGE_RCPT_H
#define POSTERN_ROLES_EDGE_RCPT_H

#include "roles/edge/transaction.h"

/* Answers with smtp_server_recipient_result, now or later. */
void rcpt_check(struct connection *connection, const struct smtp_recipient *recipient);
/* The transaction ends: answers that are still to come concern nobody. */
void rcpt_forget(struct transaction *transaction);

/* Octets of memory that the recipient in question holds. */
size_t rcpt_memory(const struct transaction *transaction);

#endif
