/*
 * scheme.h - the kinds of signatures that a TLS handshake may have, by their numbers.
 *
 * A number of IANA's registry TLS SignatureScheme (RFC 8446 4.2.3) says everything that a signer
 * has to know: the type of key, the digest and the padding. Used by the provider in the process
 * that speaks TLS (remote_key.h) and by the one that holds the key (roles/signer).
 */
#ifndef POSTERN_TLS_SCHEME_H
#define POSTERN_TLS_SCHEME_H

#include <stddef.h>
#include <stdint.h>

#include "tls/signable.h"

struct tls_scheme {
    uint16_t number;
    const char *key_type; /* as OpenSSL names it: "RSA", "RSA-PSS", "EC", "ED25519", "ED448" */
    const char *digest;   /* "SHA256"; NULL: the type of key has its own */
    bool pss;             /* RSA with PSS padding, its salt as long as the digest */
    bool tls_1_3;         /* may sign in TLS 1.3 (RFC 8446 4.2.3) */
};

/* The scheme of that number; NULL: it is none that may sign here. */
const struct tls_scheme *tls_scheme_find(uint16_t number);
/*
 * The scheme for a type of key with a digest (NULL: none) and that padding; NULL: there is none.
 * Digests may have either of OpenSSL's names: "SHA256" or "SHA2-256".
 */
const struct tls_scheme *tls_scheme_choose(const char *key_type, const char *digest, bool pss);
/* Whether a scheme may sign such octets; never for TLS_SIGNABLE_NOT. */
bool tls_scheme_signs(const struct tls_scheme *scheme, enum tls_signable what);

#endif
