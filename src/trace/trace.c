#include "trace/trace.h"

#include "base/clock.h"
#include "trace/varint.h"

#define TRACE_VERSION     1
/* The version and the time of the first event. */
#define HEAD_OCTETS       9u
/* Most octets of one event: the lists that would make it longer are cut. */
#define EVENT_MAX         18432u
/* Number, time, length before the fields of an event. */
#define EVENT_HEAD_MAX    (2 + 2 * VARINT_MAX)
/* Kept free for the `truncated` event. */
#define TRUNCATED_RESERVE 48u
/* Room at once for a trace that begins with another's events: what follows is longer. */
#define BEGUN_ROOM        4096u

/* Kept free behind a text for what follows it: addresses and numbers are never cut. */
#define FIELDS_RESERVE (TRACE_FIELDS_MAX * (VARINT_MAX + sizeof(struct ip_address)))

/* The fields of one event on their way into octets. Never over its room: texts are cut to it. */
struct encoder {
    uint8_t octets[EVENT_MAX];
    size_t n;
};

void
trace_init(struct trace *trace, int64_t (*clock)(void))
{
    *trace = (struct trace){.clock = clock != NULL ? clock : clock_wall_ms};
    buf_init(&trace->octets, TRACE_MAX);
}

void
trace_set_overflow(struct trace *trace, trace_on_overflow *on_overflow, void *context)
{
    trace->on_overflow = on_overflow;
    trace->context = context;
}

void
trace_free(struct trace *trace)
{
    buf_free(&trace->octets);
    trace->dropped = 0;
}

size_t
trace_held(const struct trace *trace)
{
    return trace->octets.size;
}

void
trace_clear(struct trace *trace)
{
    buf_clear(&trace->octets);
    trace->dropped = 0;
}

bool
trace_is_empty(const struct trace *trace)
{
    return buf_length(&trace->octets) == 0;
}

/* ---- fields */

static void
encode_number(struct encoder *encoder, uint64_t v)
{
    encoder->n += varint_put(encoder->octets + encoder->n, v);
}

/* Room that is left for octets when `reserve` more must fit behind them. */
static size_t
encoder_room(const struct encoder *encoder, size_t reserve)
{
    size_t taken = encoder->n + VARINT_MAX + reserve;
    return taken < EVENT_MAX ? EVENT_MAX - taken : 0;
}

static void
encode_octets(struct encoder *encoder, const void *p, size_t n)
{
    encode_number(encoder, n);
    if (n > 0) {
        memcpy(encoder->octets + encoder->n, p, n);
        encoder->n += n;
    }
}

static void
encode_text(struct encoder *encoder, struct str s)
{
    size_t room = encoder_room(encoder, FIELDS_RESERVE);
    size_t n = s.n < TRACE_TEXT_MAX ? s.n : TRACE_TEXT_MAX;
    encode_octets(encoder, s.p, n < room ? n : room);
}

static void
encode_texts(struct encoder *encoder, struct trace_texts texts)
{
    size_t room = encoder_room(encoder, FIELDS_RESERVE);
    size_t n = 0;
    for (size_t used = 0; n < texts.n && n < TRACE_TEXTS_MAX; n++) {
        size_t length = texts.items[n].n < TRACE_TEXT_MAX ? texts.items[n].n : TRACE_TEXT_MAX;
        used += length + VARINT_MAX;
        if (used > room || used > TRACE_LIST_MAX) {
            break;
        }
    }
    encode_number(encoder, n);
    for (size_t i = 0; i < n; i++) {
        encode_text(encoder, texts.items[i]);
    }
}

static void
encode_ip(struct encoder *encoder, const struct ip_address *ip)
{
    static const struct ip_address none;
    if (ip_eq(ip, &none)) {
        encode_octets(encoder, NULL, 0);
    } else if (ip_is_v4(ip)) {
        encode_octets(encoder, ip->octets + 12, 4);
    } else {
        encode_octets(encoder, ip->octets, 16);
    }
}

/* Encodes the field at p and returns where the next one is in the struct. */
static const char *
encode_field(struct encoder *encoder, enum trace_kind kind, const char *p)
{
    int64_t number;
    struct str text;
    struct trace_texts texts;
    struct ip_address ip;
    switch (kind) {
    case TRACE_KIND_str:
        memcpy(&text, p, sizeof text);
        encode_text(encoder, text);
        return p + sizeof text;
    case TRACE_KIND_ip:
        memcpy(&ip, p, sizeof ip);
        encode_ip(encoder, &ip);
        return p + sizeof ip;
    case TRACE_KIND_texts:
        memcpy(&texts, p, sizeof texts);
        encode_texts(encoder, texts);
        return p + sizeof texts;
    case TRACE_KIND_int:
    case TRACE_KIND_flag:
    case TRACE_KIND_time:
        break;
    }
    memcpy(&number, p, sizeof number);
    encode_number(encoder, varint_zigzag(number));
    return p + sizeof number;
}

/* Fills the encoder with the fields, empty ones at the end left out. */
static void
encode_fields(struct encoder *encoder, const struct trace_event_row *row, const void *fields)
{
    const char *p = fields;
    size_t kept = 0;
    encoder->n = 0;
    for (size_t i = 0; i < row->field_count; i++) {
        size_t before = encoder->n;
        p = encode_field(encoder, row->fields[i].kind, p);
        if (encoder->n != before + 1 || encoder->octets[before] != 0) {
            kept = encoder->n;
        }
    }
    encoder->n = kept;
}

