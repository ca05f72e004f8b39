/*
 * results_authres.h - what was learnt about a message, as Authentication-Results says it (RFC
 * 8601), and in one line for the servers behind.
 *
 * The results are those of the checks in this folder (results.h); what did not run is not
 * mentioned. Nothing is quoted here: the writer does that (authres.h), for our own field and for
 * ARC alike.
 */
#ifndef POSTERN_AUTH_RESULTS_AUTHRES_H
#define POSTERN_AUTH_RESULTS_AUTHRES_H

#include "auth/authres.h"
#include "auth/results.h"
#include "base/ip.h"

/* Signatures that are mentioned; the rest of a message's is left out (see AUTHRES_RESULTS_MAX). */
#define AUTH_RESULTS_SIGNATURES_MAX 20u

struct auth_results_context {
    const struct auth_results *results;
    struct str authserv_id;
    struct ip_address client;
    struct str sender;      /* MAIL FROM; empty: the null path */
    struct str disposition; /* what DMARC leads to, as in reports: none, quarantine, reject */
};

/*
 * All results as one object that authres_write takes. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status auth_results_collect(struct arena *arena,
                                               const struct auth_results_context *context,
                                               struct authres *authres_out);

/*
 * The verdict header's value: "action=accept dmarc=pass spf=pass dkim=pass arc=none iprev=pass
 * from=a.example", words that need no quoting; `action` is the first. {NULL,0}: the arena is full.
 *
 * It speaks of the author, whose domain from= tells where there is a single one: "spf=pass" and
 * "dkim=pass" are of a domain that is aligned with his, and "unaligned" is a pass of somebody else,
 * which anybody can have.
 */
struct str auth_results_verdict(struct arena *arena, const struct auth_results *results,
                                const char *action);

#endif
