/*
 * request.h - what a connection has asked of another role.
 *
 * A session waits for at most one answer. The connection may go away before it comes: then the
 * request stays, knows no connection any more, and is freed with its answer. When a role is down or
 * does not answer in time, the answer is STATUS_TEMPORARY and the client hears 4yz.
 */
#ifndef POSTERN_ROLES_EDGE_REQUEST_H
#define POSTERN_ROLES_EDGE_REQUEST_H

#include "roles/edge/connection.h"

/* Users; Argon2id takes its time when many log in at once. */
#define REQUEST_LEDGER_TIMEOUT_MS 20000
/* What the relay gets beyond the call-out's own time-out. */
#define REQUEST_RELAY_MARGIN_MS   2000
/* Senders of forwarded mail: a hash, behind the signatures that filters wait for. */
#define REQUEST_VAULT_TIMEOUT_MS  15000

struct request {
    struct connection *connection; /* NULL: it has gone */
};

/*
 * Asks; on_reply gets the struct request as its context and must begin with request_finish(). When
 * the question could not even be sent, returns false: on_reply is not called.
 */
[[nodiscard]] bool request_send(struct connection *connection, struct channel *channel,
                                enum msg_type type, const void *fields, int timeout_ms,
                                channel_on_reply *on_reply);
/* The connection that asked (NULL: gone), and forgets the request. */
struct connection *request_finish(void *context);
/* The connection goes away. */
void request_detach(struct connection *connection);

#endif
