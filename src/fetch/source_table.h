/*
 * source_table.h - answers from a table, for tests.
 */
#ifndef POSTERN_FETCH_SOURCE_TABLE_H
#define POSTERN_FETCH_SOURCE_TABLE_H

#include "fetch/fetch.h"

/*
 * A page, or how its fetch fails. With outcome OK, http_status 0 means 200, and the bounds of the
 * request decide as with a real server (fetch_judge); other outcomes are given as they are.
 */
struct fetch_table_entry {
    struct str url; /* compared octet for octet */
    struct fetch_response response;
};

struct fetch_table {
    const struct fetch_table_entry *entries; /* borrowed; the first that fits counts */
    size_t count;
    size_t requests; /* so many have been asked; counted, not thread-safe */
};

/* A source over *table, which must outlive it. What is not in it cannot be resolved. */
struct fetch_source fetch_source_from_table(struct fetch_table *table);

#endif
