/*
 * signable.h - whether octets are what a TLS server signs in a handshake, and nothing else.
 *
 * Whoever holds a listener's key looks at the octets themselves and not at a digest of them: an
 * edge that has been taken over must not get a certificate request, a message or a ticket of
 * another protocol signed. Two forms are known:
 *
 *   TLS 1.3, CertificateVerify (RFC 8446 4.4.3): 64 spaces, "TLS 1.3, server CertificateVerify", a
 *   NUL, and the hash of the transcript (SHA-256 or SHA-384: RFC 8446 B.4);
 *   TLS 1.2, ServerKeyExchange (RFC 5246 7.4.3, RFC 8422 5.4): the randoms of both sides and the
 *   server's parameters, of a named curve or of a finite field, with not an octet left over. Our
 *   servers always know TLS 1.3, so that the server's random ends in "DOWNGRD" 0x01 (RFC 8446
 *   4.1.3), which is demanded too: a client that knows TLS 1.3 never takes such a signature.
 *
 * What a client signs is refused. Pure.
 */
#ifndef POSTERN_TLS_SIGNABLE_H
#define POSTERN_TLS_SIGNABLE_H

#include "base/str.h"

/* More than any that is taken: the randoms, and a prime, a generator and a key of 8192 bits. */
#define TLS_SIGNABLE_MAX 4096u

enum tls_signable {
    TLS_SIGNABLE_NOT,
    TLS_SIGNABLE_1_2,
    TLS_SIGNABLE_1_3,
};

enum tls_signable tls_handshake_signable(struct str input);

#endif
