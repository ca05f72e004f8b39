/* What both sides have switched off, and what becomes of sessions and tickets. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tls/client.h"
#include "tls/io_internal.h"
#include "tls/library.h"
#include "tls/self_signed.h"
#include "tls/test_material.h"
#include "tls/test_pair.h"

#define DAY_MS 86400000LL

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- the server's side */

/* What one connection brought the client. */
struct outcome {
    SSL_SESSION *session; /* the last one */
    size_t tickets;
    bool resumed;
};

static size_t tickets;

static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    tickets += SSL_SESSION_has_ticket(session) == 1;
    return 0;
}

/* A connection with an octet from the server, which brings the tickets of TLS 1.3 along. */
static struct outcome
connect_once(struct tls_server *server, int version, SSL_SESSION *before)
{
    struct pair pair;
    struct outcome outcome = {0};
    char octet;
    size_t n;
    pair_open(&pair, server, version);
    SSL_CTX_set_session_cache_mode(pair.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(pair.context, on_new_session);
    if (before != NULL) {
        SSL_set_session(pair.client, before);
    }
    tickets = 0;
    pair_handshake(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    assert_int_equal(tls_io_write(tls_connection_io(pair.server), STR("x"), &n), STATUS_OK);
    assert_int_equal(SSL_read(pair.client, &octet, 1), 1);
    outcome.resumed = SSL_session_reused(pair.client) == 1;
    outcome.session = SSL_get1_session(pair.client);
    outcome.tickets = tickets;
    SSL_shutdown(pair.client);
    pair_close(&pair);
    return outcome;
}

static void
what_a_server_has_switched_off(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length;
    (void)state;
    assert_int_equal(EVP_Digest(settings.session_context.p, settings.session_context.n, digest,
                                &digest_length, EVP_sha256(), NULL),
                     1);
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        unsigned n;
        pair_open(&pair, server, versions[i]);
        pair_handshake(&pair);
        assert_int_equal(pair.status, STATUS_OK);
        SSL *ssl = tls_connection_io(pair.server)->ssl;
        SSL_CTX *context = SSL_get_SSL_CTX(ssl);
        assert_true((SSL_get_options(ssl) & SSL_OP_NO_COMPRESSION) != 0);
        assert_true((SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION) != 0);
        assert_int_equal(SSL_get_verify_mode(ssl), SSL_VERIFY_NONE);
        /* Sessions are in tickets alone, each good for its listener only. */
        assert_int_equal(SSL_CTX_get_session_cache_mode(context), SSL_SESS_CACHE_OFF);
        assert_int_equal(SSL_CTX_sess_number(context), 0);
        const unsigned char *id = SSL_SESSION_get0_id_context(SSL_get_session(ssl), &n);
        assert_int_equal(n, digest_length);
        assert_memory_equal(id, digest, n);
        pair_close(&pair);
    }
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

static void
a_connection_brings_one_ticket(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    settings.session_lifetime_ms = 3600000; /* not what the library would take */
    struct tls_server *with = server_make(&settings, &identity, 1);
    settings.session_tickets = false;
    struct tls_server *without = server_make(&settings, &identity, 1);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome first = connect_once(with, versions[i], NULL);
        assert_int_equal(first.tickets, 1);
        /* The client is told how long it is good for. */
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(first.session),
                         settings.session_lifetime_ms / 1000);
        SSL_SESSION_free(first.session);
        first = connect_once(without, versions[i], NULL);
        assert_int_equal(first.tickets, 0);
        SSL_SESSION_free(first.session);
    }
    tls_server_unref(&with);
    tls_server_unref(&without);
    tls_identity_unref(&identity);
}

static size_t
ticket_of(const struct outcome *outcome, const unsigned char **ticket_out)
{
    size_t n = 0;
    SSL_SESSION_get0_ticket(outcome->session, ticket_out, &n);
    return n;
}

