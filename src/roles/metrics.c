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

static bool
is_part_of(const struct role_metric_row *row, struct str name)
{
    static const char *const parts[] = {"_bucket", "_sum", "_count"};
    struct str own = str_from_cstr(row->name);
    if (row->type != ROLE_METRIC_TYPE_HISTOGRAM || !str_starts_with(name, own)) {
        return str_eq(name, own);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (str_eq(str_skip(name, own.n), str_from_cstr(parts[i]))) {
            return true;
        }
    }
    return false;
}

const struct role_metric_row *
role_metric_find(struct str name)
{
    size_t labels = str_find_char(name, '{');
    struct str bare = labels != STR_NPOS ? str_head(name, labels) : name;
    for (size_t i = 0; i < ROLE_METRIC_COUNT; i++) {
        if (is_part_of(&table[i], bare)) {
            return &table[i];
        }
    }
    return NULL;
}

bool
role_metric_is_ms(struct str name)
{
    const struct role_metric_row *row = role_metric_find(name);
    return row != NULL && row->type == ROLE_METRIC_TYPE_HISTOGRAM &&
           str_eq(str_skip(name, strlen(row->name)), STR("_sum"));
}

const char *
role_metric_type_name(enum role_metric_type type)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[type];
}

void
role_metric_add_named(struct role_metrics *metrics, const char *name, int64_t value)
{
    if (metrics->count < ROLE_METRICS_MAX) {
        metrics->items[metrics->count++] = (struct record_metric){str_from_cstr(name), value};
    }
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
