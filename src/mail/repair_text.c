#include "mail/repair_text.h"

#include "base/buf.h"
#include "base/encode.h"

/* Octets of text in one encoded word: 60 in base 64, with "=?windows-1252?B??=" below the 75 that
 * RFC 2047 2 allows. */
#define WORD_OCTETS 39u
/* How many octets a value may come to at most, for each of its own: words of one octet are worst.
 */
#define GROWTH      16u
#define SMALLEST    256u

/* ---- folding */

/* The length of a line break that is followed by a blank at s; 0: none. */
static size_t
fold_at(struct str s)
{
    return s.n > 2 && s.p[0] == '\r' && s.p[1] == '\n' && char_is_blank(s.p[2]) ? 2 : 0;
}

/* True when the folded line that begins at s (behind its break) has blanks only. */
static bool
is_blank_line(struct str s)
{
    size_t i = 0;
    while (i < s.n && char_is_blank(s.p[i])) {
        i++;
    }
    return i == s.n || str_starts_with(str_skip(s, i), STR("\r\n"));
}

enum status
mail_repair_blank_folds(struct arena *arena, struct str *value, bool *done_out)
{
    char *out = NULL;
    size_t n = 0;
    *done_out = false;
    for (size_t i = 0; i < value->n;) {
        struct str rest = str_skip(*value, i);
        size_t fold = fold_at(rest);
        if (fold > 0 && is_blank_line(str_skip(rest, fold))) {
            if (out == NULL && (out = arena_alloc(arena, value->n)) == NULL) {
                return STATUS_LIMIT;
            }
            if (!*done_out && i > 0) {
                memcpy(out, value->p, i);
                n = i;
            }
            *done_out = true;
            i += fold;
            while (i < value->n && char_is_blank(value->p[i])) {
                i++;
            }
            continue;
        }
        if (*done_out) {
            out[n++] = value->p[i];
        }
        i++;
    }
    *value = *done_out ? str_make(out, n) : *value;
    return STATUS_OK;
}

/* ---- control characters */

static bool
is_control(char c)
{
    return ((unsigned char)c < ' ' && !str_contains_char(STR("\t\r\n"), c) && c != '\0') ||
           c == 0x7f;
}

