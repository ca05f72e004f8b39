/*
 * ledger_traces_test_world.h - for the tests of the store of traces: mails to record, and a look at
 * what is there. What fails, fails the test.
 */
#ifndef POSTERN_STORE_LEDGER_TRACES_TEST_WORLD_H
#define POSTERN_STORE_LEDGER_TRACES_TEST_WORLD_H

#include "store/ledger_search.h"
#include "store/ledger_test_directory.h"
#include "store/ledger_traces.h"

#define TRACES_TEST_START_MS 1795456094123 /* 2026-11-23T17:48:14.123Z */
#define TRACES_TEST_MAILS    4u
#define DAY_MS               (24LL * 3600 * 1000)

/* What time it is; a test that changes it sets it back. */
extern int64_t traces_test_now_ms;
/* The same, as a clock. */
int64_t traces_test_clock(void);
extern const struct trace_store_limits traces_test_generous;

struct traces_test_mail {
    const char *sender;
    const char *recipient;
    const char *subject;
    const char *message_id;
    const char *client;
};
extern const struct traces_test_mail traces_test_mails[TRACES_TEST_MAILS];

/* With generous limits; the caller closes it. */
struct trace_store *traces_test_open_store(const struct test_directory *directory);
/* Takes the trace. */
void traces_test_append(struct trace_store *store, const char *id, const char *session,
                        struct trace *trace);
/* The end of a session. */
void traces_test_append_closed(struct trace_store *store, const char *session);
/* What the edge and the filter would have sent for one message. */
void traces_test_append_mail(struct trace_store *store, const char *id, const char *session,
                             const struct traces_test_mail *mail);
void traces_test_append_result(struct trace_store *store, const char *id, const char *recipient,
                               bool delivered);
/* The subjects of what a query finds, with "|" between; static. */
const char *traces_test_find(const struct test_directory *directory, struct trace_query query);
/* The row of an id, which must be there. */
struct summary traces_test_get_row(const struct test_directory *directory, const char *id);
/* For trace_search_parts: counts them in *context, a size_t. */
bool traces_test_count_part(void *context, struct str id, struct str events);
/* How many parts an id has. */
size_t traces_test_count_parts(const struct test_directory *directory, const char *id);
/* A new one; time goes on by a millisecond. */
void traces_test_make_id(char id[static ID_LENGTH + 1]);
/* As if so much time had gone by: a new segment begins. */
void traces_test_next_segment(struct trace_store *store, int64_t later_ms);

#endif
