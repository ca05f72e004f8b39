/*
 * dmarc.h - DMARC: does what was authenticated belong to the domain in From, and what does its
 * owner want done if not (RFC 9989).
 *
 * A pure function: the results of SPF and DKIM and the DNS come in, an outcome comes out. It
 * decides nothing about the message. Who the author is, is told by mail/author.h; a message without
 * exactly one author domain is a permerror here, never silence.
 *
 * Everything of an outcome lives in the arena that was passed in.
 */
#ifndef POSTERN_AUTH_DMARC_H
#define POSTERN_AUTH_DMARC_H

#include "auth/dmarc_record.h"
#include "auth/dmarc_walk.h"

/* Results of DKIM (of SPF) that are looked at; what is more is left out, and the problem says so.
 */
#define DMARC_IDENTIFIERS_MAX 100u

enum dmarc_result {
    DMARC_RESULT_NONE, /* the mechanism does not apply: no policy */
    DMARC_RESULT_PASS,
    DMARC_RESULT_FAIL,
    DMARC_RESULT_TEMPERROR, /* the DNS gave no answer, or an underlying check got none */
    DMARC_RESULT_PERMERROR, /* there is no single author domain */
};
#define DMARC_RESULT_COUNT 5u

/* What an underlying check says of an identifier. */
enum dmarc_evidence {
    DMARC_EVIDENCE_OTHER, /* anything else: it proves nothing */
    DMARC_EVIDENCE_PASS,
    DMARC_EVIDENCE_TEMPERROR, /* might have been a pass */
};

struct dmarc_identifier {
    struct str domain; /* d= of a signature, or the domain of MAIL FROM (HELO for the null path) */
    enum dmarc_evidence evidence;
};

/* Which tag the policy was taken from (4.10.1). */
enum dmarc_policy_tag {
    DMARC_TAG_P,
    DMARC_TAG_SP,
    DMARC_TAG_NP,
};

struct dmarc_input {
    struct str author_domain; /* A-labels or U-labels; empty: there is no single one */
    const struct dmarc_identifier *spf;
    size_t spf_count; /* 0 or 1 in practice: the MAIL FROM identity (4.4.2) */
    const struct dmarc_identifier *dkim;
    size_t dkim_count;
    bool wants_organizational_domain; /* find it even where no decision rests on it */
};

struct dmarc_outcome {
    enum dmarc_result result;
    struct str author_domain;          /* in normal form; empty: none */
    struct str record_domain;          /* where the policy record was found; empty: none */
    struct str organizational_domain;  /* of the author; empty: did not have to be found */
    const struct dmarc_record *record; /* NULL: none */
    /* What the owner asks for; none unless there is a usable record. */
    enum dmarc_policy policy;
    enum dmarc_policy_tag policy_tag;
    enum dmarc_policy effective; /* the same after t=y has lowered it by a step */
    bool policy_known;           /* a record says so, and the DNS told all that it depends on */
    struct str dkim_aligned;     /* the domain that passed and is aligned; empty: none */
    struct str spf_aligned;
    /*
     * FAIL: a domain above the author's that passed and would be aligned if it had a DMARC record;
     * without one the organizational domain lies below it (4.10.2). Empty: there is none.
     */
    struct str unaligned_parent;
    struct str problem;  /* for people: what is wrong, or why there is an error; may be empty */
    struct str *queried; /* the names asked for, in their order */
    size_t queried_count;
};

/* Why a policy is not applied (RFC 9990 3.1.1, "policy override reason"). Stable: kept on disk. */
enum dmarc_override_reason {
    DMARC_OVERRIDE_NONE,
    DMARC_OVERRIDE_LOCAL_POLICY,
    DMARC_OVERRIDE_MAILING_LIST,
    DMARC_OVERRIDE_OTHER,
    DMARC_OVERRIDE_POLICY_TEST_MODE,
    DMARC_OVERRIDE_TRUSTED_FORWARDER,
};
#define DMARC_OVERRIDE_COUNT 6u

struct dmarc_override {
    enum dmarc_override_reason reason;
    struct str comment; /* for the owner of the domain; may be empty */
};

/* Evaluates. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status dmarc_evaluate(struct arena *arena, const struct dns_source *dns,
                                         const struct dmarc_input *input,
                                         struct dmarc_outcome *outcome_out);

/* "pass", "permerror", ...; static, never NULL. */
const char *dmarc_result_name(enum dmarc_result result);
/* "p", "sp", "np"; static, never NULL. */
const char *dmarc_policy_tag_name(enum dmarc_policy_tag tag);
/* "none", "local_policy", ...; static, never NULL. */
const char *dmarc_override_name(enum dmarc_override_reason reason);

#endif
