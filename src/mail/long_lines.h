/*
 * long_lines.h - header lines of more than 998 octets, which no server has to take (RFC 5322 2.1.1,
 * RFC 5321 4.5.3.1.6), folded. Lines of a body are encoded: mail/downgrade.h.
 *
 * A field is folded where it has blanks, which changes nothing of what it says (RFC 5322 2.2.3). A
 * word that is longer than a line is divided behind a comma, semicolon or angle bracket if it has
 * one, otherwise where the line ends: a message with a blank in a word that nobody can write is
 * worth more than one that the next server refuses or cuts off. Lines that fit keep their octets.
 */
#ifndef POSTERN_MAIL_LONG_LINES_H
#define POSTERN_MAIL_LONG_LINES_H

#include "base/buf.h"

/* True when a line (ended by CRLF, or by the end) has more than MAIL_LINE_MAX octets. */
bool mail_has_long_line(struct str octets);

/* Appends the header section with its long lines folded. STATUS_LIMIT: past the ceiling. */
[[nodiscard]] enum status mail_fold_long_lines(struct str head, struct buf *head_out);

#endif
