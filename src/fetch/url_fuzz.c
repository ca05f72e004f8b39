/* Any text as a URL: what is taken is put together to the same URL again. */
#include "fetch/url.h"

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(1u << 16);
    struct fetch_url url;
    struct fetch_url again;
    if (fetch_url_parse(str_make((const char *)data, size), &url) == STATUS_OK) {
        struct str text =
            url.port != 0
                ? arena_printf(arena, "https://%.*s:%u%.*s", STR_ARG(url.host), url.port,
                               STR_ARG(url.target))
                : arena_printf(arena, "https://%.*s%.*s", STR_ARG(url.host), STR_ARG(url.target));
        /* One octet more than the longest URL when it had no path. */
        if (text.n <= FETCH_URL_MAX &&
            (fetch_url_parse(text, &again) != STATUS_OK || !str_eq(url.host, again.host) ||
             url.port != again.port || !str_eq(url.target, again.target))) {
            __builtin_trap();
        }
        if (str_printable_length(text) != text.n || str_contains_char(text, ' ')) {
            __builtin_trap();
        }
    }
    arena_destroy(&arena);
    return 0;
}
