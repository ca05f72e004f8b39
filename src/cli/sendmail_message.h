/*
 * sendmail_message.h - what sendmail makes of the text on its standard input. Pure.
 */
#ifndef POSTERN_CLI_SENDMAIL_MESSAGE_H
#define POSTERN_CLI_SENDMAIL_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"

/* Recipients of one call; the server has a limit of its own. */
#define SENDMAIL_RECIPIENTS_MAX 10000u

struct sendmail_recipients {
    struct str *items; /* "local@domain", in the arena */
    size_t count;
};

/*
 * Appends to `out` what stands on standard input as lines that end in CRLF, whichever of LF and
 * CRLF they had; the last line gets one where it has none. Unless `dots_are_text`, a line with one
 * dot ends it. A first line "From ..." of an mbox is left out. STATUS_LIMIT: more than the buffer
 * takes.
 */
[[nodiscard]] enum status sendmail_lines(struct str input, bool dots_are_text, struct buf *out);

/*
 * Appends to `out` the message with what it takes to be one: the empty line behind the header where
 * it is missing, and a From field of `name` (may be empty) and `address` where there is none.
 * STATUS_LIMIT: too large.
 */
[[nodiscard]] enum status sendmail_complete(struct arena *arena, struct str message,
                                            struct str name, struct str address, struct buf *out);

/*
 * Adds the addresses in `text`, a list as in a header field or one address; those without a domain
 * get `domain`. STATUS_SYNTAX: one cannot be read, and *wrong_out (in the arena) is it;
 * STATUS_LIMIT: too many.
 */
[[nodiscard]] enum status sendmail_add_recipients(struct arena *arena, struct str text,
                                                  struct str domain,
                                                  struct sendmail_recipients *recipients,
                                                  struct str *wrong_out);

/*
 * The same for To, Cc and Bcc of the message, or of Resent-To, Resent-Cc and Resent-Bcc where there
 * is one of these: the message is sent on to them (RFC 5322 3.6.6).
 */
[[nodiscard]] enum status sendmail_header_recipients(struct arena *arena, struct str message,
                                                     struct str domain,
                                                     struct sendmail_recipients *recipients,
                                                     struct str *wrong_out);

#endif
