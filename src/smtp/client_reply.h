/*
 * client_reply.h - reads an SMTP server's replies within bounds (RFC 5321 4.2).
 *
 * Replies come from whoever answers at the next hop: they are as hostile as any input, and many
 * honest ones are written badly. What can be understood is: the code of the last line is that of
 * the reply (postscreen greets with "220-" and goes on with "521 "), a line may end in a bare LF,
 * and text that is too long or has too many lines is cut. A first line without a code is no reply,
 * and one without end is none either; the client closes then, because it cannot know where the next
 * one begins.
 */
#ifndef POSTERN_SMTP_CLIENT_REPLY_H
#define POSTERN_SMTP_CLIENT_REPLY_H

#include "base/buf.h"
#include "smtp/reply.h"

/* Octets of one line that are kept; RFC 5321 4.5.3.1.5 says 512, some servers write more. */
#define SMTP_CLIENT_REPLY_LINE_MAX   2048u
/* Lines and octets of the text that is kept. */
#define SMTP_CLIENT_REPLY_LINES_MAX  128u
#define SMTP_CLIENT_REPLY_TEXT_MAX   (16u * 1024u)
/* Octets of one reply; who writes more has no end in mind. */
#define SMTP_CLIENT_REPLY_OCTETS_MAX (256u * 1024u)
/* Octets of what is quoted of something that is no reply. */
#define SMTP_CLIENT_REPLY_QUOTE_MAX  200u

/* The members are the reader's own. */
struct smtp_reply_reader {
    char line[SMTP_CLIENT_REPLY_LINE_MAX]; /* the line that is being read, as far as it is kept */
    size_t line_n;
    size_t ended_n;  /* octets of `line` when its end was reached */
    size_t octets;   /* of the reply so far */
    struct buf text; /* lines so far, LF between them */
    struct smtp_reply reply;
    struct smtp_enhanced enhanced[6]; /* the first of each class that a line had */
    unsigned lines;
    bool finished; /* `reply` was returned: begin anew */
};

void smtp_reply_reader_init(struct smtp_reply_reader *reader);
void smtp_reply_reader_fini(struct smtp_reply_reader *reader);

/*
 * Takes octets from the front of input, *used_out of them, up to the end of one reply.
 * STATUS_OK: *reply_out is it; its text is printable ASCII with LF between lines, borrowed until
 * the next call. An enhanced code of the same class at the head of a line is taken out of the text
 * (RFC 2034 4); the first one of the reply's class counts. Without `enhanced` that is done for
 * refusals only: greetings and replies to EHLO have no enhanced codes, but servers that refuse
 * there write them.
 * STATUS_AGAIN: all input is used. STATUS_SYNTAX: not a reply; STATUS_LIMIT: it does not end. After
 * these two the reader is of no more use, but for smtp_reply_quote.
 */
[[nodiscard]] enum status smtp_reply_read(struct smtp_reply_reader *reader, struct str input,
                                          bool enhanced, size_t *used_out,
                                          struct smtp_reply *reply_out);

/*
 * The beginning of the last line that was read, for people: octets that are not printable ASCII,
 * quotes and backslashes are written "\\x0a", and "..." stands for what is left out. Into `quote`.
 */
struct str smtp_reply_quote(const struct smtp_reply_reader *reader,
                            char quote[SMTP_CLIENT_REPLY_QUOTE_MAX]);

/* Reads "5.7.1" at the head of s; *rest_out is what follows. STATUS_SYNTAX when it is none. */
[[nodiscard]] enum status smtp_enhanced_parse(struct str s, struct smtp_enhanced *enhanced_out,
                                              struct str *rest_out);

#endif
