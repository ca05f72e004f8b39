#include "mail/encoded_word.h"

#include "base/encode.h"

#define REPLACEMENT 0xfffdu

enum charset {
    CHARSET_UTF_8,
    CHARSET_ISO_8859_1,
    CHARSET_ISO_8859_15,
    CHARSET_WINDOWS_1252,
    CHARSET_ASCII, /* also: what is not known */
};

/* =?charset?encoding?text?= (RFC 2047 2) */
struct encoded_word {
    enum charset charset;
    bool base64; /* else Q */
    struct str text;
};

/* Collects the result. */
struct writer {
    char *p;
    size_t used;
    size_t size;
    bool full; /* something did not fit: nothing after it is written */
};

/* ---- characters */

static void
write_character(struct writer *writer, uint32_t c)
{
    char octets[4];
    size_t n;
    if (c == '\t') {
        c = ' ';
    } else if (c < ' ' || (c >= 0x7f && c < 0xa0)) {
        c = REPLACEMENT;
    }
    if (c < 0x80) {
        octets[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        octets[0] = (char)(0xc0 | c >> 6);
        octets[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else {
        octets[0] = (char)(0xe0 | c >> 12);
        octets[1] = (char)(0x80 | (c >> 6 & 0x3f));
        octets[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    }
    if (writer->full || n > writer->size - writer->used) {
        writer->full = true;
        return;
    }
    memcpy(writer->p + writer->used, octets, n);
    writer->used += n;
}

/* Writes UTF-8 as it is; each octet that is not part of a character becomes U+FFFD. */
static void
write_utf8(struct writer *writer, struct str s)
{
    while (s.n > 0 && !writer->full) {
        size_t room = writer->size - writer->used;
        size_t plain = str_printable_length(str_head(s, room));
        if (plain > 0) {
            memcpy(writer->p + writer->used, s.p, plain);
            writer->used += plain;
            s = str_skip(s, plain);
            continue;
        }
        unsigned char first = (unsigned char)s.p[0];
        size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (n == 1) {
            write_character(writer, first);
        } else if (n > s.n || !str_is_utf8(str_head(s, n)) ||
                   (first == 0xc2 && (unsigned char)s.p[1] < 0xa0)) {
            write_character(writer, REPLACEMENT);
            n = 1;
        } else if (n > room) {
            writer->full = true;
        } else {
            memcpy(writer->p + writer->used, s.p, n);
            writer->used += n;
        }
        s = str_skip(s, n);
    }
}

/* What windows-1252 has where ISO-8859-1 has control characters; 0: nothing. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

/* Where ISO-8859-15 is not ISO-8859-1. */
static uint32_t
iso_8859_15(unsigned char octet)
{
    switch (octet) {
    case 0xa4:
        return 0x20ac;
    case 0xa6:
        return 0x160;
    case 0xa8:
        return 0x161;
    case 0xb4:
        return 0x17d;
    case 0xb8:
        return 0x17e;
    case 0xbc:
        return 0x152;
    case 0xbd:
        return 0x153;
    case 0xbe:
        return 0x178;
    default:
        return octet;
    }
}

static uint32_t
single_octet_character(enum charset charset, unsigned char octet)
{
    if (octet < 0x80) {
        return octet;
    }
    if (charset == CHARSET_ASCII) {
        return REPLACEMENT;
    }
    if (charset == CHARSET_ISO_8859_15) {
        return iso_8859_15(octet);
    }
    /* ISO-8859-1 too is read as windows-1252, as everybody writes it. */
    if (octet < 0xa0) {
        return windows_1252[octet - 0x80] != 0 ? windows_1252[octet - 0x80] : REPLACEMENT;
    }
    return octet;
}

static void
write_octets(struct writer *writer, enum charset charset, struct str octets)
{
    if (charset == CHARSET_UTF_8) {
        write_utf8(writer, octets);
        return;
    }
    for (size_t i = 0; i < octets.n && !writer->full; i++) {
        write_character(writer, single_octet_character(charset, (unsigned char)octets.p[i]));
    }
}

/* ---- encoded words */

static enum charset
charset_find(struct str name)
{
    static const struct {
        struct str name;
        enum charset charset;
    } known[] = {
        {STR_INIT("utf-8"), CHARSET_UTF_8},
        {STR_INIT("utf8"), CHARSET_UTF_8},
        {STR_INIT("iso-8859-1"), CHARSET_ISO_8859_1},
        {STR_INIT("latin1"), CHARSET_ISO_8859_1},
        {STR_INIT("iso-8859-15"), CHARSET_ISO_8859_15},
        {STR_INIT("windows-1252"), CHARSET_WINDOWS_1252},
        {STR_INIT("cp1252"), CHARSET_WINDOWS_1252},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_eq_nocase(known[i].name, name)) {
            return known[i].charset;
        }
    }
    return CHARSET_ASCII;
}

/* Reads an encoded word at the beginning of s; *rest_out is what follows it. */
static bool
encoded_word_parse(struct str s, struct encoded_word *word_out, struct str *rest_out)
{
    struct str charset;
    struct str encoding;
    struct str rest;
    struct str language;
    if (!str_starts_with(s, STR("=?")) || !str_cut(str_skip(s, 2), '?', &charset, &rest) ||
        !str_cut(rest, '?', &encoding, &rest) || charset.n == 0 || encoding.n != 1) {
        return false;
    }
    char kind = char_lower(encoding.p[0]);
    size_t end = str_find_char(rest, '?');
    if ((kind != 'b' && kind != 'q') || end == STR_NPOS || end + 1 == rest.n ||
        rest.p[end + 1] != '=' || str_contains_char(str_head(rest, end), ' ')) {
        return false;
    }
    str_cut(charset, '*', &charset, &language); /* RFC 2231 5 */
    word_out->charset = charset_find(charset);
    word_out->base64 = kind == 'b';
    word_out->text = str_head(rest, end);
    *rest_out = str_skip(rest, end + 2);
    return true;
}

static int
hex_value(char c)
{
    if (char_is_digit(c)) {
        return c - '0';
    }
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2047 4.2; an "=" without two hexadecimal digits stays. Returns the octets written. */
static size_t
q_decode(struct str text, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '=' && text.n - i > 2 && hex_value(text.p[i + 1]) >= 0 &&
            hex_value(text.p[i + 2]) >= 0) {
            c = (char)(hex_value(text.p[i + 1]) << 4 | hex_value(text.p[i + 2]));
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        out[used++] = c;
    }
    return used;
}

/* Lenient: padding may be missing, what is not of the alphabet ends it. Returns octets written. */
static size_t
base64_decode_lenient(struct str text, char *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t used = 0;
    for (size_t i = 0; i < text.n && base64_value(text.p[i]) >= 0; i++) {
        bits = bits << 6 | (uint32_t)base64_value(text.p[i]);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[used++] = (char)(bits >> count & 0xff);
        }
    }
    return used;
}

/*
 * Decodes the run of encoded words at the beginning of s. Blanks between two of them are not part
 * of the text (RFC 2047 6.2), and a character may be cut in two by them where the character set is
 * the same, whatever RFC 2047 5 says. `scratch` has room for s.n octets.
 */
static bool
run_decode(struct str s, char *scratch, struct writer *writer, struct str *rest_out)
{
    struct encoded_word word;
    size_t used = 0;
    enum charset charset = CHARSET_ASCII;
    bool any = false;
    while (encoded_word_parse(s, &word, &s)) {
        if (any && word.charset != charset) {
            write_octets(writer, charset, str_make(scratch, used));
            used = 0;
        }
        charset = word.charset;
        used += word.base64 ? base64_decode_lenient(word.text, scratch + used)
                            : q_decode(word.text, scratch + used);
        any = true;
        *rest_out = s;
        while (s.n > 0 && char_is_blank(s.p[0])) {
            s = str_skip(s, 1);
        }
    }
    write_octets(writer, charset, str_make(scratch, used));
    return any;
}

struct str
mail_text_decode(struct arena *arena, struct str value, size_t most)
{
    struct writer writer = {.size = most};
    char *scratch = arena_alloc(arena, value.n + 1);
    writer.p = arena_alloc(arena, most + 1);
    if (scratch == NULL || writer.p == NULL) {
        return str_make(NULL, 0);
    }
    while (value.n > 0 && !writer.full) {
        struct str rest;
        if (run_decode(value, scratch, &writer, &rest)) {
            value = rest;
            continue;
        }
        size_t next = str_find(str_skip(value, 1), STR("=?"));
        size_t n = next == STR_NPOS ? value.n : next + 1;
        write_utf8(&writer, str_head(value, n));
        value = str_skip(value, n);
    }
    return str_make(writer.p, writer.used);
}
