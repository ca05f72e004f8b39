#include "auth/authres_strip.h"

#include "auth/authres.h"
#include "mail/encoded_word.h"
#include "mail/token.h"
#include "smtp/address.h"

#define FIELD_NAME STR("Authentication-Results")

static bool
is_blank_or_line_end(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

/* Octets that can be part of a name, so that one is found whole: ASCII and U-labels. */
static bool
is_name_char(char c)
{
    return char_is_alnum(c) || c == '-' || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

/* Lower case, without blanks, control characters, quotes and backslashes. {NULL,0}: arena full. */
static struct str
squeeze(struct arena *arena, struct str s)
{
    char *out = arena_alloc(arena, s.n + 1);
    size_t n = 0;
    if (out == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool drop = ((unsigned char)c <= ' ') || c == 0x7f || c == '"' || c == '\\';
        if (!drop) {
            out[n++] = char_lower(c);
        }
    }
    return str_make(out, n);
}

/* An authserv-id as it is compared: squeezed, no final dots, A-labels if it is a domain. */
static struct str
normal_id(struct arena *arena, struct str id)
{
    struct str normal = squeeze(arena, id);
    struct str domain;
    while (normal.n > 0 && normal.p[normal.n - 1] == '.') {
        normal.n--;
    }
    if (smtp_domain_parse(arena, normal, SMTP_ADDRESS_UTF8, &domain) == STATUS_OK) {
        return domain;
    }
    return normal;
}

/* Without what stands in parentheses, as a reader who cuts comments out sees it. */
static struct str
without_comments(struct arena *arena, struct str s)
{
    char *out = arena_alloc(arena, s.n + 1);
    size_t n = 0;
    size_t depth = 0;
    if (out == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '(') {
            depth++;
        } else if (s.p[i] == ')' && depth > 0) {
            depth--;
        } else if (depth == 0) {
            out[n++] = s.p[i];
        }
    }
    return str_make(out, n);
}

/* One of the names in s that are not ASCII is ours when written with A-labels. */
static bool
holds_as_u_label(struct arena *arena, struct str s, struct str id)
{
    size_t i = 0;
    while (i < s.n) {
        size_t n = 0;
        while (i + n < s.n && is_name_char(s.p[i + n])) {
            n++;
        }
        struct str name = str_make(s.p + i, n);
        if (!str_is_ascii(name) && str_eq(normal_id(arena, name), id)) {
            return true;
        }
        i += n + 1;
    }
    return false;
}

/* Our authserv-id (in its normal form) can be read in s, by whatever means. */
static bool
holds_id(struct arena *arena, struct str s, struct str id)
{
    struct str readings[] = {s, without_comments(arena, s), mail_text_decode(arena, s, 2 * s.n)};
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        struct str squeezed = readings[i].p != NULL ? squeeze(arena, readings[i]) : readings[i];
        if (squeezed.p == NULL || str_find(squeezed, id) != STR_NPOS ||
            holds_as_u_label(arena, squeezed, id)) {
            return true;
        }
    }
    return false;
}

enum authres_claim
authres_claims(struct arena *arena, struct str value, struct str authserv_id)
{
    struct str ours = normal_id(arena, authserv_id);
    struct str rest = value;
    struct str id;
    unsigned version;
    if (str_is_empty(authserv_id)) {
        return AUTHRES_CLAIM_OTHER;
    }
    if (ours.p == NULL) {
        return AUTHRES_CLAIM_UNCLEAR;
    }
    enum status status = authres_parse_head(arena, &rest, &id, &version);
    struct str head = str_head(value, value.n - rest.n);
    bool plain = status == STATUS_OK;
    for (size_t i = 0; i < head.n && plain; i++) {
        plain = is_name_char(head.p[i]) || is_blank_or_line_end(head.p[i]);
    }
    if (status == STATUS_OK && str_eq(normal_id(arena, id), ours)) {
        return AUTHRES_CLAIM_OURS;
    }
    if (!plain && holds_id(arena, status == STATUS_OK ? head : value, ours)) {
        return AUTHRES_CLAIM_UNCLEAR;
    }
    if (status == STATUS_OK && version != AUTHRES_VERSION) {
        return AUTHRES_CLAIM_VERSION;
    }
    return AUTHRES_CLAIM_OTHER;
}

/*
 * A result, or nothing, stands where the authserv-id belongs, as in "dmarc=pass" and ";
 * dmarc=pass": RFC 8601 2.2 does not know it, but some take it, and ask nobody who says so.
 */
static bool
names_nobody(struct str value)
{
    struct str rest = value;
    if (mail_token_skip_cfws(&rest) != STATUS_OK) {
        return false;
    }
    if (mail_token_char(&rest, ';')) {
        return true;
    }
    size_t n = 0;
    while (n < rest.n && (char_is_alnum(rest.p[n]) || rest.p[n] == '-' || rest.p[n] == '_')) {
        n++;
    }
    rest = str_skip(rest, n);
    if (n == 0 || mail_token_skip_cfws(&rest) != STATUS_OK) {
        return false;
    }
    /* the version of the method */
    if (mail_token_char(&rest, '/')) {
        while (rest.n > 0 && (char_is_digit(rest.p[0]) || is_blank_or_line_end(rest.p[0]))) {
            rest = str_skip(rest, 1);
        }
    }
    return mail_token_char(&rest, '=');
}

