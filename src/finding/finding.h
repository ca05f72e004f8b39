/*
 * finding.h - what the checks learn about a message: typed findings with their evidence.
 *
 * A check adds findings to the list of the message and decides nothing. The policy turns findings
 * into a decision; trace, explain, console, metrics and tests read the same list. The kinds of
 * findings are the rows of findings.def.
 *
 * The text of a list's findings lives in the arena of the message. The values come from
 * the network: they are cut to FINDING_VALUE_MAX and control characters are written as \xHH, so
 * that whoever shows one shows one line. Never put a password or a piece of a body into evidence.
 */
#ifndef POSTERN_FINDING_FINDING_H
#define POSTERN_FINDING_FINDING_H

#include "base/arena.h"

/* Most findings of one message; the last place is kept for FINDING_FINDINGS_LIMIT. */
#define FINDINGS_MAX         64u
#define FINDING_EVIDENCE_MAX 4u
/* Octets of one value of evidence. */
#define FINDING_VALUE_MAX    200u

enum finding_code {
#define FINDING(id, name, check, meaning, standard) FINDING_##id,
#include "finding/findings.def"
#undef FINDING
    FINDING_COUNT_, /* not a finding */
};

/* A row of findings.def. */
struct finding_kind {
    struct str name;
    struct str check; /* empty: the machinery that runs the checks */
    struct str meaning;
    struct str standard; /* "RFC 5322 3.6.2", or empty */
};

struct finding_evidence {
    const char *key; /* static, [a-z_]+; NULL ends a list */
    struct str value;
};

struct finding {
    enum finding_code code;
    size_t evidence_count;
    struct finding_evidence evidence[FINDING_EVIDENCE_MAX];
};

struct finding_list {
    struct arena *arena; /* of the evidence; borrowed */
    size_t count;
    struct finding items[FINDINGS_MAX]; /* in the order they were made */
};

/* Never NULL for a valid code; static. */
const struct finding_kind *finding_kind(enum finding_code code);
/* The finding called `name`. STATUS_NOT_FOUND if there is none. */
[[nodiscard]] enum status finding_code_find(struct str name, enum finding_code *code_out);

void finding_list_init(struct finding_list *list, struct arena *arena);

/*
 * Adds a finding with copies of at most FINDING_EVIDENCE_MAX values (more are left out, and a value
 * is empty when the arena is full); `evidence` ends with a NULL key. In a full list it is counted
 * by one FINDING_FINDINGS_LIMIT: a limit is never silent. Use FINDING_ADD.
 */
void finding_add(struct finding_list *list, enum finding_code code,
                 const struct finding_evidence *evidence);

/* FINDING_ADD(list, FINDING_HELO_OWN_NAME, EVIDENCE("helo", helo)); */
#define EVIDENCE(k, v) ((struct finding_evidence){.key = (k), .value = (v)})
#define FINDING_ADD(list, code, ...)                                                               \
    finding_add(list, code,                                                                        \
                (const struct finding_evidence[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})

/* A number as a value of evidence, in the list's arena. */
struct str finding_number(struct finding_list *list, uint64_t number);

/* The first finding of that kind, or NULL. */
const struct finding *finding_list_find(const struct finding_list *list, enum finding_code code);
/* The value under `key`; empty when it has none. */
struct str finding_evidence_get(const struct finding *finding, const char *key);

#endif
