#include "mail/author.h"

#include "dns/name.h"
#include "mail/author_loose.h"
#include "mail/encoded_word.h"
#include "mail/token.h"
#include "smtp/address.h"

const char *
mail_author_kind_name(enum mail_author_kind kind)
{
    static const char *const names[MAIL_AUTHOR_COUNT_] = {
        "one", "several", "several_domains", "none", "several_fields", "malformed", "ambiguous",
    };
    return (unsigned)kind < MAIL_AUTHOR_COUNT_ ? names[kind] : "unknown";
}

const char *
mail_author_doubt_name(enum mail_author_doubt doubt)
{
    static const char *const names[MAIL_DOUBT_COUNT_] = {
        "none",  "hidden_field", "header_end", "control", "route",
        "group", "encoded_word", "local_part", "comment", "quoted_address",
    };
    return (unsigned)doubt < MAIL_DOUBT_COUNT_ ? names[doubt] : "unknown";
}

bool
mail_author_is_known(const struct mail_author *author)
{
    return author->kind == MAIL_AUTHOR_ONE || author->kind == MAIL_AUTHOR_SEVERAL;
}

enum status
mail_domain_normalize(struct arena *arena, struct str domain, struct str *domain_out)
{
    if (!str_is_ascii(domain)) {
        return smtp_domain_parse(arena, domain, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_UNDERSCORE,
                                 domain_out);
    }
    if (!dns_name_is_host(domain) || domain.p[domain.n - 1] == '.') {
        return STATUS_SYNTAX;
    }
    return dns_name_normalize(arena, domain, domain_out);
}

/* ---- lines that some readers take for a From field */

static bool
is_space_or_control(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

/* "From" and a colon, whatever invisible stands before, between and behind. */
static bool
looks_like_from(struct str s)
{
    static const struct str name = STR_INIT("from");
    size_t i = 0;
    while (i < s.n && is_space_or_control(s.p[i])) {
        i++;
    }
    if (!str_starts_with_nocase(str_skip(s, i), name)) {
        return false;
    }
    i += name.n;
    while (i < s.n && is_space_or_control(s.p[i])) {
        i++;
    }
    return i < s.n && s.p[i] == ':';
}

/* True for an octet that ends a line for somebody, but not for RFC 5322. */
static bool
is_wrong_line_end(struct str raw, size_t i)
{
    char c = raw.p[i];
    if (c == '\r') {
        return i + 1 == raw.n || raw.p[i + 1] != '\n';
    }
    return c == '\0' || (c == '\n' && (i == 0 || raw.p[i - 1] != '\r'));
}

/*
 * A folded line of an ordinary field may well begin with "From:" (the h= of a signature does); one
 * of a line that is no field, or one behind a bare CR or LF, is a field to those who take these for
 * line ends.
 */
static bool
field_hides_from(const struct mail_field *field)
{
    bool bad = field->id == MAIL_FIELD_BAD;
    struct str raw = field->raw;
    if (bad && looks_like_from(raw)) {
        return true;
    }
    for (size_t i = 0; i < raw.n; i++) {
        if (!is_wrong_line_end(raw, i) && !(bad && raw.p[i] == '\n')) {
            continue;
        }
        /* However many line ends stand together, the text behind them is looked at once. */
        while (i + 1 < raw.n && is_space_or_control(raw.p[i + 1])) {
            i++;
        }
        if (looks_like_from(str_skip(raw, i + 1))) {
            return true;
        }
    }
    return false;
}

static bool
head_hides_from(const struct mail_head *head)
{
    static const enum mail_anomaly_kind reasons[] = {MAIL_ANOMALY_BAD_LINE, MAIL_ANOMALY_NUL,
                                                     MAIL_ANOMALY_BARE_CR, MAIL_ANOMALY_BARE_LF};
    bool any = false;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        any = any || head->anomalies[reasons[i]].count > 0;
    }
    for (size_t i = 0; any && i < head->field_count; i++) {
        if (field_hides_from(&head->fields[i])) {
            return true;
        }
    }
    return false;
}

/* ---- what in the field readers take differently */

