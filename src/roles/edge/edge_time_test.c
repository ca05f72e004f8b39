/*
 * Time at a real edge process whose clock the test moves: the end of sessions, slow content; and
 * how connections end that are not over yet.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "roles/edge/test_client.h"

#define WITH(...) "limits: {pregreet_delay: 0ms, " __VA_ARGS__ "}\n"

/* ---- the clock (the linker puts it before base/clock.h's, in the test and in its edge) */

int64_t __real_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void);

static _Atomic int64_t *ahead_ms; /* shared with the edge */

int64_t
__wrap_clock_monotonic_ms(void)
{
    return __real_clock_monotonic_ms() + (ahead_ms != NULL ? atomic_load(ahead_ms) : 0);
}

static int
share_clock(void **state)
{
    (void)state;
    void *at =
        mmap(NULL, sizeof *ahead_ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return -1;
    }
    ahead_ms = at;
    return 0;
}

/* Moves the clock, and gives the edge the time to look at it. */
static void
move_clock(struct world *world, int64_t ms)
{
    atomic_fetch_add(ahead_ms, ms);
    world_wait(world, -1, 200);
}

/* Sends and waits until the edge has read it, so that its clock moves behind that. */
static void
send_and_wait(struct client *client, const char *text)
{
    int64_t const before = world_metric(client->world, "edge_octets_in_total");
    client_send(client, text);
    while (world_metric(client->world, "edge_octets_in_total") < before + (int64_t)strlen(text)) {
        world_wait(client->world, -1, 5);
    }
}

/* ---- sessions */

static void
a_session_comes_to_its_end(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("timeouts: {session: 2m, command: 5m, data: 5m}"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    move_clock(&world, 119000);
    client_say(&client, "NOOP", "250"); /* brings a new deadline, which is no later */
    move_clock(&world, 1000);
    client_expect(&client, "421 4.4.2 This session has lasted too long");
    client_expect_end(&client);
    client_close(&client);
    /* Inside a message too. */
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    send_and_wait(&client, TEST_HEADER);
    move_clock(&world, 120000);
    client_expect(&client, "421 4.4.2 This session has lasted too long");
    client_close(&client);
    assert_int_equal(world.submitted.count, 0);
    world_end(&world);
}

/* A message that the filter has is answered, however old its session is. */
static void
who_waits_for_an_answer_is_not_ended(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("timeouts: {session: 1m}"));
    world.filter_is_silent = true;
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    move_clock(&world, 90000); /* the edge waits longer than that for the filter */
    assert_false(world_wait(&world, client.fd, 300));
    world_filter_answer(&world, 250);
    client_expect(&client, "250");
    client_expect(&client, "421 4.4.2 This session has lasted too long");
    client_close(&client);
    world_end(&world);
}

/* ---- content */

static void
slow_content_has_its_grace(void **state)
{
    static const struct {
        const char *limits;
        bool taken;
    } rows[] = {
        {WITH("data_rate: 1000, data_rate_grace: 2m"), true},
        {WITH("data_rate: 1000, data_rate_grace: 50s"), false},
        {WITH("data_rate: 0, data_rate_grace: 1s"), true},
        {WITH("data_rate: 1, data_rate_grace: 1s"), true}, /* as many as seconds, and more */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        struct client client;
        world_start(&world, rows[i].limits);
        client_connect(&client, &world, WORLD_MX, 1);
        client_greet(&client);
        client_begin_message(&client);
        client_say(&client, "DATA", "354");
        send_and_wait(&client, TEST_HEADER);
        move_clock(&world, 60000);
        client_send(&client, "one more line, so that there are as many octets as seconds\r\n.\r\n");
        client_expect(&client, rows[i].taken ? "250" : "421 4.4.2");
        assert_int_equal(world.submitted.count, rows[i].taken ? 1 : 0);
        client_close(&client);
        world_end(&world);
    }
}

/* ---- before the greeting */

static void
who_may_relay_is_greeted_at_once(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, "limits: {pregreet_delay: 10s}\n");
    client_connect(&client, &world, WORLD_MX, 8); /* a zone without relay */
    assert_false(world_wait(&world, client.fd, 300));
    client_close(&client);
    client_connect(&client, &world, WORLD_MX, 7);
    assert_true(world_wait(&world, client.fd, 5000));
    client_expect(&client, "220");
    client_close(&client);
    client_connect(&client, &world, WORLD_MX, 1);
    assert_false(world_wait(&world, client.fd, 300));
    move_clock(&world, 10000);
    client_expect(&client, "220");
    client_close(&client);
    world_end(&world);
}

/* ---- after all has been said */

/* Octets that the client sends before its connection is gone; at most `max`. */
static size_t
flood(struct client *client, size_t max)
{
    static char octets[65536];
    size_t sent = 0;
    while (sent < max) {
        ssize_t n = send(client->fd, octets, sizeof octets, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            break;
        }
        sent += n > 0 ? (size_t)n : 0;
        world_wait(client->world, -1, n > 0 ? 0 : 1);
    }
    return sent;
}

/* What still comes is read for a while, so that the last reply is not lost; but not without end. */
static void
what_follows_the_end_is_bounded(void **state)
{
    size_t const flood_max = (size_t)64 << 20;
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("errors: 1"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "RUBBISH", "421 4.7.0");
    flood(&client, flood_max);
    client_close(&client);
    world_wait(&world, -1, 200);
    assert_in_range(world_metric(&world, "edge_octets_in_total"), 0, 2 << 20);
    assert_int_equal(world_metric(&world, "edge_connections_open"), 0);
    world_end(&world);
}

/* Who closes neither, nor says anything, is let go after a while. */
static void
a_client_that_does_not_close_is_left(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("timeouts: {session: 1h}"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    (void)world_metric(&world, "edge_connections_open"); /* behind this it has its deadline */
    move_clock(&world, 10000);
    assert_int_equal(world_metric(&world, "edge_connections_open"), 0);
    client_close(&client);
    world_end(&world);
}

/* The grace of a stop is over: whoever waits for the filter is told, and its answer is for nobody.
 */
static void
an_answer_after_the_grace_is_for_nobody(void **state)
{
    struct world world;
    struct client client;
    struct client other;
    (void)state;
    world_start(&world, WITH("timeouts: {session: 1h}"));
    world.filter_is_silent = true;
    client_connect(&other, &world, WORLD_MX, 2);
    client_greet(&other);
    client_begin_message(&other);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    world_stop(&world, 200);
    client_expect(&client, "421 4.3.2");
    client_expect(&other, "421 4.3.2");
    client_close(&client);
    world_wait(&world, -1, 100);
    world_filter_answer(&world, 250); /* the other one keeps the edge alive, as it does not close */
    assert_int_equal(world_wait_exit(&world), 0);
    client_close(&other);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_comes_to_its_end),
        cmocka_unit_test(who_waits_for_an_answer_is_not_ended),
        cmocka_unit_test(slow_content_has_its_grace),
        cmocka_unit_test(who_may_relay_is_greeted_at_once),
        cmocka_unit_test(what_follows_the_end_is_bounded),
        cmocka_unit_test(a_client_that_does_not_close_is_left),
        cmocka_unit_test(an_answer_after_the_grace_is_for_nobody),
    };
    return cmocka_run_group_tests(tests, share_clock, NULL);
}
