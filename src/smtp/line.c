#include "smtp/line.h"

void
smtp_line_init(struct smtp_line_reader *reader)
{
    *reader = (struct smtp_line_reader){.length = 0};
    buf_init(&reader->held, SMTP_LINE_DISCARD_MAX);
}

void
smtp_line_fini(struct smtp_line_reader *reader)
{
    buf_free_wiped(&reader->held);
}

/* Forgets the line that was returned last. */
static void
reader_restart(struct smtp_line_reader *reader)
{
    if (buf_length(&reader->held) > 0) {
        buf_free_wiped(&reader->held);
    }
    reader->length = 0;
    reader->last = '\0';
    reader->finished = false;
}

static enum smtp_line_result
line_check(struct str line, struct str *line_out)
{
    if (!str_ends_with(line, STR("\r\n"))) {
        return SMTP_LINE_BARE_LF;
    }
    line.n -= 2;
    if (str_contains_char(line, '\r')) {
        return SMTP_LINE_BARE_CR;
    }
    if (str_contains_char(line, '\0')) {
        return SMTP_LINE_NUL;
    }
    *line_out = line;
    return SMTP_LINE_OK;
}

enum smtp_line_result
smtp_line_read(struct smtp_line_reader *reader, struct str input, size_t max, size_t *used_out,
               struct str *line_out)
{
    if (reader->finished) {
        reader_restart(reader);
    }
    size_t lf = str_find_char(input, '\n');
    bool ended = lf != STR_NPOS;
    struct str piece = str_head(input, ended ? lf + 1 : input.n);
    *used_out = piece.n;
    if (piece.n == 0) {
        return SMTP_LINE_MORE;
    }
    char before_lf = piece.n > 1 ? piece.p[piece.n - 2] : reader->last;
    size_t length_before = reader->length;
    reader->length += piece.n;
    reader->last = piece.p[piece.n - 1];
    reader->finished = ended;
    if (reader->length > max) {
        if (reader->length > SMTP_LINE_DISCARD_MAX) {
            return SMTP_LINE_FLOOD;
        }
        if (!ended) {
            return SMTP_LINE_MORE;
        }
        return before_lf == '\r' ? SMTP_LINE_TOO_LONG : SMTP_LINE_BARE_LF;
    }
    if (ended && length_before == 0) {
        return line_check(piece, line_out);
    }
    if (buf_append(&reader->held, piece) != STATUS_OK) {
        return SMTP_LINE_FLOOD;
    }
    return ended ? line_check(buf_str(&reader->held), line_out) : SMTP_LINE_MORE;
}
