/* Recording and reading: what goes in comes out, at every cut, at every limit. */
#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "trace/finding.h"

static int64_t now_ms;

static int64_t
test_clock(void)
{
    return now_ms;
}

static struct trace
new_trace(void)
{
    struct trace trace;
    now_ms = 1795456094123; /* 2026-11-23T17:48:14.123Z */
    trace_init(&trace, test_clock);
    return trace;
}

static struct ip_address
ip(const char *text)
{
    struct ip_address address;
    assert_int_equal(ip_parse(str_from_cstr(text), &address), STATUS_OK);
    return address;
}

static void
record_story(struct trace *trace)
{
    struct str expanded[] = {STR("bob@kartapuce.com"), STR("x@gmail.example")};
    TRACE(trace, connection_opened, .client = ip("192.0.2.7"), .client_port = 51234,
          .server = ip("2001:db8::25"), .server_port = 25, .listener = STR("mx"));
    now_ms += 250;
    TRACE(trace, helo, .verb = STR("EHLO"), .name = STR("mail \"x\"\r\n=\xff"));
    now_ms -= 1000; /* the clock was set back */
    TRACE(trace, recipient_accepted, .address = STR("sales@kartapuce.com"), .why = STR("alias"),
          .expanded = {expanded, 2});
    now_ms += 90000;
    TRACE(trace, deferred, .recipient = STR("bob@kartapuce.com"), .code = 451,
          .next_attempt = now_ms + 300000, .attempts = 3);
    TRACE(trace, early_talk);
}

static char *
print_all(struct str events)
{
    struct trace_reader reader;
    struct trace_event event;
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_int_equal(trace_reader_init(&reader, events), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        assert_int_equal(trace_event_print(&event, &out), STATUS_OK);
    }
    char *text = strndup(buf_str(&out).p, buf_length(&out));
    buf_free(&out);
    return text;
}

static void
prints_what_was_recorded(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    record_story(&trace);
    char *got = print_all(trace_events(&trace));
    assert_string_equal(
        got, "time=2026-11-23T17:48:14.123Z event=connection_opened client=192.0.2.7 "
             "client_port=51234 server=2001:db8::25 server_port=25 listener=mx\n"
             "time=2026-11-23T17:48:14.373Z event=helo verb=EHLO "
             "name=\"mail \\\"x\\\"\\x0d\\x0a=\\xff\"\n"
             "time=2026-11-23T17:48:13.373Z event=recipient_accepted "
             "address=sales@kartapuce.com why=alias expanded=bob@kartapuce.com "
             "expanded=x@gmail.example\n"
             "time=2026-11-23T17:49:43.373Z event=deferred recipient=bob@kartapuce.com code=451 "
             "next_attempt=2026-11-23T17:54:43.373Z attempts=3\n"
             "time=2026-11-23T17:49:43.373Z event=early_talk\n");
    free(got);
    trace_free(&trace);
}

static void
json_has_types(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    struct trace_reader reader;
    struct trace_event event;
    struct finding finding = {.id = FINDING_HELO_NOT_QUALIFIED,
                              .evidence_count = 1,
                              .evidence = {{"name", STR("caf\xe9")}}};
    finding_record(&trace, &finding);
    assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
    assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
    json_t *json = trace_event_json(&event);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"time\":\"2026-11-23T17:48:14.123Z\",\"event\":\"finding\","
                              "\"number\":11,\"verdict\":\"fail\",\"weight\":5,"
                              "\"evidence\":{\"name\":\"caf\xef\xbf\xbd\"},"
                              "\"name\":\"helo_not_qualified\"}");
    free(text);
    json_decref(json);
    trace_free(&trace);
}

/* Each cut of a valid trace is refused, or ends at an event's border; nothing is read past it. */
static void
every_truncation_is_safe(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    record_story(&trace);
    struct str whole = trace_events(&trace);
    size_t borders = 0;
    for (size_t n = 0; n < whole.n; n++) {
        char *cut = malloc(n + 1); /* its own block, so that the sanitizer sees a read past n */
        memcpy(cut, whole.p, n);
        char *exact = realloc(cut, n > 0 ? n : 1);
        borders += trace_is_valid(str_make(exact, n));
        free(exact);
    }
    assert_int_equal(borders, 5); /* after the head, and after each event but the last */
    assert_true(trace_is_valid(whole));
    trace_free(&trace);
}

