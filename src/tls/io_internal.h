/*
 * io_internal.h - what a struct tls_io holds, for the two sides (inside of src/tls).
 */
#ifndef POSTERN_TLS_IO_INTERNAL_H
#define POSTERN_TLS_IO_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/io.h"

struct tls_io {
    SSL *ssl; /* owned by whoever holds the struct */
    bool wants_write;
    unsigned long error; /* OpenSSL's code of the last failure; 0: there was none */
};

#endif
