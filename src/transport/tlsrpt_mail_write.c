#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "transport/tlsrpt_mail.h"

/* RFC 2045 6.8: characters of a line of base 64. */
#define BASE64_LINE 76u
/* What stands around the report. */
#define AROUND_MAX  16384u

struct str
tlsrpt_mail_report_id(struct arena *arena, const struct tlsrpt_mail *mail)
{
    return arena_printf(arena, "%.*s@%.*s", STR_ARG(mail->unique), STR_ARG(mail->submitter));
}

struct str
tlsrpt_mail_file_name(struct arena *arena, const struct tlsrpt_mail *mail)
{
    return arena_printf(arena, "%.*s!%.*s!%lld!%lld!%.*s.json.gz", STR_ARG(mail->submitter),
                        STR_ARG(mail->policy_domain), (long long)mail->start_s,
                        (long long)mail->end_s, STR_ARG(mail->unique));
}

static struct str
head_of(struct arena *arena, const struct tlsrpt_mail *mail, struct str boundary)
{
    struct str date = clock_format_rfc5322(arena, mail->now_ms);
    struct str id = tlsrpt_mail_report_id(arena, mail);
    return arena_printf(arena,
                        "From: <%.*s>\r\n"
                        "To: <%.*s>\r\n"
                        "Date: %.*s\r\n"
                        "Subject: Report Domain: %.*s\r\n"
                        " Submitter: %.*s\r\n"
                        " Report-ID: <%.*s>\r\n"
                        "Message-ID: <tlsrpt.%.*s>\r\n"
                        "TLS-Report-Domain: %.*s\r\n"
                        "TLS-Report-Submitter: %.*s\r\n"
                        "TLS-Required: No\r\n"
                        "Auto-Submitted: auto-generated\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
                        "\tboundary=\"%.*s\"\r\n"
                        "\r\n",
                        STR_ARG(mail->from), STR_ARG(mail->to), STR_ARG(date),
                        STR_ARG(mail->policy_domain), STR_ARG(mail->submitter), STR_ARG(id),
                        STR_ARG(id), STR_ARG(mail->policy_domain), STR_ARG(mail->submitter),
                        STR_ARG(boundary));
}

static struct str
text_part(struct arena *arena, const struct tlsrpt_mail *mail, struct str boundary)
{
    return arena_printf(arena,
                        "--%.*s\r\n"
                        "Content-Type: text/plain; charset=us-ascii\r\n"
                        "\r\n"
                        "This is an aggregate report about TLS sessions with\r\n"
                        "%.*s\r\n"
                        "from\r\n"
                        "%.*s\r\n"
                        "as RFC 8460 describes them.\r\n"
                        "\r\n",
                        STR_ARG(boundary), STR_ARG(mail->policy_domain), STR_ARG(mail->submitter));
}

/* Long domains have a line of their own, but for the name of the file: below 998 all the same. */
static struct str
report_head(struct arena *arena, const struct tlsrpt_mail *mail, struct str boundary)
{
    struct str name = tlsrpt_mail_file_name(arena, mail);
    return arena_printf(arena,
                        "--%.*s\r\n"
                        "Content-Type: application/tlsrpt+gzip\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "Content-Disposition: attachment;\r\n"
                        "\tfilename=\"%.*s\"\r\n"
                        "\r\n",
                        STR_ARG(boundary), STR_ARG(name));
}

static enum status
put_base64(struct arena *arena, struct buf *out, struct str octets)
{
    struct str text = base64_encode(arena, octets);
    enum status status = text.p != NULL ? STATUS_OK : STATUS_LIMIT;
    while (status == STATUS_OK && text.n > 0) {
        status = buf_append(out, str_head(text, BASE64_LINE));
        if (status == STATUS_OK) {
            status = buf_append(out, STR("\r\n"));
        }
        text = str_skip(text, BASE64_LINE);
    }
    return status;
}

struct str
tlsrpt_mail_write(struct arena *arena, const struct tlsrpt_mail *mail)
{
    struct buf out;
    struct str message = str_make(NULL, 0);
    struct str boundary = arena_printf(arena, "=_tlsrpt_%.*s", STR_ARG(mail->unique));
    struct str parts[] = {head_of(arena, mail, boundary), text_part(arena, mail, boundary),
                          report_head(arena, mail, boundary)};
    struct str end = arena_printf(arena, "\r\n--%.*s--\r\n", STR_ARG(boundary));
    enum status status = end.p != NULL ? STATUS_OK : STATUS_LIMIT;
    buf_init(&out, 2 * mail->gzip.n + AROUND_MAX);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == STATUS_OK; i++) {
        status = parts[i].p != NULL ? buf_append(&out, parts[i]) : STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        status = put_base64(arena, &out, mail->gzip);
    }
    if (status == STATUS_OK && buf_append(&out, end) == STATUS_OK) {
        message = arena_str_dup(arena, buf_str(&out));
    }
    buf_free(&out);
    return message;
}
