#include "roles/relay/test_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/server.h"
#include "tls/test_material.h"

#define CONNECTIONS_MAX 32
/* A dripping server: more octets than a stage of the tests has time for. */
#define DRIPS           100
#define DRIP_MS         40
#define SLOW_MS         400

struct test_server {
    test_answer *answer;
    void *context;
    char path[108];
    int listener;
    int stop[2]; /* a pipe: readable when it is to end */
    uint16_t port;
    bool ended;
    pthread_t thread;
    pthread_t workers[CONNECTIONS_MAX];
    pthread_mutex_t mutex; /* everything below */
    unsigned connections;
    struct buf commands;
    struct buf content;
};

struct peer {
    struct test_server *server;
    unsigned number;
    int fd;
    struct tls_connection *tls;
    struct tls_server *tls_server;
    struct buf input;
};

/* Waits until the socket is ready; false at the end of the test. */
static bool
peer_wait(struct peer *peer, short events)
{
    struct pollfd p[2] = {{.fd = peer->fd, .events = events},
                          {.fd = peer->server->stop[0], .events = POLLIN}};
    return poll(p, 2, 10000) > 0 && (p[1].revents & POLLIN) == 0;
}

/* Reads more; false when the client has gone. */
static bool
peer_fill(struct peer *peer)
{
    char octets[4096];
    for (;;) {
        size_t n = 0;
        enum status status = STATUS_OK;
        if (peer->tls != NULL) {
            status = tls_io_read(tls_connection_io(peer->tls), octets, sizeof octets, &n);
        } else {
            ssize_t got = recv(peer->fd, octets, sizeof octets, MSG_DONTWAIT);
            status = got > 0 ? STATUS_OK : got == 0 ? STATUS_END : STATUS_AGAIN;
            n = got > 0 ? (size_t)got : 0;
        }
        if (status == STATUS_OK) {
            return buf_append(&peer->input, str_make(octets, n)) == STATUS_OK;
        }
        if (status != STATUS_AGAIN || !peer_wait(peer, POLLIN)) {
            return false;
        }
    }
}

static void
peer_write(struct peer *peer, const char *text)
{
    size_t n = 0;
    if (peer->tls != NULL) {
        (void)!tls_io_write(tls_connection_io(peer->tls), str_from_cstr(text), &n);
    } else {
        (void)!send(peer->fd, text, strlen(text), MSG_NOSIGNAL);
    }
}

/* One certificate for all servers of a process, so that TLSA records can be made for it. */
static pthread_once_t identity_once = PTHREAD_ONCE_INIT;
static struct test_pem identity_pem;

static void
identity_make(void)
{
    identity_pem = test_pem_make("DNS:mx.example", false);
}

struct str
test_server_certificate(void)
{
    pthread_once(&identity_once, identity_make);
    return identity_pem.chain;
}

static bool
peer_handshake(struct peer *peer)
{
    struct tls_identity *identity = NULL;
    struct tls_server_settings settings = {.session_lifetime_ms = 7200000,
                                           .session_context = STR("test")};
    char error[TLS_ERROR_MAX];
    pthread_once(&identity_once, identity_make);
    if (tls_identity_parse(identity_pem.chain, identity_pem.key, &identity, error) != STATUS_OK) {
        return false;
    }
    enum status status = tls_server_create(&settings, &identity, 1, &peer->tls_server, error);
    tls_identity_unref(&identity);
    if (status != STATUS_OK ||
        tls_connection_create(peer->tls_server, peer->fd, &peer->tls) != STATUS_OK) {
        return false;
    }
    while ((status = tls_io_handshake(tls_connection_io(peer->tls))) == STATUS_AGAIN) {
        if (!peer_wait(peer, tls_io_wants_write(tls_connection_io(peer->tls)) ? POLLOUT : POLLIN)) {
            return false;
        }
    }
    return status == STATUS_OK;
}

