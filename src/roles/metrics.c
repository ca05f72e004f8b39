#include "roles/role.h"

#include <stdio.h>

static const struct role_metric_row table[ROLE_METRIC_COUNT] = {
#define METRIC(NAME, name, type, help) {#name, ROLE_METRIC_TYPE_##type, help},
#include "roles/metrics.def"
#undef METRIC
};

const struct role_metric_row *
role_metric_row(enum role_metric metric)
{
    return &table[metric];
}

const struct role_metric_row *
role_metric_find(struct str name)
{
    for (size_t i = 0; i < ROLE_METRIC_COUNT; i++) {
        if (str_eq(str_from_cstr(table[i].name), name)) {
            return &table[i];
        }
    }
    return NULL;
}

const char *
role_metric_type_name(enum role_metric_type type)
{
    return type == ROLE_METRIC_TYPE_COUNTER ? "counter" : "gauge";
}

void
role_metric_add(struct role_metrics *metrics, enum role_metric metric, int64_t value)
{
    if (metrics->count < ROLE_METRICS_MAX) {
        metrics->items[metrics->count++] =
            (struct record_metric){str_from_cstr(role_metric_row(metric)->name), value};
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
