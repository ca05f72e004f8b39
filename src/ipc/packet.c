#include "ipc/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the kernel adds per packet when it counts a socket's room. */
#define SOCKET_ROOM (2 * (int)IPC_PACKET_MAX)

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

enum status
packet_send(int fd, struct str packet, const int *fds, size_t fd_count)
{
    union control control = {0};
    struct iovec iov = {.iov_len = packet.n};
    memcpy(&iov.iov_base, &packet.p, sizeof packet.p);
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *cmsg = &control.header;
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return STATUS_OK;
    }
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
        return STATUS_AGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return STATUS_END;
    default:
        return STATUS_IO;
    }
}

static size_t
collect_fds(struct msghdr *msg, int fds_out[static IPC_FDS_MAX])
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && count < IPC_FDS_MAX; i++) {
            memcpy(&fds_out[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    }
    return count;
}

enum status
packet_receive(int fd, struct str *packet_out, int fds_out[static IPC_FDS_MAX],
               size_t *fd_count_out)
{
    static _Thread_local char room[IPC_PACKET_MAX];
    union control control = {0};
    struct iovec iov = {.iov_base = room, .iov_len = sizeof room};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};
    ssize_t got;
    do {
        got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN ? STATUS_AGAIN : errno == ECONNRESET ? STATUS_END : STATUS_IO;
    }
    size_t count = collect_fds(&msg, fds_out);
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < count; i++) {
            close(fds_out[i]);
        }
        return STATUS_SYNTAX;
    }
    if (got == 0) {
        return STATUS_END; /* our packets are never empty */
    }
    *packet_out = str_make(room, (size_t)got);
    *fd_count_out = count;
    return STATUS_OK;
}

enum status
packet_prepare_socket(int fd)
{
    int room = SOCKET_ROOM;
    /*
     * Only who has CAP_NET_ADMIN may pass the system's maximum; others get as much as it allows:
     * twice net.core.wmem_max, which by default is more than a packet. It is not worth the right to
     * reconfigure the network, which the service does not have.
     */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) != 0) {
        return STATUS_IO;
    }
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? STATUS_OK : STATUS_IO;
}
