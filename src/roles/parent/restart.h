/*
 * restart.h - which changes of the configuration a reload cannot bring into force.
 *
 * The parent compares with the configuration that Postern was started with. Where the state is kept
 * and who the roles run as cannot change under running roles: such a reload is refused. Processes,
 * threads and the metrics socket merely stay as they are: that is told.
 */
#ifndef POSTERN_ROLES_PARENT_RESTART_H
#define POSTERN_ROLES_PARENT_RESTART_H

#include "base/arena.h"
#include "config/config.h"

/* Longest list of keys, to fit a field of a message. */
#define RESTART_KEYS_MAX 256

enum restart_rule {
    RESTART_REFUSED, /* a reload with the change must not happen */
    RESTART_LATER,   /* the rest of the reload can happen */
};

/*
 * The keys under `rule` whose values differ, as "metrics.port, workers.edge"; empty when there are
 * none. In `arena`, or static when that is full (then it names no key).
 */
struct str restart_keys(enum restart_rule rule, const struct config *started,
                        const struct config *wanted, struct arena *arena);

#endif
