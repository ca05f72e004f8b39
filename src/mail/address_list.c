#include "mail/address_list.h"

#include "mail/token.h"

/* Places for addresses at the start. */
#define FIRST_CAPACITY 4u

struct parser {
    struct arena *arena;
    struct str rest;
    size_t most;
    struct mail_address_list list;
};

static enum status
list_add(struct parser *parser, const struct mail_mailbox *mailbox)
{
    struct mail_address_list *list = &parser->list;
    if (list->count == parser->most) {
        return STATUS_LIMIT;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? FIRST_CAPACITY : 2 * list->capacity;
        struct mail_mailbox *grown = arena_alloc_array(parser->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return STATUS_LIMIT;
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof *grown);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = *mailbox;
    return STATUS_OK;
}

/* dot-atom-text: atoms with single dots between them. */
static bool
is_dot_atom(struct str s)
{
    return s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.' && str_find(s, STR("..")) == STR_NPOS;
}

/* dot-atom / quoted-string */
static enum status
parse_local(struct str *rest, struct str *local_out)
{
    enum status status = mail_token_quoted(rest, local_out);
    if (status == STATUS_NOT_FOUND) {
        *local_out = mail_token_atom(rest, true);
        status = is_dot_atom(*local_out) ? STATUS_OK : STATUS_SYNTAX;
    }
    return status;
}

/* dot-atom / domain-literal, then CFWS */
static enum status
parse_domain(struct str *rest, struct str *domain_out)
{
    if (mail_token_skip_cfws(rest) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (rest->n > 0 && rest->p[0] == '[') {
        size_t end = str_find_char(*rest, ']');
        if (end == STR_NPOS) {
            return STATUS_SYNTAX;
        }
        *domain_out = str_head(*rest, end + 1);
        *rest = str_skip(*rest, end + 1);
    } else {
        *domain_out = mail_token_atom(rest, true);
        if (!is_dot_atom(*domain_out)) {
            return STATUS_SYNTAX;
        }
    }
    return mail_token_skip_cfws(rest);
}

/* obs-route: "@a,@b:" before the address proper; *any_out tells whether there was one. */
static enum status
skip_route(struct str *rest, bool *any_out)
{
    struct str domain;
    bool any = false;
    while (mail_token_char(rest, '@')) {
        if (parse_domain(rest, &domain) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        while (mail_token_char(rest, ',')) {
            if (mail_token_skip_cfws(rest) != STATUS_OK) {
                return STATUS_SYNTAX;
            }
        }
        any = true;
    }
    if (any && (!mail_token_char(rest, ':') || mail_token_skip_cfws(rest) != STATUS_OK)) {
        return STATUS_SYNTAX;
    }
    *any_out = any;
    return STATUS_OK;
}

/* What follows "<". */
static enum status
parse_angle(struct parser *parser, struct str display)
{
    struct str *rest = &parser->rest;
    struct mail_mailbox mailbox = {.display = display};
    if (mail_token_skip_cfws(rest) != STATUS_OK || skip_route(rest, &mailbox.routed) != STATUS_OK ||
        parse_local(rest, &mailbox.local) != STATUS_OK || mail_token_skip_cfws(rest) != STATUS_OK ||
        !mail_token_char(rest, '@') || parse_domain(rest, &mailbox.domain) != STATUS_OK ||
        !mail_token_char(rest, '>') || mail_token_skip_cfws(rest) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    return list_add(parser, &mailbox);
}

/* What follows "@" in an address without angle brackets; `words` is all that stood before. */
static enum status
parse_plain(struct parser *parser, struct str words)
{
    struct mail_mailbox mailbox = {0};
    if (parse_local(&words, &mailbox.local) != STATUS_OK || words.n > 0 ||
        parse_domain(&parser->rest, &mailbox.domain) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    return list_add(parser, &mailbox);
}

/* Moves over the words of a display name or local part; *words_out ends with the last of them. */
static enum status
skip_words(struct str *rest, struct str *words_out)
{
    struct str start = *rest;
    *words_out = str_head(start, 0);
    for (;;) {
        struct str quoted;
        enum status status = mail_token_quoted(rest, &quoted);
        if (status == STATUS_NOT_FOUND && mail_token_atom(rest, true).n == 0) {
            return STATUS_OK;
        }
        *words_out = str_head(start, start.n - rest->n);
        if (status == STATUS_SYNTAX || mail_token_skip_cfws(rest) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
    }
}

/* A mailbox, or with `words` and ":" the beginning of a group, told by *group_out. */
static enum status
parse_address(struct parser *parser, bool *group_out)
{
    struct str words;
    *group_out = false;
    if (skip_words(&parser->rest, &words) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (mail_token_char(&parser->rest, '<')) {
        return parse_angle(parser, words);
    }
    if (words.n > 0 && mail_token_char(&parser->rest, '@')) {
        return parse_plain(parser, words);
    }
    if (words.n > 0 && mail_token_char(&parser->rest, ':')) {
        parser->list.group_count++;
        *group_out = true;
        return mail_token_skip_cfws(&parser->rest);
    }
    return STATUS_SYNTAX;
}

/* Skips commas, with nothing between them (RFC 5322 4.4); true when there was one. */
static bool
skip_commas(struct str *rest, enum status *status_out)
{
    bool any = false;
    *status_out = mail_token_skip_cfws(rest);
    while (*status_out == STATUS_OK && mail_token_char(rest, ',')) {
        *status_out = mail_token_skip_cfws(rest);
        any = true;
    }
    return any;
}

enum status
mail_address_list_parse(struct arena *arena, struct str value, size_t most,
                        struct mail_address_list *list_out)
{
    struct parser parser = {.arena = arena, .rest = value, .most = most};
    bool in_group = false;
    bool separated = true;
    enum status status;
    skip_commas(&parser.rest, &status);
    while (status == STATUS_OK && parser.rest.n > 0) {
        bool group = false;
        if (in_group && mail_token_char(&parser.rest, ';')) {
            in_group = false;
            separated = skip_commas(&parser.rest, &status);
            continue;
        }
        status = separated ? parse_address(&parser, &group) : STATUS_SYNTAX;
        if (status == STATUS_OK && group && in_group) {
            status = STATUS_SYNTAX; /* groups do not nest */
        }
        if (status == STATUS_OK) {
            in_group = in_group || group;
            separated = skip_commas(&parser.rest, &status) || group;
        }
    }
    if (status == STATUS_OK &&
        (in_group || (parser.list.count == 0 && parser.list.group_count == 0))) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        *list_out = parser.list;
    }
    return status;
}

enum status
mail_message_id_parse(struct str value, struct str *id_out)
{
    struct str rest = value;
    size_t at = 0;
    if (mail_token_skip_cfws(&rest) != STATUS_OK || rest.n == 0 || rest.p[0] != '<') {
        return STATUS_SYNTAX;
    }
    size_t end = str_find_char(rest, '>');
    if (end == STR_NPOS) {
        return STATUS_SYNTAX;
    }
    for (size_t i = 1; i < end; i++) {
        char c = rest.p[i];
        if ((c <= ' ' && (unsigned char)c < 0x80) || c == 0x7f || c == '<') {
            return STATUS_SYNTAX;
        }
        at = c == '@' ? i : at;
    }
    struct str after = str_skip(rest, end + 1);
    if (at <= 1 || at + 1 == end || mail_token_skip_cfws(&after) != STATUS_OK || after.n > 0) {
        return STATUS_SYNTAX;
    }
    *id_out = str_head(rest, end + 1);
    return STATUS_OK;
}
