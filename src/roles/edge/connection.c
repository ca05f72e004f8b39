#include "roles/edge/connection.h"

#include <errno.h>
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

/* Reads of one connection before others get their turn. */
#define READS_PER_TURN    8
/* How long, and how much, a connection is still read from when all has been said. */
#define LINGER_MS         2000
#define LINGER_OCTETS_MAX (1u << 20)

static const struct smtp_reply reply_timeout =
    SMTP_REPLY(421, 4, 4, 2, "Nothing came from you for too long; closing");
static const struct smtp_reply reply_session_over =
    SMTP_REPLY(421, 4, 4, 2, "This session has lasted too long; come again");
static const struct smtp_reply reply_stopping =
    SMTP_REPLY(421, 4, 3, 2, "The service is stopping; try again soon");
static const struct smtp_reply reply_no_memory =
    SMTP_REPLY(421, 4, 3, 1, "Too much to do now; try again later");

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
        status = tls_connection_read(connection->tls, out, size, read_out);
    } else {
        ssize_t n = recv(connection->fd, out, size, 0);
        status = socket_status(n);
        *read_out = n > 0 ? (size_t)n : 0;
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
        status = tls_connection_write(connection->tls, octets, written_out);
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

static void
connection_enter(struct connection *connection, enum connection_phase phase)
{
    connection->phase = phase;
    connection->progressed = true;
    connection->muted = false;
}

static void
begin_session(struct connection *connection, bool early_talk)
{
    session_begin(connection, early_talk);
    if (!connection->closed) {
        connection_enter(connection, CONNECTION_SMTP);
    }
}

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
        begin_session(connection, true);
    } else if (status != STATUS_AGAIN) {
        connection_close(connection, "reset");
    }
}

