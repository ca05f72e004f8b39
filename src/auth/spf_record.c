#include "auth/spf_record.h"

#include "auth/spf_macro.h"

#define VERSION STR("v=spf1")

/* Octets of a term that a problem shows. */
#define SHOWN_MAX 100u

/* What the text behind a mechanism's name may be. */
enum argument {
    ARGUMENT_NONE,
    ARGUMENT_DOMAIN,          /* ":" domain-spec */
    ARGUMENT_DOMAIN_OPTIONAL, /* [ ":" domain-spec ] */
    ARGUMENT_DOMAIN_CIDR,     /* [ ":" domain-spec ] [ dual-cidr-length ] */
    ARGUMENT_IP4,             /* ":" ip4-network [ ip4-cidr-length ] */
    ARGUMENT_IP6,             /* ":" ip6-network [ ip6-cidr-length ] */
};

/* RFC 7208 5 */
static const struct {
    const char *name;
    enum argument argument;
} mechanisms[SPF_MECHANISM_COUNT] = {
    [SPF_MECHANISM_ALL] = {"all", ARGUMENT_NONE},
    [SPF_MECHANISM_INCLUDE] = {"include", ARGUMENT_DOMAIN},
    [SPF_MECHANISM_A] = {"a", ARGUMENT_DOMAIN_CIDR},
    [SPF_MECHANISM_MX] = {"mx", ARGUMENT_DOMAIN_CIDR},
    [SPF_MECHANISM_PTR] = {"ptr", ARGUMENT_DOMAIN_OPTIONAL},
    [SPF_MECHANISM_IP4] = {"ip4", ARGUMENT_IP4},
    [SPF_MECHANISM_IP6] = {"ip6", ARGUMENT_IP6},
    [SPF_MECHANISM_EXISTS] = {"exists", ARGUMENT_DOMAIN},
};

const char *
spf_mechanism_name(enum spf_mechanism mechanism)
{
    return (unsigned)mechanism < SPF_MECHANISM_COUNT ? mechanisms[mechanism].name : "unknown";
}

