#include "tls/server.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "tls/io_internal.h"
#include "tls/setting.h"
#include "tls/ticket.h"

/* RSA from 2048 bits, curves from 224: OpenSSL's 112-bit level. */
#define SECURITY_LEVEL 2

/* A host name and who serves it. */
struct host {
    struct str name; /* of the identity */
    size_t identity;
};

struct tls_server {
    unsigned references;
    SSL_CTX *context; /* without certificates: choose_identity puts them in */
    struct tls_identity **identities;
    size_t identity_count;
    struct host *hosts; /* by name, then by identity */
    size_t host_count;
    struct tls_ticket_ring tickets;
    int64_t (*monotonic_ms)(void);
};

struct tls_connection {
    struct tls_io io;
    struct tls_server *server;
};

/* ---- SNI */

static int
host_compare(const void *a, const void *b)
{
    const struct host *x = a;
    const struct host *y = b;
    int order = str_cmp(x->name, y->name);
    return order != 0 ? order : (x->identity > y->identity) - (x->identity < y->identity);
}

static void
server_index_hosts(struct tls_server *server)
{
    size_t total = 0;
    for (size_t i = 0; i < server->identity_count; i++) {
        total += tls_identity_name_count(server->identities[i]);
    }
    server->hosts = calloc(total + 1, sizeof *server->hosts);
    if (server->hosts == NULL) {
        abort();
    }
    for (size_t i = 0; i < server->identity_count; i++) {
        for (size_t n = 0; n < tls_identity_name_count(server->identities[i]); n++) {
            server->hosts[server->host_count++] =
                (struct host){tls_identity_name(server->identities[i], n), i};
        }
    }
    qsort(server->hosts, server->host_count, sizeof *server->hosts, host_compare);
}

/* The first entry of that exact name (in lower case), or NULL. */
static const struct host *
server_find_host(const struct tls_server *server, struct str name)
{
    size_t low = 0;
    size_t high = server->host_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(server->hosts[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < server->host_count && str_eq(server->hosts[low].name, name);
    return found ? &server->hosts[low] : NULL;
}

/* The entry for a host: by its own name, else by the wildcard one label up. */
static const struct host *
server_match_host(const struct tls_server *server, struct str host_name)
{
    char lower[TLS_HOST_NAME_MAX + 1];
    if (host_name.n > 0 && host_name.p[host_name.n - 1] == '.') {
        host_name.n--;
    }
    if (host_name.n == 0 || host_name.n > TLS_HOST_NAME_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < host_name.n; i++) {
        lower[i] = char_lower(host_name.p[i]);
    }
    struct str name = str_make(lower, host_name.n);
    const struct host *host = server_find_host(server, name);
    size_t dot = str_find_char(name, '.');
    if (host != NULL || dot == STR_NPOS || dot == 0) {
        return host;
    }
    lower[dot - 1] = '*';
    return server_find_host(server, str_skip(name, dot - 1));
}

size_t
tls_server_find_identity(const struct tls_server *server, struct str host_name)
{
    const struct host *host = server_match_host(server, host_name);
    return host != NULL ? host->identity : 0;
}

static bool
use_identity(SSL *ssl, const struct tls_identity *identity)
{
    return SSL_use_cert_and_key(ssl, tls_identity_certificate(identity), tls_identity_key(identity),
                                tls_identity_chain(identity), 1) == 1;
}

/*
 * Called when the ClientHello of a full handshake has been read. All identities of the wanted name
 * are put in, so that a host may have both an RSA and an elliptic curve certificate.
 */
static int
choose_identity(SSL *ssl, void *context)
{
    const struct tls_server *server = context;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct host *host = server_match_host(server, str_from_cstr(wanted));
    if (host == NULL && tls_identity_name_count(server->identities[0]) > 0) {
        host = server_find_host(server, tls_identity_name(server->identities[0], 0));
    }
    if (host == NULL) {
        return use_identity(ssl, server->identities[0]) ? 1 : 0;
    }
    const struct host *end = server->hosts + server->host_count;
    int done = 0;
    /* The last of a key type wins in OpenSSL: put the first one in last. */
    const struct host *last = host;
    while (last + 1 < end && str_eq(last[1].name, host->name)) {
        last++;
    }
    for (; last >= host; last--) {
        done |= use_identity(ssl, server->identities[last->identity]) ? 1 : 0;
    }
    return done;
}

/* OpenSSL calls this so that the extension counts as understood; choosing happens above. */
static int
acknowledge_server_name(SSL *ssl, int *alert, void *context)
{
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    return server_match_host(context, str_from_cstr(wanted)) != NULL ? SSL_TLSEXT_ERR_OK
                                                                     : SSL_TLSEXT_ERR_NOACK;
}

/* ---- ALPN */

/*
 * RFC 7301 3.2: a client that names other protocols only (a browser that was sent here) is refused
 * with no_application_protocol; one that names none is any mail client.
 */
static int
choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                const unsigned char *offered, unsigned offered_length, void *context)
{
    static const unsigned char smtp[] = {4, 's', 'm', 't', 'p'};
    unsigned char *found;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&found, chosen_length, smtp, sizeof smtp, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- tickets */

static bool
ticket_start(const struct tls_ticket_key *key, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
             unsigned char *iv, bool seal)
{
    unsigned char mac_key[TLS_TICKET_KEY_SIZE];
    char digest[] = "SHA256";
    memcpy(mac_key, key->mac_key, sizeof mac_key);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool done = EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher_key, iv, seal ? 1 : 0,
                                   NULL) == 1 &&
                EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(mac_key, sizeof mac_key);
    return done;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 done, 2 done but renew, 0 not ours, -1 failure. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
          EVP_MAC_CTX *mac, int seal)
{
    struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    int64_t now_ms = server->monotonic_ms();
    const struct tls_ticket_key *key;
    if (seal != 0) {
        key = tls_ticket_ring_seal(&server->tickets, now_ms);
        memcpy(name, key->name, sizeof key->name);
        random_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
        return ticket_start(key, cipher, mac, iv, true) ? 1 : -1;
    }
    enum tls_ticket_use use = tls_ticket_ring_open(&server->tickets, name, now_ms, &key);
    if (use == TLS_TICKET_UNKNOWN) {
        return 0;
    }
    if (!ticket_start(key, cipher, mac, iv, false)) {
        return -1;
    }
    return use == TLS_TICKET_RENEW ? 2 : 1;
}

/* ---- which certificate a session began with */

/* RFC 5929 4.1: the digest of the certificate's own signature, SHA-256 for weaker ones. */
static size_t
server_end_point(X509 *certificate, unsigned char out[TLS_END_POINT_MAX])
{
    int digest_nid = NID_undef;
    unsigned n = 0;
    if (certificate == NULL ||
        X509_get_signature_info(certificate, &digest_nid, NULL, NULL, NULL) != 1 ||
        digest_nid == NID_undef) {
        ERR_clear_error();
        return 0;
    }
    if (digest_nid == NID_md5 || digest_nid == NID_sha1 || digest_nid == NID_md5_sha1) {
        digest_nid = NID_sha256;
    }
    const EVP_MD *digest = EVP_get_digestbynid(digest_nid);
    if (digest == NULL || X509_digest(certificate, digest, out, &n) != 1) {
        ERR_clear_error();
        return 0;
    }
    return n;
}

/* Into each new ticket: which certificate was shown. One that renews another keeps its note. */
static int
note_certificate(SSL *ssl, void *context)
{
    unsigned char end_point[TLS_END_POINT_MAX];
    (void)context;
    if (SSL_session_reused(ssl) == 1) {
        return 1;
    }
    size_t n = server_end_point(SSL_get_certificate(ssl), end_point);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), end_point, n);
}

