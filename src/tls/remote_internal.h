/*
 * remote_internal.h - what the two halves of the provider for remote keys share (inside of
 * src/tls): key management in remote_provider.c, signatures in remote_signature.c.
 */
#ifndef POSTERN_TLS_REMOTE_INTERNAL_H
#define POSTERN_TLS_REMOTE_INTERNAL_H

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <stdatomic.h>

#include "tls/remote_key.h"

/* As properties in queries of OpenSSL: "provider=postern". */
#define REMOTE_PROVIDER "postern"

/* What libcrypto holds as the provider's key. */
struct remote_key {
    atomic_uint references;
    const char *type;     /* static: "RSA", as in scheme.h */
    EVP_PKEY *public_key; /* owned, of the default provider; NULL: not filled yet */
    bool is_remote;       /* false: a public key that came here to be compared */
    struct tls_key_id id;
    struct tls_signer signer;
};

struct remote_key *remote_key_ref(struct remote_key *key);
void remote_key_unref(struct remote_key *key);

/* Why there is no signature, as an error of the library's queue with a text of ours. */
enum remote_reason {
    REMOTE_REASON_UNSUPPORTED = 100,
    REMOTE_REASON_NO_ANSWER,
    REMOTE_REASON_REFUSED,
    REMOTE_REASON_UNKNOWN_KEY,
    REMOTE_REASON_RUBBISH,
    REMOTE_REASON_FAILED,
};
void remote_raise(enum remote_reason reason);

extern const OSSL_ALGORITHM remote_signature_algorithms[];

#endif
