/*
 * timeline.h - the events of one message or session from all its parts, in the order of time.
 *
 * Parts come from several processes; where two events have the same millisecond, cause stands
 * before effect (queued, answered, attempted), and otherwise they stay in the order of their parts.
 * Everything is borrowed from the parts' octets but the list itself.
 */
#ifndef POSTERN_TRACE_TIMELINE_H
#define POSTERN_TRACE_TIMELINE_H

#include "trace/trace.h"

/* Events of one timeline; the first ones in time of arrival are kept. About 1 KiB each. */
#define TIMELINE_EVENTS_MAX 50000u

struct timeline_part {
    struct str id; /* what these events are about: a message or its session */
    struct str events;
};

struct timeline_event {
    struct str id;
    struct trace_event event;
    size_t order;
};

struct timeline {
    struct timeline_event *items; /* owned */
    size_t count;
    bool cut; /* there were more than TIMELINE_EVENTS_MAX */
};

/*
 * Reads all parts. STATUS_SYNTAX: one is malformed; what could be read of it is in the timeline.
 * STATUS_LIMIT: no memory (the timeline is then empty). End with timeline_fini either way.
 */
[[nodiscard]] enum status timeline_init(struct timeline *timeline,
                                        const struct timeline_part *parts, size_t count);
void timeline_fini(struct timeline *timeline);

#endif
