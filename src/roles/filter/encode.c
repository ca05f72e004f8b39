#include "roles/filter/encode.h"

#include "mail/downgrade.h"
#include "mail/header_downgrade.h"
#include "mail/long_lines.h"
#include "smtp/client_content.h"
#include "smtp/envelope.h"

/* Room for a header section that says what its content is now. */
#define HEAD_GROWS 256u

/* Why it cannot be done; NULL: it is done, into both buffers. */
static const char *
encode(const struct outgoing_input *input, const struct outgoing_copy *copy, struct buf *head,
       struct buf *body)
{
    const char *why = "it would be too large";
    struct smtp_content_form form;
    smtp_content_look(copy->head, copy->body, &form);
    if (form.has_bare) {
        return "it has bare line ends";
    }
    return mail_downgrade(input->arena, copy->head, copy->body, head, body, &why) == STATUS_OK
               ? NULL
               : why;
}

/* Whether somebody's address is not ASCII: such a message needs SMTPUTF8 whatever its header is. */
static bool
has_utf8_address(const struct outgoing_copy *copy)
{
    bool utf8 = !str_is_ascii(copy->sender);
    for (size_t i = 0; !utf8 && i < copy->recipient_count; i++) {
        utf8 = !str_is_ascii(copy->recipients[i].address);
    }
    return utf8;
}

/* The header section as ASCII: where SMTPUTF8 is not offered it need not be changed any more. */
static enum status
encode_head(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    struct buf head;
    const char *why = "it would be too large";
    if (str_is_ascii(copy->head)) {
        return STATUS_OK;
    }
    buf_init(&head, 4 * copy->head.n + HEAD_GROWS);
    enum status status = mail_header_downgrade(input->arena, copy->head,
                                               MAIL_HEADER_DOWNGRADE_LOSSLESS, &head, &why);
    TRACE(trace, header_encoded, .why = STR("signing"),
          .problem = str_from_cstr(status != STATUS_OK ? why : ""));
    if (status == STATUS_OK) {
        struct str text = arena_str_dup(input->arena, buf_str(&head));
        copy->head = text.p != NULL ? text : copy->head;
        status = text.p != NULL ? STATUS_OK : STATUS_LIMIT;
        uint32_t over = SMTP_MESSAGE_HEADER_8BIT |
                        (has_utf8_address(copy) ? 0u : (uint32_t)SMTP_MESSAGE_SMTPUTF8);
        copy->flags &= ~over;
    }
    buf_free(&head);
    return status == STATUS_DENIED ? STATUS_OK : status;
}

static enum status
encode_body(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    struct buf head;
    if (str_is_ascii(copy->body)) {
        return STATUS_OK;
    }
    struct buf body;
    buf_init(&head, copy->head.n + HEAD_GROWS);
    buf_init(&body, input->config->limits.message_size);
    const char *problem = encode(input, copy, &head, &body);
    enum status status = STATUS_OK;
    if (problem == NULL) {
        struct str text = arena_str_dup(input->arena, buf_str(&head));
        status = text.p != NULL ? STATUS_OK : STATUS_LIMIT;
        copy->head = text;
        buf_free(&copy->encoded); /* the body was read from it, if its lines were long */
        copy->encoded = body;
        copy->body = buf_str(&copy->encoded);
        copy->flags &= ~(uint32_t)(SMTP_MESSAGE_8BITMIME | SMTP_MESSAGE_HAS_8BIT);
    } else {
        buf_free(&body);
    }
    buf_free(&head);
    TRACE(trace, content_encoded, .why = STR("signing"),
          .problem = str_from_cstr(problem != NULL ? problem : ""));
    return status;
}

enum status
filter_encode(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    if (!input->config->authentication.dkim.encode_8bit) {
        return STATUS_OK;
    }
    enum status status = encode_head(input, copy, trace);
    return status == STATUS_OK ? encode_body(input, copy, trace) : status;
}

/* ---- long lines */

static enum status
fold_head(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    struct buf head;
    if (!mail_has_long_line(copy->head)) {
        return STATUS_OK;
    }
    buf_init(&head, 2 * copy->head.n + HEAD_GROWS);
    enum status status = mail_fold_long_lines(copy->head, &head);
    struct str text = arena_str_dup(input->arena, buf_str(&head));
    buf_free(&head);
    if (status != STATUS_OK || text.p == NULL) {
        return STATUS_LIMIT;
    }
    copy->head = text;
    TRACE(trace, lines_fitted, .where = STR("header"));
    return STATUS_OK;
}

/* Why it cannot be done; NULL: it is done, into both buffers. */
static const char *
shorten(const struct outgoing_input *input, const struct outgoing_copy *copy, struct buf *head,
        struct buf *body)
{
    const char *why = "it would be too large";
    struct smtp_content_form form;
    smtp_content_look(copy->head, copy->body, &form);
    if (form.has_bare) {
        return "it has bare line ends";
    }
    return mail_shorten_lines(input->arena, copy->head, copy->body, head, body, &why) == STATUS_OK
               ? NULL
               : why;
}

enum status
filter_fit_lines(const struct outgoing_input *input, struct outgoing_copy *copy,
                 struct trace *trace)
{
    struct buf head;
    enum status status = fold_head(input, copy, trace);
    if (status != STATUS_OK || !mail_has_long_line(copy->body)) {
        return status;
    }
    buf_init(&head, copy->head.n + HEAD_GROWS);
    buf_init(&copy->encoded, input->config->limits.message_size);
    const char *problem = shorten(input, copy, &head, &copy->encoded);
    if (problem == NULL) {
        struct str text = arena_str_dup(input->arena, buf_str(&head));
        status = text.p != NULL ? STATUS_OK : STATUS_LIMIT;
        copy->head = text;
        copy->body = buf_str(&copy->encoded);
    } else {
        buf_free(&copy->encoded);
    }
    buf_free(&head);
    TRACE(trace, lines_fitted, .where = STR("body"),
          .problem = str_from_cstr(problem != NULL ? problem : ""));
    return status;
}
