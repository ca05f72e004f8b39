/* The limits of a real edge process: who may come in, time, memory, reload and stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "roles/edge/test_client.h"

#define NO_DELAY  "limits: {pregreet_delay: 0ms}\n"
#define WITH(...) "limits: {pregreet_delay: 0ms, " __VA_ARGS__ "}\n"

/* ---- who may come in */

static void
early_talkers_are_refused(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, "limits: {pregreet_delay: 300ms}\n");
    client_connect(&client, &world, WORLD_MX, 1);
    client_send(&client, "EHLO early.example\r\n");
    client_expect(&client, "554 5.5.1");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_EARLY_TALK, NULL, NULL);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client); /* who waits is served */
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_refused_early_talk_total"), 1);
    world_end(&world);
}

static void
connections_are_limited(void **state)
{
    struct world world;
    struct client clients[3];
    (void)state;
    world_start(&world, WITH("connections_per_address: 2"));
    client_connect(&clients[0], &world, WORLD_MX, 1);
    client_connect(&clients[1], &world, WORLD_MX, 1);
    client_expect(&clients[0], "220");
    client_expect(&clients[1], "220");
    client_connect(&clients[2], &world, WORLD_MX, 1);
    client_expect(&clients[2], "421 4.7.0");
    client_expect_end(&clients[2]);
    client_close(&clients[2]);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_LIMIT_HIT, "limit", "limits.connections_per_address");
    client_connect(&clients[2], &world, WORLD_MX, 2);
    client_expect(&clients[2], "220");
    client_close(&clients[2]);
    client_say(&clients[0], "QUIT", "221");
    client_expect_end(&clients[0]);
    client_close(&clients[0]);
    client_connect(&clients[0], &world, WORLD_MX, 1);
    client_expect(&clients[0], "220");
    client_close(&clients[0]);
    client_close(&clients[1]);
    world_end(&world);
}

static void
messages_are_limited(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("message_rate: 2"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send_message(&client, "250");
    client_send_message(&client, "250");
    client_say(&client, "MAIL FROM:<a@theirs.example>", "450 4.7.1");
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.message_events, TRACE_MAIL_REFUSED, "why", "limits.message_rate");
    world_end(&world);
}

static void
zones_may_relay(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, "limits: {pregreet_delay: 5s}\n"); /* not for those who may relay */
    client_connect(&client, &world, WORLD_MX, 7);
    client_greet(&client);
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "250");
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER ".", "250");
    assert_string_equal(world.submitted.zone, "inside");
    client_close(&client);
    world_end(&world);
}

static void
proxies_tell_who_the_client_is(void **state)
{
    static const char header[] = "PROXY TCP4 192.0.2.77 198.51.100.1 4711 25\r\n";
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_PROXIED, 9);
    for (size_t i = 0; i < sizeof header - 1; i++) {
        client_send_octets(&client, str_make(header + i, 1));
        world_wait(&world, -1, i % 10 == 0 ? 1 : 0);
    }
    client_greet(&client);
    client_send_message(&client, "250");
    assert_string_equal(world.submitted.client, "192.0.2.77");
    client_close(&client);
    /* What follows in the same segment is the client's. */
    client_connect(&client, &world, WORLD_PROXIED, 9);
    client_send(&client, "PROXY TCP4 192.0.2.77 198.51.100.1 4711 25\r\nEHLO c.example\r\n");
    client_expect(&client, "220");
    client_expect(&client, "250-");
    client_close(&client);
    /* From the proxy's network, without the header. */
    client_connect(&client, &world, WORLD_PROXIED, 9);
    client_send(&client, "EHLO c.example\r\n");
    client_expect_end(&client);
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_refused_proxy_total"), 1);
    /* A header from elsewhere names nobody. */
    client_connect(&client, &world, WORLD_PROXIED, 1);
    client_send(&client, header);
    client_expect(&client, "220");
    client_expect(&client, "500");
    client_close(&client);
    world_end(&world);
}

/* The health check of a load balancer must not get the rights of its network. */
static void
a_proxy_itself_is_in_no_zone(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_PROXIED, 9);
    client_send(&client, "PROXY UNKNOWN\r\n");
    client_greet(&client);
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "550 5.7.1");
    client_close(&client);
    world_end(&world);
}

