/*
 * record.h - what the filter writes into the trace of a message.
 */
#ifndef POSTERN_ROLES_FILTER_RECORD_H
#define POSTERN_ROLES_FILTER_RECORD_H

#include "mail/edit.h"
#include "policy/decision.h"
#include "trace/trace.h"

/* What the message says about itself, decoded for people and cut. `arena` is for meanwhile. */
void record_header(struct trace *trace, struct arena *arena, const struct mail_head *head);
void record_findings(struct trace *trace, const struct finding_list *findings);
void record_decision(struct trace *trace, const struct decision *decision,
                     const struct finding_list *findings);
void record_edits(struct trace *trace, const struct mail_edits *edits);

#endif
