#include "tls/self_signed.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/ip.h"

/* X.520's bound on a common name; longer host names stand in subjectAltName only. */
#define COMMON_NAME_MAX 64
#define DNS_NAME_MAX    253
/* RFC 5280 4.1.2.2: at most 20 octets, positive. */
#define SERIAL_BITS     159

static bool
host_name_is_plain(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!char_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '.') {
            return false;
        }
    }
    return name.n > 0 && name.n <= DNS_NAME_MAX;
}

static bool
set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool done = number != NULL &&
                BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool
set_times(X509 *certificate, int64_t wall_ms)
{
    time_t now = (time_t)(wall_ms / 1000);
    /* Clocks differ: a certificate of the future is refused by those who are behind. */
    return X509_time_adj_ex(X509_getm_notBefore(certificate), -1, 0, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(certificate), TLS_SELF_SIGNED_DAYS, 0, &now) != NULL;
}

static bool
set_names(X509 *certificate, struct str hostname)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    const unsigned char *text = (const unsigned char *)hostname.p;
    if (hostname.n <= COMMON_NAME_MAX &&
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, text, (int)hostname.n, -1,
                                   0) != 1) {
        return false;
    }
    return X509_set_issuer_name(certificate, subject) == 1;
}

static GENERAL_NAME *
general_name_make(struct str hostname)
{
    struct ip_address ip;
    bool is_ip = ip_parse(hostname, &ip) == STATUS_OK;
    size_t skipped = is_ip && ip_is_v4(&ip) ? 12 : 0;
    struct str octets =
        is_ip ? str_make((const char *)ip.octets + skipped, sizeof ip.octets - skipped) : hostname;
    ASN1_STRING *value = is_ip ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (value == NULL || name == NULL || ASN1_STRING_set(value, octets.p, (int)octets.n) != 1) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(name);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, is_ip ? GEN_IPADD : GEN_DNS, value);
    return name;
}

static bool
add_alternative_name(X509 *certificate, struct str hostname)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = general_name_make(hostname);
    /* RFC 5280 4.2.1.6: critical when the subject is empty. */
    int critical = hostname.n > COMMON_NAME_MAX ? 1 : 0;
    bool done = names != NULL && name != NULL && sk_GENERAL_NAME_push(names, name) > 0;
    if (!done) {
        GENERAL_NAME_free(name);
    }
    done = done && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical,
                                     X509V3_ADD_DEFAULT) == 1;
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return done;
}

static bool
add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static X509 *
certificate_make(EVP_PKEY *key, struct str hostname, int64_t wall_ms)
{
    X509 *certificate = X509_new();
    if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) && set_times(certificate, wall_ms) &&
        set_names(certificate, hostname) && X509_set_pubkey(certificate, key) == 1 &&
        add_alternative_name(certificate, hostname) &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
        add_extension(certificate, NID_subject_key_identifier, "hash") &&
        X509_sign(certificate, key, EVP_sha256()) > 0) {
        return certificate;
    }
    X509_free(certificate);
    return NULL;
}

/* Takes what was written into a memory BIO, wiping it there. */
static enum status
bio_take(struct arena *arena, BIO *bio, struct str *out)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    struct str copy = arena_str_dup(arena, str_make(data, (size_t)n));
    OPENSSL_cleanse(data, (size_t)n);
    if (copy.p == NULL) {
        return STATUS_LIMIT;
    }
    *out = copy;
    return STATUS_OK;
}

static enum status
write_pem(struct arena *arena, X509 *certificate, EVP_PKEY *key, struct str *certificate_pem_out,
          struct str *key_pem_out)
{
    struct str certificate_pem;
    struct str key_pem;
    BIO *certificate_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    enum status status = STATUS_IO;
    if (certificate_bio != NULL && key_bio != NULL &&
        PEM_write_bio_X509(certificate_bio, certificate) == 1 &&
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        status = bio_take(arena, certificate_bio, &certificate_pem);
    }
    if (status == STATUS_OK) {
        status = bio_take(arena, key_bio, &key_pem);
    }
    if (status == STATUS_OK) {
        *certificate_pem_out = certificate_pem;
        *key_pem_out = key_pem;
    }
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    return status;
}

enum status
tls_self_signed_create(struct arena *arena, struct str hostname, int64_t wall_ms,
                       struct str *certificate_pem_out, struct str *key_pem_out)
{
    struct ip_address ip;
    if (!host_name_is_plain(hostname) && ip_parse(hostname, &ip) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    enum status status = STATUS_IO;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key != NULL ? certificate_make(key, hostname, wall_ms) : NULL;
    if (certificate != NULL) {
        status = write_pem(arena, certificate, key, certificate_pem_out, key_pem_out);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return status;
}
