/*
 * record.h - what happens on a connection, as events of the trace and lines of the log.
 *
 * Events of the connection are recorded under the session's id and go to the ledger with each
 * message, and when it ends, if the client said anything; events of a message under the message's
 * id (transaction.h).
 */
#ifndef POSTERN_ROLES_EDGE_RECORD_H
#define POSTERN_ROLES_EDGE_RECORD_H

#include "policy/recipient.h"
#include "roles/edge/transaction.h"

/*
 * Connections refused at the door whose traces are kept, a minute: a flood must not become a flood
 * of the ledger. All are counted in the metrics.
 */
#define RECORD_REFUSALS_PER_MINUTE 60

/* Hook of the SMTP core; the context is the connection. */
void record_smtp_event(void *context, const struct smtp_event *event);
/* The command's text is no longer there. */
void record_input_gone(struct connection *connection);

/* Refused by the edge itself; tell before the core is answered. */
void record_mail_refused(struct connection *connection, const struct smtp_address *sender,
                         const struct smtp_reply *reply, const char *why);
void record_recipient_refused(struct connection *connection, struct str address,
                              const struct smtp_reply *reply, const char *why);
void record_recipient_accepted(struct connection *connection,
                               const struct smtp_recipient *recipient,
                               const struct recipient_outcome *outcome, const char *why);
void record_tls_started(struct connection *connection, const struct tls_info *info);
/* All content is there. */
void record_content(struct connection *connection, const struct smtp_content_facts *facts);
/* Hands what is known of the connection to the ledger now; more may follow. */
void record_session_so_far(struct connection *connection);
/* The end of the connection: trace and log line. */
void record_connection_closed(struct connection *connection);

/* Whether one more refused connection is worth its trace now. */
bool record_refusal_is_told(struct edge *edge);
/* Sends encoded events ahead of time, when a trace is full. */
void record_send_events(struct edge *edge, struct str id, const struct connection *connection,
                        struct str events);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty in the clear; at most `size` octets with NUL. */
struct str record_tls_text(const struct connection *connection, char *out, size_t size);

#endif
