#include "roles/edge/connection.h"

#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "roles/edge/record.h"
#include "roles/edge/request.h"
#include "roles/edge/transaction.h"

/* How long a connection is still read from when all has been said. */
#define LINGER_MS    2000
/* What a connection may hold beside its bare cost, in octets, however little memory is left. */
#define MEMORY_SHARE 8192u

static const struct smtp_reply reply_timeout =
    SMTP_REPLY(421, 4, 4, 2, "Nothing came from you for too long; closing");
static const struct smtp_reply reply_session_over =
    SMTP_REPLY(421, 4, 4, 2, "This session has lasted too long; come again");
static const struct smtp_reply reply_no_memory =
    SMTP_REPLY(421, 4, 3, 1, "Too much to do now; try again later");
static const struct smtp_reply reply_stopping =
    SMTP_REPLY(421, 4, 3, 2, "The service is stopping; try again soon");

/* ---- coming in */

void
connection_enter(struct connection *connection, enum connection_phase phase)
{
    connection->phase = phase;
    connection->progressed = true;
    connection->muted = false;
}

void
connection_begin_session(struct connection *connection, bool early_talk)
{
    session_begin(connection, early_talk);
    if (!connection->closed) {
        connection_enter(connection, CONNECTION_SMTP);
    }
}

static void
on_socket(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    (void)fd;
    connection->did_read = false;
    connection->write_blocked = false;
    connection->more_to_read = false;
    connection_run(connection);
    connection->muted = (what & EV_READ) != 0 && !connection->did_read;
    connection_settle(connection);
}

static void
on_trace_overflow(void *context, struct str events)
{
    struct connection *connection = context;
    record_send_events(connection->edge, str_from_cstr(connection->id), connection, events);
}

static struct connection *
connection_create(struct edge *edge, const struct profile_listener *listener, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct event *event =
        connection != NULL ? event_new(edge->loop, fd, 0, on_socket, connection) : NULL;
    if (event == NULL) {
        free(connection);
        return NULL;
    }
    connection->edge = edge;
    connection->profile = profile_ref(edge->profile);
    connection->listener = listener;
    connection->fd = fd;
    connection->event = event;
    connection->opened_ms = edge_now_ms();
    buf_init(&connection->input, EDGE_READ_SIZE);
    trace_init(&connection->trace, NULL);
    trace_set_overflow(&connection->trace, on_trace_overflow, connection);
    id_make(clock_wall_ms(), connection->id);
    DL_APPEND(edge->connections, connection);
    edge->connection_count++;
    edge->counters.connections++;
    return connection;
}

static void
read_server_address(struct connection *connection)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (getsockname(connection->fd, (struct sockaddr *)&name, &length) != 0 ||
        ip_from_sockaddr((const struct sockaddr *)&name, &connection->server,
                         &connection->server_port) != STATUS_OK) {
        connection->server_port = 0;
    }
}

/*
 * Who is at the other end of a Unix socket. The kernel wrote that down at connect(2), so it holds
 * for what has been handed on, too: a descriptor that was inherited speaks for who opened it.
 */
static enum status
read_local_user(struct connection *connection)
{
    static const struct ip_address loopback = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        return STATUS_IO;
    }
    connection->local_uid = peer.uid;
    local_user_name(peer.uid, connection->local_user);
    connection->client = loopback;
    return STATUS_OK;
}

static enum status
read_client(struct connection *connection, const struct sockaddr *peer)
{
    int on = 1;
    if (connection->listener->config->kind == CONFIG_LISTENER_LOCAL) {
        return read_local_user(connection);
    }
    /* Replies are written whole: nothing is won by waiting for more. */
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    read_server_address(connection);
    return ip_from_sockaddr(peer, &connection->client, &connection->client_port);
}

void
connection_open(struct edge *edge, const struct profile_listener *listener, int fd,
                const struct sockaddr *peer)
{
    struct connection *connection = connection_create(edge, listener, fd);
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection_charge(connection);
    if (read_client(connection, peer) != STATUS_OK) {
        connection_close(connection, "reset");
    } else if (config_networks_contain(&listener->config->proxy_protocol, &connection->client)) {
        connection_enter(connection, CONNECTION_PROXY);
    } else {
        connection_admit(connection);
    }
    if (!connection->closed && connection->phase == CONNECTION_SMTP) {
        connection_run(connection); /* the greeting */
    }
    connection_settle(connection);
}

