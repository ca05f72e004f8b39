/* Fuzz target: what was kept for aggregate reports, read again. */
#include <stdlib.h>

#include "auth/dmarc_observation.h"

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
    struct dmarc_observation observation;
    struct dmarc_observation again;
    if (dmarc_observation_decode(arena, str_make((const char *)data, size), &observation) ==
        STATUS_OK) {
        struct str line = dmarc_observation_encode(arena, &observation);
        if (line.p != NULL && line.n <= DMARC_OBSERVATION_LINE_MAX) {
            require(dmarc_observation_decode(arena, line, &again) == STATUS_OK);
            require(str_eq(dmarc_observation_encode(arena, &again), line));
        }
    }
    arena_destroy(&arena);
    return 0;
}
