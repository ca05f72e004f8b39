/*
 * ledger_reports.h - the accounts of which aggregate reports are made (RFC 9990): for each day
 * (UTC) and each domain that asks for reports, how many messages were seen of each kind.
 *
 * What is counted is a line (auth/dmarc_observation.h) that stands in the trace of a message
 * (TRACE_DMARC_OBSERVED). Pieces of traces may come several times; the store remembers by hash
 * which it has counted, so that each counts once, also when the program died between its commit and
 * the acknowledgement. For that, its commit goes before that of the traces.
 *
 * One file, <directory>/reports.db, one writer in one thread; a reader has a connection of its own.
 * A damaged file is set aside as "reports.db.damaged" with an error in the log, and counting begins
 * anew. Counts are less than mail and traces: when they cannot be written they are lost, and said
 * to be, and nothing else waits for them.
 *
 * Bounds: the constants below and the limits that are given; what is beyond them is counted in a
 * row of its domain and day with an empty line, or not at all (reports_counts).
 */
#ifndef POSTERN_STORE_LEDGER_REPORTS_H
#define POSTERN_STORE_LEDGER_REPORTS_H

#include "base/arena.h"

/* Octets of a line; longer ones count in the row without a line. */
#define REPORTS_LINE_MAX            8192u
/* Kinds of messages of one domain on one day (a report of more is of no use to anybody). */
#define REPORTS_LINES_OF_DOMAIN_MAX 10000u
/* Rows of one day, of all domains. */
#define REPORTS_ROWS_OF_DAY_MAX     500000u
/* Hashes of pieces are kept so long after they were counted. */
#define REPORTS_REPEATED_DAYS       2
/* Rows of one page. */
#define REPORTS_PAGE_MAX            200u

/* Of the tables: who reads wants this one. */
#define REPORTS_SCHEMA_VERSION 1

struct reports;

struct reports_limits {
    int64_t age_ms; /* config->retention.dmarc_observations_ms */
    uint64_t size;  /* config->retention.dmarc_observations_size, octets of the file */
};

/* Opens or makes the file. Errors as in ledger_database.h, but for damage. */
[[nodiscard]] enum status reports_open(const char *directory, struct reports **reports_out);
void reports_close(struct reports **reports);

/* Counts what a piece of a trace has to be counted. `events` as trace_is_valid says; `now_ms`: wall
 * clock, from when its hash is kept. Never fails: see above. NULL is allowed. */
void reports_take(struct reports *reports, struct str id, struct str events, int64_t now_ms);
/* Commits what was counted. NULL is allowed. */
void reports_commit(struct reports *reports);
/* Deletes days that are too old, and the oldest beyond the size. Outside of a batch; the octets of
 * the file. NULL is allowed. */
uint64_t reports_maintain(struct reports *reports, const struct reports_limits *limits,
                          int64_t now_ms);

/* Since opening; for metrics. */
struct reports_counts {
    uint64_t observations; /* counted */
    uint64_t repeated;     /* pieces that had been counted before */
    uint64_t lost;         /* not counted: errors, or beyond REPORTS_ROWS_OF_DAY_MAX */
};
struct reports_counts reports_counts(const struct reports *reports);

/* ---- reading */

struct reports_row {
    int64_t day; /* since 1970 */
    struct str domain;
    int64_t key;     /* of the line among those of its domain and day */
    struct str line; /* empty: what is beyond the bounds */
    uint64_t count;
};

/* Rows in order of day, domain and key, after `after` (NULL: from the beginning). */
struct reports_query {
    struct str domain; /* empty: all */
    int64_t from_day;
    int64_t to_day; /* the last that is wanted */
    const struct reports_row *after;
    uint32_t limit; /* 1 to REPORTS_PAGE_MAX */
};

/*
 * Reads a page from the file in `directory`; everything is in the arena. STATUS_LIMIT: the arena is
 * full. Without a file there are no rows.
 */
[[nodiscard]] enum status reports_find(const char *directory, const struct reports_query *query,
                                       struct arena *arena, const struct reports_row **rows_out,
                                       size_t *count_out);

#endif
