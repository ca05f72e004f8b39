/*
 * trace.h - recording what happens to a connection or a message, as compact typed events.
 *
 * Every role records while it works and hands the result to the ledger (roles/trace_sender.h):
 *
 *     struct trace trace;
 *     trace_init(&trace, NULL);
 *     TRACE(&trace, recipient_refused, .address = address, .code = 550, .why = STR("unknown"));
 *     trace_sender_add(sender, id, session, &trace);
 *     trace_free(&trace);
 *
 * What belongs to which id: the edge makes a session id for each connection and records events 1 to
 * 19 under it. At MAIL it makes the message's id; all later events of this message, in every role,
 * are recorded under that id, also when it is refused. The spool id is that same id.
 *
 * Recording never fails: a text is cut to TRACE_TEXT_MAX, and what no longer fits into TRACE_MAX
 * octets either goes out through the overflow callback or is counted in a `truncated` event. Memory
 * is taken as needed; an empty trace has none. A trace is used by one thread at a time.
 *
 * The encoding (all numbers little end first, varints in groups of 7 bits, low first; signed ones
 * in zigzag): an octet 1 (the version), the wall clock of the first event in 8 octets, then events:
 *
 *     number u16, time since the event before it (signed varint, ms), length varint, fields
 *
 * with the fields in the order of events.def: int, flag, time as signed varint; str as length and
 * octets; ip as length (0, 4, 16) and octets; texts as count and strs. Empty fields at the end are
 * left out. So a reader skips events it does not know, and fields that were added later.
 */
#ifndef POSTERN_TRACE_TRACE_H
#define POSTERN_TRACE_TRACE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/ip.h"

/* Most octets of one encoded trace (MSG_TRACE_APPEND.events, MSG_SUBMIT.events). */
#define TRACE_MAX        65536u
/* Octets of one text; longer ones are cut. */
#define TRACE_TEXT_MAX   1024u
/* Items and octets of one list of texts; more are left out. */
#define TRACE_TEXTS_MAX  256u
#define TRACE_LIST_MAX   6144u
/* Most fields of one event in events.def. */
#define TRACE_FIELDS_MAX 14u
/* The last moment that can be recorded, 9999-12-31T23:59:59.999Z, in wall clock milliseconds. */
#define TRACE_TIME_MAX   253402300799999

enum trace_event_id {
#define TRACE_EVENT(number, NAME, name, meaning, rfc) TRACE_##NAME = (number),
#define TRACE_FIELD(kind, name)
#define TRACE_EVENT_END
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END
};

enum trace_kind {
    TRACE_KIND_int,
    TRACE_KIND_flag,
    TRACE_KIND_time,
    TRACE_KIND_str,
    TRACE_KIND_ip,
    TRACE_KIND_texts,
};

struct trace_texts {
    const struct str *items;
    size_t n;
};

/* The C types of the kinds. All are a multiple of 8 octets, so the structs below have no gaps. */
typedef int64_t trace_type_int;
typedef int64_t trace_type_flag;
typedef int64_t trace_type_time;
typedef struct str trace_type_str;
typedef struct ip_address trace_type_ip;
typedef struct trace_texts trace_type_texts;

/* struct trace_connection_opened { struct ip_address client; ... }; and so on. */
#define TRACE_EVENT(number, NAME, name, meaning, rfc) struct trace_##name {
#define TRACE_FIELD(kind, name)                       trace_type_##kind name;
/* clang-format off */
#define TRACE_EVENT_END };
/* clang-format on */
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END

/* ---- recording */

/*
 * Takes what was recorded so far (valid until it returns) when the next event does not fit; the
 * trace then begins anew. For the edge, whose sessions may be long.
 */
typedef void trace_on_overflow(void *context, struct str events);

struct trace {
    /* private */
    struct buf octets;
    int64_t (*clock)(void);
    int64_t last_ms;
    int64_t dropped;
    trace_on_overflow *on_overflow;
    void *context;
};

/* An empty trace. `clock` tells wall clock milliseconds; NULL: clock_wall_ms. */
void trace_init(struct trace *trace, int64_t (*clock)(void));
void trace_set_overflow(struct trace *trace, trace_on_overflow *on_overflow, void *context);
void trace_free(struct trace *trace);
/* Octets of memory that it holds now. */
size_t trace_held(const struct trace *trace);
/* Forgets the events, to begin anew. */
void trace_clear(struct trace *trace);
bool trace_is_empty(const struct trace *trace);

