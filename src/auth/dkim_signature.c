#include "auth/dkim_signature.h"

#include "base/encode.h"
#include "dns/name.h"
#include "smtp/address.h"

/* What the readers of single tags share. */
struct reader {
    struct arena *arena;
    const struct tag_list *tags;
    unsigned flags;
    struct dkim_signature *out;
};

/* ---- names */

static bool
is_name_char(char c)
{
    return char_is_alnum(c) || c == '-' || c == '_';
}

/* sub-domain *("." sub-domain), with underscores; `least` labels. */
static bool
is_plain_name(struct str s, size_t least)
{
    struct str label;
    size_t count = 0;
    for (bool more = true; more; count++) {
        more = str_cut(s, '.', &label, &s);
        if (label.n == 0 || label.n > DNS_LABEL_MAX || label.p[0] == '-' ||
            label.p[label.n - 1] == '-') {
            return false;
        }
        for (size_t i = 0; i < label.n; i++) {
            if (!is_name_char(label.p[i])) {
                return false;
            }
        }
    }
    return count >= least;
}

static struct str
lower(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; copy != NULL && i < s.n; i++) {
        copy[i] = char_lower(copy[i]);
    }
    return copy != NULL ? str_make(copy, s.n) : str_make(NULL, 0);
}

enum status
dkim_name_read(struct arena *arena, struct str text, bool domain, struct str *name_out)
{
    struct str name = text;
    if (!str_is_ascii(text)) {
        enum status status = smtp_domain_parse(arena, text, SMTP_ADDRESS_UTF8, &name);
        if (status != STATUS_OK) {
            return status == STATUS_LIMIT ? STATUS_SYNTAX : status;
        }
    }
    if (name.n > DNS_NAME_WIRE_MAX - 2 || !is_plain_name(name, domain ? 2 : 1)) {
        return STATUS_SYNTAX;
    }
    name = lower(arena, name);
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    *name_out = name;
    return STATUS_OK;
}

/* ---- the tags of RFC 6376 3.5, one function each */

static enum dkim_problem
of_status(enum status status, enum dkim_problem syntax)
{
    return status == STATUS_OK       ? DKIM_PROBLEM_NONE
           : status == STATUS_SYNTAX ? syntax
                                     : DKIM_PROBLEM_FAILED;
}

static enum dkim_problem
read_version(const struct reader *reader, struct str value)
{
    (void)reader;
    return str_eq(value, STR("1")) ? DKIM_PROBLEM_NONE : DKIM_PROBLEM_VERSION;
}

static enum dkim_problem
read_algorithm(const struct reader *reader, struct str value)
{
    reader->out->algorithm_text = value;
    if (str_eq_nocase(value, STR("rsa-sha256"))) {
        reader->out->algorithm = CRYPTO_RSA_SHA256;
    } else if (str_eq_nocase(value, STR("ed25519-sha256"))) {
        reader->out->algorithm = CRYPTO_ED25519_SHA256;
    } else if (str_eq_nocase(value, STR("rsa-sha1"))) {
        return DKIM_PROBLEM_ALGORITHM_SHA1; /* RFC 8301 3.1 */
    } else {
        return DKIM_PROBLEM_ALGORITHM;
    }
    return DKIM_PROBLEM_NONE;
}

static enum dkim_problem
read_domain(const struct reader *reader, struct str value)
{
    return of_status(dkim_name_read(reader->arena, value, true, &reader->out->domain),
                     DKIM_PROBLEM_DOMAIN);
}

static enum dkim_problem
read_selector(const struct reader *reader, struct str value)
{
    return of_status(dkim_name_read(reader->arena, value, false, &reader->out->selector),
                     DKIM_PROBLEM_SELECTOR);
}

