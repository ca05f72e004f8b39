/*
 * results.h - what the checks of this folder have learnt about one message, for each other and for
 * whoever writes it down (Authentication-Results, the verdict header, reports, the trace).
 *
 * The caller of the checks makes one of these for a message, all NULL but for `keys`. Each check
 * fills its own members, once, with what lives in the message's arena; NULL stays where a check did
 * not run or could not be made. DMARC reads the others, so its row stands behind theirs in
 * policy/checks.def.
 */
#ifndef POSTERN_AUTH_RESULTS_H
#define POSTERN_AUTH_RESULTS_H

#include "base/arena.h"

struct arc_verification;
struct dkim_outcomes;
struct dmarc_outcome;
struct dmarc_override;
struct hasher;
struct iprev_outcome;
struct key_cache;
struct mail_author;
struct spf_outcome;

struct auth_results {
    struct key_cache *keys; /* the caller's, of all messages (crypto.h); NULL: keys are read anew */

    const struct iprev_outcome *iprev;
    const struct spf_outcome *spf_helo;
    const struct spf_outcome *spf_mailfrom; /* also for the null path (RFC 7208 2.4) */
    const struct dkim_outcomes *dkim;
    const struct arc_verification *arc;
    const struct mail_author *author; /* read by whichever check needs it first */
    struct hasher *hasher;            /* of the message; made by the first that needs it */
    /*
     * Why a failure of DMARC is not to be acted upon: a trusted sealer of an ARC chain vouches for
     * the author, or the configuration makes an exception (override.h). NULL: there is no reason.
     */
    const struct dmarc_override *override;
    const struct dmarc_outcome *dmarc;
};

/*
 * What to hash the message with (hasher.h), made in the arena if it is not there yet. `results` may
 * be NULL: then it is for the caller alone. NULL: the arena is full, or there is no memory.
 */
[[nodiscard]] struct hasher *auth_results_hasher(struct auth_results *results, struct arena *arena,
                                                 struct str body);

#endif
