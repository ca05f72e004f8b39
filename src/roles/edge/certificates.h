/*
 * certificates.h - the certificates that the parent hands to the edge, parsed and kept by name.
 * Their keys are with the signer.
 *
 * They come as descriptors before the start and again before each reload; a name that comes again
 * replaces what was there, and what does not come again is dropped. One that cannot be read is
 * logged, and the one before it stays in use: a bad renewal must not stop mail.
 */
#ifndef POSTERN_ROLES_EDGE_CERTIFICATES_H
#define POSTERN_ROLES_EDGE_CERTIFICATES_H

#include "config/config.h"
#include "tls/identity.h"

/* Identities of one configuration: TLS_IDENTITIES_MAX in tls/server.h. */
#define CERTIFICATES_MAX 1000u

struct certificate_item {
    char *name; /* owned: the file's name */
    struct tls_identity *identity;
    bool offered; /* since the last selection */
};

struct certificate_store {
    struct certificate_item *items; /* owned */
    size_t count;
};

/* Gives the references back and empties the store. */
void certificate_store_fini(struct certificate_store *store);
/* Reads the descriptor and closes it; `signer` has the key. Failures are logged. */
void certificate_store_take(struct certificate_store *store, struct str name, int chain_fd,
                            const struct tls_signer *signer);
/*
 * The identities in the order of the configuration; what has not been offered since the last call
 * is dropped. With none configured, all there are (the self-signed one). Writes at most
 * CERTIFICATES_MAX borrowed pointers and returns their number.
 */
size_t certificate_store_select(struct certificate_store *store, const struct config *config,
                                struct tls_identity *identities_out[static CERTIFICATES_MAX]);

#endif
