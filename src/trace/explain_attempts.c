#include "trace/explain_attempts.h"

/* Where an attempt went. */
struct place {
    struct str host; /* empty: nowhere */
    uint64_t port;   /* 0: not told */
};

/* "mx.example" and 25 of "mx.example[192.0.2.1]:25"; the address where there is no name. */
static struct place
place_in(struct str remote)
{
    struct place place = {.host = remote};
    size_t bracket = str_find_char(remote, '[');
    size_t end = str_rfind_char(remote, ']');
    if (bracket == STR_NPOS || end == STR_NPOS || end < bracket) {
        return place;
    }
    place.host = bracket > 0 ? str_head(remote, bracket) : str_head(str_skip(remote, 1), end - 1);
    struct str port = str_skip(remote, end + 1);
    if (str_starts_with(port, STR(":"))) {
        (void)!str_parse_u64(str_skip(port, 1), UINT16_MAX, &place.port);
    }
    return place;
}

/* Where the event's attempt went. */
static struct place
place_of(const struct trace_event *event)
{
    switch (event->number) {
    case TRACE_ATTEMPT_FAILED:
        return (struct place){trace_event_text(event, "host"),
                              (uint64_t)trace_event_number(event, "port")};
    case TRACE_DELIVERED:
    case TRACE_DEFERRED:
    case TRACE_FAILED:
        return place_in(trace_event_text(event, "remote"));
    default:
        return (struct place){0};
    }
}

static bool
is_known(const struct explain_summary *summary, const struct place *place)
{
    for (size_t i = 0; i < summary->attempt_count; i++) {
        const struct place known = place_of(&summary->attempts[i]->event);
        bool same_port = known.port == place->port || known.port == 0 || place->port == 0;
        if (same_port && str_eq_nocase(known.host, place->host)) {
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
        const struct place place = place_of(&item->event);
        if (place.host.n > 0 && str_eq(item->id, summary->id) && !is_known(summary, &place)) {
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
