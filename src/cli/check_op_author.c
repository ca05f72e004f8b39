/*
 * {"op": "author", "message": octets}
 *     -> {"kind", "doubt", "domain", "fields", "mailboxes": [{"display", "local", "domain"}, ...]}
 */
#include "cli/check_json.h"

/* What a message may have here: more than any configuration allows. */
static const struct mail_head_limits limits = {.size = 16u << 20, .fields = 100000};

json_t *
check_json_author(struct check_op *op, const struct mail_author *author)
{
    json_t *mailboxes = json_array();
    for (size_t i = 0; i < author->mailbox_count; i++) {
        const struct mail_mailbox *mailbox = &author->mailboxes[i];
        json_array_append_new(mailboxes, json_pack("{s:o, s:o, s:o}", "display",
                                                   check_op_json(op, mailbox->display), "local",
                                                   check_op_json(op, mailbox->local), "domain",
                                                   check_op_json(op, mailbox->domain)));
    }
    return json_pack("{s:s, s:s, s:o, s:I, s:o}", "kind", mail_author_kind_name(author->kind),
                     "doubt", mail_author_doubt_name(author->doubt), "domain",
                     check_op_json(op, author->domain), "fields", (json_int_t)author->field_count,
                     "mailboxes", mailboxes);
}

json_t *
check_op_author(struct check_op *op)
{
    struct str message;
    struct mail_head head;
    struct mail_author author;
    if (!check_op_octets(op, "message", &message)) {
        return check_op_error("author: expected \"message\"");
    }
    enum status status = mail_head_parse(op->arena, message, &limits, &head);
    if (status == STATUS_OK) {
        status = mail_author_read(op->arena, &head, &author);
    }
    if (status != STATUS_OK) {
        return check_op_error("author: the message cannot be read: %s", status_name(status));
    }
    return check_json_author(op, &author);
}
