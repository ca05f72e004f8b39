/* Recipients at a real edge process: who may relay, look-ups that come late, targets taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "roles/edge/test_client.h"
#include "roles/edge/transaction.h"

#define NO_DELAY "limits: {pregreet_delay: 0ms}\n"

/* 127.0.0.7 and 127.0.0.9 are in a zone with relay, 127.0.0.8 in one without. */
static void
only_a_zone_with_relay_relays(void **state)
{
    static const struct {
        unsigned host;
        const char *zone;
        const char *want;
    } rows[] = {{7, "inside", "250 2.1.5"}, {8, "branch", "550 5.7.1"}, {1, "", "550 5.7.1"}};
    struct world world;
    (void)state;
    world_start(&world, NO_DELAY);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client client;
        client_connect(&client, &world, WORLD_MX, rows[i].host);
        client_greet(&client);
        client_say(&client, "MAIL FROM:<a@theirs.example>", "250");
        client_say(&client, "RCPT TO:<tom@elsewhere.example>", rows[i].want);
        client_say(&client, "RCPT TO:<bob@ours.example>", "250 2.1.5");
        client_say(&client, "DATA", "354");
        client_say(&client, TEST_HEADER ".", "250");
        assert_string_equal(world.submitted.zone, rows[i].zone);
        client_close(&client);
    }
    world_end(&world);
}

/* The client has gone, or has begun anew, when the answer about its recipient comes. */
static void
answers_for_nobody_do_no_harm(void **state)
{
    static const char *const questions[] = {"bob@ours.example", "nobody@ours.example",
                                            "bob@asked.example", "sales@ours.example",
                                            "SRS0=good=x@ours.example"};
    struct world world;
    struct client client;
    char line[128];
    (void)state;
    world_start(&world, NO_DELAY);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        client_connect(&client, &world, WORLD_MX, 1);
        client_greet(&client);
        client_say(&client, "MAIL FROM:<>", "250");
        snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", questions[i]);
        client_send(&client, line); /* the test, which has the answer, does something else */
        usleep(20000);
        client_close(&client);
        usleep(20000);
        world_wait(&world, -1, 50);
    }
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send_message(&client, "250");
    client_close(&client);
    world_wait(&world, -1, 50);
    assert_int_equal(world_metric(&world, "edge_connections_open"), 0);
    assert_int_equal(world_metric(&world, "edge_memory_octets"), 0);
    world_end(&world);
}

/* Octets of the recipients of one message: TRANSACTION_TARGETS_OCTETS, as transaction.c counts. */
#define FILLER_OCTETS 525u /* two times 22, "rfc822;" and 450, 24 */
#define ROOM_LEFT     74u  /* for the first target of sales@ours.example and not for the second */

#define FILLERS_AT_ONCE 20u

/* Recipients with these numbers, in one group. */
static void
send_fillers(struct client *client, unsigned from, unsigned to, size_t orcpt)
{
    char group[FILLERS_AT_ONCE * 600];
    char padding[451];
    size_t n = 0;
    memset(padding, 'x', orcpt);
    padding[orcpt] = '\0';
    for (unsigned i = from; i < to; i++) {
        n += (size_t)snprintf(group + n, sizeof group - n,
                              "RCPT TO:<a%03u@elsewhere.example> ORCPT=rfc822;%s\r\n", i, padding);
    }
    client_send(client, group);
    for (unsigned i = from; i < to; i++) {
        client_expect(client, "250 2.1.5");
    }
}

/* An alias whose targets do not all fit is put off whole: none of them stays behind. */
static void
targets_that_do_not_fit_are_taken_back(void **state)
{
    struct world world;
    struct client client;
    unsigned const fillers = (TRANSACTION_TARGETS_OCTETS - ROOM_LEFT) / FILLER_OCTETS - 1;
    size_t rest = TRANSACTION_TARGETS_OCTETS - ROOM_LEFT - fillers * FILLER_OCTETS;
    unsigned n = 0;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 7);
    client_greet(&client);
    client_say(&client, "MAIL FROM:<a@theirs.example>", "250");
    while (n < fillers) {
        unsigned next = n + FILLERS_AT_ONCE < fillers ? n + FILLERS_AT_ONCE : fillers;
        send_fillers(&client, n, next, 450);
        n = next;
    }
    size_t half = rest / 2; /* the rest in two, as an ORCPT has a bound */
    send_fillers(&client, n, n + 1, half - (FILLER_OCTETS - 450));
    send_fillers(&client, n + 1, n + 2, rest - half - (FILLER_OCTETS - 450));
    n += 2;
    for (int i = 0; i < 3; i++) {
        client_say(&client, "RCPT TO:<sales@ours.example>", "452 4.5.3");
    }
    client_say(&client, "RCPT TO:<jack@ours.example>", "250 2.1.5"); /* takes 58 of the 74 */
    client_say(&client, "RCPT TO:<eve@elsewhere.example>", "452 4.5.3");
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER ".", "250");
    assert_int_equal(world.submitted.recipient_total, n + 1);
    client_close(&client);
    world_end(&world);
}

/* The filter takes longer than a client may: nobody is timed out who waits for us. */
static void
who_waits_for_an_answer_is_not_timed_out(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, "limits: {pregreet_delay: 0ms, timeouts: {command: 1s, data: 1s}}\n");
    world.filter_is_silent = true;
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    assert_false(world_wait(&world, client.fd, 2500));
    world_filter_answer(&world, 250);
    client_expect(&client, "250");
    client_expect(&client, "421 4.4.2"); /* now it is the client's turn again */
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_timeouts_total"), 1);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_zone_with_relay_relays),
        cmocka_unit_test(answers_for_nobody_do_no_harm),
        cmocka_unit_test(targets_that_do_not_fit_are_taken_back),
        cmocka_unit_test(who_waits_for_an_answer_is_not_timed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
