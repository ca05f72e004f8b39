/*
 * loop - mail that goes round in circles: too many Received fields (RFC 5321 6.3), or a
 * Delivered-To field that says that we have forwarded this message before (RFC 9228 4).
 */
#include "check/check.h"
#include "smtp/address.h"

/* A recipient that we forward, and that the field says we have forwarded already. */
static const struct check_recipient *
forwarded_before(const struct check_input *input, const struct mail_field *field)
{
    struct smtp_address address;
    struct str value = mail_field_unfold(input->arena, field);
    if (smtp_mailbox_parse(input->arena, value, SMTP_ADDRESS_UTF8, &address) != STATUS_OK) {
        return NULL;
    }
    for (size_t i = 0; i < input->recipient_count; i++) {
        const struct check_recipient *recipient = &input->recipients[i];
        if (str_eq_nocase(recipient->original, address.text) &&
            !str_eq_nocase(recipient->original, recipient->address)) {
            return recipient;
        }
    }
    return NULL;
}

enum status
check_loop(const struct check_input *input, struct finding_list *findings)
{
    const struct mail_head *head = input->head;
    size_t received = head->counts[MAIL_FIELD_RECEIVED];
    if (received > input->config->limits.received_count) {
        FINDING_ADD(findings, LOOP_RECEIVED, EVIDENCE("count", finding_number(findings, received)));
    }
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != MAIL_FIELD_DELIVERED_TO) {
            continue;
        }
        const struct check_recipient *recipient = forwarded_before(input, &head->fields[i]);
        if (recipient != NULL) {
            FINDING_ADD(findings, LOOP_DELIVERED_TO, EVIDENCE("address", recipient->original),
                        EVIDENCE("to", recipient->address));
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}