/* Who is offered no STARTTLS sends in the clear: better no mail now than that. */
static void
broken_tls_takes_no_mail(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY "tls: {ciphers: NO-SUCH-CIPHER}\n");
    client_connect(&client, &world, WORLD_MX, 1);
    client_expect(&client, "421 4.7.0 TLS cannot be offered");
    client_expect_end(&client);
    client_close(&client);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_expect_end(&client);
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_refused_no_tls_total"), 2);
    assert_non_null(strstr(world.warnings, "the listener mx 127.0.0.1:2525 has no TLS"));
    assert_non_null(strstr(world.warnings, "the listener smtps 127.0.0.1:2465 has no TLS"));
    world_reload(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_close(&client);
    world_metric(&world, "edge_refused_no_tls_total");
    assert_string_equal(world.warnings, "");
    world_end(&world);
}

/* ---- time and memory */

static void
silence_ends_a_session(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("timeouts: {command: 1s}"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    for (int i = 0; i < 12 && !world_wait(&world, client.fd, 200); i++) {
        client_send(&client, "x"); /* half a command does not buy time */
    }
    assert_true(world_wait(&world, client.fd, 0));
    client_expect(&client, "421 4.4.2");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_CONNECTION_CLOSED, "reason", "timeout");
    world_end(&world);
}

static void
slow_content_ends_a_session(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("data_rate: 1000, data_rate_grace: 1s"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    for (int i = 0; i < 30 && !world_wait(&world, client.fd, 50); i++) {
        client_send(&client, "slow\r\n");
    }
    client_expect(&client, "421 4.4.2");
    client_close(&client);
    assert_int_equal(world.submitted.count, 0);
    world_end(&world);
}

/* A NUL refuses the message, but its end has to come before the client can be told. */
static void
slow_refused_content_is_answered(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("data_rate: 0, timeouts: {data: 1s}"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send_octets(&client, STR("Subject: x\r\n\r\n\0\r\n"));
    for (int i = 0; i < 10; i++) {
        assert_false(world_wait(&world, client.fd, 250)); /* 2.5 seconds in all */
        client_send(&client, "slow\r\n");
    }
    client_send(&client, ".\r\n");
    client_expect(&client, "554 5.6.0");
    client_say(&client, "NOOP", "250");
    client_close(&client);
    world_end(&world);
}

static void
slow_refused_content_ends_a_session(void **state)
{
    static const char *const begin[] = {"DATA", "BDAT 100000 LAST"};
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, WITH("data_rate: 1000, data_rate_grace: 1s"));
    for (size_t i = 0; i < sizeof begin / sizeof begin[0]; i++) {
        client_connect(&client, &world, WORLD_MX, 1);
        client_greet(&client);
        if (i == 0) { /* the chunk belongs to no message */
            client_begin_message(&client);
            client_say(&client, begin[i], "354");
            client_send_octets(&client, STR("Subject: x\r\n\r\n\0\r\n"));
        } else {
            client_send(&client, begin[i]);
            client_send(&client, "\r\n");
        }
        for (int k = 0; k < 40 && !world_wait(&world, client.fd, 50); k++) {
            client_send(&client, "slow\r\n");
        }
        client_expect(&client, "421 4.4.2");
        client_close(&client);
    }
    world_end(&world);
}

/* Each of these was once a number in the code. */
static void
what_a_client_can_do_is_configured(void **state)
{
    char long_line[1400];
    struct world world;
    struct client client;
    (void)state;
    memset(long_line, 'x', sizeof long_line);
    memcpy(long_line, "NOOP ", 5);
    long_line[sizeof long_line - 1] = '\0';
    world_start(&world, WITH("command_length: 1400, auth_length: 1024, small_chunks: 2, "
                             "discard_size: 64KiB, auth_failures_per_connection: 2"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, long_line, "500 5.5.2");
    long_line[1398] = '\0';
    client_say(&client, long_line, "250");
    client_begin_message(&client);
    client_say(&client, "BDAT 2\r\nab", "250");
    client_close(&client);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "BDAT 65537", "503");
    client_expect_end(&client);
    client_close(&client);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_starttls(&client);
    client_greet(&client);
    memcpy(long_line, "AUTH ", 5);
    long_line[1100] = '\0';
    client_say(&client, long_line, "500 5.5.2");
    client_say(&client, "AUTH PLAIN AGJvYkBvdXJzLmV4YW1wbGUAd3Jvbmc=", "535");
    client_say(&client, "AUTH PLAIN AGJvYkBvdXJzLmV4YW1wbGUAd3Jvbmc=", "421 4.7.0");
    client_close(&client);
    world_end(&world);
}

static void
memory_is_bounded(void **state)
{
    struct world world;
    struct client client;
    char line[1002];
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line + 998, "\r\n", 3);
    world_start(&world, WITH("memory: 16MiB"));
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "MAIL FROM:<a@theirs.example> SIZE=20000000", "452 4.3.1");
    client_begin_message(&client); /* says nothing of its size */
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER);
    for (int i = 0; i < 18000 && !world_wait(&world, client.fd, 0); i++) {
        client_send(&client, line);
    }
    client_expect(&client, "421 4.3.1");
    client_close(&client);
    world_wait(&world, -1, 50);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send_message(&client, "250");
    client_close(&client);
    world_end(&world);
}

