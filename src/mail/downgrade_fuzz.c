/* Fuzz target: whatever comes out of a downgrade has 7 bits, and the header stays one. */
#include <stdlib.h>

#include "mail/downgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4 << 20);
    struct str message = str_make((const char *)data, size);
    size_t at = str_find(message, STR("\r\n\r\n"));
    struct str head = str_head(message, at != STR_NPOS ? at + 4 : 0);
    struct buf head_out, body_out;
    const char *why;
    buf_init(&head_out, 1 << 20);
    buf_init(&body_out, 1 << 20);
    if (mail_downgrade(arena, head, str_skip(message, head.n), &head_out, &body_out, &why) ==
            STATUS_OK &&
        (!str_is_ascii(buf_str(&head_out)) || !str_is_ascii(buf_str(&body_out)) ||
         !str_ends_with(buf_str(&head_out), STR("\r\n\r\n")))) {
        abort();
    }
    buf_clear(&head_out);
    buf_clear(&body_out);
    if (mail_shorten_lines(arena, head, str_skip(message, head.n), &head_out, &body_out, &why) ==
            STATUS_OK &&
        !str_ends_with(buf_str(&head_out), STR("\r\n\r\n"))) {
        abort();
    }
    buf_free(&head_out);
    buf_free(&body_out);
    arena_destroy(&arena);
    return 0;
}
