/* The PROXY header at the beginning of a connection from a named network. */
#include "smtp/proxy.h"

#include <errno.h>
#include <sys/socket.h>

#include "roles/edge/connection.h"
#include "roles/edge/record.h"

static void
proxy_refuse(struct connection *connection, const char *reason)
{
    char peer[IP_TEXT_MAX];
    LOG_WARN("a proxy did not send a proper PROXY header",
             LOG_CSTR("peer", ip_format(&connection->client, peer)),
             LOG_CSTR("listener", connection->listener->label), LOG_CSTR("reason", reason));
    connection->edge->counters.refused_proxy++;
    connection_close(connection, "refused");
}

static void
proxy_accept(struct connection *connection, const struct smtp_proxy *proxy)
{
    connection->proxy = connection->client;
    connection->by_proxy_itself = proxy->local;
    if (!proxy->local) {
        connection->client = proxy->source;
        connection->client_port = proxy->source_port;
        connection->server = proxy->destination;
        connection->server_port = proxy->destination_port;
    }
    buf_free(&connection->input);
    connection_admit(connection);
}

/*
 * Takes exactly `n` octets that were looked at before out of the socket: what follows the header
 * is the client's, perhaps its TLS, and stays there for who reads it.
 */
static bool
take_octets(struct connection *connection, size_t n)
{
    return recv(connection->fd, connection->edge->read_buffer, n, 0) == (ssize_t)n;
}

void
connection_run_proxy(struct connection *connection)
{
    size_t const kept = buf_length(&connection->input);
    char *buffer = connection->edge->read_buffer;
    struct smtp_proxy proxy;
    size_t used = 0;
    connection->did_read = true;
    ssize_t n = recv(connection->fd, buffer, SMTP_PROXY_V2_MAX, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || buf_append(&connection->input, str_make(buffer, (size_t)n)) != STATUS_OK) {
        /* A connection without a word is how load balancers look whether we live. */
        connection_close(connection, "reset");
        return;
    }
    enum status status = smtp_proxy_parse(buf_str(&connection->input), &proxy, &used);
    size_t wanted = status == STATUS_OK ? used - kept : (size_t)n;
    if (status != STATUS_OK && status != STATUS_AGAIN) {
        proxy_refuse(connection, status == STATUS_LIMIT ? "too long" : "malformed or missing");
    } else if (!take_octets(connection, wanted)) {
        connection_close(connection, "reset");
    } else if (status == STATUS_OK) {
        proxy_accept(connection, &proxy);
    }
}
