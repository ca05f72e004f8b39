#include "transport/tlsrpt_record.h"

#include "base/encode.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "smtp/address.h"
#include "transport/txt_fields.h"

static const struct str version = STR_INIT("v=TLSRPTv1");

bool
tlsrpt_record_is_ours(struct str text)
{
    return txt_fields_is_ours(text, version);
}

/* ---- addresses */

static int
hex_value(char c)
{
    if (char_is_digit(c)) {
        return c - '0';
    }
    char l = char_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* RFC 3986 2: what a URI may hold; "!" and "," are to be encoded (RFC 8460 3). */
static bool
is_uri_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c <= ' ' || c > '~' || str_contains_char(STR("<>\"\\^`{|}!"), c)) {
            return false;
        }
        if (c == '%' && (i + 2 >= s.n || hex_value(s.p[i + 1]) < 0 || hex_value(s.p[i + 2]) < 0)) {
            return false;
        }
    }
    return s.n > 0;
}

/* The length of a scheme, its ":" not counted; 0: there is none (RFC 3986 3.1). */
static size_t
scheme_length(struct str s)
{
    size_t colon = str_find_char(s, ':');
    if (colon == STR_NPOS || colon == 0 || !char_is_alpha(s.p[0])) {
        return 0;
    }
    for (size_t i = 0; i < colon; i++) {
        if (!char_is_alnum(s.p[i]) && !str_contains_char(STR("+-."), s.p[i])) {
            return 0;
        }
    }
    return colon;
}

/* The address of mailto:, without header fields; false: it has none. */
static bool
read_mailto(struct arena *arena, struct str rest, struct str *address_out)
{
    struct str to;
    struct str fields;
    struct smtp_address address;
    str_cut(rest, '?', &to, &fields);
    char *text = arena_alloc(arena, to.n + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < to.n; i++) {
        bool coded = to.p[i] == '%';
        text[n++] = coded ? (char)(hex_value(to.p[i + 1]) * 16 + hex_value(to.p[i + 2])) : to.p[i];
        i += coded ? 2 : 0;
    }
    if (text == NULL ||
        smtp_mailbox_parse(arena, str_make(text, n), SMTP_ADDRESS_UTF8, &address) != STATUS_OK) {
        return false;
    }
    *address_out = address.text;
    return true;
}

/* "https:" "//" and a host. */
static bool
is_https_rest(struct str rest)
{
    return str_starts_with(rest, STR("//")) && rest.n > 2 &&
           !str_contains_char(STR("/?#:"), rest.p[2]);
}

struct reader {
    struct arena *arena;
    struct tlsrpt_uri *uris;
    size_t count;
    size_t skipped;
    bool has_rua;
};

static const char *
read_uri(struct reader *reader, struct str text)
{
    size_t n = scheme_length(text);
    struct str scheme = str_head(text, n);
    struct str rest = str_skip(text, n + 1);
    struct tlsrpt_uri uri = {.text = text};
    if (n == 0 || !is_uri_text(text)) {
        return "an address in rua is no URI";
    }
    bool is_mailto = str_eq_nocase(scheme, STR("mailto"));
    if (!is_mailto && !str_eq_nocase(scheme, STR("https"))) {
        reader->skipped++;
        return NULL;
    }
    uri.scheme = is_mailto ? TLSRPT_MAILTO : TLSRPT_HTTPS;
    if (is_mailto ? !read_mailto(reader->arena, rest, &uri.address) : !is_https_rest(rest)) {
        return "an address in rua cannot be reported to";
    }
    if (reader->count == TLSRPT_URIS_MAX) {
        reader->skipped++;
        return NULL;
    }
    reader->uris[reader->count++] = uri;
    return NULL;
}

static const char *
read_field(struct reader *reader, struct str name, struct str value)
{
    const char *problem = NULL;
    bool more = true;
    if (!str_eq(name, STR("rua"))) {
        return !txt_fields_is_name(name)     ? "the name of an extension is not valid"
               : !txt_fields_is_value(value) ? "the value of an extension is not valid"
                                             : NULL;
    }
    reader->has_rua = true;
    while (problem == NULL && more) {
        struct str item;
        more = str_cut(value, ',', &item, &value);
        problem = read_uri(reader, str_trim(item));
    }
    return problem;
}

