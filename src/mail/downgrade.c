#include "mail/downgrade.h"

#include "base/encode.h"
#include "mail/long_lines.h"
#include "mail/token.h"

/* RFC 2046 5.1.1: of a boundary. */
#define BOUNDARY_MAX 70u
/* RFC 2045 6.7 and 6.8: characters of an encoded line. */
#define ENCODED_LINE 76u
/* Octets that make one line of base 64. */
#define BASE64_LINE  57u

struct job {
    struct arena *arena;
    const char *why;
    unsigned parts;
    bool lines; /* it is long lines that must go, not 8-bit octets */
};

/* What an entity is: the part of Content-Type that decides. */
struct media {
    struct str type;
    struct str subtype;
    struct str boundary; /* of multipart */
};

/* One entity (RFC 2045 2.4): the message, or a part of it. */
struct entity {
    struct str head_text;
    struct str body;
    unsigned depth;
    struct buf *head_out; /* the same as body_out but for the message */
    struct buf *body_out;
    struct mail_head head;
    struct media media;
};

static enum status convert_entity(struct job *job, struct entity *entity);

/* Whether octets may stay as they are. */
static bool
is_fit(const struct job *job, struct str octets)
{
    return job->lines ? !mail_has_long_line(octets) : str_is_ascii(octets);
}

static enum status
deny(struct job *job, const char *why)
{
    job->why = why;
    return STATUS_DENIED;
}

/* ---- Content-Type (RFC 2045 5.1) */

static bool
is_token_char(char c)
{
    static const struct str specials = STR_INIT("()<>@,;:\\\"/[]?=");
    return c > ' ' && c < 0x7f && !str_contains_char(specials, c);
}

static struct str
take_token(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && is_token_char(rest->p[n])) {
        n++;
    }
    struct str token = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return token;
}

/* A token, or a quoted string without its quotes; one with a backslash is not understood. */
static enum status
take_value(struct str *rest, struct str *value_out)
{
    struct str quoted;
    enum status status = mail_token_quoted(rest, &quoted);
    if (status == STATUS_NOT_FOUND) {
        *value_out = take_token(rest);
        return value_out->n > 0 ? STATUS_OK : STATUS_SYNTAX;
    }
    if (status != STATUS_OK || str_contains_char(quoted, '\\') || str_contains_char(quoted, '\r')) {
        return STATUS_SYNTAX;
    }
    *value_out = str_make(quoted.p + 1, quoted.n - 2);
    return STATUS_OK;
}

static enum status
take_parameter(struct str *rest, struct media *media)
{
    struct str name, value;
    enum status status = mail_token_skip_cfws(rest);
    if (status != STATUS_OK || rest->n == 0) {
        return status; /* a semicolon at the end is common */
    }
    name = take_token(rest);
    if (name.n == 0 || mail_token_skip_cfws(rest) != STATUS_OK || !mail_token_char(rest, '=') ||
        mail_token_skip_cfws(rest) != STATUS_OK || take_value(rest, &value) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (str_eq_nocase(name, STR("boundary"))) {
        if (media->boundary.n > 0 || value.n == 0 || value.n > BOUNDARY_MAX) {
            return STATUS_SYNTAX;
        }
        media->boundary = value;
    }
    return mail_token_skip_cfws(rest);
}

static enum status
media_parse(struct str value, struct media *media)
{
    *media = (struct media){.type = STR("text"), .subtype = STR("plain")};
    if (mail_token_skip_cfws(&value) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    media->type = take_token(&value);
    if (media->type.n == 0 || mail_token_skip_cfws(&value) != STATUS_OK ||
        !mail_token_char(&value, '/') || mail_token_skip_cfws(&value) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    media->subtype = take_token(&value);
    enum status status = mail_token_skip_cfws(&value);
    while (status == STATUS_OK && mail_token_char(&value, ';')) {
        status = take_parameter(&value, media);
    }
    return status == STATUS_OK && value.n == 0 && media->subtype.n > 0 ? STATUS_OK : STATUS_SYNTAX;
}

/* ---- encodings */

static enum status
encode_base64(struct str octets, struct buf *out)
{
    struct arena *arena = arena_create(4096);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && octets.n > 0) {
        struct str line = base64_encode(arena, str_head(octets, BASE64_LINE));
        status = line.p != NULL ? buf_append(out, line) : STATUS_LIMIT;
        if (status == STATUS_OK) {
            status = buf_append(out, STR("\r\n"));
        }
        arena_reset(arena);
        octets = str_skip(octets, BASE64_LINE);
    }
    arena_destroy(&arena);
    return status;
}

/* Whether an octet stands for itself: not before a line end if it is a blank (RFC 2045 6.7). */
static bool
is_literal(struct str line, size_t i)
{
    char c = line.p[i];
    if (char_is_blank(c)) {
        return i + 1 < line.n;
    }
    return c > ' ' && c <= '~' && c != '=';
}

/*
 * One line of text. A dot that would begin a line is encoded, and "From " too: some servers on the
 * way treat both in their own manner.
 */
static enum status
encode_quoted_line(struct str line, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t column = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        char encoded[3] = {'=', digits[c >> 4], digits[c & 15]};
        bool literal = is_literal(line, i) && !(column == 0 && (c == '.' || c == 'F'));
        size_t width = literal ? 1 : 3;
        if (column + width > ENCODED_LINE - 1) {
            status = buf_append(out, STR("=\r\n"));
            column = 0;
        }
        if (status == STATUS_OK) {
            status = buf_append(out, literal ? str_make(line.p + i, 1) : str_make(encoded, 3));
        }
        column += width;
    }
    return status;
}

static enum status
encode_quoted(struct str text, struct buf *out)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && text.n > 0) {
        size_t at = str_find(text, STR("\r\n"));
        status = encode_quoted_line(str_head(text, at), out);
        if (status == STATUS_OK && at != STR_NPOS) {
            status = buf_append(out, STR("\r\n"));
        }
        text = at != STR_NPOS ? str_skip(text, at + 2) : STR("");
    }
    return status;
}