/* No single changed octet makes the reader misbehave. */
static void
every_changed_octet_is_safe(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    record_story(&trace);
    struct str whole = trace_events(&trace);
    char *copy = malloc(whole.n);
    for (size_t i = 0; i < whole.n; i++) {
        for (unsigned c = 0; c < 256; c++) {
            memcpy(copy, whole.p, whole.n);
            copy[i] = (char)c;
            if (trace_is_valid(str_make(copy, whole.n))) {
                free(print_all(str_make(copy, whole.n)));
            }
        }
    }
    free(copy);
    trace_free(&trace);
}

static void
later_events_and_fields_are_skipped(void **state)
{
    (void)state;
    /* version, time 0; event 60000 of 3 octets; finished (67) with a field that we do not have */
    static const char octets[] = "\x01\0\0\0\0\0\0\0\0"
                                 "\x60\xea\x02\x03zzz"
                                 "\x43\x00\x00\x05\x02\x04\x02hi";
    struct str events = {octets, sizeof octets - 1};
    char *got = print_all(events);
    assert_string_equal(got, "time=1970-01-01T00:00:00.001Z event=60000 octets=3\n"
                             "time=1970-01-01T00:00:00.001Z event=finished delivered=1 failed=2\n");
    free(got);
    /* and survive being appended to another trace */
    struct trace trace = new_trace();
    assert_int_equal(trace_append(&trace, events), STATUS_OK);
    assert_true(str_eq(str_skip(trace_events(&trace), 9 + 2 + 1), str_skip(events, 9 + 2 + 1)));
    trace_free(&trace);
}

/* Names of strangers neither command a terminal nor look like others. */
static void
what_misleads_is_escaped(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    TRACE(&trace, helo, .verb = STR("EHLO"),
          .name = STR("a\xe2\x80\xae"
                      "b\xc2\x9b\x1b\xff\xc3\xbc\xf3\xa0\x81\x81"));
    char *got = print_all(trace_events(&trace));
    assert_non_null(strstr(got,
                           "name=\"a\\xe2\\x80\\xaeb\\xc2\\x9b\\x1b\\xff\xc3\xbc\\xf3\\xa0\\x81"
                           "\\x81\""));
    free(got);
    trace_free(&trace);
}

/* The same events, whether a trace begins with them or has others before, and more behind. */
static void
appended_events_stay(void **state)
{
    (void)state;
    struct trace story = new_trace();
    record_story(&story);
    char *want = print_all(trace_events(&story));
    for (unsigned before = 0; before < 2; before++) {
        struct trace trace = new_trace();
        if (before > 0) {
            TRACE(&trace, helo, .name = STR("before"));
        }
        char *first = before > 0 ? print_all(trace_events(&trace)) : strdup("");
        assert_int_equal(trace_append(&trace, trace_events(&story)), STATUS_OK);
        TRACE(&trace, helo, .name = STR("behind"));
        char *got = print_all(trace_events(&trace));
        assert_int_equal(strncmp(got, first, strlen(first)), 0);
        assert_int_equal(strncmp(got + strlen(first), want, strlen(want)), 0);
        const char *last = got + strlen(first) + strlen(want);
        assert_non_null(strstr(last, "event=helo name=behind\n"));
        assert_ptr_equal(strchr(last, '\n'), got + strlen(got) - 1);
        free(first);
        free(got);
        trace_free(&trace);
    }
    free(want);
    trace_free(&story);
}

/* What a full trace has is taken as far as there is room, and the rest is counted. */
static void
full_trace_is_appended(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', sizeof text);
    struct trace full = new_trace();
    while (full.dropped == 0) {
        TRACE(&full, helo, .name = str_make(text, sizeof text));
    }
    struct trace trace = new_trace();
    assert_int_equal(trace_append(&trace, trace_events(&full)), STATUS_OK);
    TRACE(&trace, helo, .name = str_make(text, sizeof text));
    assert_true(trace.dropped > 0);
    assert_true(trace_events(&trace).n <= TRACE_MAX);
    assert_true(trace_is_valid(trace_events(&trace)));
    trace_free(&trace);
    trace_free(&full);
}

