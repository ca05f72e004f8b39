/* The server's side of TLS: what is agreed on beside certificates, and resumed sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/library.h"
#include "tls/test_material.h"
#include "tls/test_pair.h"

/* RFC 7301 3.2: a browser that was sent here names other protocols; mail clients name none. */
static void
alpn_is_smtp_or_nothing(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    static const struct {
        struct str offered;
        bool taken;
    } rows[] = {
        {STR_INIT("\x04smtp"), true},
        {STR_INIT("\x02h2\x08http/1.1\x04smtp"), true},
        {STR_INIT("\x02h2\x08http/1.1"), false},
        {STR_INIT("\x04imap"), false},
        {STR_INIT("\x04SMTP"), false},
        {STR_INIT("\x05smtps"), false},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        const struct str *offered = &rows[i / 2].offered;
        pair_open(&pair, server, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
        SSL_set_alpn_protos(pair.client, (const unsigned char *)offered->p, (unsigned)offered->n);
        pair_handshake(&pair);
        assert_int_equal(pair.status, rows[i / 2].taken ? STATUS_OK : STATUS_SYNTAX);
        if (rows[i / 2].taken) {
            const unsigned char *chosen;
            unsigned n;
            SSL_get0_alpn_selected(pair.client, &chosen, &n);
            assert_int_equal(n, 4);
            assert_memory_equal(chosen, "smtp", 4);
        } else {
            assert_string_equal(tls_io_error(tls_connection_io(pair.server)),
                                "no application protocol");
        }
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* What the client has sent is seen before it is read; a key update is not input. */
static void
input_is_seen_before_it_is_read(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct pair pair;
    char got[16];
    char part[8];
    size_t n;
    (void)state;
    pair_open(&pair, server, TLS1_3_VERSION);
    pair_handshake(&pair);
    struct tls_io *io = tls_connection_io(pair.server);
    assert_false(tls_io_input_waits(io));
    assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(pair.client), 1);
    assert_false(tls_io_input_waits(io));
    assert_int_equal(SSL_write(pair.client, "EHLO", 4), 4);
    assert_true(tls_io_input_waits(io));
    assert_true(tls_io_input_waits(io));
    assert_int_equal(tls_io_read(io, got, sizeof got, &n), STATUS_OK);
    assert_int_equal(n, 4);
    assert_false(tls_io_input_waits(io));
    /* The beginning of a record shows that somebody speaks. */
    memcpy(part, "\x17\x03\x03\x00\x20x", 6);
    assert_int_equal(write(pair.fds[1], part, 6), 6);
    assert_true(tls_io_input_waits(io));
    pair_close(&pair);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* ---- groups */

static void
groups_with_a_question_mark_are_used_where_they_are_known(void **state)
{
    static const struct {
        const char *groups;
        int want;
    } rows[] = {
        {"?X25519:P-256", NID_X25519},
        {"?no-such-group:P-256", NID_X9_62_prime256v1},
        {"?no-such-group:?P-384:?nor-this", NID_secp384r1},
        {"?P-256", NID_X9_62_prime256v1},
    };
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        struct tls_server_settings settings = default_settings();
        char offered[] = "X25519:P-256:P-384";
        settings.groups = str_from_cstr(rows[i / 2].groups);
        struct tls_server *server = server_make(&settings, &identity, 1);
        pair_open(&pair, server, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
        assert_int_equal(SSL_set1_groups_list(pair.client, offered), 1);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        assert_int_equal(SSL_get_negotiated_group(pair.client), rows[i / 2].want);
        pair_close(&pair);
        tls_server_unref(&server);
    }
    tls_identity_unref(&identity);
}

/* ---- cipher suites of TLS 1.2 */

static void
where_clear_text_is_taken_more_suites_are(void **state)
{
    static const struct {
        const char *cipher;
        bool always;
        bool opportunistic;
    } rows[] = {
        {"ECDHE-RSA-AES256-GCM-SHA384", true, true},
        {"ECDHE-RSA-CHACHA20-POLY1305", true, true},
        {"DHE-RSA-AES128-GCM-SHA256", false, true},
        {"ECDHE-RSA-AES256-SHA384", false, true},
        {"ECDHE-RSA-AES128-SHA", false, true},
        {"DHE-RSA-AES256-SHA256", false, true},
        {"DHE-RSA-AES128-SHA", false, true},
        /* RSA key exchange: doc/decisions/0020-tls-keys.md */
        {"AES256-GCM-SHA384", false, false},
        {"AES128-SHA256", false, false},
        {"AES256-SHA", false, false},
        {"AECDH-AES256-SHA:@SECLEVEL=0", false, false},
        {"ADH-AES128-GCM-SHA256:@SECLEVEL=0", false, false},
        {"NULL-SHA256:@SECLEVEL=0", false, false},
        {"ECDHE-RSA-NULL-SHA:@SECLEVEL=0", false, false},
    };
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", true);
    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct pair pair;
        struct tls_server_settings settings = default_settings();
        settings.opportunistic = i % 2 == 1;
        bool want = settings.opportunistic ? rows[i / 2].opportunistic : rows[i / 2].always;
        struct tls_server *server = server_make(&settings, &identity, 1);
        pair_open(&pair, server, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(pair.client, rows[i / 2].cipher), 1);
        pair_handshake(&pair);
        if ((pair.status == STATUS_OK) != want) {
            fail_msg("%s, %zu", rows[i / 2].cipher, i % 2);
        }
        pair_close(&pair);
        tls_server_unref(&server);
    }
    tls_identity_unref(&identity);
}

/* ---- resumed sessions */

struct seen {
    SSL_SESSION *session;
    struct tls_info info;
};

/* One connection; with `before` it resumes that session. What came of it, the session too. */
static void
connect_once(struct tls_server *server, int version, const char *name, const char *sigalgs,
             const struct seen *before, struct seen *seen_out)
{
    struct pair pair;
    char sni[64];
    char list[64];
    char octet;
    size_t n;
    snprintf(sni, sizeof sni, "%s", name);
    pair_open(&pair, server, version);
    SSL_set_tlsext_host_name(pair.client, sni);
    if (sigalgs != NULL) {
        snprintf(list, sizeof list, "%s", sigalgs);
        assert_int_equal(SSL_set1_sigalgs_list(pair.client, list), 1);
    }
    if (before != NULL) {
        SSL_set_session(pair.client, before->session);
    }
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    assert_int_equal(tls_io_write(tls_connection_io(pair.server), STR("x"), &n), STATUS_OK);
    assert_int_equal(SSL_read(pair.client, &octet, 1), 1); /* and the tickets of TLS 1.3 */
    tls_connection_info(pair.server, &seen_out->info);
    seen_out->session = SSL_get1_session(pair.client);
    SSL_shutdown(pair.client);
    pair_close(&pair);
}

/* What a client knows the server by: the digest of the certificate that it has seen. */
static void
assert_bound_to(const struct tls_info *info, const struct tls_identity *identity)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    assert_int_equal(X509_digest(tls_identity_certificate(identity), EVP_sha256(), digest, &n), 1);
    assert_int_equal(info->end_point_length, n);
    assert_memory_equal(info->end_point, digest, n);
}

static void
a_resumed_session_is_bound_to_the_certificate_it_began_with(void **state)
{
    static const struct {
        const char *name;
        const char *sigalgs;
        size_t identity;
    } rows[] = {
        {"mx.a.example", "ECDSA+SHA256", 0},
        {"mx.a.example", "RSA-PSS+SHA256:RSA+SHA256", 1},
        {"mx.b.example", NULL, 2},
        {"unknown.example", "ECDSA+SHA256", 0},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_identity *identities[] = {
        test_identity_make("DNS:mx.a.example", false),
        test_identity_make("DNS:mx.a.example", true),
        test_identity_make("DNS:mx.b.example", false),
    };
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, identities, 3);
    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct seen seen[3];
        const char *name = rows[i / 2].name;
        for (size_t k = 0; k < 3; k++) { /* the third resumes with the second's ticket */
            connect_once(server, versions[i % 2], name, rows[i / 2].sigalgs,
                         k > 0 ? &seen[k - 1] : NULL, &seen[k]);
            assert_int_equal(seen[k].info.resumed, k > 0);
            assert_bound_to(&seen[k].info, identities[rows[i / 2].identity]);
        }
        for (size_t k = 0; k < 3; k++) {
            SSL_SESSION_free(seen[k].session);
        }
    }
    tls_server_unref(&server);
    for (size_t i = 0; i < 3; i++) {
        tls_identity_unref(&identities[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpn_is_smtp_or_nothing),
        cmocka_unit_test(input_is_seen_before_it_is_read),
        cmocka_unit_test(groups_with_a_question_mark_are_used_where_they_are_known),
        cmocka_unit_test(where_clear_text_is_taken_more_suites_are),
        cmocka_unit_test(a_resumed_session_is_bound_to_the_certificate_it_began_with),
    };
    if (tls_library_init() != STATUS_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
