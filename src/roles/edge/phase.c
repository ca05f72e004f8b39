/* The phases of a connection: what each does when it can go on. */
#include <errno.h>
#include <sys/socket.h>

#include "roles/edge/connection.h"
#include "roles/edge/record.h"

/* Reads of one connection before others get their turn. */
#define READS_PER_TURN    8
/* How much is still read, and dropped, when all has been said. */
#define LINGER_OCTETS_MAX (1u << 20)

/* ---- reading and writing */

static enum status
socket_status(ssize_t result)
{
    if (result > 0) {
        return STATUS_OK;
    }
    if (result == 0 || errno == ECONNRESET || errno == EPIPE) {
        return STATUS_END;
    }
    return errno == EAGAIN || errno == EINTR ? STATUS_AGAIN : STATUS_IO;
}

enum status
connection_read(struct connection *connection, char *out, size_t size, size_t *read_out)
{
    enum status status;
    connection->did_read = true;
    if (connection->tls != NULL) {
        status = tls_io_read(tls_connection_io(connection->tls), out, size, read_out);
    } else {
        ssize_t n = recv(connection->fd, out, size, 0);
        status = socket_status(n);
        *read_out = n > 0 ? (size_t)n : 0;
        connection->drained = *read_out < size;
    }
    if (status == STATUS_OK) {
        connection->octets_in += *read_out;
        connection->edge->counters.octets_in += (int64_t)*read_out;
    }
    return status;
}

enum status
connection_write(struct connection *connection, struct str octets, size_t *written_out)
{
    enum status status;
    if (connection->tls != NULL) {
        status = tls_io_write(tls_connection_io(connection->tls), octets, written_out);
    } else {
        ssize_t n = send(connection->fd, octets.p, octets.n, MSG_NOSIGNAL);
        status = socket_status(n);
        *written_out = n > 0 ? (size_t)n : 0;
    }
    if (status == STATUS_OK) {
        connection->octets_out += *written_out;
        connection->edge->counters.octets_out += (int64_t)*written_out;
    }
    return status;
}

