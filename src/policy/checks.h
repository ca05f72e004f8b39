/*
 * checks.h - the table of checks, and running it.
 */
#ifndef POSTERN_POLICY_CHECKS_H
#define POSTERN_POLICY_CHECKS_H

#include "check/check.h"
#include "ipc/messages.h"

/* A row of checks.def. */
struct check {
    const char *name;
    enum check_stage stage;
    enum role role;
    unsigned directions; /* set of enum check_direction */
    check_function *run;
    const char *meaning;
};

/* All rows, in the order of the table. */
const struct check *checks_table(size_t *count_out);

/* Runs one check; when it could not be made, adds FINDING_CHECK_FAILED with its name and status. */
void check_run(const struct check *check, const struct check_input *input,
               struct finding_list *findings);

/*
 * Runs the checks that a role has for the message's direction, stage after stage, with check_run.
 */
void checks_run(enum role role, const struct check_input *input, struct finding_list *findings);

#endif
