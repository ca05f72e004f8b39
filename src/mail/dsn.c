#include "mail/dsn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/show.h"

/* Everything but the returned original: bounded by the recipients' texts. */
#define TEXT_CEILING   (8u * 1024u * 1024u)
/* A quoted text is cut here: one line stays well below RFC 5322's 998 octets. */
#define QUOTED_MAX     600u
/* A host's name. */
#define REMOTE_MAX     255u
/* Recipients in the part that people read; the delivery-status part has all. */
#define LISTED_MAX     50u
/* Header section that is returned when the whole message is not. */
#define HEADERS_MAX    (64u * 1024u)
#define BOUNDARY_TRIES 100u

struct composer {
    const struct dsn_request *request;
    struct buf out;
    bool failed; /* the ceiling was hit */
    bool utf8;   /* octets above 127 are kept */
    struct arena *arena;
    struct str boundary;
};

/* ---- writing */

static void
put(struct composer *c, struct str s)
{
    if (buf_append(&c->out, s) != STATUS_OK) {
        c->failed = true;
    }
}

static void __attribute__((format(printf, 2, 3))) putf(struct composer *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (buf_vprintf(&c->out, format, args) != STATUS_OK) {
        c->failed = true;
    }
    va_end(args);
}

/* Text from outside: no line end, no control character, at most QUOTED_MAX octets. */
static void
put_quoted(struct composer *c, struct str s)
{
    bool keep_high = c->utf8 && str_is_utf8(s);
    size_t most = s.n < QUOTED_MAX ? s.n : QUOTED_MAX;
    /* Not in the middle of a UTF-8 sequence. */
    while (keep_high && most < s.n && most > 0 && ((unsigned char)s.p[most] & 0xc0) == 0x80) {
        most--;
    }
    s = str_head(s, most);
    while (s.n > 0) {
        uint32_t code = 0;
        size_t n = keep_high || (unsigned char)s.p[0] < 0x80 ? show_character(s, &code) : 1;
        if (n > 0 && code > 0 && show_length(s) > 0) {
            put(c, str_head(s, n));
        } else if (n > 1) {
            putf(c, "\\x{%X}", (unsigned)code); /* RFC 6533 3 */
        } else {
            put(c, s.p[0] == '\t' ? STR(" ") : STR("?"));
            n = 1;
        }
        s = str_skip(s, n);
    }
}

static void
put_date(struct composer *c, const char *field, int64_t wall_ms)
{
    struct str date = clock_format_rfc5322(c->arena, wall_ms);
    c->failed = c->failed || date.p == NULL;
    putf(c, "%s: %.*s\r\n", field, STR_ARG(date));
}

/* ---- what is said */

static struct str
subject_of(const struct dsn_request *q)
{
    if (q->why_postmaster.n > 0) {
        return STR("Undelivered: a message whose sender is not told");
    }
    switch (q->kind) {
    case DSN_DELAY:
        return STR("Delayed: your message has not been delivered yet");
    case DSN_SUCCESS:
        return STR("Delivered: your message has reached its destination");
    case DSN_FAILURE:
        break;
    }
    return STR("Undelivered: your message could not be delivered");
}

/* Whether nothing is going to happen by itself. */
static bool
all_wait_for_somebody(const struct dsn_request *q)
{
    for (size_t i = 0; i < q->recipient_count; i++) {
        if (q->recipients[i].retry_until_ms > 0) {
            return false;
        }
    }
    return true;
}

static const char *
intro_of(const struct dsn_request *q)
{
    if (q->why_postmaster.n > 0) {
        return "a message could not be delivered to the recipients below, and its sender is\r\n"
               "not told. You get this notice so that it does not go unseen.\r\n";
    }
    switch (q->kind) {
    case DSN_DELAY:
        if (all_wait_for_somebody(q)) {
            return "your message could not be delivered yet to the recipients below.\r\n"
                   "It waits for the administrators of this system.\r\n";
        }
        return "your message could not be delivered yet to the recipients below.\r\n"
               "You need not send it again: further attempts will be made.\r\n";
    case DSN_SUCCESS:
        return "as you asked, this tells that your message was delivered to the recipients\r\n"
               "below. Where it says \"relayed\", the next system does not confirm delivery.\r\n";
    case DSN_FAILURE:
        break;
    }
    return "your message could not be delivered to the recipients below.\r\n"
           "No further attempts will be made for them.\r\n";
}