/* ---- going away */

void
connection_close(struct connection *connection, const char *reason)
{
    if (connection->reason == NULL) {
        connection->reason = reason;
    }
    connection->closed = true;
}

static void
connection_free(struct connection *connection)
{
    struct edge *edge = connection->edge;
    record_connection_closed(connection);
    transaction_destroy(connection);
    request_detach(connection);
    wheel_clear(&edge->wheel, &connection->deadline);
    admission_leave(edge->clients, &connection->place);
    edge_memory_remove(edge, connection->charged);
    event_free(connection->event);
    tls_connection_destroy(&connection->tls);
    close(connection->fd);
    smtp_server_destroy(&connection->core);
    buf_free(&connection->input);
    trace_free(&connection->trace);
    free(connection->claimed_user);
    profile_unref(&connection->profile);
    DL_DELETE(edge->connections, connection);
    edge->connection_count--;
    free(connection);
    edge_consider_stopped(edge);
}

void
connection_end(struct connection *connection, const struct smtp_reply *reply, const char *reason)
{
    if (connection->core == NULL || connection->write_blocked ||
        (connection->phase != CONNECTION_SMTP && connection->phase != CONNECTION_LINGER)) {
        connection_close(connection, reason);
        return;
    }
    if (connection->reason == NULL) {
        connection->reason = reason;
    }
    smtp_server_end(connection->core, reply);
    connection_run(connection);
}

static bool
session_is_idle(const struct connection *connection)
{
    enum smtp_server_state state = smtp_server_state(connection->core);
    return state <= SMTP_STATE_READY || state == SMTP_STATE_CLOSING;
}

void
connection_stop(struct connection *connection, bool at_once)
{
    bool in_session = connection->core != NULL && connection->phase == CONNECTION_SMTP;
    if (at_once || connection->core == NULL || (in_session && session_is_idle(connection))) {
        connection_end(connection, &reply_stopping, "shutdown"); /* says it where it can */
    }
}

/* ---- waiting for the next event */

void
connection_charge(struct connection *connection)
{
    uint64_t octets =
        EDGE_CONNECTION_COST + connection->input.size + trace_held(&connection->trace);
    if (connection->tls != NULL) {
        octets += TLS_CONNECTION_MEMORY;
    }
    if (connection->transaction != NULL) {
        octets += transaction_memory(connection->transaction);
    }
    if (connection->core != NULL) {
        octets += smtp_server_memory(connection->core);
    }
    edge_memory_add(connection->edge, octets);
    edge_memory_remove(connection->edge, connection->charged);
    connection->charged = octets;
}

static short
connection_interest(const struct connection *connection)
{
    bool tls_writes =
        connection->tls != NULL && tls_io_wants_write(tls_connection_io(connection->tls));
    short write = connection->write_blocked || tls_writes ? EV_WRITE : 0;
    switch (connection->phase) {
    case CONNECTION_PROXY:
    case CONNECTION_PREGREET:
    case CONNECTION_LINGER:
        return EV_READ;
    case CONNECTION_HANDSHAKE:
        return tls_writes ? EV_WRITE : EV_READ;
    case CONNECTION_STARTTLS:
        return write;
    case CONNECTION_SMTP:
        break;
    }
    if (connection->need == CONNECTION_NEEDS_INPUT) {
        return write | EV_READ;
    }
    /* Most clients say nothing while they wait: leave the socket registered until one does. */
    return connection->muted ? write : write | (connection->interest & EV_READ);
}

static void
connection_arrange_events(struct connection *connection)
{
    short wanted = connection_interest(connection);
    if (wanted != connection->interest) {
        if (connection->interest != 0) {
            event_del(connection->event);
        }
        event_assign(connection->event, connection->edge->loop, connection->fd, wanted | EV_PERSIST,
                     on_socket, connection);
        if (wanted != 0 && event_add(connection->event, NULL) != 0) {
            connection_close(connection, "limit");
            return;
        }
        connection->interest = wanted;
    }
    /* What TLS has decrypted already will not make the socket readable. */
    if (connection->more_to_read && connection->tls != NULL &&
        tls_io_pending(tls_connection_io(connection->tls)) > 0) {
        event_active(connection->event, EV_READ, 0);
    }
}

