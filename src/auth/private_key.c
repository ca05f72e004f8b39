#include "auth/private_key.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

struct private_key {
    enum crypto_algorithm algorithm;
    EVP_PKEY *key; /* owned */
};

/* Takes over `pkey`, also on failure; NULL is STATUS_SYNTAX. */
static enum status
wrap(EVP_PKEY *pkey, struct private_key **key_out)
{
    bool rsa = pkey != NULL && EVP_PKEY_is_a(pkey, "RSA");
    bool ed25519 = pkey != NULL && EVP_PKEY_is_a(pkey, "ED25519");
    int bits = pkey != NULL ? EVP_PKEY_get_bits(pkey) : 0;
    bool fits =
        ed25519 || (rsa && bits >= (int)CRYPTO_RSA_BITS_MIN && bits <= (int)CRYPTO_RSA_BITS_MAX);
    if (!fits) {
        EVP_PKEY_free(pkey);
        return pkey == NULL ? STATUS_SYNTAX : STATUS_DENIED;
    }
    struct private_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        abort();
    }
    key->algorithm = rsa ? CRYPTO_RSA_SHA256 : CRYPTO_ED25519_SHA256;
    key->key = pkey;
    *key_out = key;
    return STATUS_OK;
}

enum status
private_key_generate(enum crypto_algorithm algorithm, unsigned bits, struct private_key **key_out)
{
    size_t size = bits != 0 ? bits : PRIVATE_KEY_RSA_BITS;
    EVP_PKEY *pkey;
    if (algorithm == CRYPTO_ED25519_SHA256) {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else if (size < PRIVATE_KEY_RSA_BITS || size > CRYPTO_RSA_BITS_MAX) {
        return STATUS_LIMIT;
    } else {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", size);
    }
    return pkey != NULL ? wrap(pkey, key_out) : STATUS_TEMPORARY;
}

/* Never asks for a passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

enum status
private_key_from_pem(struct str pem, struct private_key **key_out)
{
    if (pem.n > PRIVATE_KEY_PEM_MAX) {
        return STATUS_SYNTAX;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return wrap(pkey, key_out);
}

enum status
private_key_from_seed(struct str seed, struct private_key **key_out)
{
    if (seed.n != PRIVATE_KEY_SEED) {
        return STATUS_SYNTAX;
    }
    return wrap(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)seed.p, seed.n),
        key_out);
}

void
private_key_destroy(struct private_key **key)
{
    if (*key != NULL) {
        EVP_PKEY_free((*key)->key);
        free(*key);
        *key = NULL;
    }
}

enum crypto_algorithm
private_key_algorithm(const struct private_key *key)
{
    return key->algorithm;
}

unsigned
private_key_bits(const struct private_key *key)
{
    return (unsigned)EVP_PKEY_get_bits(key->key);
}

enum status
private_key_to_pem(const struct private_key *key, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    enum status status = STATUS_TEMPORARY;
    if (bio != NULL &&
        PEM_write_bio_PKCS8PrivateKey(bio, key->key, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(bio, &text);
        status = n > 0 ? buf_append(out, str_make(text, (size_t)n)) : STATUS_TEMPORARY;
    }
    BIO_free(bio);
    return status;
}

enum status
private_key_public(const struct private_key *key, struct arena *arena, struct str *octets_out)
{
    unsigned char *der = NULL;
    unsigned char raw[CRYPTO_ED25519_KEY_SIZE];
    size_t raw_size = sizeof raw;
    struct str octets = {0};
    if (key->algorithm == CRYPTO_ED25519_SHA256) {
        if (EVP_PKEY_get_raw_public_key(key->key, raw, &raw_size) != 1) {
            return STATUS_TEMPORARY;
        }
        octets = arena_str_dup(arena, str_make((const char *)raw, raw_size));
    } else {
        int n = i2d_PUBKEY(key->key, &der);
        if (n <= 0) {
            return STATUS_TEMPORARY;
        }
        octets = arena_str_dup(arena, str_make((const char *)der, (size_t)n));
        OPENSSL_free(der);
    }
    if (octets.p == NULL) {
        return STATUS_LIMIT;
    }
    *octets_out = octets;
    return STATUS_OK;
}

static bool
sign_rsa(EVP_PKEY *key, struct str hash, unsigned char *signature, size_t *size)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(ctx, crypto_sha256()) == 1 &&
                EVP_PKEY_sign(ctx, signature, size, (const unsigned char *)hash.p, hash.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool
sign_ed25519(EVP_PKEY *key, struct str message, unsigned char *signature, size_t *size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good =
        ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestSign(ctx, signature, size, (const unsigned char *)message.p, message.n) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

enum status
private_key_sign(const struct private_key *key, struct str hash, struct buf *signature_out)
{
    unsigned char signature[CRYPTO_SIGNATURE_MAX];
    size_t size = sizeof signature;
    if (hash.n != CRYPTO_HASH_SIZE) {
        return STATUS_BUG;
    }
    bool good = key->algorithm == CRYPTO_RSA_SHA256
                    ? sign_rsa(key->key, hash, signature, &size)
                    : sign_ed25519(key->key, hash, signature, &size);
    return good ? buf_append(signature_out, str_make((const char *)signature, size))
                : STATUS_TEMPORARY;
}

static enum status
signer_sign(void *ctx, struct str hash, struct buf *signature_out)
{
    return private_key_sign(ctx, hash, signature_out);
}

struct crypto_signer
private_key_signer(struct private_key *key)
{
    return (struct crypto_signer){.algorithm = key->algorithm, .sign = signer_sign, .ctx = key};
}
