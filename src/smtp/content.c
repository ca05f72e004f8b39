#include "smtp/content.h"

void
smtp_content_start(struct smtp_content *content, bool dots)
{
    *content = (struct smtp_content){
        .dots = dots, .previous = '\n', .before = '\r', .facts = {.chunked = !dots}};
}

/* The first error stands, except that a wrong line end tells more than what came before it. */
static void
content_fail(struct smtp_content *content, enum smtp_content_error error)
{
    bool line_end = error == SMTP_CONTENT_BARE_LF || error == SMTP_CONTENT_BARE_CR;
    bool have_line_end =
        content->error == SMTP_CONTENT_BARE_LF || content->error == SMTP_CONTENT_BARE_CR;
    if (content->error == SMTP_CONTENT_OK || (line_end && !have_line_end)) {
        content->error = error;
    }
}

/* Index of the first CR, LF or NUL, or s.n. */
static size_t
find_special(struct str s)
{
    const char *lf = memchr(s.p, '\n', s.n);
    size_t n = lf != NULL ? (size_t)(lf - s.p) : s.n;
    const char *cr = memchr(s.p, '\r', n);
    n = cr != NULL ? (size_t)(cr - s.p) : n;
    const char *nul = memchr(s.p, '\0', n);
    return nul != NULL ? (size_t)(nul - s.p) : n;
}

static void
note_octet(struct smtp_content *content, char c)
{
    content->before = content->previous;
    content->previous = c;
}

static void
note_text(struct smtp_content *content, struct str text)
{
    if (text.n > 1) {
        content->previous = text.p[text.n - 2];
    }
    if (text.n > 0) {
        note_octet(content, text.p[text.n - 1]);
    }
}

static void
end_line(struct smtp_content *content)
{
    content->facts.lines++;
    if (content->column > content->facts.longest_line) {
        content->facts.longest_line = content->column;
    }
    content->column = 0;
    content->cr = false;
    content->after_lf = false;
    content->place = SMTP_CONTENT_LINE_START;
}

/*
 * A run without CR, LF and NUL. Returns how much of it is good: all, or the octets before the one
 * that is wrong, which *error_out names.
 */
static size_t
take_text(struct smtp_content *content, const struct smtp_content_rules *rules, struct str text,
          enum smtp_content_error *error_out)
{
    if (text.n == 0) {
        return 0;
    }
    /* A bare LF that was taken as data must not stand next to a dot: others might see an end there.
     */
    if (text.p[0] == '.' && content->previous == '\n' && content->before != '\r') {
        *error_out = SMTP_CONTENT_BARE_LF;
        return 0;
    }
    if (text.n > rules->text_line_max - content->column) {
        text.n = rules->text_line_max - content->column;
        *error_out = SMTP_CONTENT_LINE_TOO_LONG;
    }
    content->place = SMTP_CONTENT_TEXT;
    content->column += text.n;
    note_text(content, text);
    return text.n;
}

static bool
is_bare_lf(const struct smtp_content *content, char c)
{
    return c == '\n' && !content->cr;
}

/* A bare LF where it becomes CRLF, which is what is handed out. */
static struct str
take_bare_lf(struct smtp_content *content)
{
    content->facts.has_bare_lf = true;
    content->before = '\r';
    content->previous = '\n';
    end_line(content);
    content->after_lf = true;
    return STR("\r\n");
}

/* CR, LF or NUL where no LF is due. Returns 1, or 0 when it is wrong here. */
static size_t
take_special(struct smtp_content *content, const struct smtp_content_rules *rules, char c,
             enum smtp_content_error *error_out)
{
    if (c == '\0') {
        *error_out = SMTP_CONTENT_NUL;
        return 0;
    }
    if (c == '\r') {
        content->cr = true;
    } else if (!rules->bare_lf_is_data || content->previous == '.') {
        *error_out = SMTP_CONTENT_BARE_LF;
        return 0;
    } else if (content->column == rules->text_line_max) {
        *error_out = SMTP_CONTENT_LINE_TOO_LONG;
        return 0;
    } else {
        content->facts.has_bare_lf = true;
        content->column++;
    }
    content->place = SMTP_CONTENT_TEXT;
    note_octet(content, c);
    return 1;
}

