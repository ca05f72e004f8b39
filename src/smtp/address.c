/* Mailboxes and paths, one function a grammar rule of RFC 5321 4.1.2. See address.h. */
#include "smtp/address.h"

/* What is still to be read; each rule takes its part from the front. */
struct scanner {
    struct arena *arena;
    struct str rest;
    unsigned flags;
};

static bool
scanner_at(const struct scanner *s, char c)
{
    return s->rest.n > 0 && s->rest.p[0] == c;
}

static bool
scanner_take(struct scanner *s, char c)
{
    if (!scanner_at(s, c)) {
        return false;
    }
    s->rest = str_skip(s->rest, 1);
    return true;
}

static bool
char_is_8bit(char c)
{
    return (unsigned char)c >= 0x80;
}

/* RFC 5322 3.2.3 atext, with UTF8-non-ascii of RFC 6531 3.3 (checked as a whole by local_check). */
static bool
char_is_atext(char c)
{
    return char_is_alnum(c) || char_is_8bit(c) ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/*
 * Local-part = Dot-string: the octets up to the first that cannot belong to it. Dots may stand
 * anywhere: address_finish writes in quotes what RFC 5321 has in quotes only.
 */
static enum status
scan_dot_string(struct scanner *s, struct str *local_out)
{
    size_t n = 0;
    while (n < s->rest.n && (char_is_atext(s->rest.p[n]) || s->rest.p[n] == '.')) {
        n++;
    }
    struct str local = str_head(s->rest, n);
    if (n == 0) {
        return STATUS_SYNTAX;
    }
    s->rest = str_skip(s->rest, n);
    *local_out = arena_str_dup(s->arena, local);
    return local_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* Local-part = Quoted-string; the result has no quotes and no backslashes. */
static enum status
scan_quoted_string(struct scanner *s, struct str *local_out)
{
    char *text = arena_alloc(s->arena, s->rest.n);
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    size_t n = 0;
    size_t i = 1; /* behind the opening quote */
    while (i < s->rest.n && s->rest.p[i] != '"') {
        bool pair = s->rest.p[i] == '\\';
        if (pair && ++i == s->rest.n) {
            return STATUS_SYNTAX;
        }
        char c = s->rest.p[i++];
        /* qtextSMTP is printable; a quoted pair is a backslash and a printable ASCII character. */
        if ((unsigned char)c < ' ' || c == 0x7f || (pair && char_is_8bit(c))) {
            return STATUS_SYNTAX;
        }
        text[n++] = c;
    }
    if (i == s->rest.n) {
        return STATUS_SYNTAX;
    }
    s->rest = str_skip(s->rest, i + 1);
    *local_out = str_make(text, n);
    return STATUS_OK;
}

/* C1 control characters (U+0080 to U+009F) pass UTF-8 but have no place in an address. */
static bool
has_c1_control(struct str s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if ((unsigned char)s.p[i] == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) {
            return true;
        }
    }
    return false;
}

static enum status
local_check(const struct scanner *s, struct str local, size_t written)
{
    if (!str_is_ascii(local)) {
        if ((s->flags & SMTP_ADDRESS_UTF8) == 0) {
            return STATUS_DENIED;
        }
        if (!str_is_utf8(local) || has_c1_control(local)) {
            return STATUS_SYNTAX;
        }
    }
    bool fits = written <= SMTP_LOCAL_PART_MAX || (s->flags & SMTP_ADDRESS_LONG_LOCAL) != 0;
    return fits ? STATUS_OK : STATUS_LIMIT;
}

static bool
local_needs_quotes(struct str local)
{
    bool dots_fit = local.n > 0 && local.p[0] != '.' && local.p[local.n - 1] != '.' &&
                    str_find(local, STR("..")) == STR_NPOS;
    for (size_t i = 0; dots_fit && i < local.n; i++) {
        dots_fit = char_is_atext(local.p[i]) || local.p[i] == '.';
    }
    return !dots_fit;
}

static enum status
scan_local_part(struct scanner *s, struct str *local_out)
{
    size_t before = s->rest.n;
    struct str local;
    enum status status =
        scanner_at(s, '"') ? scan_quoted_string(s, &local) : scan_dot_string(s, &local);
    if (status == STATUS_OK) {
        size_t written = before - s->rest.n;
        /* As it will be written: with the quotes that its dots need. */
        bool quotes_come = local.n == written && local_needs_quotes(local);
        status = local_check(s, local, written + (quotes_come ? 2 : 0));
    }
    if (status == STATUS_OK) {
        *local_out = local;
    }
    return status;
}

/* Domain or address-literal: up to `,`, `:`, `>` or a blank, none of which a domain can hold. */
static struct str
scan_domain_text(struct scanner *s)
{
    size_t n = 0;
    if (scanner_at(s, '[')) {
        size_t end = str_find_char(s->rest, ']');
        n = end != STR_NPOS ? end + 1 : s->rest.n;
    } else {
        while (n < s->rest.n && strchr(",:> \t", s->rest.p[n]) == NULL) {
            n++;
        }
    }
    struct str text = str_head(s->rest, n);
    s->rest = str_skip(s->rest, n);
    return text;
}

static enum status
scan_domain(struct scanner *s, struct smtp_address *address)
{
    bool is_literal = scanner_at(s, '[');
    struct str text = scan_domain_text(s);
    if (!is_literal) {
        address->kind = SMTP_DOMAIN_NAME;
        unsigned flags = s->flags | SMTP_ADDRESS_UNDERSCORE;
        return text.n > 0 ? smtp_domain_parse(s->arena, text, flags, &address->domain)
                          : STATUS_SYNTAX;
    }
    address->kind = SMTP_DOMAIN_LITERAL;
    enum status status = smtp_literal_parse(text, &address->literal);
    if (status == STATUS_OK) {
        address->domain = smtp_literal_format(s->arena, &address->literal);
        status = address->domain.p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    return status;
}

/* The shortest spelling of a local part at p, which has room for 2 * local.n + 2; its length. */
static size_t
local_write(char *p, struct str local)
{
    if (!local_needs_quotes(local)) {
        memcpy(p, local.p, local.n);
        return local.n;
    }
    size_t n = 0;
    p[n++] = '"';
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\') {
            p[n++] = '\\';
        }
        p[n++] = local.p[i];
    }
    p[n++] = '"';
    return n;
}

