/*
 * remote_key.h - private keys that are elsewhere: an OpenSSL key of which only the public half is
 * in this process, and whose signatures are asked for.
 *
 * A provider that is built in (remote_provider.c, remote_signature.c) has key management and
 * signatures for RSA, RSA-PSS, EC, Ed25519 and Ed448. A key of it is used like any other with
 * SSL_use_cert_and_key. What is to be signed goes whole, not as a digest, to a callback, so that
 * whoever holds the key can judge it (signable.h). It signs and does nothing else: there is no
 * decryption, hence no TLS 1.2 with RSA key exchange (doc/decisions/0020-tls-keys.md).
 */
#ifndef POSTERN_TLS_REMOTE_KEY_H
#define POSTERN_TLS_REMOTE_KEY_H

#include "tls/library.h"

struct evp_pkey_st;

#define TLS_KEY_ID_SIZE   32u
/* RSA of 16384 bits, the most that OpenSSL takes. */
#define TLS_SIGNATURE_MAX 2048u

/* SHA-256 of the key's SubjectPublicKeyInfo in DER; both sides know it without being told. */
struct tls_key_id {
    unsigned char octets[TLS_KEY_ID_SIZE];
};

struct tls_signature {
    unsigned char octets[TLS_SIGNATURE_MAX];
    size_t n;
};

/* Who signs; the context must outlive every identity that is made with it. */
struct tls_signer {
    /*
     * Signs `input` with that key by a scheme of scheme.h. Called in the middle of a handshake: it
     * waits, but not for long. Anything but STATUS_OK ends the handshake: STATUS_TEMPORARY or
     * STATUS_AGAIN: nobody answered; STATUS_DENIED: refused; STATUS_NOT_FOUND: the key is not
     * known.
     */
    enum status (*sign)(void *context, const struct tls_key_id *key, uint16_t scheme,
                        struct str input, struct tls_signature *signature_out);
    void *context;
};

/*
 * Makes the provider known; after tls_library_init, before threads. A second call does nothing.
 * STATUS_IO with a text in error_out when the library refuses.
 */
[[nodiscard]] enum status tls_remote_key_init(char error_out[static TLS_ERROR_MAX]);

/* The id of a key (private or public half). STATUS_IO when the library fails. */
[[nodiscard]] enum status tls_key_id_of(const struct evp_pkey_st *key, struct tls_key_id *id_out);

/*
 * The key whose public half is `public_key` (its own reference is taken) and that `signer` signs
 * with. The caller owns one reference to *key_out. STATUS_SYNTAX with a text in error_out for a
 * type of key that is not supported, or without tls_remote_key_init.
 */
[[nodiscard]] enum status tls_remote_key_create(struct evp_pkey_st *public_key,
                                                const struct tls_signer *signer,
                                                struct evp_pkey_st **key_out,
                                                char error_out[static TLS_ERROR_MAX]);

#endif
