#include "tls/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "tls/pass_phrase.h"

/* Room for TLS_NAMES_MAX long names with their array. */
#define NAMES_CEILING (TLS_NAMES_MAX * (TLS_HOST_NAME_MAX + 64u))

struct tls_identity {
    unsigned references; /* of one thread */
    X509 *certificate;   /* these three are owned */
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the certificate itself */
    struct arena *arena;    /* of the names */
    struct str *names;
    size_t name_count;
};

/* ---- names */

static void
identity_add_name(struct tls_identity *identity, struct str name)
{
    if (name.n == 0 || name.n > TLS_HOST_NAME_MAX || str_contains_char(name, '\0') ||
        identity->name_count == TLS_NAMES_MAX) {
        return; /* a NUL in a name is an old trick to look like another host */
    }
    char *lower = arena_alloc(identity->arena, name.n);
    if (lower == NULL) {
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        lower[i] = char_lower(name.p[i]);
    }
    identity->names[identity->name_count++] = str_make(lower, name.n);
}

static struct str
str_from_asn1(const ASN1_STRING *text)
{
    return str_make((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

static void
identity_read_alternative_names(struct tls_identity *identity)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(identity->certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            identity_add_name(identity, str_from_asn1(name->d.dNSName));
        }
    }
    GENERAL_NAMES_free(names);
}

static void
identity_read_common_name(struct tls_identity *identity)
{
    X509_NAME *subject = X509_get_subject_name(identity->certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, at);
        identity_add_name(identity, str_from_asn1(X509_NAME_ENTRY_get_data(entry)));
    }
}

static enum status
identity_read_names(struct tls_identity *identity)
{
    identity->arena = arena_create(NAMES_CEILING);
    identity->names = arena_alloc_array(identity->arena, TLS_NAMES_MAX, sizeof *identity->names);
    if (identity->names == NULL) {
        return STATUS_LIMIT;
    }
    identity_read_alternative_names(identity);
    if (identity->name_count == 0) {
        identity_read_common_name(identity);
    }
    return STATUS_OK;
}

/* ---- PEM */

static enum status
identity_read_chain(struct tls_identity *identity, struct str pem, char error_out[TLS_ERROR_MAX])
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *next;
    enum status status = STATUS_OK;
    identity->chain = sk_X509_new_null();
    if (bio == NULL || identity->chain == NULL) {
        abort();
    }
    identity->certificate = PEM_read_bio_X509_AUX(bio, NULL, tls_no_pass_phrase, NULL);
    if (identity->certificate == NULL) {
        tls_error_take("no certificate could be read", error_out);
        status = STATUS_SYNTAX;
    }
    while (status == STATUS_OK &&
           (next = PEM_read_bio_X509(bio, NULL, tls_no_pass_phrase, NULL)) != NULL) {
        if (sk_X509_num(identity->chain) >= TLS_CHAIN_MAX ||
            sk_X509_push(identity->chain, next) == 0) {
            X509_free(next);
            snprintf(error_out, TLS_ERROR_MAX, "the chain has more than %d certificates",
                     TLS_CHAIN_MAX);
            status = STATUS_LIMIT;
        }
    }
    unsigned long last = ERR_peek_last_error();
    if (status == STATUS_OK && ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
        tls_error_take("a certificate of the chain could not be read", error_out);
        status = STATUS_SYNTAX;
    }
    ERR_clear_error(); /* "no start line" is how the end of the text is told */
    BIO_free(bio);
    return status;
}

static enum status
identity_read_key(struct tls_identity *identity, struct str pem, char error_out[TLS_ERROR_MAX])
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio == NULL) {
        abort();
    }
    identity->key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_pass_phrase, NULL);
    BIO_free(bio);
    if (identity->key == NULL) {
        tls_error_take("the private key could not be read", error_out);
        return STATUS_SYNTAX;
    }
    if (X509_check_private_key(identity->certificate, identity->key) != 1) {
        tls_error_take("the private key is not that of the certificate", error_out);
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

/* The key of the certificate, which somebody else has. */
static enum status
identity_ask_for_key(struct tls_identity *identity, const struct tls_signer *signer,
                     char error_out[TLS_ERROR_MAX])
{
    EVP_PKEY *public_key = X509_get0_pubkey(identity->certificate);
    if (public_key == NULL) {
        tls_error_take("the public key of the certificate could not be read", error_out);
        return STATUS_SYNTAX;
    }
    return tls_remote_key_create(public_key, signer, &identity->key, error_out);
}

/* With a key in PEM, or where `signer` is given with that. */
static enum status
identity_make(struct str chain_pem, struct str key_pem, const struct tls_signer *signer,
              struct tls_identity **identity_out, char error_out[TLS_ERROR_MAX])
{
    if (chain_pem.n > TLS_PEM_MAX || key_pem.n > TLS_PEM_MAX) {
        snprintf(error_out, TLS_ERROR_MAX, "longer than %u octets", TLS_PEM_MAX);
        return STATUS_LIMIT;
    }
    struct tls_identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        abort();
    }
    identity->references = 1;
    ERR_clear_error();
    enum status status = identity_read_chain(identity, chain_pem, error_out);
    if (status == STATUS_OK) {
        status = signer != NULL ? identity_ask_for_key(identity, signer, error_out)
                                : identity_read_key(identity, key_pem, error_out);
    }
    if (status == STATUS_OK) {
        status = identity_read_names(identity);
    }
    if (status != STATUS_OK) {
        tls_identity_unref(&identity);
        return status;
    }
    *identity_out = identity;
    return STATUS_OK;
}

enum status
tls_identity_parse(struct str chain_pem, struct str key_pem, struct tls_identity **identity_out,
                   char error_out[static TLS_ERROR_MAX])
{
    return identity_make(chain_pem, key_pem, NULL, identity_out, error_out);
}

enum status
tls_identity_parse_remote(struct str chain_pem, const struct tls_signer *signer,
                          struct tls_identity **identity_out, char error_out[static TLS_ERROR_MAX])
{
    return identity_make(chain_pem, STR(""), signer, identity_out, error_out);
}

struct tls_identity *
tls_identity_ref(struct tls_identity *identity)
{
    identity->references++;
    return identity;
}

void
tls_identity_unref(struct tls_identity **identity)
{
    struct tls_identity *i = *identity;
    *identity = NULL;
    if (i == NULL || --i->references > 0) {
        return;
    }
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
    sk_X509_pop_free(i->chain, X509_free);
    arena_destroy(&i->arena);
    free(i);
}

/* ---- facts */

size_t
tls_identity_name_count(const struct tls_identity *identity)
{
    return identity->name_count;
}

struct str
tls_identity_name(const struct tls_identity *identity, size_t index)
{
    return identity->names[index];
}

static int64_t
time_ms(const ASN1_TIME *time, int64_t unreadable)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : unreadable;
}

int64_t
tls_identity_not_after_ms(const struct tls_identity *identity)
{
    return time_ms(X509_get0_notAfter(identity->certificate), INT64_MAX);
}

int64_t
tls_identity_not_before_ms(const struct tls_identity *identity)
{
    return time_ms(X509_get0_notBefore(identity->certificate), INT64_MIN);
}

struct x509_st *
tls_identity_certificate(const struct tls_identity *identity)
{
    return identity->certificate;
}

struct evp_pkey_st *
tls_identity_key(const struct tls_identity *identity)
{
    return identity->key;
}

struct stack_st_X509 *
tls_identity_chain(const struct tls_identity *identity)
{
    return identity->chain;
}
