/*
 * header_downgrade.h - a header section in UTF-8 made fit for a server without SMTPUTF8 (RFC 6857).
 *
 * Text for people becomes encoded words (RFC 2047): subjects, display names, fields that nobody
 * knows. Domains become A-labels (RFC 5891), parameters of MIME fields get the form of RFC 2231.
 * What readers compare and cannot decode (Message-ID and its like) moves into a field Downgraded-
 * with its old name; in fields of trace a character that is not ASCII becomes "?". An address whose
 * local part is not ASCII cannot be answered from where the message goes: it becomes an empty group
 * whose name shows it (RFC 6857 3.1.8). Fields that are ASCII keep their octets.
 *
 * A DKIM signature over a changed field does not hold any more. Who calls this has no other way to
 * deliver the message, or signs it afterwards.
 */
#ifndef POSTERN_MAIL_HEADER_DOWNGRADE_H
#define POSTERN_MAIL_HEADER_DOWNGRADE_H

#include "base/arena.h"
#include "base/buf.h"

/* Mailboxes of one field. */
#define MAIL_HEADER_DOWNGRADE_MAILBOXES_MAX 5000u

enum mail_header_downgrade_flag {
    /*
     * Addresses in From, Sender and Reply-To may become groups too. Only for a server that keeps
     * the message in a mailbox: elsewhere a message without an author's address is refused.
     */
    MAIL_HEADER_DOWNGRADE_AUTHORS = 1 << 0,
    /* Only what readers turn back into the original: nothing may be renamed, or shown as "?". */
    MAIL_HEADER_DOWNGRADE_LOSSLESS = 1 << 1,
};

/*
 * Appends to *head_out the header section `head` (with its empty line) in ASCII. `flags`: set of
 * enum mail_header_downgrade_flag.
 * STATUS_DENIED: it cannot be done without harm; *why_out says why in a few words (static).
 * STATUS_LIMIT: past the buffer's ceiling, or the arena is full.
 */
[[nodiscard]] enum status mail_header_downgrade(struct arena *arena, struct str head,
                                                unsigned flags, struct buf *head_out,
                                                const char **why_out);

#endif
