#include "trace/finding.h"

void
finding_record(struct trace *trace, const struct finding *finding)
{
    const struct finding_row *row = finding_row(finding->id);
    struct str evidence[2 * FINDING_EVIDENCE_MAX];
    for (size_t i = 0; i < finding->evidence_count; i++) {
        evidence[2 * i] = str_from_cstr(finding->evidence[i].key);
        evidence[2 * i + 1] = finding->evidence[i].value;
    }
    /* The name goes with the number, so that an older program can still tell what it was. */
    TRACE(trace, finding, .number = (int64_t)finding->id,
          .verdict = (int64_t)(row != NULL ? row->verdict : FINDING_ERROR),
          .weight = row != NULL ? row->weight : 0,
          .evidence = {evidence, 2 * finding->evidence_count},
          .name = str_from_cstr(row != NULL ? row->name : NULL));
}
