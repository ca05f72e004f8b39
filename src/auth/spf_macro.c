#include "auth/spf_macro.h"

#include "base/buf.h"

/* ---- syntax */

/* One macro-expand. `letter` is 0 for the three that are an octet written differently. */
struct macro {
    char letter; /* lower case */
    bool escape; /* the letter was in upper case */
    bool reverse;
    unsigned keep;         /* parts from the right; 0: all */
    struct str delimiters; /* empty: the dot */
    struct str literal;    /* when letter is 0 */
};

static bool
is_delimiter(char c)
{
    return c != '\0' && strchr(".-+,/_=", c) != NULL;
}

/* RFC 7208 7.2: c, r and t are for explanations only. */
static bool
letter_is_allowed(char letter, enum spf_macro_use use)
{
    return letter != '\0' &&
           strchr(use == SPF_MACRO_DOMAIN ? "slodiphv" : "slodiphvcrt", letter) != NULL;
}

/* transformers = *DIGIT [ "r" ]; a number must not be zero (7.3). */
static enum status
read_transformers(struct str text, size_t *at, struct macro *macro)
{
    size_t start = *at;
    uint64_t keep;
    while (*at < text.n && char_is_digit(text.p[*at])) {
        *at += 1;
    }
    if (*at > start) {
        struct str digits = str_make(text.p + start, *at - start);
        if (str_parse_u64(digits, SPF_MACRO_KEEP_MAX, &keep) != STATUS_OK || keep == 0) {
            return STATUS_SYNTAX;
        }
        macro->keep = (unsigned)keep;
    }
    if (*at < text.n && char_lower(text.p[*at]) == 'r') {
        macro->reverse = true;
        *at += 1;
    }
    return STATUS_OK;
}

