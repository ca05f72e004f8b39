/*
 * content.h - message content as it goes by: un-dot-stuffing of DATA, octets of BDAT, strict line
 * ends, limits, and the few facts of the header the SMTP server must know itself.
 *
 * Only CRLF "." CRLF ends DATA (RFC 5321 4.1.1.4), also where a bare LF becomes CRLF: a dot alone
 * behind one of those is refused, since somebody else may see an end there. Content is handed out
 * as slices of the input; once an error is found nothing more is handed out, the rest is swallowed
 * up to the real end of data, and the caller refuses. After a wrong line end it cannot be known
 * where the client sees the end: there what merely looks like one (a dot between any CR or LF) ends
 * the swallowing too. The caller closes the connection then, so that nothing behind it is ever read
 * as a command.
 */
#ifndef POSTERN_SMTP_CONTENT_H
#define POSTERN_SMTP_CONTENT_H

#include "smtp/envelope.h"

enum smtp_content_error {
    SMTP_CONTENT_OK,
    SMTP_CONTENT_LINE_TOO_LONG,
    SMTP_CONTENT_TOO_LARGE,
    SMTP_CONTENT_LOOP,      /* too many Received fields */
    SMTP_CONTENT_MALFORMED, /* a header line that is no field, where that is refused */
    SMTP_CONTENT_NUL,
    SMTP_CONTENT_BARE_LF, /* these two are told rather than an error before them */
    SMTP_CONTENT_BARE_CR,
};

struct smtp_content_rules {
    uint64_t size_max;    /* 0: none */
    size_t text_line_max; /* without CRLF */
    unsigned received_max;
    uint64_t discard_max; /* octets of a refused message that are swallowed; then it is given up */
    bool bare_lf_is_data;
    bool bare_lf_is_crlf; /* handed out as CRLF */
    bool refuse_malformed_header;
};

enum smtp_content_place {
    SMTP_CONTENT_LINE_START,
    SMTP_CONTENT_TEXT,
    SMTP_CONTENT_DOT,    /* "." at the start of a line, not handed out */
    SMTP_CONTENT_DOT_CR, /* and CR behind it */
    SMTP_CONTENT_ENDED,
};

enum smtp_header_place {
    SMTP_HEADER_LINE_START,
    SMTP_HEADER_NAME,
    SMTP_HEADER_BLANK, /* between name and colon, RFC 5322 4.5 */
    SMTP_HEADER_VALUE,
    SMTP_HEADER_END, /* the empty line has been seen */
};

/* The members are the reader's own but for facts and error. */
struct smtp_content {
    struct smtp_content_facts facts;
    enum smtp_content_error error;
    bool dots; /* DATA, not BDAT */
    enum smtp_content_place place;
    bool cr;       /* the last octet was CR */
    bool after_lf; /* this line began behind a bare LF that became CRLF */
    char previous; /* the last octet of all */
    char before;   /* the one before */
    size_t column; /* octets in this line */
    uint64_t swallowed;
    enum smtp_header_place header;
    unsigned name_length;
    bool name_matches; /* so far like "received" */
};

/* A new message; `dots` true for DATA. */
void smtp_content_start(struct smtp_content *content, bool dots);

/*
 * Takes octets from the front of input, *used_out of them. STATUS_OK: *piece_out is content to keep
 * (borrowed from input); call again with the rest. STATUS_AGAIN: all input is used. STATUS_END: the
 * end of DATA has been taken (never for BDAT: the caller counts its chunks). STATUS_LIMIT: more
 * than rules->discard_max octets were swallowed; give up.
 */
[[nodiscard]] enum status smtp_content_read(struct smtp_content *content,
                                            const struct smtp_content_rules *rules,
                                            struct str input, size_t *used_out,
                                            struct str *piece_out);

/*
 * After the last octet of BDAT: checks that the content does not end within a CRLF. Returns true
 * when the last line has no CRLF: the caller appends one (RFC 5321 4.1.1.4 knows only whole lines),
 * it has been counted and noted here.
 */
[[nodiscard]] bool smtp_content_finish(struct smtp_content *content);

#endif