/* A CR or LF that is not part of a line end: some readers begin a new field there. */
static bool
has_bare_line_end(struct str s)
{
    struct str line;
    while (str_cut(s, '\n', &line, &s)) {
        /* Its only CR is its last octet. */
        if (line.n == 0 || str_find_char(line, '\r') != line.n - 1) {
            return true;
        }
    }
    return str_contains_char(line, '\r');
}

static size_t
find_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        if (str_eq_nocase(str_make(s.p + i, needle.n), needle)) {
            return i;
        }
    }
    return STR_NPOS;
}

/* What follows the next `name` in *rest that is not the end of a longer one (ARC-...). */
static bool
next_name(struct str *rest, struct str name)
{
    while (name.n > 0) {
        size_t at = find_nocase(*rest, name);
        if (at == STR_NPOS) {
            return false;
        }
        bool whole = at == 0 || !(char_is_alnum(rest->p[at - 1]) || rest->p[at - 1] == '-');
        *rest = str_skip(*rest, at + name.n);
        if (whole) {
            return true;
        }
    }
    return false;
}

/* Fields that a less strict reader could find within this one. */
static bool
hides_field(struct arena *arena, struct str raw, const struct authres_strip_names *names)
{
    struct str rest = raw;
    if (next_name(&rest, names->verdict)) {
        return true;
    }
    rest = raw;
    if (!next_name(&rest, FIELD_NAME)) {
        return false;
    }
    struct str value = rest;
    if (names->nameless && mail_token_skip_cfws(&value) == STATUS_OK &&
        mail_token_char(&value, ':') && names_nobody(value)) {
        return true;
    }
    for (size_t i = 0; i < names->authserv_id_count; i++) {
        struct str id = normal_id(arena, names->authserv_ids[i]);
        if (id.p == NULL || (id.n > 0 && holds_id(arena, rest, id))) {
            return true;
        }
    }
    return false;
}

enum authres_strip
authres_strip_field(struct arena *arena, const struct mail_field *field,
                    const struct authres_strip_names *names)
{
    static const enum authres_strip reasons[] = {
        [AUTHRES_CLAIM_OTHER] = AUTHRES_STRIP_KEEP,
        [AUTHRES_CLAIM_OURS] = AUTHRES_STRIP_OURS,
        [AUTHRES_CLAIM_UNCLEAR] = AUTHRES_STRIP_UNCLEAR,
        [AUTHRES_CLAIM_VERSION] = AUTHRES_STRIP_VERSION,
    };
    if (field->name.n > 0 && str_eq_nocase(field->name, names->verdict)) {
        return AUTHRES_STRIP_VERDICT;
    }
    bool results = str_eq_nocase(field->name, FIELD_NAME);
    for (size_t i = 0; results && i < names->authserv_id_count; i++) {
        enum authres_claim claim = authres_claims(arena, field->value, names->authserv_ids[i]);
        if (claim != AUTHRES_CLAIM_OTHER) {
            return reasons[claim];
        }
    }
    if (names->nameless && results && names_nobody(field->value)) {
        return AUTHRES_STRIP_NAMELESS;
    }
    if ((field->id == MAIL_FIELD_BAD || has_bare_line_end(field->raw)) &&
        hides_field(arena, field->raw, names)) {
        return AUTHRES_STRIP_HIDDEN;
    }
    return AUTHRES_STRIP_KEEP;
}

static const struct {
    const char *name;
    const char *text;
} why_texts[AUTHRES_STRIP_COUNT_] = {
    [AUTHRES_STRIP_KEEP] = {"keep", "it is somebody else's"},
    [AUTHRES_STRIP_OURS] = {"ours", "it came from outside with our name"},
    [AUTHRES_STRIP_UNCLEAR] = {"unclear", "it came from outside and could be read as ours"},
    [AUTHRES_STRIP_VERSION] = {"version", "it came from outside in a version that is not known"},
    [AUTHRES_STRIP_NAMELESS] = {"nameless", "it came from outside and names nobody"},
    [AUTHRES_STRIP_HIDDEN] = {"hidden", "a field that could be read as ours is hidden in it"},
    [AUTHRES_STRIP_VERDICT] = {"verdict", "only we say what our verdict is"},
};

const char *
authres_strip_name(enum authres_strip why)
{
    return why < AUTHRES_STRIP_COUNT_ ? why_texts[why].name : "unknown";
}

const char *
authres_strip_text(enum authres_strip why)
{
    return why < AUTHRES_STRIP_COUNT_ ? why_texts[why].text : "unknown";
}
