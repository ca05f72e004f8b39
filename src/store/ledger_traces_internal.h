/*
 * ledger_traces_internal.h - the store of traces, for the files that make it: ledger_traces.c
 * (taking parts) and ledger_traces_files.c (segments: opening, going on to the next, retention).
 */
#ifndef POSTERN_STORE_LEDGER_TRACES_INTERNAL_H
#define POSTERN_STORE_LEDGER_TRACES_INTERNAL_H

#include "store/ledger_rows.h"
#include "store/ledger_segment.h"
#include "store/ledger_traces.h"

/* Older segments that are open at one time, for rows of messages that began there. */
#define OLD_SEGMENTS_OPEN 4u

struct trace_store {
    char directory[LEDGER_PATH_MAX];
    struct segment newest;
    struct segment old[OLD_SEGMENTS_OPEN]; /* the one used last is first */
    struct segment_list list;              /* all names, the newest too */
    struct rows *rows;                     /* of the newest segment */
    bool in_batch;
    unsigned log_pages; /* of the newest segment's log, before they go into the segment */
    int64_t next_row;   /* of the newest segment */
    int64_t next_part;  /* of all */
    struct trace_store_counts counts;
    sqlite3_stmt *insert_row;
    sqlite3_stmt *update_row;   /* all columns */
    sqlite3_stmt *update_state; /* those without an index */
    sqlite3_stmt *insert_recipient;
    sqlite3_stmt *insert_part;
    sqlite3_stmt *find_part;
};

/*
 * The latest row of an id in the segments before the newest, from that of its own time on.
 * STATUS_NOT_FOUND: there is none.
 */
[[nodiscard]] enum status trace_store_find_old(struct trace_store *store, struct str id,
                                               struct summary *summary_out);

#endif
