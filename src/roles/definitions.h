/*
 * definitions.h - what each role does, by the table of roles (ipc/roles.def): NAME_role, which the
 * role's own folder has. A role of the table without one does not link.
 */
#ifndef POSTERN_ROLES_DEFINITIONS_H
#define POSTERN_ROLES_DEFINITIONS_H

#include "roles/role.h"

/* NULL for who is no process of the parent's. Any number may be given. */
const struct role_definition *role_definition_of(enum role role);

/* How many processes of a role there are to be with this configuration: within the table's limits.
 */
uint32_t role_processes(enum role role, const struct config *config);

#endif
