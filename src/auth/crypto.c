#include "auth/crypto_internal.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <sodium/crypto_core_ed25519.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "auth/der.h"

/* Prepared contexts that a key keeps: as many threads as may verify with it at the same time. */
#define IDLE_CONTEXTS 4u

struct public_key {
    enum crypto_algorithm algorithm;
    unsigned bits;
    EVP_PKEY *key; /* owned */
    atomic_uint references;
    _Atomic(EVP_PKEY_CTX *) idle[IDLE_CONTEXTS]; /* whoever takes one out has it alone */
};

const char *
crypto_algorithm_name(enum crypto_algorithm algorithm)
{
    return algorithm == CRYPTO_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256";
}

const char *
crypto_key_type_name(enum crypto_algorithm algorithm)
{
    return algorithm == CRYPTO_RSA_SHA256 ? "rsa" : "ed25519";
}

/* ---- hashing */

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void
fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL) {
        abort(); /* no OpenSSL is without it */
    }
}

const EVP_MD *
crypto_sha256(void)
{
    pthread_once(&sha256_once, fetch_sha256);
    return sha256;
}

enum status
crypto_hash_with(EVP_MD_CTX *digest, struct str octets, uint8_t hash_out[CRYPTO_HASH_SIZE])
{
    return EVP_DigestInit_ex2(digest, crypto_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(digest, octets.p, octets.n) == 1 &&
                   EVP_DigestFinal_ex(digest, hash_out, NULL) == 1
               ? STATUS_OK
               : STATUS_TEMPORARY;
}

enum status
crypto_hash(struct str octets, uint8_t hash_out[CRYPTO_HASH_SIZE])
{
    return EVP_Digest(octets.p, octets.n, hash_out, NULL, crypto_sha256(), NULL) == 1
               ? STATUS_OK
               : STATUS_TEMPORARY;
}

/* ---- loading */

/* What stands in the record, before OpenSSL sees any of it. */
static enum crypto_key_result
check_rsa(const struct der_rsa *rsa, unsigned *bits_out)
{
    struct str n = rsa->modulus;
    struct str e = rsa->exponent;
    bool odd = n.n > 0 && e.n > 0 && (n.p[n.n - 1] & 1) != 0 && (e.p[e.n - 1] & 1) != 0;
    if (!odd || e.n > CRYPTO_EXPONENT_MAX || (e.n == 1 && e.p[0] == 1)) {
        return CRYPTO_KEY_MALFORMED;
    }
    unsigned bits = (unsigned)(8 * n.n - (size_t)__builtin_clz((unsigned char)n.p[0]) + 24);
    *bits_out = bits;
    return bits < CRYPTO_RSA_BITS_MIN   ? CRYPTO_KEY_SMALL
           : bits > CRYPTO_RSA_BITS_MAX ? CRYPTO_KEY_LARGE
                                        : CRYPTO_KEY_OK;
}

static EVP_PKEY *
make_rsa_of(BIGNUM *n, BIGNUM *e)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (n == NULL || e == NULL || build == NULL || ctx == NULL ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
        (params = OSSL_PARAM_BLD_to_param(build)) == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *
make_rsa(const struct der_rsa *rsa)
{
    BIGNUM *n = BN_bin2bn((const unsigned char *)rsa->modulus.p, (int)rsa->modulus.n, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)rsa->exponent.p, (int)rsa->exponent.n, NULL);
    EVP_PKEY *key = make_rsa_of(n, e);
    BN_free(n);
    BN_free(e);
    return key;
}

static enum crypto_key_result
load_rsa(struct str octets, EVP_PKEY **key_out, unsigned *bits_out)
{
    struct der_rsa rsa;
    if (octets.n > CRYPTO_PUBLIC_MAX) {
        /* A modulus over the limit needs more octets than that; nothing else does. */
        return CRYPTO_KEY_LARGE;
    }
    if (der_rsa_public(octets, &rsa) != STATUS_OK) {
        return CRYPTO_KEY_MALFORMED;
    }
    enum crypto_key_result result = check_rsa(&rsa, bits_out);
    if (result == CRYPTO_KEY_OK) {
        *key_out = make_rsa(&rsa);
        result = *key_out != NULL ? CRYPTO_KEY_OK : CRYPTO_KEY_FAILED;
    }
    return result;
}

/* The y coordinate is below 2^255 - 19 (RFC 8032 5.1.3 step 1). */
static bool
is_reduced(const unsigned char *point)
{
    bool ones = (point[31] & 0x7f) == 0x7f;
    for (size_t i = 30; ones && i > 0; i--) {
        ones = point[i] == 0xff;
    }
    return !ones || point[0] < 0xed;
}

/*
 * 32 octets that are no point of the curve can verify nothing (RFC 8032 5.1.7 step 1); with a point
 * of small order, one whose eightfold is the neutral element, anybody can sign.
 */
static bool
is_ed25519_key(const unsigned char *octets)
{
    static const unsigned char neutral[CRYPTO_ED25519_KEY_SIZE] = {1};
    unsigned char point[CRYPTO_ED25519_KEY_SIZE];
    memcpy(point, octets, sizeof point);
    for (unsigned doubled = 1; doubled < 8; doubled *= 2) {
        if (crypto_core_ed25519_add(point, point, point) != 0) {
            return false;
        }
    }
    return is_reduced(octets) && memcmp(point, neutral, sizeof point) != 0;
}

static enum crypto_key_result
load_ed25519(struct str octets, EVP_PKEY **key_out, unsigned *bits_out)
{
    if (octets.n != CRYPTO_ED25519_KEY_SIZE || !is_ed25519_key((const unsigned char *)octets.p)) {
        return CRYPTO_KEY_MALFORMED;
    }
    *bits_out = 256;
    *key_out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)octets.p,
                                           octets.n);
    return *key_out != NULL ? CRYPTO_KEY_OK : CRYPTO_KEY_FAILED;
}

