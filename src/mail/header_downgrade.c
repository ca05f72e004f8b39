#include "mail/header_downgrade.h"

#include "mail/address_list.h"
#include "mail/fields.h"
#include "mail/header_words.h"
#include "mail/token.h"
#include "smtp/address.h"

/* Percent-encoded octets of a parameter on one line (RFC 2231 3). */
#define PARAMETER_LINE 60u

struct job {
    struct arena *arena;
    unsigned flags;
    struct buf *out;
    const char *why;
};

static enum status
deny(struct job *job, const char *why)
{
    job->why = why;
    return STATUS_DENIED;
}

/* ---- text for people (RFC 6857 3.1.1) */

static enum status
write_text(struct job *job, const struct mail_field *field, struct str prefix)
{
    struct header_words w;
    struct str text = mail_field_unfold(job->arena, field);
    if (text.p == NULL) {
        return STATUS_LIMIT;
    }
    header_words_begin(&w, job->out, prefix, field->name);
    header_words_text(&w, text);
    return header_words_end(&w);
}

static enum status
downgrade_text(struct job *job, const struct mail_field *field)
{
    return write_text(job, field, STR(""));
}

/* RFC 6857 3.1.10 and 3.2: a value that is of no use when it is encoded. */
static enum status
downgrade_by_name(struct job *job, const struct mail_field *field)
{
    if ((job->flags & MAIL_HEADER_DOWNGRADE_LOSSLESS) != 0) {
        return deny(job, "a field of its header must not be changed");
    }
    return write_text(job, field, STR("Downgraded-"));
}

/* ---- addresses (RFC 6857 3.1.2 to 3.1.8) */

/* A quoted string or comment without its marks and backslashes. */
static void
append_plain(struct buf *out, struct str octets)
{
    for (size_t i = 0; i < octets.n; i++) {
        char c = octets.p[i];
        if (c == '\\' && i + 1 < octets.n) {
            c = octets.p[++i];
        } else if (c == '"' || c == '\r' || c == '\n') {
            continue;
        }
        if (buf_append_char(out, c == '\t' ? ' ' : c) != STATUS_OK) {
            return;
        }
    }
}

/* A display name: as it is when it is ASCII, otherwise all of it in encoded words. */
static void
write_display(struct header_words *w, struct str display)
{
    struct buf plain;
    if (str_is_ascii(display)) {
        header_words_text(w, display);
        return;
    }
    buf_init(&plain, display.n + 1);
    append_plain(&plain, display);
    header_words_encode(w, str_trim(buf_str(&plain)));
    buf_free(&plain);
}

