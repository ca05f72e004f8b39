/*
 * override.h - whether the configuration wants a failure of DMARC not to be acted upon (RFC 9989
 * 5.4): it makes an exception for the author's domain, or for all. (That a trusted chain of ARC
 * vouches for a message is told by its own check.)
 */
#ifndef POSTERN_AUTH_OVERRIDE_H
#define POSTERN_AUTH_OVERRIDE_H

#include "auth/dmarc.h"
#include "check/check.h"

/*
 * Looks for the author of input->auth, which must be set. *override_out is NULL where nothing is
 * overridden, else in the arena, with the reason that reports will tell. STATUS_LIMIT: the arena is
 * full.
 */
[[nodiscard]] enum status auth_override_find(const struct check_input *input,
                                             const struct dmarc_override **override_out);

#endif