static enum dkim_problem
read_signature(const struct reader *reader, struct str value)
{
    enum status status = tag_value_base64(reader->arena, value, &reader->out->signature);
    if (status == STATUS_OK && reader->out->signature.n == 0) {
        status = STATUS_SYNTAX;
    }
    reader->out->signature_raw = tag_list_find(reader->tags, STR("b"))->raw;
    return of_status(status, DKIM_PROBLEM_SIGNATURE);
}

static enum dkim_problem
read_body_hash(const struct reader *reader, struct str value)
{
    enum status status = tag_value_base64(reader->arena, value, &reader->out->body_hash);
    if (status == STATUS_OK && reader->out->body_hash.n != CANONICAL_HASH_SIZE) {
        status = STATUS_SYNTAX;
    }
    return of_status(status, DKIM_PROBLEM_BODY_HASH);
}

static bool
canonical_find(struct str name, enum canonical *form_out)
{
    if (str_eq_nocase(name, STR("simple"))) {
        *form_out = CANONICAL_SIMPLE;
    } else if (str_eq_nocase(name, STR("relaxed"))) {
        *form_out = CANONICAL_RELAXED;
    } else {
        return false;
    }
    return true;
}

bool
dkim_canonical_parse(struct str value, enum canonical *head_out, enum canonical *body_out)
{
    enum canonical head;
    enum canonical body = CANONICAL_SIMPLE;
    struct str before;
    struct str after;
    bool both = str_cut(value, '/', &before, &after);
    if (!canonical_find(before, &head) || (both && !canonical_find(after, &body))) {
        return false;
    }
    *head_out = head;
    *body_out = body;
    return true;
}

static enum dkim_problem
read_canonical(const struct reader *reader, struct str value)
{
    return dkim_canonical_parse(value, &reader->out->head, &reader->out->body)
               ? DKIM_PROBLEM_NONE
               : DKIM_PROBLEM_CANONICAL;
}