/* What stands around an address for a reader that would take it for one. */
enum around {
    AROUND_ANYTHING,
    AROUND_STRUCTURE, /* an angle bracket, a separator, or what decoding made of a control character
                       */
};

/* The domain behind an "@" at the beginning of s, without punctuation at its end. */
static struct str
domain_at(struct str s, struct str own)
{
    struct str found = mail_token_atom(&s, true);
    while (found.n > 0 && !str_eq_nocase(found, own) && !char_is_alnum(found.p[found.n - 1])) {
        found.n--;
    }
    return found;
}

static bool
is_blank_or_line_end(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

/* What follows an address is what ends one. */
static bool
has_structure_behind(struct str after)
{
    size_t i = 0;
    while (i < after.n && is_blank_or_line_end(after.p[i])) {
        i++;
    }
    struct str next = str_skip(after, i);
    return str_starts_with(next, STR("\xef\xbf\xbd")) ||
           (next.n > 0 && str_contains_char(STR(">,;"), next.p[0]));
}

/* True when the author's own domain follows, behind blanks and comments (RFC 5322 3.4.1). */
static bool
is_own_behind(struct str s, struct str own)
{
    return mail_token_skip_cfws(&s) == STATUS_OK && str_eq_nocase(domain_at(s, own), own);
}

/*
 * True when s holds an "@" with a domain that is not the author's: what a reader would show that
 * takes s for an address. One pass: what stands before an "@" is carried along, and what is looked
 * at behind it ends before the next, but for comments, which nest to a limited depth.
 */
static bool
names_other_domain(struct str s, struct str own, enum around around)
{
    bool in_angle = false;
    for (size_t at = 0; at < s.n; at++) {
        if (s.p[at] == '<' || s.p[at] == '>') {
            in_angle = s.p[at] == '<';
        }
        if (s.p[at] != '@') {
            continue;
        }
        struct str behind = str_skip(s, at + 1);
        struct str found = domain_at(behind, own);
        if (mail_author_is_handle(s, at)) {
            continue;
        }
        bool shown = around == AROUND_ANYTHING || in_angle ||
                     has_structure_behind(str_skip(behind, found.n));
        if (shown && !is_own_behind(behind, own)) {
            return true;
        }
    }
    return false;
}

/* Comments, and quoted strings with backslashes, of the value as it was written. */
static enum mail_author_doubt
doubt_of_enclosed(struct str value, struct str domain)
{
    struct str rest = value;
    while (rest.n > 0) {
        struct str start = rest;
        struct str quoted;
        if (rest.p[0] == '(') {
            if (mail_token_skip_cfws(&rest) != STATUS_OK) {
                return MAIL_DOUBT_COMMENT;
            }
            if (names_other_domain(str_head(start, start.n - rest.n), domain, AROUND_ANYTHING)) {
                return MAIL_DOUBT_COMMENT;
            }
        } else if (rest.p[0] == '"') {
            if (mail_token_quoted(&rest, &quoted) != STATUS_OK) {
                return MAIL_DOUBT_QUOTED_ADDRESS;
            }
            if (str_contains_char(quoted, '\\') &&
                names_other_domain(quoted, domain, AROUND_ANYTHING)) {
                return MAIL_DOUBT_QUOTED_ADDRESS;
            }
        } else {
            rest = str_skip(rest, 1);
        }
    }
    return MAIL_DOUBT_NONE;
}

/*
 * RFC 2047 5: an encoded word is never part of an address, and never more than a word; but some
 * decode first and parse then. A name that reads like an address of somebody else, without more, is
 * a display name to all of them.
 */
static enum mail_author_doubt
doubt_of_encoded_words(struct arena *arena, const struct mail_field *field, struct str domain,
                       enum around around)
{
    if (str_find(field->value, STR("=?")) == STR_NPOS) {
        return MAIL_DOUBT_NONE;
    }
    struct str value = mail_field_unfold(arena, field);
    /* A character of a one-octet set takes up to three in UTF-8. */
    struct str text = mail_text_decode(arena, value, 3 * value.n);
    return text.p == NULL || names_other_domain(text, domain, around) ? MAIL_DOUBT_ENCODED_WORD
                                                                      : MAIL_DOUBT_NONE;
}

static enum mail_author_doubt
doubt_of_local(struct str local)
{
    for (size_t i = 0; i < local.n; i++) {
        bool outer = local.p[i] == '"' && (i == 0 || i + 1 == local.n);
        if (!outer && str_contains_char(STR("<>@,;:()\\\""), local.p[i])) {
            return MAIL_DOUBT_LOCAL_PART;
        }
    }
    /* "@" in other clothes: U+FF20, U+FE6B. */
    bool dressed = str_find(local, STR("\xef\xbc\xa0")) != STR_NPOS ||
                   str_find(local, STR("\xef\xb9\xab")) != STR_NPOS;
    return dressed || !str_is_utf8(local) ? MAIL_DOUBT_LOCAL_PART : MAIL_DOUBT_NONE;
}

/*
 * Some readers end the header at a line that is no field, or at two LFs. At a line of blanks too;
 * but such lines do not get any further (mail/repair.h).
 */
static bool
header_may_end_before(const struct mail_head *head, const struct mail_field *field)
{
    static const enum mail_anomaly_kind reasons[] = {
        MAIL_ANOMALY_BAD_LINE,
        MAIL_ANOMALY_NUL,
        MAIL_ANOMALY_BARE_CR,
        MAIL_ANOMALY_BARE_LF,
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        const struct mail_anomaly *anomaly = &head->anomalies[reasons[i]];
        if (anomaly->count > 0 && anomaly->offset < field->offset + field->raw.n) {
            return true;
        }
    }
    return false;
}

static bool
has_control(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        bool folding = value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\t';
        if (is_space_or_control(value.p[i]) && value.p[i] != ' ' && !folding) {
            return true;
        }
    }
    return false;
}

