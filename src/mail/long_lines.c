#include "mail/long_lines.h"

#include "mail/fields.h"

/* Lines of a field that is folded (RFC 5322 2.1.1). */
#define FOLD_AT  78u
/* Where a word is divided that has no other place. */
#define WORD_MAX 900u

/* Octets of the first line, without its CRLF. */
static size_t
line_length(struct str octets)
{
    size_t end = str_find(octets, STR("\r\n"));
    return end != STR_NPOS ? end : octets.n;
}

bool
mail_has_long_line(struct str octets)
{
    while (octets.n > MAIL_LINE_MAX) {
        size_t n = line_length(octets);
        if (n > MAIL_LINE_MAX) {
            return true;
        }
        octets = str_skip(octets, n + 2);
    }
    return false;
}

/* A blank before a word, with a word before it: what comes there may begin a line. */
static bool
is_fold(struct str line, size_t i)
{
    return char_is_blank(line.p[i]) && i + 1 < line.n && !char_is_blank(line.p[i + 1]);
}

/* The octets in front that are no place to fold: blanks, and in a field's first line its name. */
static size_t
head_length(struct str line, bool has_name)
{
    size_t i = has_name ? str_find_char(line, ':') : 0;
    i = i == STR_NPOS ? 0 : i + (has_name ? 1 : 0);
    while (i < line.n && char_is_blank(line.p[i])) {
        i++;
    }
    return i + 1;
}

/* Where a word that is too long is divided. */
static size_t
divide(struct str line, size_t from)
{
    size_t best = 0;
    size_t end = line.n < WORD_MAX ? line.n : WORD_MAX;
    for (size_t i = from; i < end; i++) {
        best = str_contains_char(STR(",;>"), line.p[i]) ? i + 1 : best;
    }
    while (best == 0 && end > from + 1 && ((unsigned char)line.p[end] & 0xc0) == 0x80) {
        end--; /* not within a character */
    }
    return best > 0 ? best : end;
}

/* Where the next line begins; the whole length: nowhere. */
static size_t
next_fold(struct str line, bool has_name)
{
    size_t best = 0;
    size_t from = head_length(line, has_name);
    if (line.n <= FOLD_AT) {
        return line.n;
    }
    for (size_t i = from; i < line.n && (i <= FOLD_AT || best == 0) && i <= MAIL_LINE_MAX; i++) {
        best = is_fold(line, i) ? i : best;
    }
    if (best > 0 || line.n <= MAIL_LINE_MAX) {
        return best > 0 ? best : line.n;
    }
    return divide(line, from);
}

static enum status
fold_line(struct str line, bool has_name, struct buf *out)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        size_t n = next_fold(line, has_name);
        status = buf_append(out, str_head(line, n));
        line = str_skip(line, n);
        has_name = false;
        if (status != STATUS_OK || line.n == 0) {
            break;
        }
        status = buf_append(out, char_is_blank(line.p[0]) ? STR("\r\n") : STR("\r\n "));
    }
    return status;
}

enum status
mail_fold_long_lines(struct str head, struct buf *head_out)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && head.n > 0) {
        size_t n = line_length(head);
        struct str line = str_head(head, n);
        struct str end = str_head(str_skip(head, n), 2);
        bool has_name = n > 0 && !char_is_blank(line.p[0]);
        status =
            n > MAIL_LINE_MAX ? fold_line(line, has_name, head_out) : buf_append(head_out, line);
        if (status == STATUS_OK) {
            status = buf_append(head_out, end);
        }
        head = str_skip(head, n + 2);
    }
    return status;
}
