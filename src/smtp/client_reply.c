#include "smtp/client_reply.h"

void
smtp_reply_reader_init(struct smtp_reply_reader *reader)
{
    *reader = (struct smtp_reply_reader){.lines = 0};
    smtp_line_init(&reader->line);
    buf_init(&reader->text, SMTP_CLIENT_REPLY_TEXT_MAX);
}

void
smtp_reply_reader_fini(struct smtp_reply_reader *reader)
{
    smtp_line_fini(&reader->line);
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
    if (separator != ' ' && separator != '-') {
        return STATUS_SYNTAX;
    }
    *code_out = (uint16_t)code;
    *more_out = separator == '-';
    *text_out = str_skip(line, 4);
    return STATUS_OK;
}

static enum status
text_append(struct buf *text, struct str line)
{
    char *to = buf_reserve(text, line.n);
    if (to == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i] == '\t' ? ' ' : line.p[i];
        to[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    buf_commit(text, line.n);
    return STATUS_OK;
}

/* Adds a line; STATUS_OK when it was the last, STATUS_AGAIN when more follow. */
static enum status
reader_add_line(struct smtp_reply_reader *reader, struct str line, bool enhanced)
{
    uint16_t code;
    bool more;
    struct str text, rest;
    struct smtp_enhanced found;
    if (line_split(line, &code, &more, &text) != STATUS_OK ||
        (reader->lines > 0 && code != reader->reply.code)) {
        return STATUS_SYNTAX;
    }
    if (++reader->lines > SMTP_CLIENT_REPLY_LINES_MAX) {
        return STATUS_LIMIT;
    }
    reader->reply.code = code;
    if (enhanced && smtp_enhanced_parse(text, &found, &rest) == STATUS_OK &&
        found.class == code / 100 && (rest.n == 0 || char_is_blank(rest.p[0]))) {
        if (reader->reply.enhanced.class == 0) {
            reader->reply.enhanced = found;
        }
        text = str_trim(rest);
    }
    enum status status = reader->lines > 1 ? buf_append_char(&reader->text, '\n') : STATUS_OK;
    if (status == STATUS_OK) {
        status = text_append(&reader->text, text);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return more ? STATUS_AGAIN : STATUS_OK;
}

static void
reader_restart(struct smtp_reply_reader *reader)
{
    buf_clear(&reader->text);
    reader->reply = (struct smtp_reply){.code = 0};
    reader->lines = 0;
    reader->finished = false;
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
    while (status == STATUS_AGAIN) {
        size_t used;
        struct str line;
        enum smtp_line_result result = smtp_line_read(&reader->line, str_skip(input, used_in_all),
                                                      SMTP_CLIENT_REPLY_LINE_MAX, &used, &line);
        used_in_all += used;
        if (result == SMTP_LINE_MORE) {
            break;
        }
        if (result == SMTP_LINE_OK) {
            status = reader_add_line(reader, line, enhanced);
        } else {
            bool too_long = result == SMTP_LINE_TOO_LONG || result == SMTP_LINE_FLOOD;
            status = too_long ? STATUS_LIMIT : STATUS_SYNTAX;
        }
    }
    *used_out = used_in_all;
    if (status == STATUS_OK) {
        reader->finished = true;
        reader->reply.text = buf_str(&reader->text);
        *reply_out = reader->reply;
    }
    return status;
}
