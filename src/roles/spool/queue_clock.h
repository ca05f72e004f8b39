/*
 * queue_clock.h - the queue's clock. It begins at the wall clock, or at what it showed last when
 * the wall clock is behind that, and then runs with the monotonic clock: setting the wall clock
 * moves no schedule (doc/decisions/0003-mail-queue.md, "Time"). Milliseconds everywhere.
 */
#ifndef POSTERN_ROLES_SPOOL_QUEUE_CLOCK_H
#define POSTERN_ROLES_SPOOL_QUEUE_CLOCK_H

#include <stdint.h>

/* What a wall clock may be behind without a word: it is corrected by so much now and then. */
#define QUEUE_CLOCK_AHEAD_MS  60000
/* What it may be ahead: a server is seldom off for longer, and mail expires after less. */
#define QUEUE_CLOCK_BEHIND_MS (7 * 86400000LL)

struct queue_clock {
    int64_t start_ms;
    int64_t monotonic_ms;
};

/*
 * Starts the clock. `last_ms` is what it showed last, 0: never; `wall_ms` the wall clock's time of
 * now. Logs a warning with both when they are further apart than the limits above.
 */
struct queue_clock queue_clock_start(int64_t last_ms, int64_t wall_ms);
int64_t queue_clock_now(const struct queue_clock *clock);

#endif
