/*
 * memory_limit.h - how much address space a role may take, from what its configuration lets it do.
 *
 * A bound against running away, not a budget: far above what was measured under load, so that it is
 * met only when something is wrong. It is set at the start and again at each reload.
 */
#ifndef POSTERN_ROLES_MEMORY_LIMIT_H
#define POSTERN_ROLES_MEMORY_LIMIT_H

#include "config/config.h"
#include "ipc/message.h"

/* Octets for RLIMIT_AS; never 0. ROLE_PARENT is allowed. */
uint64_t role_memory_limit(enum role role, const struct config *config);

#endif
