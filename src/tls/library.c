#include "tls/library.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "tls/pass_phrase.h"

enum status
tls_library_init(void)
{
    unsigned char seed;
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) != 1) {
        return STATUS_IO;
    }
    /* The first draw fetches the generator; inside the sandbox nothing is left to set up. */
    return RAND_bytes(&seed, sizeof seed) == 1 ? STATUS_OK : STATUS_IO;
}

void
tls_error_take(const char *what, char out[static TLS_ERROR_MAX])
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(out, TLS_ERROR_MAX, "%s: %s", what, reason != NULL ? reason : "unknown error");
    ERR_clear_error();
}

int
tls_no_pass_phrase(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}
