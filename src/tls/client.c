#include "tls/client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/ip.h"
#include "tls/io_internal.h"
#include "tls/setting.h"

/*
 * Servers that are older than their operators know: 1024-bit RSA and SHA-1 signatures are worth
 * more than the clear text that would follow a refusal.
 */
#define SECURITY_LEVEL 1

struct tls_client {
    atomic_uint references;
    SSL_CTX *context;
};

struct tls_stream {
    struct tls_io io;
    struct tls_client *client;
    char host[TLS_HOST_NAME_MAX + 1]; /* empty: none */
    bool host_is_ip;
};

/* ---- contexts */

/* Certificates that cannot be read are left out: one bad root must not end all trust. */
static bool
apply_trust(SSL_CTX *context, struct str pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509 *certificate;
    if (str_is_empty(pem)) {
        return true;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio == NULL) {
        return false;
    }
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return true;
}

size_t
tls_trust_count(struct str pem)
{
    size_t count = 0;
    X509 *certificate;
    BIO *bio = pem.n > 0 && pem.n <= TLS_TRUST_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    while (bio != NULL && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count++;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static enum status
client_configure(SSL_CTX *context, const struct tls_client_settings *settings,
                 char error_out[TLS_ERROR_MAX])
{
    const char *failed = NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    /* The library verifies all the same and keeps the result for tls_stream_facts. */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(context,
                                      settings->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
        failed = "minimum version";
    } else if (!tls_setting_text(context, settings->ciphers, TLS_CLIENT_CIPHERS,
                                 SSL_CTX_set_cipher_list)) {
        failed = "ciphers";
    } else if (!tls_setting_text(context, settings->ciphersuites, NULL, SSL_CTX_set_ciphersuites)) {
        failed = "ciphersuites";
    } else if (!tls_setting_text(context, settings->groups, NULL, tls_setting_groups)) {
        failed = "groups";
    } else if (!apply_trust(context, settings->trust_pem)) {
        failed = "trusted certificates";
    } else if (!tls_dane_prepare(context)) {
        failed = "DANE";
    }
    if (failed != NULL) {
        tls_error_take(failed, error_out);
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

enum status
tls_client_create(const struct tls_client_settings *settings, struct tls_client **client_out,
                  char error_out[static TLS_ERROR_MAX])
{
    if (settings->trust_pem.n > TLS_TRUST_PEM_MAX) {
        snprintf(error_out, TLS_ERROR_MAX, "more than %u octets of trusted certificates",
                 TLS_TRUST_PEM_MAX);
        return STATUS_LIMIT;
    }
    struct tls_client *client = calloc(1, sizeof *client);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (client == NULL || context == NULL) {
        abort();
    }
    client->context = context;
    atomic_init(&client->references, 1);
    enum status status = client_configure(context, settings, error_out);
    if (status != STATUS_OK) {
        tls_client_unref(&client);
        return status;
    }
    *client_out = client;
    return STATUS_OK;
}

struct tls_client *
tls_client_ref(struct tls_client *client)
{
    atomic_fetch_add(&client->references, 1);
    return client;
}

void
tls_client_unref(struct tls_client **client)
{
    struct tls_client *c = *client;
    *client = NULL;
    if (c == NULL || atomic_fetch_sub(&c->references, 1) > 1) {
        return;
    }
    SSL_CTX_free(c->context);
    free(c);
}

/* ---- streams */

/*
 * Keeps the host for the facts and tells it to the server. The library is not told to compare it:
 * it would stop at a wrong name, before signatures and dates are checked.
 */
static bool
set_host(struct tls_stream *stream, SSL *ssl, struct str host)
{
    struct ip_address ip;
    if (host.n > TLS_HOST_NAME_MAX || str_contains_char(host, '\0')) {
        return false;
    }
    memcpy(stream->host, host.p, host.n);
    stream->host_is_ip = ip_parse(host, &ip) == STATUS_OK;
    return stream->host_is_ip || SSL_set_tlsext_host_name(ssl, stream->host) == 1;
}

enum status
tls_stream_create(struct tls_client *client, int fd, struct str host,
                  struct tls_stream **stream_out)
{
    struct tls_stream *stream = calloc(1, sizeof *stream);
    SSL *ssl = SSL_new(client->context);
    enum status status = STATUS_OK;
    if (stream == NULL || ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        status = STATUS_LIMIT;
    } else if (host.n > 0 && !set_host(stream, ssl, host)) {
        status = STATUS_SYNTAX;
    }
    if (status != STATUS_OK) {
        free(stream);
        SSL_free(ssl);
        ERR_clear_error();
        return status;
    }
    SSL_set_connect_state(ssl);
    stream->io.ssl = ssl;
    stream->client = tls_client_ref(client);
    *stream_out = stream;
    return STATUS_OK;
}

void
tls_stream_destroy(struct tls_stream **stream)
{
    struct tls_stream *s = *stream;
    *stream = NULL;
    if (s == NULL) {
        return;
    }
    SSL_free(s->io.ssl);
    tls_client_unref(&s->client);
    free(s);
}

struct tls_io *
tls_stream_io(struct tls_stream *stream)
{
    return &stream->io;
}

enum status
tls_stream_compare(struct tls_stream *stream, const struct tls_dane *dane)
{
    return tls_dane_apply(stream->io.ssl, dane);
}

/* ---- facts */

static int64_t
not_after_ms(const X509 *certificate)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1) {
        return INT64_MAX;
    }
    return (int64_t)timegm(&tm) * 1000;
}

/* `flags` besides the ones that are always set. */
static bool
certificate_is_for(X509 *certificate, const struct tls_stream *stream, unsigned flags)
{
    if (stream->host[0] == '\0') {
        return false;
    }
    if (stream->host_is_ip) {
        return X509_check_ip_asc(certificate, stream->host, 0) == 1;
    }
    return X509_check_host(certificate, stream->host, 0,
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | flags, NULL) == 1;
}

static enum tls_problem
problem_of(long verdict)
{
    switch (verdict) {
    case X509_V_OK:
        return TLS_PROBLEM_NONE;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return TLS_PROBLEM_EXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return TLS_PROBLEM_NAME;
    case X509_V_ERR_DANE_NO_MATCH:
        return TLS_PROBLEM_NO_MATCH;
    default:
        return TLS_PROBLEM_UNTRUSTED;
    }
}

static void
fingerprint_make(const X509 *certificate, unsigned char out[TLS_FINGERPRINT_SIZE])
{
    unsigned n = 0;
    (void)X509_digest(certificate, EVP_sha256(), out, &n);
}

static void
tell_chain(SSL *ssl, struct tls_facts *facts)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain) && facts->chain_count < TLS_CHAIN_TOLD_MAX; i++) {
        fingerprint_make(sk_X509_value(chain, i), facts->chain[facts->chain_count++]);
    }
}