/* ---- memory of envelopes */

#define CROWD      16u
#define CROWD_RCPT 1000u

/* The address sanitizer keeps what was freed and puts room around each allocation: what is resident
 * then says nothing about the program. */
#if defined(__SANITIZE_ADDRESS__)
#define RESIDENT_OCTETS_MEAN_SOMETHING false
#else
#define RESIDENT_OCTETS_MEAN_SOMETHING true
#endif

static size_t
resident_octets(pid_t pid)
{
    char path[64];
    char line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kib = strtoul(line + 6, NULL, 10);
        }
    }
    fclose(file);
    return kib * 1024;
}

/* Sends recipients until they are refused for want of memory; how many were taken. */
static unsigned
send_recipients(struct client *client, const char *line)
{
    for (unsigned i = 0; i < CROWD_RCPT; i++) {
        client_send(client, line);
        client_expect(client, "");
        if (strncmp(client->reply, "250", 3) != 0) {
            assert_true(strncmp(client->reply, "452 4.3.1", 9) == 0);
            return i;
        }
    }
    return CROWD_RCPT;
}

/* Recipients with their parameters are kept until the message ends: they count, as content does. */
static void
envelopes_are_counted(void **state)
{
    struct world world;
    struct client clients[CROWD];
    char padding[451] = "";
    char line[600];
    unsigned taken = 0;
    (void)state;
    memset(padding, 'x', sizeof padding - 1);
    snprintf(line, sizeof line, "RCPT TO:<jack@ours.example> ORCPT=rfc822;%s\r\n", padding);
    world_start(&world, WITH("memory: 16MiB"));
    size_t before = resident_octets(world.pid);
    for (unsigned i = 0; i < CROWD; i++) {
        client_connect(&clients[i], &world, WORLD_MX, 1 + i % 4);
        client_greet(&clients[i]);
        client_say(&clients[i], "MAIL FROM:<a@theirs.example>", "250");
    }
    for (unsigned i = 0; i < CROWD; i++) {
        taken += send_recipients(&clients[i], line);
    }
    assert_in_range(taken, CROWD_RCPT, CROWD * CROWD_RCPT - 1);
    int64_t told = world_metric(&world, "edge_memory_octets");
    size_t grown = resident_octets(world.pid) - before;
    assert_in_range(told, 13 << 20, 16 << 20);
    if (RESIDENT_OCTETS_MEAN_SOMETHING) {
        assert_in_range(grown, 0, told + (4 << 20)); /* the metric tells the truth */
    }
    assert_true(world_metric(&world, "edge_refused_memory_total") > 0);
    client_say(&clients[CROWD - 1], "RSET", "250");
    client_say(&clients[CROWD - 1], "MAIL FROM:<a@theirs.example>", "452 4.3.1");
    for (unsigned i = 0; i < CROWD; i++) {
        client_close(&clients[i]);
    }
    world_wait(&world, -1, 50);
    client_connect(&clients[0], &world, WORLD_MX, 1);
    client_greet(&clients[0]);
    client_send_message(&clients[0], "250");
    client_close(&clients[0]);
    world_wait(&world, -1, 50);
    assert_int_equal(world_metric(&world, "edge_memory_octets"), 0); /* all of it was given back */
    world_end(&world);
}

/* Half a command line, and a long one of AUTH, are kept too. */
static void
lines_are_counted(void **state)
{
    struct world world;
    struct client client;
    char part[8001] = "";
    (void)state;
    memset(part, 'x', sizeof part - 1);
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    int64_t before = world_metric(&world, "edge_memory_octets");
    client_send(&client, part);
    for (int i = 0; i < 200 && world_metric(&world, "edge_memory_octets") - before < 8000; i++) {
        world_wait(&world, -1, 20);
    }
    assert_in_range(world_metric(&world, "edge_memory_octets") - before, 8000, 40000);
    client_send(&client, "\r\n");
    client_expect(&client, "500");
    client_say(&client, "NOOP", "250");
    assert_in_range(world_metric(&world, "edge_memory_octets") - before, 0, 2000);
    client_close(&client);
    world_end(&world);
}

#define HALF_LINES 100u

