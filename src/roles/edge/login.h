/*
 * login.h - the AUTH actions: the ledger has the users and verifies; guessing is throttled there.
 *
 * Each answers its result function of the core, now or later. A password passes through and is
 * kept nowhere here.
 */
#ifndef POSTERN_ROLES_EDGE_LOGIN_H
#define POSTERN_ROLES_EDGE_LOGIN_H

#include "roles/edge/connection.h"

/* Texts are copied into the request; the core waits in the meantime. */
void login_password(struct connection *connection, struct str user, struct str password);
void login_scram_begin(struct connection *connection, struct str user);
void login_scram_verify(struct connection *connection, const struct smtp_scram_request *scram);

#endif
