/*
 * dkim_verify.h - the DKIM signatures of a message, verified (RFC 6376 6, RFC 8301, 8463, 8616).
 *
 * Every DKIM-Signature field has an outcome, from the top of the header to its bottom. Work is
 * bounded: DKIM_SIGNATURES_MAX signatures are verified, the author's before strangers', each
 * distinct form of the body is hashed once, each selector asked for once, and a key's size is
 * looked at before anything is computed with it.
 */
#ifndef POSTERN_AUTH_DKIM_VERIFY_H
#define POSTERN_AUTH_DKIM_VERIFY_H

#include "auth/dkim_key.h"
#include "auth/dkim_signature.h"

/*
 * Signatures that are verified (RFC 6376 6.1 leaves a limit to us); real mail has one to four. One
 * that cannot be read, or has expired, is none of them: it takes no work.
 */
#define DKIM_SIGNATURES_MAX 10u
/* Signatures that have an outcome at all; what is below them is not mentioned. */
#define DKIM_OUTCOMES_MAX   100u

struct dkim_outcome {
    enum dkim_result result;
    enum dkim_problem problem; /* why it is no pass; NONE otherwise */
    const struct mail_field *field;
    struct dkim_signature signature; /* as far as it could be read; see dkim_signature.h */
    bool looked_at;                  /* one of the DKIM_SIGNATURES_MAX that were verified */
    unsigned key_bits;               /* 0: the key was not reached */
    bool testing;                    /* t=y in the key: a failure is to be treated as unsigned */
    /*
     * l= leaves out octets of the body (RFC 6376 8.2): the signature proves nothing about a part of
     * what people see, so it must not authenticate for DMARC.
     */
    bool body_limited;
    uint64_t body_uncovered; /* octets of the canonical body beyond l= */
};

struct dkim_outcomes {
    const struct dkim_outcome *items; /* in the arena */
    size_t count;
    size_t total; /* signatures in the message, also those beyond DKIM_OUTCOMES_MAX */
    /* The header section is over a limit and was not read: whether there are any is not known. */
    bool head_unread;
};

struct dkim_verify_input {
    const struct mail_head *head;
    struct str body; /* all that follows the header section */
    int64_t now;     /* seconds since 1970, or DKIM_NO_TIME */
    bool utf8;       /* an internationalized message (RFC 8616) */
    /* Signatures of this domain, and of those above and below it, are verified first; in normal
     * form (mail/author.h), or empty: in the order of the fields. */
    struct str author_domain;
    struct hasher *hasher; /* of the same body, for others too; NULL: one is made */
};

/*
 * Verifies all signatures. STATUS_LIMIT: the arena is full, or there is no memory; nothing else
 * fails, problems are outcomes. `lookup` may have answered for other signatures of the same
 * message.
 */
[[nodiscard]] enum status dkim_verify(struct arena *arena, const struct dkim_verify_input *input,
                                      struct dkim_lookup *lookup,
                                      struct dkim_outcomes *outcomes_out);

/*
 * One word for the message: NONE without signatures, PASS when one passes, else that of the
 * outcome that comes first of fail, temperror, permerror, policy; PERMERROR when the header section
 * was not read. By RFC 6376 alone, which passes
 * a signature with l= too. For people; DMARC looks at each.
 */
enum dkim_result dkim_outcomes_best(const struct dkim_outcomes *outcomes);

/*
 * What is said of it to others: a pass that leaves out the end of the message is "policy" (RFC 8601
 * 2.7.1), since whoever reads "pass" takes it to be of all that he sees (RFC 6376 8.2).
 */
enum dkim_result dkim_outcome_reported(const struct dkim_outcome *outcome);

/*
 * A pass that covers the whole body: DMARC may rest on it. So does one whose key is in testing
 * (t=y): RFC 6376 3.6.1 protects those who test from harm, and a pass does none.
 */
bool dkim_outcome_authenticates(const struct dkim_outcome *outcome);

/* True for DKIM-Signature in any letter case. */
bool dkim_field_is_signature(const struct mail_field *field);

#endif