/* Records an event at this moment: TRACE(trace, helo, .verb = STR("EHLO"), .name = name). */
#define TRACE(trace, event, ...)                                                                   \
    trace_add_##event((trace), &(const struct trace_##event){__VA_ARGS__})

/* What TRACE calls: `fields` is the struct of that event; it is copied. */
void trace_add(struct trace *trace, enum trace_event_id id, const void *fields);
#define TRACE_EVENT(number, NAME, name, meaning, rfc)                                              \
    static inline void trace_add_##name(struct trace *trace, const struct trace_##name *fields)    \
    {                                                                                              \
        trace_add(trace, TRACE_##NAME, fields);                                                    \
    }
#define TRACE_FIELD(kind, name)
#define TRACE_EVENT_END
#include "trace/events.def"
#undef TRACE_EVENT
#undef TRACE_FIELD
#undef TRACE_EVENT_END

/*
 * Appends events that another role recorded (MSG_SUBMIT.events), with their own times.
 * STATUS_SYNTAX when they are malformed (nothing is appended then); what does not fit counts as
 * dropped.
 */
[[nodiscard]] enum status trace_append(struct trace *trace, struct str events);

/* The encoded events, at most TRACE_MAX octets; empty when nothing was recorded. Borrowed until the
 * trace changes. */
struct str trace_events(struct trace *trace);

/* ---- reading */

struct trace_field {
    const char *name;
    enum trace_kind kind;
};

/* One row of events.def. */
struct trace_event_row {
    uint16_t number;
    const char *name;
    const char *meaning; /* one line */
    const char *rfc;     /* "RFC 5321 3.1", or "" */
    const struct trace_field *fields;
    size_t field_count;
    size_t size; /* of its struct */
};

/* NULL for a number that this version does not know. */
const struct trace_event_row *trace_event_row(uint16_t number);
/* All rows, by number. */
const struct trace_event_row *trace_event_rows(size_t *count_out);

struct trace_value {
    enum trace_kind kind;
    bool present;         /* false: empty or not recorded */
    int64_t number;       /* int, flag, time */
    struct str text;      /* str; borrowed from the encoded octets */
    struct ip_address ip; /* ip */
    struct str texts;     /* texts, encoded: trace_texts_next */
};

/* One event, read. Borrows from the octets it was read from. */
struct trace_event {
    uint16_t number;
    const struct trace_event_row *row;           /* NULL: recorded by a later version */
    int64_t time_ms;                             /* wall clock */
    struct str fields;                           /* as encoded */
    struct trace_value values[TRACE_FIELDS_MAX]; /* row->field_count of them */
};

struct trace_reader {
    /* private */
    struct str rest;
    int64_t time_ms;
};

/* Begins to read encoded events, which must stay. STATUS_SYNTAX: not a trace of this encoding. */
[[nodiscard]] enum status trace_reader_init(struct trace_reader *reader, struct str events);
/*
 * The next event. STATUS_END after the last; STATUS_SYNTAX when the octets are malformed (the
 * reader gives nothing more).
 */
[[nodiscard]] enum status trace_reader_next(struct trace_reader *reader,
                                            struct trace_event *event_out);
/* True when all events can be read. */
bool trace_is_valid(struct str events);

/* A field by name; a value that is not present when the event has no such field. */
const struct trace_value *trace_event_value(const struct trace_event *event, const char *name);
/* The same for its text and its number; empty and 0 when not present. */
struct str trace_event_text(const struct trace_event *event, const char *name);
int64_t trace_event_number(const struct trace_event *event, const char *name);
/* Goes through a list: false at its end. `*texts` (a copy of value->texts) is shortened. */
bool trace_texts_next(struct str *texts, struct str *item_out);

/* ---- printing; empty fields are left out */

#define TRACE_VALUE_SCRATCH 64u

/* A value as text ("yes", "192.0.2.1", RFC 3339 for times), perhaps in `scratch`; lists give "". */
struct str trace_value_text(const struct trace_value *value,
                            char scratch[static TRACE_VALUE_SCRATCH]);
/* A JSON string; octets that are not UTF-8 become U+FFFD. The caller owns the reference. */
[[nodiscard]] json_t *trace_json_text(struct str s);

/* "time=... event=helo verb=EHLO name=mail.example.com\n"; values are escaped, one line always. */
[[nodiscard]] enum status trace_event_print(const struct trace_event *event, struct buf *out);
/* {"time": "...", "event": "helo", "verb": "EHLO", ...}; the caller owns the reference. */
[[nodiscard]] json_t *trace_event_json(const struct trace_event *event);

#endif
