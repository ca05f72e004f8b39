/*
 * hand_out.h - a new generation goes to the roles that run, in an order that loses no handshake.
 *
 * Certificates come after the keys: whoever shows a new one must find somebody who can sign for it.
 * So roles that get certificates are owed the generation until the one that gets the keys has said
 * that it is ready with it.
 */
#ifndef POSTERN_ROLES_PARENT_HAND_OUT_H
#define POSTERN_ROLES_PARENT_HAND_OUT_H

#include "roles/parent/child.h"

/* Borrowed parts of what the parent has now. */
struct generation {
    uint64_t number;
    const struct material *material;
    const struct listen_set *listeners;
};

/* Running, and its end is not wanted. */
bool child_is_up(const struct child *child);

/* To all that are up, or owed to them. Who cannot be reached is ended, and starts again with it. */
void hand_out(const struct generation *generation, struct child *children, size_t count);
/* A role is ready with the generation of that number: what is owed may be due now. */
void hand_out_owed(const struct generation *generation, const struct child *ready, uint64_t number,
                   struct child *children, size_t count);

#endif
