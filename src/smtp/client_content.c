#include "smtp/client_content.h"

/* ---- looking */

struct look {
    uint64_t cr, lf, crlf; /* how many */
    char last;
    bool dots;
    bool has_8bit;
};

static void
look_lines(struct look *look, struct str s)
{
    const char *end = s.p + s.n;
    /* An empty body still has the head's last octet before it. */
    if (s.n > 0 && look->last == '\n' && s.p[0] == '.') {
        look->dots = true;
    }
    for (const char *p = s.p; s.n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) {
        char before = p > s.p ? p[-1] : look->last;
        look->lf++;
        look->crlf += before == '\r';
        if (p + 1 < end && p[1] == '.') {
            look->dots = true;
        }
    }
    if (s.n > 0) {
        look->last = s.p[s.n - 1];
    }
    look->cr += str_count_char(s, '\r');
    look->has_8bit |= !str_is_ascii(s);
}

void
smtp_content_look(struct str head, struct str body, struct smtp_content_form *form_out)
{
    struct look look = {.last = '\n'};
    look_lines(&look, head);
    bool header_has_8bit = look.has_8bit;
    look_lines(&look, body);
    bool has_bare = look.cr != look.crlf || look.lf != look.crlf;
    /* Each line end takes two octets on the wire, and an open last line gets one. */
    uint64_t line_ends = look.cr + look.lf - look.crlf;
    uint64_t text = head.n + body.n - look.cr - look.lf;
    bool open = head.n + body.n > 0 && look.last != '\n' && look.last != '\r';
    *form_out = (struct smtp_content_form){
        .size = text + 2 * (line_ends + (open ? 1 : 0)),
        .header_has_8bit = header_has_8bit,
        .has_8bit = look.has_8bit,
        .has_nul = (head.n > 0 && memchr(head.p, 0, head.n) != NULL) ||
                   (body.n > 0 && memchr(body.p, 0, body.n) != NULL),
        .has_bare = has_bare,
        .has_dots = look.dots,
    };
}

/* ---- writing */

void
smtp_content_writer_start(struct smtp_content_writer *writer, struct str head, struct str body,
                          const struct smtp_content_form *form, bool dots)
{
    *writer = (struct smtp_content_writer){
        .parts = {head, body},
        .dots = dots,
        .plain = !form->has_bare && !(dots && form->has_dots),
        .line_start = true,
    };
}

/* The octet of content at `ahead` from here; false past the end. */
static bool
peek(const struct smtp_content_writer *w, size_t ahead, char *c_out)
{
    size_t at = w->at + ahead;
    for (size_t part = w->part; part < 2; part++) {
        if (at < w->parts[part].n) {
            *c_out = w->parts[part].p[at];
            return true;
        }
        at -= w->parts[part].n;
    }
    return false;
}

static void
advance(struct smtp_content_writer *w, size_t n)
{
    w->at += n;
    while (w->part < 2 && w->at >= w->parts[w->part].n) {
        w->at -= w->parts[w->part].n;
        w->part++;
    }
}

static bool
take_pending(struct smtp_content_writer *w, struct str *piece_out)
{
    *piece_out = w->pending;
    w->pending = STR("");
    return true;
}

/* What stands at the end: the CRLF of an open line, and the dot. */
static bool
finish(struct smtp_content_writer *w, struct str *piece_out)
{
    if (w->finished) {
        return false;
    }
    w->finished = true;
    if (w->dots) {
        w->pending = w->line_start ? STR(".\r\n") : STR("\r\n.\r\n");
    } else if (!w->line_start) {
        w->pending = STR("\r\n");
    }
    return w->pending.n > 0 && take_pending(w, piece_out);
}

/* The length of the run from here, in this part, that goes out as it is. */
static size_t
plain_run(const struct smtp_content_writer *w)
{
    struct str rest = str_skip(w->parts[w->part], w->at);
    size_t i = 0;
    while (i < rest.n) {
        char next = '\0';
        if (rest.p[i] == '\n') {
            break; /* a bare LF: that of a CRLF is passed below */
        }
        if (rest.p[i] != '\r') {
            i++;
            continue;
        }
        /* A CRLF goes whole, and with it the run goes on unless a dot follows. */
        if (i + 1 >= rest.n || rest.p[i + 1] != '\n') {
            break;
        }
        i += 2;
        if (w->dots && peek(w, i, &next) && next == '.') {
            break;
        }
    }
    return i;
}

/* A line end at this place: what it is becomes one CRLF. */
static void
take_line_end(struct smtp_content_writer *w)
{
    char first = '\0', second = '\0';
    bool is_crlf = peek(w, 0, &first) && first == '\r' && peek(w, 1, &second) && second == '\n';
    advance(w, is_crlf ? 2 : 1);
    w->pending = STR("\r\n");
    w->line_start = true;
}

bool
smtp_content_writer_next(struct smtp_content_writer *w, struct str *piece_out)
{
    char c;
    if (w->pending.n > 0) {
        return take_pending(w, piece_out);
    }
    advance(w, 0); /* past a part that is empty */
    if (!peek(w, 0, &c)) {
        return finish(w, piece_out);
    }
    struct str rest = str_skip(w->parts[w->part], w->at);
    if (!w->plain) {
        if (w->dots && w->line_start && c == '.') {
            w->line_start = false;
            *piece_out = STR(".");
            return true;
        }
        rest = str_head(rest, plain_run(w));
        if (rest.n == 0) {
            take_line_end(w);
            return take_pending(w, piece_out);
        }
    }
    advance(w, rest.n);
    w->line_start = rest.p[rest.n - 1] == '\n';
    *piece_out = rest;
    return true;
}

void
smtp_content_writer_skip(struct smtp_content_writer *writer, uint64_t n)
{
    while (n > 0) {
        struct str piece;
        if (!smtp_content_writer_next(writer, &piece)) {
            return;
        }
        if (piece.n > n) {
            writer->pending = str_skip(piece, (size_t)n);
            return;
        }
        n -= piece.n;
    }
}
