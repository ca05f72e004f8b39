#include "tls/test_material.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/arena.h"

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static X509 *
certificate_make(EVP_PKEY *key, const char *names)
{
    X509 *certificate = X509_new();
    X509V3_CTX context;
    must(X509_set_version(certificate, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *names_extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
    must(names_extension != NULL && X509_add_ext(certificate, names_extension, -1) == 1);
    X509_EXTENSION_free(names_extension);
    /* Edwards curves have their own. */
    int type = EVP_PKEY_get_id(key);
    bool own_digest = type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;
    must(X509_sign(certificate, key, own_digest ? NULL : EVP_sha256()) > 0);
    return certificate;
}

static struct str
take(struct arena *arena, BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    struct str copy = arena_str_dup(arena, str_make(data, (size_t)n));
    BIO_free(bio);
    return copy;
}

struct test_pem
test_pem_of(EVP_PKEY *key, const char *names)
{
    struct test_pem pem = {.arena = arena_create(64 * 1024)};
    must(key != NULL);
    X509 *certificate = certificate_make(key, names);
    BIO *chain_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(chain_bio, certificate) == 1);
    must(PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    pem.chain = take(pem.arena, chain_bio);
    pem.key = take(pem.arena, key_bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return pem;
}

struct test_pem
test_pem_make(const char *names, bool rsa)
{
    return test_pem_of(rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), names);
}

struct test_pem
test_pem_make_rsa(const char *names, unsigned bits)
{
    return test_pem_of(EVP_RSA_gen(bits), names);
}

struct tls_identity *
test_identity_make(const char *names, bool rsa)
{
    char error[TLS_ERROR_MAX];
    struct tls_identity *identity = NULL;
    struct test_pem pem = test_pem_make(names, rsa);
    must(tls_identity_parse(pem.chain, pem.key, &identity, error) == STATUS_OK);
    arena_destroy(&pem.arena);
    return identity;
}
