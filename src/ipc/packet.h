/*
 * packet.h - one packet over a SOCK_SEQPACKET socket, with its descriptors; for channel.c.
 */
#ifndef POSTERN_IPC_PACKET_H
#define POSTERN_IPC_PACKET_H

#include "ipc/message.h"

/*
 * Sends one packet. STATUS_AGAIN when the socket is full, STATUS_END when the peer is gone,
 * STATUS_IO for other errors.
 */
[[nodiscard]] enum status packet_send(int fd, struct str packet, const int *fds, size_t fd_count);

/*
 * Receives one packet into a buffer of the calling thread that lasts until its next call.
 * Descriptors become the caller's. STATUS_AGAIN when there is none, STATUS_END at the end,
 * STATUS_SYNTAX when it was larger than IPC_PACKET_MAX or had too many descriptors (all closed).
 */
[[nodiscard]] enum status packet_receive(int fd, struct str *packet_out,
                                         int fds_out[static IPC_FDS_MAX], size_t *fd_count_out);

/* Gives a socket the room that the largest packet needs, and makes it non-blocking. */
[[nodiscard]] enum status packet_prepare_socket(int fd);

#endif
