/*
 * show.h - which characters of a stranger's text may be shown to people as they are.
 *
 * Names, addresses and replies come from the network and end up in findings, traces, logs, notices
 * and tables. A character that moves the cursor, turns the direction of the text (UAX 9) or cannot
 * be seen makes one name look like another. Everybody who shows text asks here, and writes what is
 * refused in the escapes of his own format.
 */
#ifndef POSTERN_BASE_SHOW_H
#define POSTERN_BASE_SHOW_H

#include <stdint.h>

#include "base/str.h"

/*
 * Octets of the UTF-8 character at the beginning of `s`, 1 to 4; 0 when there is none or it is
 * malformed (RFC 3629). *code_out, which may be NULL, is set unless the result is 0.
 */
size_t show_character(struct str s, uint32_t *code_out);

/*
 * The same, but 0 also for a character that is not to be shown: control characters (C0, DEL, C1),
 * line and paragraph separators, marks and overrides of direction, and what has no width or no ink
 * where it stands in a name (joiners, fillers, variation selectors, tags, byte order marks). Blanks
 * are shown.
 */
size_t show_length(struct str s);

#endif
