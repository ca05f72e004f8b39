/*
 * downgrade.h - a message with 8-bit content made fit for a server without 8BITMIME (RFC 6152 3).
 *
 * Every leaf that has octets above 127 is encoded anew: text as quoted-printable, anything else as
 * base 64 (RFC 2045 6); the Content-Transfer-Encoding fields of the leaf and of all that encloses
 * it are set to what is true. Nothing else is changed. What cannot be done without harm is not
 * done: signed or encrypted parts, header fields with 8-bit octets, structures that could be read
 * in two ways. The message bounces then, with the reason.
 *
 * The same is done for leaves with lines of more than 998 octets, which no server has to take (RFC
 * 5321 4.5.3.1.6): what is base 64 or quoted-printable already gets other line breaks.
 *
 * A DKIM signature does not survive the encoding: what we sign is encoded before, and of what
 * others have signed a message that arrives without is worth more than one that does not arrive.
 */
#ifndef POSTERN_MAIL_DOWNGRADE_H
#define POSTERN_MAIL_DOWNGRADE_H

#include "base/buf.h"
#include "mail/fields.h"

/* How deep parts may be nested. */
#define MAIL_DOWNGRADE_DEPTH_MAX 32u
/* Parts of the whole message. */
#define MAIL_DOWNGRADE_PARTS_MAX 1000u

/*
 * Appends to *head_out the header section (with its empty line) and to *body_out the body of the
 * same message in 7 bits. Lines must end in CRLF.
 * STATUS_DENIED: it cannot be done; *why_out says why in a few words (static). STATUS_LIMIT: past a
 * buffer's ceiling, or the arena is full.
 */
[[nodiscard]] enum status mail_downgrade(struct arena *arena, struct str head, struct str body,
                                         struct buf *head_out, struct buf *body_out,
                                         const char **why_out);

/*
 * The same message without long lines in its body; 8-bit octets elsewhere stay as they are. Errors
 * as above; long lines of a header section are folded before (mail/long_lines.h).
 */
[[nodiscard]] enum status mail_shorten_lines(struct arena *arena, struct str head, struct str body,
                                             struct buf *head_out, struct buf *body_out,
                                             const char **why_out);

#endif
