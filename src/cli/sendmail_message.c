#include "cli/sendmail_message.h"

#include "mail/address_list.h"
#include "mail/fields.h"
#include "smtp/address.h"

/* A header section beyond these is not read for recipients or a From field; see limits.header_size,
 * which bounds what the server takes. */
#define HEADER_OCTETS_MAX (16u << 20)
#define HEADER_FIELDS_MAX 100000u

/* ---- lines */

enum status
sendmail_lines(struct str input, bool dots_are_text, struct buf *out)
{
    bool first = true;
    while (input.n > 0) {
        struct str line;
        str_cut(input, '\n', &line, &input);
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        if (!dots_are_text && str_eq(line, STR("."))) {
            break;
        }
        bool mbox = first && str_starts_with(line, STR("From "));
        first = false;
        if (mbox) {
            continue;
        }
        if (buf_append(out, line) != STATUS_OK || buf_append(out, STR("\r\n")) != STATUS_OK) {
            return STATUS_LIMIT;
        }
    }
    return STATUS_OK;
}

/* ---- header */

static enum status
read_head(struct arena *arena, struct str message, struct mail_head *head_out)
{
    struct mail_head_limits limits = {HEADER_OCTETS_MAX, HEADER_FIELDS_MAX};
    return mail_head_parse(arena, message, &limits, head_out);
}

/*
 * How many fields the header has: it ends at the first line that cannot have been meant as one.
 * What follows is text, whatever it looks like. Lines with a colon are left for the server to mend.
 */
static size_t
field_count(const struct mail_head *head)
{
    size_t n = 0;
    while (n < head->field_count &&
           (head->fields[n].id != MAIL_FIELD_BAD || str_contains_char(head->fields[n].raw, ':'))) {
        n++;
    }
    return n;
}

static bool
has_from(const struct mail_head *head)
{
    size_t const fields = field_count(head);
    for (size_t i = 0; i < fields; i++) {
        if (head->fields[i].id == MAIL_FIELD_FROM) {
            return true;
        }
    }
    return false;
}

static enum status
append_quoted(struct buf *out, struct str text)
{
    enum status status = buf_append_char(out, '"');
    for (size_t i = 0; i < text.n && status == STATUS_OK; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < ' ' || c == 0x7f) {
            continue;
        }
        if (c == '"' || c == '\\') {
            status = buf_append_char(out, '\\');
        }
        status = status == STATUS_OK ? buf_append_char(out, text.p[i]) : status;
    }
    return status == STATUS_OK ? buf_append_char(out, '"') : status;
}

/* Letters beyond ASCII become encoded words at the server (RFC 2047). */
static enum status
append_from(struct buf *out, struct str name, struct str address)
{
    enum status status = buf_append(out, STR("From: "));
    if (status == STATUS_OK && name.n > 0) {
        status = append_quoted(out, name);
        status = status == STATUS_OK ? buf_append_char(out, ' ') : status;
    }
    return status == STATUS_OK ? buf_printf(out, "<%.*s>\r\n", STR_ARG(address)) : status;
}

enum status
sendmail_complete(struct arena *arena, struct str message, struct str name, struct str address,
                  struct buf *out)
{
    struct mail_head head;
    enum status status = read_head(arena, message, &head);
    if (status != STATUS_OK) {
        return status;
    }
    size_t const fields = field_count(&head);
    size_t const body = fields < head.field_count ? head.fields[fields].offset : head.raw.n;
    bool ended = body >= 2 && str_ends_with(str_head(message, body), STR("\r\n")) &&
                 head.anomalies[MAIL_ANOMALY_NO_END].count == 0 && body == head.raw.n;
    if (!has_from(&head)) {
        status = append_from(out, name, address);
    }
    status = status == STATUS_OK ? buf_append(out, str_head(message, body)) : status;
    if (status == STATUS_OK && !ended) {
        status = buf_append(out, STR("\r\n"));
    }
    return status == STATUS_OK ? buf_append(out, str_skip(message, body)) : status;
}

/* ---- recipients */

