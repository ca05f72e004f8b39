/*
 * io.h - octets through TLS, the same for both sides: tls_stream_io() and tls_connection_io() give
 * the struct tls_io of a client's or a server's side.
 *
 * Sockets are non-blocking. handshake, read and write return STATUS_OK; STATUS_AGAIN, when the
 * socket must become readable, or writable where tls_io_wants_write() says so, before the same call
 * is made again; or how it ended: STATUS_END when the peer closed or has gone, STATUS_IO for a
 * broken socket, STATUS_SYNTAX when there is no agreement or the peer broke the protocol
 * (tls_io_error tells). A connection that was cut counts as ended and not as an error: SMTP itself
 * marks the end of everything that counts.
 */
#ifndef POSTERN_TLS_IO_H
#define POSTERN_TLS_IO_H

#include "base/str.h"

struct tls_io;

/* Begins the handshake or goes on with it; STATUS_OK when it is done. */
[[nodiscard]] enum status tls_io_handshake(struct tls_io *io);
/* Reads up to `size` octets into out. */
[[nodiscard]] enum status tls_io_read(struct tls_io *io, char *out, size_t size, size_t *read_out);
/*
 * Writes a part of `octets` (at least one). After STATUS_AGAIN the same octets come first in the
 * next call; more may follow them, and they may have moved.
 */
[[nodiscard]] enum status tls_io_write(struct tls_io *io, struct str octets, size_t *written_out);
/* Sends close_notify if the socket takes it at once; the peer's own is not waited for. */
void tls_io_close_notify(struct tls_io *io);
/* After STATUS_AGAIN: wait until the socket takes octets, not until it has some. */
bool tls_io_wants_write(const struct tls_io *io);
/* Octets that have been decrypted and can be read although the socket is not readable. */
size_t tls_io_pending(const struct tls_io *io);
/*
 * Whether the peer has sent octets that have not been read yet, a part of a record included. Looks
 * at the socket too.
 */
bool tls_io_input_waits(struct tls_io *io);
/* Why the last call failed; static text, never NULL. */
const char *tls_io_error(const struct tls_io *io);

#endif
