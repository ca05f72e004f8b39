/* Fuzz target: TXT records of TLS reports. */
#include <stdlib.h>

#include "transport/tlsrpt_record.h"

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
    struct arena *arena = arena_create(4u << 20);
    struct str text = str_make((const char *)data, size);
    struct tlsrpt_record record;
    const char *problem = NULL;
    if (tlsrpt_record_parse(arena, text, &record, &problem) == STATUS_OK) {
        require(tlsrpt_record_is_ours(text) && problem == NULL);
        require(record.rua_count > 0 && record.rua_count <= TLSRPT_URIS_MAX);
        for (size_t i = 0; i < record.rua_count; i++) {
            require(str_find(text, record.rua[i].text) != STR_NPOS);
            require((record.rua[i].scheme == TLSRPT_MAILTO) == (record.rua[i].address.n > 0));
        }
    } else {
        require(problem != NULL);
    }
    arena_destroy(&arena);
    return 0;
}
