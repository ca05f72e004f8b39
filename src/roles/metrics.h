/*
 * metrics.h - the table of metrics: what each counts and how it is named.
 *
 * Roles add values by enum role_metric (role.h); the parent passes them on by name; the console and
 * `postern status` find name, type and help here.
 */
#ifndef POSTERN_ROLES_METRICS_H
#define POSTERN_ROLES_METRICS_H

#include "base/str.h"

enum role_metric {
#define METRIC(NAME, name, type, help) ROLE_METRIC_##NAME,
#include "roles/metrics.def"
#undef METRIC
    ROLE_METRIC_COUNT,
};

enum role_metric_type {
    ROLE_METRIC_TYPE_COUNTER,   /* grows while its process lives; begins at 0 when it is started */
    ROLE_METRIC_TYPE_GAUGE,     /* how it stands now */
    ROLE_METRIC_TYPE_HISTOGRAM, /* of durations */
};

struct role_metric_row {
    const char *name; /* [a-z_]+, without the "postern_" of /metrics */
    enum role_metric_type type;
    const char *help; /* one sentence */
};

/* The row of a metric; static. */
const struct role_metric_row *role_metric_row(enum role_metric metric);
/* The same by its name, which may have labels behind it or be a part of a histogram; NULL: there is
 * none of this name. */
const struct role_metric_row *role_metric_find(struct str name);
/* True for the sum of a histogram: it is kept in milliseconds, and told in seconds. */
bool role_metric_is_ms(struct str name);
/* "counter", "gauge", "histogram": as /metrics has it. Static. */
const char *role_metric_type_name(enum role_metric_type type);

#endif
