#include "smtp/client_reply.h"

void
smtp_reply_reader_init(struct smtp_reply_reader *reader)
{
    *reader = (struct smtp_reply_reader){.lines = 0};
    buf_init(&reader->text, SMTP_CLIENT_REPLY_TEXT_MAX);
}

void
smtp_reply_reader_fini(struct smtp_reply_reader *reader)
{
    buf_free(&reader->text);
}

/* One number of an enhanced code, 1 to 3 digits without leading zeros (RFC 3463 2). */
static enum status
take_number(struct str *s, uint16_t *number_out)
{
    size_t n = 0;
    uint64_t value;
    while (n < s->n && char_is_digit(s->p[n])) {
        n++;
    }
    if (n == 0 || n > 3 || (n > 1 && s->p[0] == '0') ||
        str_parse_u64(str_head(*s, n), 999, &value) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    *number_out = (uint16_t)value;
    *s = str_skip(*s, n);
    return STATUS_OK;
}

static enum status
take_dot(struct str *s)
{
    if (!str_starts_with(*s, STR("."))) {
        return STATUS_SYNTAX;
    }
    *s = str_skip(*s, 1);
    return STATUS_OK;
}

enum status
smtp_enhanced_parse(struct str s, struct smtp_enhanced *enhanced_out, struct str *rest_out)
{
    uint16_t class;
    struct smtp_enhanced enhanced;
    if (take_number(&s, &class) != STATUS_OK || take_dot(&s) != STATUS_OK ||
        take_number(&s, &enhanced.subject) != STATUS_OK || take_dot(&s) != STATUS_OK ||
        take_number(&s, &enhanced.detail) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (class != 2 && class != 4 && class != 5) {
        return STATUS_SYNTAX;
    }
    enhanced.class = (uint8_t) class;
    *enhanced_out = enhanced;
    *rest_out = s;
    return STATUS_OK;
}

/* "250", "250 text" or "250-text": the code, and whether more lines follow. */
static enum status
line_split(struct str line, uint16_t *code_out, bool *more_out, struct str *text_out)
{
    uint64_t code;
    if (line.n < 3 || str_parse_u64(str_head(line, 3), 599, &code) != STATUS_OK || code < 200) {
        return STATUS_SYNTAX;
    }
    char separator = line.n > 3 ? line.p[3] : ' ';
    if (separator != ' ' && separator != '-' && separator != '\t') {
        return STATUS_SYNTAX;
    }
    *code_out = (uint16_t)code;
    *more_out = separator == '-';
    *text_out = str_skip(line, 4);
    return STATUS_OK;
}

/* Drops what keeps `n` octets from fitting behind the text. */
static void
text_make_room(struct buf *text, size_t n)
{
    char kept[SMTP_CLIENT_REPLY_TEXT_MAX];
    size_t length = SMTP_CLIENT_REPLY_TEXT_MAX - n;
    if (buf_length(text) <= length) {
        return;
    }
    memcpy(kept, buf_str(text).p, length);
    buf_clear(text);
    if (buf_append(text, str_make(kept, length)) != STATUS_OK) {
        buf_clear(text); /* without memory the code is what is left */
    }
}

/* Adds a line to the text; past the bounds it is dropped, unless it is the last: that says most. */
static void
text_append(struct smtp_reply_reader *reader, struct str line, bool is_last)
{
    struct buf *text = &reader->text;
    size_t separator = reader->lines > 1 ? 1 : 0;
    if (is_last) {
        text_make_room(text, line.n + separator);
    }
    size_t length = buf_length(text);
    if ((reader->lines > SMTP_CLIENT_REPLY_LINES_MAX && !is_last) ||
        length + separator > SMTP_CLIENT_REPLY_TEXT_MAX) {
        return;
    }
    line = str_head(line, SMTP_CLIENT_REPLY_TEXT_MAX - length - separator);
    char *to = buf_reserve(text, separator + line.n);
    if (to == NULL) {
        return;
    }
    if (separator > 0) {
        *to++ = '\n';
    }
    for (size_t i = 0; i < line.n; i++) {
        char c = char_is_blank(line.p[i]) || line.p[i] == '\r' ? ' ' : line.p[i];
        to[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    buf_commit(text, separator + line.n);
}

/* Takes an enhanced code out of a line; the first one of each class is kept. */
static struct str
take_enhanced(struct smtp_reply_reader *reader, uint16_t code, struct str text)
{
    struct smtp_enhanced found;
    struct str rest;
    if (smtp_enhanced_parse(text, &found, &rest) != STATUS_OK || found.class != code / 100 ||
        (rest.n > 0 && !char_is_blank(rest.p[0]))) {
        return text;
    }
    if (reader->enhanced[found.class].class == 0) {
        reader->enhanced[found.class] = found;
    }
    return str_trim(rest);
}

/*
 * Adds a line; STATUS_OK when it was the last, STATUS_AGAIN when more follow. Between the first
 * line and the last there may be some without a code: their text belongs to the reply.
 */
static enum status
reader_add_line(struct smtp_reply_reader *reader, struct str line, bool enhanced)
{
    uint16_t code;
    bool more = true;
    struct str text = line;
    bool has_code = line_split(line, &code, &more, &text) == STATUS_OK;
    if (!has_code && reader->lines == 0) {
        return STATUS_SYNTAX;
    }
    reader->lines++;
    if (has_code) {
        reader->reply.code = code;
        text = enhanced || code >= 400 ? take_enhanced(reader, code, text) : text;
    }
    text_append(reader, text, !more);
    return more ? STATUS_AGAIN : STATUS_OK;
}

static void
reader_restart(struct smtp_reply_reader *reader)
{
    buf_clear(&reader->text);
    reader->reply = (struct smtp_reply){.code = 0};
    memset(reader->enhanced, 0, sizeof reader->enhanced);
    reader->lines = 0;
    reader->octets = 0;
    reader->line_n = 0;
    reader->finished = false;
}

/*
 * Takes octets up to the end of a line; true when it is there. A line ends with LF, whether a CR
 * stands before it or not: some servers write no CR, and what they said must still be known.
 */
static bool
reader_take_line(struct smtp_reply_reader *reader, struct str input, size_t *used_out,
                 struct str *line_out)
{
    size_t lf = str_find_char(input, '\n');
    bool ended = lf != STR_NPOS;
    struct str piece = str_head(input, ended ? lf : input.n);
    struct str kept = str_head(piece, sizeof reader->line - reader->line_n);
    if (kept.n > 0) {
        memcpy(reader->line + reader->line_n, kept.p, kept.n);
        reader->line_n += kept.n;
    }
    *used_out = piece.n + (ended ? 1 : 0);
    reader->octets += *used_out;
    if (ended) {
        *line_out = str_make(reader->line, reader->line_n);
        if (str_ends_with(*line_out, STR("\r"))) {
            line_out->n--;
        }
        reader->ended_n = line_out->n;
        reader->line_n = 0;
    }
    return ended;
}

enum status
smtp_reply_read(struct smtp_reply_reader *reader, struct str input, bool enhanced, size_t *used_out,
                struct smtp_reply *reply_out)
{
    size_t used_in_all = 0;
    enum status status = STATUS_AGAIN;
    if (reader->finished) {
        reader_restart(reader);
    }
    while (status == STATUS_AGAIN && used_in_all < input.n) {
        size_t used;
        struct str line;
        bool ended = reader_take_line(reader, str_skip(input, used_in_all), &used, &line);
        used_in_all += used;
        if (reader->octets > SMTP_CLIENT_REPLY_OCTETS_MAX) {
            status = STATUS_LIMIT;
        } else if (ended) {
            status = reader_add_line(reader, line, enhanced);
        }
    }
    *used_out = used_in_all;
    if (status == STATUS_OK) {
        reader->finished = true;
        reader->reply.enhanced = reader->enhanced[reader->reply.code / 100];
        reader->reply.text = buf_str(&reader->text);
        *reply_out = reader->reply;
    }
    return status;
}

struct str
smtp_reply_quote(const struct smtp_reply_reader *reader, char quote[SMTP_CLIENT_REPLY_QUOTE_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t length = reader->line_n > 0 ? reader->line_n : reader->ended_n;
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)reader->line[i];
        bool plain = c >= ' ' && c <= '~' && c != '\\' && c != '"';
        if (n + 4 + 3 > SMTP_CLIENT_REPLY_QUOTE_MAX) {
            memcpy(quote + n, "...", 3);
            return str_make(quote, n + 3);
        }
        if (plain) {
            quote[n++] = (char)c;
        } else {
            const char escaped[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
            memcpy(quote + n, escaped, sizeof escaped);
            n += sizeof escaped;
        }
    }
    return str_make(quote, n);
}
