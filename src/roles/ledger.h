/*
 * ledger.h - the role that owns what is known: traces, users.
 *
 * Its loop answers at once what is in memory (does this recipient exist, SCRAM) and never waits:
 * Argon2id runs in a few threads of its own, the databases have one writer and one reader thread.
 * A trace is acknowledged when it is committed, a change of a user answered when it is on disk.
 */
#ifndef POSTERN_ROLES_LEDGER_H
#define POSTERN_ROLES_LEDGER_H

#include "roles/role.h"

extern const struct role_definition ledger_role;

#endif