/* In TLS 1.3 each connection brings a new one; in TLS 1.2 only a ticket with an old key does. */
static void
a_ticket_with_an_old_key_is_renewed(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    const unsigned char *old;
    const unsigned char *ticket;
    (void)state;
    struct outcome first = connect_once(server, TLS1_2_VERSION, NULL);
    struct outcome again = connect_once(server, TLS1_2_VERSION, first.session);
    assert_true(again.resumed);
    size_t const n = ticket_of(&first, &old);
    assert_int_equal(ticket_of(&again, &ticket), n);
    assert_memory_equal(ticket, old, n); /* the same is good enough */
    SSL_SESSION_free(again.session);
    test_now_ms += settings.session_lifetime_ms + settings.session_lifetime_ms / 2;
    struct outcome renewed = connect_once(server, TLS1_2_VERSION, first.session);
    assert_true(renewed.resumed);
    assert_true(ticket_of(&renewed, &ticket) != n || memcmp(ticket, old, n) != 0);
    /* It lives on when the first one is forgotten. */
    test_now_ms += settings.session_lifetime_ms;
    struct outcome last = connect_once(server, TLS1_2_VERSION, renewed.session);
    assert_true(last.resumed);
    SSL_SESSION_free(last.session);
    last = connect_once(server, TLS1_2_VERSION, first.session);
    assert_false(last.resumed);
    SSL_SESSION_free(last.session);
    SSL_SESSION_free(renewed.session);
    SSL_SESSION_free(first.session);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* One session sealed twice makes two texts: nobody sees that it is the same one. */
static void
tickets_do_not_repeat_their_beginning(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    const unsigned char *a;
    const unsigned char *b;
    size_t const iv_at = 16; /* behind the key's name (RFC 5077 4) */
    size_t const iv_size = 16;
    (void)state;
    struct outcome one = connect_once(server, TLS1_2_VERSION, NULL);
    struct outcome other = connect_once(server, TLS1_2_VERSION, NULL);
    assert_true(ticket_of(&one, &a) > iv_at + iv_size);
    assert_true(ticket_of(&other, &b) > iv_at + iv_size);
    assert_memory_equal(a, b, iv_at);
    assert_memory_not_equal(a + iv_at, b + iv_at, iv_size);
    SSL_SESSION_free(one.session);
    SSL_SESSION_free(other.session);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* ---- the client's side */

struct dialogue {
    int fds[2];
    struct tls_connection *server;
    struct tls_stream *client;
    struct tls_client *client_context;
};

/* Our client and our server; 0 for `version`: the highest of both. */
static void
dialogue_open(struct dialogue *dialogue, struct tls_server *server, struct str trust_pem,
              int version)
{
    struct tls_client_settings settings = {.trust_pem = trust_pem};
    char error[TLS_ERROR_MAX] = "";
    enum status client = STATUS_AGAIN;
    enum status there = STATUS_AGAIN;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, dialogue->fds), 0);
    assert_int_equal(tls_client_create(&settings, &dialogue->client_context, error), STATUS_OK);
    assert_int_equal(tls_connection_create(server, dialogue->fds[0], &dialogue->server), STATUS_OK);
    assert_int_equal(tls_stream_create(dialogue->client_context, dialogue->fds[1],
                                       STR("mx.a.example"), &dialogue->client),
                     STATUS_OK);
    SSL_set_max_proto_version(tls_stream_io(dialogue->client)->ssl, version);
    for (int turn = 0; turn < 20; turn++) {
        if (client == STATUS_AGAIN) {
            client = tls_io_handshake(tls_stream_io(dialogue->client));
        }
        if (there == STATUS_AGAIN) {
            there = tls_io_handshake(tls_connection_io(dialogue->server));
        }
    }
    assert_int_equal(client, STATUS_OK);
    assert_int_equal(there, STATUS_OK);
}

static void
dialogue_close(struct dialogue *dialogue)
{
    tls_stream_destroy(&dialogue->client);
    tls_connection_destroy(&dialogue->server);
    tls_client_unref(&dialogue->client_context);
    close(dialogue->fds[0]);
    close(dialogue->fds[1]);
}

