/*
 * preflight.h - what a configuration refers to, looked at before anything depends on it: does
 * OpenSSL take the settings of TLS, are the certificates, their keys and the trust anchors there
 * and good. For `postern config check`, and for the parent before a start and a reload.
 *
 * Everything that is wrong is told at its place in the file (config_error_add); nothing stops at
 * the first error.
 */
#ifndef POSTERN_ROLES_PREFLIGHT_H
#define POSTERN_ROLES_PREFLIGHT_H

#include "config/config.h"
#include "tls/identity.h"

/* Largest file of trust anchors. */
#define PREFLIGHT_ANCHORS_MAX (1u << 20)
/* Largest file of trusted roots; the system's own list is a fifth of it. */
#define PREFLIGHT_ROOTS_MAX   (1u << 20)

struct preflight {
    const struct config *config;
    struct str text;     /* that it was read from */
    struct arena *arena; /* for the errors' texts; 1 MiB is ample */
    struct config_errors *errors;
};

/* What needs no file: tls.ciphers, tls.ciphersuites, tls.groups. */
void preflight_settings(const struct preflight *preflight);

/* One listed certificate with its key, as read. */
struct preflight_pair {
    struct str chain; /* PEM, in the arena given; wipe it */
    struct str key;
    struct tls_identity *identity; /* owned by the caller */
};

/*
 * Reads tls.certificates[index]; errors are added. STATUS_IO when a file cannot be read,
 * STATUS_LIMIT when it is too large, STATUS_SYNTAX when the two are no certificate with its key.
 */
[[nodiscard]] enum status preflight_pair(const struct preflight *preflight, size_t index,
                                         struct arena *secrets, struct preflight_pair *pair_out);

/*
 * Reads tls.trusted_roots[index] into the arena; errors are added. STATUS_IO, STATUS_LIMIT as
 * above, STATUS_SYNTAX when no certificate is in it.
 */
[[nodiscard]] enum status preflight_roots(const struct preflight *preflight, size_t index,
                                          struct arena *arena, struct str *pem_out);

/* All files: each pair, whether a server can be made of all of them, roots, trust anchors. */
void preflight_files(const struct preflight *preflight);

/*
 * The octets of a file of at most `most` octets, in the arena. STATUS_IO with errno set,
 * STATUS_LIMIT when it is larger.
 */
[[nodiscard]] enum status preflight_read(struct arena *arena, const char *path, size_t most,
                                         struct str *octets_out);

#endif