/* A resumed session shows no certificate, and SSL_get_certificate tells of any. */
static size_t
resumed_end_point(SSL *ssl, unsigned char out[TLS_END_POINT_MAX])
{
    void *noted = NULL;
    size_t n = 0;
    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &noted, &n) != 1 || noted == NULL ||
        n > TLS_END_POINT_MAX) {
        return 0;
    }
    memcpy(out, noted, n);
    return n;
}

/* ---- contexts */

static bool
apply_session_context(SSL_CTX *context, struct str name)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    return EVP_Digest(name.p, name.n, digest, &n, EVP_sha256(), NULL) == 1 &&
           SSL_CTX_set_session_id_context(context, digest, n) == 1;
}

static void
server_apply_modes(struct tls_server *server, const struct tls_server_settings *settings)
{
    SSL_CTX *context = server->context;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    if (settings->prefer_server_order) {
        SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_cb(context, choose_identity, server);
    SSL_CTX_set_tlsext_servername_callback(context, acknowledge_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, server);
    SSL_CTX_set_dh_auto(context, 1); /* for suites with DHE, where they are taken */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_app_data(context, server);
    /* Sessions live in tickets only; a cache here would be one more thing to bound. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (!settings->session_tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
        return;
    }
    SSL_CTX_set_num_tickets(context, 1); /* an SMTP client comes back one connection at a time */
    SSL_CTX_set_timeout(context, (long)(settings->session_lifetime_ms / 1000));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_session_ticket_cb(context, note_certificate, NULL, NULL);
}

static enum status
server_configure(struct tls_server *server, const struct tls_server_settings *settings,
                 char error_out[TLS_ERROR_MAX])
{
    SSL_CTX *context = server->context;
    const char *failed = NULL;
    server_apply_modes(server, settings);
    if (SSL_CTX_set_min_proto_version(context,
                                      settings->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
        failed = "minimum version";
    } else if (!tls_setting_text(context, settings->ciphers,
                                 settings->opportunistic ? TLS_SERVER_CIPHERS_OPPORTUNISTIC
                                                         : TLS_SERVER_CIPHERS,
                                 tls_setting_server_ciphers)) {
        failed = "ciphers";
    } else if (!tls_setting_text(context, settings->ciphersuites, NULL, SSL_CTX_set_ciphersuites)) {
        failed = "ciphersuites";
    } else if (!tls_setting_text(context, settings->groups, NULL, tls_setting_groups)) {
        failed = "groups";
    } else if (!apply_session_context(context, settings->session_context)) {
        failed = "session context";
    }
    if (failed != NULL) {
        tls_error_take(failed, error_out);
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

static void
server_take_identities(struct tls_server *server, struct tls_identity *const *identities,
                       size_t count)
{
    server->identities = calloc(count, sizeof(struct tls_identity *));
    if (server->identities == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        server->identities[i] = tls_identity_ref(identities[i]);
    }
    server->identity_count = count;
    server_index_hosts(server);
}

enum status
tls_server_create(const struct tls_server_settings *settings,
                  struct tls_identity *const *identities, size_t count,
                  struct tls_server **server_out, char error_out[static TLS_ERROR_MAX])
{
    if (count == 0 || count > TLS_IDENTITIES_MAX) {
        snprintf(error_out, TLS_ERROR_MAX, "%zu certificates; 1 to %d are possible", count,
                 TLS_IDENTITIES_MAX);
        return STATUS_LIMIT;
    }
    struct tls_server *server = calloc(1, sizeof *server);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (server == NULL || context == NULL) {
        abort();
    }
    server->references = 1;
    server->context = context;
    server->monotonic_ms =
        settings->monotonic_ms != NULL ? settings->monotonic_ms : clock_monotonic_ms;
    tls_ticket_ring_init(&server->tickets, settings->session_lifetime_ms, server->monotonic_ms());
    server_take_identities(server, identities, count);
    enum status status = server_configure(server, settings, error_out);
    if (status != STATUS_OK) {
        tls_server_unref(&server);
        return status;
    }
    *server_out = server;
    return STATUS_OK;
}

struct tls_server *
tls_server_ref(struct tls_server *server)
{
    server->references++;
    return server;
}

void
tls_server_unref(struct tls_server **server)
{
    struct tls_server *s = *server;
    *server = NULL;
    if (s == NULL || --s->references > 0) {
        return;
    }
    SSL_CTX_free(s->context);
    for (size_t i = 0; i < s->identity_count; i++) {
        tls_identity_unref(&s->identities[i]);
    }
    free(s->identities);
    free(s->hosts);
    tls_ticket_ring_fini(&s->tickets);
    free(s);
}

/* ---- connections */

enum status
tls_connection_create(struct tls_server *server, int fd, struct tls_connection **connection_out)
{
    struct tls_connection *connection = calloc(1, sizeof *connection);
    SSL *ssl = SSL_new(server->context);
    if (connection == NULL || ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        free(connection);
        SSL_free(ssl);
        ERR_clear_error();
        return STATUS_LIMIT;
    }
    SSL_set_accept_state(ssl);
    connection->io.ssl = ssl;
    connection->server = tls_server_ref(server);
    *connection_out = connection;
    return STATUS_OK;
}

void
tls_connection_destroy(struct tls_connection **connection)
{
    struct tls_connection *c = *connection;
    *connection = NULL;
    if (c == NULL) {
        return;
    }
    SSL_free(c->io.ssl);
    tls_server_unref(&c->server);
    free(c);
}

struct tls_io *
tls_connection_io(struct tls_connection *connection)
{
    return &connection->io;
}

void
tls_connection_info(const struct tls_connection *connection, struct tls_info *info_out)
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 2, with empty context */
    SSL *ssl = connection->io.ssl;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    *info_out = (struct tls_info){
        .version = SSL_get_version(ssl),
        .cipher = SSL_get_cipher_name(ssl),
        .bits = (unsigned)SSL_get_cipher_bits(ssl, NULL),
        .resumed = SSL_session_reused(ssl) == 1,
    };
    if (name != NULL) {
        snprintf(info_out->server_name, sizeof info_out->server_name, "%s", name);
    }
    if (SSL_version(ssl) >= TLS1_3_VERSION &&
        SSL_export_keying_material(ssl, info_out->exporter, sizeof info_out->exporter, label,
                                   sizeof label - 1, (const unsigned char *)"", 0, 1) == 1) {
        info_out->exporter_length = sizeof info_out->exporter;
    }
    info_out->end_point_length =
        info_out->resumed ? resumed_end_point(ssl, info_out->end_point)
                          : server_end_point(SSL_get_certificate(ssl), info_out->end_point);
}