enum status
mail_repair_controls(struct arena *arena, struct str *value, bool *done_out)
{
    size_t i = 0;
    while (i < value->n && !is_control(value->p[i])) {
        i++;
    }
    *done_out = i < value->n;
    if (!*done_out) {
        return STATUS_OK;
    }
    char *out = arena_cstr(arena, *value);
    for (; out != NULL && i < value->n; i++) {
        out[i] = is_control(out[i]) ? ' ' : out[i];
    }
    *value = out != NULL ? str_make(out, value->n) : *value;
    return out != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* ---- encoded words */

struct encoder {
    struct arena *arena;
    struct buf *out;
    struct str charset;
    bool phrases;
};

/* How much of s goes into one word: whole characters where it is UTF-8. */
static size_t
word_length(const struct encoder *encoder, struct str s)
{
    size_t n = s.n < WORD_OCTETS ? s.n : WORD_OCTETS;
    bool utf8 = encoder->charset.n == STR("UTF-8").n;
    while (utf8 && n < s.n && n > 1 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}

/* A run of text as encoded words; what stands between two of them is not shown (RFC 2047 6.2). */
static enum status
put_words(const struct encoder *encoder, struct str text)
{
    enum status status = STATUS_OK;
    for (bool first = true; text.n > 0 && status == STATUS_OK; first = false) {
        size_t n = word_length(encoder, text);
        struct str base64 = base64_encode(encoder->arena, str_head(text, n));
        if (base64.p == NULL) {
            return STATUS_LIMIT;
        }
        status = buf_printf(encoder->out, "%s=?%.*s?B?%.*s?=", first ? "" : "\r\n ",
                            STR_ARG(encoder->charset), STR_ARG(base64));
        text = str_skip(text, n);
    }
    return status;
}

static bool
is_space(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

/* The next token: blanks and line breaks, a quoted string (of phrases), or what is up to those. */
static struct str
next_token(const struct encoder *encoder, struct str s)
{
    size_t i = 1;
    if (is_space(s.p[0])) {
        while (i < s.n && is_space(s.p[i])) {
            i++;
        }
        return str_head(s, i);
    }
    if (encoder->phrases && s.p[0] == '"') {
        while (i < s.n && s.p[i] != '"') {
            i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
        }
        return str_head(s, i < s.n ? i + 1 : s.n);
    }
    while (i < s.n && !is_space(s.p[i]) &&
           !(encoder->phrases && str_contains_char(STR("\"<>,;:()"), s.p[i])) &&
           !(encoder->phrases && str_contains_char(STR("<>,;:()"), s.p[0]))) {
        i++;
    }
    return str_head(s, i);
}

/* A word, or a quoted string as a whole, that is to be encoded. */
static bool
is_to_encode(const struct encoder *encoder, struct str token)
{
    bool quoted = encoder->phrases && token.p[0] == '"';
    bool touches_address = encoder->phrases && !quoted && str_contains_char(token, '@');
    return !str_is_ascii(token) && !touches_address;
}

/* What a quoted string stands for; the text is in the arena. */
static struct str
unquote(const struct encoder *encoder, struct str token)
{
    if (!encoder->phrases || token.p[0] != '"') {
        return token;
    }
    char *text = arena_alloc(encoder->arena, token.n);
    size_t n = 0;
    for (size_t i = 1; text != NULL && i < token.n && token.p[i] != '"'; i++) {
        i += token.p[i] == '\\' && i + 1 < token.n ? 1 : 0;
        if (token.p[i] != '\r' && token.p[i] != '\n') {
            text[n++] = token.p[i];
        }
    }
    return str_make(text, text != NULL ? n : 0);
}

/* The run of words from the beginning of s that are to be encoded, with one blank between them. */
static enum status
put_run(const struct encoder *encoder, struct str *s)
{
    struct buf run;
    struct str rest = *s;
    buf_init(&run, s->n + 1);
    enum status status = STATUS_OK;
    while (rest.n > 0 && status == STATUS_OK) {
        struct str token = next_token(encoder, rest);
        struct str word = is_space(token.p[0]) ? str_skip(rest, token.n) : rest;
        struct str next = word.n > 0 ? next_token(encoder, word) : word;
        if (next.n == 0 || !is_to_encode(encoder, next)) {
            break;
        }
        bool blank = is_space(token.p[0]);
        struct str text = unquote(encoder, next);
        status = text.p == NULL ? STATUS_LIMIT : blank ? buf_append(&run, STR(" ")) : STATUS_OK;
        status = status == STATUS_OK ? buf_append(&run, text) : status;
        rest = str_skip(word, next.n);
    }
    if (status == STATUS_OK) {
        status = put_words(encoder, buf_str(&run));
    }
    buf_free(&run);
    *s = rest;
    return status;
}

enum status
mail_repair_8bit(struct arena *arena, bool phrases, struct str *value, bool *done_out)
{
    struct buf out;
    struct str rest = *value;
    struct encoder encoder = {
        .arena = arena,
        .out = &out,
        .charset = str_is_utf8(*value) ? STR("UTF-8") : STR("windows-1252"),
        .phrases = phrases,
    };
    enum status status = STATUS_OK;
    *done_out = false;
    if (str_is_ascii(*value)) {
        return STATUS_OK;
    }
    buf_init(&out, GROWTH * value->n + SMALLEST);
    while (rest.n > 0 && status == STATUS_OK) {
        struct str token = next_token(&encoder, rest);
        if (is_to_encode(&encoder, token)) {
            *done_out = true;
            status = put_run(&encoder, &rest);
            bool touches = rest.n > 0 && !is_space(rest.p[0]);
            status = status == STATUS_OK && touches ? buf_append(&out, STR(" ")) : status;
        } else {
            status = buf_append(&out, token);
            rest = str_skip(rest, token.n);
        }
    }
    struct str text = status == STATUS_OK ? arena_str_dup(arena, buf_str(&out)) : STR("");
    buf_free(&out);
    if (status != STATUS_OK || text.p == NULL) {
        return STATUS_LIMIT;
    }
    *value = *done_out ? text : *value;
    return STATUS_OK;
}
