/* Writing an Authentication-Results value. See authres.h. */
#include "auth/authres.h"
#include "base/buf.h"
#include "mail/token.h"
#include "smtp/address.h"

/* RFC 5322 2.1.1: octets that a line should have at most, without its CRLF. */
#define COLUMNS    78u
/* Octets of the text that an ordinary message has. */
#define TEXT_USUAL 1024u
/* In the text before folding: a blank where a line must be broken. No value can hold it. */
#define BREAK      '\n'

struct writer {
    struct arena *arena;
    struct buf text;
    bool utf8;
    enum status status;
};

static void
put(struct writer *writer, struct str s)
{
    if (writer->status == STATUS_OK) {
        writer->status = buf_append(&writer->text, s);
    }
}

static void
put_keyword(struct writer *writer, struct str keyword)
{
    for (size_t i = 0; i < keyword.n; i++) {
        if (!char_is_alnum(keyword.p[i]) && keyword.p[i] != '-') {
            writer->status = STATUS_SYNTAX;
        }
    }
    if (keyword.n == 0 || keyword.p[keyword.n - 1] == '-') {
        writer->status = STATUS_SYNTAX;
    }
    put(writer, keyword);
}

/* Octets of a character that some readers take for a line end or a control: C1, U+2028, U+2029. */
static size_t
line_end_like(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    if (s.n >= 2 && p[0] == 0xc2 && p[1] < 0xa0) {
        return 2;
    }
    if (s.n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
        return 3;
    }
    return 0;
}

/* s, or a copy, that is visible characters and blanks, and ASCII unless UTF-8 may stay. */
static struct str
clean(struct writer *writer, struct str s)
{
    if (str_printable_length(s) == s.n) {
        return s;
    }
    char *out = arena_alloc(writer->arena, s.n + 1);
    bool keep = writer->utf8 && str_is_utf8(s);
    size_t n = 0;
    if (out == NULL) {
        writer->status = STATUS_LIMIT;
        return str_make("", 0);
    }
    for (size_t i = 0; i < s.n; i++) {
        size_t like = line_end_like(str_skip(s, i));
        bool bad = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ||
                   ((unsigned char)s.p[i] >= 0x80 && (!keep || like > 0));
        out[n++] = bad ? '?' : s.p[i];
        i += bad && keep && like > 0 ? like - 1 : 0;
    }
    return str_make(out, n);
}

/* The same for a domain, or an address: a domain that may not stay as it is gets A-labels. */
static struct str
clean_address(struct writer *writer, struct str s)
{
    size_t at = str_rfind_char(s, '@');
    struct str domain = at == STR_NPOS ? s : str_skip(s, at + 1);
    struct str ascii;
    if (writer->utf8 || str_is_ascii(domain) ||
        smtp_domain_parse(writer->arena, domain, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_UNDERSCORE,
                          &ascii) != STATUS_OK) {
        return clean(writer, s);
    }
    struct str local = str_head(s, s.n - domain.n);
    char *whole = arena_alloc(writer->arena, local.n + ascii.n + 1);
    if (whole == NULL) {
        writer->status = STATUS_LIMIT;
        return str_make("", 0);
    }
    memcpy(whole, local.p, local.n);
    memcpy(whole + local.n, ascii.p, ascii.n);
    return clean(writer, str_make(whole, local.n + ascii.n));
}

/* tspecials and blanks (RFC 2045 5.1) */
static bool
ends_token(char c)
{
    switch (c) {
    case '(':
    case ')':
    case '<':
    case '>':
    case '@':
    case ',':
    case ';':
    case ':':
    case '\\':
    case '"':
    case '/':
    case '[':
    case ']':
    case '?':
    case '=':
        return true;
    default:
        return (unsigned char)c <= ' ';
    }
}

