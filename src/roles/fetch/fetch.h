/*
 * fetch.h - the role that speaks HTTPS with servers which strangers have named.
 *
 * It keeps no file, and no secret is within its reach: what a hostile server makes of it can tell
 * wrong policies, which their askers judge, and nothing else. Names are looked up by the resolver.
 */
#ifndef POSTERN_ROLES_FETCH_FETCH_H
#define POSTERN_ROLES_FETCH_FETCH_H

#include "roles/role.h"

extern const struct role_definition fetch_role;

#endif