/* Fills text and utf8 from local and domain. */
static enum status
address_finish(struct arena *arena, struct smtp_address *address)
{
    char *text = arena_alloc(arena, 2 * address->local.n + 3 + address->domain.n);
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    size_t n = local_write(text, address->local);
    if (address->kind != SMTP_DOMAIN_NONE) {
        text[n++] = '@';
        memcpy(text + n, address->domain.p, address->domain.n);
        n += address->domain.n;
    }
    if (n > SMTP_PATH_MAX - 2) {
        return STATUS_LIMIT;
    }
    address->text = str_make(text, n);
    address->utf8 = !str_is_ascii(address->local);
    return STATUS_OK;
}

static enum status
scan_mailbox(struct scanner *s, struct smtp_address *address_out)
{
    struct smtp_address address = {.kind = SMTP_DOMAIN_NONE};
    enum status status = scan_local_part(s, &address.local);
    if (status != STATUS_OK) {
        return status;
    }
    if (scanner_take(s, '@')) {
        status = scan_domain(s, &address);
    } else if ((s->flags & SMTP_ADDRESS_POSTMASTER) == 0 ||
               !str_eq_nocase(address.local, STR("postmaster"))) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        status = address_finish(s->arena, &address);
    }
    if (status == STATUS_OK) {
        *address_out = address;
    }
    return status;
}

enum status
smtp_mailbox_parse(struct arena *arena, struct str s, unsigned flags,
                   struct smtp_address *address_out)
{
    if (s.n > SMTP_PATH_MAX - 2) {
        return STATUS_LIMIT;
    }
    struct scanner scanner = {arena, s, flags};
    struct smtp_address address;
    enum status status = scan_mailbox(&scanner, &address);
    if (status == STATUS_OK && scanner.rest.n > 0) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        *address_out = address;
    }
    return status;
}

/* A-d-l ":" : RFC 5321 4.1.1.3 lets us ignore it, but not skip its grammar. */
static enum status
scan_source_route(struct scanner *s)
{
    struct smtp_address hop;
    do {
        if (!scanner_take(s, '@')) {
            return STATUS_SYNTAX;
        }
        enum status status = scan_domain(s, &hop);
        if (status != STATUS_OK) {
            return status;
        }
    } while (scanner_take(s, ','));
    return scanner_take(s, ':') ? STATUS_OK : STATUS_SYNTAX;
}

