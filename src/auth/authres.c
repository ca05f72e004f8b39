/* Reading an Authentication-Results value. See authres.h. */
#include "auth/authres.h"

#include "mail/token.h"

/* Digits of a version. */
#define VERSION_MAX 65535u

struct parser {
    struct arena *arena;
    struct str rest;
    struct authres_result *results;
    size_t result_most;
    struct authres_property *properties;
    size_t property_most;
    size_t property_count;
    struct authres authres;
    bool none;
};

/* RFC 2045 5.1: what a token may not hold, besides blanks and control characters. */
static bool
is_token_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && !str_contains_char(STR("()<>@,;:\\\"/[]?="), c);
}

/* Characters of a value that is not quoted although it should be. */
static bool
is_loose_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && !str_contains_char(STR("();\"\\"), c);
}

static struct str
take_while(struct str *rest, bool (*accept)(char))
{
    size_t n = 0;
    while (n < rest->n && accept(rest->p[n])) {
        n++;
    }
    struct str taken = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return taken;
}

static bool
is_keyword_char(char c)
{
    return char_is_alnum(c) || c == '-' || c == '_';
}

/* RFC 5321 4.1.2 Keyword = Ldh-str. */
static enum status
take_keyword(struct parser *parser, struct str *keyword_out)
{
    struct str keyword = take_while(&parser->rest, is_keyword_char);
    if (keyword.n == 0 || !char_is_alnum(keyword.p[keyword.n - 1])) {
        return STATUS_SYNTAX;
    }
    if (str_contains_char(keyword, '_')) {
        parser->authres.deviations |= AUTHRES_LOOSE_WORD;
    }
    *keyword_out = keyword;
    return STATUS_OK;
}

/* The content of a quoted string: quotes, quoted pairs and folding taken away (RFC 5322 3.2.4). */
static enum status
unquote(struct arena *arena, struct str quoted, struct str *text_out)
{
    char *text = arena_alloc(arena, quoted.n);
    size_t n = 0;
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 1; i + 1 < quoted.n; i++) {
        if (quoted.p[i] == '\\') {
            i++;
        }
        if (quoted.p[i] != '\r' && quoted.p[i] != '\n') {
            text[n++] = quoted.p[i];
        }
    }
    *text_out = str_make(text, n);
    return STATUS_OK;
}

/* value = token / quoted-string (RFC 2045 5.1); 8-bit characters as in RFC 6532. */
static enum status
take_value(struct arena *arena, struct str *rest, struct str *value_out)
{
    struct str quoted;
    enum status status = mail_token_quoted(rest, &quoted);
    if (status == STATUS_OK) {
        return unquote(arena, quoted, value_out);
    }
    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    *value_out = take_while(rest, is_token_char);
    return value_out->n > 0 ? STATUS_OK : STATUS_SYNTAX;
}

static bool
is_token(struct str s)
{
    struct str rest = s;
    take_while(&rest, is_token_char);
    return s.n > 0 && rest.n == 0;
}

/* [ [ local-part ] "@" ] domain-name, the local part as a dot-string (RFC 8601 2.2). */
static bool
is_plain_address(struct str s)
{
    size_t at = str_rfind_char(s, '@');
    if (at == STR_NPOS) {
        return false;
    }
    struct str local = str_head(s, at);
    struct str domain = str_skip(s, at + 1);
    mail_token_atom(&local, true);
    return local.n == 0 && is_token(domain);
}

/* pvalue */
static enum status
take_pvalue(struct parser *parser, struct str *value_out)
{
    struct str start = parser->rest;
    struct str quoted;
    enum status status = mail_token_quoted(&parser->rest, &quoted);
    if (status == STATUS_OK && (parser->rest.n == 0 || parser->rest.p[0] != '@')) {
        return unquote(parser->arena, quoted, value_out);
    }
    if (status == STATUS_SYNTAX) {
        return status;
    }
    struct str tail = take_while(&parser->rest, is_loose_char);
    if (tail.n == 0) {
        return STATUS_SYNTAX;
    }
    *value_out = str_head(start, start.n - parser->rest.n);
    bool strict = status == STATUS_OK ? is_token(str_skip(tail, 1))
                                      : is_token(tail) || is_plain_address(tail);
    if (!strict) {
        parser->authres.deviations |= AUTHRES_LOOSE_VALUE;
    }
    return STATUS_OK;
}

