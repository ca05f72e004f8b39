#include "mail/header_words.h"

/* RFC 2047 2: an encoded word with all that is around its text. */
#define WORD_MAX   75u
#define WORD_START "=?UTF-8?Q?"
#define WORD_B     "=?UTF-8?B?"
#define WORD_END   "?="
/* What one word has room for: characters in Q, octets in B. */
#define ROOM_Q     (WORD_MAX - sizeof WORD_START - sizeof WORD_END + 2)
#define ROOM_B     (ROOM_Q / 4 * 3)

static void
append(struct header_words *w, struct str s)
{
    w->failed = w->failed || buf_append(w->out, s) != STATUS_OK;
    w->column += s.n;
}

void
header_words_begin(struct header_words *w, struct buf *out, struct str prefix, struct str name)
{
    *w = (struct header_words){.out = out};
    append(w, prefix);
    append(w, name);
    append(w, STR(":"));
}

/* A blank before a word of n octets, or a new line where it would not fit. */
static void
separate(struct header_words *w, size_t n)
{
    if (w->column + 1 + n > MAIL_HEADER_LINE) {
        append(w, STR("\r\n"));
        w->column = 0;
    }
    append(w, STR(" "));
}

void
header_words_put(struct header_words *w, struct str word)
{
    separate(w, word.n);
    append(w, word);
    w->was_encoded = str_starts_with(word, STR("=?")) && str_ends_with(word, STR(WORD_END));
}

void
header_words_stick(struct header_words *w, struct str octets)
{
    append(w, octets);
    w->was_encoded = false;
}

/* Octets of the character at the beginning of well-formed UTF-8. */
static size_t
character_length(struct str s)
{
    size_t n = 1;
    while (n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n++;
    }
    return n;
}

/* RFC 2047 5 (3): what stands for itself in a phrase. */
static bool
is_plain(char c)
{
    return char_is_alnum(c) || (c > ' ' && str_contains_char(STR("!*+-/"), c));
}

static size_t
width_q(struct str character)
{
    return character.n == 1 && (is_plain(character.p[0]) || character.p[0] == ' ')
               ? 1
               : 3 * character.n;
}

/* How much of the text one encoded word takes. */
static size_t
take(struct str text, bool base64)
{
    size_t n = 0, used = 0;
    while (n < text.n) {
        struct str rest = str_skip(text, n);
        struct str character = str_head(rest, character_length(rest));
        size_t width = base64 ? character.n : width_q(character);
        if (used + width > (base64 ? ROOM_B : ROOM_Q)) {
            break;
        }
        used += width;
        n += character.n;
    }
    return n;
}

static size_t
encode_q(struct str text, char *to)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_plain(text.p[i]) || c == ' ') {
            to[n++] = c == ' ' ? '_' : text.p[i];
            continue;
        }
        to[n++] = '=';
        to[n++] = digits[c >> 4];
        to[n++] = digits[c & 15];
    }
    return n;
}

static size_t
encode_b(struct str text, char *to)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    for (size_t i = 0; i < text.n; i += 3) {
        uint32_t group = 0;
        size_t have = text.n - i < 3 ? text.n - i : 3;
        for (size_t k = 0; k < 3; k++) {
            group = group << 8 | (k < have ? (unsigned char)text.p[i + k] : 0u);
        }
        for (size_t k = 0; k < 4; k++) {
            to[n++] = k <= have ? alphabet[group >> (18 - 6 * k) & 63] : '=';
        }
    }
    return n;
}

/* Q can be read in part by people without a reader; B is shorter for other scripts than Latin. */
static bool
is_better_in_base64(struct str text)
{
    size_t high = 0;
    for (size_t i = 0; i < text.n; i++) {
        high += (unsigned char)text.p[i] >= 0x80;
    }
    return high > text.n / 2;
}

void
header_words_encode(struct header_words *w, struct str text)
{
    bool base64 = is_better_in_base64(text);
    while (text.n > 0 && !w->failed) {
        char word[WORD_MAX];
        size_t most = take(text, base64);
        struct str piece = str_head(text, most);
        struct str start = base64 ? STR(WORD_B) : STR(WORD_START);
        memcpy(word, start.p, start.n);
        size_t n = start.n;
        n += base64 ? encode_b(piece, word + n) : encode_q(piece, word + n);
        memcpy(word + n, WORD_END, sizeof WORD_END - 1);
        header_words_put(w, str_make(word, n + sizeof WORD_END - 1));
        text = str_skip(text, most);
    }
}

static bool
is_blank(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

static struct str
next_word(struct str text)
{
    size_t n = 0;
    while (n < text.n && !is_blank(text.p[n])) {
        n++;
    }
    return str_head(text, n);
}

static struct str
skip_blanks(struct str text)
{
    while (text.n > 0 && is_blank(text.p[0])) {
        text = str_skip(text, 1);
    }
    return text;
}

/* The words at the beginning of text that are not ASCII, with the blanks between them. */
static struct str
take_run(struct str text)
{
    size_t end = 0;
    for (struct str rest = text; rest.n > 0;) {
        struct str word = next_word(rest);
        if (str_is_ascii(word)) {
            break;
        }
        rest = str_skip(rest, word.n);
        end = text.n - rest.n;
        rest = skip_blanks(rest);
    }
    return str_head(text, end);
}

/* Between two encoded words a blank is not shown: it has to be in one of them. */
static void
encode_run(struct header_words *w, struct str before, struct str run)
{
    bool joins = w->was_encoded && before.n > 0;
    header_words_encode(w, joins ? str_make(run.p - 1, 1 + run.n) : run);
}

void
header_words_text(struct header_words *w, struct str text)
{
    while (text.n > 0) {
        struct str rest = skip_blanks(text);
        struct str blanks = str_head(text, text.n - rest.n);
        struct str run = take_run(rest);
        if (run.n > 0) {
            encode_run(w, blanks, run);
            text = str_skip(rest, run.n);
            continue;
        }
        struct str word = next_word(rest);
        if (word.n > 0) {
            header_words_put(w, word);
        }
        text = str_skip(rest, word.n);
    }
}

enum status
header_words_end(struct header_words *w)
{
    append(w, STR("\r\n"));
    return w->failed ? STATUS_LIMIT : STATUS_OK;
}
