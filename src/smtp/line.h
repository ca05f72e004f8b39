/*
 * line.h - the strict reader of command lines: only CRLF ends a line (RFC 5321 2.3.8).
 *
 * A reader that took a bare LF for a line end would see other commands than the machine in front of
 * it did; that is SMTP smuggling. Here a bare LF or CR is an error, and the caller closes.
 */
#ifndef POSTERN_SMTP_LINE_H
#define POSTERN_SMTP_LINE_H

#include "base/buf.h"

/* Octets of one overlong line that are read and dropped before the peer is given up. */
#define SMTP_LINE_DISCARD_MAX (64u * 1024u)

enum smtp_line_result {
    SMTP_LINE_MORE, /* no line yet; all input is used */
    SMTP_LINE_OK,
    SMTP_LINE_TOO_LONG, /* more than `max` octets, dropped up to its CRLF */
    SMTP_LINE_NUL,      /* holds a NUL */
    SMTP_LINE_BARE_LF,
    SMTP_LINE_BARE_CR,
    SMTP_LINE_FLOOD, /* longer than SMTP_LINE_DISCARD_MAX: give up */
};

struct smtp_line_reader {
    struct buf held; /* the beginning of a line that has not ended */
    size_t length;   /* octets of the line so far, those dropped included */
    char last;       /* its last octet */
    bool finished;   /* held is a line that was returned: drop it first */
};

void smtp_line_init(struct smtp_line_reader *reader);
/* Overwrites what is held (it may be part of a password) and frees it. */
void smtp_line_fini(struct smtp_line_reader *reader);

/*
 * Takes one line of at most `max` octets, its CRLF counted, from the front of input. *used_out is
 * what was taken. With SMTP_LINE_OK, *line_out is the line without CRLF, borrowed from input or
 * reader until the next call.
 */
[[nodiscard]] enum smtp_line_result smtp_line_read(struct smtp_line_reader *reader,
                                                   struct str input, size_t max, size_t *used_out,
                                                   struct str *line_out);

#endif
