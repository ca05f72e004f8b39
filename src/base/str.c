#include "base/str.h"

bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (char_lower(a.p[i]) != char_lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

int
str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) {
        return order;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool
str_starts_with(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

bool
str_starts_with_nocase(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq_nocase(str_head(s, prefix.n), prefix);
}

bool
str_ends_with(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

bool
str_ends_with_nocase(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_skip(s, s.n - suffix.n), suffix);
}

size_t
str_find_char(struct str s, char c)
{
    const char *hit = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

size_t
str_rfind_char(struct str s, char c)
{
    const char *hit = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

size_t
str_find(struct str s, struct str needle)
{
    if (needle.n == 0) {
        return 0;
    }
    const char *hit = s.n > 0 ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

bool
str_contains_char(struct str s, char c)
{
    return str_find_char(s, c) != STR_NPOS;
}

struct str
str_trim(struct str s)
{
    while (s.n > 0 && char_is_blank(s.p[0])) {
        s = str_skip(s, 1);
    }
    while (s.n > 0 && char_is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool
str_cut(struct str s, char separator, struct str *head_out, struct str *tail_out)
{
    size_t at = str_find_char(s, separator);
    if (at == STR_NPOS) {
        *head_out = s;
        *tail_out = str_skip(s, s.n);
        return false;
    }
    *head_out = str_head(s, at);
    *tail_out = str_skip(s, at + 1);
    return true;
}

enum status
str_parse_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool over = false;
    if (s.n == 0) {
        return STATUS_SYNTAX;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_digit(s.p[i])) {
            return STATUS_SYNTAX;
        }
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            over = true; /* go on: a later octet may still make it a syntax error */
            continue;
        }
        value = value * 10 + digit;
    }
    if (over || value > max) {
        return STATUS_LIMIT;
    }
    *out = value;
    return STATUS_OK;
}

/* Length of the UTF-8 sequence at p (at most n octets), or 0 when it is not one. RFC 3629 4. */
static size_t
utf8_sequence_length(const unsigned char *p, size_t n)
{
    unsigned char lead = p[0];
    size_t length;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (lead < 0x80) {
        return 1;
    } else if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        low = lead == 0xe0 ? 0xa0 : low;   /* overlong */
        high = lead == 0xed ? 0x9f : high; /* surrogates */
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (n < length || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

bool
str_is_utf8(struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        size_t length = utf8_sequence_length((const unsigned char *)s.p + i, s.n - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/*
 * Octets that are looked at together: the compiler makes vector instructions of a loop whose length
 * it knows, and the contents of large messages pass here.
 */
#define BLOCK 64u

bool
str_is_ascii(struct str s)
{
    unsigned char bits = 0;
    size_t i = 0;
    for (; i + BLOCK <= s.n && bits < 0x80; i += BLOCK) {
        for (size_t k = 0; k < BLOCK; k++) {
            bits |= (unsigned char)s.p[i + k];
        }
    }
    for (; i < s.n; i++) {
        bits |= (unsigned char)s.p[i];
    }
    return bits < 0x80;
}

size_t
str_count_char(struct str s, char c)
{
    size_t count = 0;
    size_t i = 0;
    for (; i + BLOCK <= s.n; i += BLOCK) {
        unsigned char in_block = 0;
        for (size_t k = 0; k < BLOCK; k++) {
            in_block = (unsigned char)(in_block + (s.p[i + k] == c));
        }
        count += in_block;
    }
    for (; i < s.n; i++) {
        count += s.p[i] == c;
    }
    return count;
}

bool
str_fits(struct str text, struct str pattern)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = STR_NPOS; /* the last "*" seen, and where its run ends for now */
    size_t run = 0;
    if (pattern.n == 0) {
        return true;
    }
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            run = t;
        } else if (p < pattern.n && char_lower(pattern.p[p]) == char_lower(text.p[t])) {
            p++;
            t++;
        } else if (star != STR_NPOS) {
            p = star + 1;
            t = ++run;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

size_t
str_printable_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= ' ' && s.p[n] <= '~') {
        n++;
    }
    return n;
}
