/*
 * reply.h - SMTP replies: code, enhanced code, text (RFC 5321 4.2, RFC 2034, RFC 3463).
 *
 * The roles hand replies to each other in this form and never as lines; the server core writes them
 * with smtp_reply_format. What a program status means to an SMTP client stands in one table here.
 */
#ifndef POSTERN_SMTP_REPLY_H
#define POSTERN_SMTP_REPLY_H

#include "base/buf.h"

/* RFC 5321 4.5.3.1.5: a reply line with its code and CRLF. */
#define SMTP_REPLY_LINE_MAX  512u
/* Most lines of one reply. */
#define SMTP_REPLY_LINES_MAX 64u

/* "5.7.1"; class 0 means none (greeting, EHLO, 3yz replies carry none). */
struct smtp_enhanced {
    uint8_t class;
    uint16_t subject; /* 0 to 999 */
    uint16_t detail;  /* 0 to 999 */
};

struct smtp_reply {
    uint16_t code; /* 200 to 599 */
    struct smtp_enhanced enhanced;
    struct str text; /* lines separated by LF; borrowed */
};

/* A constant reply: SMTP_REPLY(550, 5, 1, 1, "No such mailbox"). */
#define SMTP_REPLY(c, e1, e2, e3, literal)                                                         \
    ((struct smtp_reply){.code = (c), .enhanced = {(e1), (e2), (e3)}, .text = STR_INIT(literal)})

static inline bool
smtp_reply_is_positive(const struct smtp_reply *reply)
{
    return reply->code < 400;
}

static inline bool
smtp_reply_is_temporary(const struct smtp_reply *reply)
{
    return reply->code >= 400 && reply->code < 500;
}

/*
 * True when the code is 200 to 559 with a second digit up to 5 (RFC 5321 4.2) and the enhanced code
 * is absent or of the same class: what a role received from another is checked with this.
 */
bool smtp_reply_is_valid(const struct smtp_reply *reply);

/* The one table: what to tell a client when `status` kept the program from doing its work. */
struct smtp_reply smtp_reply_for_status(enum status status);

/*
 * Appends the reply as lines that end in CRLF ("250-...", "250 ..."), the enhanced code on each.
 * Octets that are not printable ASCII become "?", lines are cut to SMTP_REPLY_LINE_MAX: nothing
 * that a reply quotes can forge another line. STATUS_LIMIT when the buffer's ceiling is reached;
 * then nothing is appended.
 */
[[nodiscard]] enum status smtp_reply_format(struct buf *buf, const struct smtp_reply *reply);

#endif
