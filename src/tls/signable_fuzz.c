/* Fuzz target: what is judged to be a handshake's has the form of one, octet for octet. */
#include <stdlib.h>

#include "tls/scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_make((const char *)data, size);
    enum tls_signable what = tls_handshake_signable(input);
    require(size <= TLS_SIGNABLE_MAX || what == TLS_SIGNABLE_NOT);
    if (what == TLS_SIGNABLE_1_3) {
        require(size == 130 || size == 146);
        require(
            str_eq(str_skip(str_head(input, 97), 64), STR("TLS 1.3, server CertificateVerify")));
    }
    if (what == TLS_SIGNABLE_1_2) {
        require(size > 64 && str_eq(str_skip(str_head(input, 64), 56), STR("DOWNGRD\001")));
    }
    if (what != TLS_SIGNABLE_NOT) { /* not an octet less or more */
        struct str shorter = str_head(input, size - 1);
        require(tls_handshake_signable(shorter) == TLS_SIGNABLE_NOT);
    }
    for (unsigned number = 0; number < 0x1000; number++) {
        const struct tls_scheme *scheme = tls_scheme_find((uint16_t)number);
        require(scheme == NULL || !tls_scheme_signs(scheme, TLS_SIGNABLE_NOT));
    }
    return 0;
}
