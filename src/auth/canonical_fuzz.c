/*
 * Any octets as a body and as a header field, in both forms; the first octet says where the body is
 * cut. However it is cut, the same comes out; and what is canonical already stays as it is.
 */
#include <stdlib.h>

#include "auth/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static void
append_sink(void *ctx, const char *p, size_t n)
{
    require(buf_append(ctx, str_make(p, n)) == STATUS_OK);
}

static uint64_t
canonical(enum canonical form, struct str text, size_t cut, struct buf *out)
{
    struct canonical_body body;
    canonical_body_init(&body, form, CANONICAL_NO_LIMIT, append_sink, out);
    canonical_body_feed(&body, str_head(text, cut));
    canonical_body_feed(&body, str_skip(text, cut));
    canonical_body_finish(&body);
    return body.length;
}

static void
try_body(enum canonical form, struct str text, size_t cut)
{
    struct buf whole;
    struct buf pieces;
    struct buf again;
    buf_init(&whole, text.n + 2);
    buf_init(&pieces, text.n + 2);
    buf_init(&again, text.n + 2);
    require(canonical(form, text, 0, &whole) == buf_length(&whole));
    canonical(form, text, cut, &pieces);
    require(str_eq(buf_str(&whole), buf_str(&pieces)));
    canonical(form, buf_str(&whole), cut, &again);
    require(str_eq(buf_str(&whole), buf_str(&again)));
    buf_free(&whole);
    buf_free(&pieces);
    buf_free(&again);
}

static void
try_field(enum canonical form, struct str text, size_t cut)
{
    struct buf out;
    struct str without = str_head(str_skip(text, cut), text.n / 4);
    size_t colon = str_find_char(text, ':');
    buf_init(&out, 2 * text.n + 4);
    bool good = canonical_header(form, text, &out) == STATUS_OK;
    require(good == (colon != STR_NPOS) && buf_length(&out) <= text.n + 2);
    buf_clear(&out);
    if (colon != STR_NPOS && colon < cut && !str_ends_with(text, STR("\r\n"))) {
        require(canonical_signature_header(form, text, without, &out) == STATUS_OK);
    }
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str text = str_make((const char *)data + 1, size - 1);
    size_t cut = data[0] % (text.n + 1);
    try_body(CANONICAL_SIMPLE, text, cut);
    try_body(CANONICAL_RELAXED, text, cut);
    try_field(CANONICAL_SIMPLE, text, cut);
    try_field(CANONICAL_RELAXED, text, cut);
    return 0;
}
