/*
 * repairs - what was mended before anything else looked at the message (mail/repair.h), and at the
 * edge. Each repair is a finding of its own, so that its message tells what its sender got wrong.
 */
#include "check/check.h"

enum status
check_repairs(const struct check_input *input, struct finding_list *findings)
{
    size_t const count = input->repairs != NULL ? input->repairs->count : 0;
    if (input->line_ends_made) {
        FINDING_ADD(findings, REPAIRED, EVIDENCE("repair", STR("line_ends")));
    }
    for (size_t i = 0; i < count; i++) {
        const struct mail_repair_note *note = &input->repairs->items[i];
        FINDING_ADD(findings, REPAIRED,
                    EVIDENCE("repair", str_from_cstr(mail_repair_name(note->repair))),
                    EVIDENCE("count", finding_number(findings, note->count)),
                    EVIDENCE("offset", finding_number(findings, note->offset)));
    }
    return STATUS_OK;
}