static const char *
action_name(enum dsn_action action)
{
    switch (action) {
    case DSN_DELAYED:
        return "delayed";
    case DSN_DELIVERED:
        return "delivered";
    case DSN_RELAYED:
        return "relayed";
    case DSN_FAILED:
        break;
    }
    return "failed";
}

/* "5.1.1": a class that fits, and numbers of one to three digits (RFC 3463 2). */
static bool
status_is_valid(struct str status, char class)
{
    size_t digits = 0;
    unsigned dots = 0;
    if (status.n < 5 || status.p[0] != class || status.p[1] != '.') {
        return false;
    }
    for (size_t i = 2; i < status.n; i++) {
        if (status.p[i] == '.') {
            dots++;
            if (digits == 0) {
                return false;
            }
            digits = 0;
        } else if (!char_is_digit(status.p[i]) || ++digits > 3) {
            return false;
        }
    }
    return dots == 1 && digits > 0;
}

static struct str
status_of(const struct dsn_recipient *r)
{
    if (r->expired) {
        bool known = status_is_valid(r->status, '4') || status_is_valid(r->status, '5');
        /* What went wrong says more than RFC 3463 3.5: delivery time expired. */
        return known ? r->status : STR("4.4.7");
    }
    switch (r->action) {
    case DSN_DELAYED:
        return status_is_valid(r->status, '4') ? r->status : STR("4.0.0");
    case DSN_DELIVERED:
    case DSN_RELAYED:
        return status_is_valid(r->status, '2') ? r->status : STR("2.0.0");
    case DSN_FAILED:
        break;
    }
    return status_is_valid(r->status, '5') ? r->status : STR("5.0.0");
}

/* "550 5.1.1 text", as the remote server said it. */
static void
put_reply(struct composer *c, const struct dsn_recipient *r)
{
    if (r->code != 0) {
        putf(c, "%u ", (unsigned)r->code);
        if (r->status.n > 0) {
            put_quoted(c, str_head(r->status, 12));
            put(c, STR(" "));
        }
    }
    put_quoted(c, r->text);
}

/* How hard it was tried. */
static void
put_effort(struct composer *c, const struct dsn_recipient *r)
{
    if (r->expired && !r->untried) {
        put(c, STR("    It was tried for as long as is allowed.\r\n"));
    } else if (r->expired && r->text.n > 0) {
        put(c, STR("    It was never tried: its destination could not be reached for as long as\r\n"
                   "    is allowed.\r\n"));
    } else if (r->expired) {
        put(c, STR("    It was never tried: its turn did not come for as long as is allowed.\r\n"));
    } else if (r->untried && r->action == DSN_DELAYED && r->text.n > 0) {
        put(c, STR("    It was not tried yet: its destination cannot be reached.\r\n"));
    }
}

static void
put_for_people(struct composer *c, const struct dsn_recipient *r)
{
    put(c, STR("\r\n<"));
    put_quoted(c, r->original.n > 0 ? r->original : r->address);
    put(c, STR(">"));
    if (r->original.n > 0 && !str_eq(r->original, r->address)) {
        put(c, STR(" (sent on to <"));
        put_quoted(c, r->address);
        put(c, STR(">)"));
    }
    putf(c, ": %s\r\n", action_name(r->action));
    put_effort(c, r);
    if (r->remote.n > 0 && r->code != 0) {
        put(c, STR("    "));
        put_quoted(c, str_head(r->remote, REMOTE_MAX));
        put(c, STR(" said: "));
        put_reply(c, r);
        put(c, STR("\r\n"));
    } else if (r->text.n > 0) {
        put(c, STR("    "));
        put_reply(c, r);
        put(c, STR("\r\n"));
    }
    if (r->action == DSN_DELAYED && r->retry_until_ms > 0) {
        put_date(c, "    It will be tried until", r->retry_until_ms);
    }
}

static void
put_part_start(struct composer *c, const char *description, const char *type)
{
    putf(c, "\r\n--%.*s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", STR_ARG(c->boundary),
         description, type);
    putf(c, "Content-Transfer-Encoding: %s\r\n\r\n", c->utf8 ? "8bit" : "7bit");
}

