/*
 * io.h - octets through one SSL object, for both sides of a connection (inside of src/tls).
 *
 * Every call but the last two returns STATUS_OK, STATUS_AGAIN (wants_write tells for what to wait),
 * STATUS_END (closed or cut), STATUS_SYNTAX (a breach of the protocol; tls_io_error says which) or
 * STATUS_IO. A cut connection counts as an end and not as an error: SMTP marks the end of
 * everything that counts itself.
 */
#ifndef POSTERN_TLS_IO_H
#define POSTERN_TLS_IO_H

#include <openssl/ssl.h>

#include "base/str.h"

struct tls_io {
    SSL *ssl; /* owned by whoever holds the struct */
    bool wants_write;
    unsigned long error; /* OpenSSL's code of the last failure; 0: there was none */
};

[[nodiscard]] enum status tls_io_handshake(struct tls_io *io);
[[nodiscard]] enum status tls_io_read(struct tls_io *io, char *out, size_t size, size_t *read_out);
[[nodiscard]] enum status tls_io_write(struct tls_io *io, struct str octets, size_t *written_out);
/* Says goodbye; the peer's own is not waited for. */
void tls_io_close_notify(struct tls_io *io);
/* Why the last call failed; static text. */
const char *tls_io_error(const struct tls_io *io);

#endif