/* Behind the "<", up to and with the ">". */
static enum status
scan_path(struct scanner *s, struct smtp_address *address_out)
{
    if ((s->flags & SMTP_ADDRESS_NULL) != 0 && scanner_take(s, '>')) {
        *address_out = (struct smtp_address){.kind = SMTP_DOMAIN_NONE};
        return STATUS_OK;
    }
    enum status status = scanner_at(s, '@') ? scan_source_route(s) : STATUS_OK;
    if (status == STATUS_OK) {
        status = scan_mailbox(s, address_out);
    }
    if (status == STATUS_OK && !scanner_take(s, '>')) {
        status = STATUS_SYNTAX;
    }
    return status;
}

enum status
smtp_path_parse(struct arena *arena, struct str s, unsigned flags, struct smtp_address *address_out,
                struct str *rest_out)
{
    struct scanner scanner = {arena, s, flags};
    struct smtp_address address;
    enum status status = STATUS_SYNTAX;
    size_t brackets = 0;
    if (scanner_take(&scanner, '<')) {
        status = scan_path(&scanner, &address);
    } else if ((flags & SMTP_ADDRESS_UNBRACKETED) != 0) {
        status = scan_mailbox(&scanner, &address);
        brackets = 2;
    }
    if (status == STATUS_OK && scanner.rest.n > 0 && !char_is_blank(scanner.rest.p[0])) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK && s.n - scanner.rest.n + brackets > SMTP_PATH_MAX) {
        status = STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        *address_out = address;
        *rest_out = scanner.rest;
    }
    return status;
}

enum status
smtp_address_make(struct arena *arena, struct str local, struct str domain,
                  struct smtp_address *address_out)
{
    for (size_t i = 0; i < local.n; i++) {
        if ((unsigned char)local.p[i] < ' ' || local.p[i] == 0x7f) {
            return STATUS_SYNTAX;
        }
    }
    if (local.n == 0 || domain.n == 0 || !str_is_utf8(local) || has_c1_control(local)) {
        return STATUS_SYNTAX;
    }
    struct smtp_address address = {.kind = SMTP_DOMAIN_NAME};
    if (domain.p[0] == '[') {
        address.kind = SMTP_DOMAIN_LITERAL;
        enum status status = smtp_literal_parse(domain, &address.literal);
        if (status != STATUS_OK) {
            return status;
        }
    }
    address.local = arena_str_dup(arena, local);
    address.domain = arena_str_dup(arena, domain);
    if (address.local.p == NULL || address.domain.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = address_finish(arena, &address);
    if (status == STATUS_OK) {
        *address_out = address;
    }
    return status;
}

bool
smtp_address_fits(struct str text, struct str pattern)
{
    char plain[SMTP_PATH_MAX];
    size_t at = str_rfind_char(text, '@');
    if (str_fits(text, pattern)) {
        return true;
    }
    if (at == STR_NPOS || at < 3 || text.n > sizeof plain || text.p[0] != '"' ||
        text.p[at - 1] != '"') {
        return false;
    }
    struct str local = str_make(text.p + 1, at - 2);
    for (size_t i = 0; i < local.n; i++) {
        if (!char_is_atext(local.p[i]) && local.p[i] != '.') {
            return false;
        }
    }
    memcpy(plain, local.p, local.n);
    memcpy(plain + local.n, text.p + at, text.n - at);
    return str_fits(str_make(plain, text.n - 2), pattern);
}

bool
smtp_address_eq(const struct smtp_address *a, const struct smtp_address *b)
{
    return str_eq(a->local, b->local) && str_eq(a->domain, b->domain);
}

bool
smtp_address_is_null(const struct smtp_address *address)
{
    return address->text.n == 0;
}

bool
smtp_address_is_postmaster(const struct smtp_address *address)
{
    return str_eq_nocase(address->local, STR("postmaster"));
}

enum status
smtp_address_dup(struct arena *arena, const struct smtp_address *address,
                 struct smtp_address *copy_out)
{
    struct smtp_address copy = *address;
    copy.text = arena_str_dup(arena, address->text);
    copy.local = arena_str_dup(arena, address->local);
    copy.domain = arena_str_dup(arena, address->domain);
    if (copy.text.p == NULL || copy.local.p == NULL || copy.domain.p == NULL) {
        return STATUS_LIMIT;
    }
    *copy_out = copy;
    return STATUS_OK;
}
