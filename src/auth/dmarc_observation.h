/*
 * dmarc_observation.h - what an aggregate report will tell of one message (RFC 9990 3.1.1), kept
 * until reports are made.
 *
 * The encoding is one line of JSON without blanks, its keys in order: messages that belong into the
 * same row of a report have the same line, so that the line is the key to count by. Whoever keeps
 * it adds the day and the count.
 */
#ifndef POSTERN_AUTH_DMARC_OBSERVATION_H
#define POSTERN_AUTH_DMARC_OBSERVATION_H

#include "auth/dmarc.h"
#include "base/ip.h"
#include "check/check.h"

/* Signatures kept of one message (RFC 9990 3.1.3: no more than 100 for a row). */
#define DMARC_OBSERVATION_DKIM_MAX   20u
/* Octets of a policy record, and of a comment, that are kept; longer ones are cut or left out. */
#define DMARC_OBSERVATION_RECORD_MAX 4096u
#define DMARC_OBSERVATION_NOTE_MAX   512u
/* Octets of a line; none that is made is longer. */
#define DMARC_OBSERVATION_LINE_MAX   65536u

/* What was done with the message. Stable: kept on disk. */
enum dmarc_disposition {
    DMARC_DISPOSITION_NONE,
    DMARC_DISPOSITION_PASS, /* DMARC passed */
    DMARC_DISPOSITION_QUARANTINE,
    DMARC_DISPOSITION_REJECT,
};
#define DMARC_DISPOSITION_COUNT 4u

struct dmarc_observation_dkim {
    struct str domain;
    struct str selector;
    struct str result; /* "pass", "fail", ... (RFC 8601 2.7.1) */
};

struct dmarc_observation {
    struct ip_address source;
    enum dmarc_disposition disposition;
    enum dmarc_override_reason reason; /* NONE: the policy was applied */
    struct str comment;
    bool dkim_aligned;
    bool spf_aligned;
    struct str header_from;                                         /* domains from here on */
    struct str envelope_from;                                       /* empty: the null path */
    struct str envelope_to;                                         /* empty: not told */
    struct dmarc_observation_dkim dkim[DMARC_OBSERVATION_DKIM_MAX]; /* the most telling first */
    size_t dkim_count;
    struct str spf_domain; /* of the MAIL FROM identity; empty: not checked */
    struct str spf_result;
    struct str record_domain; /* where the policy was found, to which the report is made */
    struct str record;        /* its text: what was published, and where reports go */
};

/*
 * True when a report will tell of this outcome: a policy that can be read, which asks for reports,
 * and a pass or a fail (5.3.6: an error is neither).
 */
bool dmarc_observation_is_wanted(const struct dmarc_outcome *outcome);

/*
 * Gathers what the checks have learnt (input->auth, with its dmarc member set). `disposition` is
 * what was done in the end; where it is milder than the policy and no override was given, the
 * reason is the test mode or local policy. `to`: the domain of the recipient that this is about, or
 * empty. Views of what the input has.
 */
void dmarc_observation_gather(const struct check_input *input, enum dmarc_disposition disposition,
                              struct str to, struct dmarc_observation *observation_out);

/* The line, in the arena; {NULL,0} when that is full. */
struct str dmarc_observation_encode(struct arena *arena,
                                    const struct dmarc_observation *observation);
/* Reads a line. STATUS_SYNTAX: it is none of ours; STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status dmarc_observation_decode(struct arena *arena, struct str line,
                                                   struct dmarc_observation *observation_out);

/* "none", "pass", ...; static, never NULL. */
const char *dmarc_disposition_name(enum dmarc_disposition disposition);

#endif
