/* Connections that are kept, used again, left and bounded. */
#include <unistd.h>

#include "base/clock.h"
#include "roles/relay/test_world.h"

static void
test_connection_is_reused(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = PIPE_EHLO;
    for (int i = 0; i < 5; i++) {
        DELIVER("a@one.example");
        EXPECT("relayed- 250 2.0.0");
    }
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(atomic_load(&w->relay.counters.connections_reused), 4);
}

static void
test_limit_of_reuse(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250 LIMITS MAILMAX=2\r\n";
    for (int i = 0; i < 5; i++) {
        DELIVER("a@one.example");
        EXPECT("relayed- 250 2.0.0");
    }
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_connection_that_died_while_idle(void **state)
{
    struct world *w = *state;
    w->manners[0].closes_after_verdict = true;
    DELIVER("a@one.example");
    w->manners[0].verdicts = 1;
    DELIVER("a@one.example");
    /* The old connection was closed at MAIL, unanswered; so was the new one. */
    EXPECT("deferred 0 4.4.2");
    w->manners[0].closes_after_verdict = false;
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
}

static void
test_idle_connections_are_left_with_quit(void **state)
{
    struct world *w = *state;
    DELIVER("a@one.example");
    assert_int_equal(relay_idle_count(w->relay.idle), 1);
    relay_idle_leave_all(w->relay.idle, 1000);
    assert_null(relay_idle_take(w->relay.idle, STR("any"), w->config));
    for (int64_t i = 0; i < 500 && relay_idle_count(w->relay.idle) > 0; i++) {
        relay_idle_tick(w->relay.idle, 1000 + i);
        usleep(1000);
    }
    assert_int_equal(relay_idle_count(w->relay.idle), 0);
    test_server_end(w->servers[0]);
    assert_true(str_ends_with(test_server_commands(w->servers[0]), STR("QUIT\n")));
}

static void
test_idle_connections_are_bounded(void **state)
{
    struct world *w = *state;
    relay_idle_set(w->relay.idle, 1, 60000);
    DELIVER("a@one.example", "a@two.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0");
    relay_idle_leave_all(w->relay.idle, clock_monotonic_ms());
    for (int i = 0; i < 500 && relay_idle_count(w->relay.idle) > 0; i++) {
        relay_idle_tick(w->relay.idle, clock_monotonic_ms());
        usleep(1000);
    }
    assert_int_equal(relay_idle_count(w->relay.idle), 0);
}

static void
test_idle_connections_give_way(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    w->connections = 1;
    world_load_config(w, "");
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    DELIVER("a@two.example"); /* one connection is all there may be */
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(relay_idle_count(w->relay.idle), 1);
    assert_null(relay_idle_take(w->relay.idle, STR("nobody"), w->config));
    DELIVER("b@two.example");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(test_server_connections(w->servers[1]), 1);
}

static void
test_idle_connections_grow_old(void **state)
{
    struct world *w = *state;
    DELIVER("a@one.example");
    int64_t now = clock_monotonic_ms();
    relay_idle_tick(w->relay.idle, now + 50000);
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    DELIVER("a@one.example");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    relay_idle_tick(w->relay.idle, clock_monotonic_ms() + 60000);
    DELIVER("a@one.example");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connection_is_reused),
        TEST(test_limit_of_reuse),
        TEST(test_connection_that_died_while_idle),
        TEST(test_idle_connections_are_left_with_quit),
        TEST(test_idle_connections_are_bounded),
        TEST(test_idle_connections_give_way),
        TEST(test_idle_connections_grow_old),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