/* ---- events */

static int64_t
trace_now(const struct trace *trace)
{
    int64_t now = trace->clock();
    return now < 0 ? 0 : now > TRACE_TIME_MAX ? TRACE_TIME_MAX : now;
}

/* Writes the head of a trace. False when the buffer has no memory for it. */
static bool
put_head(struct trace *trace, int64_t time_ms)
{
    uint8_t head[HEAD_OCTETS] = {TRACE_VERSION};
    for (unsigned i = 0; i < 8; i++) {
        head[1 + i] = (uint8_t)((uint64_t)time_ms >> (8 * i));
    }
    trace->last_ms = time_ms;
    return buf_append(&trace->octets, str_make((const char *)head, sizeof head)) == STATUS_OK;
}

static bool
put_event(struct trace *trace, int64_t time_ms, uint16_t number, struct str fields)
{
    uint8_t head[EVENT_HEAD_MAX] = {(uint8_t)number, (uint8_t)(number >> 8)};
    size_t n = 2;
    if (trace_is_empty(trace) && !put_head(trace, time_ms)) {
        return false;
    }
    n += varint_put(head + n, varint_zigzag(time_ms - trace->last_ms));
    n += varint_put(head + n, fields.n);
    char *room = buf_reserve(&trace->octets, n + fields.n);
    if (room == NULL) {
        return false;
    }
    memcpy(room, head, n);
    if (fields.n > 0) {
        memcpy(room + n, fields.p, fields.n);
    }
    buf_commit(&trace->octets, n + fields.n);
    trace->last_ms = time_ms;
    return true;
}

/* Puts the event in, or counts it as dropped: after the first drop nothing more is kept. */
static void
record(struct trace *trace, int64_t time_ms, uint16_t number, struct str fields)
{
    size_t need = HEAD_OCTETS + EVENT_HEAD_MAX + fields.n + TRUNCATED_RESERVE;
    bool fits = buf_length(&trace->octets) + need <= TRACE_MAX;
    if (!fits && trace->on_overflow != NULL) {
        trace->on_overflow(trace->context, trace_events(trace));
        trace_clear(trace);
        fits = true;
    }
    if (trace->dropped > 0 || !fits || !put_event(trace, time_ms, number, fields)) {
        trace->dropped++;
    }
}

void
trace_add(struct trace *trace, enum trace_event_id id, const void *fields)
{
    const struct trace_event_row *row = trace_event_row((uint16_t)id);
    /* Not set to zero, as all else is: that would take longer than to encode an event. */
    struct encoder encoder __attribute__((uninitialized));
    encode_fields(&encoder, row, fields);
    record(trace, trace_now(trace), row->number, str_make((const char *)encoder.octets, encoder.n));
}

/* True when all events can be read; the time of the last one. */
static bool
read_through(struct str events, int64_t *last_ms_out)
{
    struct trace_reader reader;
    struct trace_event event;
    enum status status = trace_reader_init(&reader, events);
    while (status == STATUS_OK) {
        *last_ms_out = reader.time_ms;
        status = trace_reader_next(&reader, &event);
    }
    return status == STATUS_END;
}

/* A trace that begins with these events, and has room for another one, is their octets. */
static bool
begin_with(struct trace *trace, struct str events, int64_t last_ms)
{
    bool fits = events.n + EVENT_HEAD_MAX + TRUNCATED_RESERVE <= TRACE_MAX;
    if (!fits || !trace_is_empty(trace) || trace->dropped > 0 || events.n <= HEAD_OCTETS ||
        buf_reserve(&trace->octets, BEGUN_ROOM) == NULL ||
        buf_append(&trace->octets, events) != STATUS_OK) {
        return false;
    }
    trace->last_ms = last_ms;
    return true;
}

enum status
trace_append(struct trace *trace, struct str events)
{
    struct trace_reader reader;
    struct trace_event event;
    int64_t last_ms = 0;
    if (!read_through(events, &last_ms)) {
        return STATUS_SYNTAX;
    }
    if (begin_with(trace, events, last_ms)) {
        return STATUS_OK;
    }
    if (trace_reader_init(&reader, events) != STATUS_OK) {
        return STATUS_BUG;
    }
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        record(trace, event.time_ms, event.number, event.fields);
    }
    return STATUS_OK;
}

/* The `truncated` event is only in the octets that are handed out: the count may still grow. */
struct str
trace_events(struct trace *trace)
{
    if (trace->dropped == 0) {
        return buf_str(&trace->octets);
    }
    uint8_t fields[VARINT_MAX];
    struct str encoded = {(const char *)fields, varint_put(fields, varint_zigzag(trace->dropped))};
    size_t length = buf_length(&trace->octets);
    int64_t last_ms = trace->last_ms;
    if (!put_event(trace, trace_is_empty(trace) ? trace_now(trace) : last_ms, TRACE_TRUNCATED,
                   encoded)) {
        return buf_str(&trace->octets);
    }
    struct str events = buf_str(&trace->octets);
    trace->octets.end = trace->octets.start + length;
    trace->last_ms = last_ms;
    return events;
}
