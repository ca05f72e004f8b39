/*
 * submit.h - a message that has come in whole is handed to the filter, whose reply goes to the
 * client.
 */
#ifndef POSTERN_ROLES_EDGE_SUBMIT_H
#define POSTERN_ROLES_EDGE_SUBMIT_H

#include "roles/edge/transaction.h"

/* Answers with smtp_server_message_result, now or later. */
void submit_message(struct connection *connection, const struct smtp_envelope *envelope,
                    const struct smtp_content_facts *facts);

#endif
