#include "trace/trace.h"
#include "trace/varint.h"

#define TRACE_VERSION 1
#define HEAD_OCTETS   9u

/* ---- fields */

/* Takes `n` octets from the front of *s. */
static bool
take_octets(struct str *s, uint64_t n, struct str *octets_out)
{
    if (n > s->n) {
        return false;
    }
    *octets_out = str_make(s->p, (size_t)n);
    *s = str_make(s->p + n, s->n - (size_t)n);
    return true;
}

static bool
take_text(struct str *s, struct str *text_out)
{
    uint64_t n;
    return varint_take(s, &n) && take_octets(s, n, text_out);
}

static bool
take_ip(struct str *s, struct trace_value *value)
{
    static const struct ip_address v4_prefix = {.octets = {[10] = 0xff, [11] = 0xff}};
    struct str octets;
    if (!take_text(s, &octets) || (octets.n != 0 && octets.n != 4 && octets.n != 16)) {
        return false;
    }
    value->present = octets.n > 0;
    if (value->present) {
        value->ip = v4_prefix;
        memcpy(value->ip.octets + 16 - octets.n, octets.p, octets.n);
    }
    return true;
}

static bool
take_texts(struct str *s, struct trace_value *value)
{
    uint64_t count;
    struct str item;
    if (!varint_take(s, &count) || count > TRACE_TEXTS_MAX) {
        return false;
    }
    const char *start = s->p;
    for (uint64_t i = 0; i < count; i++) {
        if (!take_text(s, &item)) {
            return false;
        }
    }
    value->present = count > 0;
    value->texts = str_make(start, (size_t)(s->p - start));
    return true;
}

static bool
take_number(struct str *s, struct trace_value *value)
{
    uint64_t v;
    if (!varint_take(s, &v)) {
        return false;
    }
    value->number = varint_unzigzag(v);
    value->present = v != 0;
    return value->kind != TRACE_KIND_time ||
           (value->number >= 0 && value->number <= TRACE_TIME_MAX);
}

static bool
take_value(struct str *s, struct trace_value *value)
{
    switch (value->kind) {
    case TRACE_KIND_str:
        if (!take_text(s, &value->text)) {
            return false;
        }
        value->present = value->text.n > 0;
        return true;
    case TRACE_KIND_ip:
        return take_ip(s, value);
    case TRACE_KIND_texts:
        return take_texts(s, value);
    case TRACE_KIND_int:
    case TRACE_KIND_flag:
    case TRACE_KIND_time:
        return take_number(s, value);
    }
    return false;
}

/* ---- events */

enum status
trace_reader_init(struct trace_reader *reader, struct str events)
{
    uint64_t time_ms = 0;
    if (events.n < HEAD_OCTETS || events.p[0] != TRACE_VERSION) {
        return STATUS_SYNTAX;
    }
    for (unsigned i = 0; i < 8; i++) {
        time_ms |= (uint64_t)(uint8_t)events.p[1 + i] << (8 * i);
    }
    if (time_ms > TRACE_TIME_MAX) {
        return STATUS_SYNTAX;
    }
    reader->time_ms = (int64_t)time_ms;
    reader->rest = str_skip(events, HEAD_OCTETS);
    return STATUS_OK;
}

static bool
take_time(struct trace_reader *reader)
{
    uint64_t delta;
    if (!varint_take(&reader->rest, &delta)) {
        return false;
    }
    /* Unsigned, so that a hostile step cannot overflow; the range decides. */
    reader->time_ms = (int64_t)((uint64_t)reader->time_ms + (uint64_t)varint_unzigzag(delta));
    return reader->time_ms >= 0 && reader->time_ms <= TRACE_TIME_MAX;
}

static bool
take_event(struct trace_reader *reader, struct trace_event *event)
{
    struct str number;
    if (!take_octets(&reader->rest, 2, &number) || !take_time(reader) ||
        !take_text(&reader->rest, &event->fields)) {
        return false;
    }
    event->number = (uint16_t)((uint8_t)number.p[0] | (uint8_t)number.p[1] << 8);
    event->time_ms = reader->time_ms;
    event->row = trace_event_row(event->number);
    struct str fields = event->fields;
    for (size_t i = 0; event->row != NULL && i < event->row->field_count; i++) {
        event->values[i] = (struct trace_value){.kind = event->row->fields[i].kind};
        if (fields.n > 0 && !take_value(&fields, &event->values[i])) {
            return false;
        }
    }
    return true; /* what is left are fields of a later version */
}

enum status
trace_reader_next(struct trace_reader *reader, struct trace_event *event_out)
{
    if (reader->rest.n == 0) {
        return STATUS_END;
    }
    if (!take_event(reader, event_out)) {
        reader->rest = str_make(NULL, 0);
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

bool
trace_is_valid(struct str events)
{
    struct trace_reader reader;
    struct trace_event event;
    enum status status = trace_reader_init(&reader, events);
    while (status == STATUS_OK) {
        status = trace_reader_next(&reader, &event);
    }
    return status == STATUS_END;
}

/* ---- values */

const struct trace_value *
trace_event_value(const struct trace_event *event, const char *name)
{
    static const struct trace_value none;
    for (size_t i = 0; event->row != NULL && i < event->row->field_count; i++) {
        if (strcmp(event->row->fields[i].name, name) == 0) {
            return &event->values[i];
        }
    }
    return &none;
}

struct str
trace_event_text(const struct trace_event *event, const char *name)
{
    return trace_event_value(event, name)->text;
}

int64_t
trace_event_number(const struct trace_event *event, const char *name)
{
    return trace_event_value(event, name)->number;
}

bool
trace_texts_next(struct str *texts, struct str *item_out)
{
    return texts->n > 0 && take_text(texts, item_out);
}
