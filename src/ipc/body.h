/*
 * body.h - a message body on its way between roles: inline while it is small, else a sealed memfd.
 *
 * The limit comes from measurements: a memfd costs about 40 us, copying 128 KiB through a socket
 * about as much.
 */
#ifndef POSTERN_IPC_BODY_H
#define POSTERN_IPC_BODY_H

#include <stdint.h>

#include "base/arena.h"

/* Octets that go inline; longer bodies are passed as a memfd. */
#define IPC_BODY_INLINE_MAX (128u * 1024u)

struct ipc_body {
    struct str octets; /* the content when fd is -1; borrowed */
    int fd;            /* memfd, or -1 */
    uint64_t size;     /* octets in all, set by encoding and decoding for both forms */
};

/* A body of octets in memory (to be sent inline; at most IPC_BODY_INLINE_MAX). */
static inline struct ipc_body
ipc_body_inline(struct str octets)
{
    return (struct ipc_body){.octets = octets, .fd = -1, .size = octets.n};
}

/* A body in a memfd of `size` octets; the descriptor stays the caller's. */
static inline struct ipc_body
ipc_body_fd(int fd, uint64_t size)
{
    return (struct ipc_body){.fd = fd, .size = size};
}

/* Writes octets into a new memfd. STATUS_IO when the system refuses; the caller closes *fd_out. */
[[nodiscard]] enum status ipc_memfd_create(const char *name, struct str octets, int *fd_out);
/* Forbids every later change of the memfd (a receiver may then map it safely). */
[[nodiscard]] enum status ipc_memfd_seal(int fd);

/*
 * The content of a memfd, copied into the arena and followed by a NUL that is not counted. {NULL,0}
 * when it has more than `most` octets, cannot be read, or the arena is full.
 */
struct str ipc_memfd_read(struct arena *arena, int fd, size_t most);

/* The content of a body as one run of octets, mapped if it is a memfd. */
struct ipc_body_view {
    struct str octets;
    void *map; /* NULL when inline */
    size_t map_size;
};

/*
 * Opens a view; the body must outlive it. STATUS_DENIED when the memfd is not sealed against change
 * (the sender could change it under the reader), STATUS_SYNTAX when its size is not what was said,
 * STATUS_IO when mapping fails. Close with ipc_body_view_close.
 */
[[nodiscard]] enum status ipc_body_view_open(const struct ipc_body *body,
                                             struct ipc_body_view *view_out);
void ipc_body_view_close(struct ipc_body_view *view);

#endif
