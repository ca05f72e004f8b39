/*
 * override.h - whether a failure of DMARC is not to be acted upon (RFC 9989 5.4, RFC 8617 7.2): the
 * configuration makes an exception for the author's domain or for all, or a chain of sealers that
 * the administrator trusts vouches for it.
 */
#ifndef POSTERN_AUTH_OVERRIDE_H
#define POSTERN_AUTH_OVERRIDE_H

#include "auth/dmarc.h"
#include "check/check.h"

/*
 * Looks at input->config and at what the checks before DMARC have learnt (input->auth, with its
 * author). *override_out is NULL where nothing is overridden, else in the arena, with the reason
 * that reports will tell. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status auth_override_find(const struct check_input *input,
                                             const struct dmarc_override **override_out);

#endif
