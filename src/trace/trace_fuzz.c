/* Octets that claim to be a trace: read, printed, appended, explained; whatever they are. */
#include <stdlib.h>

#include "trace/explain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What can be read can be printed in all forms. */
static void
print_all(struct str events)
{
    struct trace_reader reader;
    struct trace_event event;
    struct buf out;
    if (trace_reader_init(&reader, events) != STATUS_OK) {
        return;
    }
    buf_init(&out, 1u << 20);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        json_decref(trace_event_json(&event));
        if (trace_event_print(&event, &out) != STATUS_OK ||
            explain_event(&event, &out) != STATUS_OK) {
            break; /* the buffer is full */
        }
    }
    buf_free(&out);
}

/* A valid trace, appended to an empty one, is valid and the same again. */
static void
append_twice(struct str events)
{
    struct trace first;
    struct trace second;
    trace_init(&first, NULL);
    trace_init(&second, NULL);
    if (trace_append(&first, events) == STATUS_OK) {
        struct str copy = trace_events(&first);
        bool is_valid = trace_is_empty(&first) || trace_is_valid(copy);
        if (!is_valid || (!trace_is_empty(&first) && (trace_append(&second, copy) != STATUS_OK ||
                                                      !str_eq(trace_events(&second), copy)))) {
            abort();
        }
    }
    trace_free(&first);
    trace_free(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str events = {(const char *)data, size};
    struct timeline timeline;
    struct timeline_part parts[] = {{STR("SESSION"), events}, {STR("MESSAGE"), events}};
    struct buf out;
    print_all(events);
    append_twice(events);
    buf_init(&out, 1u << 20);
    if (timeline_init(&timeline, parts, 2) != STATUS_LIMIT) {
        if (explain_text(&timeline, STR("MESSAGE"), 80, &out) == STATUS_OK && out.end == 0) {
            abort(); /* any message has a story */
        }
        json_decref(explain_json(&timeline, STR("SESSION")));
    }
    timeline_fini(&timeline);
    buf_free(&out);
    return 0;
}
