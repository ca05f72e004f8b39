/*
 * trace_table.h - the table that `postern trace` prints: one line a message, as wide as the
 * terminal.
 *
 * Columns are counted in characters, each taken as one place wide. What is too long is cut and ends
 * in an ellipsis; the client's address never is. The JSON form has everything in full.
 */
#ifndef POSTERN_CLI_TRACE_TABLE_H
#define POSTERN_CLI_TRACE_TABLE_H

#include "ipc/message.h"

/* Below this many columns lines get longer than the terminal is wide. */
#define TRACE_TABLE_COLUMNS_MIN 90u

struct trace_table {
    unsigned state, client, sender, recipients; /* widths; 0 before the first rows */
    unsigned subject;                           /* 0: as long as it is */
};

/*
 * Widths for these rows on a terminal of `columns`; 0: it goes to no terminal, subjects stay whole.
 * Of rows that come later the address may be longer: call it again.
 */
void trace_table_fit(struct trace_table *table, const struct record_trace_row *rows, size_t count,
                     unsigned columns);

/* Appends the line of headings. STATUS_LIMIT when the buffer is full. */
[[nodiscard]] enum status trace_table_head(const struct trace_table *table, struct buf *out);

/* Appends the line of one row; likewise. */
[[nodiscard]] enum status trace_table_row(const struct trace_table *table,
                                          const struct record_trace_row *row, struct buf *out);

#endif
