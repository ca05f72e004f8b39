#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"

/* Two ends in one loop: an edge that asks, a ledger that answers. */
struct fixture {
    struct event_base *loop;
    struct channel *edge;
    struct channel *ledger;
    int seen;       /* messages at the ledger */
    bool answer;    /* whether the ledger answers */
    int ups, downs; /* of the edge's end */
    enum status last_down;
    int replies;
    enum status reply_status;
    bool reply_exists;
};

static void
on_ledger_message(void *context, struct channel *channel, struct ipc_message *message)
{
    struct fixture *f = context;
    f->seen++;
    if (f->answer && message->type == MSG_RECIPIENT_LOOKUP) {
        struct msg_recipient_lookup_reply reply = {
            .exists = str_eq(MSG_BODY(message, recipient_lookup)->name, STR("bob"))};
        assert_int_equal(
            channel_send(channel, MSG_RECIPIENT_LOOKUP_REPLY, message->request, &reply), STATUS_OK);
    }
    ipc_message_free(&message);
}

static void
on_edge_message(void *context, struct channel *channel, struct ipc_message *message)
{
    (void)context;
    (void)channel;
    ipc_message_free(&message);
}

static void
on_edge_change(void *context, struct channel *channel, bool up, enum status status)
{
    struct fixture *f = context;
    (void)channel;
    f->ups += up;
    f->downs += !up;
    f->last_down = up ? f->last_down : status;
}

static void
join(struct fixture *f)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(channel_connect(f->edge, pair[0]), STATUS_OK);
    assert_int_equal(channel_connect(f->ledger, pair[1]), STATUS_OK);
}

static int
set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.answer = true, .loop = event_base_new()};
    struct channel_settings edge = {.loop = f.loop,
                                    .self = ROLE_EDGE,
                                    .peer = ROLE_LEDGER,
                                    .on_message = on_edge_message,
                                    .on_change = on_edge_change,
                                    .context = &f};
    struct channel_settings ledger = {.loop = f.loop,
                                      .self = ROLE_LEDGER,
                                      .peer = ROLE_EDGE,
                                      .on_message = on_ledger_message,
                                      .context = &f};
    f.edge = channel_create(&edge);
    f.ledger = channel_create(&ledger);
    join(&f);
    *state = &f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    channel_destroy(&f->edge);
    channel_destroy(&f->ledger);
    event_base_free(f->loop);
    return 0;
}

static void
on_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct fixture *f = context;
    f->replies++;
    f->reply_status = status;
    f->reply_exists = reply != NULL && MSG_BODY(reply, recipient_lookup_reply)->exists;
    ipc_message_free(&reply);
    event_base_loopbreak(f->loop);
}

static void
ask(struct fixture *f, struct str name, int timeout_ms)
{
    struct msg_recipient_lookup fields = {.name = name};
    assert_int_equal(
        channel_request(f->edge, MSG_RECIPIENT_LOOKUP, &fields, timeout_ms, on_reply, f),
        STATUS_OK);
}

static void
test_request_and_reply(void **state)
{
    struct fixture *f = *state;
    ask(f, STR("bob"), 5000);
    event_base_dispatch(f->loop);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->reply_status, STATUS_OK);
    assert_true(f->reply_exists);
    ask(f, STR("eve"), 5000);
    event_base_dispatch(f->loop);
    assert_int_equal(f->replies, 2);
    assert_false(f->reply_exists);
}

static void
test_time_out_and_late_reply(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    ask(f, STR("bob"), 1);
    event_base_dispatch(f->loop);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->reply_status, STATUS_TEMPORARY);
    /* the answer to request 1 comes after all, and is for nobody */
    struct msg_recipient_lookup_reply late = {.exists = true};
    assert_int_equal(channel_send(f->ledger, MSG_RECIPIENT_LOOKUP_REPLY, 1, &late), STATUS_OK);
    f->answer = true;
    ask(f, STR("eve"), 5000);
    event_base_dispatch(f->loop);
    assert_int_equal(f->replies, 2);
    assert_false(f->reply_exists);
}

static void
test_a_gone_peer_fails_what_is_pending(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    ask(f, STR("bob"), 60000);
    event_base_loop(f->loop, EVLOOP_NONBLOCK);
    channel_destroy(&f->ledger);
    event_base_dispatch(f->loop);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->reply_status, STATUS_TEMPORARY);
    event_base_loop(f->loop, EVLOOP_NONBLOCK);
    assert_int_equal(f->downs, 1);
    assert_int_equal(f->last_down, STATUS_END);
    assert_false(channel_is_connected(f->edge));
    struct msg_recipient_lookup fields = {.name = STR("x")};
    assert_int_equal(channel_request(f->edge, MSG_RECIPIENT_LOOKUP, &fields, 1000, on_reply, f),
                     STATUS_TEMPORARY);
    assert_int_equal(f->replies, 1);
}

static void
test_a_new_socket_brings_it_back(void **state)
{
    struct fixture *f = *state;
    join(f);
    ask(f, STR("bob"), 5000);
    event_base_dispatch(f->loop);
    assert_true(f->reply_exists);
    assert_int_equal(f->ups, 2);
}