static const char *
read_fields(struct reader *reader, struct str text)
{
    struct str rest = txt_fields_after(text, version);
    struct str name;
    struct str value;
    const char *problem = NULL;
    enum status status = STATUS_OK;
    while (problem == NULL && (status = txt_fields_next(&rest, &name, &value)) == STATUS_OK) {
        problem = read_field(reader, name, value);
    }
    if (problem == NULL && status == STATUS_SYNTAX) {
        problem = "a field is not of the form name=value";
    } else if (problem == NULL && !reader->has_rua) {
        problem = "there is no rua";
    } else if (problem == NULL && reader->count == 0) {
        problem = "no address in rua is of the scheme mailto or https";
    }
    return problem;
}

enum status
tlsrpt_record_parse(struct arena *arena, struct str text, struct tlsrpt_record *record_out,
                    const char **problem_out)
{
    struct reader reader = {.arena = arena};
    if (!tlsrpt_record_is_ours(text)) {
        *problem_out = "it does not begin with \"v=TLSRPTv1;\"";
        return STATUS_SYNTAX;
    }
    reader.uris = arena_alloc_array(arena, TLSRPT_URIS_MAX, sizeof *reader.uris);
    if (reader.uris == NULL) {
        return STATUS_LIMIT;
    }
    const char *problem = read_fields(&reader, text);
    if (problem != NULL) {
        *problem_out = problem;
        return STATUS_SYNTAX;
    }
    *record_out = (struct tlsrpt_record){reader.uris, reader.count, reader.skipped};
    return STATUS_OK;
}

/* ---- asking */

/* RFC 8460 3: other records are discarded; then there must be exactly one. */
static enum status
read_answer(struct arena *arena, const struct dns_answer *answer, struct tlsrpt_lookup *lookup)
{
    struct str found = STR("");
    size_t ours = 0;
    for (size_t i = 0; i < answer->record_count; i++) {
        struct str text;
        enum status status = dns_rdata_txt(arena, answer->records[i], &text);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status == STATUS_OK && tlsrpt_record_is_ours(text)) {
            found = text;
            ours++;
        }
    }
    if (ours == 0) {
        return STATUS_OK;
    }
    lookup->state = TLSRPT_LOOKUP_INVALID;
    lookup->problem = "there are several records for TLS reports, so that none of them counts";
    if (ours > 1) {
        return STATUS_OK;
    }
    enum status status = tlsrpt_record_parse(arena, found, &lookup->record, &lookup->problem);
    if (status == STATUS_OK) {
        lookup->state = TLSRPT_LOOKUP_FOUND;
        lookup->problem = NULL;
    }
    return status == STATUS_LIMIT ? status : STATUS_OK;
}

enum status
tlsrpt_lookup(const struct dns_source *dns, struct arena *arena, struct str domain,
              struct tlsrpt_lookup *lookup_out)
{
    struct tlsrpt_lookup lookup = {.state = TLSRPT_LOOKUP_NONE, .outcome = DNS_OUTCOME_NXDOMAIN};
    struct dns_answer answer;
    struct str name = arena_printf(arena, "_smtp._tls.%.*s", STR_ARG(domain));
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    if (!dns_name_is_host(domain) || name.n + 2 > DNS_NAME_WIRE_MAX) {
        *lookup_out = lookup;
        return STATUS_OK;
    }
    enum status status = dns_resolve(dns, arena, name, DNS_TYPE_TXT, &answer);
    if (status == STATUS_OK) {
        lookup.outcome = answer.outcome;
        if (dns_outcome_is_temporary(answer.outcome)) {
            lookup.state = TLSRPT_LOOKUP_TEMPORARY;
        } else {
            status = read_answer(arena, &answer, &lookup);
        }
    }
    if (status == STATUS_OK || status == STATUS_SYNTAX) {
        *lookup_out = lookup;
        return STATUS_OK;
    }
    return status;
}

const char *
tlsrpt_lookup_state_name(enum tlsrpt_lookup_state state)
{
    static const char *const names[] = {"none", "found", "invalid", "temporary"};
    return (unsigned)state < TLSRPT_LOOKUP_COUNT_ ? names[state] : "unknown";
}
