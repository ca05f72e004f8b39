/* Fuzz target: rows of the cache of MTA-STS policies; what was read is written and read again. */
#include <stdlib.h>

#include "transport/sts_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(void *context, const struct sts_entry *entry)
{
    struct arena *arena = context;
    struct sts_policy policy;
    struct sts_problem problem;
    if (entry->policy.n > 0 &&
        sts_policy_parse(arena, entry->policy, &policy, &problem) != STATUS_OK) {
        abort();
    }
    if (entry->expires_s - entry->fetched_s > STS_MAX_AGE_MAX) {
        abort();
    }
    struct str row = sts_entry_encode(arena, entry);
    struct sts_cache *again = sts_cache_create(1, 1u << 20);
    if (row.p == NULL || sts_cache_restore(again, row) != STATUS_OK ||
        sts_cache_count(again) != 1) {
        abort();
    }
    sts_cache_destroy(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4u << 20);
    struct sts_cache *cache = sts_cache_create(1, 1u << 20);
    if (sts_cache_restore(cache, str_make((const char *)data, size)) == STATUS_OK) {
        sts_cache_each(cache, check, arena);
    }
    sts_cache_destroy(&cache);
    arena_destroy(&arena);
    return 0;
}
