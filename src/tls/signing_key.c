#include "tls/signing_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/identity.h"
#include "tls/pass_phrase.h"
#include "tls/scheme.h"

struct tls_signing_key {
    atomic_uint references;
    EVP_PKEY *key; /* owned */
    struct tls_key_id id;
};

/* Whether there is any scheme for it: else no handshake can have it. */
static bool
key_has_scheme(const EVP_PKEY *key)
{
    const char *type = EVP_PKEY_get0_type_name(key);
    return type != NULL && (tls_scheme_choose(type, "SHA256", false) != NULL ||
                            tls_scheme_choose(type, "SHA256", true) != NULL ||
                            tls_scheme_choose(type, NULL, false) != NULL);
}

enum status
tls_signing_key_parse(struct str pem, struct tls_signing_key **key_out,
                      char error_out[static TLS_ERROR_MAX])
{
    if (pem.n > TLS_PEM_MAX) {
        snprintf(error_out, TLS_ERROR_MAX, "longer than %u octets", TLS_PEM_MAX);
        return STATUS_LIMIT;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    struct tls_signing_key *key = calloc(1, sizeof *key);
    if (bio == NULL || key == NULL) {
        abort();
    }
    atomic_init(&key->references, 1);
    ERR_clear_error();
    key->key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_pass_phrase, NULL);
    BIO_free(bio);
    enum status status = STATUS_OK;
    if (key->key == NULL || tls_key_id_of(key->key, &key->id) != STATUS_OK) {
        tls_error_take("the private key could not be read", error_out);
        status = STATUS_SYNTAX;
    } else if (!key_has_scheme(key->key)) {
        snprintf(error_out, TLS_ERROR_MAX, "a key of the type %s cannot sign TLS handshakes",
                 EVP_PKEY_get0_type_name(key->key));
        status = STATUS_SYNTAX;
    }
    if (status != STATUS_OK) {
        tls_signing_key_unref(&key);
        return status;
    }
    *key_out = key;
    return STATUS_OK;
}

struct tls_signing_key *
tls_signing_key_ref(struct tls_signing_key *key)
{
    atomic_fetch_add(&key->references, 1);
    return key;
}

void
tls_signing_key_unref(struct tls_signing_key **key)
{
    struct tls_signing_key *k = *key;
    *key = NULL;
    if (k != NULL && atomic_fetch_sub(&k->references, 1) == 1) {
        EVP_PKEY_free(k->key);
        free(k);
    }
}

const struct tls_key_id *
tls_signing_key_id(const struct tls_signing_key *key)
{
    return &key->id;
}

static bool
start(EVP_MD_CTX *context, const struct tls_scheme *scheme, EVP_PKEY *key)
{
    EVP_PKEY_CTX *details = NULL; /* the context's */
    if (EVP_DigestSignInit_ex(context, &details, scheme->digest, NULL, NULL, key, NULL) != 1) {
        return false;
    }
    return !scheme->pss || (EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1 &&
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1);
}

enum status
tls_signing_key_sign(const struct tls_signing_key *key, uint16_t scheme_number, struct str input,
                     struct tls_signature *signature_out)
{
    const struct tls_scheme *scheme = tls_scheme_find(scheme_number);
    if (scheme == NULL || EVP_PKEY_is_a(key->key, scheme->key_type) != 1) {
        return STATUS_SYNTAX;
    }
    if (!tls_scheme_signs(scheme, tls_handshake_signable(input))) {
        return STATUS_DENIED;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t n = sizeof signature_out->octets;
    bool done = context != NULL && start(context, scheme, key->key) &&
                EVP_DigestSign(context, signature_out->octets, &n, (const unsigned char *)input.p,
                               input.n) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    signature_out->n = done ? n : 0;
    return done ? STATUS_OK : STATUS_IO;
}
