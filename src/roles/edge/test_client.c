#include "roles/edge/test_client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS 10000

void
client_connect(struct client *client, struct world *world, enum world_listener listener,
               unsigned host)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u | host)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(world->ports[listener]),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *client = (struct client){.world = world};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(bind(client->fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

void
client_connect_local(struct client *client, struct world *world, uid_t uid)
{
    uid_t const before = geteuid();
    *client = (struct client){.world = world};
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(seteuid(uid), 0);
    int result = connect(client->fd, (const struct sockaddr *)&world->local, world->local_length);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(result, 0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

void
client_close(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
}

void
client_starttls(struct client *client)
{
    client->context = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(client->context);
    SSL_set_fd(client->ssl, client->fd);
    for (;;) {
        int result = SSL_connect(client->ssl);
        if (result == 1) {
            return;
        }
        assert_int_equal(SSL_get_error(client->ssl, result), SSL_ERROR_WANT_READ);
        assert_true(world_wait(client->world, client->fd, WAIT_MS));
    }
}

/* -1 with errno EAGAIN when there is nothing now, 0 at the end. */
static ssize_t
client_read(struct client *client, char *out, size_t size)
{
    if (client->ssl == NULL) {
        ssize_t n = recv(client->fd, out, size, 0);
        return n < 0 && errno == ECONNRESET ? 0 : n;
    }
    int n = SSL_read(client->ssl, out, (int)size);
    if (n <= 0) {
        bool again = SSL_get_error(client->ssl, n) == SSL_ERROR_WANT_READ;
        errno = EAGAIN;
        return again ? -1 : 0;
    }
    return n;
}

/* Octets written; 0: no room now; below 0: the edge has closed. */
static ssize_t
client_write(struct client *client, struct str octets)
{
    if (client->ssl != NULL) {
        int n = SSL_write(client->ssl, octets.p, (int)octets.n);
        int error = SSL_get_error(client->ssl, n);
        bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        return n > 0 ? n : (waits ? 0 : -1);
    }
    ssize_t n = send(client->fd, octets.p, octets.n, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

void
client_send_octets(struct client *client, struct str octets)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    while (octets.n > 0) {
        ssize_t n = client_write(client, octets);
        if (n < 0) {
            return; /* what it said before is read next */
        }
        if (n == 0) {
            assert_true(clock_monotonic_ms() < end);
            world_wait(client->world, -1, 5);
        }
        octets = str_skip(octets, (size_t)n);
    }
}

void
client_send(struct client *client, const char *text)
{
    client_send_octets(client, str_from_cstr(text));
}

/* The length of the whole reply at the beginning of the input; 0: not there yet. */
static size_t
whole_reply(const struct client *client)
{
    struct str rest = str_make(client->input, client->input_length);
    size_t used = 0;
    for (;;) {
        size_t end = str_find(rest, STR("\r\n"));
        if (end == STR_NPOS) {
            return 0;
        }
        used += end + 2;
        if (end < 4 || rest.p[3] != '-') {
            return used;
        }
        rest = str_skip(rest, end + 2);
    }
}

/* More input; false at the end. */
static bool
client_fill(struct client *client)
{
    ssize_t n;
    while ((n = client_read(client, client->input + client->input_length,
                            sizeof client->input - client->input_length)) < 0) {
        assert_int_equal(errno, EAGAIN);
        if (!world_wait(client->world, client->fd, WAIT_MS)) {
            fail_msg("no answer; the last one was: %s", client->reply);
        }
    }
    client->input_length += (size_t)n;
    return n > 0;
}

void
client_expect(struct client *client, const char *prefix)
{
    size_t n;
    while ((n = whole_reply(client)) == 0) {
        if (!client_fill(client)) {
            fail_msg("closed instead of %s; the last reply was: %s", prefix, client->reply);
        }
    }
    memcpy(client->reply, client->input, n);
    client->reply[n] = '\0';
    client->input_length -= n;
    memmove(client->input, client->input + n, client->input_length);
    if (strncmp(client->reply, prefix, strlen(prefix)) != 0) {
        fail_msg("got %swant %s", client->reply, prefix);
    }
}

void
client_expect_end(struct client *client)
{
    bool more = client_fill(client);
    if (more || client->input_length > 0) {
        fail_msg("got %.*s instead of the end", (int)client->input_length, client->input);
    }
}

void
client_say(struct client *client, const char *line, const char *prefix)
{
    client_send(client, line);
    client_send(client, "\r\n");
    client_expect(client, prefix);
}

/* ---- common dialogues */

void
client_greet(struct client *client)
{
    client_expect(client, "220 mx.ours.example");
    client_say(client, "EHLO client.example", "250-mx.ours.example");
}

void
client_begin_message(struct client *client)
{
    client_say(client, "MAIL FROM:<a@theirs.example>", "250 2.1.0");
    client_say(client, "RCPT TO:<bob@ours.example>", "250 2.1.5");
}

void
client_send_message(struct client *client, const char *prefix)
{
    client_begin_message(client);
    client_say(client, "DATA", "354");
    client_say(client, TEST_HEADER "Hello\r\n.", prefix);
}

/* Whether an encoded trace has an event; its field in *text_out if asked for. */
static bool
trace_has(const struct buf *events, uint16_t number, const char *field, char *out, size_t size)
{
    struct trace_reader reader;
    struct trace_event event;
    if (trace_reader_init(&reader, buf_str(events)) != STATUS_OK) {
        return false;
    }
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        if (event.number == number) {
            struct str text = field != NULL ? trace_event_text(&event, field) : STR("");
            snprintf(out, size, "%.*s", STR_ARG(text));
            return true;
        }
    }
    return false;
}

void
assert_event(const struct buf *events, uint16_t number, const char *field, const char *want)
{
    char got[256] = "";
    if (!trace_has(events, number, field, got, sizeof got)) {
        fail_msg("event %u is missing", number);
    }
    if (want != NULL) {
        assert_string_equal(got, want);
    }
}