/* ---- the header section of an entity */

/* Octets of base 64 on lines that are short enough. */
static enum status
rewrap_base64(struct str text, struct buf *out)
{
    size_t column = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < text.n; i++) {
        char c = text.p[i];
        if (c == '\r' || c == '\n' || char_is_blank(c)) {
            continue;
        }
        if (column == ENCODED_LINE) {
            status = buf_append(out, STR("\r\n"));
            column = 0;
        }
        if (status == STATUS_OK) {
            status = buf_append_char(out, c);
        }
        column++;
    }
    return status == STATUS_OK ? buf_append(out, STR("\r\n")) : status;
}

/* Quoted-printable with soft line breaks where lines are too long (RFC 2045 6.7 (5)). */
static enum status
rewrap_quoted(struct str text, struct buf *out)
{
    size_t column = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < text.n;) {
        size_t n = text.p[i] == '=' && i + 2 < text.n && text.p[i + 1] != '\r' ? 3 : 1;
        bool ends = str_starts_with(str_skip(text, i), STR("\r\n"));
        bool is_soft = text.p[i] == '=' && n == 1;
        n = ends ? 2 : n;
        if (!ends && !is_soft && column + n > ENCODED_LINE - 1) {
            status = buf_append(out, STR("=\r\n"));
            column = 0;
        }
        if (status == STATUS_OK) {
            status = buf_append(out, str_head(str_skip(text, i), n));
        }
        column = ends ? 0 : column + n;
        i += n;
    }
    return status;
}

/* All fields but Content-Transfer-Encoding, then `encoding`, then the empty line. */
static enum status
write_head(const struct mail_head *head, struct str encoding, struct str more, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < head->field_count; i++) {
        if (head->fields[i].id != MAIL_FIELD_CONTENT_TRANSFER_ENCODING) {
            status = mail_fold_long_lines(head->fields[i].raw, out);
        }
    }
    if (status == STATUS_OK) {
        status = buf_append(out, more);
    }
    if (status == STATUS_OK) {
        status = buf_printf(out, "Content-Transfer-Encoding: %.*s\r\n\r\n", STR_ARG(encoding));
    }
    return status;
}

static enum status
parse_head(struct job *job, struct str text, struct mail_head *head)
{
    static const struct mail_head_limits limits = {.size = 1u << 20, .fields = 10000};
    static const enum mail_field_id single[] = {
        MAIL_FIELD_CONTENT_TYPE, MAIL_FIELD_CONTENT_TRANSFER_ENCODING, MAIL_FIELD_MIME_VERSION};
    enum status status = mail_head_parse(job->arena, text, &limits, head);
    if (status != STATUS_OK) {
        return status;
    }
    if (!job->lines && !str_is_ascii(text)) {
        return deny(job, "its header has 8-bit octets");
    }
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
        if (head->counts[single[i]] > 1) {
            return deny(job, "a part says twice what it is");
        }
    }
    if (head->counts[MAIL_FIELD_BAD] > 0) {
        return deny(job, "a header has a line that is no field");
    }
    return STATUS_OK;
}

/* 8-bit octets in what claims to be encoded already cannot be understood. */
static enum status
check_encoding(struct job *job, const struct mail_head *head)
{
    const struct mail_field *field = head->first[MAIL_FIELD_CONTENT_TRANSFER_ENCODING];
    struct str value = field != NULL ? mail_field_unfold(job->arena, field) : STR("7bit");
    if (str_eq_nocase(value, STR("7bit")) || str_eq_nocase(value, STR("8bit")) ||
        str_eq_nocase(value, STR("binary"))) {
        return STATUS_OK;
    }
    return deny(job, "a part has 8-bit octets in spite of its encoding");
}