static enum status
add_address(struct arena *arena, struct str address, struct sendmail_recipients *recipients)
{
    struct smtp_address parsed;
    enum status status =
        smtp_mailbox_parse(arena, address, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL, &parsed);
    if (status != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    for (size_t i = 0; i < recipients->count; i++) {
        if (str_eq(recipients->items[i], parsed.text)) {
            return STATUS_OK;
        }
    }
    if (recipients->count == SENDMAIL_RECIPIENTS_MAX) {
        return STATUS_LIMIT;
    }
    if (recipients->items == NULL) {
        recipients->items =
            arena_alloc_array(arena, SENDMAIL_RECIPIENTS_MAX, sizeof *recipients->items);
    }
    if (recipients->items == NULL) {
        return STATUS_LIMIT;
    }
    recipients->items[recipients->count++] = parsed.text;
    return STATUS_OK;
}

/* One or several whole addresses, in whatever form a header field has them. */
static enum status
add_list(struct arena *arena, struct str text, struct sendmail_recipients *recipients)
{
    struct mail_address_list list;
    enum status status = mail_address_list_parse(arena, text, SENDMAIL_RECIPIENTS_MAX, &list);
    for (size_t i = 0; status == STATUS_OK && i < list.count; i++) {
        struct str address = arena_printf(arena, "%.*s@%.*s", STR_ARG(list.items[i].local),
                                          STR_ARG(list.items[i].domain));
        status = address.p != NULL ? add_address(arena, address, recipients) : STATUS_LIMIT;
    }
    return status;
}

/* "root" and "Root <root>" with the domain put in; what they are not becomes nothing valid. */
static struct str
with_domain(struct arena *arena, struct str text, struct str domain)
{
    size_t angle = str_rfind_char(text, '>');
    size_t end = angle != STR_NPOS ? angle : text.n;
    return arena_printf(arena, "%.*s@%.*s%.*s", STR_ARG(str_head(text, end)), STR_ARG(domain),
                        STR_ARG(str_skip(text, end)));
}

/* "root (the operator)": a comment behind a name; the name alone. */
static struct str
without_comment(struct str text)
{
    size_t open = str_find_char(text, '(');
    bool comment = open != STR_NPOS && text.n > 0 && text.p[text.n - 1] == ')';
    return comment ? str_trim(str_head(text, open)) : text;
}

static enum status
add_one(struct arena *arena, struct str text, struct str domain,
        struct sendmail_recipients *recipients)
{
    enum status status = add_list(arena, text, recipients);
    if (status != STATUS_SYNTAX) {
        return status;
    }
    struct str whole = with_domain(arena, without_comment(text), domain);
    return whole.p != NULL ? add_list(arena, whole, recipients) : STATUS_LIMIT;
}

/* The next place of a list: up to a comma outside quotes, comments and angle brackets. */
static struct str
cut_place(struct str *rest)
{
    bool quoted = false;
    int depth = 0;
    size_t i = 0;
    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '(' || c == '<')) {
            depth++;
        } else if (!quoted && (c == ')' || c == '>')) {
            depth--;
        } else if (!quoted && depth <= 0 && c == ',') {
            break;
        }
    }
    struct str place = str_trim(str_head(*rest, i < rest->n ? i : rest->n));
    *rest = str_skip(*rest, i + 1);
    return place;
}

enum status
sendmail_add_recipients(struct arena *arena, struct str text, struct str domain,
                        struct sendmail_recipients *recipients, struct str *wrong_out)
{
    struct sendmail_recipients const before = *recipients;
    enum status status = add_list(arena, text, recipients);
    if (status != STATUS_SYNTAX) {
        return status;
    }
    recipients->count = before.count;
    struct str rest = text;
    status = STATUS_OK;
    while (status == STATUS_OK && rest.n > 0) {
        struct str place = cut_place(&rest);
        if (place.n == 0) {
            continue;
        }
        status = add_one(arena, place, domain, recipients);
        if (status == STATUS_SYNTAX) {
            *wrong_out = place;
        }
    }
    if (status == STATUS_OK && recipients->count == before.count && str_trim(text).n == 0) {
        *wrong_out = text;
        return STATUS_SYNTAX;
    }
    return status;
}

static bool
is_resent(const struct mail_field *field)
{
    return str_eq_nocase(field->name, STR("Resent-To")) ||
           str_eq_nocase(field->name, STR("Resent-Cc")) || field->id == MAIL_FIELD_RESENT_BCC;
}

static bool
is_recipients_field(const struct mail_field *field)
{
    return field->id == MAIL_FIELD_TO || field->id == MAIL_FIELD_CC || field->id == MAIL_FIELD_BCC;
}

enum status
sendmail_header_recipients(struct arena *arena, struct str message, struct str domain,
                           struct sendmail_recipients *recipients, struct str *wrong_out)
{
    struct mail_head head;
    bool resent = false;
    enum status status = read_head(arena, message, &head);
    size_t const fields = status == STATUS_OK ? field_count(&head) : 0;
    for (size_t i = 0; i < fields; i++) {
        resent = resent || is_resent(&head.fields[i]);
    }
    for (size_t i = 0; status == STATUS_OK && i < fields; i++) {
        const struct mail_field *field = &head.fields[i];
        bool counts = resent ? is_resent(field) : is_recipients_field(field);
        struct str value = counts ? mail_field_unfold(arena, field) : STR("");
        if (value.n > 0) {
            status = sendmail_add_recipients(arena, value, domain, recipients, wrong_out);
        }
    }
    return status;
}
