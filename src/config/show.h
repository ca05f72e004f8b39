/*
 * show.h - the configuration that holds: each key with its value and where that comes from, for
 * `postern config show`. Values are told as they are written, in the file or in the schema's table.
 */
#ifndef POSTERN_CONFIG_SHOW_H
#define POSTERN_CONFIG_SHOW_H

#include "base/arena.h"

struct config_value {
    struct str path;   /* "queue.lifetime", "domains[0].aliases[1].to" */
    struct str text;   /* as YAML; empty: not set. Secrets are not told */
    unsigned line;     /* in the file; 0: it is the default */
    const char *unset; /* static; of what is not set: what holds then, or NULL */
};

typedef void config_on_value(void *context, const struct config_value *value);

/*
 * Calls on_value for every key, in the order of the schema; entries of lists in the order of the
 * file. `text` is a file that config_load_text has found right. Texts of a value live in `arena`.
 * STATUS_SYNTAX: it cannot be read.
 */
[[nodiscard]] enum status config_show(struct arena *arena, struct str text,
                                      config_on_value *on_value, void *context);

#endif
