#include "base/encode.h"
#include "mail/fields.h"
#include "mail/token.h"
#include "transport/tlsrpt_mail.h"

/* Of the header section of the message, and of each part. */
static const struct mail_head_limits head_limits = {.size = 1u << 20, .fields = 2000};

/* ---- values with parameters (RFC 2045 5.1) */

struct content_type {
    struct str type;
    struct str subtype;
    struct str boundary;    /* borrowed, or in the arena; empty: none */
    struct str report_type; /* the same */
};

static struct str
take_token(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] > ' ' && rest->p[n] <= '~' &&
           !str_contains_char(STR("()<>@,;:\\\"/[]?="), rest->p[n])) {
        n++;
    }
    struct str token = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return token;
}

/* The inside of a quoted string, its backslashes resolved. */
static struct str
unquote(struct arena *arena, struct str quoted)
{
    struct str inner = str_make(quoted.p + 1, quoted.n - 2);
    char *text = str_contains_char(inner, '\\') ? arena_alloc(arena, inner.n) : NULL;
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < inner.n; i++) {
        i += inner.p[i] == '\\' && i + 1 < inner.n;
        text[n++] = inner.p[i];
    }
    return text != NULL ? str_make(text, n) : inner;
}

/* ";" and a parameter; false: there is none, or the rest is no list of parameters. */
static bool
take_parameter(struct arena *arena, struct str *rest, struct str *name_out, struct str *value_out)
{
    struct str quoted;
    if (mail_token_skip_cfws(rest) != STATUS_OK || !mail_token_char(rest, ';') ||
        mail_token_skip_cfws(rest) != STATUS_OK) {
        return false;
    }
    struct str name = take_token(rest);
    if (name.n == 0 || mail_token_skip_cfws(rest) != STATUS_OK || !mail_token_char(rest, '=') ||
        mail_token_skip_cfws(rest) != STATUS_OK) {
        return false;
    }
    *name_out = name;
    if (mail_token_quoted(rest, &quoted) == STATUS_OK) {
        *value_out = unquote(arena, quoted);
        return true;
    }
    *value_out = take_token(rest);
    return value_out->n > 0;
}

/* Text without a Content-Type is text/plain (5.2), which is no report. */
static struct content_type
content_type_of(struct arena *arena, const struct mail_head *head)
{
    struct content_type type = {.type = STR("text"), .subtype = STR("plain")};
    const struct mail_field *field = head->first[MAIL_FIELD_CONTENT_TYPE];
    struct str rest = field != NULL ? field->value : STR("");
    struct str name;
    struct str value;
    if (field == NULL || mail_token_skip_cfws(&rest) != STATUS_OK) {
        return type;
    }
    type.type = take_token(&rest);
    type.subtype = mail_token_char(&rest, '/') ? take_token(&rest) : STR("");
    while (take_parameter(arena, &rest, &name, &value)) {
        if (str_eq_nocase(name, STR("boundary")) && type.boundary.n == 0) {
            type.boundary = value;
        } else if (str_eq_nocase(name, STR("report-type")) && type.report_type.n == 0) {
            type.report_type = value;
        }
    }
    return type;
}

/* ---- encodings */

/* Base 64 in lines; padding may be missing, and what follows it does not count. */
static enum status
decode_base64(struct arena *arena, struct str text, struct str *octets_out)
{
    char *packed = arena_alloc(arena, text.n + 4);
    size_t n = 0;
    for (size_t i = 0; packed != NULL && i < text.n && text.p[i] != '='; i++) {
        if (base64_value(text.p[i]) >= 0) {
            packed[n++] = text.p[i];
        } else if (!char_is_blank(text.p[i]) && text.p[i] != '\r' && text.p[i] != '\n') {
            return STATUS_SYNTAX;
        }
    }
    if (packed == NULL) {
        return STATUS_LIMIT;
    }
    while (n % 4 > 1) {
        packed[n++] = '=';
    }
    return base64_decode(arena, str_make(packed, n), octets_out);
}

static int
hex_value(char c)
{
    char l = char_lower(c);
    return char_is_digit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* RFC 2045 6.7; a "=" that is no code stands for itself. */
static enum status
decode_quoted_printable(struct arena *arena, struct str text, struct str *octets_out)
{
    char *octets = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; octets != NULL && i < text.n; i++) {
        struct str rest = str_skip(text, i);
        int high = rest.n > 2 && rest.p[0] == '=' ? hex_value(rest.p[1]) : -1;
        int low = high >= 0 ? hex_value(rest.p[2]) : -1;
        if (str_starts_with(rest, STR("=\r\n"))) {
            i += 2;
        } else {
            octets[n++] = low >= 0 ? (char)(unsigned char)(high * 16 + low) : text.p[i];
            i += low >= 0 ? 2 : 0;
        }
    }
    if (octets == NULL) {
        return STATUS_LIMIT;
    }
    *octets_out = str_make(octets, n);
    return STATUS_OK;
}

static enum status
decode_body(struct arena *arena, const struct mail_head *head, struct str body,
            struct str *octets_out)
{
    struct str encoding = mail_head_value(arena, head, MAIL_FIELD_CONTENT_TRANSFER_ENCODING);
    if (str_eq_nocase(encoding, STR("base64"))) {
        return decode_base64(arena, body, octets_out);
    }
    if (str_eq_nocase(encoding, STR("quoted-printable"))) {
        return decode_quoted_printable(arena, body, octets_out);
    }
    *octets_out = body;
    return STATUS_OK;
}

