#include "base/status.h"

static const char *const status_names[] = {
    [STATUS_OK] = "ok",         [STATUS_AGAIN] = "again",         [STATUS_END] = "end",
    [STATUS_SYNTAX] = "syntax", [STATUS_LIMIT] = "limit",         [STATUS_TEMPORARY] = "temporary",
    [STATUS_IO] = "io",         [STATUS_NOT_FOUND] = "not-found", [STATUS_DENIED] = "denied",
    [STATUS_BUG] = "bug",
};

const char *
status_name(enum status status)
{
    if ((unsigned)status >= sizeof status_names / sizeof status_names[0]) {
        return "unknown";
    }
    return status_names[status];
}
