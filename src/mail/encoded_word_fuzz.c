#include <stdlib.h>

#include "mail/encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet says how long the result may be. It is always one line of UTF-8. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_create(4u << 20);
    struct str text = mail_text_decode(arena, str_make((const char *)data + 1, size - 1), data[0]);
    if (text.p == NULL || text.n > data[0] || !str_is_utf8(text)) {
        abort();
    }
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f) {
            abort();
        }
    }
    arena_destroy(&arena);
    return 0;
}
