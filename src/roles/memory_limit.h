/*
 * memory_limit.h - how much address space a role may take, from what its configuration lets it do.
 *
 * A bound against running away, not a budget: far above what was measured under load, so that it is
 * met only when something is wrong. It is set at the start and again at each reload. The table of
 * roles has the first part of it; for most 768 MiB, where 20 to 280 MiB were measured: program,
 * libraries, the arenas of malloc (64 MiB of addresses each, four at most), a configuration of the
 * largest size, channels. What depends on the configuration a role's definition adds.
 */
#ifndef POSTERN_ROLES_MEMORY_LIMIT_H
#define POSTERN_ROLES_MEMORY_LIMIT_H

#include "roles/role.h"

/* A thread with the usual stack (8 MiB of addresses) and its scratch. */
#define MEMORY_LIMIT_THREAD         (16ull << 20)
/* A message is mapped where it came in, and once more where it is edited. */
#define MEMORY_LIMIT_MESSAGE_COPIES 3u

/* Octets for RLIMIT_AS; never 0. */
uint64_t role_memory_limit(const struct role_definition *definition, const struct config *config);

#endif
