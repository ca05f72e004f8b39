/*
 * record_log.h - the edge's log lines about mail: what was accepted, and one line for each
 * recipient that was refused (trace/outcome_line.h, doc/logging.md).
 */
#ifndef POSTERN_ROLES_EDGE_RECORD_LOG_H
#define POSTERN_ROLES_EDGE_RECORD_LOG_H

#include "roles/edge/connection.h"
#include "roles/edge/transaction.h"

/* MAIL was refused: `sender` as it was given. */
void record_log_mail_refused(const struct connection *connection, struct str sender,
                             const struct smtp_reply *reply, const char *why);
/* RCPT was refused: `address` as it was given. */
void record_log_recipient_refused(const struct connection *connection, struct str address,
                                  const struct smtp_reply *reply, const char *why);
/* The content was refused: all who were accepted before do not get it. */
void record_log_content_refused(const struct connection *connection, const struct smtp_reply *reply,
                                const char *why);
/* The message was accepted; what becomes of it is the spool's to tell. */
void record_log_accepted(const struct connection *connection, const struct smtp_reply *reply);

/* "5.7.1", or empty where the reply has no enhanced code. */
#define RECORD_ENHANCED_MAX 16u
struct str record_enhanced_text(const struct smtp_reply *reply,
                                char out[static RECORD_ENHANCED_MAX]);

#endif
