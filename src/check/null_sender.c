/*
 * null_sender - a notification answers one message, so it goes to the one who sent that (RFC 5321
 * 4.5.5). With several recipients the null path is there to escape checks of the sender.
 */
#include "check/check.h"

enum status
check_null_sender(const struct check_input *input, struct finding_list *findings)
{
    if (str_is_empty(input->sender) && input->recipient_count > 1) {
        FINDING_ADD(findings, NULL_SENDER_MANY_RECIPIENTS,
                    EVIDENCE("recipients", finding_number(findings, input->recipient_count)));
    }
    return STATUS_OK;
}
