/*
 * internal.h - the state of the vault role and its parts; for the files of this folder only.
 */
#ifndef POSTERN_ROLES_VAULT_INTERNAL_H
#define POSTERN_ROLES_VAULT_INTERNAL_H

#include "roles/role.h"
#include "roles/vault/vault.h"

/* SHA-256: what is signed. */
#define VAULT_DIGEST_SIZE 32u

struct vault {
    struct role_runtime *runtime;
    int64_t signatures;
    int64_t signatures_refused;
};

/* Handlers of messages; each owns its message. */
void vault_on_sign(struct vault *vault, struct channel *channel, struct ipc_message *message);
void vault_on_srs(struct vault *vault, struct channel *channel, struct ipc_message *message);

/* Tells the filter which keys are active. */
void vault_tell_keys(struct vault *vault);

#endif