struct str
spf_printable(struct arena *arena, struct str text, size_t most)
{
    text = str_head(text, most);
    char *clean = arena_alloc(arena, text.n + 1);
    if (clean == NULL) {
        return str_make(NULL, 0);
    }
    for (size_t i = 0; i < text.n; i++) {
        clean[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
    }
    return str_make(clean, text.n);
}

bool
spf_record_is_version1(struct str text)
{
    return str_starts_with_nocase(text, VERSION) &&
           (text.n == VERSION.n || text.p[VERSION.n] == ' ');
}

/* ---- prefix lengths */

/* A prefix length: digits without a leading zero, at most `most` (RFC 7208 12). */
static enum status
read_prefix(struct str digits, unsigned most, unsigned *prefix_out)
{
    uint64_t prefix;
    if ((digits.n > 1 && digits.p[0] == '0') || str_parse_u64(digits, most, &prefix) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    *prefix_out = (unsigned)prefix;
    return STATUS_OK;
}

/* Cuts "/" and digits off the end of *text; false, and nothing is cut, when they are not there. */
static bool
cut_slash_digits(struct str *text, struct str *digits_out)
{
    size_t n = text->n;
    while (n > 0 && char_is_digit(text->p[n - 1])) {
        n--;
    }
    if (n == text->n || n == 0 || text->p[n - 1] != '/') {
        return false;
    }
    *digits_out = str_skip(*text, n);
    *text = str_head(*text, n - 1);
    return true;
}

/*
 * Cuts dual-cidr-length, [ "/" length ] [ "//" length ], off the end of *text. It is looked for
 * from the end, because a domain-spec may have slashes in it, though not behind its last dot.
 */
static enum status
cut_dual_prefix(struct str *text, struct spf_directive *directive)
{
    struct str digits;
    struct str before = *text;
    if (!cut_slash_digits(&before, &digits)) {
        return STATUS_OK;
    }
    if (str_ends_with(before, STR("/"))) {
        if (read_prefix(digits, 128, &directive->ip6_prefix) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        *text = str_head(before, before.n - 1);
        before = *text;
        if (!cut_slash_digits(&before, &digits)) {
            return STATUS_OK;
        }
    }
    if (read_prefix(digits, 32, &directive->ip4_prefix) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    *text = before;
    return STATUS_OK;
}

/* ---- arguments */

/* ":" domain-spec, the whole of `text`. */
static enum status
read_domain(struct str text, struct spf_directive *directive)
{
    if (!str_starts_with(text, STR(":"))) {
        return STATUS_SYNTAX;
    }
    directive->domain = str_skip(text, 1);
    return spf_domain_spec_check(directive->domain);
}

static enum status
read_domain_cidr(struct str text, struct spf_directive *directive)
{
    enum status status = cut_dual_prefix(&text, directive);
    if (status != STATUS_OK || text.n == 0) {
        return status;
    }
    return read_domain(text, directive);
}

/* An address of one family: an IPv6 spelling of an IPv4 address does not belong to ip4. */
static enum status
read_network(struct str text, bool v4, struct spf_directive *directive)
{
    struct str digits;
    if (!str_starts_with(text, STR(":"))) {
        return STATUS_SYNTAX;
    }
    text = str_skip(text, 1);
    if (str_contains_char(text, ':') == v4) {
        return STATUS_SYNTAX;
    }
    if (cut_slash_digits(&text, &digits) &&
        read_prefix(digits, v4 ? 32 : 128, v4 ? &directive->ip4_prefix : &directive->ip6_prefix) !=
            STATUS_OK) {
        return STATUS_SYNTAX;
    }
    directive->ip_written = text;
    return ip_parse(text, &directive->ip);
}

static enum status
read_argument(enum argument argument, struct str text, struct spf_directive *directive)
{
    switch (argument) {
    case ARGUMENT_NONE:
        return text.n == 0 ? STATUS_OK : STATUS_SYNTAX;
    case ARGUMENT_DOMAIN:
        return read_domain(text, directive);
    case ARGUMENT_DOMAIN_OPTIONAL:
        return text.n == 0 ? STATUS_OK : read_domain(text, directive);
    case ARGUMENT_DOMAIN_CIDR:
        return read_domain_cidr(text, directive);
    case ARGUMENT_IP4:
        return read_network(text, true, directive);
    case ARGUMENT_IP6:
        return read_network(text, false, directive);
    }
    return STATUS_SYNTAX;
}

/* ---- terms */

struct parser {
    struct arena *arena;
    struct spf_record record;
    struct str problem;
};

/* Notes what is wrong with a term. */
static enum status
wrong(struct parser *parser, struct str term, const char *what)
{
    struct str shown = spf_printable(parser->arena, term, SHOWN_MAX);
    parser->problem = arena_printf(parser->arena, "\"%.*s\": %s", STR_ARG(shown), what);
    return STATUS_SYNTAX;
}

/* The octets of a name at the head of a term (RFC 7208 4.6.1). */
static size_t
name_length(struct str term)
{
    size_t n = 0;
    while (n < term.n &&
           (char_is_alnum(term.p[n]) || (term.p[n] != '\0' && strchr("-_.", term.p[n]) != NULL))) {
        n++;
    }
    return n > 0 && char_is_alpha(term.p[0]) ? n : 0;
}

static enum status
parse_directive(struct parser *parser, struct str term)
{
    struct spf_directive directive = {
        .qualifier = '+', .text = term, .ip4_prefix = 32, .ip6_prefix = 128};
    struct str rest = term;
    if (str_contains_char(STR("+-~?"), rest.p[0])) {
        directive.qualifier = rest.p[0];
        rest = str_skip(rest, 1);
    }
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ':' && rest.p[n] != '/') {
        n++;
    }
    for (size_t i = 0; i < SPF_MECHANISM_COUNT; i++) {
        if (!str_eq_nocase(str_head(rest, n), str_from_cstr(mechanisms[i].name))) {
            continue;
        }
        directive.mechanism = (enum spf_mechanism)i;
        if (read_argument(mechanisms[i].argument, str_skip(rest, n), &directive) != STATUS_OK) {
            return wrong(parser, term, "what stands behind the name of the mechanism is wrong");
        }
        parser->record.directives[parser->record.directive_count++] = directive;
        return STATUS_OK;
    }
    return wrong(parser, term, "there is no such mechanism");
}

/* RFC 7208 6: each of redirect and exp at most once. */
static enum status
parse_known_modifier(struct parser *parser, struct str term, struct str value, struct str *place)
{
    if (place->n > 0) {
        return wrong(parser, term, "the modifier stands twice in the record");
    }
    if (spf_domain_spec_check(value) != STATUS_OK) {
        return wrong(parser, term, "the value of the modifier is not a domain-spec");
    }
    *place = value;
    return STATUS_OK;
}

static enum status
parse_modifier(struct parser *parser, struct str term, size_t name_n)
{
    struct str name = str_head(term, name_n);
    struct str value = str_skip(term, name_n + 1);
    if (str_eq_nocase(name, STR("redirect"))) {
        return parse_known_modifier(parser, term, value, &parser->record.redirect);
    }
    if (str_eq_nocase(name, STR("exp"))) {
        return parse_known_modifier(parser, term, value, &parser->record.explanation);
    }
    if (spf_macro_check(value, SPF_MACRO_MODIFIER) != STATUS_OK) {
        return wrong(parser, term, "the value of the modifier is not a macro-string");
    }
    parser->record.modifiers[parser->record.modifier_count++] = (struct spf_modifier){name, value};
    return STATUS_OK;
}

static enum status
parse_term(struct parser *parser, struct str term)
{
    /* RFC 7208 4.6.1: a modifier has its "=" right behind the name. */
    size_t n = name_length(term);
    if (n > 0 && n < term.n && term.p[n] == '=') {
        return parse_modifier(parser, term, n);
    }
    return parse_directive(parser, term);
}

/* Cuts the next term off *rest; terms are parted by SP and nothing else (4.6.1). */
static bool
next_term(struct str *rest, struct str *term_out)
{
    while (rest->n > 0 && rest->p[0] == ' ') {
        *rest = str_skip(*rest, 1);
    }
    if (rest->n == 0) {
        return false;
    }
    (void)str_cut(*rest, ' ', term_out, rest);
    return true;
}

static size_t
count_terms(struct str rest)
{
    struct str term;
    size_t count = 0;
    while (next_term(&rest, &term)) {
        count++;
    }
    return count;
}

static enum status
parse_terms(struct parser *parser, struct str text)
{
    struct str term;
    size_t count = text.n <= SPF_RECORD_MAX ? count_terms(text) : 0;
    if (text.n > SPF_RECORD_MAX || count > SPF_TERMS_MAX) {
        parser->problem = STR("the record is too long");
        return STATUS_LIMIT;
    }
    if (!spf_record_is_version1(text)) {
        parser->problem = STR("the record does not begin with v=spf1");
        return STATUS_SYNTAX;
    }
    struct spf_record *record = &parser->record;
    record->directives = arena_alloc_array(parser->arena, count, sizeof *record->directives);
    record->modifiers = arena_alloc_array(parser->arena, count, sizeof *record->modifiers);
    if (record->directives == NULL || record->modifiers == NULL) {
        parser->problem = STR("the record needs too much memory");
        return STATUS_LIMIT;
    }
    text = str_skip(text, VERSION.n);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && next_term(&text, &term)) {
        status = parse_term(parser, term);
    }
    return status;
}

enum status
spf_record_parse(struct arena *arena, struct str text, struct spf_record *record_out,
                 struct str *problem_out)
{
    struct parser parser = {.arena = arena};
    enum status status = parse_terms(&parser, text);
    if (status == STATUS_OK) {
        *record_out = parser.record;
    } else {
        *problem_out = parser.problem;
    }
    return status;
}
