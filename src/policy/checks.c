#include "policy/checks.h"

#include "auth/checks.h"

static const struct check table[] = {
#define CHECK(name, stage, role, directions, function, meaning)                                    \
    {#name, CHECK_STAGE_##stage, ROLE_##role, directions, function, meaning},
#include "policy/checks.def"
#undef CHECK
};

#define CHECK_COUNT (sizeof table / sizeof table[0])

const struct check *
checks_table(size_t *count_out)
{
    *count_out = CHECK_COUNT;
    return table;
}

void
check_run(const struct check *check, const struct check_input *input, struct finding_list *findings)
{
    enum status status = check->run(input, findings);
    if (status != STATUS_OK) {
        FINDING_ADD(findings, CHECK_FAILED, EVIDENCE("check", str_from_cstr(check->name)),
                    EVIDENCE("status", str_from_cstr(status_name(status))));
    }
}

void
checks_run(enum role role, const struct check_input *input, struct finding_list *findings)
{
    for (size_t stage = 0; stage < CHECK_STAGE_COUNT_; stage++) {
        for (size_t i = 0; i < CHECK_COUNT; i++) {
            if (table[i].stage == stage && table[i].role == role &&
                (table[i].directions & input->direction) != 0) {
                check_run(&table[i], input, findings);
            }
        }
    }
}
