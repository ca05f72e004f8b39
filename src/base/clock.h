/*
 * clock.h - time. Code that decides by time takes a clock (or a `now`) as a parameter, so that
 * tests set it and never sleep.
 */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include <stdint.h>

#include "base/arena.h"

/* Milliseconds since 1970-01-01T00:00:00Z; can jump when the machine's clock is set. */
int64_t clock_wall_ms(void);
/* Milliseconds of a clock that never goes back; for intervals and time-outs. */
int64_t clock_monotonic_ms(void);

/* "Mon, 23 Nov 2026 17:48:14 +0000" (RFC 5322 3.3), always in UTC. */
struct str clock_format_rfc5322(struct arena *arena, int64_t wall_ms);
/* "2026-11-23T17:48:14.123Z" (RFC 3339). */
struct str clock_format_rfc3339(struct arena *arena, int64_t wall_ms);

#endif
