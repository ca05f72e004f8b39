/*
 * clerk.h - the role for timed work: what is due by the clock, whether or not mail comes.
 *
 * It keeps no files and opens no sockets: it knows when something is to be done, and asks the role
 * that can do it. Its jobs are rows of roles/clerk/jobs.def.
 */
#ifndef POSTERN_ROLES_CLERK_H
#define POSTERN_ROLES_CLERK_H

#include "roles/role.h"

extern const struct role_definition clerk_role;

#endif
