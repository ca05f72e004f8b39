/*
 * library.h - OpenSSL as a role uses it: started before the sandbox, its errors as text.
 *
 * A role calls tls_library_init() while it may still open files. Afterwards OpenSSL opens none: no
 * configuration file is read (what is allowed stands in Postern's own configuration and not in the
 * machine's openssl.cnf), algorithms come from the provider that is linked in, and randomness from
 * getrandom(2).
 */
#ifndef POSTERN_TLS_LIBRARY_H
#define POSTERN_TLS_LIBRARY_H

#include "base/str.h"

/* Longest text about an error, with its NUL. */
#define TLS_ERROR_MAX 512

/* Starts the library; once in a process, before threads and sandbox. STATUS_IO when it refuses. */
[[nodiscard]] enum status tls_library_init(void);

/*
 * Writes "WHAT: REASON" into out, REASON being the oldest error in this thread's queue (the cause;
 * later ones are its consequences), and empties the queue.
 */
void tls_error_take(const char *what, char out[static TLS_ERROR_MAX]);

#endif