/* ---- parts */

struct finder {
    struct arena *arena;
    size_t parts;
    struct str report;
};

/* What a report can be sent as; the first three are RFC 8460's, the others what is seen. */
static bool
is_report_type(const struct content_type *type)
{
    static const struct str subtypes[] = {
        STR_INIT("tlsrpt+gzip"),  STR_INIT("tlsrpt+json"), STR_INIT("tlsrpt"),
        STR_INIT("gzip"),         STR_INIT("x-gzip"),      STR_INIT("json"),
        STR_INIT("octet-stream"),
    };
    for (size_t i = 0; i < sizeof subtypes / sizeof subtypes[0]; i++) {
        if (str_eq_nocase(type->subtype, subtypes[i])) {
            return str_eq_nocase(type->type, STR("application"));
        }
    }
    return false;
}

/* How long the delimiter line at the beginning of `line` is; 0: it is none (RFC 2046 5.1.1). */
static size_t
delimiter_length(struct str line, struct str boundary, bool *is_last_out)
{
    if (!str_starts_with(line, STR("--")) || !str_starts_with(str_skip(line, 2), boundary)) {
        return 0;
    }
    size_t n = 2 + boundary.n;
    *is_last_out = str_starts_with(str_skip(line, n), STR("--"));
    n += *is_last_out ? 2 : 0;
    while (n < line.n && char_is_blank(line.p[n])) {
        n++;
    }
    if (str_starts_with(str_skip(line, n), STR("\r\n"))) {
        return n + 2;
    }
    return n == line.n ? n : 0;
}

/* Cuts the body at the next delimiter. False: there is none; all is before it. */
static bool
cut_at_delimiter(struct str body, struct str boundary, struct str *before_out,
                 struct str *after_out, bool *is_last_out)
{
    size_t at = 0;
    while (at < body.n) {
        struct str line = str_skip(body, at);
        size_t n = delimiter_length(line, boundary, is_last_out);
        if (n > 0) {
            *before_out = str_head(body, at >= 2 ? at - 2 : 0);
            *after_out = str_skip(line, n);
            return true;
        }
        size_t end = str_find(line, STR("\r\n"));
        at = end != STR_NPOS ? at + end + 2 : body.n;
    }
    *before_out = body;
    *after_out = STR("");
    return false;
}

static enum status find_report(struct finder *finder, struct str entity, unsigned depth);

/* NOLINTNEXTLINE(misc-no-recursion): bounded by TLSRPT_PART_DEPTH_MAX */
static enum status
find_in_parts(struct finder *finder, struct str body, struct str boundary, unsigned depth)
{
    struct str part;
    bool is_last = false;
    enum status status = STATUS_NOT_FOUND;
    bool more = cut_at_delimiter(body, boundary, &part, &body, &is_last); /* the preamble */
    while (status == STATUS_NOT_FOUND && more && !is_last) {
        if (finder->parts++ == TLSRPT_PARTS_MAX) {
            break;
        }
        more = cut_at_delimiter(body, boundary, &part, &body, &is_last);
        status = find_report(finder, part, depth + 1);
    }
    return status;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by TLSRPT_PART_DEPTH_MAX */
static enum status
find_report(struct finder *finder, struct str entity, unsigned depth)
{
    struct mail_head head;
    enum status status = mail_head_parse(finder->arena, entity, &head_limits, &head);
    if (status != STATUS_OK) {
        return status;
    }
    struct str body = str_skip(entity, head.raw.n);
    struct content_type type = content_type_of(finder->arena, &head);
    if (str_eq_nocase(type.type, STR("multipart"))) {
        return type.boundary.n > 0 && depth < TLSRPT_PART_DEPTH_MAX
                   ? find_in_parts(finder, body, type.boundary, depth)
                   : STATUS_NOT_FOUND;
    }
    return is_report_type(&type) ? decode_body(finder->arena, &head, body, &finder->report)
                                 : STATUS_NOT_FOUND;
}

/* ---- the whole */

/* The value of a field that has no row in fields.def. */
static struct str
value_of(struct arena *arena, const struct mail_head *head, struct str name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (str_eq_nocase(head->fields[i].name, name)) {
            return mail_field_unfold(arena, &head->fields[i]);
        }
    }
    return STR("");
}

enum status
tlsrpt_mail_read(struct arena *arena, struct str message, struct tlsrpt_mail_found *found_out)
{
    struct finder finder = {.arena = arena};
    struct mail_head head;
    if (message.n > TLSRPT_MAIL_MAX) {
        return STATUS_LIMIT;
    }
    enum status status = mail_head_parse(arena, message, &head_limits, &head);
    if (status == STATUS_OK) {
        status = find_report(&finder, message, 0);
    }
    if (status == STATUS_OK) {
        *found_out = (struct tlsrpt_mail_found){
            .policy_domain = value_of(arena, &head, STR("TLS-Report-Domain")),
            .submitter = value_of(arena, &head, STR("TLS-Report-Submitter")),
            .report = finder.report,
        };
    }
    return status;
}

bool
tlsrpt_mail_is_report(struct arena *arena, struct str message)
{
    struct mail_head head;
    if (mail_head_parse(arena, message, &head_limits, &head) != STATUS_OK) {
        return false;
    }
    struct content_type type = content_type_of(arena, &head);
    return str_eq_nocase(type.type, STR("multipart")) &&
           str_eq_nocase(type.subtype, STR("report")) &&
           str_eq_nocase(type.report_type, STR("tlsrpt"));
}