static void
record(struct peer *peer, struct buf *where, struct str octets, const char *end)
{
    pthread_mutex_lock(&peer->server->mutex);
    (void)!buf_append(where, octets);
    (void)!buf_append(where, str_from_cstr(end));
    pthread_mutex_unlock(&peer->server->mutex);
}

/* Says `text` again and again; the connection ends then. */
static bool
peer_drip(struct peer *peer, const char *text)
{
    struct pollfd p = {.fd = peer->server->stop[0], .events = POLLIN};
    for (unsigned i = 0; i < DRIPS && poll(&p, 1, DRIP_MS) == 0; i++) {
        peer_write(peer, text);
    }
    return false;
}

/* False when the connection ends. */
static bool
peer_say(struct peer *peer, const char *answer)
{
    if (strcmp(answer, "<CLOSE>") == 0) {
        return false;
    }
    if (strcmp(answer, "<HANG>") == 0) {
        struct pollfd p = {.fd = peer->server->stop[0], .events = POLLIN};
        poll(&p, 1, 10000);
        return false;
    }
    if (strncmp(answer, "<DRIP", 5) == 0) {
        return peer_drip(peer, strcmp(answer, "<DRIP>") == 0 ? "2" : "250-more\r\n");
    }
    if (strncmp(answer, "<SLOW>", 6) == 0) {
        struct pollfd p = {.fd = peer->server->stop[0], .events = POLLIN};
        answer += 6;
        poll(&p, 1, SLOW_MS);
    }
    if (strcmp(answer, "<TLS>") == 0) {
        peer_write(peer, "220 go\r\n");
        return peer_handshake(peer);
    }
    peer_write(peer, answer);
    return true;
}

static bool
peer_answer(struct peer *peer, const char *line)
{
    return peer_say(peer, peer->server->answer(peer->server->context, peer->number, line));
}

/* Takes one CRLF line; false at the end. */
static bool
peer_line(struct peer *peer, char line[1024])
{
    size_t at;
    while ((at = str_find(buf_str(&peer->input), STR("\r\n"))) == STR_NPOS) {
        if (!peer_fill(peer)) {
            return false;
        }
    }
    snprintf(line, 1024, "%.*s", (int)at, buf_str(&peer->input).p);
    buf_consume(&peer->input, at + 2);
    return true;
}

static bool
peer_data(struct peer *peer)
{
    size_t at;
    bool empty;
    for (;;) {
        struct str input = buf_str(&peer->input);
        empty = str_starts_with(input, STR(".\r\n"));
        at = empty ? 0 : str_find(input, STR("\r\n.\r\n"));
        if (at != STR_NPOS) {
            break;
        }
        if (!peer_fill(peer)) {
            return false;
        }
    }
    size_t n = empty ? 0 : at + 2;
    record(peer, &peer->server->content, str_head(buf_str(&peer->input), n), "");
    buf_consume(&peer->input, n + 3);
    return peer_answer(peer, ".");
}

static bool
peer_chunk(struct peer *peer, const char *line)
{
    size_t n = (size_t)strtoul(line + 5, NULL, 10);
    while (buf_length(&peer->input) < n) {
        if (!peer_fill(peer)) {
            return false;
        }
    }
    record(peer, &peer->server->content, str_head(buf_str(&peer->input), n), "");
    buf_consume(&peer->input, n);
    return peer_answer(peer, "BDAT");
}

static bool
peer_command(struct peer *peer, const char *line)
{
    record(peer, &peer->server->commands, str_from_cstr(line), "\n");
    if (strncmp(line, "BDAT ", 5) == 0) {
        return peer_chunk(peer, line);
    }
    if (strcmp(line, "DATA") != 0) {
        return peer_answer(peer, line);
    }
    const char *answer = peer->server->answer(peer->server->context, peer->number, line);
    return peer_say(peer, answer) && (strncmp(answer, "354", 3) != 0 || peer_data(peer));
}

