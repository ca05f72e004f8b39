#include "base/show.h"

/* Ranges of code points that are not shown, in their order. */
static const struct {
    uint32_t first;
    uint32_t last;
} hidden[] = {
    {0x0000, 0x001f},   /* C0 */
    {0x007f, 0x009f},   /* DEL, C1 */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x034f, 0x034f},   /* combining grapheme joiner */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x115f, 0x1160},   /* Hangul fillers */
    {0x17b4, 0x17b5},   /* Khmer inherent vowels */
    {0x180b, 0x180f},   /* Mongolian selectors and separator */
    {0x200b, 0x200f},   /* of no width, joiners, marks of direction */
    {0x2028, 0x202e},   /* separators of lines and paragraphs, embeddings, overrides */
    {0x2060, 0x206f},   /* word joiner, invisible operators, isolates, deprecated formats */
    {0x2800, 0x2800},   /* the empty Braille pattern */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xfe00, 0xfe0f},   /* variation selectors */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xffa0, 0xffa0},   /* half-width Hangul filler */
    {0xfff0, 0xfffb},   /* specials: annotations */
    {0xfffe, 0xffff},   /* no characters */
    {0x1bca0, 0x1bca3}, /* shorthand format controls */
    {0x1d173, 0x1d17a}, /* musical format controls */
    {0xe0000, 0xe0fff}, /* tags, more variation selectors */
};

size_t
show_character(struct str s, uint32_t *code_out)
{
    static const unsigned char payload[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned char first = s.n > 0 ? (unsigned char)s.p[0] : 0;
    size_t n = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (n > s.n || !str_is_utf8(str_head(s, n))) {
        return 0;
    }
    uint32_t code = first & payload[n];
    for (size_t i = 1; i < n; i++) {
        code = code << 6 | ((unsigned char)s.p[i] & 0x3fu);
    }
    if (code_out != NULL) {
        *code_out = code;
    }
    return n;
}

size_t
show_length(struct str s)
{
    uint32_t code;
    if (s.n > 0 && s.p[0] >= ' ' && s.p[0] <= '~') {
        return 1;
    }
    size_t n = show_character(s, &code);
    for (size_t i = 0; n > 0 && i < sizeof hidden / sizeof hidden[0]; i++) {
        if (code >= hidden[i].first && code <= hidden[i].last) {
            return 0;
        }
    }
    return n;
}
