/* Traces on their way to a ledger that is there, goes away, comes back, or never was. */
#include "roles/trace_sender.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* The longest that a test waits for something, turns of the loop. */
#define TURNS_MAX   2000
#define TURN_US     5000
#define TRACES_MOST 4096

/* A ledger at the other end of the line, in the same loop. */
struct world {
    struct event_base *loop;
    struct channel *edge;   /* the edge's end: what the sender uses */
    struct channel *ledger; /* the ledger's end */
    struct trace_sender *sender;
    bool mute; /* takes, and does not acknowledge */
    size_t taken;
    unsigned seen[TRACES_MOST]; /* how often each trace was taken, by its id */
    bool emptied;
};

static void
take_piece(struct world *world, const struct record_trace_piece *piece)
{
    uint64_t number;
    assert_true(trace_is_valid(piece->events));
    assert_true(str_eq(piece->session, STR("SESSION")));
    assert_int_equal(str_parse_u64(piece->id, TRACES_MOST - 1, &number), STATUS_OK);
    world->taken++;
    world->seen[number]++;
}

static void
take(void *context, struct channel *channel, struct ipc_message *message)
{
    struct world *world = context;
    assert_int_equal(message->type, MSG_TRACE_APPEND);
    const struct msg_trace_append *fields = MSG_BODY(message, trace_append);
    for (size_t i = 0; i < fields->pieces.n; i++) {
        take_piece(world, &fields->pieces.items[i]);
    }
    if (!world->mute) {
        assert_int_equal(channel_send(channel, MSG_TRACE_ACK, message->request, NULL), STATUS_OK);
    }
    ipc_message_free(&message);
}

static void
take_nothing(void *context, struct channel *channel, struct ipc_message *message)
{
    (void)context;
    (void)channel;
    ipc_message_free(&message);
    fail_msg("the edge got a message that is no reply");
}

static void
connect_ledger(struct world *world)
{
    int pair[2];
    struct channel_settings settings = {.loop = world->loop,
                                        .self = ROLE_LEDGER,
                                        .peer = ROLE_EDGE,
                                        .on_message = take,
                                        .context = world};
    world->ledger = channel_create(&settings);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(channel_connect(world->ledger, pair[0]), STATUS_OK);
    assert_int_equal(channel_connect(world->edge, pair[1]), STATUS_OK);
}

static struct world *
make_world(size_t ceiling)
{
    struct world *world = calloc(1, sizeof *world);
    struct channel_settings settings = {
        .self = ROLE_EDGE, .peer = ROLE_LEDGER, .on_message = take_nothing};
    world->loop = event_base_new();
    settings.loop = world->loop;
    settings.context = world;
    world->edge = channel_create(&settings);
    world->sender = trace_sender_create(world->loop, world->edge, ceiling);
    assert_non_null(world->sender);
    return world;
}

static void
end_world(struct world *world)
{
    trace_sender_destroy(&world->sender);
    if (world->ledger != NULL) {
        channel_destroy(&world->ledger);
    }
    channel_destroy(&world->edge);
    event_base_free(world->loop);
    free(world);
}

static void
turn(struct world *world)
{
    struct timeval most = {0, TURN_US};
    event_base_loopexit(world->loop, &most);
    event_base_dispatch(world->loop);
}

static void
add(struct world *world, unsigned number)
{
    struct trace trace;
    char id[16];
    int n = snprintf(id, sizeof id, "%u", number);
    trace_init(&trace, NULL);
    TRACE(&trace, early_talk, .octets = (int64_t)number);
    trace_sender_add(world->sender, str_make(id, (size_t)n), STR("SESSION"), &trace);
    assert_true(trace_is_empty(&trace));
    trace_free(&trace);
}

static void
wait_until_empty(struct world *world)
{
    for (int i = 0; i < TURNS_MAX && trace_sender_waiting(world->sender) > 0; i++) {
        turn(world);
    }
    assert_int_equal(trace_sender_waiting(world->sender), 0);
}

static void
all_are_taken_once(void **state)
{
    (void)state;
    struct world *world = make_world(TRACE_SENDER_CEILING);
    connect_ledger(world);
    for (unsigned i = 0; i < 2000; i++) {
        add(world, i);
    }
    wait_until_empty(world);
    assert_int_equal(world->taken, 2000);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(world->seen[i], 1);
    }
    /* nothing recorded, nothing sent */
    struct trace trace;
    trace_init(&trace, NULL);
    trace_sender_add(world->sender, STR("1"), STR("SESSION"), &trace);
    assert_int_equal(trace_sender_waiting(world->sender), 0);
    end_world(world);
}