static void *
peer_main(void *context)
{
    struct peer *peer = context;
    char line[1024];
    buf_init(&peer->input, 64u << 20);
    if (peer_answer(peer, "")) {
        while (peer_line(peer, line) && peer_command(peer, line)) {
        }
    }
    tls_connection_destroy(&peer->tls);
    tls_server_unref(&peer->tls_server);
    buf_free(&peer->input);
    close(peer->fd);
    free(peer);
    return NULL;
}

static void *
server_main(void *context)
{
    struct test_server *server = context;
    struct pollfd p[2] = {{.fd = server->listener, .events = POLLIN},
                          {.fd = server->stop[0], .events = POLLIN}};
    while (poll(p, 2, -1) > 0 && (p[1].revents & POLLIN) == 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        peer->server = server;
        peer->fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        pthread_mutex_lock(&server->mutex);
        peer->number = server->connections++;
        pthread_mutex_unlock(&server->mutex);
        if (peer->fd < 0 || peer->number >= CONNECTIONS_MAX ||
            pthread_create(&server->workers[peer->number], NULL, peer_main, peer) != 0) {
            abort();
        }
    }
    return NULL;
}

static void
server_listen_unix(struct test_server *server, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(server->path, sizeof server->path, "%s", path);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&un, sizeof un), 0);
}

/* False when the port is taken. */
static bool
server_listen(struct test_server *server, uint32_t ip, uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr = {htonl(ip)}, .sin_port = htons(port)};
    socklen_t length = sizeof in;
    int one = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server->listener, (struct sockaddr *)&in, length) != 0) {
        close(server->listener);
        return false;
    }
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&in, &length), 0);
    server->port = ntohs(in.sin_port);
    return true;
}

static struct test_server *
server_create(test_answer *answer, void *context)
{
    struct test_server *server = calloc(1, sizeof *server);
    server->answer = answer;
    server->context = context;
    pthread_mutex_init(&server->mutex, NULL);
    buf_init(&server->commands, 16u << 20);
    buf_init(&server->content, 64u << 20);
    return server;
}

static struct test_server *
server_start(struct test_server *server)
{
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
    return server;
}

struct test_server *
test_server_start_at(test_answer *answer, void *context, uint32_t ip, uint16_t port)
{
    struct test_server *server = server_create(answer, context);
    if (!server_listen(server, ip, port)) {
        free(server);
        return NULL;
    }
    return server_start(server);
}

struct test_server *
test_server_start(test_answer *answer, void *context, const char *path)
{
    if (path == NULL) {
        return test_server_start_at(answer, context, INADDR_LOOPBACK, 0);
    }
    struct test_server *server = server_create(answer, context);
    server_listen_unix(server, path);
    return server_start(server);
}

uint16_t
test_server_port(const struct test_server *server)
{
    return server->port;
}

struct str
test_server_commands(struct test_server *server)
{
    return buf_str(&server->commands);
}

struct str
test_server_content(struct test_server *server)
{
    return buf_str(&server->content);
}

unsigned
test_server_connections(struct test_server *server)
{
    pthread_mutex_lock(&server->mutex);
    unsigned connections = server->connections;
    pthread_mutex_unlock(&server->mutex);
    return connections;
}

void
test_server_end(struct test_server *server)
{
    if (server->ended) {
        return;
    }
    server->ended = true;
    assert_int_equal(write(server->stop[1], "x", 1), 1);
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < server->connections; i++) {
        pthread_join(server->workers[i], NULL);
    }
    close(server->listener);
    close(server->stop[0]);
    close(server->stop[1]);
    if (server->path[0] != '\0') {
        unlink(server->path);
    }
}

void
test_server_stop(struct test_server **server)
{
    struct test_server *s = *server;
    if (s == NULL) {
        return;
    }
    test_server_end(s);
    buf_free(&s->commands);
    buf_free(&s->content);
    pthread_mutex_destroy(&s->mutex);
    free(s);
    *server = NULL;
}
