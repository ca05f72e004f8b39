/*
 * record.h - what the filter writes into the trace of a message.
 */
#ifndef POSTERN_ROLES_FILTER_RECORD_H
#define POSTERN_ROLES_FILTER_RECORD_H

#include "check/check.h"
#include "mail/edit.h"
#include "policy/decision.h"
#include "trace/trace.h"

/* What the message says about itself, decoded for people and cut. `arena` is for meanwhile. */
void record_header(struct trace *trace, struct arena *arena, const struct mail_head *head);
void record_findings(struct trace *trace, const struct finding_list *findings);
void record_decision(struct trace *trace, const struct decision *decision,
                     const struct finding_list *findings);
/* For the report that the author's domain asks for (RFC 9990), if it does: one observation for each
 * domain of the recipients. */
void record_dmarc(struct trace *trace, const struct check_input *input,
                  const struct decision *decision);
void record_edits(struct trace *trace, const struct mail_edits *edits);

#endif
