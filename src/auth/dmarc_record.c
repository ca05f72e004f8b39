#include "auth/dmarc_record.h"

#include "mail/author.h"

/* ---- names */

const char *
dmarc_policy_name(enum dmarc_policy policy)
{
    static const char *const names[] = {"none", "quarantine", "reject"};
    return (unsigned)policy <= DMARC_POLICY_REJECT ? names[policy] : "unknown";
}

struct str
dmarc_record_faults_text(struct arena *arena, unsigned faults)
{
    static const char *const names[] = {"syntax", "p", "sp", "np",  "alignment",
                                        "psd",    "t", "fo", "uri", "limit"};
    struct str text = STR("");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((faults & 1u << i) != 0) {
            text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), text.n > 0 ? " " : "", names[i]);
        }
    }
    return text;
}

/* ---- the list of tags */

struct reader {
    struct arena *arena;
    struct dmarc_record record;
    struct str names[DMARC_TAGS_MAX]; /* of the tags so far */
    size_t name_count;
    bool is_duplicate;
    bool has_p;
};

/* Cuts the next tag; false when there is none left. An unreadable one has an empty name. */
static bool
next_tag(struct str *rest, struct str *name_out, struct str *value_out)
{
    if (rest->n == 0) {
        return false;
    }
    struct str tag;
    struct str name;
    struct str value;
    str_cut(*rest, ';', &tag, rest);
    bool is_tag = str_cut(tag, '=', &name, &value);
    *name_out = is_tag ? str_trim(name) : STR("");
    *value_out = is_tag ? str_trim(value) : str_trim(tag);
    return true;
}

bool
dmarc_record_is_ours(struct str text)
{
    struct str name;
    struct str value;
    /* "v" equals %s"DMARC1": the name in any letter case, the value not. */
    return next_tag(&text, &name, &value) && str_eq_nocase(name, STR("v")) &&
           str_eq(value, STR("DMARC1"));
}

/* 1*ALPHA */
static bool
is_tag_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!char_is_alpha(name.p[i])) {
            return false;
        }
    }
    return name.n > 0;
}

/* %x20-3A / %x3C-7E */
static bool
is_printable(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < ' ' || value.p[i] > '~') {
            return false;
        }
    }
    return value.n > 0;
}

/* ---- values */

static bool
read_policy(struct str value, enum dmarc_policy *policy_out)
{
    for (unsigned i = DMARC_POLICY_NONE; i <= DMARC_POLICY_REJECT; i++) {
        if (str_eq_nocase(value, str_from_cstr(dmarc_policy_name((enum dmarc_policy)i)))) {
            *policy_out = (enum dmarc_policy)i;
            return true;
        }
    }
    return false;
}

static bool
read_alignment(struct str value, enum dmarc_alignment *alignment_out)
{
    if (str_eq_nocase(value, STR("s"))) {
        *alignment_out = DMARC_ALIGNMENT_STRICT;
    } else if (str_eq_nocase(value, STR("r"))) {
        *alignment_out = DMARC_ALIGNMENT_RELAXED;
    } else {
        return false;
    }
    return true;
}

static bool
read_psd(struct str value, enum dmarc_psd *psd_out)
{
    static const struct {
        struct str value;
        enum dmarc_psd psd;
    } rows[] = {{STR_INIT("u"), DMARC_PSD_UNKNOWN},
                {STR_INIT("y"), DMARC_PSD_YES},
                {STR_INIT("n"), DMARC_PSD_NO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_eq_nocase(value, rows[i].value)) {
            *psd_out = rows[i].psd;
            return true;
        }
    }
    return false;
}

static bool
read_yes_or_no(struct str value, bool *out)
{
    *out = str_eq_nocase(value, STR("y"));
    return *out || str_eq_nocase(value, STR("n"));
}

/* dmarc-fo: options with colons between, each once, "0" and "1" not together. */
static bool
read_failure(struct str value, unsigned *options_out)
{
    static const struct str letters = STR_INIT("01ds");
    unsigned options = 0;
    bool more = true;
    while (more) {
        struct str item;
        more = str_cut(value, ':', &item, &value);
        item = str_trim(item);
        size_t at = item.n == 1 ? str_find_char(letters, char_lower(item.p[0])) : STR_NPOS;
        if (at == STR_NPOS || (options & 1u << at) != 0) {
            return false;
        }
        options |= 1u << at;
    }
    unsigned both = DMARC_FAILURE_ALL | DMARC_FAILURE_ANY;
    if ((options & both) == both) {
        return false;
    }
    *options_out = options;
    return true;
}

/* ---- addresses of reports */

