#include "roles/spool/queue_clock.h"

#include "base/clock.h"
#include "base/log.h"

static void
warn(const char *event, int64_t last_ms, int64_t wall_ms)
{
    struct arena *arena = arena_create(1024);
    LOG_WARN(event, LOG_STR("queue_clock", clock_format_rfc3339(arena, last_ms)),
             LOG_STR("wall_clock", clock_format_rfc3339(arena, wall_ms)));
    arena_destroy(&arena);
}

struct queue_clock
queue_clock_start(int64_t last_ms, int64_t wall_ms)
{
    /* Differences fit: neither is before 1970 nor anywhere near the end of int64_t. */
    if (last_ms - wall_ms > QUEUE_CLOCK_AHEAD_MS) {
        warn("the wall clock is behind the time at which the queue was used last: it was set back, "
             "or was wrong then. The queue goes on from its own time; check the machine's clock",
             last_ms, wall_ms);
    } else if (last_ms != 0 && wall_ms - last_ms > QUEUE_CLOCK_BEHIND_MS) {
        warn("the wall clock is far ahead of the time at which the queue was used last: it was "
             "stopped for so long, or the clock was set ahead. What waits is tried now, and what "
             "fails may be too old and expire; check the machine's clock",
             last_ms, wall_ms);
    }
    return (struct queue_clock){wall_ms > last_ms ? wall_ms : last_ms, clock_monotonic_ms()};
}

int64_t
queue_clock_now(const struct queue_clock *clock)
{
    return clock->start_ms + clock_monotonic_ms() - clock->monotonic_ms;
}
