#include "tls/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tls/server.h"
#include "tls/test_material.h"

struct world {
    struct test_pem pem;
    struct tls_identity *identity;
    struct tls_server *server;
};

static void
world_open(struct world *world, const char *names, bool only_1_3)
{
    struct tls_server_settings settings = {
        .only_1_3 = only_1_3, .session_lifetime_ms = 7200000, .session_context = STR("mx 25")};
    char error[TLS_ERROR_MAX] = "";
    world->pem = test_pem_make(names, false);
    assert_int_equal(tls_identity_parse(world->pem.chain, world->pem.key, &world->identity, error),
                     STATUS_OK);
    assert_int_equal(tls_server_create(&settings, &world->identity, 1, &world->server, error),
                     STATUS_OK);
}

static void
world_close(struct world *world)
{
    tls_server_unref(&world->server);
    tls_identity_unref(&world->identity);
    arena_destroy(&world->pem.arena);
}

static struct tls_client *
client_make(const struct tls_client_settings *settings)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_client *client = NULL;
    if (tls_client_create(settings, &client, error) != STATUS_OK) {
        fail_msg("%s", error);
    }
    return client;
}

/* Both ends over a socket pair, driven in turn. */
struct pair {
    int fds[2];
    struct tls_connection *server;
    struct tls_stream *client;
    enum status server_status;
    enum status client_status;
};

static void
pair_open(struct pair *pair, struct world *world, struct tls_client *client, struct str host)
{
    *pair = (struct pair){.server_status = STATUS_AGAIN, .client_status = STATUS_AGAIN};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    assert_int_equal(tls_connection_create(world->server, pair->fds[0], &pair->server), STATUS_OK);
    assert_int_equal(tls_stream_create(client, pair->fds[1], host, &pair->client), STATUS_OK);
    for (int turn = 0; turn < 20; turn++) {
        if (pair->client_status == STATUS_AGAIN) {
            pair->client_status = tls_io_handshake(tls_stream_io(pair->client));
        }
        if (pair->server_status == STATUS_AGAIN) {
            pair->server_status = tls_io_handshake(tls_connection_io(pair->server));
        }
    }
}