/* A line of blanks within a quoted string: nobody writes that but who wants a letter for a name. */
static bool
has_blank_line_in_quotes(struct str value)
{
    bool quoted = false;
    bool blank = false; /* all there is of this line, which a line break began */
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n' && quoted && blank) {
            return true;
        }
        blank = c == '\n' || (blank && is_blank_or_line_end(c));
        quoted = c == '"' ? !quoted : quoted;
        i += c == '\\' ? 1 : 0;
    }
    return false;
}

static enum mail_author_doubt
doubt_of_field(const struct mail_head *head, const struct mail_field *field)
{
    if (header_may_end_before(head, field) || has_blank_line_in_quotes(field->value)) {
        return MAIL_DOUBT_HEADER_END;
    }
    return has_control(field->value) ? MAIL_DOUBT_CONTROL : MAIL_DOUBT_NONE;
}

static enum mail_author_doubt
doubt_of_locals(const struct mail_address_list *list)
{
    enum mail_author_doubt doubt = MAIL_DOUBT_NONE;
    for (size_t i = 0; doubt == MAIL_DOUBT_NONE && i < list->count; i++) {
        doubt = doubt_of_local(list->items[i].local);
    }
    return doubt;
}

static enum mail_author_doubt
doubt_of_list(struct arena *arena, const struct mail_field *field,
              const struct mail_address_list *list)
{
    struct str domain = list->items[0].domain;
    enum around around = AROUND_STRUCTURE;
    bool other = names_other_domain(field->value, domain, AROUND_ANYTHING);
    /* Readers that know no groups and no routes see all that is there as one list. */
    enum mail_author_doubt doubt =
        list->group_count > 0 && other ? MAIL_DOUBT_GROUP : doubt_of_enclosed(field->value, domain);
    if (doubt == MAIL_DOUBT_NONE) {
        doubt = doubt_of_locals(list);
    }
    for (size_t i = 0; doubt == MAIL_DOUBT_NONE && i < list->count; i++) {
        const struct mail_mailbox *mailbox = &list->items[i];
        doubt = mailbox->routed && other ? MAIL_DOUBT_ROUTE : MAIL_DOUBT_NONE;
        around = str_find(mailbox->local, STR("=?")) != STR_NPOS ? AROUND_ANYTHING : around;
    }
    return doubt == MAIL_DOUBT_NONE ? doubt_of_encoded_words(arena, field, domain, around) : doubt;
}

