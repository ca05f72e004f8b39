#include "trace/explain_attempts.h"

/* "mx.example" of "mx.example[192.0.2.1]:25"; the address where there is no name. */
static struct str
host_in(struct str remote)
{
    size_t bracket = str_find_char(remote, '[');
    if (bracket == 0) {
        size_t end = str_find_char(remote, ']');
        return end != STR_NPOS ? str_head(str_skip(remote, 1), end - 1) : remote;
    }
    return bracket != STR_NPOS ? str_head(remote, bracket) : remote;
}

/* The host that an event tells of; empty: of none. */
static struct str
host_of(const struct trace_event *event)
{
    switch (event->number) {
    case TRACE_ATTEMPT_FAILED:
        return trace_event_text(event, "host");
    case TRACE_DELIVERED:
    case TRACE_DEFERRED:
    case TRACE_FAILED:
        return host_in(trace_event_text(event, "remote"));
    default:
        return STR("");
    }
}

static bool
is_known(const struct explain_summary *summary, struct str host)
{
    for (size_t i = 0; i < summary->attempt_count; i++) {
        if (str_eq_nocase(host_of(&summary->attempts[i]->event), host)) {
            return true;
        }
    }
    return false;
}

void
explain_find_attempts(const struct timeline *timeline, struct explain_summary *summary)
{
    if (summary->is_session || explain_result(summary) == EXPLAIN_RESULT_DELIVERED) {
        return;
    }
    for (size_t i = timeline->count; i > 0 && summary->attempt_count < EXPLAIN_HOSTS_MAX; i--) {
        const struct timeline_event *item = &timeline->items[i - 1];
        struct str host = host_of(&item->event);
        if (host.n > 0 && str_eq(item->id, summary->id) && !is_known(summary, host)) {
            summary->attempts[summary->attempt_count++] = item;
        }
    }
}

enum explain_result
explain_result(const struct explain_summary *summary)
{
    bool waits = summary->is_session ? false : summary->recipient_count == 0;
    if (summary->verdict != NULL && summary->recipient_count == 0) {
        return EXPLAIN_RESULT_MISSED;
    }
    for (size_t i = 0; i < summary->recipient_count; i++) {
        switch (summary->recipients[i].end) {
        case EXPLAIN_END_REFUSED:
        case EXPLAIN_END_FAILED:
        case EXPLAIN_END_REMOVED:
            return EXPLAIN_RESULT_MISSED;
        case EXPLAIN_END_OPEN:
        case EXPLAIN_END_WAITING:
        case EXPLAIN_END_HELD:
            waits = true;
            break;
        case EXPLAIN_END_EXPANDED:
        case EXPLAIN_END_DELIVERED:
        case EXPLAIN_END_COPIED:
            break;
        }
    }
    return waits ? EXPLAIN_RESULT_WAITING : EXPLAIN_RESULT_DELIVERED;
}
