/* What a real ledger answers page by page: users, locks, accounts and parts of traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "roles/ledger/test_world.h"
#include "roles/role_test_parent.h"
#include "store/credential.h"
#include "store/ledger_users.h"
#include "trace/trace.h"

/* ---- pages */

#define PAGE 500

/* Users written to the file while the role is away. */
static void
fill_users(struct ledger_world *world, int count)
{
    struct user_file *file = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s", test_directory_file(world->directory, "ledger"));
    assert_int_equal(user_file_open(path, &file), STATUS_OK);
    for (int i = 0; i < count; i++) {
        struct user user = {.created_ms = 1, .credential = {.iterations = CREDENTIAL_ITERATIONS}};
        snprintf(user.name, sizeof user.name, "user%04d", i);
        snprintf(user.credential.argon2, sizeof user.credential.argon2, "$argon2id$none");
        assert_int_equal(user_file_add(file, &user), STATUS_OK);
    }
    user_file_close(&file);
}

static size_t
list_users(struct ledger_world *world, const char *after, bool *more_out)
{
    struct msg_user_list fields = {.after = str_from_cstr(after)};
    role_test_send(world->command, MSG_USER_LIST, 1, &fields);
    struct ipc_message *reply = ledger_world_receive(world->command, ROLE_CLI, MSG_USER_LIST_REPLY);
    size_t n = MSG_BODY(reply, user_list_reply)->users.n;
    *more_out = MSG_BODY(reply, user_list_reply)->more;
    ipc_message_free(&reply);
    return n;
}

static void
users_are_listed_by_pages(void **state)
{
    struct ledger_world *world = *state;
    bool more;
    assert_int_equal(list_users(world, "", &more), 0);
    assert_false(more);
    assert_int_equal(ledger_world_stop(world), 0);
    fill_users(world, PAGE + 1);
    ledger_world_start(world);
    assert_int_equal(list_users(world, "", &more), PAGE);
    assert_true(more);
    assert_int_equal(list_users(world, "user0000", &more), PAGE);
    assert_false(more);
    assert_int_equal(list_users(world, "user0499", &more), 1);
    assert_false(more);
}

struct locks {
    uint32_t lifted;
    uint32_t more;
    size_t n;
    int64_t until_ms; /* of the first */
    char user[64];
};

static struct locks
ask_locks(struct ledger_world *world, bool lift, const char *who)
{
    struct msg_locks fields = {.lift = lift, .who = str_from_cstr(who)};
    role_test_send(world->command, MSG_LOCKS, 2, &fields);
    struct ipc_message *message = ledger_world_receive(world->command, ROLE_CLI, MSG_LOCKS_REPLY);
    const struct msg_locks_reply *reply = MSG_BODY(message, locks_reply);
    struct locks locks = {.lifted = reply->lifted, .more = reply->more, .n = reply->locks.n};
    if (locks.n > 0) {
        const struct record_lock *first = &reply->locks.items[0];
        locks.until_ms = first->until_ms;
        snprintf(locks.user, sizeof locks.user, "%.*s", STR_ARG(first->user));
    }
    ipc_message_free(&message);
    return locks;
}

static void
locks_are_told_until_they_are_lifted(void **state)
{
    struct ledger_world *world = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ledger_world_fail_scram(world, "eve", "192.0.2.1"), SMTP_AUTH_FAILED);
    }
    for (int i = 0; i < 2; i++) { /* asking changes nothing */
        struct locks locks = ask_locks(world, false, "");
        assert_int_equal(locks.n, 1);
        assert_int_equal(locks.lifted, 0);
        assert_string_equal(locks.user, "eve");
        assert_in_range(locks.until_ms, clock_wall_ms(), clock_wall_ms() + 24 * 3600000);
    }
    assert_int_equal(ask_locks(world, true, "jack").lifted, 0);
    assert_int_equal(ask_locks(world, true, "eve").lifted, 1);
    assert_int_equal(ask_locks(world, false, "").n, 0);
    assert_int_equal(ledger_world_fail_scram(world, "eve", "192.0.2.1"), SMTP_AUTH_FAILED);
}

