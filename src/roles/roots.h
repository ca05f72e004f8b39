/*
 * roots.h - the authorities that a role trusts: those of the system, and tls.trusted_roots.
 *
 * For roles that get roots (ipc/roles.def). The system's are read before the sandbox; the
 * configuration's come from the parent with each generation. Loop thread only.
 */
#ifndef POSTERN_ROLES_ROOTS_H
#define POSTERN_ROLES_ROOTS_H

#include "base/arena.h"
#include "base/buf.h"

/* Most octets of both together. */
#define ROLE_ROOTS_MAX (16u << 20)

/* All zero: none. */
struct role_roots {
    struct str system; /* PEM; owned */
    /* tls.trusted_roots: in force, and come for the next start or reload. Owned; NULL: none. */
    struct arena *arena;
    struct arena *came_arena;
    struct str configured; /* in the one */
    struct str came;       /* in the other */
};

/* The system's; before the sandbox. When there are none it is logged, and nothing is trusted. */
void role_roots_read_system(struct role_roots *roots);
/* What role_definition.certificate has got; takes the descriptor. */
void role_roots_take(struct role_roots *roots, int chain_fd);
/* At a start or reload: those that came are in force, or none. */
void role_roots_adopt(struct role_roots *roots);
/* All that are in force, in PEM, appended. STATUS_LIMIT: no room. */
[[nodiscard]] enum status role_roots_write(const struct role_roots *roots, struct buf *out);
void role_roots_free(struct role_roots *roots);

#endif
