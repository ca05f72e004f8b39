#include "mail/token.h"

/* The end of what stands between `open` and `close` at s, past `close`; 0 when it does not end. */
static size_t
enclosed_length(struct str s, char open, char close, unsigned depth_most)
{
    unsigned depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (i > 0 && s.p[i] == close) {
            if (--depth == 0) {
                return i + 1;
            }
        } else if (s.p[i] == open) {
            if (++depth > depth_most) {
                return 0;
            }
        } else if (s.p[i] == '\\') {
            i++; /* RFC 5322 3.2.1: whatever comes is meant as such */
        } else if (s.p[i] == '\0') {
            return 0;
        }
    }
    return 0;
}

enum status
mail_token_skip_cfws(struct str *rest)
{
    for (;;) {
        if (rest->n == 0) {
            return STATUS_OK;
        }
        if (char_is_blank(rest->p[0])) {
            *rest = str_skip(*rest, 1);
        } else if (rest->n > 2 && str_starts_with(*rest, STR("\r\n")) &&
                   char_is_blank(rest->p[2])) {
            *rest = str_skip(*rest, 3);
        } else if (rest->p[0] == '(') {
            size_t n = enclosed_length(*rest, '(', ')', MAIL_COMMENT_DEPTH_MAX);
            if (n == 0) {
                return STATUS_SYNTAX;
            }
            *rest = str_skip(*rest, n);
        } else {
            return STATUS_OK;
        }
    }
}

/* atext: RFC 5322 3.2.3, and RFC 6532 3.2 for octets above 127. */
static bool
is_atext(char c)
{
    return char_is_alnum(c) || (unsigned char)c >= 0x80 ||
           (c > ' ' && str_contains_char(STR("!#$%&'*+-/=?^_`{|}~"), c));
}

struct str
mail_token_atom(struct str *rest, bool dots)
{
    size_t n = 0;
    while (n < rest->n && (is_atext(rest->p[n]) || (dots && rest->p[n] == '.'))) {
        n++;
    }
    struct str atom = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return atom;
}

enum status
mail_token_quoted(struct str *rest, struct str *quoted_out)
{
    if (rest->n == 0 || rest->p[0] != '"') {
        return STATUS_NOT_FOUND;
    }
    size_t n = enclosed_length(*rest, '"', '"', 1);
    if (n == 0) {
        return STATUS_SYNTAX;
    }
    *quoted_out = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return STATUS_OK;
}

bool
mail_token_char(struct str *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c) {
        return false;
    }
    *rest = str_skip(*rest, 1);
    return true;
}
