/*
 * moment.h - points in time as people write them on a command line; always UTC.
 */
#ifndef POSTERN_CLI_MOMENT_H
#define POSTERN_CLI_MOMENT_H

#include <stdint.h>

#include "base/str.h"

/* What moment_parse reads, for usage texts and errors. */
#define MOMENT_FORMS                                                                               \
    "2026-11-23, 2026-11-23T17:48[:14], 17:48[:14] (today), or 90s, 15m, 2h, 3d (ago)"

/* Wall clock milliseconds. STATUS_SYNTAX: none of MOMENT_FORMS, or no such day or time. */
[[nodiscard]] enum status moment_parse(struct str s, int64_t now_ms, int64_t *ms_out);

#endif
