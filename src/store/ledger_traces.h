/*
 * ledger_traces.h - writing traces to disk: parts are appended, the index kept, old ones dropped.
 *
 * One writer, one thread. What was appended is committed by trace_store_commit, many parts at one
 * time; a power cut may lose the last commits (they are traces, not mail), a crash of the process
 * loses none. Layout and reasons: ledger_segment.h.
 */
#ifndef POSTERN_STORE_LEDGER_TRACES_H
#define POSTERN_STORE_LEDGER_TRACES_H

#include "base/str.h"

struct trace_store;

struct trace_store_limits {
    int64_t age_ms; /* config->retention.trace_age_ms */
    uint64_t size;  /* config->retention.trace_size, octets of all segments */
};

/*
 * Opens the store in a directory that exists. A damaged newest segment is set aside as
 * "<name>.db.damaged" with an error in the log, and a new one begun.
 */
[[nodiscard]] enum status trace_store_open(const char *directory,
                                           const struct trace_store_limits *limits, int64_t now_ms,
                                           struct trace_store **store_out);
void trace_store_close(struct trace_store **store);

/*
 * Takes a part of a trace. `id` and `session` as id_make makes them (session may be empty).
 * STATUS_SYNTAX: id or events are malformed, nothing was taken, other parts are not touched. Any
 * other failure undoes all parts since the last commit: the caller does not acknowledge them, and
 * they come again. A part that is there already is STATUS_OK.
 */
[[nodiscard]] enum status trace_store_append(struct trace_store *store, struct str id,
                                             struct str session, struct str events);
/* Commits; on failure all parts since the last commit are undone. */
[[nodiscard]] enum status trace_store_commit(struct trace_store *store);

/*
 * Begins a new segment when the newest is large or old enough, and deletes the oldest ones beyond
 * age and size. To be called now and then, outside of a batch; returns octets on disk.
 */
uint64_t trace_store_maintain(struct trace_store *store, const struct trace_store_limits *limits,
                              int64_t now_ms);

/* Messages and sessions that were begun, parts that were taken, since opening; for metrics. */
struct trace_store_counts {
    uint64_t rows;
    uint64_t parts;
    uint64_t repeated;
    uint64_t segments;
};
void trace_store_counts(const struct trace_store *store, struct trace_store_counts *counts_out);

#endif
