/*
 * edge.h - the role that faces the clients: SMTP server, submission, TLS. See roles/edge/edge.h.
 */
#ifndef POSTERN_ROLES_EDGE_ROLE_H
#define POSTERN_ROLES_EDGE_ROLE_H

#include "roles/role.h"

extern const struct role_definition edge_role;

#endif
