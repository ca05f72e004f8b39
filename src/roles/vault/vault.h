/*
 * vault.h - the role that holds private keys: it signs with them, and never shows one. It also
 * keeps the passwords with which the relay logs in at other servers; the relay alone is given them.
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

enum key_action {
    KEY_ACTION_ROTATE = 1,     /* new keys for the algorithms in use */
    KEY_ACTION_PUBLISH = 2,    /* ask the DNS now */
    KEY_ACTION_RETIRE = 3,     /* stop signing; the record stays for mail on its way */
    KEY_ACTION_RETIRE_NOW = 4, /* destroy the private half: it has been compromised */
};

enum key_outcome {
    KEY_OUTCOME_DONE = 0,
    KEY_OUTCOME_DOMAIN = 1,   /* not in the configuration */
    KEY_OUTCOME_SELECTOR = 2, /* unknown, in use, or badly formed */
    KEY_OUTCOME_KEY = 3,      /* a kind or size that does not sign mail, or no key */
    KEY_OUTCOME_STATE = 4,    /* nothing to be done in this state */
    KEY_OUTCOME_FAILED = 5,   /* the disk, the resolver, too much at one time */
};

enum login_action {
    LOGIN_ACTION_SET = 1,
    LOGIN_ACTION_REMOVE = 2,
};

enum login_outcome {
    LOGIN_OUTCOME_DONE = 0,
    LOGIN_OUTCOME_UNKNOWN = 1, /* there is no password of this user at this host */
    LOGIN_OUTCOME_BAD = 2,     /* a name or password that cannot be one */
    LOGIN_OUTCOME_FAILED = 3,  /* the disk */
};

extern const struct role_definition vault_role;

#endif