static bool
names_author(const struct mail_field *field)
{
    static const struct str names[] = {STR_INIT("From"), STR_INIT("Sender"), STR_INIT("Reply-To")};
    struct str name = field->name;
    if (str_starts_with_nocase(name, STR("Resent-"))) {
        name = str_skip(name, sizeof "Resent-" - 1);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* RFC 6857 3.1.8: "Name =?UTF-8?Q?local=40domain?= :;" */
static enum status
write_group(struct job *job, struct header_words *w, const struct mail_mailbox *mailbox,
            const struct mail_field *field)
{
    bool needs_leave = names_author(field) && (job->flags & MAIL_HEADER_DOWNGRADE_AUTHORS) == 0;
    if (needs_leave || (job->flags & MAIL_HEADER_DOWNGRADE_LOSSLESS) != 0) {
        return deny(job, "an address in its header is not ASCII");
    }
    struct str shown =
        arena_printf(job->arena, "%.*s@%.*s", STR_ARG(mailbox->local), STR_ARG(mailbox->domain));
    if (shown.p == NULL) {
        return STATUS_LIMIT;
    }
    if (mailbox->display.n > 0) {
        write_display(w, mailbox->display);
        shown = w->was_encoded ? arena_printf(job->arena, " %.*s", STR_ARG(shown)) : shown;
    }
    header_words_encode(w, shown);
    header_words_put(w, STR(":;"));
    return w->failed ? STATUS_LIMIT : STATUS_OK;
}

static enum status
write_mailbox(struct job *job, struct header_words *w, const struct mail_mailbox *mailbox,
              const struct mail_field *field)
{
    struct str domain = mailbox->domain;
    if (!str_is_ascii(mailbox->local) ||
        (!str_is_ascii(domain) &&
         smtp_domain_parse(job->arena, domain, SMTP_ADDRESS_UTF8, &domain) != STATUS_OK)) {
        return write_group(job, w, mailbox, field);
    }
    bool bare = mailbox->display.n == 0;
    if (!bare) {
        write_display(w, mailbox->display);
    }
    struct str text = arena_printf(job->arena, bare ? "%.*s@%.*s" : "<%.*s@%.*s>",
                                   STR_ARG(mailbox->local), STR_ARG(domain));
    if (text.p == NULL) {
        return STATUS_LIMIT;
    }
    header_words_put(w, text);
    return w->failed ? STATUS_LIMIT : STATUS_OK;
}

static enum status
downgrade_addresses(struct job *job, const struct mail_field *field)
{
    struct mail_address_list list;
    struct header_words w;
    enum status status = mail_address_list_parse(job->arena, field->value,
                                                 MAIL_HEADER_DOWNGRADE_MAILBOXES_MAX, &list);
    if (status == STATUS_SYNTAX) {
        return names_author(field) ? deny(job, "its author cannot be read")
                                   : downgrade_by_name(job, field);
    }
    if (status != STATUS_OK) {
        return status;
    }
    header_words_begin(&w, job->out, STR(""), field->name);
    for (size_t i = 0; status == STATUS_OK && i < list.count; i++) {
        if (i > 0) {
            header_words_stick(&w, STR(","));
        }
        status = write_mailbox(job, &w, &list.items[i], field);
    }
    if (list.count == 0) { /* a group without members, whose name was not ASCII */
        header_words_put(&w, STR("undisclosed-recipients:;"));
    }
    return status == STATUS_OK ? header_words_end(&w) : status;
}

/* ---- parameters of MIME fields (RFC 6857 3.1.7, RFC 2231) */

static bool
is_attribute_char(char c)
{
    return char_is_alnum(c) || (c > ' ' && str_contains_char(STR("!#$&+-.^_`{|}~"), c));
}

static bool
append_percent(struct buf *out, char c)
{
    return is_attribute_char(c)
               ? buf_append_char(out, c) == STATUS_OK
               : buf_printf(out, "%%%02X", (unsigned)(unsigned char)c) == STATUS_OK;
}

/* "name*0*=UTF-8''...; name*1*=..." */
static enum status
write_parameter(struct job *job, struct str name, struct str value)
{
    size_t section = 0;
    size_t i = 0;
    bool ok = true;
    while (ok && i < value.n) {
        size_t start = buf_length(job->out);
        ok = buf_printf(job->out, ";\r\n\t%.*s*%zu*=%s", STR_ARG(name), section++,
                        i == 0 ? "UTF-8''" : "") == STATUS_OK;
        while (ok && i < value.n && buf_length(job->out) - start < PARAMETER_LINE + name.n) {
            ok = append_percent(job->out, value.p[i++]);
        }
    }
    return ok ? STATUS_OK : STATUS_LIMIT;
}

static struct str
take_until(struct str *rest, struct str stops)
{
    size_t n = 0;
    while (n < rest->n && !str_contains_char(stops, rest->p[n])) {
        n++;
    }
    struct str taken = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return str_trim(taken);
}

/* One parameter behind its semicolon. STATUS_SYNTAX: it is none. */
static enum status
downgrade_parameter(struct job *job, struct str *rest)
{
    struct str quoted, value;
    if (mail_token_skip_cfws(rest) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (rest->n == 0) {
        return STATUS_OK;
    }
    struct str name = take_until(rest, STR("=;"));
    if (!mail_token_char(rest, '=') || mail_token_skip_cfws(rest) != STATUS_OK ||
        !mail_field_name_is_valid(name)) {
        return STATUS_SYNTAX;
    }
    enum status status = mail_token_quoted(rest, &quoted);
    value = status == STATUS_OK ? quoted : take_until(rest, STR(" \t\r\n;("));
    if (status == STATUS_SYNTAX || mail_token_skip_cfws(rest) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    if (str_is_ascii(value)) {
        return buf_printf(job->out, ";\r\n\t%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    }
    if (str_eq_nocase(name, STR("boundary")) || str_eq_nocase(name, STR("charset"))) {
        return deny(job, "a parameter of its content is not ASCII");
    }
    struct buf plain;
    buf_init(&plain, value.n + 1);
    append_plain(&plain, value);
    status = write_parameter(job, name, buf_str(&plain));
    buf_free(&plain);
    return status;
}

static enum status
downgrade_mime(struct job *job, const struct mail_field *field)
{
    struct str rest = field->value;
    enum status status = mail_token_skip_cfws(&rest);
    struct str kind = take_until(&rest, STR(" \t\r\n;("));
    if (status != STATUS_OK || !str_is_ascii(kind) || mail_token_skip_cfws(&rest) != STATUS_OK) {
        return deny(job, "it does not say clearly what it is");
    }
    status = buf_printf(job->out, "%.*s: %.*s", STR_ARG(field->name), STR_ARG(kind));
    while (status == STATUS_OK && mail_token_char(&rest, ';')) {
        status = downgrade_parameter(job, &rest);
    }
    if (status == STATUS_SYNTAX || (status == STATUS_OK && rest.n > 0)) {
        return deny(job, "a parameter of its content cannot be read");
    }
    return status == STATUS_OK ? buf_append(job->out, STR("\r\n")) : status;
}

/* ---- fields of trace: their form matters, and no reader decodes them */

static enum status
downgrade_trace(struct job *job, const struct mail_field *field)
{
    bool ok = true;
    if ((job->flags & MAIL_HEADER_DOWNGRADE_LOSSLESS) != 0) {
        return deny(job, "a field of its header must not be changed");
    }
    for (size_t i = 0; ok && i < field->raw.n; i++) {
        unsigned char c = (unsigned char)field->raw.p[i];
        if (c < 0x80) {
            ok = buf_append_char(job->out, (char)c) == STATUS_OK;
        } else if (c >= 0xc0) { /* the first octet of a character */
            ok = buf_append_char(job->out, '?') == STATUS_OK;
        }
    }
    return ok ? STATUS_OK : STATUS_LIMIT;
}

/* ---- which field is what; any other is text */

typedef enum status downgrade(struct job *, const struct mail_field *);

static const struct {
    struct str name; /* a dash at the end: all names that begin so */
    downgrade *how;
} kinds[] = {
    {STR_INIT("From"), downgrade_addresses},
    {STR_INIT("Sender"), downgrade_addresses},
    {STR_INIT("Reply-To"), downgrade_addresses},
    {STR_INIT("To"), downgrade_addresses},
    {STR_INIT("Cc"), downgrade_addresses},
    {STR_INIT("Bcc"), downgrade_addresses},
    {STR_INIT("Resent-Date"), downgrade_by_name},
    {STR_INIT("Resent-Message-ID"), downgrade_by_name},
    {STR_INIT("Resent-"), downgrade_addresses},
    {STR_INIT("Disposition-Notification-To"), downgrade_addresses},
    {STR_INIT("Mail-Followup-To"), downgrade_addresses},
    {STR_INIT("Date"), downgrade_by_name},
    {STR_INIT("Message-ID"), downgrade_by_name},
    {STR_INIT("In-Reply-To"), downgrade_by_name},
    {STR_INIT("References"), downgrade_by_name},
    {STR_INIT("Content-ID"), downgrade_by_name},
    {STR_INIT("List-"), downgrade_by_name},
    {STR_INIT("Original-Recipient"), downgrade_by_name},
    {STR_INIT("Content-Type"), downgrade_mime},
    {STR_INIT("Content-Disposition"), downgrade_mime},
    {STR_INIT("Content-Transfer-Encoding"), downgrade_trace},
    {STR_INIT("MIME-Version"), downgrade_trace},
    {STR_INIT("Received"), downgrade_trace},
    {STR_INIT("Received-"), downgrade_trace},
    {STR_INIT("Return-Path"), downgrade_trace},
    {STR_INIT("Delivered-To"), downgrade_trace},
    {STR_INIT("Authentication-Results"), downgrade_trace},
    {STR_INIT("ARC-"), downgrade_trace},
    {STR_INIT("DKIM-Signature"), downgrade_trace},
};

static downgrade *
kind_of(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool is_prefix = str_ends_with(kinds[i].name, STR("-"));
        if (is_prefix ? str_starts_with_nocase(name, kinds[i].name)
                      : str_eq_nocase(name, kinds[i].name)) {
            return kinds[i].how;
        }
    }
    return downgrade_text;
}

static enum status
downgrade_field(struct job *job, const struct mail_field *field)
{
    if (str_is_ascii(field->raw)) {
        return buf_append(job->out, field->raw);
    }
    if (field->id == MAIL_FIELD_BAD) {
        return deny(job, "its header has a line that is no field");
    }
    if (!str_is_utf8(field->raw) || str_contains_char(field->raw, '\0')) {
        return deny(job, "its header is not UTF-8");
    }
    return kind_of(field->name)(job, field);
}

enum status
mail_header_downgrade(struct arena *arena, struct str head, unsigned flags, struct buf *head_out,
                      const char **why_out)
{
    static const struct mail_head_limits limits = {SIZE_MAX, SIZE_MAX};
    struct job job = {.arena = arena, .flags = flags, .out = head_out};
    struct mail_head parsed;
    enum status status = mail_head_parse(arena, head, &limits, &parsed);
    for (size_t i = 0; status == STATUS_OK && i < parsed.field_count; i++) {
        status = downgrade_field(&job, &parsed.fields[i]);
    }
    if (status == STATUS_DENIED) {
        *why_out = job.why;
    }
    return status == STATUS_OK ? buf_append(head_out, STR("\r\n")) : status;
}
