#include "tls/server.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/test_material.h"
#include "tls/test_pair.h"

/* Octets both ways; also what brings TLS 1.3 tickets to the client. */
static void
pair_exchange(struct pair *pair)
{
    char got[16];
    size_t n = 0;
    assert_int_equal(tls_io_write(tls_connection_io(pair->server), STR("220 hello"), &n),
                     STATUS_OK);
    assert_int_equal(n, 9);
    assert_int_equal(SSL_read(pair->client, got, sizeof got), 9);
    assert_int_equal(SSL_write(pair->client, "EHLO", 4), 4);
    assert_int_equal(tls_io_read(tls_connection_io(pair->server), got, 2, &n), STATUS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(tls_io_pending(tls_connection_io(pair->server)), 2);
    assert_int_equal(tls_io_read(tls_connection_io(pair->server), got, sizeof got, &n), STATUS_OK);
    assert_memory_equal(got, "LO", 2);
    assert_int_equal(tls_io_read(tls_connection_io(pair->server), got, sizeof got, &n),
                     STATUS_AGAIN);
    assert_false(tls_io_wants_write(tls_connection_io(pair->server)));
}

/* ---- choosing an identity */

static void
identities_are_found_by_name(void **state)
{
    static const struct {
        const char *name;
        size_t want;
    } rows[] = {
        {"mx.a.example", 0},      {"MX.A.Example", 0}, {"mx.a.example.", 0},
        {"b.example", 1},         {"x.b.example", 1},  {"y.x.b.example", 0},
        {".b.example", 0},        {"unknown", 0},      {"", 0},
        {"special.b.example", 2}, {"*.b.example", 1},
    };
    struct tls_identity *identities[] = {
        test_identity_make("DNS:mx.a.example", false),
        test_identity_make("DNS:b.example,DNS:*.b.example", false),
        test_identity_make("DNS:Special.b.example", false),
    };
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, identities, 3);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t got = tls_server_find_identity(server, str_from_cstr(rows[i].name));
        if (got != rows[i].want) {
            fail_msg("%s: got %zu, want %zu", rows[i].name, got, rows[i].want);
        }
    }
    tls_server_unref(&server);
    for (size_t i = 0; i < 3; i++) {
        tls_identity_unref(&identities[i]);
    }
}

static void
sni_decides_which_certificate_is_shown(void **state)
{
    static const struct {
        const char *sni;
        const char *want;
        int version;
    } rows[] = {
        {"mx.a.example", "mx.a.example", TLS1_3_VERSION},
        {"x.b.example", "x.b.example", TLS1_3_VERSION},
        {"x.b.example", "x.b.example", TLS1_2_VERSION},
        {"other.example", "mx.a.example", TLS1_2_VERSION},
        {NULL, "mx.a.example", TLS1_3_VERSION},
    };
    struct tls_identity *identities[] = {test_identity_make("DNS:mx.a.example", false),
                                         test_identity_make("DNS:*.b.example", true)};
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, identities, 2);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        struct tls_info info;
        pair_open(&pair, server, rows[i].version);
        if (rows[i].sni != NULL) {
            char name[64]; /* the library's macro wants changeable text */
            snprintf(name, sizeof name, "%s", rows[i].sni);
            SSL_set_tlsext_host_name(pair.client, name);
        }
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        X509 *shown = SSL_get1_peer_certificate(pair.client);
        assert_int_equal(X509_check_host(shown, rows[i].want, 0, 0, NULL), 1);
        X509_free(shown);
        tls_connection_info(pair.server, &info);
        assert_string_equal(info.server_name, rows[i].sni != NULL ? rows[i].sni : "");
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identities[0]);
    tls_identity_unref(&identities[1]);
}

static void
a_host_may_have_two_kinds_of_keys(void **state)
{
    static const struct {
        const char *cipher;
        int want;
    } rows[] = {{"ECDHE-RSA-AES256-GCM-SHA384", EVP_PKEY_RSA},
                {"ECDHE-ECDSA-AES256-GCM-SHA384", EVP_PKEY_EC}};
    struct tls_identity *identities[] = {test_identity_make("DNS:mx.a.example", false),
                                         test_identity_make("DNS:mx.a.example", true)};
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, identities, 2);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        pair_open(&pair, server, TLS1_2_VERSION);
        SSL_set_cipher_list(pair.client, rows[i].cipher);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        X509 *shown = SSL_get1_peer_certificate(pair.client);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(shown)), rows[i].want);
        X509_free(shown);
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identities[0]);
    tls_identity_unref(&identities[1]);
}

/* ---- what is agreed, and what is not */