static const char *
group_of(SSL *ssl)
{
    int group = (int)SSL_get_negotiated_group(ssl);
    const char *name = group != 0 ? SSL_group_to_name(ssl, group) : NULL;
    return name != NULL ? name : "";
}

void
tls_stream_facts(const struct tls_stream *stream, struct tls_facts *facts_out)
{
    SSL *ssl = stream->io.ssl;
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    long verdict = SSL_get_verify_result(ssl);
    struct tls_facts facts = {.version = SSL_get_version(ssl),
                              .cipher = SSL_get_cipher_name(ssl),
                              .group = group_of(ssl),
                              .bits = (unsigned)SSL_get_cipher_bits(ssl, NULL),
                              .problem = TLS_PROBLEM_UNTRUSTED,
                              .trust_error = ""};
    if (certificate == NULL) {
        facts.trust_error = "no certificate";
        *facts_out = facts;
        return;
    }
    facts.name_matches = certificate_is_for(certificate, stream, 0);
    facts.alternative_name_matches =
        certificate_is_for(certificate, stream, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    facts.trusted = verdict == X509_V_OK;
    facts.problem = problem_of(verdict);
    if (!facts.trusted) {
        facts.trust_error = X509_verify_cert_error_string(verdict);
    }
    facts.not_after_ms = not_after_ms(certificate);
    fingerprint_make(certificate, facts.fingerprint);
    tell_chain(ssl, &facts);
    facts.dane_depth = tls_dane_matched(ssl, &facts.tlsa);
    facts.dane_matched = facts.dane_depth >= 0;
    ERR_clear_error();
    *facts_out = facts;
}