static const struct {
    const char *name;
    struct str octets;
} malformed[] = {
    {"empty", STR_INIT("")},
    {"another version", STR_INIT("\x02\0\0\0\0\0\0\0\0")},
    {"time after the year 9999", STR_INIT("\x01\xff\xff\xff\xff\xff\xff\xff\x7f")},
    {"time before 1970", STR_INIT("\x01\0\0\0\0\0\0\0\0\x43\0\x01\0")},
    {"varint too long", STR_INIT("\x01\0\0\0\0\0\0\0\0\x43\0\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                 "\xff\x01\0")},
    {"fields longer than what is left", STR_INIT("\x01\0\0\0\0\0\0\0\0\x43\0\0\x02\x02")},
    {"an address of 5 octets", STR_INIT("\x01\0\0\0\0\0\0\0\0\x01\0\0\x06\x05"
                                        "abcde")},
    {"a list of too many", STR_INIT("\x01\0\0\0\0\0\0\0\0\x16\0\0\x04\0\0\x81\x02")},
    {"a list cut short", STR_INIT("\x01\0\0\0\0\0\0\0\0\x16\0\0\x05\0\0\x02\x01z")},
};

static void
malformed_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct trace trace = new_trace();
        if (trace_is_valid(malformed[i].octets) ||
            trace_append(&trace, malformed[i].octets) != STATUS_SYNTAX) {
            fail_msg("accepted: %s", malformed[i].name);
        }
        assert_true(trace_is_empty(&trace));
        trace_free(&trace);
    }
}

/* Every event with every text at its longest stays within its bounds and can be read. */
static void
largest_events_fit(void **state)
{
    (void)state;
    size_t count;
    const struct trace_event_row *rows = trace_event_rows(&count);
    char *long_text = malloc(70000);
    memset(long_text, 'a', 70000);
    struct str many[300];
    for (size_t i = 0; i < 300; i++) {
        many[i] = str_make(long_text, i % 7 == 0 ? 70000 : 40);
    }
    for (size_t r = 0; r < count; r++) {
        struct trace trace = new_trace();
        char *fields = calloc(1, rows[r].size + 1);
        char *p = fields;
        for (size_t f = 0; f < rows[r].field_count; f++) {
            struct str text = {long_text, 70000};
            struct trace_texts texts = {many, 300};
            int64_t number = rows[r].fields[f].kind == TRACE_KIND_time ? 1 : INT64_MIN;
            bool is_text = rows[r].fields[f].kind == TRACE_KIND_str;
            bool is_texts = rows[r].fields[f].kind == TRACE_KIND_texts;
            bool is_ip = rows[r].fields[f].kind == TRACE_KIND_ip;
            size_t n = is_text || is_texts || is_ip ? 16 : 8;
            memcpy(p,
                   is_text    ? (void *)&text
                   : is_texts ? (void *)&texts
                              : (void *)&number,
                   is_ip ? 8 : n);
            p += n;
        }
        assert_int_equal(p - fields, rows[r].size); /* the structs have no gaps */
        trace_add(&trace, (enum trace_event_id)rows[r].number, fields);
        struct trace_reader reader;
        struct trace_event event;
        assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
        assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
        assert_int_equal(event.number, rows[r].number);
        for (size_t f = 0; f < rows[r].field_count; f++) {
            assert_true(event.values[f].present);
        }
        assert_int_equal(trace_reader_next(&reader, &event), STATUS_END);
        free(fields);
        trace_free(&trace);
    }
    free(long_text);
}

