/* Accepting connections. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "roles/edge/connection.h"

/*
 * Connections accepted before others get their turn: few, so that a burst is shared by the edge
 * processes, which all wait at the same socket.
 */
#define ACCEPT_BATCH 8
/* Without descriptors or memory the listeners rest so long instead of spinning. */
#define PAUSE_MS     200

static void
listeners_pause(struct edge *edge)
{
    struct timeval pause = {0, PAUSE_MS * 1000};
    for (size_t i = 0; i < edge->listener_count; i++) {
        event_del(edge->listeners[i].readable);
    }
    event_add(edge->resume, &pause);
}

static void
on_resume(evutil_socket_t fd, short what, void *context)
{
    struct edge *edge = context;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < edge->listener_count; i++) {
        event_add(edge->listeners[i].readable, NULL);
    }
}

/*
 * There is no descriptor left: the reserved one is given up for a moment, so that the client is
 * sent away instead of waiting in the queue, where it would wake us for ever.
 */
static void
refuse_with_reserve(struct edge *edge, int listener)
{
    static const char text[] = "421 4.3.2 Too many connections; try again later\r\n";
    edge->counters.no_descriptors++;
    if (edge->reserve_fd >= 0) {
        close(edge->reserve_fd);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            ssize_t ignored = send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
            (void)ignored;
            close(fd);
        }
        edge->reserve_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    listeners_pause(edge);
}

static void
accept_one(struct edge_listener *listener, int fd, const struct sockaddr *peer)
{
    struct edge *edge = listener->edge;
    const struct profile *profile = edge->profile;
    /* Those whose PROXY header is still to come are not counted among the clients yet. */
    if (listener->index >= profile->listener_count ||
        edge->connection_count >= edge->admission_limits.connections) {
        edge->counters.refused[ADMISSION_CONNECTIONS]++;
        close(fd);
        return;
    }
    connection_open(edge, &profile->listeners[listener->index], fd, peer);
}

static void
on_listener(evutil_socket_t socket, short what, void *context)
{
    struct edge_listener *listener = context;
    struct edge *edge = listener->edge;
    (void)what;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int fd = accept4(socket, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            accept_one(listener, fd, (const struct sockaddr *)&peer);
        } else if (errno == EMFILE || errno == ENFILE) {
            refuse_with_reserve(edge, socket);
            return;
        } else if (errno == ENOMEM || errno == ENOBUFS) {
            listeners_pause(edge);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
        /* Others (ECONNABORTED, EPROTO, ...) concern that one connection only: accept(2). */
    }
}

void
edge_listen_stop(struct edge *edge)
{
    for (size_t i = 0; i < edge->listener_count; i++) {
        event_free(edge->listeners[i].readable);
        close(edge->listeners[i].fd);
    }
    edge->listener_count = 0;
    if (edge->resume != NULL) {
        event_free(edge->resume);
        edge->resume = NULL;
    }
}

void
edge_listen(struct edge *edge)
{
    edge_listen_stop(edge);
    edge->resume = event_new(edge->loop, -1, 0, on_resume, edge);
    for (uint32_t i = 0; i < EDGE_LISTENERS_MAX; i++) {
        int fd = edge->offered[i];
        edge->offered[i] = -1;
        if (fd < 0) {
            continue;
        }
        struct edge_listener *listener = &edge->listeners[edge->listener_count];
        *listener = (struct edge_listener){.edge = edge, .index = i, .fd = fd};
        listener->readable = event_new(edge->loop, fd, EV_READ | EV_PERSIST, on_listener, listener);
        if (listener->readable == NULL || event_add(listener->readable, NULL) != 0) {
            LOG_ERROR("a listening socket cannot be used", LOG_INT("index", i));
            close(fd);
            continue;
        }
        edge->listener_count++;
    }
}
