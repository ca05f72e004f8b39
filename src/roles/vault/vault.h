/*
 * vault.h - the role that holds private keys: it signs with them, and never shows one.
 *
 * Filters are told which keys are active, and have hashes signed; edges and filters have bounce
 * addresses made and read (SRS). Commands make, import, list and move on keys. Nothing that leaves
 * this process carries a private key: no message has a field for one on its way out, the file
 * cannot be opened by another role's user, the process leaves no core file.
 *
 * Each key goes through stages (rotation.h); the role asks the DNS now and then whether it shows
 * what it should.
 */
#ifndef POSTERN_ROLES_VAULT_VAULT_H
#define POSTERN_ROLES_VAULT_VAULT_H

#include "roles/role.h"

/* In messages: never renumbered. */
enum vault_srs_direction {
    VAULT_SRS_FORWARD = 1, /* an outside sender's address becomes one of our domain */
    VAULT_SRS_REVERSE = 2, /* and back again, for a bounce */
};

enum vault_srs_outcome {
    VAULT_SRS_DONE = 0,
    VAULT_SRS_FOREIGN = 1, /* reverse: not such an address at all; forward: not an address */
    VAULT_SRS_FORGED = 2,  /* reverse: not made here, or changed on its way */
    VAULT_SRS_EXPIRED = 3, /* reverse: made here, too long ago */
    VAULT_SRS_FAILED = 4,  /* it is switched off, or does not fit into an address */
};

extern const struct role_definition vault_role;

#endif