static void
octets_go_both_ways(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        char got[8];
        size_t n;
        pair_open(&pair, server, versions[i]);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        pair_exchange(&pair);
        SSL_shutdown(pair.client);
        assert_int_equal(tls_io_read(tls_connection_io(pair.server), got, sizeof got, &n),
                         STATUS_END);
        tls_io_close_notify(tls_connection_io(pair.server));
        assert_int_equal(SSL_read(pair.client, got, sizeof got), 0);
        assert_int_equal(SSL_get_shutdown(pair.client) & SSL_RECEIVED_SHUTDOWN,
                         SSL_RECEIVED_SHUTDOWN);
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

static void
weak_clients_are_refused(void **state)
{
    static const struct {
        const char *what;
        int version;
        const char *ciphers;
        bool only_1_3;
        enum status want;
    } rows[] = {
        {"defaults", TLS1_2_VERSION, NULL, false, STATUS_OK},
        {"1.2 where 1.3 is the least", TLS1_2_VERSION, NULL, true, STATUS_SYNTAX},
        {"1.3 where 1.3 is the least", TLS1_3_VERSION, NULL, true, STATUS_OK},
        {"no forward secrecy", TLS1_2_VERSION, "AES256-GCM-SHA384", false, STATUS_SYNTAX},
        {"no authenticated encryption", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA", false,
         STATUS_SYNTAX},
    };
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        struct tls_server_settings settings = default_settings();
        settings.only_1_3 = rows[i].only_1_3;
        struct tls_server *server = server_make(&settings, &identity, 1);
        pair_open(&pair, server, rows[i].version);
        if (rows[i].ciphers != NULL) {
            SSL_set_cipher_list(pair.client, rows[i].ciphers);
        }
        pair_handshake(&pair);
        if (pair.status != rows[i].want) {
            fail_msg("%s: got %s (%s)", rows[i].what, status_name(pair.status),
                     tls_io_error(tls_connection_io(pair.server)));
        }
        pair_close(&pair);
        tls_server_unref(&server);
    }
    tls_identity_unref(&identity);
}

static void
renegotiation_is_refused(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct pair pair;
    char got[8];
    size_t n;
    (void)state;
    pair_open(&pair, server, TLS1_2_VERSION);
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    assert_int_equal(SSL_renegotiate(pair.client), 1);
    assert_int_equal(SSL_do_handshake(pair.client), -1); /* sends the request */
    assert_int_equal(tls_io_read(tls_connection_io(pair.server), got, sizeof got, &n),
                     STATUS_AGAIN);
    assert_int_equal(SSL_do_handshake(pair.client), -1);
    assert_int_equal(SSL_get_error(pair.client, -1), SSL_ERROR_SSL); /* the warning: no */
    pair_close(&pair);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

static void
what_is_not_tls_is_told_apart(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct pair pair;
    (void)state;
    pair_open(&pair, server, TLS1_3_VERSION);
    assert_int_equal(write(pair.fds[1], "EHLO client.example\r\n", 21), 21);
    assert_int_equal(tls_io_handshake(tls_connection_io(pair.server)), STATUS_SYNTAX);
    assert_string_not_equal(tls_io_error(tls_connection_io(pair.server)), "connection lost");
    pair_close(&pair);
    pair_open(&pair, server, TLS1_3_VERSION);
    assert_int_equal(shutdown(pair.fds[1], SHUT_WR), 0);
    assert_int_equal(tls_io_handshake(tls_connection_io(pair.server)), STATUS_END);
    pair_close(&pair);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

static void
channel_bindings_are_the_same_on_both_sides(void **state)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct tls_info info;
        unsigned char exporter[TLS_EXPORTER_SIZE];
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n;
        pair_open(&pair, server, versions[i]);
        pair_handshake(&pair);
        tls_connection_info(pair.server, &info);
        assert_string_equal(info.version, SSL_get_version(pair.client));
        assert_string_equal(info.cipher, SSL_get_cipher_name(pair.client));
        assert_true(info.bits >= 128);
        assert_int_equal(info.exporter_length, i == 0 ? 0 : TLS_EXPORTER_SIZE);
        SSL_export_keying_material(pair.client, exporter, sizeof exporter, label, sizeof label - 1,
                                   (const unsigned char *)"", 0, 1);
        if (i == 1) {
            assert_memory_equal(info.exporter, exporter, sizeof exporter);
        }
        X509 *shown = SSL_get1_peer_certificate(pair.client);
        X509_digest(shown, EVP_sha256(), digest, &n);
        X509_free(shown);
        assert_int_equal(info.end_point_length, n);
        assert_memory_equal(info.end_point, digest, n);
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* ---- sessions */

static SSL_SESSION *
session_get(struct tls_server *server, int version)
{
    struct pair pair;
    pair_open(&pair, server, version);
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    pair_exchange(&pair);
    SSL_SESSION *session = SSL_get1_session(pair.client);
    SSL_shutdown(pair.client);
    pair_close(&pair);
    return session;
}

static bool
session_resumes(struct tls_server *server, SSL_SESSION *session, int version)
{
    struct pair pair;
    struct tls_info info;
    pair_open(&pair, server, version);
    SSL_set_session(pair.client, session);
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    tls_connection_info(pair.server, &info);
    assert_int_equal(info.resumed, SSL_session_reused(pair.client));
    SSL_shutdown(pair.client); /* or the client would not offer this session again */
    pair_close(&pair);
    return info.resumed;
}

static void
tickets_are_good_for_their_listener_only(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *mx = server_make(&settings, &identity, 1);
    settings.session_context = STR("submission 587");
    struct tls_server *submission = server_make(&settings, &identity, 1);
    settings.session_tickets = false;
    struct tls_server *without = server_make(&settings, &identity, 1);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_get(mx, versions[i]);
        assert_true(session_resumes(mx, session, versions[i]));
        assert_false(session_resumes(submission, session, versions[i]));
        assert_true(session_resumes(mx, session, versions[i]));
        test_now_ms += settings.session_lifetime_ms * 2;
        assert_false(session_resumes(mx, session, versions[i]));
        SSL_SESSION_free(session);
        session = session_get(without, versions[i]);
        assert_false(session_resumes(without, session, versions[i]));
        SSL_SESSION_free(session);
    }
    tls_server_unref(&mx);
    tls_server_unref(&submission);
    tls_server_unref(&without);
    tls_identity_unref(&identity);
}

static void
a_connection_outlives_its_server(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct pair pair;
    (void)state;
    pair_open(&pair, server, TLS1_3_VERSION);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    pair_exchange(&pair);
    pair_close(&pair);
}

/* ---- settings and identities that cannot be used */

static void
bad_settings_are_refused(void **state)
{
    static const struct {
        const char *groups;
        const char *ciphers;
        const char *ciphersuites;
        enum status want;
    } rows[] = {
        {"X25519:P-256", "ECDHE+AESGCM", "TLS_AES_128_GCM_SHA256", STATUS_OK},
        {"?nonsense:P-256", "", "", STATUS_OK},
        {"P-256:nonsense", "", "", STATUS_SYNTAX},
        {"?nonsense:?no-such", "", "", STATUS_SYNTAX},
        {"", "nonsense", "", STATUS_SYNTAX},
        {"", "", "nonsense", STATUS_SYNTAX},
    };
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[TLS_ERROR_MAX] = "";
        struct tls_server *server = NULL;
        struct tls_server_settings settings = default_settings();
        settings.groups = str_from_cstr(rows[i].groups);
        settings.ciphers = str_from_cstr(rows[i].ciphers);
        settings.ciphersuites = str_from_cstr(rows[i].ciphersuites);
        assert_int_equal(tls_server_create(&settings, &identity, 1, &server, error), rows[i].want);
        assert_int_equal(error[0] != '\0', rows[i].want != STATUS_OK);
        tls_server_unref(&server);
    }
    tls_identity_unref(&identity);
}

