/*
 * trace_fetch.h - asking the ledger for all parts of a trace; for `postern trace` and `explain`.
 */
#ifndef POSTERN_CLI_TRACE_FETCH_H
#define POSTERN_CLI_TRACE_FETCH_H

#include "base/random.h"
#include "trace/timeline.h"

/* Parts of one trace; each reply of the ledger has up to five. */
#define TRACE_FETCH_PARTS_MAX 20000u

/* A trace as the ledger gave it; owns its octets. */
struct trace_fetched {
    struct arena *arena;
    struct str id;
    struct timeline_part *parts; /* in the arena */
    size_t count;
};

/*
 * Fetches the parts of an id over a connection to the ledger. STATUS_NOT_FOUND: it does not know
 * the id; all other failures have been told on standard error. End with trace_fetched_free.
 */
[[nodiscard]] enum status trace_fetch(int fd, struct str id, struct trace_fetched *fetched_out);
void trace_fetched_free(struct trace_fetched *fetched);

/*
 * An id as it is kept, of one that somebody typed: in capital letters, without blanks around it. In
 * `out`, or (where it has not the length of one) as it was given.
 */
struct str trace_id_normal(struct str id, char out[static ID_LENGTH + 1]);

#endif
