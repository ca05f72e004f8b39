/*
 * signer.h - the role that holds the keys of listeners' certificates and signs TLS handshakes with
 * them: nothing else, and for edges only (doc/decisions/0020-tls-keys.md).
 *
 *   keys.c    the keys by their ids, of this generation and of the one before
 *   line.c    one edge's socket, served by a thread
 *   signer.c  the role
 *
 * The parent hands the keys to this role alone. Nothing that leaves the process carries one, and it
 * has neither files nor network.
 */
#ifndef POSTERN_ROLES_SIGNER_SIGNER_H
#define POSTERN_ROLES_SIGNER_SIGNER_H

#include "roles/role.h"

/* In messages (tls_signed.outcome): never renumbered. */
enum signer_outcome {
    SIGNER_SIGNED = 0,
    SIGNER_REFUSED = 1,     /* these octets are not a TLS handshake's, or not by this scheme */
    SIGNER_UNKNOWN_KEY = 2, /* it is no longer, or not yet, among the keys */
    SIGNER_FAILED = 3,
};

extern const struct role_definition signer_role;

#endif