/* A leaf with long lines that is encoded already gets other line breaks: true when it was. */
static bool
rewrap_leaf(struct job *job, const struct entity *e, enum status *status_out)
{
    const struct mail_field *field = e->head.first[MAIL_FIELD_CONTENT_TRANSFER_ENCODING];
    struct str value = field != NULL ? mail_field_unfold(job->arena, field) : STR("");
    bool base64 = str_eq_nocase(value, STR("base64"));
    bool is_leaf = !str_eq_nocase(e->media.type, STR("multipart"));
    if (!job->lines || !is_leaf || (!base64 && !str_eq_nocase(value, STR("quoted-printable")))) {
        return false;
    }
    enum status status = mail_fold_long_lines(e->head_text, e->head_out);
    if (status == STATUS_OK) {
        status = (base64 ? rewrap_base64 : rewrap_quoted)(e->body, e->body_out);
    }
    *status_out = status;
    return true;
}

/* ---- entities */

static enum status
convert_leaf(const struct entity *e, struct str more)
{
    bool is_text =
        str_eq_nocase(e->media.type, STR("text")) || str_eq_nocase(e->media.type, STR("message"));
    struct str encoding = is_text ? STR("quoted-printable") : STR("base64");
    enum status status = write_head(&e->head, encoding, more, e->head_out);
    if (status != STATUS_OK) {
        return status;
    }
    return is_text ? encode_quoted(e->body, e->body_out) : encode_base64(e->body, e->body_out);
}

/* A part with its own header section, into one buffer. */
static enum status
convert_part(struct job *job, struct str part, unsigned depth, struct buf *out)
{
    if (++job->parts > MAIL_DOWNGRADE_PARTS_MAX) {
        return deny(job, "it has too many parts");
    }
    if (is_fit(job, part)) {
        return buf_append(out, part);
    }
    /* An empty line at once: a part without header fields. */
    size_t at = str_starts_with(part, STR("\r\n")) ? 0 : str_find(part, STR("\r\n\r\n"));
    if (at == STR_NPOS) {
        return deny(job, "a part's header does not end");
    }
    size_t head_length = at == 0 ? 2 : at + 4;
    struct entity entity = {.head_text = str_head(part, head_length),
                            .body = str_skip(part, head_length),
                            .depth = depth + 1,
                            .head_out = out,
                            .body_out = out};
    return convert_entity(job, &entity);
}

/* True when the line at the head of s is a delimiter; *last_out: the closing one. */
static bool
is_delimiter(struct str s, struct str boundary, size_t *length_out, bool *last_out)
{
    if (!str_starts_with(s, STR("--")) || !str_starts_with(str_skip(s, 2), boundary)) {
        return false;
    }
    size_t at = 2 + boundary.n;
    *last_out = str_starts_with(str_skip(s, at), STR("--"));
    at += *last_out ? 2 : 0;
    while (at < s.n && char_is_blank(s.p[at])) {
        at++;
    }
    *length_out = at;
    return at == s.n || str_starts_with(str_skip(s, at), STR("\r\n"));
}

/* The offset of the next delimiter line in s, at or behind `from`; STR_NPOS when there is none. */
static size_t
find_delimiter(struct str s, size_t from, struct str boundary, size_t *length_out, bool *last_out)
{
    size_t at = from;
    while (at < s.n && !is_delimiter(str_skip(s, at), boundary, length_out, last_out)) {
        size_t end = str_find(str_skip(s, at), STR("\r\n"));
        if (end == STR_NPOS) {
            return STR_NPOS;
        }
        at += end + 2;
    }
    return at < s.n ? at : STR_NPOS;
}

/* RFC 2046 5.1.1. The CRLF before a delimiter belongs to the delimiter. */
static enum status
convert_parts(struct job *job, struct str body, struct str boundary, unsigned depth,
              struct buf *out)
{
    size_t length = 0;
    bool last = false;
    size_t at = find_delimiter(body, 0, boundary, &length, &last);
    if (at == STR_NPOS || last) {
        return deny(job, "a multipart has no parts");
    }
    enum status status = STATUS_OK;
    struct str before = str_head(body, at);
    while (status == STATUS_OK && !last) {
        status = is_fit(job, before)
                     ? buf_append(out, before)
                     : deny(job, job->lines ? "there are long lines between the parts"
                                            : "there are 8-bit octets between the parts");
        if (status == STATUS_OK) {
            status = buf_append(out, str_head(str_skip(body, at), length + 2));
        }
        size_t start = at + length + 2;
        at = start <= body.n ? find_delimiter(body, start, boundary, &length, &last) : STR_NPOS;
        if (at == STR_NPOS) {
            return deny(job, "a multipart does not end");
        }
        size_t end = at >= start + 2 ? at - 2 : start;
        if (status == STATUS_OK) {
            status = convert_part(job, str_head(str_skip(body, start), end - start), depth, out);
        }
        before = str_head(str_skip(body, end), at - end);
    }
    if (status == STATUS_OK && !is_fit(job, str_skip(body, at))) {
        status = deny(job, job->lines ? "there are long lines behind the parts"
                                      : "there are 8-bit octets behind the parts");
    }
    if (status == STATUS_OK) {
        status = buf_append(out, before);
    }
    return status == STATUS_OK ? buf_append(out, str_skip(body, at)) : status;
}

