/* Fuzz target: messages with TLS reports. */
#include <stdlib.h>

#include "transport/tlsrpt_mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(64u << 20);
    struct tlsrpt_mail_found found = {.report = STR("")};
    struct str message = str_make((const char *)data, size);
    (void)tlsrpt_mail_is_report(arena, message);
    if (tlsrpt_mail_read(arena, message, &found) == STATUS_OK && found.report.n > message.n) {
        abort();
    }
    arena_destroy(&arena);
    return 0;
}
