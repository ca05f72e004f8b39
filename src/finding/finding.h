/*
 * finding.h - what the checks learn about a message: typed findings with their evidence.
 *
 * A check adds findings to the list of the message and decides nothing. The policy turns findings
 * into a decision; trace, explain, console, metrics and tests read the same list. The kinds of
 * findings are the rows of findings.def.
 *
 * The text of a list's findings lives in the arena of the message. Values come from the network:
 * they are cut to FINDING_VALUE_MAX, and what is not to be shown (base/show.h) is written as \xHH,
 * so that whoever shows one shows one line that reads as it is. Never put a password or a piece of
 * a body into evidence.
 */
#ifndef POSTERN_FINDING_FINDING_H
#define POSTERN_FINDING_FINDING_H

#include "base/arena.h"

/* Most findings of one message; the last place is kept for FINDING_FINDINGS_LIMIT. */
#define FINDINGS_MAX         64u
/* Pairs of key and value in one finding. */
#define FINDING_EVIDENCE_MAX 8u
/* Octets of one value of evidence. */
#define FINDING_VALUE_MAX    200u

enum finding_id {
#define FINDING(number, NAME, name, check, verdict, weight, meaning, standard)                     \
    FINDING_##NAME = (number),
#include "finding/findings.def"
#undef FINDING
};

/* A verdict is never a boolean: a check that could not run says so. Stable, it is in traces. */
enum finding_verdict {
    FINDING_PASS = 0,  /* looked at, and well */
    FINDING_FAIL = 1,  /* speaks against the message */
    FINDING_NOTE = 2,  /* worth knowing, speaks neither way */
    FINDING_ERROR = 3, /* it could not be found out */
};

/* A row of findings.def. */
struct finding_row {
    enum finding_id id; /* its number */
    const char *name;
    const char *check; /* or "": the machinery that runs the checks */
    enum finding_verdict verdict;
    int weight;
    const char *meaning;  /* part of a sentence: no capital, no full stop */
    const char *standard; /* "RFC 5322 3.6.2", or "" */
};

struct finding_evidence {
    const char *key; /* static, [a-z_]+; NULL ends a list */
    struct str value;
};

struct finding {
    enum finding_id id;
    size_t evidence_count;
    struct finding_evidence evidence[FINDING_EVIDENCE_MAX];
};

struct finding_list {
    struct arena *arena; /* of the evidence; borrowed */
    size_t count;
    struct finding items[FINDINGS_MAX]; /* in the order they were made */
};

/* The row of a finding by its number or name, NULL for one that this version does not know. */
const struct finding_row *finding_row(unsigned number);
const struct finding_row *finding_row_by_name(struct str name);
/* All rows, by number. */
const struct finding_row *finding_rows(size_t *count_out);
/* "pass", "fail", "note", "error"; static, never NULL. */
const char *finding_verdict_name(enum finding_verdict verdict);

/* An empty list; what it will hold is in the arena. */
void finding_list_init(struct finding_list *list, struct arena *arena);

/*
 * Adds a finding with copies of at most FINDING_EVIDENCE_MAX values (more are left out, and a value
 * is empty when the arena is full); `evidence` ends with a NULL key. In a full list it is counted
 * by one FINDING_FINDINGS_LIMIT: a limit is never silent. Use FINDING_ADD.
 */
void finding_list_add(struct finding_list *list, enum finding_id id,
                      const struct finding_evidence *evidence);

/* FINDING_ADD(list, HELO_OWN_NAME, EVIDENCE("helo", helo)); */
#define EVIDENCE(k, v) ((struct finding_evidence){.key = (k), .value = (v)})
#define FINDING_ADD(list, NAME, ...)                                                               \
    finding_list_add(list, FINDING_##NAME,                                                         \
                     (const struct finding_evidence[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})

/* A number as a value of evidence, in the list's arena. */
struct str finding_number(struct finding_list *list, uint64_t number);

/* The first finding of that kind, or NULL. */
const struct finding *finding_list_find(const struct finding_list *list, enum finding_id id);
/* The value under `key`; empty when it has none. */
struct str finding_evidence_get(const struct finding *finding, const char *key);

#endif
