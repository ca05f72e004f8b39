/*
 * client_reply.h - reads an SMTP server's replies, strictly and within bounds (RFC 5321 4.2).
 *
 * Replies come from whoever answers at the next hop: they are as hostile as any input. A reply with
 * a bare CR or LF, a NUL, or lines of different codes is no reply; the client closes then, because
 * it cannot know where the next one begins.
 */
#ifndef POSTERN_SMTP_CLIENT_REPLY_H
#define POSTERN_SMTP_CLIENT_REPLY_H

#include "smtp/line.h"
#include "smtp/reply.h"

/* Octets of one line with its CRLF; RFC 5321 4.5.3.1.5 says 512, some servers write more. */
#define SMTP_CLIENT_REPLY_LINE_MAX  2048u
#define SMTP_CLIENT_REPLY_LINES_MAX 128u
/* Text of one reply, all lines together. */
#define SMTP_CLIENT_REPLY_TEXT_MAX  (16u * 1024u)

/* The members are the reader's own. */
struct smtp_reply_reader {
    struct smtp_line_reader line;
    struct buf text; /* lines so far, LF between them */
    struct smtp_reply reply;
    unsigned lines;
    bool finished; /* `reply` was returned: begin anew */
};

void smtp_reply_reader_init(struct smtp_reply_reader *reader);
void smtp_reply_reader_fini(struct smtp_reply_reader *reader);

/*
 * Takes octets from the front of input, *used_out of them, up to the end of one reply.
 * STATUS_OK: *reply_out is it; its text is printable ASCII with LF between lines, borrowed until
 * the next call. With `enhanced`, an enhanced code of the same class at the head of a line is taken
 * out of the text (RFC 2034 4); the first one counts.
 * STATUS_AGAIN: all input is used. STATUS_SYNTAX: not a reply; STATUS_LIMIT: over a bound above.
 * After these two the reader is of no more use.
 */
[[nodiscard]] enum status smtp_reply_read(struct smtp_reply_reader *reader, struct str input,
                                          bool enhanced, size_t *used_out,
                                          struct smtp_reply *reply_out);

/* Reads "5.7.1" at the head of s; *rest_out is what follows. STATUS_SYNTAX when it is none. */
[[nodiscard]] enum status smtp_enhanced_parse(struct str s, struct smtp_enhanced *enhanced_out,
                                              struct str *rest_out);

#endif
