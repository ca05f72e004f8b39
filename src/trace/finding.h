/*
 * finding.h - findings on their way into the trace. What a finding is stands in finding/finding.h,
 * the kinds in finding/findings.def.
 */
#ifndef POSTERN_TRACE_FINDING_H
#define POSTERN_TRACE_FINDING_H

#include "finding/finding.h"
#include "trace/trace.h"

/* Records a finding as a `finding` event, with the verdict and weight of its row. */
void finding_record(struct trace *trace, const struct finding *finding);

#endif
