/*
 * sender_proof.h - is the domain of the return path authenticated?
 *
 * The filter asks when all checks have run; only then may a stranger be told of a failure.
 */
#ifndef POSTERN_AUTH_SENDER_PROOF_H
#define POSTERN_AUTH_SENDER_PROOF_H

#include "auth/results.h"

/*
 * True when SPF passed for MAIL FROM (RFC 7208 2.4), or a DKIM signature that covers the whole body
 * passed with the domain of `sender` or one above it as its signer. False where nothing is known,
 * and for the null path, which nobody is told anything at.
 */
bool auth_sender_is_proven(const struct auth_results *results, struct str sender);

#endif