/* Far more than the socket holds: everything arrives, in order, without the sender waiting. */
static void
test_queue_when_the_socket_is_full(void **state)
{
    struct fixture *f = *state;
    static char room[60000];
    struct record_trace_piece piece = {.id = STR("A"), .events = {room, sizeof room}};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    int const wanted = 200;
    for (int i = 0; i < wanted; i++) {
        assert_int_equal(channel_send(f->edge, MSG_TRACE_APPEND, 0, &fields), STATUS_OK);
    }
    assert_true(channel_queued(f->edge) > 0);
    while (f->seen < wanted) {
        event_base_loop(f->loop, EVLOOP_ONCE);
    }
    event_base_loop(f->loop, EVLOOP_NONBLOCK);
    assert_int_equal(channel_queued(f->edge), 0);
}

/* What was meant for a peer that has gone is not for the one that was started in its place. */
static void
test_old_packets_do_not_reach_a_new_peer(void **state)
{
    struct fixture *f = *state;
    static char room[60000];
    struct record_trace_piece piece = {.id = STR("A"), .events = {room, sizeof room}};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    for (int i = 0; i < 200; i++) {
        assert_int_equal(channel_send(f->edge, MSG_TRACE_APPEND, 0, &fields), STATUS_OK);
    }
    f->answer = false;
    ask(f, STR("bob"), 60000);
    assert_true(channel_queued(f->edge) > 0);
    f->answer = true;
    f->seen = 0;
    join(f);
    assert_int_equal(channel_queued(f->edge), 0);
    assert_int_equal(f->replies, 1); /* who has asked the old one is told */
    assert_int_equal(f->reply_status, STATUS_TEMPORARY);
    ask(f, STR("bob"), 5000);
    event_base_dispatch(f->loop);
    assert_int_equal(f->seen, 1);
    assert_int_equal(f->replies, 2);
    assert_true(f->reply_exists);
}

/* There is a bound to what waits for a peer that does not read. */
static void
test_the_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    static char room[60000];
    struct record_trace_piece piece = {.id = STR("A"), .events = {room, sizeof room}};
    struct msg_trace_append fields = {.pieces = {&piece, 1}};
    enum status status = STATUS_OK;
    size_t sent = 0;
    while ((status = channel_send(f->edge, MSG_TRACE_APPEND, 0, &fields)) == STATUS_OK) {
        assert_true(sent++ < 2 * CHANNEL_QUEUE_MAX / sizeof room + 1000);
    }
    assert_int_equal(status, STATUS_LIMIT);
    assert_in_range(channel_queued(f->edge), CHANNEL_QUEUE_MAX - 2 * sizeof room,
                    CHANNEL_QUEUE_MAX);
    while (f->seen < (int)sent) {
        event_base_loop(f->loop, EVLOOP_ONCE);
    }
    assert_int_equal(channel_queued(f->edge), 0);
    assert_int_equal(channel_send(f->edge, MSG_TRACE_APPEND, 0, &fields), STATUS_OK);
}

static void
test_questions_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct msg_recipient_lookup fields = {.name = STR("x")};
    f->answer = false;
    for (unsigned i = 0; i < CHANNEL_PENDING_MAX; i++) {
        assert_int_equal(
            channel_request(f->edge, MSG_RECIPIENT_LOOKUP, &fields, 60000, on_reply, f), STATUS_OK);
    }
    assert_int_equal(channel_request(f->edge, MSG_RECIPIENT_LOOKUP, &fields, 60000, on_reply, f),
                     STATUS_LIMIT);
    assert_int_equal(f->replies, 0);
    channel_destroy(&f->edge);
    assert_int_equal(f->replies, CHANNEL_PENDING_MAX);
}

static void
test_a_peer_that_breaks_the_rules_is_cut_off(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(channel_connect(f->edge, pair[0]), STATUS_OK);
    assert_int_equal(send(pair[1], "rubbish that is no packet", 25, 0), 25);
    event_base_loop(f->loop, EVLOOP_ONCE);
    assert_false(channel_is_connected(f->edge));
    assert_int_equal(f->last_down, STATUS_SYNTAX);
    close(pair[1]);
}

struct caller {
    struct fixture *f;
    enum status status;
    bool exists;
};

static void *
call_in_thread(void *context)
{
    struct caller *caller = context;
    struct msg_recipient_lookup fields = {.name = STR("bob")};
    struct ipc_message *reply = NULL;
    caller->status = channel_call(caller->f->edge, MSG_RECIPIENT_LOOKUP, &fields, 5000, &reply);
    caller->exists = caller->status == STATUS_OK && MSG_BODY(reply, recipient_lookup_reply)->exists;
    ipc_message_free(&reply);
    event_base_loopbreak(caller->f->loop);
    return NULL;
}

static void
test_call_from_a_thread(void **state)
{
    struct fixture *f = *state;
    struct caller caller = {.f = f};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_in_thread, &caller), 0);
    event_base_loop(f->loop, EVLOOP_NO_EXIT_ON_EMPTY);
    pthread_join(thread, NULL);
    assert_int_equal(caller.status, STATUS_OK);
    assert_true(caller.exists);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request_and_reply, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_out_and_late_reply, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_gone_peer_fails_what_is_pending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_socket_brings_it_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue_when_the_socket_is_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_packets_do_not_reach_a_new_peer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_queue_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_questions_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_peer_that_breaks_the_rules_is_cut_off, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_call_from_a_thread, set_up, tear_down),
    };
    evthread_use_pthreads();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