/* Skips comments and blanks, a character that must come, and what may stand behind it. */
static enum status
expect_char(struct str *rest, char c)
{
    enum status status = mail_token_skip_cfws(rest);
    if (status == STATUS_OK && !mail_token_char(rest, c)) {
        status = STATUS_SYNTAX;
    }
    return status == STATUS_OK ? mail_token_skip_cfws(rest) : status;
}

/* 1*DIGIT */
static enum status
take_version(struct str *rest, unsigned *version_out)
{
    uint64_t version;
    struct str digits = take_while(rest, char_is_digit);
    enum status status = str_parse_u64(digits, VERSION_MAX, &version);
    if (status == STATUS_OK) {
        *version_out = (unsigned)version;
    }
    return status;
}

/* method [ "/" version ] "="; or "none", told in parser->none. */
static enum status
parse_method(struct parser *parser, struct authres_result *result)
{
    struct str *rest = &parser->rest;
    enum status status = take_keyword(parser, &result->method);
    result->version = 1;
    if (status == STATUS_OK) {
        status = mail_token_skip_cfws(rest);
    }
    if (status == STATUS_OK && mail_token_char(rest, '/')) {
        status = mail_token_skip_cfws(rest);
        if (status == STATUS_OK) {
            status = take_version(rest, &result->version);
        }
    } else if (status == STATUS_OK && rest->n == 0 && parser->authres.result_count == 0 &&
               str_eq_nocase(result->method, STR("none"))) {
        parser->none = true;
        return STATUS_OK;
    }
    return status == STATUS_OK ? expect_char(rest, '=') : status;
}

static enum status
add_property(struct parser *parser, struct authres_result *result, struct str ptype,
             struct str name)
{
    struct authres_property property = {.ptype = ptype, .name = name};
    if (parser->property_count == parser->property_most) {
        return STATUS_LIMIT;
    }
    enum status status = take_pvalue(parser, &property.value);
    if (status == STATUS_OK) {
        parser->properties[parser->property_count++] = property;
        result->property_count++;
    }
    return status;
}

