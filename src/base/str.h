/*
 * str.h - text and octets as pointer and length.
 *
 * A struct str never owns what it points to and need not end in NUL: it is a view, borrowed from an
 * arena, a buffer, a received message or a literal. Everything that reads input in Postern reads a
 * struct str; NUL-terminated strings appear only where a library asks for them (arena_cstr).
 * Letter case is folded for ASCII only: mail's protocols define nothing else.
 */
#ifndef POSTERN_BASE_STR_H
#define POSTERN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

struct str {
    const char *p; /* borrowed; may be NULL when n is 0 */
    size_t n;      /* octets */
};

/* A literal as struct str, its final NUL not counted. */
#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
/* The same where a constant initialiser is wanted. */
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        ("" literal), sizeof(literal) - 1                                                          \
    }
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).n, ((s).p != NULL ? (s).p : "")

#define STR_NPOS SIZE_MAX

static inline struct str
str_make(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* A view of a NUL-terminated string; NULL gives the empty string. */
static inline struct str
str_from_cstr(const char *s)
{
    return (struct str){s, s != NULL ? strlen(s) : 0};
}

static inline bool
str_is_empty(struct str s)
{
    return s.n == 0;
}

/* Equal, octet for octet. */
bool str_eq(struct str a, struct str b);
/* Equal when ASCII letters are folded. */
bool str_eq_nocase(struct str a, struct str b);
/* Order as memcmp, then the shorter first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_starts_with_nocase(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
bool str_ends_with_nocase(struct str s, struct str suffix);

/* Index of the first (last) octet `c`, or STR_NPOS. */
size_t str_find_char(struct str s, char c);
size_t str_rfind_char(struct str s, char c);
/* Index of the first `needle`, or STR_NPOS; an empty needle is found at 0. */
size_t str_find(struct str s, struct str needle);
bool str_contains_char(struct str s, char c);
/* How many octets are `c`. */
size_t str_count_char(struct str s, char c);

/* The first n octets (all, if there are fewer). */
static inline struct str
str_head(struct str s, size_t n)
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* What follows the first n octets (nothing, if there are fewer). */
static inline struct str
str_skip(struct str s, size_t n)
{
    size_t skipped = n < s.n ? n : s.n;
    return (struct str){skipped > 0 ? s.p + skipped : s.p, s.n - skipped};
}

/* Without SP and HT at both ends. */
struct str str_trim(struct str s);

/*
 * Cuts s at the first `separator`: the part before goes to *head_out, the part after to *tail_out.
 * Returns false, with all in *head_out and *tail_out empty, when there is no separator.
 */
bool str_cut(struct str s, char separator, struct str *head_out, struct str *tail_out);

/*
 * Decimal digits only, no sign, no blanks; the whole of s. STATUS_SYNTAX for anything else,
 * STATUS_LIMIT above `max`. *out is untouched on failure.
 */
[[nodiscard]] enum status str_parse_u64(struct str s, uint64_t max, uint64_t *out);

/* ASCII classes that do not look at the locale. */
static inline bool
char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char
char_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}

static inline bool
char_is_alpha(char c)
{
    char l = char_lower(c);
    return l >= 'a' && l <= 'z';
}

static inline bool
char_is_alnum(char c)
{
    return char_is_alpha(c) || char_is_digit(c);
}

static inline bool
char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * Whether a text fits a pattern: "*" stands for any run of octets, ASCII case is folded; an empty
 * pattern fits everything.
 */
bool str_fits(struct str text, struct str pattern);

/* True when s is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool str_is_utf8(struct str s);
/* True when every octet is below 128. */
bool str_is_ascii(struct str s);
/* How many octets at the beginning of s are printable ASCII or spaces. */
size_t str_printable_length(struct str s);

#endif