/* ---- reading */

/* The kind that the domains of a list make, and the domain when it is one. */
static enum status
read_domains(struct arena *arena, const struct mail_address_list *list, struct mail_author *author)
{
    struct str first = {0};
    author->kind = list->count == 0   ? MAIL_AUTHOR_MALFORMED
                   : list->count == 1 ? MAIL_AUTHOR_ONE
                                      : MAIL_AUTHOR_SEVERAL;
    for (size_t i = 0; i < list->count; i++) {
        struct str domain;
        enum status status = mail_domain_normalize(arena, list->items[i].domain, &domain);
        if (status != STATUS_OK) {
            author->kind = MAIL_AUTHOR_MALFORMED;
            return STATUS_OK;
        }
        if (i > 0 && !str_eq(first, domain)) {
            author->kind = MAIL_AUTHOR_SEVERAL_DOMAINS;
        }
        first = i == 0 ? domain : first;
    }
    author->domain = mail_author_is_known(author) ? first : STR("");
    return STATUS_OK;
}

/*
 * What the message will always be, unlike an arena that is full: no time would make it readable.
 * Each mailbox has an "@".
 */
static bool
has_too_many(struct str value)
{
    size_t count = 0;
    for (size_t i = 0; i < value.n; i++) {
        count += value.p[i] == '@' ? 1 : 0;
    }
    return count > MAIL_AUTHORS_MAX;
}

static enum status
read_list(struct arena *arena, struct mail_author *author, struct mail_address_list *list_out)
{
    struct str value = str_trim(author->field->value);
    if (author->field->raw.n > MAIL_AUTHOR_FIELD_MAX) {
        return STATUS_SYNTAX;
    }
    enum status status = mail_address_list_parse(arena, value, MAIL_AUTHORS_MAX, list_out);
    if (status == STATUS_SYNTAX) {
        status = mail_author_read_loosely(arena, author->field, MAIL_AUTHORS_MAX, list_out);
        author->irregular = status == STATUS_OK;
    }
    return status;
}

static enum status
read_value(struct arena *arena, const struct mail_head *head, struct mail_author *author)
{
    struct mail_address_list list = {0};
    struct str value = str_trim(author->field->value);
    enum status status = read_list(arena, author, &list);
    if (status == STATUS_SYNTAX || (status == STATUS_LIMIT && has_too_many(value))) {
        author->kind = MAIL_AUTHOR_MALFORMED;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        author->mailboxes = list.items;
        author->mailbox_count = list.count;
        status = read_domains(arena, &list, author);
    }
    if (status != STATUS_OK || !mail_author_is_known(author)) {
        return status;
    }
    author->doubt = doubt_of_field(head, author->field);
    if (author->doubt == MAIL_DOUBT_NONE) {
        author->doubt =
            author->irregular ? doubt_of_locals(&list) : doubt_of_list(arena, author->field, &list);
    }
    if (author->doubt != MAIL_DOUBT_NONE) {
        author->kind = MAIL_AUTHOR_AMBIGUOUS;
        author->domain = STR("");
    }
    return STATUS_OK;
}

enum status
mail_author_read(struct arena *arena, const struct mail_head *head, struct mail_author *author_out)
{
    struct mail_author author = {
        .kind = MAIL_AUTHOR_NONE,
        .field = head->first[MAIL_FIELD_FROM],
        .field_count = head->counts[MAIL_FIELD_FROM],
    };
    enum status status = STATUS_OK;
    bool hidden = head_hides_from(head);
    if (author.field_count > 0) {
        status = read_value(arena, head, &author);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (author.field_count > 1 || (hidden && author.field_count > 0)) {
        author.kind = MAIL_AUTHOR_SEVERAL_FIELDS;
        author.domain = STR("");
        author.doubt = MAIL_DOUBT_NONE;
    }
    if (hidden) {
        author.doubt = MAIL_DOUBT_HIDDEN_FIELD;
    }
    *author_out = author;
    return STATUS_OK;
}
