/*
 * arc_hash.h - what the seals of a chain are made over (RFC 8617 5.1.1), for verifying and for
 * sealing.
 */
#ifndef POSTERN_AUTH_ARC_HASH_H
#define POSTERN_AUTH_ARC_HASH_H

#include "auth/arc_set.h"
#include "auth/hasher.h"

/* The fields of one set as a seal covers them. */
struct arc_sealed_set {
    struct str raw[ARC_PART_COUNT_];
    struct str b_value; /* of the ARC-Seal; a view of raw[ARC_PART_SEAL] */
};

/*
 * The hashes of the seals of sets[0] to sets[count - 1], each over all sets up to its own (RFC 8617
 * 5.1.1), in one pass; of `hasher` only digest and text are used. STATUS_TEMPORARY: OpenSSL would
 * not; STATUS_SYNTAX: a field has no colon; STATUS_LIMIT: past HASHER_TEXT_MAX.
 */
[[nodiscard]] enum status arc_seal_hashes(struct hasher *hasher, const struct arc_sealed_set *sets,
                                          size_t count, uint8_t (*hashes_out)[CRYPTO_HASH_SIZE]);

#endif
