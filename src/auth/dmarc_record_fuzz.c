/* Fuzz target: DMARC policy records. */
#include <stdlib.h>

#include "auth/dmarc_record.h"

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
    enum dmarc_record_result result;
    struct dmarc_record record;
    if (dmarc_record_parse(arena, text, &result, &record) == STATUS_OK &&
        result == DMARC_RECORD_OK) {
        require(dmarc_record_is_ours(text));
        require(record.rua_count <= DMARC_URIS_MAX && record.ruf_count <= DMARC_URIS_MAX);
        require(record.is_usable || record.p == DMARC_POLICY_NONE);
        require(record.failure != 0 && record.fo.n > 0);
        for (size_t i = 0; i < record.rua_count; i++) {
            require(record.rua[i].text.n > 0);
        }
        require(dmarc_record_faults_text(arena, record.faults).n < 100);
    }
    arena_destroy(&arena);
    return 0;
}
