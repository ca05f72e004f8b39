/*
 * own_address.h - which addresses are a user's own, for what he sends (RFC 6409 6.1).
 *
 * His name, the same with something behind the plus separator, an alias that leads to him, alone or
 * among others, and what the configuration allows him (submission.senders). A catch-all makes
 * nothing anybody's own. A user of this machine (config/local_user.h) has all addresses of our
 * domains, and root all there are. Pure.
 */
#ifndef POSTERN_CHECK_OWN_ADDRESS_H
#define POSTERN_CHECK_OWN_ADDRESS_H

#include "base/arena.h"
#include "config/config.h"

/* Targets of aliases that are looked at for one address; beyond them it is not his. */
#define OWN_ADDRESS_STEPS_MAX (4u * CONFIG_ALIAS_TARGETS_MAX)

/*
 * Whether the user may send as `address`, which is "local@domain" with or without quotes. An
 * address that cannot be read is nobody's. The arena is for meanwhile; when it is full, the answer
 * is no.
 */
bool own_address_is(struct arena *arena, const struct config *config, struct str user,
                    struct str address);

#endif
