#include "mail/author_loose.h"

#include "mail/author.h"
#include "mail/encoded_word.h"
#include "mail/token.h"

/* What may follow the domain of an address at once, besides blanks and comments. */
#define ENDS_DOMAIN      STR("<>,;:)]\"")
/* What may follow an "@" behind which there is no domain. */
#define AROUND_NO_DOMAIN STR("<>,;:)")

struct reading {
    struct arena *arena;
    size_t most;
    struct str domain; /* in normal form; empty: none was seen yet */
    struct str written;
    struct mail_address_list list;
};

static bool
is_space(char c)
{
    return char_is_blank(c) || c == '\r' || c == '\n';
}

static struct str
skip_spaces(struct str s)
{
    size_t i = 0;
    while (i < s.n && is_space(s.p[i])) {
        i++;
    }
    return str_skip(s, i);
}

/* The domain at the beginning of *rest, without punctuation of ASCII at its end. */
static struct str
take_domain(struct str *rest)
{
    struct str start = *rest;
    struct str domain = mail_token_atom(rest, true);
    while (domain.n > 0) {
        char last = domain.p[domain.n - 1];
        if (char_is_alnum(last) || (unsigned char)last >= 0x80 || last == '_') {
            break;
        }
        domain.n--;
    }
    *rest = str_skip(start, domain.n);
    return domain;
}

/* RFC 5322 4.4 has blanks and comments between the labels of a domain: "a.example .b.example". */
static bool
goes_on(struct str behind)
{
    if (mail_token_skip_cfws(&behind) != STATUS_OK || behind.n == 0 || behind.p[0] != '.') {
        return false;
    }
    while (mail_token_char(&behind, '.')) {
        if (mail_token_skip_cfws(&behind) != STATUS_OK) {
            return true;
        }
    }
    return mail_token_atom(&behind, true).n > 0;
}

/* Dots to some readers of names: U+3002, U+FF0E, U+FF61 (RFC 3490 3.1). */
static bool
has_dressed_dot(struct str s)
{
    return str_find(s, STR("\xe3\x80\x82")) != STR_NPOS ||
           str_find(s, STR("\xef\xbc\x8e")) != STR_NPOS ||
           str_find(s, STR("\xef\xbd\xa1")) != STR_NPOS;
}

bool
mail_author_is_handle(struct str text, size_t at)
{
    struct str behind = str_skip(text, at + 1);
    bool touched = at > 0 && !is_space(text.p[at - 1]) && text.p[at - 1] != '(';
    if (touched || mail_token_skip_cfws(&behind) != STATUS_OK) {
        return false;
    }
    struct str name = take_domain(&behind);
    return !str_contains_char(name, '.') && !has_dressed_dot(name) && !goes_on(behind);
}

/* False when something stands behind a domain that may belong to it for somebody. */
static bool
is_end_of_domain(struct str behind)
{
    static const struct str punctuation = STR_INIT("!#$%&'*+-/=?^`{|}~");
    size_t i = 0;
    while (i < behind.n && str_contains_char(punctuation, behind.p[i])) {
        i++; /* what take_domain has left out */
    }
    behind = str_skip(behind, i);
    if (behind.n == 0 || str_contains_char(ENDS_DOMAIN, behind.p[0])) {
        return true;
    }
    bool ends = is_space(behind.p[0]) || str_contains_char(STR("(."), behind.p[0]);
    return ends && !goes_on(behind);
}

/* A quoted string that ends at text[end - 1], with its quotes. */
static struct str
quoted_before(struct str text, size_t end)
{
    size_t i = end - 1;
    while (i > 0) {
        i--;
        if (text.p[i] == '"' && (i == 0 || text.p[i - 1] != '\\')) {
            return str_make(text.p + i, end - i);
        }
    }
    return str_make(NULL, 0);
}

static bool
is_atext_or_dot(char c)
{
    struct str one = str_make(&c, 1);
    return mail_token_atom(&one, true).n == 1;
}

