#include "store/ledger_traces_test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

int64_t traces_test_now_ms = TRACES_TEST_START_MS;

const struct trace_store_limits traces_test_generous = {.age_ms = 90 * DAY_MS, .size = 10ULL << 30};

const struct traces_test_mail traces_test_mails[TRACES_TEST_MAILS] = {
    {"tom@provider.example", "bob@kartapuce.com", "one", "<1@p.example>", "192.0.2.1"},
    {"Tom@Provider.example", "jack@kartapuce.com", "two 100%", "<2@p.example>", "192.0.2.77"},
    {"eve@elsewhere.example", "Bob@kartapuce.com", "three_x", "<3@p.example>", "2001:db8::1"},
    {"", "bob@kartapuce.com", "Four \\ four", "", "192.0.3.1"},
};

int64_t
traces_test_clock(void)
{
    return traces_test_now_ms;
}

struct trace_store *
traces_test_open_store(const struct test_directory *directory)
{
    struct trace_store *store = NULL;
    assert_int_equal(
        trace_store_open(directory->path, &traces_test_generous, traces_test_now_ms, &store),
        STATUS_OK);
    return store;
}

void
traces_test_append(struct trace_store *store, const char *id, const char *session,
                   struct trace *trace)
{
    assert_int_equal(
        trace_store_append(store, str_from_cstr(id), str_from_cstr(session), trace_events(trace)),
        STATUS_OK);
    trace_free(trace);
}

void
traces_test_append_closed(struct trace_store *store, const char *session)
{
    struct trace trace;
    trace_init(&trace, traces_test_clock);
    TRACE(&trace, connection_closed, .reason = STR("quit"));
    traces_test_append(store, session, session, &trace);
}

void
traces_test_append_mail(struct trace_store *store, const char *id, const char *session,
                        const struct traces_test_mail *mail)
{
    struct trace trace;
    struct ip_address client;
    assert_int_equal(ip_parse(str_from_cstr(mail->client), &client), STATUS_OK);
    trace_init(&trace, traces_test_clock);
    TRACE(&trace, mail_accepted, .sender = str_from_cstr(mail->sender), .client = client);
    TRACE(&trace, recipient_accepted, .address = str_from_cstr(mail->recipient));
    TRACE(&trace, message_header, .subject = str_from_cstr(mail->subject),
          .message_id = str_from_cstr(mail->message_id));
    TRACE(&trace, queued, .recipients = 1);
    traces_test_append(store, id, session, &trace);
}

void
traces_test_append_result(struct trace_store *store, const char *id, const char *recipient,
                          bool delivered)
{
    struct trace trace;
    trace_init(&trace, traces_test_clock);
    if (delivered) {
        TRACE(&trace, delivered, .recipient = str_from_cstr(recipient), .code = 250);
    } else {
        TRACE(&trace, deferred, .recipient = str_from_cstr(recipient), .code = 451);
    }
    traces_test_append(store, id, "", &trace);
}

const char *
traces_test_find(const struct test_directory *directory, struct trace_query query)
{
    static char found[65536];
    const struct summary *rows;
    size_t count;
    bool more;
    struct trace_search *search = trace_search_create(directory->path);
    query.limit = query.limit == 0 ? TRACE_SEARCH_ROWS_MAX : query.limit;
    assert_int_equal(trace_search_find(search, &query, &rows, &count, &more), STATUS_OK);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%.*s", i > 0 ? "|" : "",
                              STR_ARG(summary_str(&rows[i].subject)));
        assert_true(n < sizeof found);
    }
    snprintf(found + n, sizeof found - n, "%s", more ? "|+" : "");
    trace_search_destroy(&search);
    return found;
}

struct summary
traces_test_get_row(const struct test_directory *directory, const char *id)
{
    const struct summary *rows;
    size_t count;
    bool more;
    struct trace_search *search = trace_search_create(directory->path);
    struct trace_query query = {.id = str_from_cstr(id), .limit = 1};
    assert_int_equal(trace_search_find(search, &query, &rows, &count, &more), STATUS_OK);
    assert_int_equal(count, 1);
    struct summary row = rows[0];
    trace_search_destroy(&search);
    return row;
}

bool
traces_test_count_part(void *context, struct str id, struct str events)
{
    size_t *count = context;
    assert_int_equal(id.n, ID_LENGTH);
    assert_true(trace_is_valid(events));
    (*count)++;
    return true;
}

size_t
traces_test_count_parts(const struct test_directory *directory, const char *id)
{
    size_t count = 0;
    struct summary row;
    struct trace_search *search = trace_search_create(directory->path);
    enum status status =
        trace_search_parts(search, str_from_cstr(id), &row, traces_test_count_part, &count);
    assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    trace_search_destroy(&search);
    return count;
}

void
traces_test_make_id(char id[static ID_LENGTH + 1])
{
    id_make(traces_test_now_ms++, id);
}

void
traces_test_next_segment(struct trace_store *store, int64_t later_ms)
{
    traces_test_now_ms += later_ms;
    trace_store_maintain(store, &traces_test_generous, traces_test_now_ms);
}
