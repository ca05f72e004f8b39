/*
 * listen.h - the sockets that the parent opens for the roles: SMTP listeners, the metrics listener,
 * the sockets for commands.
 */
#ifndef POSTERN_ROLES_PARENT_LISTEN_H
#define POSTERN_ROLES_PARENT_LISTEN_H

#include "config/config.h"
#include "ipc/message.h"

/* As many as may be configured, and the one for local users. */
#define LISTEN_SOCKETS_MAX 65

/* Listening sockets by their place in config->listeners; behind them that for local users. */
struct listen_set {
    struct {
        struct ip_address address;
        uint16_t port; /* 0: the socket for local users */
        int fd;        /* owned */
    } items[LISTEN_SOCKETS_MAX];
    size_t count;
};

/*
 * Opens what `config` lists into *set_out; sockets of `old` (may be NULL) with the same address and
 * port are duplicated instead of bound again; one with the same port on a clashing address (0.0.0.0
 * and another) does not stand in the way. On failure everything new is closed, `old` untouched,
 * and the log and *reason_out (in `arena`) say which address failed and why.
 */
[[nodiscard]] enum status listen_set_open(const struct config *config, const struct listen_set *old,
                                          struct arena *arena, struct listen_set *set_out,
                                          struct str *reason_out);
void listen_set_close(struct listen_set *set);

/* A listening TCP socket; the caller closes *fd_out. STATUS_IO with errno set. */
[[nodiscard]] enum status listen_tcp(const struct ip_address *address, uint16_t port, int *fd_out);
/*
 * The socket that commands reach `role` by: run/ROLE.sock, Unix SEQPACKET, mode 0660, in the place
 * of a stale one. On failure *reason_out (in `arena`) says why.
 */
[[nodiscard]] enum status listen_commands(const struct config *config, enum role role,
                                          struct arena *arena, int *fd_out, struct str *reason_out);

/* The socket of the metrics page; *fd_out stays as it is when the page is not wanted. */
[[nodiscard]] enum status listen_metrics(const struct config *config, struct arena *arena,
                                         int *fd_out, struct str *reason_out);

#endif
