/*
 * client_content.h - how the content of a message is written to the next hop.
 *
 * Content is framed anew, whatever form it came in: every line ends in CRLF, with DATA every dot at
 * the start of a line is doubled (RFC 5321 4.5.2), and CRLF "." CRLF is written once, at the end. A
 * bare CR or LF becomes CRLF: no next hop can read an end of data out of content that Postern did
 * not read there (SMTP smuggling). Nothing is copied: the writer hands out slices of the message
 * with the few octets that it puts in between.
 */
#ifndef POSTERN_SMTP_CLIENT_CONTENT_H
#define POSTERN_SMTP_CLIENT_CONTENT_H

#include "base/str.h"

/* What one look at the content tells. */
struct smtp_content_form {
    uint64_t size;        /* octets as BDAT sends it, every line with its CRLF */
    bool header_has_8bit; /* SMTPUTF8 is needed (RFC 6532) */
    bool has_8bit;        /* anywhere; 8BITMIME is needed (RFC 6152) */
    bool has_nul;         /* no 8BITMIME message may hold one (RFC 2045 2.8) */
    bool has_bare;        /* a bare CR or LF */
    bool has_dots;        /* a line that begins with a dot */
};

/* Looks at a message: its header section with the empty line, and its body. */
void smtp_content_look(struct str head, struct str body, struct smtp_content_form *form_out);

/* Writes one message. The members are the writer's own. */
struct smtp_content_writer {
    struct str parts[2];
    size_t part;
    size_t at;          /* in parts[part] */
    struct str pending; /* octets that come before the rest: static, or of the message */
    bool dots;
    bool plain;      /* neither dots nor bare line ends: the parts go out as they are */
    bool line_start; /* the next octet of content begins a line */
    bool finished;   /* the end has been put into `pending` */
};

/*
 * Begins to write head and body (borrowed), whose form was looked at. `dots`: for DATA, with the
 * final dot; otherwise for BDAT, exactly form->size octets.
 */
void smtp_content_writer_start(struct smtp_content_writer *writer, struct str head, struct str body,
                               const struct smtp_content_form *form, bool dots);
/*
 * The next octets, borrowed from the message or static; false at the end. To look ahead, copy the
 * writer and ask the copy.
 */
bool smtp_content_writer_next(struct smtp_content_writer *writer, struct str *piece_out);
/* The first n octets of what next would give have been written. */
void smtp_content_writer_skip(struct smtp_content_writer *writer, uint64_t n);

#endif