static void
handshake_failed(struct connection *connection, enum status status)
{
    struct str error = str_from_cstr(tls_connection_error(connection->tls));
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
    enum status status = tls_connection_handshake(connection->tls);
    if (status == STATUS_AGAIN) {
        return;
    }
    if (status != STATUS_OK) {
        handshake_failed(connection, status);
        return;
    }
    connection->edge->counters.tls_sessions++;
    if (connection->core == NULL) {
        begin_session(connection, false);
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
        tls_connection_close_notify(connection->tls);
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
            if (connection->closed || !read_and_feed(connection)) {
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
    do {
        before = connection->phase;
        runs[before](connection);
    } while (!connection->closed && connection->phase != before);
}

/* ---- coming in */

/* A word in the clear before there is a session; TLS from the start leaves only the door. */
static void
connection_refuse(struct connection *connection, const struct smtp_reply *reply, const char *limit,
                  uint64_t value)
{
    struct buf text;
    buf_init(&text, SMTP_REPLY_LINE_MAX);
    TRACE(&connection->trace, limit_hit, .limit = str_from_cstr(limit), .value = (int64_t)value,
          .code = reply->code, .text = reply->text);
    if (connection->listener->config->kind != CONFIG_LISTENER_SMTPS &&
        smtp_reply_format(&text, reply) == STATUS_OK) {
        ssize_t ignored =
            send(connection->fd, buf_str(&text).p, buf_length(&text), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
        shutdown(connection->fd, SHUT_WR);
    }
    buf_free(&text);
    connection->noteworthy = record_refusal_is_told(connection->edge);
    connection_close(connection, "limit");
}

static struct smtp_reply
admission_reply(enum admission_verdict verdict)
{
    if (verdict == ADMISSION_ADDRESS || verdict == ADMISSION_ADDRESS_RATE) {
        return SMTP_REPLY(421, 4, 7, 0, "Too many connections from your address; try again later");
    }
    if (verdict == ADMISSION_NETWORK || verdict == ADMISSION_NETWORK_RATE) {
        return SMTP_REPLY(421, 4, 7, 0, "Too many connections from your network; try again later");
    }
    return SMTP_REPLY(421, 4, 3, 2, "Too many connections; try again later");
}

/* False when it may not come in; then it is closed. */
static bool
connection_check_limits(struct connection *connection)
{
    struct edge *edge = connection->edge;
    const struct config_limits *limits = &connection->profile->config->limits;
    bool rated = connection->zone == NULL || connection->zone->rate_limits;
    if (!edge_memory_admits(edge, EDGE_CONNECTION_COST)) {
        edge->counters.refused_memory++;
        connection_refuse(connection, &reply_no_memory, "limits.memory", limits->memory);
        return false;
    }
    enum admission_verdict verdict =
        admission_enter(edge->admission, &edge->admission_limits, &connection->client, rated,
                        edge_now_ms(), &connection->place);
    if (verdict != ADMISSION_OK) {
        struct smtp_reply reply = admission_reply(verdict);
        edge->counters.refused[verdict]++;
        connection_refuse(connection, &reply, admission_limit_name(verdict),
                          admission_limit_value(&edge->admission_limits, verdict));
        return false;
    }
    return true;
}

void
connection_admit(struct connection *connection)
{
    const struct config *config = connection->profile->config;
    enum config_listener_kind kind = connection->listener->config->kind;
    if (!connection->by_proxy_itself) {
        connection->zone = config_zone_for_ip(config, &connection->client);
    }
    TRACE(&connection->trace, connection_opened, .client = connection->client,
          .client_port = connection->client_port, .server = connection->server,
          .server_port = connection->server_port,
          .listener = str_from_cstr(config_listener_kind_name(kind)),
          .zone = connection->zone != NULL ? connection->zone->name : STR(""),
          .proxy = connection->proxy);
    if (!connection_check_limits(connection)) {
        return;
    }
    if (kind == CONFIG_LISTENER_SMTPS) {
        if (connection->listener->tls == NULL) {
            connection_close(connection, "tls"); /* the log said why at the start */
            return;
        }
        connection_enter(connection, CONNECTION_HANDSHAKE);
        return;
    }
    /* Who may relay is known; the others on port 25 have to show that they can wait. */
    bool trusted = connection->zone != NULL && connection->zone->relay;
    if (kind == CONFIG_LISTENER_MX && config->limits.pregreet_delay_ms > 0 && !trusted) {
        connection_enter(connection, CONNECTION_PREGREET);
        return;
    }
    begin_session(connection, false);
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

void
connection_open(struct edge *edge, const struct profile_listener *listener, int fd,
                const struct sockaddr *peer)
{
    int on = 1;
    struct ip_address client;
    uint16_t port;
    struct connection *connection = NULL;
    if (ip_from_sockaddr(peer, &client, &port) == STATUS_OK) {
        connection = connection_create(edge, listener, fd);
    }
    if (connection == NULL) {
        close(fd);
        return;
    }
    /* Replies are written whole: nothing is won by waiting for more. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->client = client;
    connection->client_port = port;
    read_server_address(connection);
    connection_charge(connection);
    if (config_networks_contain(&listener->config->proxy_protocol, &client)) {
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
    admission_leave(edge->admission, &connection->place);
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
    if (connection->core == NULL) {
        connection_close(connection, "shutdown");
    } else if (connection->phase == CONNECTION_SMTP && (at_once || session_is_idle(connection))) {
        connection_end(connection, &reply_stopping, "shutdown");
    } else if (at_once) {
        connection_close(connection, "shutdown");
    }
}

/* ---- waiting for the next event */

void
connection_charge(struct connection *connection)
{
    uint64_t octets = EDGE_CONNECTION_COST + connection->input.size;
    if (connection->tls != NULL) {
        octets += TLS_CONNECTION_MEMORY;
    }
    if (connection->transaction != NULL) {
        octets += connection->transaction->body.size;
    }
    edge_memory_add(connection->edge, octets);
    edge_memory_remove(connection->edge, connection->charged);
    connection->charged = octets;
}

static short
connection_interest(const struct connection *connection)
{
    bool tls_writes = connection->tls != NULL && tls_connection_wants_write(connection->tls);
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
        tls_connection_pending(connection->tls) > 0) {
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

void
connection_settle(struct connection *connection)
{
    if (!connection->closed && connection->edge->stopping) {
        connection_stop(connection, false);
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
        begin_session(connection, false);
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
