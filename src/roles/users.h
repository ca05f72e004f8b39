/*
 * users.h - which system user a role runs as when Postern is started as root.
 */
#ifndef POSTERN_ROLES_USERS_H
#define POSTERN_ROLES_USERS_H

#include <sys/types.h>

#include "config/config.h"
#include "ipc/message.h"

/* Where no user exists for a role (a trial without the package): a number of its own from here on.
 */
#define ROLE_UID_FALLBACK 64300

/*
 * "postern-<role>" if that user exists, else config->run_as, else ROLE_UID_FALLBACK + the
 * number of its user in the table of roles. Two roles then never share a user unless the
 * administrator made them. Reads the user database: before the sandbox only.
 */
void role_user_find(const struct config *config, enum role role, uid_t *uid_out, gid_t *gid_out);

#endif
