/*
 * sign.h - DKIM signatures for what our users send, ARC seals for what is forwarded. The keys stay
 * in the vault; hashes go there.
 */
#ifndef POSTERN_ROLES_FILTER_SIGN_H
#define POSTERN_ROLES_FILTER_SIGN_H

#include "roles/filter/outgoing.h"

/*
 * Puts the signatures or the seal that the configuration asks for on top of copy->head. Without an
 * active key nothing is done. STATUS_TEMPORARY: the vault does not answer, and the message should
 * come again rather than leave unsigned; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status filter_sign(const struct outgoing_input *input,
                                      struct outgoing_copy *copy, struct trace *trace);

#endif
