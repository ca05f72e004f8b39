#include "base/encode.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str
base64_encode(struct arena *arena, struct str octets)
{
    char *out = arena_alloc(arena, (octets.n + 2) / 3 * 4 + 1);
    const unsigned char *in = (const unsigned char *)octets.p;
    size_t n = 0;
    if (out == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < octets.n; i += 3) {
        size_t left = octets.n - i;
        unsigned v = (unsigned)in[i] << 16;
        v |= left > 1 ? (unsigned)in[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned)in[i + 2] : 0;
        out[n++] = base64_alphabet[v >> 18];
        out[n++] = base64_alphabet[v >> 12 & 63];
        out[n++] = left > 1 ? base64_alphabet[v >> 6 & 63] : '=';
        out[n++] = left > 2 ? base64_alphabet[v & 63] : '=';
    }
    return str_make(out, n);
}

int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (char_is_digit(c)) {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters; *count_out gets how many octets it stands for. */
static enum status
base64_group(const char *p, bool last, unsigned *bits_out, size_t *count_out)
{
    unsigned bits = 0;
    size_t padding = 0;
    for (int i = 0; i < 4; i++) {
        int v = base64_value(p[i]);
        if (p[i] == '=' && last && i >= 2) {
            padding++;
            v = 0;
        } else if (v < 0 || padding > 0) {
            return STATUS_SYNTAX;
        }
        bits = bits << 6 | (unsigned)v;
    }
    /* Spare bits must be zero, or one octet string would have several texts. */
    if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0)) {
        return STATUS_SYNTAX;
    }
    *bits_out = bits;
    *count_out = 3 - padding;
    return STATUS_OK;
}

enum status
base64_decode(struct arena *arena, struct str text, struct str *octets_out)
{
    if (text.n % 4 != 0) {
        return STATUS_SYNTAX;
    }
    char *out = arena_alloc(arena, text.n / 4 * 3 + 1);
    size_t n = 0;
    if (out == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < text.n; i += 4) {
        unsigned bits;
        size_t count;
        if (base64_group(text.p + i, i + 4 == text.n, &bits, &count) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        for (size_t k = 0; k < count; k++) {
            out[n++] = (char)(bits >> (16 - 8 * k) & 0xff);
        }
    }
    *octets_out = str_make(out, n);
    return STATUS_OK;
}

struct str
hex_encode(struct arena *arena, struct str octets)
{
    static const char digits[] = "0123456789abcdef";
    char *out = octets.n < SIZE_MAX / 2 ? arena_alloc(arena, octets.n * 2 + 1) : NULL;
    if (out == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        out[2 * i] = digits[c >> 4];
        out[2 * i + 1] = digits[c & 15];
    }
    return str_make(out, octets.n * 2);
}

static int
hex_value(char c)
{
    if (char_is_digit(c)) {
        return c - '0';
    }
    char l = char_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

enum status
hex_decode(struct arena *arena, struct str text, struct str *octets_out)
{
    if (text.n % 2 != 0) {
        return STATUS_SYNTAX;
    }
    char *out = arena_alloc(arena, text.n / 2 + 1);
    if (out == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_value(text.p[i]);
        int low = hex_value(text.p[i + 1]);
        if (high < 0 || low < 0) {
            return STATUS_SYNTAX;
        }
        out[i / 2] = (char)(high << 4 | low);
    }
    *octets_out = str_make(out, text.n / 2);
    return STATUS_OK;
}
