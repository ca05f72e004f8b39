#include "roles/parent/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/local_user.h"

#define LISTEN_BACKLOG 1024
#define BIND_TRIES     10
#define BIND_WAIT_MS   100
/* Modes of Unix sockets: 0660 for commands, 0666 where every user of the machine may write mail. */
#define COMMANDS_UMASK 0117
#define LOCAL_UMASK    0111

/*
 * With `shared`, beside a socket of ours that has been made shareable (socket_share): the same port
 * on another address that would clash, as 0.0.0.0 does with every other.
 */
static int
socket_bound(const struct ip_address *address, uint16_t port, bool shared)
{
    struct sockaddr_storage sa;
    socklen_t length = ip_to_sockaddr(address, port, &sa);
    int on = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    bool v6 = sa.ss_family == AF_INET6;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        /* One address, one family: ":: " does not silently take IPv4 as well. */
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)&sa, length) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/*
 * The roles of a Postern that was killed a moment ago may still hold the socket: they end when they
 * notice, which takes milliseconds.
 */
static int
socket_bound_soon(const struct ip_address *address, uint16_t port)
{
    int fd = socket_bound(address, port, false);
    for (int i = 0; fd < 0 && errno == EADDRINUSE && i < BIND_TRIES; i++) {
        usleep(BIND_WAIT_MS * 1000);
        fd = socket_bound(address, port, false);
    }
    return fd;
}

/* A bound socket listens; closes it otherwise. */
static enum status
socket_listen(int fd, int *fd_out)
{
    if (fd < 0) {
        return STATUS_IO;
    }
    if (listen(fd, LISTEN_BACKLOG) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return STATUS_IO;
    }
    *fd_out = fd;
    return STATUS_OK;
}

enum status
listen_tcp(const struct ip_address *address, uint16_t port, int *fd_out)
{
    return socket_listen(socket_bound_soon(address, port), fd_out);
}

/* Allows, or no longer allows, another socket of this user beside those of `old` on that port. */
static size_t
socket_share(const struct listen_set *old, uint16_t port, int on)
{
    size_t count = 0;
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        if (old->items[i].port == port &&
            setsockopt(old->items[i].fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) {
            count++;
        }
    }
    return count;
}

/*
 * As listen_tcp, where a socket of the generation before may hold the port on an address that
 * clashes: from 127.0.0.1 to 0.0.0.0, or back. Both listen until the roles have let go of the old
 * one, so that no connection is lost. The option is set for this moment only, and never on a first
 * start: a second Postern on the port is told so, and does not take a part of the connections.
 */
static enum status
listen_beside(const struct listen_set *old, const struct config_listener *wanted, int *fd_out)
{
    int const off = 0;
    if (socket_share(old, wanted->port, 1) == 0) {
        return listen_tcp(&wanted->address, wanted->port, fd_out);
    }
    enum status status = socket_listen(socket_bound(&wanted->address, wanted->port, true), fd_out);
    int reason = errno;
    if (status == STATUS_OK) {
        setsockopt(*fd_out, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
    }
    socket_share(old, wanted->port, 0);
    errno = reason;
    return status;
}

/* `type`: SOCK_STREAM or the like; `closed`: the rights that nobody but its owner and, as they
 * say, its group has. */
static enum status
listen_unix(const char *path, int type, mode_t closed, int *fd_out)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return STATUS_IO;
    }
    memcpy(sa.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return STATUS_IO;
    }
    unlink(path);
    mode_t old = umask(closed); /* born with its final mode */
    int failed = bind(fd, (const struct sockaddr *)&sa, sizeof sa);
    umask(old);
    if (failed != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return STATUS_IO;
    }
    *fd_out = fd;
    return STATUS_OK;
}

