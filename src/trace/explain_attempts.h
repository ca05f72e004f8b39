/*
 * explain_attempts.h - the last attempt at each host, and how the whole stands. Private to
 * src/trace.
 */
#ifndef POSTERN_TRACE_EXPLAIN_ATTEMPTS_H
#define POSTERN_TRACE_EXPLAIN_ATTEMPTS_H

#include "trace/explain.h"

/* Fills summary->attempts from the timeline's events about the summary's id. */
void explain_find_attempts(const struct timeline *timeline, struct explain_summary *summary);

#endif
