#include "smtp/received.h"

#include <stdio.h>

#include "base/clock.h"

/* Several times the longest field: two names, a recipient and a HELO of full length. */
#define RECEIVED_MAX 4096u

const char *
smtp_with_keyword(bool esmtp, bool tls, bool authenticated, bool smtputf8)
{
    static const char *const names[2][4] = {
        {"ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"},
        {"UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"},
    };
    if (!esmtp && !smtputf8) {
        return "SMTP"; /* RFC 3848 has no form of it for TLS or AUTH, which are extensions */
    }
    return names[smtputf8][(tls ? 2 : 0) + (authenticated ? 1 : 0)];
}

/* Text for a comment (RFC 5322 3.2.2): printable ASCII without parentheses and backslash. */
static enum status
append_comment_text(struct buf *buf, struct str s)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < s.n && status == STATUS_OK; i++) {
        char c = s.p[i];
        bool plain = c > ' ' && c <= '~' && c != '(' && c != ')' && c != '\\';
        status = buf_append_char(buf, plain ? c : '?');
    }
    return status;
}

/*
 * "from name (reverse [address])"; the name in front must be a domain or a literal. RFC 5321 4.4
 * lets nobody leave out the name: of a client that is not told it is one which can be no host's
 * (RFC 6761 6.4), so that it is not taken for a message of this machine. The TCP-info may be
 * missing there, and a comment may stand before "by".
 */
static enum status
append_from(struct buf *buf, const struct smtp_received *received)
{
    if (received->local_user.n > 0) {
        return buf_printf(buf, "from localhost (local user, uid %.*s)",
                          STR_ARG(received->local_user));
    }
    if (received->hide_client) {
        return buf_append(buf, STR("from client.invalid (address withheld)"));
    }
    char ip[IP_TEXT_MAX];
    char literal[IP_TEXT_MAX + sizeof "[IPv6:]"];
    snprintf(literal, sizeof literal, "[%s%s]",
             ip_is_v4(&received->client) ? "" : "IPv6:", ip_format(&received->client, ip));
    bool helo_fits =
        received->helo_form != SMTP_HELO_MALFORMED && received->helo_form != SMTP_HELO_NONE;
    struct str name = helo_fits ? received->helo : str_from_cstr(literal);
    enum status status =
        buf_printf(buf, "from %.*s (%.*s%s%s)", STR_ARG(name), STR_ARG(received->client_name),
                   received->client_name.n > 0 ? " " : "", literal);
    if (status == STATUS_OK && !helo_fits && received->helo.n > 0) {
        status = buf_append(buf, STR("\r\n\t(HELO "));
        status = status == STATUS_OK ? append_comment_text(buf, received->helo) : status;
        status = status == STATUS_OK ? buf_append_char(buf, ')') : status;
    }
    return status;
}

static enum status
append_tls(struct buf *buf, const struct smtp_received *received)
{
    if (!received->tls) {
        return STATUS_OK;
    }
    enum status status = buf_append(buf, STR("\r\n\t(using "));
    status = status == STATUS_OK ? append_comment_text(buf, received->tls_version) : status;
    status = status == STATUS_OK ? buf_append(buf, STR(" with cipher ")) : status;
    status = status == STATUS_OK ? append_comment_text(buf, received->tls_cipher) : status;
    if (status == STATUS_OK && received->tls_bits > 0) {
        status = buf_printf(buf, " (%u bits)", received->tls_bits);
    }
    return status == STATUS_OK ? buf_append_char(buf, ')') : status;
}

static enum status
append_by(struct buf *buf, const struct smtp_received *received)
{
    enum status status = buf_printf(buf, "\r\n\tby %.*s (Postern) with %s", STR_ARG(received->by),
                                    smtp_with_keyword(received->esmtp, received->tls,
                                                      received->authenticated, received->smtputf8));
    if (status == STATUS_OK && received->id.n > 0) {
        status = buf_printf(buf, " id %.*s", STR_ARG(received->id));
    }
    /* A recipient that needs UTF-8 would make the header need it too. */
    if (status == STATUS_OK && received->recipient.n > 0 && str_is_ascii(received->recipient)) {
        status = buf_printf(buf, "\r\n\tfor <%.*s>", STR_ARG(received->recipient));
    }
    return status;
}

struct str
smtp_received_format(struct arena *arena, const struct smtp_received *received)
{
    struct buf buf;
    buf_init(&buf, RECEIVED_MAX);
    enum status status = buf_append(&buf, STR("Received: "));
    status = status == STATUS_OK ? append_from(&buf, received) : status;
    status = status == STATUS_OK ? append_tls(&buf, received) : status;
    status = status == STATUS_OK ? append_by(&buf, received) : status;
    struct str date = clock_format_rfc5322(arena, received->wall_ms);
    if (status == STATUS_OK) {
        status = buf_printf(&buf, ";\r\n\t%.*s\r\n", STR_ARG(date));
    }
    struct str field = {NULL, 0};
    if (status == STATUS_OK && date.p != NULL) {
        field = arena_str_dup(arena, buf_str(&buf));
    }
    buf_free(&buf);
    return field;
}