static void
what_a_client_has_switched_off(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct dialogue dialogue;
    (void)state;
    dialogue_open(&dialogue, server, STR(""), 0);
    SSL *ssl = tls_stream_io(dialogue.client)->ssl;
    assert_true((SSL_get_options(ssl) & SSL_OP_NO_COMPRESSION) != 0);
    assert_true((SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION) != 0);
    assert_int_equal(SSL_CTX_get_session_cache_mode(SSL_get_SSL_CTX(ssl)), SSL_SESS_CACHE_OFF);
    dialogue_close(&dialogue);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* A server of TLS 1.2 that wants another handshake gets none, and the connection is not used on. */
static void
a_client_does_not_renegotiate(void **state)
{
    struct tls_identity *identity = test_identity_make("DNS:mx.a.example", false);
    struct tls_server_settings settings = default_settings();
    struct tls_server *server = server_make(&settings, &identity, 1);
    struct dialogue dialogue;
    char finished[2][EVP_MAX_MD_SIZE];
    char got[8];
    size_t n;
    (void)state;
    dialogue_open(&dialogue, server, STR(""), TLS1_2_VERSION);
    SSL *there = tls_connection_io(dialogue.server)->ssl;
    SSL *client = tls_stream_io(dialogue.client)->ssl;
    size_t const length = SSL_get_finished(client, finished[0], sizeof finished[0]);
    SSL_clear_options(there, SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(SSL_renegotiate(there), 1);
    (void)SSL_do_handshake(there); /* HelloRequest */
    for (int turn = 0; turn < 20; turn++) {
        (void)!tls_io_read(tls_stream_io(dialogue.client), got, sizeof got, &n);
        (void)SSL_do_handshake(there);
        ERR_clear_error();
    }
    assert_int_equal(SSL_get_finished(client, finished[1], sizeof finished[1]), length);
    assert_memory_equal(finished[0], finished[1], length);
    dialogue_close(&dialogue);
    tls_server_unref(&server);
    tls_identity_unref(&identity);
}

/* A certificate counts from its day to its day, though it chains to what is trusted. */
static void
a_certificate_counts_in_its_time(void **state)
{
    static const struct {
        int64_t made_days; /* from now on */
        bool trusted;
        const char *why;
    } rows[] = {
        {0, true, ""},
        {-(TLS_SELF_SIGNED_DAYS - 2), true, ""},
        {-(TLS_SELF_SIGNED_DAYS + 2), false, "certificate has expired"},
        {30, false, "certificate is not yet valid"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *arena = arena_create(65536);
        struct tls_server_settings settings = default_settings();
        struct tls_identity *identity;
        struct dialogue dialogue;
        struct tls_facts facts;
        struct str chain;
        struct str key;
        char error[TLS_ERROR_MAX] = "";
        assert_int_equal(tls_self_signed_create(arena, STR("mx.a.example"),
                                                clock_wall_ms() + rows[i].made_days * DAY_MS,
                                                &chain, &key),
                         STATUS_OK);
        assert_int_equal(tls_identity_parse(chain, key, &identity, error), STATUS_OK);
        struct tls_server *server = server_make(&settings, &identity, 1);
        dialogue_open(&dialogue, server, chain, 0);
        tls_stream_facts(dialogue.client, &facts);
        assert_string_equal(facts.trust_error, rows[i].why);
        assert_int_equal(facts.trusted, rows[i].trusted);
        assert_true(facts.name_matches);
        dialogue_close(&dialogue);
        tls_server_unref(&server);
        tls_identity_unref(&identity);
        arena_destroy_wiped(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_server_has_switched_off),
        cmocka_unit_test(a_connection_brings_one_ticket),
        cmocka_unit_test(a_ticket_with_an_old_key_is_renewed),
        cmocka_unit_test(tickets_do_not_repeat_their_beginning),
        cmocka_unit_test(what_a_client_has_switched_off),
        cmocka_unit_test(a_client_does_not_renegotiate),
        cmocka_unit_test(a_certificate_counts_in_its_time),
    };
    if (tls_library_init() != STATUS_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
