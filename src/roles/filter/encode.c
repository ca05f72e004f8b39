#include "roles/filter/encode.h"

#include "mail/downgrade.h"
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

enum status
filter_encode(const struct outgoing_input *input, struct outgoing_copy *copy, struct trace *trace)
{
    struct buf head;
    if (!input->config->authentication.dkim.encode_8bit || str_is_ascii(copy->body)) {
        return STATUS_OK;
    }
    buf_init(&head, copy->head.n + HEAD_GROWS);
    buf_init(&copy->encoded, input->config->limits.message_size);
    const char *problem = encode(input, copy, &head, &copy->encoded);
    enum status status = STATUS_OK;
    if (problem == NULL) {
        struct str text = arena_str_dup(input->arena, buf_str(&head));
        status = text.p != NULL ? STATUS_OK : STATUS_LIMIT;
        copy->head = text;
        copy->body = buf_str(&copy->encoded);
        copy->flags &= ~(uint32_t)(SMTP_MESSAGE_8BITMIME | SMTP_MESSAGE_HAS_8BIT);
    } else {
        buf_free(&copy->encoded);
    }
    buf_free(&head);
    TRACE(trace, content_encoded, .why = STR("signing"),
          .problem = str_from_cstr(problem != NULL ? problem : ""));
    return status;
}
