#include "check/check.h"

const char *
check_stage_name(enum check_stage stage)
{
    static const char *const names[CHECK_STAGE_COUNT_] = {
        [CHECK_STAGE_SESSION] = "session",
        [CHECK_STAGE_ENVELOPE] = "envelope",
        [CHECK_STAGE_HEADER] = "header",
        [CHECK_STAGE_CONTENT] = "content",
    };
    return (size_t)stage < CHECK_STAGE_COUNT_ ? names[stage] : "unknown";
}
