#include "tls/io_internal.h"

#include <errno.h>
#include <openssl/err.h>

/* What SSL_get_error and errno tell is about the last call only if these were clean before it. */
static void
prepare(void)
{
    ERR_clear_error();
    errno = 0;
}

/* What the outcome of an SSL_ function means. */
static enum status
conclude(struct tls_io *io, int result)
{
    int saved_errno = errno;
    int error = SSL_get_error(io->ssl, result);
    io->wants_write = error == SSL_ERROR_WANT_WRITE;
    io->error = ERR_peek_error();
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_NONE:
        return STATUS_OK;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STATUS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STATUS_END;
    case SSL_ERROR_SYSCALL:
        return saved_errno == 0 || saved_errno == ECONNRESET || saved_errno == EPIPE ? STATUS_END
                                                                                     : STATUS_IO;
    default:
        return ERR_GET_REASON(io->error) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? STATUS_END
                                                                               : STATUS_SYNTAX;
    }
}

enum status
tls_io_handshake(struct tls_io *io)
{
    prepare();
    return conclude(io, SSL_do_handshake(io->ssl));
}

enum status
tls_io_read(struct tls_io *io, char *out, size_t size, size_t *read_out)
{
    prepare();
    return conclude(io, SSL_read_ex(io->ssl, out, size, read_out));
}

enum status
tls_io_write(struct tls_io *io, struct str octets, size_t *written_out)
{
    prepare();
    return conclude(io, SSL_write_ex(io->ssl, octets.p, octets.n, written_out));
}

void
tls_io_close_notify(struct tls_io *io)
{
    ERR_clear_error();
    (void)SSL_shutdown(io->ssl);
    ERR_clear_error();
}

bool
tls_io_wants_write(const struct tls_io *io)
{
    return io->wants_write;
}

size_t
tls_io_pending(const struct tls_io *io)
{
    return (size_t)SSL_pending(io->ssl);
}

bool
tls_io_input_waits(struct tls_io *io)
{
    char octet;
    size_t n;
    prepare();
    /* Messages of TLS itself (a key update) are dealt with on the way, and are no input. */
    bool waits = SSL_peek_ex(io->ssl, &octet, 1, &n) == 1 || SSL_has_pending(io->ssl) == 1;
    ERR_clear_error();
    return waits;
}

const char *
tls_io_error(const struct tls_io *io)
{
    const char *text = io->error != 0 ? ERR_reason_error_string(io->error) : NULL;
    return text != NULL ? text : "connection lost";
}
