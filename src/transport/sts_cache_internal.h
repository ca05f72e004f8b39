/*
 * sts_cache_internal.h - what the parts of the cache of MTA-STS policies share.
 */
#ifndef POSTERN_TRANSPORT_STS_CACHE_INTERNAL_H
#define POSTERN_TRANSPORT_STS_CACHE_INTERNAL_H

#include "base/hash.h"
#include "transport/sts_cache.h"

/* Failures in a row that are counted; the wait is at its longest long before. */
#define STS_FAILURES_MAX 100u

struct sts_cached {
    struct sts_entry entry;
    UT_hash_handle hh;
};

/*
 * Reads a row: the numbers and names into *entry_out, whose policy stays empty; the text of the
 * policy, borrowed from the row, into *text_out. False: it is no row.
 */
[[nodiscard]] bool sts_row_read(struct str row, struct sts_entry *entry_out, struct str *text_out);

#endif
