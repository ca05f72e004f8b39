/* The server's side of TLS: what is agreed on beside certificates, and resumed sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpn_is_smtp_or_nothing),
        cmocka_unit_test(input_is_seen_before_it_is_read),
    };
    if (tls_library_init() != STATUS_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