/* 1*DIGIT [ "k" / "m" / "g" / "t" ]; a number that is too large is as good as no limit. */
static bool
read_size(struct str text, uint64_t *size_out)
{
    static const struct str units = STR_INIT("kmgt");
    unsigned shift = 0;
    uint64_t number;
    text = str_trim(text);
    size_t unit = text.n > 0 ? str_find_char(units, char_lower(text.p[text.n - 1])) : STR_NPOS;
    if (unit != STR_NPOS) {
        shift = 10 * ((unsigned)unit + 1);
        text = str_trim(str_head(text, text.n - 1));
    }
    enum status status = str_parse_u64(text, UINT64_MAX >> shift, &number);
    if (status == STATUS_SYNTAX) {
        return false;
    }
    *size_out = status == STATUS_OK ? number << shift : 0;
    return true;
}

/* RFC 3986 3: a scheme, a colon, and visible ASCII without what a URI cannot hold. */
static bool
is_uri(struct str s)
{
    size_t colon = str_find_char(s, ':');
    if (colon == STR_NPOS || colon == 0 || colon + 1 == s.n || !char_is_alpha(s.p[0])) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool in_scheme = char_is_alnum(s.p[i]) || str_contains_char(STR("+-."), s.p[i]);
        bool in_rest =
            s.p[i] > ' ' && s.p[i] <= '~' && !str_contains_char(STR("<>\"\\^`{|}"), s.p[i]);
        if (i < colon ? !in_scheme : !in_rest) {
            return false;
        }
    }
    return true;
}

static int
hex_value(char c)
{
    if (char_is_digit(c)) {
        return c - '0';
    }
    char l = char_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* RFC 3986 2.1; a "%" without two digits stands for itself. {NULL,0} when the arena is full. */
static struct str
percent_decode(struct arena *arena, struct str s)
{
    char *text = arena_alloc(arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
        text[n++] = low >= 0 ? (char)(high * 16 + low) : s.p[i];
        i += low >= 0 ? 2 : 0;
    }
    return str_make(text, n);
}

/* The address of a mailto: URI (RFC 6068 2) with one address; empty when there is none. */
static enum status
read_mailto(struct arena *arena, struct str uri, struct str *address_out)
{
    static const struct str scheme = STR_INIT("mailto:");
    struct str to;
    struct str headers;
    struct str domain;
    *address_out = STR("");
    if (!str_starts_with_nocase(uri, scheme)) {
        return STATUS_OK;
    }
    str_cut(str_skip(uri, scheme.n), '?', &to, &headers);
    struct str address = percent_decode(arena, to);
    if (address.p == NULL) {
        return STATUS_LIMIT;
    }
    size_t at = str_rfind_char(address, '@');
    if (at == STR_NPOS || at == 0) {
        return STATUS_OK;
    }
    enum status status = mail_domain_normalize(arena, str_skip(address, at + 1), &domain);
    if (status == STATUS_OK) {
        *address_out = address;
    }
    return STATUS_OK;
}

/* dmarc-uri / obs-dmarc-uri; false when it is neither. */
static enum status
read_uri(struct arena *arena, struct str item, struct dmarc_uri *uri_out, bool *valid_out)
{
    struct dmarc_uri uri = {0};
    struct str size;
    *valid_out = true;
    if (str_cut(item, '!', &uri.text, &size) && !read_size(size, &uri.size_limit)) {
        *valid_out = false;
    }
    uri.text = str_trim(uri.text);
    *valid_out = *valid_out && is_uri(uri.text);
    enum status status = *valid_out ? read_mailto(arena, uri.text, &uri.address) : STATUS_OK;
    *uri_out = uri;
    return status;
}

static enum status
read_uris(struct reader *reader, struct str value, const struct dmarc_uri **uris_out,
          size_t *count_out)
{
    struct dmarc_uri *uris = arena_alloc_array(reader->arena, DMARC_URIS_MAX, sizeof *uris);
    size_t count = 0;
    bool more = true;
    enum status status = uris != NULL ? STATUS_OK : STATUS_LIMIT;
    while (status == STATUS_OK && more) {
        struct str item;
        bool is_valid = false;
        more = str_cut(value, ',', &item, &value);
        if (count == DMARC_URIS_MAX) {
            reader->record.faults |= DMARC_FAULT_LIMIT;
            break;
        }
        status = read_uri(reader->arena, str_trim(item), &uris[count], &is_valid);
        count += is_valid;
        reader->record.faults |= is_valid ? 0 : DMARC_FAULT_URI;
    }
    if (status == STATUS_OK) {
        *uris_out = uris;
        *count_out = count;
    }
    return status;
}

/* ---- tags */

/* Tags whose value is one word. True when the name is one of them. */
static bool
read_word(struct dmarc_record *record, struct str name, struct str value, bool *has_p)
{
    unsigned fault = 0;
    if (str_eq_nocase(name, STR("p"))) {
        *has_p = read_policy(value, &record->p);
        fault = *has_p ? 0 : DMARC_FAULT_P;
    } else if (str_eq_nocase(name, STR("sp"))) {
        record->has_sp = read_policy(value, &record->sp);
        fault = record->has_sp ? 0 : DMARC_FAULT_SP;
    } else if (str_eq_nocase(name, STR("np"))) {
        record->has_np = read_policy(value, &record->np);
        fault = record->has_np ? 0 : DMARC_FAULT_NP;
    } else if (str_eq_nocase(name, STR("adkim"))) {
        fault = read_alignment(value, &record->adkim) ? 0 : DMARC_FAULT_ALIGNMENT;
    } else if (str_eq_nocase(name, STR("aspf"))) {
        fault = read_alignment(value, &record->aspf) ? 0 : DMARC_FAULT_ALIGNMENT;
    } else if (str_eq_nocase(name, STR("psd"))) {
        fault = read_psd(value, &record->psd) ? 0 : DMARC_FAULT_PSD;
    } else if (str_eq_nocase(name, STR("t"))) {
        fault = read_yes_or_no(value, &record->testing) ? 0 : DMARC_FAULT_T;
    } else {
        return false;
    }
    record->faults |= fault;
    return true;
}

static enum status
read_tag(struct reader *reader, struct str name, struct str value)
{
    struct dmarc_record *record = &reader->record;
    if (read_word(record, name, value, &reader->has_p)) {
        return STATUS_OK;
    }
    if (str_eq_nocase(name, STR("rua"))) {
        return read_uris(reader, value, &record->rua, &record->rua_count);
    }
    if (str_eq_nocase(name, STR("ruf"))) {
        return read_uris(reader, value, &record->ruf, &record->ruf_count);
    }
    if (str_eq_nocase(name, STR("fo"))) {
        bool is_valid = read_failure(value, &record->failure);
        record->fo = is_valid ? value : record->fo;
        record->faults |= is_valid ? 0 : DMARC_FAULT_FO;
    }
    return STATUS_OK; /* 4.8: unknown tags are ignored */
}

/* Notes the name; false when it was there before. Places without one may be many. */
static bool
note_name(struct reader *reader, struct str name)
{
    for (size_t i = 0; i < reader->name_count; i++) {
        if (name.n > 0 && str_eq_nocase(reader->names[i], name)) {
            return false;
        }
    }
    reader->names[reader->name_count++] = name;
    return true;
}

static enum status
read_tags(struct reader *reader, struct str text)
{
    struct str rest = text;
    struct str name;
    struct str value;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !reader->is_duplicate && next_tag(&rest, &name, &value)) {
        if (name.n == 0 && value.n == 0) {
            continue; /* ";;", or after the last one */
        }
        if (reader->name_count == DMARC_TAGS_MAX) {
            reader->record.faults |= DMARC_FAULT_LIMIT;
            break;
        }
        if (!is_tag_name(name) || !is_printable(value)) {
            reader->record.faults |= DMARC_FAULT_SYNTAX;
        }
        reader->is_duplicate = !note_name(reader, name);
        if (is_tag_name(name) && !reader->is_duplicate) {
            status = read_tag(reader, name, value);
        }
    }
    return status;
}

