/*
 * repair_text.h - the repairs of one field's value, for repair.c only.
 */
#ifndef POSTERN_MAIL_REPAIR_TEXT_H
#define POSTERN_MAIL_REPAIR_TEXT_H

#include "base/arena.h"

/* All of them: *value is a value with its folding, and is replaced by one in the arena when there
 * is something to do, which the result tells. STATUS_LIMIT: the arena is full. */

/* Takes out folded lines of blanks only (RFC 5322 4.2). */
[[nodiscard]] enum status mail_repair_blank_folds(struct arena *arena, struct str *value,
                                                  bool *done_out);
/* Control characters but HT, CR, LF and NUL become blanks. */
[[nodiscard]] enum status mail_repair_controls(struct arena *arena, struct str *value,
                                               bool *done_out);
/*
 * Words with octets above 127 become encoded words: UTF-8 where the whole value is that, else
 * windows-1252, which is how everybody reads octets without a name. With `phrases` only words and
 * quoted strings that are display names: what touches an address stays as it is.
 */
[[nodiscard]] enum status mail_repair_8bit(struct arena *arena, bool phrases, struct str *value,
                                           bool *done_out);

#endif
