/* The tables that events.def makes, and looking things up in them. */
#include "trace/trace.h"

/* clang-format off */
#define TRACE_EVENT(number, NAME, name, meaning, rfc)                                              \
    static const struct trace_field trace_fields_##name[] = {
#define TRACE_FIELD(kind, name) {#name, TRACE_KIND_##kind},
#define TRACE_EVENT_END {NULL, TRACE_KIND_int}};
/* clang-format on */
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END

static const struct trace_event_row event_rows[] = {
#define TRACE_EVENT(number, NAME, name, meaning, rfc)                                              \
    {(number),                                                                                     \
     #name,                                                                                        \
     (meaning),                                                                                    \
     (rfc),                                                                                        \
     trace_fields_##name,                                                                          \
     sizeof trace_fields_##name / sizeof trace_fields_##name[0] - 1,                               \
     sizeof(struct trace_##name)},
#define TRACE_FIELD(kind, name)
#define TRACE_EVENT_END
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Where the row of each event is, by name. */
enum {
#define TRACE_EVENT(number, NAME, name, meaning, rfc) ROW_##NAME,
#define TRACE_FIELD(kind, name)
#define TRACE_EVENT_END
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END
};

/* The same by number, plus 1; 0: no event has that number. */
static const uint8_t row_of_number[] = {
#define TRACE_EVENT(number, NAME, name, meaning, rfc) [number] = ROW_##NAME + 1,
#define TRACE_FIELD(kind, name)
#define TRACE_EVENT_END
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END
};

_Static_assert(COUNT(event_rows) < UINT8_MAX, "the numbers of rows fit into an octet");

const struct trace_event_row *
trace_event_row(uint16_t number)
{
    size_t row = number < COUNT(row_of_number) ? row_of_number[number] : 0;
    return row > 0 ? &event_rows[row - 1] : NULL;
}

const struct trace_event_row *
trace_event_rows(size_t *count_out)
{
    *count_out = COUNT(event_rows);
    return event_rows;
}
