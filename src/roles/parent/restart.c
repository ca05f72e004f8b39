#include "roles/parent/restart.h"

static bool
same_state(const struct config *a, const struct config *b)
{
    return str_eq(a->directories.state, b->directories.state);
}

static bool
same_run(const struct config *a, const struct config *b)
{
    return str_eq(a->directories.run, b->directories.run);
}

static bool
same_run_as(const struct config *a, const struct config *b)
{
    return str_eq(a->run_as, b->run_as);
}

static bool
same_metrics_enabled(const struct config *a, const struct config *b)
{
    return a->metrics.enabled == b->metrics.enabled;
}

static bool
same_metrics_address(const struct config *a, const struct config *b)
{
    return ip_eq(&a->metrics.address, &b->metrics.address);
}

static bool
same_metrics_port(const struct config *a, const struct config *b)
{
    return a->metrics.port == b->metrics.port;
}

static bool
same_edges(const struct config *a, const struct config *b)
{
    return a->workers.edge == b->workers.edge;
}

static bool
same_filters(const struct config *a, const struct config *b)
{
    return a->workers.filter == b->workers.filter;
}

static const struct {
    const char *key;
    enum restart_rule rule;
    bool (*same)(const struct config *a, const struct config *b);
} rows[] = {
    {"directories.state", RESTART_REFUSED, same_state},
    {"directories.run", RESTART_REFUSED, same_run},
    {"run_as", RESTART_REFUSED, same_run_as},
    {"metrics.enabled", RESTART_LATER, same_metrics_enabled},
    {"metrics.address", RESTART_LATER, same_metrics_address},
    {"metrics.port", RESTART_LATER, same_metrics_port},
    {"workers.edge", RESTART_LATER, same_edges},
    {"workers.filter", RESTART_LATER, same_filters},
};

struct str
restart_keys(enum restart_rule rule, const struct config *started, const struct config *wanted,
             struct arena *arena)
{
    struct str keys = STR("");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].rule == rule && !rows[i].same(started, wanted)) {
            keys =
                arena_printf(arena, "%.*s%s%s", STR_ARG(keys), keys.n > 0 ? ", " : "", rows[i].key);
            if (keys.p == NULL) {
                return STR("a key");
            }
        }
    }
    return keys;
}
