/*
 * private_key.h - private keys that sign for a domain: made, read, written, and their public half
 * as the DNS has it. For the process that holds the keys, and for tests; whoever composes a
 * signature sees a struct crypto_signer only.
 *
 * RSA from 2048 to 4096 bits is made (RFC 8301 3.2: signers should use 2048); smaller keys down to
 * 1024 are read, because receivers must take them. Memory that held a key in clear is overwritten.
 */
#ifndef POSTERN_AUTH_PRIVATE_KEY_H
#define POSTERN_AUTH_PRIVATE_KEY_H

#include "auth/crypto.h"
#include "base/arena.h"

struct private_key;

#define PRIVATE_KEY_RSA_BITS 2048u
/* Octets of a PEM text that are read. */
#define PRIVATE_KEY_PEM_MAX  16384u
/* The seed of an Ed25519 key (RFC 8032 5.1.5). */
#define PRIVATE_KEY_SEED     32u

/* A new key; `bits` is for RSA, 0: PRIVATE_KEY_RSA_BITS. STATUS_LIMIT: bits out of range;
 * STATUS_TEMPORARY: OpenSSL would not. The caller's (private_key_destroy). */
[[nodiscard]] enum status private_key_generate(enum crypto_algorithm algorithm, unsigned bits,
                                               struct private_key **key_out);
/* Of a PEM text without passphrase (PKCS #8, or PKCS #1 for RSA). STATUS_SYNTAX: it is none;
 * STATUS_DENIED: a kind or size of key that does not sign mail. */
[[nodiscard]] enum status private_key_from_pem(struct str pem, struct private_key **key_out);
/* An Ed25519 key of its seed of 32 octets. STATUS_SYNTAX: another length. */
[[nodiscard]] enum status private_key_from_seed(struct str seed, struct private_key **key_out);
/* NULL is allowed; sets *key to NULL. */
void private_key_destroy(struct private_key **key);

enum crypto_algorithm private_key_algorithm(const struct private_key *key);
unsigned private_key_bits(const struct private_key *key);

/* Appends PKCS #8 as PEM without passphrase. STATUS_LIMIT: past the ceiling; use a buffer that is
 * wiped (buf_free_wiped). */
[[nodiscard]] enum status private_key_to_pem(const struct private_key *key, struct buf *out);
/* What stands in "p=" before base 64: SubjectPublicKeyInfo of RSA, 32 octets of Ed25519. In the
 * arena; STATUS_LIMIT when that is full. */
[[nodiscard]] enum status private_key_public(const struct private_key *key, struct arena *arena,
                                             struct str *octets_out);

/* Appends a signature over a SHA-256 hash (RFC 6376 3.3, RFC 8463 3). Many threads may sign. */
[[nodiscard]] enum status private_key_sign(const struct private_key *key, struct str hash,
                                           struct buf *signature_out);
/* A signer that signs here; the key must outlive it. */
struct crypto_signer private_key_signer(struct private_key *key);

#endif
