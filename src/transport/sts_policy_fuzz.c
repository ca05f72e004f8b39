/* Fuzz target: MTA-STS policies; what was read is written and read as the same. */
#include <stdlib.h>

#include "transport/sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(4u << 20);
    struct sts_policy policy;
    struct sts_policy again;
    struct sts_problem problem = {0, NULL};
    struct str text = str_make((const char *)data, size);
    if (sts_policy_parse(arena, text, &policy, &problem) == STATUS_OK) {
        require(policy.mode < STS_MODE_COUNT_ && policy.max_age <= STS_MAX_AGE_MAX);
        require(policy.mx_count <= STS_POLICY_MX_MAX);
        require(policy.mx_count > 0 || policy.mode == STS_MODE_NONE);
        struct str written = sts_policy_text(arena, &policy);
        require(sts_policy_parse(arena, written, &again, &problem) == STATUS_OK);
        require(again.mode == policy.mode && again.max_age == policy.max_age);
        require(again.mx_count == policy.mx_count && again.notes == 0);
        for (size_t i = 0; i < policy.mx_count; i++) {
            require(str_eq(again.mx[i], policy.mx[i]));
        }
    } else {
        require(problem.text != NULL);
    }
    arena_destroy(&arena);
    return 0;
}
