/*
 * der.h - the few forms of DER (X.690) that public keys in DNS records have, read by hand: what a
 * stranger published is measured before a cryptographic library sees it.
 */
#ifndef POSTERN_AUTH_DER_H
#define POSTERN_AUTH_DER_H

#include "base/str.h"

/* Unsigned big-endian numbers without leading zeros, borrowed from what was read. */
struct der_rsa {
    struct str modulus;
    struct str exponent;
};

/*
 * An RSA public key: SubjectPublicKeyInfo with the algorithm rsaEncryption (RFC 3279 2.3.1), or a
 * bare RSAPublicKey (RFC 8017 A.1.1). STATUS_SYNTAX for anything else, octets left over, or a
 * number that is not positive.
 */
[[nodiscard]] enum status der_rsa_public(struct str octets, struct der_rsa *rsa_out);

#endif
