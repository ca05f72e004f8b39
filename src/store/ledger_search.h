/*
 * ledger_search.h - finding and reading traces, beside the writer and without disturbing it.
 *
 * One reader is used by one thread. Segments are opened when a question needs them and kept open,
 * a bounded number of them. A segment that cannot be read is left out, with an error in the log.
 */
#ifndef POSTERN_STORE_LEDGER_SEARCH_H
#define POSTERN_STORE_LEDGER_SEARCH_H

#include "store/ledger_summary.h"

/* Most rows of one answer. */
#define TRACE_SEARCH_ROWS_MAX 200u

struct trace_search;

/*
 * What is looked for; all that is set must fit. Empty texts and 0 do not select. Sessions are found
 * when they began no message, or by their id: else they would stand beside their messages.
 */
struct trace_query {
    struct str id; /* of a message or a session: with it, only that row */
    /* "*" stands for any text. Addresses match in any letter case, subjects too. */
    struct str sender;
    struct str recipient;
    struct str subject;
    struct str message_id;
    bool by_client;
    struct ip_network client;
    int64_t since_ms;  /* first event at this time or later */
    int64_t until_ms;  /* ... before this time */
    struct str before; /* only ids before this one */
    uint32_t states;   /* a set of bits, 1 << enum trace_row_state; 0: any */
    bool only_mail;    /* no sessions at all, unless by their id */
    uint32_t limit;    /* 1 to TRACE_SEARCH_ROWS_MAX */
};

/* Searches the files of `directory`, which is copied. NULL without memory. One thread. */
[[nodiscard]] struct trace_search *trace_search_create(const char *directory);
void trace_search_destroy(struct trace_search **search);

/*
 * The rows that fit, newest first; at most query->limit in *rows_out (owned by the search, valid
 * until its next call). *more_out: there may be older ones. STATUS_IO: the directory cannot be
 * read.
 */
[[nodiscard]] enum status trace_search_find(struct trace_search *search,
                                            const struct trace_query *query,
                                            const struct summary **rows_out, size_t *count_out,
                                            bool *more_out);

/*
 * The rows that fit and have parts with the number `from` or a later one, in the order of their
 * newest parts; query->id and query->before do not count. Otherwise the same.
 */
[[nodiscard]] enum status trace_search_changed(struct trace_search *search,
                                               const struct trace_query *query, int64_t from,
                                               const struct summary **rows_out, size_t *count_out,
                                               bool *more_out);

/* The newest change of all; 0 when there is nothing. */
[[nodiscard]] enum status trace_search_last_change(struct trace_search *search,
                                                   int64_t *change_out);

/* Takes a part; returns false to hear no more. Its octets are borrowed. */
typedef bool trace_on_part(void *context, struct str id, struct str events);

/*
 * All parts of an id. For a message: those of its session, then its own. For a session: its own,
 * then those of its messages. *row_out tells what the id is. STATUS_NOT_FOUND: unknown.
 */
[[nodiscard]] enum status trace_search_parts(struct trace_search *search, struct str id,
                                             struct summary *row_out, trace_on_part *on_part,
                                             void *context);

#endif