static void
pair_close(struct pair *pair)
{
    tls_stream_destroy(&pair->client);
    tls_connection_destroy(&pair->server);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static void
test_facts(void **state)
{
    static const struct {
        const char *host;
        bool with_trust;
        bool trusted, matches;
    } cases[] = {
        {"mx.example", true, true, true},         {"other.example", true, true, false},
        {"mx.example", false, false, true},       {"", true, true, false},
        {"192.0.2.1", true, true, true},          {"192.0.2.2", true, true, false},
        {"a.wild.example", true, true, true},     {"b.a.wild.example", true, true, false},
        {"part.some.example", true, true, false},
    };
    struct world world;
    (void)state;
    world_open(&world, "DNS:mx.example,DNS:*.wild.example,DNS:p*.some.example,IP:192.0.2.1", false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_client_settings settings = {0};
        struct tls_facts facts;
        struct pair pair;
        if (cases[i].with_trust) {
            settings.trust_pem = world.pem.chain;
        }
        struct tls_client *client = client_make(&settings);
        pair_open(&pair, &world, client, str_from_cstr(cases[i].host));
        assert_int_equal(pair.client_status, STATUS_OK);
        tls_stream_facts(pair.client, &facts);
        if (facts.trusted != cases[i].trusted || facts.name_matches != cases[i].matches) {
            fail_msg("%s: trusted %d (%s), matches %d", cases[i].host, facts.trusted,
                     facts.trust_error, facts.name_matches);
        }
        assert_int_equal(facts.trusted, facts.trust_error[0] == '\0');
        assert_string_equal(facts.version, "TLSv1.3");
        assert_true(facts.bits >= 128);
        assert_true(facts.not_after_ms > clock_wall_ms());
        pair_close(&pair);
        tls_client_unref(&client);
    }
    world_close(&world);
}

static void
test_server_sees_the_name(void **state)
{
    struct world world;
    struct pair pair;
    struct tls_info info;
    struct tls_client_settings settings = {0};
    (void)state;
    world_open(&world, "DNS:mx.example", false);
    struct tls_client *client = client_make(&settings);
    pair_open(&pair, &world, client, STR("mx.example"));
    tls_connection_info(pair.server, &info);
    assert_string_equal(info.server_name, "mx.example");
    pair_close(&pair);
    pair_open(&pair, &world, client, STR("192.0.2.1")); /* RFC 6066 3: no addresses */
    tls_connection_info(pair.server, &info);
    assert_string_equal(info.server_name, "");
    pair_close(&pair);
    tls_client_unref(&client);
    world_close(&world);
}

static void
test_octets_both_ways(void **state)
{
    struct world world;
    struct pair pair;
    struct tls_client_settings settings = {0};
    char got[16];
    size_t n;
    (void)state;
    world_open(&world, "DNS:mx.example", false);
    struct tls_client *client = client_make(&settings);
    pair_open(&pair, &world, client, STR("mx.example"));
    assert_int_equal(tls_io_read(tls_stream_io(pair.client), got, sizeof got, &n), STATUS_AGAIN);
    assert_int_equal(tls_io_write(tls_connection_io(pair.server), STR("220 hello"), &n), STATUS_OK);
    assert_int_equal(tls_io_read(tls_stream_io(pair.client), got, 4, &n), STATUS_OK);
    assert_int_equal(n, 4);
    assert_int_equal(tls_io_pending(tls_stream_io(pair.client)), 5);
    assert_int_equal(tls_io_write(tls_stream_io(pair.client), STR("EHLO"), &n), STATUS_OK);
    assert_int_equal(tls_io_read(tls_connection_io(pair.server), got, sizeof got, &n), STATUS_OK);
    assert_memory_equal(got, "EHLO", 4);
    tls_io_close_notify(tls_connection_io(pair.server));
    assert_int_equal(tls_io_read(tls_stream_io(pair.client), got, sizeof got, &n), STATUS_OK);
    assert_int_equal(tls_io_read(tls_stream_io(pair.client), got, sizeof got, &n), STATUS_END);
    pair_close(&pair);
    tls_client_unref(&client);
    world_close(&world);
}

static void
test_failed_handshakes(void **state)
{
    struct world world;
    struct pair pair;
    struct tls_client_settings settings = {0};
    struct tls_stream *stream;
    int fds[2];
    (void)state;
    world_open(&world, "DNS:mx.example", true);
    /* No common cipher suite of TLS 1.3. */
    settings.ciphersuites = STR("TLS_AES_128_CCM_SHA256");
    struct tls_client *client = client_make(&settings);
    pair_open(&pair, &world, client, STR("mx.example"));
    assert_int_equal(pair.client_status, STATUS_SYNTAX);
    assert_true(strlen(tls_io_error(tls_stream_io(pair.client))) > 0);
    pair_close(&pair);
    /* Not TLS at all, and a peer that goes away. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(tls_stream_create(client, fds[1], STR("mx.example"), &stream), STATUS_OK);
    assert_int_equal(write(fds[0], "250 injected\r\n", 14), 14);
    assert_int_equal(tls_io_handshake(tls_stream_io(stream)), STATUS_SYNTAX);
    tls_stream_destroy(&stream);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(tls_stream_create(client, fds[1], STR("mx.example"), &stream), STATUS_OK);
    assert_int_equal(tls_io_handshake(tls_stream_io(stream)), STATUS_AGAIN);
    close(fds[0]);
    assert_int_equal(tls_io_handshake(tls_stream_io(stream)), STATUS_END);
    tls_stream_destroy(&stream);
    close(fds[1]);
    tls_client_unref(&client);
    world_close(&world);
}

static void
test_bad_settings(void **state)
{
    static const struct tls_client_settings cases[] = {
        {.groups = STR_INIT("no-such-group")},
        {.groups = STR_INIT("?no-such-group")},
        {.ciphers = STR_INIT("NO-SUCH-CIPHER")},
        {.ciphersuites = STR_INIT("TLS_NO_SUCH")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tls_client *client = NULL;
        char error[TLS_ERROR_MAX] = "";
        assert_int_equal(tls_client_create(&cases[i], &client, error), STATUS_SYNTAX);
        assert_null(client);
        assert_true(strlen(error) > 0);
    }
    struct tls_client_settings settings = {0};
    struct tls_client *client = client_make(&settings);
    struct tls_stream *stream;
    assert_int_equal(tls_stream_create(client, 0, STR("a\0b"), &stream), STATUS_SYNTAX);
    char host[TLS_HOST_NAME_MAX + 1];
    memset(host, 'a', sizeof host);
    assert_int_equal(tls_stream_create(client, 0, str_make(host, sizeof host), &stream),
                     STATUS_SYNTAX);
    /* more trusted certificates than are read */
    static char pem[TLS_TRUST_PEM_MAX + 1];
    char error[TLS_ERROR_MAX] = "";
    struct tls_client *other = NULL;
    memset(pem, '\n', sizeof pem);
    settings.trust_pem = str_make(pem, sizeof pem);
    assert_int_equal(tls_client_create(&settings, &other, error), STATUS_LIMIT);
    assert_null(other);
    tls_client_unref(&client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_server_sees_the_name),
        cmocka_unit_test(test_octets_both_ways),
        cmocka_unit_test(test_failed_handshakes),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
