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

/* One more than what each character stands for; 0: it is not in the alphabet. */
static const uint8_t base64_places[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

int
base64_value(char c)
{
    return (int)base64_places[(unsigned char)c] - 1;
}

/* Decodes whole groups without padding as long as there are such; returns how many characters. */
static size_t
base64_groups(struct str text, char *out)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t i = 0;
    for (; i + 4 <= text.n; i += 4) {
        unsigned a = base64_places[p[i]];
        unsigned b = base64_places[p[i + 1]];
        unsigned c = base64_places[p[i + 2]];
        unsigned d = base64_places[p[i + 3]];
        if (a == 0 || b == 0 || c == 0 || d == 0) {
            break;
        }
        unsigned bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        *out++ = (char)(bits >> 16);
        *out++ = (char)(bits >> 8 & 0xff);
        *out++ = (char)(bits & 0xff);
    }
    return i;
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
    if (out == NULL) {
        return STATUS_LIMIT;
    }
    size_t start = base64_groups(text, out);
    size_t n = start / 4 * 3;
    for (size_t i = start; i < text.n; i += 4) {
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