static void
a_ledger_may_come_later(void **state)
{
    (void)state;
    struct world *world = make_world(TRACE_SENDER_CEILING);
    for (unsigned i = 0; i < 10; i++) {
        add(world, i);
    }
    turn(world);
    assert_true(trace_sender_waiting(world->sender) > 0);
    connect_ledger(world);
    wait_until_empty(world);
    assert_int_equal(world->taken, 10);
    end_world(world);
}

/* What a dying ledger had taken but not acknowledged is sent to its successor. */
static void
a_ledger_may_die(void **state)
{
    (void)state;
    struct world *world = make_world(TRACE_SENDER_CEILING);
    connect_ledger(world);
    world->mute = true;
    for (unsigned i = 0; i < 3000; i++) {
        add(world, i);
    }
    for (int i = 0; i < TURNS_MAX && world->taken == 0; i++) {
        turn(world);
    }
    assert_in_range(world->taken, 1, 2999); /* not all at one time */
    channel_destroy(&world->ledger);
    turn(world);
    world->mute = false;
    connect_ledger(world);
    wait_until_empty(world);
    for (unsigned i = 0; i < 3000; i++) {
        assert_in_range(world->seen[i], 1, 2);
    }
    end_world(world);
}

static void
memory_is_bounded(void **state)
{
    (void)state;
    struct world *world = make_world(20000);
    for (unsigned i = 0; i < 1000; i++) {
        add(world, i);
    }
    uint64_t dropped = trace_sender_dropped(world->sender);
    assert_in_range(trace_sender_waiting(world->sender), 15000, 20000);
    assert_in_range(dropped, 700, 999);
    connect_ledger(world);
    wait_until_empty(world);
    assert_int_equal(world->taken + dropped, 1000);
    end_world(world);
}

static void
note_empty(void *context)
{
    struct world *world = context;
    assert_false(world->emptied);
    assert_int_equal(trace_sender_waiting(world->sender), 0);
    world->emptied = true;
}

static void
emptiness_is_told_once(void **state)
{
    (void)state;
    struct world *world = make_world(TRACE_SENDER_CEILING);
    trace_sender_on_empty(world->sender, note_empty, world);
    assert_true(world->emptied); /* there was nothing */
    world->emptied = false;
    connect_ledger(world);
    for (unsigned i = 0; i < 500; i++) {
        add(world, i);
    }
    trace_sender_on_empty(world->sender, note_empty, world);
    assert_false(world->emptied);
    for (int i = 0; i < TURNS_MAX && !world->emptied; i++) {
        turn(world);
    }
    assert_true(world->emptied);
    add(world, 500);
    wait_until_empty(world);
    end_world(world);
}

/* Ending with traces under way leaves nothing behind, in either order. */
static void
it_may_end_early(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct world *world = make_world(TRACE_SENDER_CEILING);
        connect_ledger(world);
        world->mute = true;
        for (unsigned i = 0; i < 600; i++) {
            add(world, i);
        }
        turn(world);
        if (order == 1) {
            channel_destroy(&world->ledger);
            turn(world);
        }
        end_world(world);
    }
}

static void *
add_many(void *context)
{
    struct world *world = context;
    for (unsigned i = 0; i < 1000; i++) {
        add(world, 1000 + i);
    }
    return NULL;
}

static void
threads_may_add(void **state)
{
    (void)state;
    struct world *world = make_world(TRACE_SENDER_CEILING);
    pthread_t thread;
    connect_ledger(world);
    assert_int_equal(pthread_create(&thread, NULL, add_many, world), 0);
    for (unsigned i = 0; i < 1000; i++) {
        add(world, i);
        if (i % 100 == 0) {
            turn(world);
        }
    }
    pthread_join(thread, NULL);
    wait_until_empty(world);
    assert_int_equal(world->taken, 2000);
    end_world(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_taken_once),     cmocka_unit_test(a_ledger_may_come_later),
        cmocka_unit_test(a_ledger_may_die),       cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(emptiness_is_told_once), cmocka_unit_test(it_may_end_early),
        cmocka_unit_test(threads_may_add),
    };
    return evthread_use_pthreads() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
