/* Fuzz target: gzip; never more than the ceiling, and what was read is written and read again. */
#include <stdlib.h>

#include "base/gzip.h"

#define CEILING 100000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf plain;
    struct buf coded;
    struct buf again;
    buf_init(&plain, CEILING);
    buf_init(&coded, 2 * CEILING);
    buf_init(&again, CEILING);
    enum status status = gzip_decode(str_make((const char *)data, size), &plain);
    if (buf_length(&plain) > CEILING) {
        abort();
    }
    if (status == STATUS_OK && (gzip_encode(buf_str(&plain), &coded) != STATUS_OK ||
                                gzip_decode(buf_str(&coded), &again) != STATUS_OK ||
                                !str_eq(buf_str(&plain), buf_str(&again)))) {
        abort();
    }
    buf_free(&plain);
    buf_free(&coded);
    buf_free(&again);
    return 0;
}
