#include "trace/timeline.h"

#include <stdlib.h>

static bool
grow(struct timeline *timeline, size_t *room)
{
    size_t more = *room == 0 ? 64 : 2 * *room;
    struct timeline_event *items = realloc(timeline->items, more * sizeof *items);
    if (items == NULL) {
        return false;
    }
    timeline->items = items;
    *room = more;
    return true;
}

static enum status
read_part(struct timeline *timeline, const struct timeline_part *part, size_t *room)
{
    struct trace_reader reader;
    struct trace_event event;
    enum status status = trace_reader_init(&reader, part->events);
    while (status == STATUS_OK && (status = trace_reader_next(&reader, &event)) == STATUS_OK) {
        if (timeline->count == TIMELINE_EVENTS_MAX) {
            timeline->cut = true;
            return STATUS_OK;
        }
        if (timeline->count == *room && !grow(timeline, room)) {
            return STATUS_LIMIT;
        }
        timeline->items[timeline->count] =
            (struct timeline_event){part->id, event, timeline->count};
        timeline->count++;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/*
 * Where an event stands among those of the same millisecond. What one role did because of another
 * comes after it: the answer to the client after the queue's commit, the end of the connection
 * after the answer, and attempts after both.
 */
static int
rank_in_time(const struct trace_event *event)
{
    if (event->number == TRACE_QUEUED || event->number == TRACE_NOT_QUEUED ||
        event->number == TRACE_QUEUE_UNKNOWN) {
        return 1;
    }
    if (event->number == TRACE_MESSAGE_ANSWERED) {
        return 2;
    }
    if (event->number == TRACE_CONNECTION_CLOSED) {
        return 3;
    }
    bool in_relay = event->number >= TRACE_ATTEMPT_STARTED && event->number < TRACE_ERROR;
    return event->number == TRACE_FINISHED ? 5 : in_relay ? 4 : 0;
}

static int
compare_time(const void *a, const void *b)
{
    const struct timeline_event *x = a;
    const struct timeline_event *y = b;
    if (x->event.time_ms != y->event.time_ms) {
        return x->event.time_ms < y->event.time_ms ? -1 : 1;
    }
    int rank = rank_in_time(&x->event) - rank_in_time(&y->event);
    if (rank != 0) {
        return rank;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

enum status
timeline_init(struct timeline *timeline, const struct timeline_part *parts, size_t count)
{
    enum status result = STATUS_OK;
    size_t room = 0;
    *timeline = (struct timeline){.items = NULL};
    for (size_t i = 0; i < count && result != STATUS_LIMIT; i++) {
        enum status status = read_part(timeline, &parts[i], &room);
        result = status != STATUS_OK ? status : result;
    }
    if (result == STATUS_LIMIT) {
        timeline_fini(timeline);
    } else if (timeline->count > 0) {
        qsort(timeline->items, timeline->count, sizeof timeline->items[0], compare_time);
    }
    return result;
}

void
timeline_fini(struct timeline *timeline)
{
    free(timeline->items);
    *timeline = (struct timeline){.items = NULL};
}