static void
bad_identities_are_refused(void **state)
{
    struct test_pem a = test_pem_make("DNS:a.example", false);
    struct test_pem b = test_pem_make("DNS:b.example", false);
    struct str joined = arena_printf(a.arena, "%.*s%.*s", STR_ARG(a.chain), STR_ARG(b.chain));
    struct str broken = arena_printf(a.arena, "%.*s%.*s", STR_ARG(a.chain),
                                     STR_ARG(str_head(b.chain, b.chain.n / 2)));
    const struct {
        struct str chain;
        struct str key;
        enum status want;
    } rows[] = {
        {a.chain, a.key, STATUS_OK},
        {joined, a.key, STATUS_OK},
        {a.chain, b.key, STATUS_SYNTAX},
        {a.key, a.key, STATUS_SYNTAX},
        {a.chain, a.chain, STATUS_SYNTAX},
        {STR(""), a.key, STATUS_SYNTAX},
        {STR("nonsense"), a.key, STATUS_SYNTAX},
        {broken, a.key, STATUS_SYNTAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[TLS_ERROR_MAX] = "";
        struct tls_identity *identity = NULL;
        enum status got = tls_identity_parse(rows[i].chain, rows[i].key, &identity, error);
        if (got != rows[i].want || (got != STATUS_OK && error[0] == '\0')) {
            fail_msg("row %zu: got %s, %s", i, status_name(got), error);
        }
        tls_identity_unref(&identity);
    }
    arena_destroy(&a.arena);
    arena_destroy(&b.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_are_found_by_name),
        cmocka_unit_test(sni_decides_which_certificate_is_shown),
        cmocka_unit_test(a_host_may_have_two_kinds_of_keys),
        cmocka_unit_test(octets_go_both_ways),
        cmocka_unit_test(weak_clients_are_refused),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(what_is_not_tls_is_told_apart),
        cmocka_unit_test(channel_bindings_are_the_same_on_both_sides),
        cmocka_unit_test(tickets_are_good_for_their_listener_only),
        cmocka_unit_test(a_connection_outlives_its_server),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(bad_identities_are_refused),
    };
    if (tls_library_init() != STATUS_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
