/*
 * hasher.h - SHA-256 over what the signatures of one message cover. DKIM and ARC share it, so that
 * no form of the body is hashed twice, and what hashing needs is made once.
 */
#ifndef POSTERN_AUTH_HASHER_H
#define POSTERN_AUTH_HASHER_H

#include "auth/canonical.h"
#include "auth/crypto.h"
#include "base/arena.h"

/* Ways to read a body (form and limit) that are kept: all that the signatures which are verified
 * may name. */
#define HASHER_BODIES_MAX 16u
/* Octets of fields in canonical form at one time: more than a header section may have. */
#define HASHER_TEXT_MAX   (64u << 20)

struct body_hash {
    enum canonical form;
    uint64_t limit;  /* of the octets that were hashed; CANONICAL_NO_LIMIT: all */
    uint64_t length; /* of the canonical body, also beyond the limit */
    uint8_t octets[CRYPTO_HASH_SIZE];
};

/* Of one message, for one thread. */
struct hasher {
    EVP_MD_CTX *digest; /* for one hash after the other */
    struct buf text;    /* for canonical fields; empty between two uses */
    /* private */
    struct str body;
    struct body_hash bodies[HASHER_BODIES_MAX];
    size_t body_count;
};

/*
 * For a message with this body, which must outlive it. In the arena, and released with it. NULL:
 * the arena is full, or OpenSSL has no memory.
 */
[[nodiscard]] struct hasher *hasher_create(struct arena *arena, struct str body);

/*
 * The hash of the body in canonical form, cut at `limit` (RFC 6376 3.4.3 to 3.4.5); it stays as
 * long as the hasher. STATUS_LIMIT: HASHER_BODIES_MAX others are known; STATUS_TEMPORARY: OpenSSL
 * would not.
 */
[[nodiscard]] enum status hasher_body(struct hasher *hasher, enum canonical form, uint64_t limit,
                                      const struct body_hash **hash_out);

/* The hash of hasher->text, which is empty then. STATUS_TEMPORARY: OpenSSL would not. */
[[nodiscard]] enum status hasher_text(struct hasher *hasher, uint8_t hash_out[CRYPTO_HASH_SIZE]);

#endif
