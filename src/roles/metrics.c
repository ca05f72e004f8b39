#include "roles/role.h"

#include <stdio.h>

void
role_metric_add(struct role_metrics *metrics, const char *name, int64_t value)
{
    if (metrics->count < ROLE_METRICS_MAX) {
        metrics->items[metrics->count++] = (struct record_metric){str_from_cstr(name), value};
    }
}

void
role_warn(struct role_metrics *metrics, const char *format, ...)
{
    va_list args;
    if (metrics->warning_count == ROLE_WARNINGS_MAX) {
        return;
    }
    va_start(args, format);
    vsnprintf(metrics->warnings[metrics->warning_count++], ROLE_WARNING_SIZE, format, args);
    va_end(args);
}