bool
connection_input_waits(struct connection *connection)
{
    char octet;
    if (connection->tls != NULL) {
        return tls_io_input_waits(tls_connection_io(connection->tls));
    }
    return recv(connection->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Writes what the core has said; true when all of it is out. */
static bool
connection_flush(struct connection *connection)
{
    struct str output;
    connection->write_blocked = false;
    while ((output = smtp_server_output(connection->core)).n > 0) {
        size_t n;
        enum status status = connection_write(connection, output, &n);
        if (status == STATUS_AGAIN) {
            connection->write_blocked = true;
            return false;
        }
        if (status != STATUS_OK) {
            connection_close(connection, "reset");
            return false;
        }
        smtp_server_output_written(connection->core, n);
        connection->progressed = true;
    }
    return true;
}

/* ---- phases */

/* RFC 5321 4.3.1: a client waits for the greeting; what does not is usually a robot. */
static void
run_pregreet(struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->edge->read_buffer, EDGE_READ_SIZE,
                     MSG_PEEK | MSG_DONTWAIT);
    connection->did_read = true;
    enum status status = socket_status(n);
    if (status == STATUS_OK) {
        TRACE(&connection->trace, early_talk, .octets = n, .refused = 1);
        connection->noteworthy = true;
        connection->edge->counters.refused_early_talk++;
        connection_begin_session(connection, true);
    } else if (status != STATUS_AGAIN) {
        connection_close(connection, "reset");
    }
}

static void
handshake_failed(struct connection *connection, enum status status)
{
    struct str error = str_from_cstr(tls_io_error(tls_connection_io(connection->tls)));
    connection->edge->counters.tls_failures++;
    /* Who opens and leaves is a scanner; who speaks and fails has a problem worth telling. */
    connection->noteworthy |= status == STATUS_SYNTAX;
    TRACE(&connection->trace, tls_failed, .error = error, .implicit = connection->core == NULL);
    connection_close(connection, "tls");
}

static void
run_handshake(struct connection *connection)
{
    if (connection->tls == NULL && tls_connection_create(connection->listener->tls, connection->fd,
                                                         &connection->tls) != STATUS_OK) {
        connection_close(connection, "limit");
        return;
    }
    connection->did_read = true;
    enum status status = tls_io_handshake(tls_connection_io(connection->tls));
    if (status == STATUS_AGAIN) {
        return;
    }
    if (status != STATUS_OK) {
        handshake_failed(connection, status);
        return;
    }
    connection->edge->counters.tls_sessions++;
    if (connection->core == NULL) {
        connection_begin_session(connection, false);
    } else {
        session_tls_started(connection);
        connection_enter(connection, CONNECTION_SMTP);
    }
}

static void
run_starttls(struct connection *connection)
{
    if (!connection_flush(connection)) {
        return;
    }
    /* RFC 3207 4.2: nothing that came in the clear outlives it. */
    buf_free(&connection->input);
    connection_enter(connection, CONNECTION_HANDSHAKE);
}

/* Feeds what was kept, or what was just read; what is left over is kept. */
static void
feed_kept(struct connection *connection)
{
    size_t used;
    connection->need = session_feed(connection, buf_str(&connection->input), &used);
    buf_consume(&connection->input, used);
    if (buf_length(&connection->input) == 0) {
        buf_free(&connection->input);
    }
}

static void
feed_fresh(struct connection *connection, struct str input)
{
    size_t used;
    connection->need = session_feed(connection, input, &used);
    if (used < input.n && !connection->closed &&
        buf_append(&connection->input, str_skip(input, used)) != STATUS_OK) {
        connection_close(connection, "limit");
    }
}

/* True when there was input and it has been fed. */
static bool
read_and_feed(struct connection *connection)
{
    size_t n;
    char *buffer = connection->edge->read_buffer;
    enum status status = connection_read(connection, buffer, EDGE_READ_SIZE, &n);
    if (status == STATUS_OK) {
        feed_fresh(connection, str_make(buffer, n));
        return true;
    }
    if (status != STATUS_AGAIN) {
        connection_close(connection, "reset");
    }
    return false;
}

static void
connection_linger(struct connection *connection)
{
    if (connection->tls != NULL) {
        tls_io_close_notify(tls_connection_io(connection->tls));
    }
    shutdown(connection->fd, SHUT_WR);
    if (connection->reason == NULL) {
        connection->reason = str_eq(connection->verb, STR("QUIT")) ? "quit" : "refused";
    }
    connection_enter(connection, CONNECTION_LINGER);
}

static void
run_smtp(struct connection *connection)
{
    int reads = 0;
    feed_kept(connection);
    while (!connection->closed) {
        bool all_written = connection_flush(connection);
        switch (connection->need) {
        case CONNECTION_NEEDS_INPUT:
            if (reads++ == READS_PER_TURN) {
                connection->more_to_read = true;
                return;
            }
            if (connection->closed || connection->drained || !read_and_feed(connection)) {
                return;
            }
            break;
        case CONNECTION_NEEDS_ROOM:
            if (!all_written) {
                return;
            }
            feed_kept(connection);
            break;
        case CONNECTION_NEEDS_ANSWER:
            return;
        case CONNECTION_NEEDS_TLS:
            connection_enter(connection, CONNECTION_STARTTLS);
            return;
        case CONNECTION_NEEDS_CLOSE:
            if (all_written) {
                connection_linger(connection);
            }
            return;
        }
    }
}

static void
run_linger(struct connection *connection)
{
    for (int reads = 0; reads < READS_PER_TURN; reads++) {
        size_t n;
        enum status status =
            connection_read(connection, connection->edge->read_buffer, EDGE_READ_SIZE, &n);
        if (status == STATUS_AGAIN) {
            return;
        }
        connection->octets_dropped += n;
        if (status != STATUS_OK || connection->octets_dropped > LINGER_OCTETS_MAX) {
            connection_close(connection, "refused");
            return;
        }
    }
}

void
connection_run(struct connection *connection)
{
    static void (*const runs[])(struct connection *) = {
        [CONNECTION_PROXY] = connection_run_proxy, [CONNECTION_PREGREET] = run_pregreet,
        [CONNECTION_HANDSHAKE] = run_handshake,    [CONNECTION_SMTP] = run_smtp,
        [CONNECTION_STARTTLS] = run_starttls,      [CONNECTION_LINGER] = run_linger,
    };
    enum connection_phase before;
    connection->drained = false;
    do {
        before = connection->phase;
        runs[before](connection);
    } while (!connection->closed && connection->phase != before);
}