/* The head of what encloses others: with 8-bit octets gone everywhere below it has 7 bits. */
static enum status
write_outer_head(const struct job *job, const struct entity *e)
{
    return job->lines ? mail_fold_long_lines(e->head_text, e->head_out)
                      : write_head(&e->head, STR("7bit"), STR(""), e->head_out);
}

static enum status
convert_multipart(struct job *job, const struct entity *e)
{
    if (str_eq_nocase(e->media.subtype, STR("signed")) ||
        str_eq_nocase(e->media.subtype, STR("encrypted"))) {
        return deny(job, "a part is signed or encrypted and must not be changed");
    }
    if (e->media.boundary.n == 0) {
        return deny(job, "a multipart names no boundary");
    }
    enum status status = write_outer_head(job, e);
    return status == STATUS_OK
               ? convert_parts(job, e->body, e->media.boundary, e->depth, e->body_out)
               : status;
}

/*
 * RFC 2046 5.2.1: an enclosed message may not be encoded itself, but its parts may; those of RFC
 * 6532 3.7 and RFC 6533 3 and 4 may.
 */
static enum status
convert_message(struct job *job, const struct entity *e)
{
    if (str_eq_nocase(e->media.subtype, STR("global")) ||
        str_starts_with_nocase(e->media.subtype, STR("global-"))) {
        return convert_leaf(e, STR(""));
    }
    if (!str_eq_nocase(e->media.subtype, STR("rfc822"))) {
        return deny(job, "a part of this kind may only have 7-bit content");
    }
    enum status status = write_outer_head(job, e);
    return status == STATUS_OK ? convert_part(job, e->body, e->depth, e->body_out) : status;
}

static enum status
convert_entity(struct job *job, struct entity *e)
{
    struct str more = STR("");
    if (e->depth > MAIL_DOWNGRADE_DEPTH_MAX) {
        return deny(job, "its parts are nested too deep");
    }
    enum status status = parse_head(job, e->head_text, &e->head);
    if (status != STATUS_OK) {
        return status;
    }
    const struct mail_field *type = e->head.first[MAIL_FIELD_CONTENT_TYPE];
    e->media = (struct media){.type = STR("text"), .subtype = STR("plain")};
    if (e->depth == 0 && e->head.counts[MAIL_FIELD_MIME_VERSION] == 0) {
        if (type != NULL) {
            return deny(job, "it has MIME fields without being MIME");
        }
        /* RFC 1428 3: text in a character set that nobody told. */
        more = str_is_ascii(e->body)
                   ? STR("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n")
                   : STR("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n");
    } else if (type != NULL && media_parse(type->value, &e->media) != STATUS_OK) {
        return deny(job, "a part does not say clearly what it is");
    }
    if (rewrap_leaf(job, e, &status)) {
        return status;
    }
    status = check_encoding(job, &e->head);
    if (status != STATUS_OK) {
        return status;
    }
    if (str_eq_nocase(e->media.type, STR("multipart"))) {
        return convert_multipart(job, e);
    }
    if (str_eq_nocase(e->media.type, STR("message"))) {
        return convert_message(job, e);
    }
    return convert_leaf(e, more);
}

static enum status
convert(struct job *job, struct entity *message, const char **why_out)
{
    enum status status = convert_entity(job, message);
    if (status == STATUS_DENIED) {
        *why_out = job->why;
    }
    return status;
}

enum status
mail_downgrade(struct arena *arena, struct str head, struct str body, struct buf *head_out,
               struct buf *body_out, const char **why_out)
{
    struct job job = {.arena = arena};
    struct entity message = {
        .head_text = head, .body = body, .head_out = head_out, .body_out = body_out};
    return convert(&job, &message, why_out);
}

enum status
mail_shorten_lines(struct arena *arena, struct str head, struct str body, struct buf *head_out,
                   struct buf *body_out, const char **why_out)
{
    struct job job = {.arena = arena, .lines = true};
    struct entity message = {
        .head_text = head, .body = body, .head_out = head_out, .body_out = body_out};
    return convert(&job, &message, why_out);
}
