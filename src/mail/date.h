/*
 * date.h - the date and time of header fields (RFC 5322 3.3, with the obsolete forms of 4.3).
 */
#ifndef POSTERN_MAIL_DATE_H
#define POSTERN_MAIL_DATE_H

#include "base/str.h"

/*
 * Reads the whole of a raw value ("Mon, 23 Nov 2026 17:48:14 +0100 (CET)") into wall clock
 * milliseconds. The day of the week is checked to be a name, not to fit. STATUS_SYNTAX: not a date,
 * or one that no calendar has.
 */
[[nodiscard]] enum status mail_date_parse(struct str value, int64_t *wall_ms_out);

#endif
