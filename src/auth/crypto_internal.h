/*
 * crypto_internal.h - what the files behind crypto.h share.
 */
#ifndef POSTERN_AUTH_CRYPTO_INTERNAL_H
#define POSTERN_AUTH_CRYPTO_INTERNAL_H

#include "auth/crypto.h"

/* One more reference; returns the key. */
struct public_key *public_key_retain(struct public_key *key);

#endif