static void
more_locks_than_fit_are_counted(void **state)
{
    struct ledger_world *world = *state;
    for (int i = 0; i < PAGE + 2; i++) {
        char user[32];
        char client[32];
        snprintf(user, sizeof user, "user%d", i);
        snprintf(client, sizeof client, "192.0.%d.%d", i / 250 + 3, i % 250);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(ledger_world_fail_scram(world, user, client), SMTP_AUTH_FAILED);
        }
    }
    struct locks locks = ask_locks(world, false, "");
    assert_int_equal(locks.n, PAGE);
    assert_int_equal(locks.more, 2);
    locks = ask_locks(world, true, "");
    assert_int_equal(locks.lifted, PAGE + 2);
    assert_int_equal(locks.n, 0);
    assert_int_equal(locks.more, 0);
}

/* ---- accounts for DMARC */

static void
append_observation(struct ledger_world *world, const char *domain, struct str line)
{
    struct trace trace;
    char id[ID_LENGTH + 1];
    id_make(clock_wall_ms(), id);
    trace_init(&trace, clock_wall_ms);
    struct str more[TRACE_TEXTS_MAX]; /* a line is cut into texts of an event */
    size_t n = 0;
    for (struct str rest = str_skip(line, TRACE_TEXT_MAX); rest.n > 0;) {
        more[n++] = str_head(rest, TRACE_TEXT_MAX);
        rest = str_skip(rest, TRACE_TEXT_MAX);
    }
    TRACE(&trace, dmarc_observed, .domain = str_from_cstr(domain),
          .line = str_head(line, TRACE_TEXT_MAX), .more = {more, n}, .octets = (int64_t)line.n);
    struct record_trace_piece piece = {.id = str_from_cstr(id), .events = trace_events(&trace)};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    role_test_send(world->edge, MSG_TRACE_APPEND, 1, &fields);
    struct ipc_message *ack = ledger_world_receive(world->edge, ROLE_EDGE, MSG_TRACE_ACK);
    ipc_message_free(&ack);
    trace_free(&trace);
}

/* The accounts of all domains, page by page; in how many pages. */
static size_t
read_accounts(struct ledger_world *world, uint32_t limit, size_t *rows_out)
{
    struct arena *arena = arena_create(65536);
    struct record_dmarc_row last = {0};
    struct msg_dmarc_find fields = {.to_day = INT64_MAX, .limit = limit};
    size_t pages = 0;
    bool more = true;
    *rows_out = 0;
    while (more) {
        role_test_send(world->command, MSG_DMARC_FIND, 1, &fields);
        struct ipc_message *message =
            ledger_world_receive(world->command, ROLE_CLI, MSG_DMARC_FIND_REPLY);
        const struct msg_dmarc_find_reply *reply = MSG_BODY(message, dmarc_find_reply);
        assert_int_equal(reply->error.n, 0);
        assert_true(reply->rows.n <= (limit > 0 ? limit : 1));
        more = reply->more;
        pages++;
        *rows_out += reply->rows.n;
        if (reply->rows.n > 0) {
            last = reply->rows.items[reply->rows.n - 1];
            last.domain = arena_str_dup(arena, last.domain);
            last.line = STR("");
            fields.after.items = &last;
            fields.after.n = 1;
        }
        ipc_message_free(&message);
        assert_true(pages <= 100);
    }
    arena_destroy(&arena);
    return pages;
}

static void
accounts_are_read_by_pages(void **state)
{
    struct ledger_world *world = *state;
    size_t rows;
    for (int i = 0; i < 5; i++) {
        char domain[32];
        snprintf(domain, sizeof domain, "d%d.example", i);
        append_observation(world, domain, STR("{}"));
    }
    assert_int_equal(read_accounts(world, 200, &rows), 1);
    assert_int_equal(rows, 5);
    assert_int_equal(read_accounts(world, 2, &rows), 3);
    assert_int_equal(rows, 5);
    assert_int_equal(read_accounts(world, 5, &rows), 2); /* there might have been more */
    assert_int_equal(rows, 5);
    assert_int_equal(read_accounts(world, 0, &rows), 6); /* one at a time */
    assert_int_equal(rows, 5);
}

/* What does not fit into one answer comes with the next. */
static void
long_accounts_are_read_whole(void **state)
{
    enum { COUNT = 80 };
    struct ledger_world *world = *state;
    char line[6 * TRACE_TEXT_MAX]; /* the longest that filters write */
    size_t rows;
    memset(line, 'x', sizeof line);
    for (int i = 0; i < COUNT; i++) {
        char domain[32];
        snprintf(domain, sizeof domain, "d%d.example", i);
        append_observation(world, domain, str_make(line, sizeof line));
    }
    assert_in_range(read_accounts(world, 200, &rows), 2, 10);
    assert_int_equal(rows, COUNT);
}

