#include <stdio.h>

#include "base/clock.h"
#include "base/show.h"
#include "trace/finding.h"

/* ---- a value as text */

_Static_assert(TRACE_VALUE_SCRATCH >= IP_TEXT_MAX, "an address fits");

static struct str
time_text(int64_t ms, char scratch[static TRACE_VALUE_SCRATCH])
{
    struct arena *arena = arena_create(1024);
    struct str text = str_head(clock_format_rfc3339(arena, ms), TRACE_VALUE_SCRATCH);
    memcpy(scratch, text.p, text.n);
    arena_destroy(&arena);
    return str_make(scratch, text.n);
}

struct str
trace_value_text(const struct trace_value *value, char scratch[static TRACE_VALUE_SCRATCH])
{
    switch (value->kind) {
    case TRACE_KIND_str:
        return value->text;
    case TRACE_KIND_ip:
        return value->present ? str_from_cstr(ip_format(&value->ip, scratch)) : STR("");
    case TRACE_KIND_time:
        return value->present ? time_text(value->number, scratch) : STR("");
    case TRACE_KIND_flag:
        return value->number != 0 ? STR("yes") : STR("no");
    case TRACE_KIND_int:
        return str_make(scratch, (size_t)snprintf(scratch, TRACE_VALUE_SCRATCH, "%lld",
                                                  (long long)value->number));
    case TRACE_KIND_texts:
        break;
    }
    return STR("");
}

/* A finding's verdict is a number in the record and a word for people. */
static const char *
word_of_number(const struct trace_event *event, size_t field)
{
    bool is_verdict =
        event->number == TRACE_FINDING && strcmp(event->row->fields[field].name, "verdict") == 0;
    return is_verdict ? finding_verdict_name((enum finding_verdict)event->values[field].number)
                      : NULL;
}

/* ---- key=value */

static bool
needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return true;
        }
    }
    return s.n == 0;
}

static enum status
print_escaped(struct buf *out, struct str s)
{
    enum status status = STATUS_OK;
    while (s.n > 0 && status == STATUS_OK) {
        size_t n = show_length(s);
        if (s.p[0] == '"' || s.p[0] == '\\') {
            status = buf_printf(out, "\\%c", s.p[0]);
        } else if (n > 0) {
            status = buf_append(out, str_head(s, n));
        } else {
            n = 1;
            status = buf_printf(out, "\\x%02x", (unsigned char)s.p[0]);
        }
        s = str_skip(s, n);
    }
    return status;
}

static enum status
print_pair(struct buf *out, const char *key, struct str value)
{
    bool quoted = needs_quotes(value);
    enum status status = buf_printf(out, " %s=%s", key, quoted ? "\"" : "");
    if (status == STATUS_OK) {
        status = print_escaped(out, value);
    }
    if (status == STATUS_OK && quoted) {
        status = buf_append_char(out, '"');
    }
    return status;
}

static enum status
print_field(struct buf *out, const struct trace_event *event, size_t field)
{
    const struct trace_value *value = &event->values[field];
    const char *name = event->row->fields[field].name;
    const char *word = word_of_number(event, field);
    char scratch[TRACE_VALUE_SCRATCH];
    enum status status = STATUS_OK;
    if (word != NULL) {
        return print_pair(out, name, str_from_cstr(word));
    }
    if (!value->present) {
        return STATUS_OK;
    }
    if (value->kind != TRACE_KIND_texts) {
        return print_pair(out, name, trace_value_text(value, scratch));
    }
    struct str texts = value->texts;
    struct str item;
    while (status == STATUS_OK && trace_texts_next(&texts, &item)) {
        status = print_pair(out, name, item);
    }
    return status;
}

enum status
trace_event_print(const struct trace_event *event, struct buf *out)
{
    char scratch[TRACE_VALUE_SCRATCH];
    struct str time = time_text(event->time_ms, scratch);
    enum status status;
    if (event->row == NULL) {
        return buf_printf(out, "time=%.*s event=%u octets=%zu\n", STR_ARG(time), event->number,
                          event->fields.n);
    }
    status = buf_printf(out, "time=%.*s event=%s", STR_ARG(time), event->row->name);
    for (size_t i = 0; i < event->row->field_count && status == STATUS_OK; i++) {
        status = print_field(out, event, i);
    }
    return status == STATUS_OK ? buf_append_char(out, '\n') : status;
}

/* ---- JSON */

json_t *
trace_json_text(struct str s)
{
    if (str_is_utf8(s)) {
        return json_stringn(s.p != NULL ? s.p : "", s.n);
    }
    struct buf fixed;
    enum status status = STATUS_OK;
    buf_init(&fixed, 3 * s.n + 1);
    for (size_t i = 0; i < s.n && status == STATUS_OK; i++) {
        bool ascii = (unsigned char)s.p[i] < 0x80;
        status = buf_append(&fixed, ascii ? str_make(s.p + i, 1) : STR("\xef\xbf\xbd"));
    }
    struct str text = buf_str(&fixed);
    json_t *json = status == STATUS_OK ? json_stringn(text.p, text.n) : NULL;
    buf_free(&fixed);
    return json;
}

static json_t *
json_of_texts(struct str texts)
{
    json_t *list = json_array();
    struct str item;
    while (trace_texts_next(&texts, &item)) {
        json_array_append_new(list, trace_json_text(item));
    }
    return list;
}

/* A finding's evidence: keys and values in turn become an object. */
static json_t *
json_of_pairs(struct str texts)
{
    json_t *object = json_object();
    struct str key;
    struct str value;
    while (trace_texts_next(&texts, &key) && trace_texts_next(&texts, &value)) {
        if (str_is_utf8(key) && !str_contains_char(key, '\0')) {
            char name[TRACE_TEXT_MAX + 1];
            snprintf(name, sizeof name, "%.*s", STR_ARG(key));
            json_object_set_new(object, name, trace_json_text(value));
        }
    }
    return object;
}

static json_t *
json_of_field(const struct trace_event *event, size_t field)
{
    const struct trace_value *value = &event->values[field];
    const char *word = word_of_number(event, field);
    char scratch[TRACE_VALUE_SCRATCH];
    if (word != NULL) {
        return json_string(word);
    }
    switch (value->kind) {
    case TRACE_KIND_int:
        return json_integer(value->number);
    case TRACE_KIND_flag:
        return json_boolean(value->number != 0);
    case TRACE_KIND_texts:
        return event->number == TRACE_FINDING ? json_of_pairs(value->texts)
                                              : json_of_texts(value->texts);
    case TRACE_KIND_str:
    case TRACE_KIND_ip:
    case TRACE_KIND_time:
        break;
    }
    return trace_json_text(trace_value_text(value, scratch));
}

json_t *
trace_event_json(const struct trace_event *event)
{
    char scratch[TRACE_VALUE_SCRATCH];
    json_t *object = json_object();
    json_object_set_new(object, "time", trace_json_text(time_text(event->time_ms, scratch)));
    if (event->row == NULL) {
        json_object_set_new(object, "event", json_integer(event->number));
        return object;
    }
    json_object_set_new(object, "event", json_string(event->row->name));
    for (size_t i = 0; i < event->row->field_count; i++) {
        if (event->values[i].present || word_of_number(event, i) != NULL) {
            json_object_set_new(object, event->row->fields[i].name, json_of_field(event, i));
        }
    }
    return object;
}
