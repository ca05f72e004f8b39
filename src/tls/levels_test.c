/* What is too weak for either side: versions, keys, suites without a certificate. */
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/client.h"
#include "tls/test_material.h"
#include "tls/test_pair.h"

/* ---- our server, a client that takes everything */

struct weak_client {
    int version;
    const char *ciphers; /* of TLS 1.2; NULL: the library's */
    unsigned rsa_bits;   /* of the server's key */
    bool only_1_3;
};

static bool
is_served(const struct weak_client *c)
{
    struct test_pem pem = test_pem_make_rsa("DNS:mx.example", c->rsa_bits);
    struct tls_identity *identity = NULL;
    struct tls_server_settings settings = default_settings();
    char error[TLS_ERROR_MAX] = "";
    struct pair pair;
    settings.only_1_3 = c->only_1_3;
    assert_int_equal(tls_identity_parse(pem.chain, pem.key, &identity, error), STATUS_OK);
    struct tls_server *server = server_make(&settings, &identity, 1);
    pair_open(&pair, server, c->version);
    SSL_set_security_level(pair.client, 0);
    if (c->ciphers != NULL) {
        assert_int_equal(SSL_set_cipher_list(pair.client, c->ciphers), 1);
    }
    pair_handshake(&pair);
    bool served = pair.status == STATUS_OK && pair.client_done == 1;
    pair_close(&pair);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
    arena_destroy(&pem.arena);
    return served;
}