enum crypto_key_result
public_key_load(enum crypto_algorithm algorithm, struct str octets, struct public_key **key_out,
                unsigned *bits_out)
{
    EVP_PKEY *pkey = NULL;
    unsigned bits = 0;
    enum crypto_key_result result = algorithm == CRYPTO_RSA_SHA256
                                        ? load_rsa(octets, &pkey, &bits)
                                        : load_ed25519(octets, &pkey, &bits);
    if (bits_out != NULL) {
        *bits_out = bits;
    }
    if (result != CRYPTO_KEY_OK) {
        return result;
    }
    struct public_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        abort();
    }
    key->algorithm = algorithm;
    key->bits = bits;
    key->key = pkey;
    atomic_init(&key->references, 1);
    *key_out = key;
    return CRYPTO_KEY_OK;
}

void
public_key_release(struct public_key **key)
{
    struct public_key *k = *key;
    *key = NULL;
    if (k == NULL || atomic_fetch_sub(&k->references, 1) > 1) {
        return;
    }
    for (size_t i = 0; i < IDLE_CONTEXTS; i++) {
        EVP_PKEY_CTX_free(atomic_load(&k->idle[i]));
    }
    EVP_PKEY_free(k->key);
    free(k);
}

struct public_key *
public_key_retain(struct public_key *key)
{
    atomic_fetch_add(&key->references, 1);
    return key;
}

unsigned
public_key_bits(const struct public_key *key)
{
    return key->bits;
}

/* ---- verifying */

static EVP_PKEY_CTX *
prepare_rsa(struct public_key *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->key, NULL);
    if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_CTX_set_signature_md(ctx, crypto_sha256()) != 1) {
        EVP_PKEY_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* A prepared context serves any number of verifications, one after the other. */
static EVP_PKEY_CTX *
take_context(struct public_key *key)
{
    for (size_t i = 0; i < IDLE_CONTEXTS; i++) {
        EVP_PKEY_CTX *ctx = atomic_exchange(&key->idle[i], NULL);
        if (ctx != NULL) {
            return ctx;
        }
    }
    return prepare_rsa(key);
}

static void
return_context(struct public_key *key, EVP_PKEY_CTX *ctx)
{
    for (size_t i = 0; i < IDLE_CONTEXTS && ctx != NULL; i++) {
        ctx = atomic_exchange(&key->idle[i], ctx);
    }
    EVP_PKEY_CTX_free(ctx);
}

static enum crypto_verdict
verify_rsa(struct public_key *key, struct str hash, struct str signature)
{
    if (hash.n != CRYPTO_HASH_SIZE || signature.n != (key->bits + 7) / 8) {
        return CRYPTO_INVALID; /* RFC 8017 8.2.2 1: the length is that of the modulus */
    }
    EVP_PKEY_CTX *ctx = take_context(key);
    if (ctx == NULL) {
        return CRYPTO_FAILED;
    }
    int rc = EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.n,
                             (const unsigned char *)hash.p, hash.n);
    return_context(key, ctx);
    return rc == 1 ? CRYPTO_VALID : CRYPTO_INVALID;
}

static enum crypto_verdict
verify_ed25519(struct public_key *key, struct str message, struct str signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum crypto_verdict verdict = CRYPTO_FAILED;
    if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->key) == 1) {
        int rc = EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
                                  (const unsigned char *)message.p, message.n);
        verdict = rc == 1 ? CRYPTO_VALID : CRYPTO_INVALID;
    }
    EVP_MD_CTX_free(ctx);
    return verdict;
}

enum crypto_verdict
public_key_verify(struct public_key *key, struct str data, struct str signature)
{
    enum crypto_verdict verdict = key->algorithm == CRYPTO_RSA_SHA256
                                      ? verify_rsa(key, data, signature)
                                      : verify_ed25519(key, data, signature);
    return verdict;
}