/* The local part before the "@" at text[at]; empty: none. */
static struct str
local_before(struct str text, size_t at)
{
    size_t end = at;
    while (end > 0 && is_space(text.p[end - 1])) {
        end--;
    }
    if (end > 0 && text.p[end - 1] == '"') {
        return quoted_before(text, end);
    }
    size_t start = end;
    while (start > 0 && is_atext_or_dot(text.p[start - 1])) {
        start--;
    }
    return str_make(text.p + start, end - start);
}

static enum status
add_mailbox(struct reading *reading, struct str local, struct str domain)
{
    struct mail_address_list *list = &reading->list;
    for (size_t i = 0; i < list->count; i++) {
        if (str_eq(list->items[i].local, local)) {
            return STATUS_OK;
        }
    }
    if (list->count == reading->most) {
        return STATUS_LIMIT;
    }
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 2;
        struct mail_mailbox *grown = arena_alloc_array(reading->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return STATUS_LIMIT;
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof *grown);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct mail_mailbox){.local = local, .domain = domain};
    return STATUS_OK;
}

/* STATUS_SYNTAX when it is another domain than the one before, or none. */
static enum status
take_same_domain(struct reading *reading, struct str domain)
{
    struct str normal;
    if (reading->written.n > 0 && str_eq_nocase(domain, reading->written)) {
        return STATUS_OK;
    }
    enum status status = mail_domain_normalize(reading->arena, domain, &normal);
    if (status != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (reading->domain.n > 0 && !str_eq(normal, reading->domain)) {
        return STATUS_SYNTAX;
    }
    reading->domain = normal;
    reading->written = domain;
    return STATUS_OK;
}

/* One "@". */
static enum status
read_at(struct reading *reading, struct str text, size_t at)
{
    struct str rest = str_skip(text, at + 1);
    if (mail_token_skip_cfws(&rest) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    struct str domain = take_domain(&rest);
    if (domain.n == 0) {
        return rest.n == 0 || str_contains_char(AROUND_NO_DOMAIN, rest.p[0]) ? STATUS_OK
                                                                             : STATUS_SYNTAX;
    }
    if (mail_author_is_handle(text, at)) {
        return STATUS_OK;
    }
    if (!is_end_of_domain(rest) || take_same_domain(reading, domain) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    struct str local = local_before(text, at);
    bool single_quotes = local.n > 1 && local.p[0] == '\'' && rest.n > 0 && rest.p[0] == '\'';
    local = str_skip(local, single_quotes ? 1 : 0);
    return local.n > 0 ? add_mailbox(reading, local, domain) : STATUS_OK;
}

static enum status
read_text(struct reading *reading, struct str text)
{
    /* "@" in other clothes: U+FF20, U+FE6B. */
    bool dressed = str_find(text, STR("\xef\xbc\xa0")) != STR_NPOS ||
                   str_find(text, STR("\xef\xb9\xab")) != STR_NPOS;
    enum status status = dressed ? STATUS_SYNTAX : STATUS_OK;
    for (size_t i = 0; i < text.n && status == STATUS_OK; i++) {
        if (text.p[i] == '@') {
            status = read_at(reading, text, i);
        }
    }
    return status;
}

enum status
mail_author_read_loosely(struct arena *arena, const struct mail_field *field, size_t most,
                         struct mail_address_list *list_out)
{
    struct reading reading = {.arena = arena, .most = most};
    struct str value = mail_field_unfold(arena, field);
    if (value.p == NULL) {
        return field->value.n > 0 ? STATUS_LIMIT : STATUS_SYNTAX;
    }
    enum status status = read_text(&reading, value);
    if (status == STATUS_OK && str_find(value, STR("=?")) != STR_NPOS) {
        /* A character of a one-octet set takes up to three in UTF-8. */
        struct str decoded = mail_text_decode(arena, value, 3 * value.n);
        status = decoded.p != NULL ? read_text(&reading, skip_spaces(decoded)) : STATUS_LIMIT;
    }
    if (status == STATUS_OK && reading.list.count == 0) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        *list_out = reading.list;
    }
    return status;
}