static void
test_what_our_server_refuses(void **state)
{
    static const struct {
        struct weak_client client;
        bool want;
    } cases[] = {
        {{TLS1_3_VERSION, NULL, 2048, false}, true},
        {{TLS1_2_VERSION, NULL, 2048, false}, true},
        {{TLS1_1_VERSION, NULL, 2048, false}, false},
        {{TLS1_VERSION, NULL, 2048, false}, false},
        {{TLS1_2_VERSION, NULL, 2048, true}, false},
        {{TLS1_3_VERSION, NULL, 2048, true}, true},
        /* keys below 2048 bits */
        {{TLS1_3_VERSION, NULL, 1024, false}, false},
        {{TLS1_2_VERSION, NULL, 1024, false}, false},
        /* no forward secrecy, no authenticated encryption, no certificate */
        {{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", 2048, false}, true},
        {{TLS1_2_VERSION, "AES128-GCM-SHA256", 2048, false}, false},
        {{TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", 2048, false}, false},
        {{TLS1_2_VERSION, "AECDH-AES128-SHA", 2048, false}, false},
        {{TLS1_2_VERSION, "ECDHE-RSA-NULL-SHA", 2048, false}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (is_served(&cases[i].client) != cases[i].want) {
            fail_msg("case %zu", i);
        }
    }
}

/* Whose order counts where both know several suites. */
static void
test_whose_order(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.example", true);
    (void)state;
    for (unsigned ours = 0; ours < 2; ours++) {
        struct tls_server_settings settings = default_settings();
        struct pair pair;
        settings.prefer_server_order = ours == 1;
        struct tls_server *server = server_make(&settings, &identity, 1);
        pair_open(&pair, server, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(pair.client, "ECDHE-RSA-AES128-GCM-SHA256:"
                                                          "ECDHE-RSA-AES256-GCM-SHA384"),
                         1);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        assert_string_equal(SSL_get_cipher_name(pair.client), ours == 1
                                                                  ? "ECDHE-RSA-AES256-GCM-SHA384"
                                                                  : "ECDHE-RSA-AES128-GCM-SHA256");
        pair_close(&pair);
        tls_server_unref(&server);
    }
    tls_identity_unref(&identity);
}

static void
test_the_number_of_identities(void **state)
{
    static struct tls_identity *many[TLS_IDENTITIES_MAX + 1];
    struct tls_identity *identity = test_identity_make("DNS:mx.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = NULL;
    char error[TLS_ERROR_MAX] = "";
    (void)state;
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        many[i] = identity;
    }
    assert_int_equal(tls_server_create(&settings, many, 0, &server, error), STATUS_LIMIT);
    assert_int_equal(tls_server_create(&settings, many, TLS_IDENTITIES_MAX + 1, &server, error),
                     STATUS_LIMIT);
    assert_null(server);
    server = server_make(&settings, many, TLS_IDENTITIES_MAX);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* ---- our client, a server that has nothing better */

struct weak_server {
    int version;
    const char *ciphers;
    const char *our_ciphers;
    bool only_1_3;
};

static SSL_CTX *
weak_context(const struct weak_server *s, const struct test_pem *pem)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    BIO *chain = BIO_new_mem_buf(pem->chain.p, (int)pem->chain.n);
    BIO *text = BIO_new_mem_buf(pem->key.p, (int)pem->key.n);
    X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
    SSL_CTX_set_security_level(context, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(context, s->version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, s->version), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(context, s->ciphers), 1);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(chain);
    BIO_free(text);
    return context;
}

static bool
is_spoken_to(const struct weak_server *s)
{
    struct tls_client_settings settings = {.only_1_3 = s->only_1_3,
                                           .ciphers = str_from_cstr(s->our_ciphers)};
    struct test_pem pem = test_pem_make_rsa("DNS:mx.example", 2048);
    struct tls_client *client = NULL;
    struct tls_stream *stream = NULL;
    enum status status = STATUS_AGAIN;
    char error[TLS_ERROR_MAX] = "";
    int fds[2];
    if (tls_client_create(&settings, &client, error) != STATUS_OK) {
        arena_destroy(&pem.arena);
        return false;
    }
    SSL_CTX *context = weak_context(s, &pem);
    SSL *server = SSL_new(context);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(tls_stream_create(client, fds[1], STR("mx.example"), &stream), STATUS_OK);
    SSL_set_fd(server, fds[0]);
    SSL_set_accept_state(server);
    for (int turn = 0; turn < 20 && status == STATUS_AGAIN; turn++) {
        status = tls_io_handshake(tls_stream_io(stream));
        (void)!SSL_do_handshake(server);
    }
    tls_stream_destroy(&stream);
    tls_client_unref(&client);
    SSL_free(server);
    SSL_CTX_free(context);
    close(fds[0]);
    close(fds[1]);
    arena_destroy(&pem.arena);
    return status == STATUS_OK;
}

static void
test_what_our_client_refuses(void **state)
{
    static const struct {
        struct weak_server server;
        bool want;
    } cases[] = {
        {{TLS1_3_VERSION, "ALL", "", false}, true},
        {{TLS1_2_VERSION, "ALL", "", false}, true},
        {{TLS1_1_VERSION, "ALL", "", false}, false},
        {{TLS1_2_VERSION, "ALL", "", true}, false},
        {{TLS1_3_VERSION, "ALL", "", true}, true},
        /* old servers are spoken to, those without a certificate or encryption are not */
        {{TLS1_2_VERSION, "AES128-SHA", "", false}, true},
        {{TLS1_2_VERSION, "AECDH-AES128-SHA", "", false}, false},
        {{TLS1_2_VERSION, "NULL-SHA256", "", false}, false},
        /* whatever is configured */
        {{TLS1_2_VERSION, "AECDH-AES128-SHA", "AECDH-AES128-SHA:AES128-SHA", false}, false},
        {{TLS1_2_VERSION, "NULL-SHA256", "NULL-SHA256:AES128-SHA", false}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (is_spoken_to(&cases[i].server) != cases[i].want) {
            fail_msg("case %zu", i);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_our_server_refuses),
        cmocka_unit_test(test_what_our_client_refuses),
        cmocka_unit_test(test_whose_order),
        cmocka_unit_test(test_the_number_of_identities),
    };
    return cmocka_run_group_tests_name("tls levels", tests, NULL, NULL);
}
