/*
 * crypto.h - the signatures of DKIM and ARC: RSA with PKCS #1 v1.5 and SHA-256 (RFC 6376 3.3, RFC
 * 8301), Ed25519 (RFC 8463). Public keys as DNS records hold them, and a cache of them.
 *
 * The size of a key is looked at before anything is computed with it. Everything here may be used
 * by many threads; a key is shared by reference counting.
 */
#ifndef POSTERN_AUTH_CRYPTO_H
#define POSTERN_AUTH_CRYPTO_H

#include <openssl/evp.h>

#include "base/buf.h"

/* RFC 8301 3.2: smaller keys must not count, 4096 must be supported. */
#define CRYPTO_RSA_BITS_MIN     1024u
#define CRYPTO_RSA_BITS_MAX     4096u
/* What OpenSSL allows with large moduli: the work of a verification grows with the exponent. */
#define CRYPTO_EXPONENT_MAX     8u /* octets */
#define CRYPTO_ED25519_KEY_SIZE 32u
#define CRYPTO_HASH_SIZE        32u
/* Octets of the largest signature. */
#define CRYPTO_SIGNATURE_MAX    512u
/* Octets of an RSA public key in DER that are looked at: up to 16384 bits are told by their size.
 */
#define CRYPTO_PUBLIC_MAX       2100u
/* Octets of "p=" that are looked at, and of those that a cache keeps. */
#define CRYPTO_TEXT_MAX         4096u
#define CRYPTO_TEXT_CACHED_MAX  1024u

/* The kinds of key ("k=") are those of signature ("a="): each goes with SHA-256 only. */
enum crypto_algorithm {
    CRYPTO_RSA_SHA256,
    CRYPTO_ED25519_SHA256,
};

/* "rsa-sha256", "ed25519-sha256"; static, never NULL. */
const char *crypto_algorithm_name(enum crypto_algorithm algorithm);
/* "rsa", "ed25519" */
const char *crypto_key_type_name(enum crypto_algorithm algorithm);

/* The implementation of SHA-256, fetched once; never NULL. */
const EVP_MD *crypto_sha256(void);
/* STATUS_TEMPORARY: OpenSSL would not. */
[[nodiscard]] enum status crypto_hash_with(EVP_MD_CTX *digest, struct str octets,
                                           uint8_t hash_out[CRYPTO_HASH_SIZE]);
/* The same without a digest at hand. */
[[nodiscard]] enum status crypto_hash(struct str octets, uint8_t hash_out[CRYPTO_HASH_SIZE]);

/* ---- public keys */

enum crypto_key_result {
    CRYPTO_KEY_OK,
    CRYPTO_KEY_MALFORMED,
    CRYPTO_KEY_SMALL,  /* RSA below CRYPTO_RSA_BITS_MIN */
    CRYPTO_KEY_LARGE,  /* RSA above CRYPTO_RSA_BITS_MAX */
    CRYPTO_KEY_FAILED, /* OpenSSL had no memory, or no such algorithm */
};

struct public_key;

/*
 * The key in the octets of "p=": RSA as SubjectPublicKeyInfo (RFC 6376 3.6.1) or bare RSAPublicKey
 * (its ABNF and erratum 3017), both in strict DER; Ed25519 as 32 octets (RFC 8463 4) that are a
 * point of its group (RFC 8032 5.1.3). *key_out is the caller's (public_key_release). *bits_out,
 * which may be NULL, is set for CRYPTO_KEY_SMALL and _LARGE, too.
 */
[[nodiscard]] enum crypto_key_result public_key_load(enum crypto_algorithm algorithm,
                                                     struct str octets, struct public_key **key_out,
                                                     unsigned *bits_out);
/* The same of the text of "p=", base 64 with folding, which may be malformed too. */
[[nodiscard]] enum crypto_key_result public_key_load_text(enum crypto_algorithm algorithm,
                                                          struct str text,
                                                          struct public_key **key_out,
                                                          unsigned *bits_out);
/* Gives up one reference and sets *key to NULL. NULL is allowed. */
void public_key_release(struct public_key **key);
/* 1024 to 4096; 256 for Ed25519. */
unsigned public_key_bits(const struct public_key *key);

enum crypto_verdict {
    CRYPTO_VALID,
    CRYPTO_INVALID,
    CRYPTO_FAILED, /* OpenSSL had no memory */
};

/*
 * `data` is the SHA-256 hash of what was signed. With Ed25519 it is the message, of any length (RFC
 * 8463 3: the hash is what is signed); with RSA it must be CRYPTO_HASH_SIZE octets.
 */
[[nodiscard]] enum crypto_verdict public_key_verify(struct public_key *key, struct str data,
                                                    struct str signature);

/* ---- a cache of public keys */

/* Loading a key costs more than a verification; senders use the same keys all day. */
struct key_cache;

/* At most `capacity` keys, the least recently used makes room. */
[[nodiscard]] struct key_cache *key_cache_create(size_t capacity);
/* NULL is allowed. Keys that were handed out live on. */
void key_cache_destroy(struct key_cache **cache);
/* As public_key_load_text, from the cache where the same text was before; `cache` may be NULL. */
[[nodiscard]] enum crypto_key_result key_cache_load(struct key_cache *cache,
                                                    enum crypto_algorithm algorithm,
                                                    struct str text, struct public_key **key_out,
                                                    unsigned *bits_out);
/* Keys that are in it. */
size_t key_cache_count(struct key_cache *cache);

/* ---- signing */

/* Signs, perhaps in another process: only the hash goes there, and the signature comes back. */
struct crypto_signer {
    enum crypto_algorithm algorithm;
    /*
     * Appends the signature over a SHA-256 hash. STATUS_TEMPORARY: not now; STATUS_NOT_FOUND: there
     * is no such key.
     */
    enum status (*sign)(void *ctx, struct str hash, struct buf *signature_out);
    void *ctx;
};

#endif