/* reasonspec / propspec */
static enum status
parse_detail(struct parser *parser, struct authres_result *result)
{
    struct str word;
    struct str name;
    enum status status = take_keyword(parser, &word);
    if (status == STATUS_OK) {
        status = mail_token_skip_cfws(&parser->rest);
    }
    if (status == STATUS_OK && mail_token_char(&parser->rest, '.')) {
        status = mail_token_skip_cfws(&parser->rest);
        if (status == STATUS_OK) {
            status = take_keyword(parser, &name);
        }
        if (status == STATUS_OK) {
            status = expect_char(&parser->rest, '=');
        }
        return status == STATUS_OK ? add_property(parser, result, word, name) : status;
    }
    if (status == STATUS_OK) {
        status = expect_char(&parser->rest, '=');
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (str_eq_nocase(word, STR("reason")) && result->reason.p == NULL) {
        parser->authres.deviations |= result->property_count > 0 ? AUTHRES_REASON_LATE : 0u;
        return take_value(parser->arena, &parser->rest, &result->reason);
    }
    parser->authres.deviations |= AUTHRES_NO_PTYPE;
    return add_property(parser, result, str_make("", 0), word);
}

static enum status
parse_details(struct parser *parser, struct authres_result *result)
{
    enum status status = mail_token_skip_cfws(&parser->rest);
    while (status == STATUS_OK && parser->rest.n > 0 && parser->rest.p[0] != ';') {
        status = parse_detail(parser, result);
        if (status == STATUS_OK) {
            status = mail_token_skip_cfws(&parser->rest);
        }
    }
    return status;
}

/*
 * Goes to the semicolon behind a result that cannot be read. One in a quoted string or a comment
 * ends nothing: STATUS_SYNTAX when such a thing has no end, since what follows may be part of it.
 */
static enum status
skip_details(struct str *rest)
{
    struct str quoted;
    while (rest->n > 0 && rest->p[0] != ';') {
        size_t before = rest->n;
        enum status status = mail_token_skip_cfws(rest);
        if (status == STATUS_OK) {
            status = mail_token_quoted(rest, &quoted);
        }
        if (status == STATUS_SYNTAX || status == STATUS_LIMIT) {
            return status;
        }
        *rest = rest->n == before ? str_skip(*rest, 1) : *rest;
    }
    return STATUS_OK;
}

/* What follows a semicolon: resinfo, "none", or nothing. */
static enum status
parse_result(struct parser *parser)
{
    struct authres_result result = {.properties = parser->properties + parser->property_count};
    enum status status = mail_token_skip_cfws(&parser->rest);
    if (status != STATUS_OK) {
        return status;
    }
    if (parser->rest.n == 0 || parser->rest.p[0] == ';') {
        parser->authres.deviations |= AUTHRES_EMPTY_RESULT;
        return STATUS_OK;
    }
    if (parser->authres.result_count == parser->result_most) {
        return STATUS_LIMIT;
    }
    status = parse_method(parser, &result);
    if (status != STATUS_OK || parser->none) {
        return status;
    }
    struct str details = parser->rest;
    size_t property_count = parser->property_count;
    status = take_keyword(parser, &result.result);
    if (status == STATUS_OK) {
        status = parse_details(parser, &result);
    }
    if (status == STATUS_OK) {
        parser->results[parser->authres.result_count++] = result;
    } else if (status == STATUS_SYNTAX) {
        /* What somebody else's software made of one result says nothing against the others. */
        parser->authres.deviations |= AUTHRES_BROKEN_RESULT;
        parser->property_count = property_count;
        parser->rest = details;
        status = skip_details(&parser->rest);
    }
    return status;
}

enum status
authres_parse_head(struct arena *arena, struct str *rest, struct str *authserv_id_out,
                   unsigned *version_out)
{
    struct str after = *rest;
    struct str id;
    unsigned version = AUTHRES_VERSION;
    enum status status = mail_token_skip_cfws(&after);
    if (status == STATUS_OK) {
        status = take_value(arena, &after, &id);
    }
    struct str behind_id = after;
    if (status == STATUS_OK) {
        status = mail_token_skip_cfws(&after);
    }
    if (status == STATUS_OK && after.n > 0 && after.n < behind_id.n && char_is_digit(after.p[0])) {
        status = take_version(&after, &version);
        if (status == STATUS_OK) {
            status = mail_token_skip_cfws(&after);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (id.n == 0 || (after.n > 0 && after.p[0] != ';')) {
        return STATUS_SYNTAX;
    }
    *rest = after;
    *authserv_id_out = id;
    *version_out = version;
    return STATUS_OK;
}

/* Nothing in it that readers could take for something else: controls, bare CR or LF, not UTF-8. */
static bool
is_clean(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool fold =
            c == '\r' && value.n - i > 2 && value.p[i + 1] == '\n' && char_is_blank(value.p[i + 2]);
        if (fold) {
            i++;
        } else if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return str_is_utf8(value);
}

static size_t
count_char(struct str s, char c, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < s.n && count < most; i++) {
        count += s.p[i] == c ? 1 : 0;
    }
    return count;
}

enum status
authres_parse(struct arena *arena, struct str value, struct authres *authres_out)
{
    struct parser parser = {.arena = arena, .rest = value};
    if (value.n > AUTHRES_SIZE_MAX) {
        return STATUS_LIMIT;
    }
    if (!is_clean(value)) {
        return STATUS_SYNTAX;
    }
    /* No result without a semicolon, no property without an equals sign. */
    parser.result_most = count_char(value, ';', AUTHRES_RESULTS_MAX);
    parser.property_most = count_char(value, '=', AUTHRES_PROPERTIES_MAX);
    parser.results = arena_alloc_array(arena, parser.result_most + 1, sizeof *parser.results);
    parser.properties =
        arena_alloc_array(arena, parser.property_most + 1, sizeof *parser.properties);
    if (parser.results == NULL || parser.properties == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = authres_parse_head(arena, &parser.rest, &parser.authres.authserv_id,
                                            &parser.authres.version);
    while (status == STATUS_OK && parser.rest.n > 0) {
        status = mail_token_char(&parser.rest, ';') ? parse_result(&parser) : STATUS_SYNTAX;
    }
    if (status == STATUS_OK && !parser.none && parser.authres.result_count == 0) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        parser.authres.results = parser.results;
        *authres_out = parser.authres;
    }
    return status;
}

const struct authres_result *
authres_find(const struct authres *authres, struct str method, size_t *from)
{
    while (*from < authres->result_count) {
        const struct authres_result *result = &authres->results[(*from)++];
        if (str_eq_nocase(result->method, method)) {
            return result;
        }
    }
    return NULL;
}

struct str
authres_property_value(const struct authres_result *result, struct str ptype, struct str name)
{
    for (size_t i = 0; i < result->property_count; i++) {
        const struct authres_property *property = &result->properties[i];
        if (str_eq_nocase(property->ptype, ptype) && str_eq_nocase(property->name, name)) {
            return property->value;
        }
    }
    return str_make("", 0);
}