static bool
is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (ends_token(s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

/* [ [ local-part ] "@" ] domain-name without need for quotes (RFC 8601 2.2). */
static bool
is_plain_address(struct str s)
{
    size_t at = str_rfind_char(s, '@');
    if (at == STR_NPOS) {
        return is_token(s);
    }
    struct str local = str_head(s, at);
    struct str domain = str_skip(s, at + 1);
    mail_token_atom(&local, true);
    return local.n == 0 && is_token(domain);
}

/* s between `open` and `close`, with a backslash before each character of `special`. */
static void
put_enclosed(struct writer *writer, struct str s, struct str special, const char marks[2])
{
    size_t written = 0;
    put(writer, str_make(&marks[0], 1));
    for (size_t i = 0; i < s.n; i++) {
        if (str_contains_char(special, s.p[i])) {
            put(writer, str_make(s.p + written, i - written));
            put(writer, STR("\\"));
            written = i;
        }
    }
    put(writer, str_skip(s, written));
    put(writer, str_make(&marks[1], 1));
}

/* value = token / quoted-string (RFC 2045 5.1), of a text that is clean */
static void
put_value(struct writer *writer, struct str s)
{
    if (is_token(s)) {
        put(writer, s);
    } else {
        put_enclosed(writer, s, STR("\"\\"), "\"\"");
    }
}

/* The first AUTHRES_VALUE_MAX octets, not cut within a character. */
static struct str
shortened(struct str s)
{
    size_t n = AUTHRES_VALUE_MAX;
    if (s.n <= n) {
        return s;
    }
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return str_head(s, n);
}

static void
put_property(struct writer *writer, const struct authres_property *property)
{
    struct str value = clean_address(writer, property->value);
    if (value.n > AUTHRES_VALUE_MAX) {
        return;
    }
    put(writer, STR(" "));
    put_keyword(writer, property->ptype);
    put(writer, STR("."));
    put_keyword(writer, property->name);
    put(writer, STR("="));
    if (is_plain_address(value)) {
        put(writer, value);
    } else {
        put_value(writer, value);
    }
}

static void
put_result(struct writer *writer, const struct authres_result *result)
{
    static const char break_mark = BREAK;
    put(writer, STR(";"));
    put(writer, str_make(&break_mark, 1));
    put_keyword(writer, result->method);
    if (result->version > 1 && writer->status == STATUS_OK) {
        writer->status = buf_printf(&writer->text, "/%u", result->version);
    }
    put(writer, STR("="));
    put_keyword(writer, result->result);
    if (result->comment.n > 0) {
        put(writer, STR(" "));
        put_enclosed(writer, clean(writer, shortened(result->comment)), STR("()\\"), "()");
    }
    if (result->reason.n > 0) {
        put(writer, STR(" reason="));
        put_value(writer, clean(writer, shortened(result->reason)));
    }
    for (size_t i = 0; i < result->property_count; i++) {
        put_property(writer, &result->properties[i]);
    }
}

/* Octets of a blank at s and the word behind it. */
static size_t
word_length(struct str s)
{
    size_t n = 1;
    while (n < s.n && s.p[n] != ' ' && s.p[n] != BREAK) {
        n++;
    }
    return n;
}

/*
 * Breaks the text at blanks, which become the blanks that begin the next line: also within quoted
 * strings and comments, where unfolding gives back what was (RFC 5322 2.2.3). No line is left
 * blank.
 */
static struct str
fold_value(struct arena *arena, struct str text, size_t column)
{
    char *out = arena_alloc(arena, 3 * text.n + 1);
    size_t n = 0;
    size_t line = 0; /* where this line begins in out */
    if (out == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < text.n; i++, column++) {
        char c = text.p[i];
        if (c != ' ' && c != BREAK) {
            out[n++] = c;
            continue;
        }
        bool wanted = c == BREAK || column + word_length(str_skip(text, i)) > COLUMNS;
        if (wanted && str_trim(str_make(out + line, n - line)).n > 0) {
            memcpy(out + n, "\r\n", 2);
            n += 2;
            line = n;
            column = 0;
        }
        out[n++] = ' ';
    }
    return str_make(out, n);
}

static void
put_all(struct writer *writer, const struct authres *authres,
        const struct authres_write_options *options)
{
    if (options->instance > 0) {
        writer->status = buf_printf(&writer->text, "i=%u; ", options->instance);
    }
    if (str_is_empty(authres->authserv_id) || authres->authserv_id.n > AUTHRES_VALUE_MAX) {
        writer->status = STATUS_SYNTAX;
    }
    put_value(writer, clean_address(writer, authres->authserv_id));
    for (size_t i = 0; i < authres->result_count; i++) {
        put_result(writer, &authres->results[i]);
    }
    if (authres->result_count == 0) {
        put(writer, STR("; none"));
    }
}

enum status
authres_write(struct arena *arena, const struct authres *authres,
              const struct authres_write_options *options, struct str *value_out)
{
    struct writer writer = {.arena = arena, .utf8 = options->utf8};
    struct str name = options->instance > 0 ? STR("ARC-Authentication-Results: ")
                                            : STR("Authentication-Results: ");
    struct str value;
    buf_init(&writer.text, AUTHRES_SIZE_MAX);
    writer.status = buf_reserve(&writer.text, TEXT_USUAL) != NULL ? STATUS_OK : STATUS_LIMIT;
    if (writer.status == STATUS_OK) {
        put_all(&writer, authres, options);
    }
    if (writer.status == STATUS_OK) {
        value = fold_value(arena, buf_str(&writer.text), name.n);
        writer.status = value.p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    buf_free(&writer.text);
    if (writer.status == STATUS_OK) {
        *value_out = value;
    }
    return writer.status;
}