/* What follows "%{"; *at is behind its "}" afterwards. */
static enum status
read_braces(struct str text, enum spf_macro_use use, size_t *at, struct macro *macro)
{
    if (*at >= text.n) {
        return STATUS_SYNTAX;
    }
    char letter = text.p[*at];
    macro->letter = char_lower(letter);
    macro->escape = letter != macro->letter;
    *at += 1;
    if (!letter_is_allowed(macro->letter, use) || read_transformers(text, at, macro) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    size_t start = *at;
    while (*at < text.n && is_delimiter(text.p[*at])) {
        *at += 1;
    }
    macro->delimiters = str_make(text.p + start, *at - start);
    if (*at >= text.n || text.p[*at] != '}') {
        return STATUS_SYNTAX;
    }
    *at += 1;
    return STATUS_OK;
}

/* A macro-expand at the '%' at *at. */
static enum status
read_macro(struct str text, enum spf_macro_use use, size_t *at, struct macro *macro_out)
{
    struct macro macro = {.literal = STR("")};
    char c = *at + 1 < text.n ? text.p[*at + 1] : '\0';
    *at += 2;
    switch (c) {
    case '%':
        macro.literal = STR("%");
        break;
    case '_':
        macro.literal = STR(" ");
        break;
    case '-':
        macro.literal = STR("%20");
        break;
    case '{':
        if (read_braces(text, use, at, &macro) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        break;
    default:
        return STATUS_SYNTAX;
    }
    *macro_out = macro;
    return STATUS_OK;
}

/* macro-literal; an explanation is one line of them with blanks between (RFC 7208 6.2). */
static bool
is_literal(char c, enum spf_macro_use use)
{
    return (c > ' ' && c <= '~' && c != '%') || (c == ' ' && use == SPF_MACRO_EXPLANATION);
}

/* What a walk over a macro string saw. */
struct walk {
    bool ends_in_macro;  /* the last thing is a macro-expand */
    size_t last_literal; /* index behind the last macro-expand */
};

static enum status
walk_macros(struct str text, enum spf_macro_use use, struct walk *walk_out)
{
    struct walk walk = {0};
    size_t at = 0;
    while (at < text.n) {
        struct macro macro;
        if (text.p[at] == '%') {
            if (read_macro(text, use, &at, &macro) != STATUS_OK) {
                return STATUS_SYNTAX;
            }
            walk.last_literal = at;
        } else if (is_literal(text.p[at], use)) {
            at++;
        } else {
            return STATUS_SYNTAX;
        }
    }
    walk.ends_in_macro = text.n > 0 && walk.last_literal == text.n;
    *walk_out = walk;
    return STATUS_OK;
}

enum status
spf_macro_check(struct str text, enum spf_macro_use use)
{
    struct walk walk;
    return walk_macros(text, use, &walk);
}

/*
 * toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ):
 * letters, digits and hyphens, none of these at an end, and not digits alone.
 */
static bool
is_top_label(struct str label)
{
    bool digits_only = true;
    if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.n; i++) {
        if (!char_is_alnum(label.p[i]) && label.p[i] != '-') {
            return false;
        }
        digits_only = digits_only && char_is_digit(label.p[i]);
    }
    return !digits_only;
}

enum status
spf_domain_spec_check(struct str text)
{
    struct walk walk;
    if (text.n == 0 || walk_macros(text, SPF_MACRO_DOMAIN, &walk) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    /* domain-end = ( "." toplabel [ "." ] ) / macro-expand; "%%", "%_" and "%-" are macro-expands
     */
    if (walk.ends_in_macro) {
        return STATUS_OK;
    }
    struct str end = str_skip(text, walk.last_literal);
    if (str_ends_with(end, STR("."))) {
        end.n--;
    }
    size_t dot = str_rfind_char(end, '.');
    return dot != STR_NPOS && is_top_label(str_skip(end, dot + 1)) ? STATUS_OK : STATUS_SYNTAX;
}

/* ---- values */

/* RFC 7208 7.3: dotted, IPv6 as its 32 nibbles. */
static struct str
client_dotted(const struct ip_address *ip, char out[static IP_TEXT_MAX + 64])
{
    static const char digits[] = "0123456789abcdef";
    if (ip_is_v4(ip)) {
        return str_from_cstr(ip_format(ip, out));
    }
    for (size_t i = 0; i < 16; i++) {
        out[4 * i] = digits[ip->octets[i] >> 4];
        out[4 * i + 1] = '.';
        out[4 * i + 2] = digits[ip->octets[i] & 15];
        out[4 * i + 3] = '.';
    }
    return str_make(out, 63);
}

/* Room for the values that are not there as text. */
struct scratch {
    char text[IP_TEXT_MAX + 64];
};

static struct str
decimal(int64_t number, struct scratch *scratch)
{
    size_t at = sizeof scratch->text;
    uint64_t rest = number < 0 ? 0 : (uint64_t)number;
    do {
        scratch->text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    return str_make(scratch->text + at, sizeof scratch->text - at);
}

static enum status
validated_name(const struct spf_macro_values *values, struct str *value_out)
{
    if (values->validated_name == NULL) {
        *value_out = STR("unknown");
        return STATUS_OK;
    }
    return values->validated_name(values->ctx, value_out);
}

/* The value of a letter. RFC 7208 7.2 */
static enum status
macro_value(char letter, const struct spf_macro_values *values, struct scratch *scratch,
            struct str *value_out)
{
    switch (letter) {
    case 's':
        *value_out = values->sender;
        break;
    case 'l':
        *value_out = values->local;
        break;
    case 'o':
        *value_out = values->sender_domain;
        break;
    case 'd':
        *value_out = values->domain;
        break;
    case 'i':
        *value_out = client_dotted(&values->client, scratch->text);
        break;
    case 'p':
        return validated_name(values, value_out);
    case 'v':
        *value_out = ip_is_v4(&values->client) ? STR("in-addr") : STR("ip6");
        break;
    case 'h':
        *value_out = values->helo;
        break;
    case 'c':
        *value_out = str_from_cstr(ip_format(&values->client, scratch->text));
        break;
    case 'r':
        *value_out = values->receiver.n > 0 ? values->receiver : STR("unknown");
        break;
    default: /* t: the syntax allows no other */
        *value_out = decimal(values->now, scratch);
        break;
    }
    return STATUS_OK;
}

/* ---- transformers */

/* RFC 7208 7.3: upper case letters are URL escapes of all but RFC 3986's unreserved octets. */
static enum status
append_escaped(struct buf *out, struct str part, bool escape)
{
    if (!escape) {
        return buf_append(out, part);
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < part.n; i++) {
        char c = part.p[i];
        bool unreserved = char_is_alnum(c) || (c != '\0' && strchr("-._~", c) != NULL);
        status = unreserved ? buf_append_char(out, c) : buf_printf(out, "%%%02X", (uint8_t)c);
    }
    return status;
}

/* Cuts the first part off *rest; false when it was the last. */
static bool
next_part(struct str *rest, struct str delimiters, struct str *part_out)
{
    size_t n = 0;
    while (n < rest->n && !str_contains_char(delimiters, rest->p[n])) {
        n++;
    }
    *part_out = str_head(*rest, n);
    bool more = n < rest->n;
    *rest = str_skip(*rest, n + 1);
    return more;
}

/* The same from the right. */
static bool
previous_part(struct str *rest, struct str delimiters, struct str *part_out)
{
    size_t n = rest->n;
    while (n > 0 && !str_contains_char(delimiters, rest->p[n - 1])) {
        n--;
    }
    *part_out = str_skip(*rest, n);
    bool more = n > 0;
    *rest = str_head(*rest, more ? n - 1 : 0);
    return more;
}

static size_t
count_parts(struct str value, struct str delimiters)
{
    size_t count = 1;
    for (size_t i = 0; i < value.n; i++) {
        count += str_contains_char(delimiters, value.p[i]);
    }
    return count;
}

/* Split, reverse, keep the parts on the right, join with dots: in this order (RFC 7208 7.3). */
static enum status
append_transformed(struct buf *out, struct str value, const struct macro *macro)
{
    struct str delimiters = macro->delimiters.n > 0 ? macro->delimiters : STR(".");
    size_t count = count_parts(value, delimiters);
    size_t skip = macro->keep > 0 && macro->keep < count ? count - macro->keep : 0;
    enum status status = STATUS_OK;
    struct str part;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        (void)(macro->reverse ? previous_part(&value, delimiters, &part)
                              : next_part(&value, delimiters, &part));
        if (i > skip) {
            status = buf_append_char(out, '.');
        }
        if (status == STATUS_OK && i >= skip) {
            status = append_escaped(out, part, macro->escape);
        }
    }
    return status;
}

/* ---- expansion */

static enum status
append_macro(struct buf *out, const struct macro *macro, enum spf_macro_use use,
             const struct spf_macro_values *values)
{
    struct scratch scratch;
    struct str value;
    if (macro->letter == '\0') {
        return buf_append(out, macro->literal);
    }
    /* RFC 8616 4: labels cannot hold a local part that is not ASCII. */
    if (use == SPF_MACRO_DOMAIN && (macro->letter == 's' || macro->letter == 'l') &&
        !str_is_ascii(values->local)) {
        return STATUS_NOT_FOUND;
    }
    enum status status = macro_value(macro->letter, values, &scratch, &value);
    return status == STATUS_OK ? append_transformed(out, value, macro) : status;
}

static enum status
expand(struct buf *out, struct str text, enum spf_macro_use use,
       const struct spf_macro_values *values)
{
    size_t at = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && at < text.n) {
        struct macro macro;
        if (text.p[at] != '%') {
            status = is_literal(text.p[at], use) ? buf_append_char(out, text.p[at]) : STATUS_SYNTAX;
            at++;
            continue;
        }
        status = read_macro(text, use, &at, &macro);
        if (status == STATUS_OK) {
            status = append_macro(out, &macro, use, values);
        }
    }
    return status;
}

/* RFC 7208 7.3: whole labels go on the left until the rest fits. */
static struct str
cut_target(struct str name)
{
    struct str first;
    if (str_ends_with(name, STR("."))) {
        name.n--;
    }
    while (name.n > SPF_TARGET_MAX && str_cut(name, '.', &first, &name)) {
    }
    return name;
}

enum status
spf_macro_expand(struct arena *arena, struct str text, enum spf_macro_use use,
                 const struct spf_macro_values *values, struct str *text_out)
{
    struct buf out;
    buf_init(&out, SPF_EXPANSION_MAX);
    enum status status = expand(&out, text, use, values);
    if (status == STATUS_OK) {
        struct str expanded = buf_str(&out);
        struct str copy =
            arena_str_dup(arena, use == SPF_MACRO_DOMAIN ? cut_target(expanded) : expanded);
        status = copy.p != NULL ? STATUS_OK : STATUS_LIMIT;
        if (status == STATUS_OK) {
            *text_out = copy;
        }
    }
    buf_free(&out);
    return status;
}
