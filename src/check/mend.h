/*
 * mend.h - mail of our own users and hosts, mended before it is checked (mail/repair.h).
 *
 * Used by whoever fills a check_input: the checks look at the message as it will leave.
 */
#ifndef POSTERN_CHECK_MEND_H
#define POSTERN_CHECK_MEND_H

#include "check/check.h"

/* True when the configuration has it mended: direction and user are those of the input. */
bool check_mend_is_wanted(const struct check_input *input, const struct config_zone *zone);

/*
 * Mends the header section that input->head was read from, if it is wanted: then head, body_offset
 * and repairs of the input point into *mended, which is the caller's, as is `zone` (NULL: the
 * client is in none). STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status check_mend(struct check_input *input, const struct config_zone *zone,
                                     struct mail_repaired *mended);

#endif