/*
 * Octets of text lines from the front of input, up to a dot that begins a line of DATA. Returns how
 * many are good; *error_out says what is wrong with the next one, if anything.
 */
static size_t
take_lines(struct smtp_content *content, const struct smtp_content_rules *rules, struct str input,
           enum smtp_content_error *error_out)
{
    size_t i = 0;
    while (i < input.n && *error_out == SMTP_CONTENT_OK) {
        struct str rest = str_skip(input, i);
        if (content->cr && rest.p[0] != '\n') {
            *error_out = SMTP_CONTENT_BARE_CR;
        } else if (content->cr) {
            note_octet(content, '\n');
            end_line(content);
            i++;
        } else if (content->dots && content->place == SMTP_CONTENT_LINE_START && rest.p[0] == '.') {
            break;
        } else {
            size_t n = find_special(rest);
            i += take_text(content, rules, str_head(rest, n), error_out);
            bool made = i < input.n && rules->bare_lf_is_crlf && is_bare_lf(content, input.p[i]);
            if (made) {
                break;
            }
            if (i < input.n && *error_out == SMTP_CONTENT_OK) {
                i += take_special(content, rules, input.p[i], error_out);
            }
        }
    }
    return i;
}

/* At a dot that begins a line, or behind it. Takes at most one octet; true at the end of data. */
static bool
take_dot(struct smtp_content *content, char c, size_t *used)
{
    *used = 1;
    if (content->place == SMTP_CONTENT_DOT && content->after_lf && (c == '\r' || c == '\n')) {
        content_fail(content, SMTP_CONTENT_BARE_LF);
        content->place = SMTP_CONTENT_ENDED;
        return true;
    }
    if (content->place == SMTP_CONTENT_LINE_START) {
        content->place = SMTP_CONTENT_DOT;
        note_octet(content, c);
    } else if (content->place == SMTP_CONTENT_DOT && c == '\r') {
        content->place = SMTP_CONTENT_DOT_CR;
    } else if (content->place == SMTP_CONTENT_DOT_CR && c == '\n') {
        content->place = SMTP_CONTENT_ENDED;
        return true;
    } else if (content->place == SMTP_CONTENT_DOT && c != '\n') {
        /* RFC 5321 4.5.2: a dot before other characters is dropped. */
        content->place = SMTP_CONTENT_TEXT;
        *used = 0;
    } else {
        content_fail(content, c == '\n' ? SMTP_CONTENT_BARE_LF : SMTP_CONTENT_BARE_CR);
        content->place = SMTP_CONTENT_ENDED;
        return true; /* CRLF.LF or CRLF.CR: looks like an end to others */
    }
    return false;
}

/* The line end that this octet of a refused DATA breaks, if any; as in take_text and take_special.
 */
static enum smtp_content_error
swallow_check(const struct smtp_content *content, const struct smtp_content_rules *rules, char c)
{
    if (content->previous == '\r') {
        return c != '\n' ? SMTP_CONTENT_BARE_CR : SMTP_CONTENT_OK;
    }
    if (rules->bare_lf_is_crlf) {
        bool dot_alone = content->place == SMTP_CONTENT_TEXT && content->previous == '.' &&
                         content->before == '\n' && (c == '\r' || c == '\n');
        return dot_alone ? SMTP_CONTENT_BARE_LF : SMTP_CONTENT_OK;
    }
    bool bare_lf = c == '\n' && (!rules->bare_lf_is_data || content->previous == '.');
    bool dot_behind = c == '.' && content->previous == '\n' && content->before != '\r';
    return bare_lf || dot_behind ? SMTP_CONTENT_BARE_LF : SMTP_CONTENT_OK;
}

/* One octet of a refused DATA. True at its end, or at what looks like one after a wrong line end.
 */