static bool
is_blank_or_fold(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

/* Takes a field name, perhaps empty, with the blanks around it; false unless a colon or the end
 * follows. */
static bool
take_name(struct str *rest, struct str *name_out)
{
    size_t start = 0;
    while (start < rest->n && is_blank_or_fold(rest->p[start])) {
        start++;
    }
    size_t end = start;
    while (end < rest->n && rest->p[end] > ' ' && rest->p[end] < 0x7f && rest->p[end] != ':') {
        end++;
    }
    *name_out = str_make(rest->p + start, end - start);
    while (end < rest->n && is_blank_or_fold(rest->p[end])) {
        end++;
    }
    *rest = str_skip(*rest, end);
    return rest->n == 0 || rest->p[0] == ':';
}

/* hdr-name *( [FWS] ":" [FWS] hdr-name ) into as many places as there are names. */
static enum dkim_problem
take_names(const struct reader *reader, struct str value, struct str *names, size_t count)
{
    struct str rest = value;
    bool arc = (reader->flags & DKIM_SIGNATURE_ARC) != 0;
    bool from = false;
    for (size_t i = 0; i < count; i++) {
        /* Empty places are written by sealers, and stand for no field. */
        if (!take_name(&rest, &names[i]) || (names[i].n == 0 && !arc)) {
            return DKIM_PROBLEM_NAMES;
        }
        rest = str_skip(rest, 1);
        from = from || str_eq_nocase(names[i], STR("From"));
        /* RFC 8617 4.1.2 */
        if (arc && str_eq_nocase(names[i], STR("ARC-Seal"))) {
            return DKIM_PROBLEM_NAMES_FORBIDDEN;
        }
    }
    return from ? DKIM_PROBLEM_NONE : DKIM_PROBLEM_NAMES_FROM; /* RFC 6376 5.4, 6.1.1 */
}

static enum dkim_problem
read_names(const struct reader *reader, struct str value)
{
    size_t count = str_count_char(value, ':') + 1;
    if (value.n > DKIM_NAMES_SIZE_MAX || count > DKIM_NAMES_MAX) {
        return DKIM_PROBLEM_NAMES_LIMIT;
    }
    struct str *names = arena_alloc_array(reader->arena, count, sizeof *names);
    if (names == NULL) {
        return DKIM_PROBLEM_FAILED;
    }
    reader->out->names = names;
    reader->out->name_count = count;
    return take_names(reader, value, names, count);
}

/* 1*76DIGIT; what does not fit in 64 bits is longer than any body. */
static enum dkim_problem
read_length(const struct reader *reader, struct str value)
{
    enum status status = value.n <= DKIM_LENGTH_DIGITS
                             ? str_parse_u64(value, CANONICAL_NO_LIMIT - 1, &reader->out->length)
                             : STATUS_SYNTAX;
    if (status == STATUS_LIMIT) {
        reader->out->length = CANONICAL_NO_LIMIT - 1;
        status = STATUS_OK;
    }
    return of_status(status, DKIM_PROBLEM_LENGTH);
}

static enum dkim_problem
read_seconds(struct str value, int64_t *seconds_out)
{
    uint64_t seconds;
    if (value.n > DKIM_TIME_DIGITS || str_parse_u64(value, INT64_MAX, &seconds) != STATUS_OK) {
        return DKIM_PROBLEM_TIME;
    }
    *seconds_out = (int64_t)seconds;
    return DKIM_PROBLEM_NONE;
}

static enum dkim_problem
read_time(const struct reader *reader, struct str value)
{
    return read_seconds(value, &reader->out->time);
}

static enum dkim_problem
read_expires(const struct reader *reader, struct str value)
{
    return read_seconds(value, &reader->out->expires);
}

static enum dkim_problem
read_query(const struct reader *reader, struct str value)
{
    (void)reader;
    return tag_value_has(value, STR("dns/txt")) ? DKIM_PROBLEM_NONE : DKIM_PROBLEM_QUERY;
}

/* dkim-quoted-printable (RFC 6376 2.11): blanks mean nothing, "=" two digits an octet. */
static enum status
unquote(struct arena *arena, struct str value, struct str *text_out)
{
    struct str text = tag_value_squeeze(arena, value);
    char *out = arena_alloc(arena, text.n + 1);
    size_t n = 0;
    if (text.p == NULL || out == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < text.n; i++) {
        struct str octet;
        if (text.p[i] != '=') {
            out[n++] = text.p[i];
            continue;
        }
        if (text.n - i < 3 || hex_decode(arena, str_make(text.p + i + 1, 2), &octet) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        out[n++] = octet.p[0];
        i += 2;
    }
    *text_out = str_make(out, n);
    return STATUS_OK;
}

static bool
has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* i= [ Local-part ] "@" domain-name, which is d= or below it (RFC 6376 3.5, 6.1.1). */
static enum dkim_problem
read_identity(const struct reader *reader, struct str value)
{
    struct dkim_signature *out = reader->out;
    struct str text;
    struct str domain;
    enum status status = unquote(reader->arena, value, &text);
    size_t at = status == STATUS_OK ? str_rfind_char(text, '@') : 0;
    if (status == STATUS_OK) {
        status = at == STR_NPOS || has_control(text)
                     ? STATUS_SYNTAX
                     : dkim_name_read(reader->arena, str_skip(text, at + 1), true, &domain);
    }
    if (status == STATUS_OK && !dns_name_is_within(domain, out->domain)) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        out->identity_below = domain.n != out->domain.n;
        out->identity =
            arena_printf(reader->arena, "%.*s@%.*s", STR_ARG(str_head(text, at)), STR_ARG(domain));
        status = out->identity.p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    return of_status(status, DKIM_PROBLEM_IDENTITY);
}

/* In the order in which they are looked at: what people are told about first, d= before i=. */
static const struct {
    struct str name;
    bool required;
    bool arc; /* means the same in ARC-Message-Signature */
    enum dkim_problem (*read)(const struct reader *reader, struct str value);
} table[] = {
    {STR_INIT("v"), true, false, read_version},   {STR_INIT("d"), true, true, read_domain},
    {STR_INIT("s"), true, true, read_selector},   {STR_INIT("a"), true, true, read_algorithm},
    {STR_INIT("c"), false, true, read_canonical}, {STR_INIT("h"), true, true, read_names},
    {STR_INIT("bh"), true, true, read_body_hash}, {STR_INIT("b"), true, true, read_signature},
    {STR_INIT("i"), false, false, read_identity}, {STR_INIT("l"), false, true, read_length},
    {STR_INIT("q"), false, true, read_query},     {STR_INIT("t"), false, true, read_time},
    {STR_INIT("x"), false, true, read_expires},
};

enum dkim_problem
dkim_signature_from_tags(struct arena *arena, const struct tag_list *tags, unsigned flags,
                         struct dkim_signature *signature_out)
{
    struct dkim_signature *out = signature_out;
    struct reader reader = {.arena = arena, .tags = tags, .flags = flags, .out = out};
    enum dkim_problem first = DKIM_PROBLEM_NONE;
    bool arc = (flags & DKIM_SIGNATURE_ARC) != 0;
    *out = (struct dkim_signature){
        .length = CANONICAL_NO_LIMIT, .time = DKIM_NO_TIME, .expires = DKIM_NO_TIME};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct tag *tag = tag_list_find(tags, table[i].name);
        enum dkim_problem problem = DKIM_PROBLEM_NONE;
        if (arc && !table[i].arc) {
            continue;
        }
        if (tag != NULL) {
            problem = table[i].read(&reader, tag->value);
        } else if (table[i].required) {
            problem = DKIM_PROBLEM_TAG_MISSING;
        }
        /* Go on after the first, so that domain and selector are known. */
        first = first == DKIM_PROBLEM_NONE ? problem : first;
    }
    if (first != DKIM_PROBLEM_NONE) {
        return first;
    }
    if (!arc && out->identity.n == 0) {
        const struct str parts[] = {STR("@"), out->domain};
        out->identity = arena_concat(arena, parts, 2);
    }
    if (out->time != DKIM_NO_TIME && out->expires != DKIM_NO_TIME && out->expires <= out->time) {
        return DKIM_PROBLEM_TIME_ORDER;
    }
    return DKIM_PROBLEM_NONE;
}

enum dkim_problem
dkim_signature_parse(struct arena *arena, struct str value, unsigned flags,
                     struct dkim_signature *signature_out)
{
    struct tag_list tags;
    *signature_out = (struct dkim_signature){0};
    unsigned list_flags = (flags & DKIM_SIGNATURE_UTF8) != 0 ? TAG_LIST_UTF8 : 0;
    switch (tag_list_parse(value, list_flags, &tags)) {
    case TAG_LIST_OK:
        return dkim_signature_from_tags(arena, &tags, flags, signature_out);
    case TAG_LIST_DUPLICATE:
        return DKIM_PROBLEM_TAGS_DUPLICATE;
    case TAG_LIST_LIMIT:
        return DKIM_PROBLEM_TAGS_LIMIT;
    case TAG_LIST_SYNTAX:
        break;
    }
    return DKIM_PROBLEM_TAGS_SYNTAX;
}

enum dkim_problem
dkim_signature_time(const struct dkim_signature *signature, int64_t now)
{
    if (now == DKIM_NO_TIME) {
        return DKIM_PROBLEM_NONE;
    }
    if (signature->expires != DKIM_NO_TIME && now > signature->expires) {
        return DKIM_PROBLEM_TIME_EXPIRED;
    }
    if (signature->time != DKIM_NO_TIME && signature->time > now + DKIM_FUTURE_MAX_S) {
        return DKIM_PROBLEM_TIME_FUTURE;
    }
    return DKIM_PROBLEM_NONE;
}
