/* Fuzz target: TLSA records: a list of lengths (one octet each, 255 and above in two) and data. */
#include <stdlib.h>

#include "transport/tlsa.h"

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
    struct arena *arena = arena_create(1 << 20);
    struct str records[DNS_RECORDS_MAX];
    struct str rest = str_make((const char *)data, size);
    struct dns_answer answer = {.records = records};
    struct tlsa_set set;
    while (rest.n > 0 && answer.record_count < DNS_RECORDS_MAX) {
        size_t length = (unsigned char)rest.p[0];
        rest = str_skip(rest, 1);
        if (length == 255 && rest.n > 0) {
            length += (unsigned char)rest.p[0] * (size_t)8;
            rest = str_skip(rest, 1);
        }
        records[answer.record_count++] = str_head(rest, length);
        rest = str_skip(rest, length);
    }
    require(tlsa_set_read(arena, &answer, &set) == STATUS_OK);
    require(set.count <= TLSA_RECORDS_MAX);
    require(set.count + set.unusable + set.weaker + set.too_many == answer.record_count);
    for (size_t i = 0; i < set.count; i++) {
        char text[TLSA_TEXT_MAX];
        require(tlsa_is_usable(&set.items[i]));
        require(tlsa_format(&set.items[i], text)[0] != '\0');
    }
    arena_destroy(&arena);
    return 0;
}
