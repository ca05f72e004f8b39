/*
 * arc_verify.h - is the chain of ARC sets of a message good (RFC 8617 5.2), and who made it.
 *
 * A chain that passes proves who sealed it and that nobody altered the seals; it does not prove
 * that any of them tells the truth. Whose word counts is the administrator's list (arc_override.h).
 *
 * The work is bounded: broken and overlong chains are refused before the DNS is asked; a body is
 * hashed at most ARC_BODY_HASHES_MAX times; each key is asked for once, also where DKIM has asked
 * for it before.
 */
#ifndef POSTERN_AUTH_ARC_VERIFY_H
#define POSTERN_AUTH_ARC_VERIFY_H

#include "auth/arc_set.h"
#include "auth/authres.h"
#include "auth/dkim_key.h"

/* Combinations of c= and l= for which the body is hashed; older signatures beyond do not count. */
#define ARC_BODY_HASHES_MAX 4u

enum arc_result {
    ARC_RESULT_NONE, /* there is no chain */
    ARC_RESULT_PASS,
    ARC_RESULT_FAIL, /* to be treated as no chain (RFC 8617 5.2) */
};

/* "none", "pass", "fail"; static, never NULL. */
const char *arc_result_name(enum arc_result result);

/* What became of one signature. */
enum arc_check {
    ARC_CHECK_SKIPPED, /* not looked at: the result was certain before */
    ARC_CHECK_PASS,
    ARC_CHECK_FAIL,
    ARC_CHECK_TEMPORARY, /* the key could not be had; another time it may be */
};

/* "skipped", "pass", "fail", "temperror"; static, never NULL. */
const char *arc_check_name(enum arc_check check);

struct arc_set_verdict {
    const struct arc_set *set;
    enum arc_check seal;
    enum arc_check signature;
    bool has_results;       /* the ARC-Authentication-Results could be read */
    struct authres results; /* what the sealer found; meaningless unless has_results */
};

struct arc_verification {
    enum arc_result result;
    bool temporary;       /* FAIL for want of an answer of the DNS (5.2.1: FAIL nevertheless) */
    struct str reason;    /* for people; empty unless FAIL */
    unsigned instance;    /* whose the reason is; 0: of the chain as a whole */
    unsigned oldest_pass; /* PASS: the lowest instance whose message is unaltered; 0: all of them */
    struct arc_chain chain;
    const struct arc_set_verdict *sets; /* chain.count of them, by instance */
};

struct arc_verify_input {
    const struct mail_head *head;
    struct str body;       /* what follows the header section */
    int64_t now;           /* seconds since 1970, or DKIM_NO_TIME */
    struct hasher *hasher; /* of the same body, for others too; NULL: one is made */
};

/*
 * Verifies the chain. STATUS_LIMIT: the arena is full; STATUS_TEMPORARY: OpenSSL would not, so
 * nothing is known. `lookup` may have answered for the DKIM signatures of the same message.
 */
[[nodiscard]] enum status arc_verify(struct arena *arena, const struct arc_verify_input *input,
                                     struct dkim_lookup *lookup,
                                     struct arc_verification *verification_out);

/*
 * The result as one of Authentication-Results (RFC 8617 10.1): "arc", with header.oldest-pass where
 * it passed and smtp.remote-ip, which is `client` as text. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status arc_authres(struct arena *arena,
                                      const struct arc_verification *verification,
                                      struct str client, struct authres_result *result_out);

#endif
