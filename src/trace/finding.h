/*
 * finding.h - what a check has learnt about a message, in one form for policy, trace and people.
 *
 * A check returns findings; the filter records them (finding_record) and the policy reads them.
 * The kinds of findings stand in findings.def.
 */
#ifndef POSTERN_TRACE_FINDING_H
#define POSTERN_TRACE_FINDING_H

#include "trace/trace.h"

/* Pairs of key and value in one finding. */
#define FINDING_EVIDENCE_MAX 16u

enum finding_stage {
    FINDING_STAGE_CONNECTION,
    FINDING_STAGE_ENVELOPE,
    FINDING_STAGE_HEADER,
    FINDING_STAGE_CONTENT,
};

enum finding_id {
#define FINDING(number, NAME, name, stage, weight, meaning, rfc) FINDING_##NAME = (number),
#include "trace/findings.def"
#undef FINDING
};

/* A verdict is never a boolean: a check that could not run says so. Stable, it is in traces. */
enum finding_verdict {
    FINDING_PASS = 0,  /* looked at, and well */
    FINDING_FAIL = 1,  /* speaks against the message */
    FINDING_NOTE = 2,  /* worth knowing, speaks neither way */
    FINDING_ERROR = 3, /* the check could not be made */
};

struct finding_evidence {
    const char *key; /* static, [a-z_]+ */
    struct str value;
};

struct finding {
    enum finding_id id;
    enum finding_verdict verdict;
    int weight; /* 0 unless the verdict is FAIL; finding_make sets the table's */
    struct finding_evidence evidence[FINDING_EVIDENCE_MAX]; /* values borrowed from the check */
    size_t evidence_count;
};

struct finding_row {
    uint16_t number;
    const char *name;
    enum finding_stage stage;
    int weight;
    const char *meaning;
    const char *rfc; /* or "" */
};

/* The row of a finding, NULL for a number that this version does not know. */
const struct finding_row *finding_row(unsigned number);
const struct finding_row *finding_row_by_name(struct str name);
const struct finding_row *finding_rows(size_t *count_out);
/* Static names, never NULL: "connection", "pass". */
const char *finding_stage_name(enum finding_stage stage);
const char *finding_verdict_name(enum finding_verdict verdict);

/* A finding with its weight from the table and no evidence yet. */
struct finding finding_make(enum finding_id id, enum finding_verdict verdict);
/* Adds evidence; past FINDING_EVIDENCE_MAX it is left out. `key` is static. */
void finding_add(struct finding *finding, const char *key, struct str value);
/* Records it as a `finding` event. */
void finding_record(struct trace *trace, const struct finding *finding);

#endif
