/*
 * date - the Date field against the clock. Mail may wait in queues for days, and clocks are set
 * wrong; beyond that a date is there to sort the message on top, or to hide it.
 */
#include "mail/date.h"
#include "check/check.h"

#define DAY_MS      (24 * 3600 * (int64_t)1000)
#define FUTURE_MOST (1 * DAY_MS)
/* Longer than any queue holds mail (RFC 5321 4.5.4.1 speaks of 4 to 5 days). */
#define PAST_MOST   (31 * DAY_MS)

enum status
check_date(const struct check_input *input, struct finding_list *findings)
{
    const struct mail_field *field = input->head->first[MAIL_FIELD_DATE];
    int64_t date_ms;
    if (field == NULL) {
        return STATUS_OK;
    }
    if (mail_date_parse(field->value, &date_ms) != STATUS_OK) {
        FINDING_ADD(findings, DATE_MALFORMED, EVIDENCE("date", str_trim(field->value)));
    } else if (date_ms > input->received_ms + FUTURE_MOST) {
        FINDING_ADD(findings, DATE_FUTURE, EVIDENCE("date", str_trim(field->value)));
    } else if (date_ms < input->received_ms - PAST_MOST) {
        FINDING_ADD(findings, DATE_PAST, EVIDENCE("date", str_trim(field->value)));
    }
    return STATUS_OK;
}
