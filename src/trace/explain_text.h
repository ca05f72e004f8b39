/*
 * explain_text.h - putting values into words and lines; for the files of explain only.
 */
#ifndef POSTERN_TRACE_EXPLAIN_TEXT_H
#define POSTERN_TRACE_EXPLAIN_TEXT_H

#include "base/buf.h"

/*
 * All of these append, and return STATUS_LIMIT when the buffer is full.
 *
 * Text from the network as one line that a terminal shows and does not obey: control characters,
 * those that turn the direction of writing, and what is not UTF-8 become \xHH; a line feed, as
 * replies of several lines have it, becomes " / ".
 */
[[nodiscard]] enum status text_append_safe(struct buf *out, struct str s);
/* "812 octets", "4.2 KB". */
[[nodiscard]] enum status text_append_size(struct buf *out, int64_t octets);
/* "250 ms", "1.3 s", "5 min", "2 h 5 min", "3 d 4 h". */
[[nodiscard]] enum status text_append_duration(struct buf *out, int64_t ms);
/* "2026-11-23 17:48:14", UTC. */
[[nodiscard]] enum status text_append_time(struct buf *out, int64_t wall_ms);
/* "17:48:14.123" and "2026-11-23". */
[[nodiscard]] enum status text_append_clock(struct buf *out, int64_t wall_ms);
[[nodiscard]] enum status text_append_date(struct buf *out, int64_t wall_ms);
/* A blank at which no line is broken; no safe text has it. */
#define TEXT_HARD_BLANK '\x01'
/*
 * Text broken into lines of at most `width` columns (0: not broken) at its blanks; the first line
 * begins where the buffer is, at column `indent`, the others with `indent` blanks. Ends in a line
 * end.
 */
[[nodiscard]] enum status text_append_wrapped(struct buf *out, struct str text, unsigned indent,
                                              unsigned width);

#endif