enum status
listen_commands(const struct config *config, enum role role, struct arena *arena, int *fd_out,
                struct str *reason_out)
{
    struct str path =
        arena_printf(arena, "%.*s/%s.sock", STR_ARG(config->directories.run), ipc_role_name(role));
    enum status status =
        path.p != NULL ? listen_unix(path.p, SOCK_SEQPACKET, COMMANDS_UMASK, fd_out) : STATUS_LIMIT;
    if (status != STATUS_OK) {
        *reason_out = arena_printf(arena, "%.*s: %s", STR_ARG(path), strerror(errno));
    }
    return status;
}

static int
find_in(const struct listen_set *set, const struct config_listener *wanted)
{
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        if (set->items[i].port == wanted->port && ip_eq(&set->items[i].address, &wanted->address)) {
            return set->items[i].fd;
        }
    }
    return -1;
}

static const char *
bind_hint(int reason)
{
    switch (reason) {
    case EADDRINUSE:
        return "another program listens there; stop it or choose another port";
    case EACCES:
        return "ports below 1024 need root (or CAP_NET_BIND_SERVICE); choose a higher port";
    case EADDRNOTAVAIL:
        return "no interface of this machine has the address";
    default:
        return strerror(reason);
    }
}

/* The socket for local users, at the end of the set; the one of `old` goes on. */
static enum status
open_local(const struct config *config, const struct listen_set *old, struct arena *arena,
           struct listen_set *set, struct str *reason_out)
{
    int fd = -1;
    struct str path =
        arena_printf(arena, "%.*s/" LOCAL_USER_SOCKET, STR_ARG(config->directories.run));
    if (old != NULL && old->count > 0 && old->items[old->count - 1].port == 0) {
        fd = fcntl(old->items[old->count - 1].fd, F_DUPFD_CLOEXEC, 3);
    } else if (path.p != NULL && listen_unix(path.p, SOCK_STREAM, LOCAL_UMASK, &fd) != STATUS_OK) {
        fd = -1;
    }
    if (fd < 0) {
        *reason_out = arena_printf(arena, "%.*s: %s", STR_ARG(path), strerror(errno));
        return STATUS_IO;
    }
    set->items[set->count++].fd = fd;
    return STATUS_OK;
}

enum status
listen_set_open(const struct config *config, const struct listen_set *old, struct arena *arena,
                struct listen_set *set_out, struct str *reason_out)
{
    struct listen_set set = {.count = 0};
    for (size_t i = 0; i < config->listeners.count && i < LISTEN_SOCKETS_MAX - 1; i++) {
        const struct config_listener *wanted = &config->listeners.items[i];
        int fd = find_in(old, wanted);
        enum status status = STATUS_OK;
        if (fd >= 0) {
            fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
            status = fd >= 0 ? STATUS_OK : STATUS_IO;
        } else {
            status = listen_beside(old, wanted, &fd);
        }
        if (status != STATUS_OK) {
            char text[IP_TEXT_MAX];
            *reason_out =
                arena_printf(arena, "cannot listen on %s port %u: %s",
                             ip_format(&wanted->address, text), wanted->port, bind_hint(errno));
            listen_set_close(&set);
            return STATUS_IO;
        }
        set.items[set.count].address = wanted->address;
        set.items[set.count].port = wanted->port;
        set.items[set.count].fd = fd;
        set.count++;
    }
    if (config->sendmail.enabled && open_local(config, old, arena, &set, reason_out) != STATUS_OK) {
        listen_set_close(&set);
        return STATUS_IO;
    }
    *set_out = set;
    return STATUS_OK;
}

void
listen_set_close(struct listen_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        close(set->items[i].fd);
    }
    set->count = 0;
}

enum status
listen_metrics(const struct config *config, struct arena *arena, int *fd_out,
               struct str *reason_out)
{
    const struct config_metrics *metrics = &config->metrics;
    char text[IP_TEXT_MAX];
    if (!metrics->enabled || listen_tcp(&metrics->address, metrics->port, fd_out) == STATUS_OK) {
        return STATUS_OK;
    }
    *reason_out = arena_printf(arena, "metrics: %s port %u: %s", ip_format(&metrics->address, text),
                               metrics->port, strerror(errno));
    return STATUS_IO;
}