/* The builder cuts lists at TRACE_TEXTS_MAX items, and the reader takes no longer ones. */
static void
lists_are_bounded(void **state)
{
    (void)state;
    struct str items[TRACE_TEXTS_MAX + 10];
    struct trace trace = new_trace();
    struct trace_reader reader;
    struct trace_event event;
    struct str item;
    size_t count = 0;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        items[i] = STR("x");
    }
    TRACE(&trace, recipient_accepted, .expanded = {items, sizeof items / sizeof items[0]});
    assert_int_equal(trace_reader_init(&reader, trace_events(&trace)), STATUS_OK);
    assert_int_equal(trace_reader_next(&reader, &event), STATUS_OK);
    struct str texts = trace_event_value(&event, "expanded")->texts;
    while (trace_texts_next(&texts, &item)) {
        count++;
    }
    assert_int_equal(count, TRACE_TEXTS_MAX);
    trace_free(&trace);

    /* recipient_accepted, no address, no reason, then so many empty texts */
    char octets[9 + 5 + 4 + TRACE_TEXTS_MAX + 1] = {1, [9] = TRACE_RECIPIENT_ACCEPTED};
    octets[12] = (char)(0x80 | ((4 + TRACE_TEXTS_MAX) & 0x7f));
    octets[13] = (4 + TRACE_TEXTS_MAX) >> 7;
    octets[16] = (char)(0x80 | (TRACE_TEXTS_MAX & 0x7f));
    octets[17] = TRACE_TEXTS_MAX >> 7;
    assert_true(trace_is_valid(str_make(octets, sizeof octets - 1)));
    octets[12]++;
    octets[16]++;
    assert_false(trace_is_valid(str_make(octets, sizeof octets)));
}

static void
what_does_not_fit_is_counted(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    size_t const all = 10000;
    for (size_t i = 0; i < all; i++) {
        TRACE(&trace, helo, .verb = STR("EHLO"), .name = STR("client.example.com"));
    }
    for (unsigned again = 0; again < 2; again++) { /* reading it changes nothing */
        struct str events = trace_events(&trace);
        struct trace_reader reader;
        struct trace_event event;
        size_t kept = 0;
        assert_in_range(events.n, TRACE_MAX - 200, TRACE_MAX);
        assert_int_equal(trace_reader_init(&reader, events), STATUS_OK);
        while (trace_reader_next(&reader, &event) == STATUS_OK && event.number == TRACE_HELO) {
            kept++;
        }
        assert_int_equal(event.number, TRACE_TRUNCATED);
        assert_int_equal(kept + (size_t)trace_event_number(&event, "dropped"), all);
        assert_int_equal(trace_reader_next(&reader, &event), STATUS_END);
    }
    trace_free(&trace);
}

static void
count_events(void *context, struct str events)
{
    size_t *count = context;
    struct trace_reader reader;
    struct trace_event event;
    assert_int_equal(trace_reader_init(&reader, events), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        *count += event.number == TRACE_HELO;
    }
}

static void
overflow_hands_out_what_is_full(void **state)
{
    (void)state;
    struct trace trace = new_trace();
    size_t count = 0;
    trace_set_overflow(&trace, count_events, &count);
    for (size_t i = 0; i < 10000; i++) {
        TRACE(&trace, helo, .verb = STR("EHLO"), .name = STR("client.example.com"));
    }
    assert_true(count > 0);
    count_events(&count, trace_events(&trace));
    assert_int_equal(count, 10000);
    trace_free(&trace);
}

/* The tables are what databases and people rely on: sorted, unique, said in one line. */
static void
tables_are_in_order(void **state)
{
    (void)state;
    size_t count;
    const struct trace_event_row *rows = trace_event_rows(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || rows[i - 1].number < rows[i].number);
        assert_in_range(rows[i].field_count, 0, TRACE_FIELDS_MAX);
        assert_ptr_equal(trace_event_row(rows[i].number), &rows[i]);
        assert_true(strlen(rows[i].meaning) > 0 && strlen(rows[i].meaning) < 100);
    }
    assert_null(trace_event_row(0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_was_recorded),
        cmocka_unit_test(json_has_types),
        cmocka_unit_test(every_truncation_is_safe),
        cmocka_unit_test(every_changed_octet_is_safe),
        cmocka_unit_test(later_events_and_fields_are_skipped),
        cmocka_unit_test(what_misleads_is_escaped),
        cmocka_unit_test(appended_events_stay),
        cmocka_unit_test(full_trace_is_appended),
        cmocka_unit_test(malformed_is_refused),
        cmocka_unit_test(largest_events_fit),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(overflow_hands_out_what_is_full),
        cmocka_unit_test(tables_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
