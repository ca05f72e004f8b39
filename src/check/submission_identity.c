/*
 * submission_identity - a user who has logged in sends as himself (RFC 6409 6.1).
 *
 * Whoever has one account of a domain, honestly or by theft, could otherwise write in the name of
 * anybody there, and our signature would say that it is true. So the sender of the envelope, every
 * author in From and the Sender field have to be the user's own. What readers of mail would differ
 * about has no author at all. Hosts in a zone with relay have no user, and are not asked.
 */
#include "check/check.h"
#include "check/own_address.h"
#include "mail/author.h"

/* Mailboxes of a Sender field; there may be one (RFC 5322 3.6.2). */
#define SENDERS_MAX 10u

static void
check_envelope(const struct check_input *input, struct finding_list *findings)
{
    if (input->sender.n > 0 &&
        !own_address_is(input->arena, input->config, input->user, input->sender)) {
        FINDING_ADD(findings, SENDER_NOT_OWN, EVIDENCE("user", input->user),
                    EVIDENCE("sender", input->sender));
    }
}

/* Each mailbox of a field; one finding is enough. */
static enum status
check_mailboxes(const struct check_input *input, const char *field,
                const struct mail_mailbox *mailboxes, size_t count, struct finding_list *findings)
{
    for (size_t i = 0; i < count; i++) {
        struct str address = arena_printf(input->arena, "%.*s@%.*s", STR_ARG(mailboxes[i].local),
                                          STR_ARG(mailboxes[i].domain));
        if (address.p == NULL) {
            return STATUS_LIMIT;
        }
        if (!own_address_is(input->arena, input->config, input->user, address)) {
            FINDING_ADD(findings, AUTHOR_NOT_OWN, EVIDENCE("user", input->user),
                        EVIDENCE("field", str_from_cstr(field)), EVIDENCE("address", address));
            break;
        }
    }
    return STATUS_OK;
}

static enum status
check_from(const struct check_input *input, struct finding_list *findings)
{
    struct mail_author author;
    enum status status = mail_author_read(input->arena, input->head, &author);
    if (status == STATUS_OK &&
        (mail_author_is_known(&author) || author.kind == MAIL_AUTHOR_SEVERAL_DOMAINS)) {
        return check_mailboxes(input, "From", author.mailboxes, author.mailbox_count, findings);
    }
    /* Too many authors are none that could be told. */
    FINDING_ADD(findings, AUTHOR_UNCLEAR, EVIDENCE("field", STR("From")),
                EVIDENCE("reason", status != STATUS_OK ? STR("several")
                                   : author.doubt != MAIL_DOUBT_NONE
                                       ? str_from_cstr(mail_author_doubt_name(author.doubt))
                                       : str_from_cstr(mail_author_kind_name(author.kind))));
    return STATUS_OK;
}

/* Of several Sender fields readers take the first or the last: each is looked at. */
static enum status
check_sender(const struct check_input *input, struct finding_list *findings)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < input->head->field_count; i++) {
        const struct mail_field *field = &input->head->fields[i];
        struct mail_address_list list;
        if (field->id != MAIL_FIELD_SENDER) {
            continue;
        }
        if (mail_address_list_parse(input->arena, field->value, SENDERS_MAX, &list) != STATUS_OK ||
            list.count == 0) {
            FINDING_ADD(findings, AUTHOR_UNCLEAR, EVIDENCE("field", STR("Sender")),
                        EVIDENCE("reason", STR("malformed")));
            break;
        }
        status = check_mailboxes(input, "Sender", list.items, list.count, findings);
    }
    return status;
}

enum status
check_submission_identity(const struct check_input *input, struct finding_list *findings)
{
    if (input->user.n == 0 || !input->config->submission.own_sender) {
        return STATUS_OK;
    }
    check_envelope(input, findings);
    if (input->head_over_limit) {
        return STATUS_OK; /* nothing of it can be read, which is a finding already */
    }
    enum status status = check_from(input, findings);
    return status == STATUS_OK ? check_sender(input, findings) : status;
}