static void
put_text_part(struct composer *c)
{
    const struct dsn_request *q = c->request;
    put_part_start(c, "Notification",
                   c->utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii");
    putf(c, "This is the mail system of %.*s:\r\n%s", STR_ARG(q->hostname), intro_of(q));
    if (q->why_postmaster.n > 0) {
        put(c, STR("\r\nSender: <"));
        put_quoted(c, q->original_sender);
        putf(c, ">\r\nWhy:    %.*s\r\n", STR_ARG(q->why_postmaster));
    }
    size_t listed = q->recipient_count < LISTED_MAX ? q->recipient_count : LISTED_MAX;
    for (size_t i = 0; i < listed; i++) {
        put_for_people(c, &q->recipients[i]);
    }
    if (listed < q->recipient_count) {
        putf(c, "\r\nand %zu more; the attached report lists them.\r\n",
             q->recipient_count - listed);
    }
    putf(c, "\r\nWhen you ask for help, please name this message: %.*s\r\n", STR_ARG(q->about_id));
}

/* ---- the machine-readable part */

/* ORCPT comes as "type;xtext" (RFC 3461 4.2); the report has it decoded. */
static void
put_orcpt(struct composer *c, struct str orcpt)
{
    static const char digits[] = "0123456789ABCDEF";
    struct buf decoded;
    buf_init(&decoded, 1024);
    for (size_t i = 0; i < orcpt.n && !c->failed; i++) {
        char octet = orcpt.p[i];
        const char *high = octet == '+' && i + 2 < orcpt.n ? strchr(digits, orcpt.p[i + 1]) : NULL;
        const char *low = high != NULL ? strchr(digits, orcpt.p[i + 2]) : NULL;
        if (low != NULL && *high != '\0' && *low != '\0') {
            octet = (char)((high - digits) << 4 | (low - digits));
            i += 2;
        }
        c->failed = buf_append_char(&decoded, octet) != STATUS_OK;
    }
    put(c, STR("Original-Recipient: "));
    put_quoted(c, buf_str(&decoded));
    put(c, STR("\r\n"));
    buf_free(&decoded);
}

static void
put_recipient_fields(struct composer *c, const struct dsn_recipient *r)
{
    struct str status = status_of(r);
    put(c, STR("\r\n"));
    if (r->orcpt.n > 0) {
        put_orcpt(c, r->orcpt);
    }
    /* RFC 6533 3: an address in UTF-8 has the type utf-8 */
    putf(c, "Final-Recipient: %s; ", str_is_ascii(r->address) ? "rfc822" : "utf-8");
    put_quoted(c, r->address);
    putf(c, "\r\nAction: %s\r\nStatus: %.*s\r\n", action_name(r->action), STR_ARG(status));
    if (r->remote.n > 0) {
        put(c, STR("Remote-MTA: dns; "));
        put_quoted(c, str_head(r->remote, REMOTE_MAX));
        put(c, STR("\r\n"));
    }
    if (r->text.n > 0 || r->code != 0) {
        /* RFC 3464 2.3.6: "smtp" only for what an SMTP server said */
        putf(c, "Diagnostic-Code: %s; ", r->code != 0 ? "smtp" : "x-postern");
        put_reply(c, r);
        put(c, STR("\r\n"));
    }
    if (r->attempt_ms > 0) {
        put_date(c, "Last-Attempt-Date", r->attempt_ms);
    }
    if (r->action == DSN_DELAYED && r->retry_until_ms > 0) {
        put_date(c, "Will-Retry-Until", r->retry_until_ms);
    }
}

static void
put_status_part(struct composer *c)
{
    const struct dsn_request *q = c->request;
    put_part_start(c, "Delivery report",
                   c->utf8 ? "message/global-delivery-status" : "message/delivery-status");
    putf(c, "Reporting-MTA: dns; %.*s\r\n", STR_ARG(q->hostname));
    if (q->envid.n > 0) {
        put(c, STR("Original-Envelope-Id: "));
        put_quoted(c, q->envid);
        put(c, STR("\r\n"));
    }
    put_date(c, "Arrival-Date", q->arrival_ms);
    putf(c, "X-Postern-Message-Id: %.*s\r\n", STR_ARG(q->about_id));
    for (size_t i = 0; i < q->recipient_count && i < DSN_RECIPIENTS_MAX; i++) {
        put_recipient_fields(c, &q->recipients[i]);
    }
}

/* ---- the original */

/*
 * RFC 3461 4.3: RET speaks of failures; in other notices only the header is returned. Without RET a
 * message that is 8-bit is not returned whole: a next hop without 8BITMIME could not take the
 * notice then, and nothing can be done for a notice that fails.
 */
static bool
returns_all(const struct dsn_request *q)
{
    return q->kind == DSN_FAILURE && !q->return_headers && q->why_postmaster.n == 0 &&
           q->head.n + q->content.n <= q->returned_max &&
           (q->return_full || str_is_ascii(q->content));
}

/* The header section without its empty line, cut at the end of a line. */
static struct str
headers_of(struct str head)
{
    if (str_ends_with(head, STR("\r\n\r\n"))) {
        head.n -= 2;
    }
    if (head.n > HEADERS_MAX) {
        size_t end = str_rfind_char(str_head(head, HEADERS_MAX), '\n');
        head = str_head(head, end != STR_NPOS ? end + 1 : 0);
    }
    return head;
}

static void
put_original_part(struct composer *c)
{
    const struct dsn_request *q = c->request;
    bool all = returns_all(q);
    bool ascii = str_is_ascii(q->head) && (!all || str_is_ascii(q->content));
    bool global = !str_is_ascii(q->head); /* RFC 6533 4: octets above 127 in the header */
    const char *type = all ? (global ? "message/global" : "message/rfc822")
                           : (global ? "message/global-headers" : "text/rfc822-headers");
    putf(c, "\r\n--%.*s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", STR_ARG(c->boundary),
         q->why_postmaster.n > 0 ? "The header of the message"
         : all                   ? "Your message"
                                 : "The header of your message",
         type);
    putf(c, "Content-Transfer-Encoding: %s\r\n\r\n", ascii ? "7bit" : "8bit");
    put(c, all ? q->head : headers_of(q->head));
    if (all) {
        put(c, q->content);
    }
}

/* ---- putting it together */

static bool
needs_utf8(const struct dsn_request *q)
{
    bool utf8 = !str_is_ascii(q->sender) || !str_is_ascii(q->postmaster) ||
                !str_is_ascii(q->head) || !str_is_ascii(q->original_sender);
    for (size_t i = 0; !utf8 && i < q->recipient_count; i++) {
        utf8 = !str_is_ascii(q->recipients[i].address) || !str_is_ascii(q->recipients[i].original);
    }
    return utf8;
}

/* A boundary that does not occur in what is returned, whoever wrote that. */
static bool
choose_boundary(struct composer *c)
{
    const struct dsn_request *q = c->request;
    for (unsigned i = 0; i < BOUNDARY_TRIES; i++) {
        c->boundary = arena_printf(c->arena, "=_report_%.*s_%u", STR_ARG(q->id), i);
        if (str_find(q->head, c->boundary) == STR_NPOS &&
            str_find(q->content, c->boundary) == STR_NPOS) {
            return c->boundary.p != NULL;
        }
    }
    return false;
}

static void
put_head(struct composer *c, struct dsn_message *message)
{
    const struct dsn_request *q = c->request;
    put_date(c, "Date", q->now_ms);
    put(c, STR("From: Mail Delivery System <"));
    put_quoted(c, q->postmaster);
    put(c, STR(">\r\nTo: <"));
    put_quoted(c, q->sender);
    putf(c, ">\r\nSubject: %.*s\r\nMessage-ID: %.*s\r\n", STR_ARG(message->subject),
         STR_ARG(message->message_id));
    /* RFC 3834 5: no automatic answer to an automatic message */
    put(c, STR("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"));
    putf(c,
         "Content-Type: multipart/report; report-type=delivery-status;\r\n"
         "\tboundary=\"%.*s\"\r\n\r\n",
         STR_ARG(c->boundary));
}

/* Moves what was written into the arena. */
static struct str
take(struct composer *c)
{
    struct str result = arena_str_dup(c->arena, buf_str(&c->out));
    c->failed = c->failed || result.p == NULL;
    buf_clear(&c->out);
    return result;
}

enum status
dsn_compose(struct arena *arena, const struct dsn_request *request, struct dsn_message *message_out)
{
    struct composer c = {.request = request, .arena = arena, .utf8 = needs_utf8(request)};
    struct dsn_message message = {.subject = subject_of(request)};
    buf_init(&c.out, TEXT_CEILING + (size_t)request->returned_max);
    message.message_id =
        arena_printf(arena, "<%.*s@%.*s>", STR_ARG(request->id), STR_ARG(request->hostname));
    c.failed = !choose_boundary(&c) || message.message_id.p == NULL;
    put_head(&c, &message);
    message.head = take(&c);
    put(&c, STR("This is a report in MIME format (RFC 3464).\r\n"));
    put_text_part(&c);
    put_status_part(&c);
    put_original_part(&c);
    putf(&c, "\r\n--%.*s--\r\n", STR_ARG(c.boundary));
    message.content = take(&c);
    buf_free(&c.out);
    if (c.failed) {
        return STATUS_LIMIT;
    }
    message.utf8_header = !str_is_ascii(message.head);
    message.has_8bit = message.utf8_header || !str_is_ascii(message.content);
    *message_out = message;
    return STATUS_OK;
}