/* Milliseconds for the phase; 0: it waits for others, who have time-outs of their own. */
static int64_t
connection_timeout_ms(const struct connection *connection)
{
    const struct config_limits *limits = &connection->profile->config->limits;
    switch (connection->phase) {
    case CONNECTION_PROXY:
        return limits->timeouts.proxy_header_ms;
    case CONNECTION_PREGREET:
        return limits->pregreet_delay_ms;
    case CONNECTION_HANDSHAKE:
        return limits->timeouts.tls_handshake_ms;
    case CONNECTION_STARTTLS:
        return limits->timeouts.command_ms;
    case CONNECTION_LINGER:
        return LINGER_MS;
    case CONNECTION_SMTP:
        break;
    }
    if (connection->need == CONNECTION_NEEDS_ANSWER && !connection->write_blocked) {
        return 0;
    }
    return connection->need == CONNECTION_NEEDS_INPUT && !connection->write_blocked
               ? smtp_server_timeout_ms(connection->core)
               : limits->timeouts.command_ms;
}

static void
connection_arrange_deadline(struct connection *connection)
{
    int64_t session_end =
        connection->opened_ms + connection->profile->config->limits.timeouts.session_ms;
    int64_t timeout = connection_timeout_ms(connection);
    int64_t deadline = timeout > 0 ? edge_now_ms() + timeout : session_end;
    if (connection->phase != CONNECTION_LINGER && deadline > session_end) {
        deadline = session_end;
    }
    wheel_set(&connection->edge->wheel, &connection->deadline, deadline);
    connection->progressed = false;
}

/*
 * When all of the memory is used, who holds more than his share and still grows has to go: half a
 * command line and many refused recipients are kept too. Those who wait for an answer stay.
 */
static void
connection_bound_memory(struct connection *connection)
{
    uint64_t before = connection->charged;
    uint64_t bare = EDGE_CONNECTION_COST + (connection->tls != NULL ? TLS_CONNECTION_MEMORY : 0);
    connection_charge(connection);
    bool takes_input = connection->phase == CONNECTION_SMTP &&
                       connection->need == CONNECTION_NEEDS_INPUT && !connection->write_blocked;
    if (takes_input && connection->charged > before && connection->charged > bare + MEMORY_SHARE &&
        edge_memory_is_spent(connection->edge)) {
        connection->edge->counters.refused_memory++;
        connection->noteworthy = true;
        connection_end(connection, &reply_no_memory, "limit");
    }
}

void
connection_settle(struct connection *connection)
{
    if (!connection->closed && connection->edge->stopping) {
        connection_stop(connection, false);
    }
    if (!connection->closed) {
        connection_bound_memory(connection);
    }
    if (!connection->closed) {
        connection_charge(connection);
        connection_arrange_events(connection);
    }
    if (connection->closed) {
        connection_free(connection);
    } else if (connection->progressed) {
        connection_arrange_deadline(connection);
    }
}

void
connection_deadline_due(struct connection *connection)
{
    int64_t session_end =
        connection->opened_ms + connection->profile->config->limits.timeouts.session_ms;
    bool over = edge_now_ms() >= session_end;
    if (connection->phase == CONNECTION_PREGREET && !over) {
        connection_begin_session(connection, false);
        connection_run(connection);
    } else if (connection->phase == CONNECTION_SMTP &&
               connection->need == CONNECTION_NEEDS_ANSWER && !connection->write_blocked) {
        return; /* a message on its way is not dropped; the answer brings a new deadline */
    } else if (connection->phase == CONNECTION_LINGER) {
        connection_close(connection, "refused");
    } else {
        connection->edge->counters.timeouts++;
        connection->noteworthy |= connection->commands > 0;
        connection_end(connection, over ? &reply_session_over : &reply_timeout, "timeout");
    }
    connection_settle(connection);
}