/* ---- parts of traces */

static void
append_part(struct ledger_world *world, const char *id, int number)
{
    struct trace trace;
    char sender[32];
    /* One that comes twice is one. */
    snprintf(sender, sizeof sender, "tom%d@provider.example", number);
    trace_init(&trace, NULL);
    TRACE(&trace, mail_accepted, .sender = str_from_cstr(sender));
    struct record_trace_piece piece = {.id = str_from_cstr(id), .events = trace_events(&trace)};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    role_test_send(world->edge, MSG_TRACE_APPEND, 1, &fields);
    struct ipc_message *ack = ledger_world_receive(world->edge, ROLE_EDGE, MSG_TRACE_ACK);
    ipc_message_free(&ack);
    trace_free(&trace);
}

static size_t
get_parts(struct ledger_world *world, const char *id, uint32_t first, bool *more_out)
{
    struct msg_trace_get fields = {.id = str_from_cstr(id), .first = first};
    role_test_send(world->command, MSG_TRACE_GET, 2, &fields);
    struct ipc_message *reply = ledger_world_receive(world->command, ROLE_CLI, MSG_TRACE_GET_REPLY);
    size_t n = MSG_BODY(reply, trace_get_reply)->parts.n;
    assert_true(MSG_BODY(reply, trace_get_reply)->found);
    *more_out = MSG_BODY(reply, trace_get_reply)->more;
    ipc_message_free(&reply);
    return n;
}

static void
parts_are_read_by_pages(void **state)
{
    struct ledger_world *world = *state;
    char id[ID_LENGTH + 1];
    bool more;
    id_make(clock_wall_ms(), id);
    for (int i = 0; i < 7; i++) {
        append_part(world, id, i);
    }
    assert_int_equal(get_parts(world, id, 0, &more), 5);
    assert_true(more);
    assert_int_equal(get_parts(world, id, 5, &more), 2);
    assert_false(more);
    assert_int_equal(get_parts(world, id, 6, &more), 1);
    assert_int_equal(get_parts(world, id, 7, &more), 0);
    assert_false(more);
}

static size_t
find_traces(struct ledger_world *world, const char *id, bool connections)
{
    struct msg_trace_find fields = {
        .id = str_from_cstr(id), .connections = connections, .limit = 200};
    role_test_send(world->command, MSG_TRACE_FIND, 1, &fields);
    struct ipc_message *reply =
        ledger_world_receive(world->command, ROLE_CLI, MSG_TRACE_FIND_REPLY);
    size_t n = MSG_BODY(reply, trace_find_reply)->rows.n;
    ipc_message_free(&reply);
    return n;
}

/* A connection without mail is found by its name, or when connections are asked for. */
static void
connections_are_found_when_asked_for(void **state)
{
    struct ledger_world *world = *state;
    struct trace trace;
    char id[ID_LENGTH + 1];
    id_make(clock_wall_ms(), id);
    trace_init(&trace, NULL);
    TRACE(&trace, helo, .name = STR("client.example"));
    struct record_trace_piece piece = {
        .id = str_from_cstr(id), .session = str_from_cstr(id), .events = trace_events(&trace)};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    role_test_send(world->edge, MSG_TRACE_APPEND, 1, &fields);
    struct ipc_message *ack = ledger_world_receive(world->edge, ROLE_EDGE, MSG_TRACE_ACK);
    ipc_message_free(&ack);
    trace_free(&trace);
    assert_int_equal(find_traces(world, "", false), 0);
    assert_int_equal(find_traces(world, "", true), 1);
    assert_int_equal(find_traces(world, id, false), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(users_are_listed_by_pages),
        LEDGER_TEST(locks_are_told_until_they_are_lifted),
        LEDGER_TEST(more_locks_than_fit_are_counted),
        LEDGER_TEST(accounts_are_read_by_pages),
        LEDGER_TEST(long_accounts_are_read_whole),
        LEDGER_TEST(parts_are_read_by_pages),
        LEDGER_TEST(connections_are_found_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