/* 4.10.1: what becomes of a record without a policy that can be read. */
static void
settle_policy(struct reader *reader)
{
    struct dmarc_record *record = &reader->record;
    unsigned unreadable = DMARC_FAULT_P | DMARC_FAULT_SP | DMARC_FAULT_NP;
    record->is_usable = true;
    if (!reader->has_p) {
        record->faults |= DMARC_FAULT_P;
    }
    if ((record->faults & unreadable) != 0) {
        record->is_usable = record->rua_count > 0;
        record->p = DMARC_POLICY_NONE;
        record->has_sp = record->has_np = false;
    }
}

enum status
dmarc_record_parse(struct arena *arena, struct str text, enum dmarc_record_result *result_out,
                   struct dmarc_record *record_out)
{
    struct reader reader = {
        .arena = arena,
        .record = {.text = text, .failure = DMARC_FAILURE_ALL, .fo = STR("0")},
    };
    if (text.n > DMARC_RECORD_MAX || !dmarc_record_is_ours(text)) {
        *result_out = DMARC_RECORD_FOREIGN;
        return STATUS_OK;
    }
    enum status status = read_tags(&reader, text);
    if (status != STATUS_OK) {
        return status;
    }
    *result_out = reader.is_duplicate ? DMARC_RECORD_DUPLICATE : DMARC_RECORD_OK;
    if (!reader.is_duplicate) {
        settle_policy(&reader);
        *record_out = reader.record;
    }
    return STATUS_OK;
}
