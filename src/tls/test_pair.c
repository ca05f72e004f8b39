#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int64_t test_now_ms = 1000000;

static int64_t
test_clock(void)
{
    return test_now_ms;
}

struct tls_server_settings
default_settings(void)
{
    return (struct tls_server_settings){.session_tickets = true,
                                        .prefer_server_order = true,
                                        .session_lifetime_ms = 7200000,
                                        .session_context = STR("mx 25"),
                                        .monotonic_ms = test_clock};
}

struct tls_server *
server_make(const struct tls_server_settings *settings, struct tls_identity *const *identities,
            size_t count)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_server *server = NULL;
    enum status status = tls_server_create(settings, identities, count, &server, error);
    if (status != STATUS_OK) {
        print_message("%s\n", error);
    }
    assert_int_equal(status, STATUS_OK);
    return server;
}

void
pair_open(struct pair *pair, struct tls_server *server, int version)
{
    *pair = (struct pair){.status = STATUS_AGAIN};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    pair->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(pair->context, version);
    SSL_CTX_set_max_proto_version(pair->context, version);
    pair->client = SSL_new(pair->context);
    SSL_set_fd(pair->client, pair->fds[1]);
    SSL_set_connect_state(pair->client);
    assert_int_equal(tls_connection_create(server, pair->fds[0], &pair->server), STATUS_OK);
}

void
pair_step(struct pair *pair)
{
    if (pair->client_done == 0) {
        int result = SSL_do_handshake(pair->client);
        int error = SSL_get_error(pair->client, result);
        pair->client_done = result == 1                                                     ? 1
                            : error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0
                                                                                            : -1;
    }
    if (pair->status == STATUS_AGAIN) {
        pair->status = tls_io_handshake(tls_connection_io(pair->server));
    }
}

void
pair_handshake(struct pair *pair)
{
    for (int turn = 0; turn < 20 && (pair->client_done == 0 || pair->status == STATUS_AGAIN);
         turn++) {
        pair_step(pair);
    }
}

void
pair_close(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    tls_connection_destroy(&pair->server);
    close(pair->fds[0]);
    close(pair->fds[1]);
}