/* Nothing is left: who still grows has to go, and a message that has begun may stay. */
static void
who_grows_when_nothing_is_left_has_to_go(void **state)
{
    struct world world;
    struct client big;
    struct client clients[HALF_LINES];
    char line[1002];
    char part[12001] = "";
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line + 998, "\r\n", 3);
    memset(part, 'x', sizeof part - 1);
    world_start(&world, WITH("memory: 16MiB, connections_per_address: 1000, connection_rate: 0"));
    client_connect(&big, &world, WORLD_MX, 1);
    client_greet(&big);
    client_begin_message(&big);
    client_say(&big, "DATA", "354");
    client_send(&big, TEST_HEADER);
    for (unsigned i = 0; i < HALF_LINES; i++) {
        client_connect(&clients[i], &world, WORLD_MX, 2);
        client_greet(&clients[i]);
    }
    for (unsigned i = 0; i < 15900; i++) {
        client_send(&big, line);
    }
    while (world_metric(&world, "edge_memory_octets") < 15900 * 1000) { /* all of it is there */
        world_wait(&world, -1, 10);
    }
    client_send(&clients[0], part);
    world_wait(&world, -1, 100);
    assert_int_equal(world_metric(&world, "edge_refused_memory_total"), 0);
    for (unsigned i = 1; i + 1 < HALF_LINES; i++) {
        client_send(&clients[i], part);
    }
    while (world_metric(&world, "edge_refused_memory_total") == 0) {
        world_wait(&world, -1, 10);
    }
    client_send(&clients[HALF_LINES - 1], part);
    client_expect(&clients[HALF_LINES - 1], "421 4.3.1");
    client_send(&clients[0], "\r\n"); /* was there before */
    client_expect(&clients[0], "500");
    client_say(&big, ".", "250");
    for (unsigned i = 0; i < HALF_LINES; i++) {
        client_close(&clients[i]);
    }
    client_close(&big);
    world_end(&world);
}

/* ---- reload and stop */

static void
reload_leaves_sessions_alone(void **state)
{
    struct world world;
    struct client old;
    struct client new;
    (void)state;
    world_start(&world, NO_DELAY "smtp: {banner: ESMTP first}\n");
    client_connect(&old, &world, WORLD_MX, 1);
    client_expect(&old, "220 mx.ours.example ESMTP first");
    world_reload(&world, NO_DELAY "smtp: {banner: ESMTP second}\n");
    client_connect(&new, &world, WORLD_MX, 1);
    client_expect(&new, "220 mx.ours.example ESMTP second");
    client_say(&old, "EHLO c.example", "250-");
    client_say(&old, "STARTTLS", "220"); /* with the context it began with */
    client_starttls(&old);
    client_say(&old, "EHLO c.example", "250-");
    client_send_message(&old, "250");
    client_close(&old);
    client_close(&new);
    world_end(&world);
}

static void
stopping_lets_messages_finish(void **state)
{
    struct world world;
    struct client idle;
    struct client busy;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&idle, &world, WORLD_MX, 1);
    client_connect(&busy, &world, WORLD_MX, 2);
    client_greet(&idle);
    client_greet(&busy);
    client_begin_message(&busy);
    client_say(&busy, "DATA", "354");
    world_stop(&world, 60000);
    client_expect(&idle, "421 4.3.2");
    client_expect_end(&idle);
    client_send(&busy, TEST_HEADER ".\r\n");
    client_expect(&busy, "250 2.0.0");
    client_expect(&busy, "421 4.3.2");
    client_expect_end(&busy);
    client_close(&idle);
    client_close(&busy);
    assert_int_equal(world_wait_exit(&world), 0);
    assert_event(&world.session_events, TRACE_CONNECTION_CLOSED, "reason", "shutdown");
    world_end(&world);
}

static void
stopping_ends_what_does_not_finish(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    world_stop(&world, 1000);
    client_expect(&client, "421 4.3.2");
    client_close(&client);
    assert_int_equal(world_wait_exit(&world), 0);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_talkers_are_refused),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(zones_may_relay),
        cmocka_unit_test(proxies_tell_who_the_client_is),
        cmocka_unit_test(a_proxy_itself_is_in_no_zone),
        cmocka_unit_test(broken_tls_takes_no_mail),
        cmocka_unit_test(silence_ends_a_session),
        cmocka_unit_test(slow_content_ends_a_session),
        cmocka_unit_test(slow_refused_content_is_answered),
        cmocka_unit_test(slow_refused_content_ends_a_session),
        cmocka_unit_test(what_a_client_can_do_is_configured),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(envelopes_are_counted),
        cmocka_unit_test(lines_are_counted),
        cmocka_unit_test(who_grows_when_nothing_is_left_has_to_go),
        cmocka_unit_test(reload_leaves_sessions_alone),
        cmocka_unit_test(stopping_lets_messages_finish),
        cmocka_unit_test(stopping_ends_what_does_not_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
