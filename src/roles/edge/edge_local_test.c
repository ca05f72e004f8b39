/* Users of the machine at a real edge process: the Unix socket that sendmail speaks to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "roles/edge/test_client.h"

#define NO_DELAY  "limits: {pregreet_delay: 0ms}\n"
/* A user who is not root, where the test can become one. */
#define OTHER_UID 4242u

/* Somebody without rights: oneself, or another where one is root. */
static uid_t
plain_uid(void)
{
    return geteuid() == 0 ? OTHER_UID : geteuid();
}

static void
a_user_of_the_machine_submits(void **state)
{
    struct world world;
    struct client client;
    char user[32];
    (void)state;
    /* No zone is for him, not even one with the address that he stands in the trace with. */
    world_start(&world, "  - {name: self, networks: [127.0.0.1/32]}\n" NO_DELAY);
    snprintf(user, sizeof user, "uid:%u", (unsigned)plain_uid());
    client_connect_local(&client, &world, plain_uid());
    /* The greeting tells which domain addresses without one get. */
    client_expect(&client, "220 ours.example ");
    client_say(&client, "EHLO localhost", "250-ours.example");
    assert_null(strstr(client.reply, "AUTH"));
    assert_null(strstr(client.reply, "STARTTLS"));
    client_say(&client, "AUTH PLAIN AGJvYgB4", "503 5.5.1");
    client_say(&client, "MAIL FROM:<root@ours.example>", "250 2.1.0");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "250 2.1.5");
    client_say(&client, "RCPT TO:<nobody@ours.example>", "550 5.1.1");
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER ".", "250 2.0.0");
    assert_string_equal(world.submitted.user, user);
    assert_string_equal(world.submitted.zone, "");
    assert_string_equal(world.submitted.client, "127.0.0.1");
    assert_string_equal(world.submitted.tls, "");
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_begin, TRACE_CONNECTION_OPENED, "listener", "sendmail");
    assert_event(&world.session_begin, TRACE_AUTH_SUCCEEDED, "user", user);
    assert_event(&world.session_begin, TRACE_AUTH_SUCCEEDED, "mechanism", "local user");
    /* Of those who come from 127.0.0.1 over TCP, the zone is found. */
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send_message(&client, "250");
    assert_string_equal(world.submitted.zone, "self");
    assert_string_equal(world.submitted.user, "");
    client_close(&client);
    world_end(&world);
}

/* The kernel says who he is, also where another one opened his socket. */
static void
each_user_is_who_he_is(void **state)
{
    uid_t const uids[] = {geteuid(), plain_uid()};
    struct world world;
    (void)state;
    world_start(&world, NO_DELAY);
    for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
        struct client client;
        char user[32];
        snprintf(user, sizeof user, "uid:%u", (unsigned)uids[i]);
        client_connect_local(&client, &world, uids[i]);
        client_expect(&client, "220");
        client_say(&client, "EHLO localhost", "250-");
        client_send_message(&client, "250");
        assert_string_equal(world.submitted.user, user);
        client_close(&client);
    }
    world_end(&world);
}

static void
who_may_not_submit_is_told(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY "sendmail: {users: [\"uid:4711\"]}\n");
    client_connect_local(&client, &world, plain_uid());
    client_expect(&client, "554 5.7.1 This user may not submit mail");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_LIMIT_HIT, "limit", "sendmail.users");
    world_reload(&world, NO_DELAY "sendmail: {users: [\"uid:4711\", \"uid:*\"]}\n");
    client_connect_local(&client, &world, plain_uid());
    client_expect(&client, "220");
    client_close(&client);
    world_end(&world);
}

/* Limits of an address are those of a user, and neither takes from the other. */
static void
users_are_counted_by_themselves(void **state)
{
    struct world world;
    struct client local[3];
    struct client client;
    (void)state;
    world_start(&world, "limits: {pregreet_delay: 0ms, connections_per_address: 2}\n");
    for (size_t i = 0; i < 2; i++) {
        client_connect_local(&local[i], &world, plain_uid());
        client_expect(&local[i], "220");
    }
    client_connect_local(&local[2], &world, plain_uid());
    client_expect(&local[2], "421 4.7.0");
    client_close(&local[2]);
    client_connect(&client, &world, WORLD_MX, 1);
    client_expect(&client, "220");
    client_close(&client);
    if (geteuid() == 0) {
        client_connect_local(&local[2], &world, plain_uid() + 256);
        client_expect(&local[2], "220");
        client_close(&local[2]);
    }
    client_close(&local[0]);
    client_close(&local[1]);
    world_end(&world);
}

static void
without_sendmail_nobody_is_heard(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY "sendmail: {enabled: false}\n");
    client_connect_local(&client, &world, geteuid());
    client_expect_end(&client);
    client_close(&client);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_of_the_machine_submits),
        cmocka_unit_test(each_user_is_who_he_is),
        cmocka_unit_test(who_may_not_submit_is_told),
        cmocka_unit_test(users_are_counted_by_themselves),
        cmocka_unit_test(without_sendmail_nobody_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
