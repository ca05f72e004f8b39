/* Fuzz target: whatever comes out is ASCII, and still one header section. */
#include <stdlib.h>

#include "mail/fields.h"
#include "mail/header_downgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mail_head_limits limits = {SIZE_MAX, SIZE_MAX};
    struct arena *arena = arena_create(8 << 20);
    struct mail_head before, after;
    struct buf out;
    const char *why;
    unsigned flags = size > 0 ? data[0] & 3u : 0;
    struct str message = str_make((const char *)data + (size > 0), size - (size > 0));
    size_t at = str_find(message, STR("\r\n\r\n"));
    struct str head = str_head(message, at != STR_NPOS ? at + 4 : 0);
    buf_init(&out, 1 << 20);
    if (mail_head_parse(arena, head, &limits, &before) == STATUS_OK &&
        mail_header_downgrade(arena, head, flags, &out, &why) == STATUS_OK &&
        (!str_is_ascii(buf_str(&out)) || !str_ends_with(buf_str(&out), STR("\r\n")) ||
         mail_head_parse(arena, buf_str(&out), &limits, &after) != STATUS_OK ||
         after.field_count != before.field_count || after.raw.n != buf_length(&out))) {
        abort();
    }
    buf_free(&out);
    arena_destroy(&arena);
    return 0;
}