static bool
swallow_octet(struct smtp_content *content, const struct smtp_content_rules *rules, char c)
{
    bool wrong = content->error == SMTP_CONTENT_BARE_LF || content->error == SMTP_CONTENT_BARE_CR;
    enum smtp_content_error error = swallow_check(content, rules, c);
    bool at_dot = content->place == SMTP_CONTENT_DOT || content->place == SMTP_CONTENT_DOT_CR;
    bool ended = content->place == SMTP_CONTENT_DOT_CR && c == '\n';
    if (wrong) {
        bool after_break = content->before == '\r' || content->before == '\n';
        ended = content->previous == '.' && after_break && (c == '\r' || c == '\n');
    } else if (error != SMTP_CONTENT_OK) {
        content_fail(content, error);
        /* Where LF is CRLF it was the dot that made it wrong. */
        ended = at_dot || (rules->bare_lf_is_crlf && error == SMTP_CONTENT_BARE_LF);
    }
    if (content->place == SMTP_CONTENT_LINE_START && c == '.') {
        content->place = SMTP_CONTENT_DOT;
    } else if (content->place == SMTP_CONTENT_DOT && c == '\r') {
        content->place = SMTP_CONTENT_DOT_CR;
    } else {
        bool crlf = c == '\n' && content->previous == '\r';
        content->place = crlf ? SMTP_CONTENT_LINE_START : SMTP_CONTENT_TEXT;
    }
    note_octet(content, c);
    return ended;
}

static enum status
swallow(struct smtp_content *content, const struct smtp_content_rules *rules, struct str input,
        size_t *used_out)
{
    size_t i = 0;
    bool ended = false;
    /* A line behind a bare LF: its dot ends nothing, as swallow_check knows of a text. */
    if (content->after_lf && content->place == SMTP_CONTENT_LINE_START) {
        content->place = SMTP_CONTENT_TEXT;
    }
    content->after_lf = false;
    if (content->dots) {
        while (i < input.n && !ended) {
            ended = swallow_octet(content, rules, input.p[i++]);
        }
    } else {
        i = input.n;
    }
    content->swallowed += i;
    *used_out = i;
    if (ended) {
        content->place = SMTP_CONTENT_ENDED;
        return STATUS_END;
    }
    return content->swallowed > rules->discard_max ? STATUS_LIMIT : STATUS_AGAIN;
}

/* ---- the header ---- */

static void
header_name_octet(struct smtp_content *content, char c)
{
    static const char received[] = "received";
    bool is_name = (unsigned char)c > ' ' && (unsigned char)c < 0x7f;
    if (c == ':') {
        if (content->name_matches && content->name_length == sizeof received - 1) {
            content->facts.received_count++;
        }
        content->header = SMTP_HEADER_VALUE;
    } else if (char_is_blank(c)) {
        content->header = SMTP_HEADER_BLANK;
    } else if (!is_name || content->header == SMTP_HEADER_BLANK) {
        content->facts.header_malformed = true;
        content->header = SMTP_HEADER_VALUE;
    } else {
        content->name_matches = content->name_matches &&
                                content->name_length < sizeof received - 1 &&
                                char_lower(c) == received[content->name_length];
        content->name_length += content->name_length < sizeof received ? 1 : 0;
    }
}

static void
header_octet(struct smtp_content *content, char c)
{
    if (c == '\n') {
        content->header = SMTP_HEADER_LINE_START;
        return;
    }
    switch (content->header) {
    case SMTP_HEADER_LINE_START:
        if (c == '\r') {
            content->header = SMTP_HEADER_END;
        } else if (char_is_blank(c)) {
            content->facts.header_malformed |= content->facts.size == 0;
            content->header = SMTP_HEADER_VALUE;
        } else {
            content->header = SMTP_HEADER_NAME;
            content->name_length = 0;
            content->name_matches = true;
            content->facts.header_malformed |= c == ':';
            header_name_octet(content, c);
        }
        break;
    case SMTP_HEADER_NAME:
    case SMTP_HEADER_BLANK:
        header_name_octet(content, c);
        break;
    case SMTP_HEADER_VALUE:
    case SMTP_HEADER_END:
        break;
    }
}

