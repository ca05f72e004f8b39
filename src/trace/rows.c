/* The tables that events.def makes, and looking things up in them. */
#include <stdlib.h>

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

/* The rows are sorted by number. */
static int
compare_number(const void *key, const void *row)
{
    return (int)*(const uint16_t *)key - (int)((const struct trace_event_row *)row)->number;
}

const struct trace_event_row *
trace_event_row(uint16_t number)
{
    return bsearch(&number, event_rows, COUNT(event_rows), sizeof event_rows[0], compare_number);
}

const struct trace_event_row *
trace_event_rows(size_t *count_out)
{
    *count_out = COUNT(event_rows);
    return event_rows;
}