static void
check_limits(struct smtp_content *content, const struct smtp_content_rules *rules)
{
    if (rules->size_max != 0 && content->facts.size > rules->size_max) {
        content_fail(content, SMTP_CONTENT_TOO_LARGE);
    }
    if (content->facts.received_count > rules->received_max) {
        content_fail(content, SMTP_CONTENT_LOOP);
    }
    if (content->facts.header_malformed && rules->refuse_malformed_header) {
        content_fail(content, SMTP_CONTENT_MALFORMED);
    }
}

/*
 * Notes the facts of what is about to be handed out, and checks the limits on them: octet by octet
 * in the header, so that the first error does not depend on how the input was cut.
 */
static void
observe(struct smtp_content *content, const struct smtp_content_rules *rules, struct str piece)
{
    size_t i = 0;
    while (i < piece.n && content->header != SMTP_HEADER_END && content->error == SMTP_CONTENT_OK) {
        header_octet(content, piece.p[i++]);
        content->facts.size++;
        check_limits(content, rules);
    }
    content->facts.size += piece.n - i;
    check_limits(content, rules);
    if (!str_is_ascii(piece)) {
        content->facts.has_8bit = true;
        content->facts.header_has_8bit |= !str_is_ascii(str_head(piece, i));
    }
}

/* True when a dot of dot-stuffing, or the octet behind one, is next. */
static bool
is_at_dot(const struct smtp_content *content, char next)
{
    if (content->place == SMTP_CONTENT_DOT || content->place == SMTP_CONTENT_DOT_CR) {
        return true;
    }
    return content->dots && content->place == SMTP_CONTENT_LINE_START && next == '.';
}

/* A slice of good content; *n_out octets were looked at. Empty when there is none or an error. */
static struct str
take_piece(struct smtp_content *content, const struct smtp_content_rules *rules, struct str input,
           size_t *n_out)
{
    enum smtp_content_error error = SMTP_CONTENT_OK;
    struct str piece = str_head(input, take_lines(content, rules, input, &error));
    observe(content, rules, piece);
    /* An error in front of this one stands; swallowing looks at the wrong octet again. */
    if (error != SMTP_CONTENT_OK && content->error == SMTP_CONTENT_OK) {
        content_fail(content, error);
    }
    *n_out = piece.n;
    return content->error == SMTP_CONTENT_OK ? piece : str_make(NULL, 0);
}

enum status
smtp_content_read(struct smtp_content *content, const struct smtp_content_rules *rules,
                  struct str input, size_t *used_out, struct str *piece_out)
{
    size_t i = 0;
    size_t n;
    while (i < input.n && content->error == SMTP_CONTENT_OK) {
        if (is_at_dot(content, input.p[i])) {
            bool ended = take_dot(content, input.p[i], &n);
            i += n;
            if (ended) {
                *used_out = i;
                return STATUS_END;
            }
            continue;
        }
        if (rules->bare_lf_is_crlf && is_bare_lf(content, input.p[i])) {
            *piece_out = take_bare_lf(content);
            observe(content, rules, *piece_out);
            *used_out = ++i;
            if (content->error == SMTP_CONTENT_OK) {
                return STATUS_OK;
            }
            break;
        }
        struct str piece = take_piece(content, rules, str_skip(input, i), &n);
        i += n;
        if (piece.n > 0) {
            *used_out = i;
            *piece_out = piece;
            return STATUS_OK;
        }
    }
    if (content->error == SMTP_CONTENT_OK) {
        *used_out = i;
        return STATUS_AGAIN;
    }
    enum status status = swallow(content, rules, str_skip(input, i), &n);
    *used_out = i + n;
    return status;
}

bool
smtp_content_finish(struct smtp_content *content)
{
    if (content->cr && content->error == SMTP_CONTENT_OK) {
        content_fail(content, SMTP_CONTENT_BARE_CR);
    }
    if (content->error != SMTP_CONTENT_OK || content->column == 0) {
        return false;
    }
    end_line(content);
    content->facts.size += 2;
    content->facts.final_crlf_added = true;
    return true;
}
