/* Mail through a real edge process: messages, roles that are down, TLS and log-in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/encode.h"
#include "roles/edge/test_client.h"

#define NO_DELAY "limits: {pregreet_delay: 0ms}\n"

/* ---- a message */

static void
a_message_goes_to_the_filter(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "MAIL FROM:<a@theirs.example> SIZE=100 RET=HDRS ENVID=e1", "250 2.1.0");
    client_say(&client, "RCPT TO:<sales@ours.example> NOTIFY=FAILURE", "250 2.1.5");
    client_say(&client, "RCPT TO:<jack@OURS.example>", "250 2.1.5");
    client_say(&client, "RCPT TO:<nobody@ours.example>", "550 5.1.1");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "550 5.7.1");
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER "Hello\r\n..\r\n.", "250 2.0.0 Accepted ");
    assert_non_null(strstr(client.reply, world.submitted.id));
    assert_string_equal(world.submitted.sender, "a@theirs.example");
    assert_string_equal(world.submitted.client, "127.0.0.1");
    assert_string_equal(world.submitted.helo, "client.example");
    assert_string_equal(world.submitted.user, "");
    assert_int_equal(world.submitted.recipient_count, 3);
    assert_string_equal(world.submitted.recipients[0], "bob@ours.example");
    assert_string_equal(world.submitted.recipients[1], "tom@theirs.example");
    assert_string_equal(world.submitted.recipients[2], "jack@ours.example");
    assert_string_equal(world.submitted.content, TEST_HEADER "Hello\r\n.\r\n");
    assert_false(world.submitted.by_memfd);
    assert_event(&world.submitted.events, TRACE_MAIL_ACCEPTED, "sender", "a@theirs.example");
    assert_event(&world.submitted.events, TRACE_RECIPIENT_ACCEPTED, "why", "alias");
    assert_event(&world.submitted.events, TRACE_RECIPIENT_REFUSED, "address",
                 "nobody@ours.example");
    assert_event(&world.submitted.events, TRACE_CONTENT_RECEIVED, NULL, NULL);
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.message_events, TRACE_MESSAGE_ANSWERED, "enhanced", "2.0.0");
    assert_event(&world.session_begin, TRACE_CONNECTION_OPENED, "listener", "mx");
    assert_event(&world.session_begin, TRACE_HELO, "name", "client.example");
    assert_event(&world.session_events, TRACE_CONNECTION_CLOSED, "reason", "quit");
    world_end(&world);
}

/* RFC 5321 3.6.2: what SRS has made leads out, and nothing that only looks like it. */
static void
a_notice_to_a_rewritten_sender_finds_its_way(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_say(&client, "MAIL FROM:<>", "250 2.1.0");
    client_say(&client, "RCPT TO:<SRS0=good=x@ours.example>", "250 2.1.5");
    client_say(&client, "RCPT TO:<SRS0=good=x@asked.example>", "250 2.1.5");
    client_say(&client, "RCPT TO:<SRS0=bad=x@ours.example>", "550 5.7.1 This forwarding sender");
    client_say(&client, "RCPT TO:<SRS0=old=x@ours.example>", "550 5.1.1 This forwarding sender");
    client_say(&client, "RCPT TO:<SRS0=none=x@ours.example>", "550 5.1.1 No such");
    client_say(&client, "RCPT TO:<SRS0=odd=x@ours.example>", "451 4.4.3");
    assert_int_equal(world.reversals, 6);
    assert_int_equal(world.callouts, 0);
    client_say(&client, "RCPT TO:<SRS0=good=x@theirs.example>", "550 5.7.1 This server");
    assert_int_equal(world.reversals, 6);
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER "Hello\r\n.", "250 2.0.0 Accepted ");
    assert_int_equal(world.submitted.recipient_count, 1);
    assert_string_equal(world.submitted.recipients[0], "tom@theirs.example");
    assert_event(&world.submitted.events, TRACE_RECIPIENT_ACCEPTED, "why", "srs");
    assert_event(&world.submitted.events, TRACE_RECIPIENT_REFUSED, "why", "srs_forged");
    world_vault_down(&world);
    client_say(&client, "MAIL FROM:<>", "250 2.1.0");
    client_say(&client, "RCPT TO:<SRS0=good=x@ours.example>", "451 4.4.3");
    client_close(&client);
    world_end(&world);
}

/* RFC 6531 3.5: an address that the next hop cannot be told is refused while its sender listens. */
static void
an_address_in_utf8_needs_a_route_that_takes_it(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    world.utf8_code = 553;
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    /* Nothing is asked about an envelope in ASCII, whatever was declared. */
    client_say(&client, "MAIL FROM:<x@y.example> SMTPUTF8", "250 2.1.0");
    client_say(&client, "RCPT TO:<bob@ours.example>", "250 2.1.5");
    assert_int_equal(world.utf8_callouts, 0);
    client_say(&client, "RCPT TO:<f\xc3\xbcr@ours.example>", "553 5.6.7 The next server");
    assert_int_equal(world.utf8_callouts, 1);
    client_say(&client, "RCPT TO:<f\xc3\xbcr@asked.example>", "553 5.6.7 The next server");
    client_say(&client, "RSET", "250");
    client_say(&client, "MAIL FROM:<\xc3\xbc@y.example> SMTPUTF8", "250 2.1.0");
    client_say(&client, "RCPT TO:<bob@ours.example>", "553 5.6.7 The next server");
    client_say(&client, "RCPT TO:<nobody@ours.example>", "550 5.1.1");
    world.utf8_code = 250;
    client_say(&client, "RCPT TO:<bob@ours.example>", "250 2.1.5");
    world.utf8_code = 0; /* nobody could be asked: it waits, and its sender hears of it later */
    unsigned before = world.utf8_callouts;
    client_say(&client, "RCPT TO:<sales@ours.example>", "250 2.1.5");
    assert_int_equal(world.utf8_callouts - before, 2); /* one a domain */
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER "Hello\r\n.", "250 2.0.0 Accepted ");
    assert_event(&world.submitted.events, TRACE_RECIPIENT_REFUSED, "why", "smtputf8");
    client_close(&client);
    world_end(&world);
}

static void
pipelined_commands_are_answered_in_order(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send(&client, "MAIL FROM:<>\r\nRCPT TO:<nobody@ours.example>\r\n"
                         "RCPT TO:<bob@ours.example>\r\nRCPT TO:<later@asked.example>\r\n"
                         "RCPT TO:<bob@asked.example>\r\nDATA\r\n");
    client_expect(&client, "250 2.1.0");
    client_expect(&client, "550 5.1.1");
    client_expect(&client, "250 2.1.5");
    client_expect(&client, "451 4.4.3");
    client_expect(&client, "250 2.1.5");
    client_expect(&client, "354");
    client_send(&client, TEST_HEADER ".\r\nMAIL FROM:<x@y.example>\r\nRSET\r\nNOOP\r\nQUIT\r\n");
    client_expect(&client, "250 2.0.0 Accepted");
    client_expect(&client, "250 2.1.0");
    client_expect(&client, "250 2.0.0");
    client_expect(&client, "250 2.0.0");
    client_expect(&client, "221");
    client_expect_end(&client);
    client_close(&client);
    assert_int_equal(world.callouts, 2);
    assert_int_equal(world.submitted.recipient_count, 2);
    assert_string_equal(world.submitted.sender, "");
    world_wait(&world, -1, 300);
    assert_event(&world.message_events, TRACE_TRANSACTION_ABANDONED, "reason", "rset");
    world_end(&world);
}

static void
a_large_message_goes_as_memfd(void **state)
{
    size_t const size = 3 * 1024 * 1024;
    struct world world;
    struct client client;
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        size_t column = i % 72;
        text[i] = column == 70 ? '\r' : column == 71 ? '\n' : (char)('a' + i / 72 % 26);
    }
    size_t const whole = size - size % 72;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER);
    client_send_octets(&client, str_make(text, whole));
    client_say(&client, ".", "250");
    assert_true(world.submitted.by_memfd);
    assert_int_equal(world.submitted.content_size, whole + strlen(TEST_HEADER));
    assert_memory_equal(world.submitted.content + strlen(TEST_HEADER), text, whole);
    assert_true(world_metric(&world, "edge_memory_octets_total") < 65536); /* it was let go */
    client_close(&client);
    world_end(&world);
    free(text);
}

static void
chunks_make_a_message(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_send(&client, "BDAT 38\r\n" TEST_HEADER);
    client_expect(&client, "250 2.0.0 Chunk");
    client_send(&client, "BDAT 7 LAST\r\nHello\r\n");
    client_expect(&client, "250 2.0.0 Accepted");
    assert_string_equal(world.submitted.content, TEST_HEADER "Hello\r\n");
    assert_event(&world.submitted.events, TRACE_CONTENT_STARTED, "verb", "BDAT");
    client_close(&client);
    world_end(&world);
}

static void
the_filters_refusal_is_told(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    world.filter_code = 550;
    client_send_message(&client, "550 5.7.1 Refused");
    world.filter_code = 250;
    client_send_message(&client, "250 2.0.0");
    assert_int_equal(world_metric(&world, "edge_messages_accepted_total"), 1);
    assert_int_equal(world_metric(&world, "edge_messages_refused_total"), 1);
    client_close(&client);
    world_end(&world);
}

/* ---- roles that are down */

static void
a_filter_that_is_down_delays_mail(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    world_filter_down(&world);
    client_send_message(&client, "451 4.3.0");
    world_filter_up(&world);
    client_send_message(&client, "250 2.0.0");
    world.filter_is_silent = true;
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    world_filter_down(&world); /* dies with the message in its hands */
    client_expect(&client, "451 4.3.0");
    client_say(&client, "QUIT", "221");
    client_close(&client);
    world_end(&world);
}

/* ---- clients that do not wait */

static void
expect_out_of_turn(struct world *world, struct client *client)
{
    client_expect(client, "554 5.5.0 You did not wait");
    client_expect_end(client);
    client_close(client);
    world_wait(world, -1, 300);
    assert_event(&world->session_events, TRACE_CONNECTION_CLOSED, "reason", "out_of_turn");
}

static void
who_does_not_wait_is_not_obeyed(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_send(&client, "DATA\r\n" TEST_HEADER "\r\n.\r\n");
    expect_out_of_turn(&world, &client);
    assert_event(&world.message_events, TRACE_ANOMALY, "what", "out_of_turn");
    assert_event(&world.message_events, TRACE_COMMAND_REFUSED, "enhanced", "5.5.0");
    assert_event(&world.message_events, TRACE_TRANSACTION_ABANDONED, "reason", "out_of_turn");
    client_connect(&client, &world, WORLD_MX, 1);
    client_expect(&client, "220");
    client_send(&client, "EHLO c.example\r\nMAIL FROM:<a@theirs.example>\r\n");
    expect_out_of_turn(&world, &client);
    assert_event(&world.session_events, TRACE_ANOMALY, "what", "out_of_turn");
    client_connect(&client, &world, WORLD_MX, 1);
    client_expect(&client, "220");
    client_send(&client, "POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n");
    client_expect(&client, "554 5.5.0 This is a mail server");
    client_expect_end(&client);
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_refused_breach_total"), 3);
    assert_int_equal(world.submitted.count, 0);
    world_end(&world);
}

/* What has not been read when DATA is handled counts too, in the clear and inside TLS. */
static void
content_that_comes_while_a_recipient_is_looked_up(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    for (int tls = 0; tls < 2; tls++) {
        client_connect(&client, &world, WORLD_MX, 1);
        client_greet(&client);
        if (tls == 1) {
            client_say(&client, "STARTTLS", "220");
            client_starttls(&client);
            client_say(&client, "EHLO c.example", "250-");
        }
        /* The test answers for the ledger, and does not while it sends. */
        client_send(&client, "MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
        usleep(50000);
        client_send(&client, "RSET\r\nMAIL FROM:<evil@theirs.example>\r\n");
        client_expect(&client, "250 2.1.0");
        client_expect(&client, "250 2.1.5");
        expect_out_of_turn(&world, &client);
    }
    world_end(&world);
}

static void
a_client_may_leave_while_the_filter_thinks(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    world.filter_is_silent = true;
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, TEST_HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    client_close(&client);
    world_wait(&world, -1, 50);
    world_filter_answer(&world, 250);
    world.filter_is_silent = false;
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    client_send_message(&client, "250");
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_messages_accepted_total"), 2);
    world_end(&world);
}

/* ---- TLS and log-in */

static void
what_came_in_the_clear_does_not_outlive_starttls(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    client_greet(&client);
    /* The classic injection: a command in the same segment as STARTTLS. */
    client_send(&client, "STARTTLS\r\nMAIL FROM:<evil@theirs.example>\r\n");
    client_expect(&client, "220 2.0.0");
    client_starttls(&client);
    client_say(&client, "RCPT TO:<bob@ours.example>", "503");
    client_say(&client, "EHLO again.example", "250-");
    assert_null(strstr(client.reply, "STARTTLS"));
    client_send_message(&client, "250");
    assert_string_equal(world.submitted.helo, "again.example");
    assert_true(strncmp(world.submitted.tls, "TLSv1.3 ", 8) == 0);
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_begin, TRACE_ANOMALY, "what", "after_starttls");
    assert_event(&world.session_begin, TRACE_TLS_STARTED, "version", "TLSv1.3");
    world_end(&world);
}

static void
say_auth_plain(struct client *client, const char *user, const char *password, const char *prefix)
{
    struct arena *arena = arena_create(16384);
    struct str secret = arena_printf(arena, "%c%s%c%s", 0, user, 0, password);
    struct str line = arena_printf(arena, "AUTH PLAIN %.*s", STR_ARG(base64_encode(arena, secret)));
    client_say(client, line.p, prefix);
    arena_destroy(&arena);
}

/* Nobody has such a name or password: that is wrong, not a matter of time. */
static void
endless_names_and_passwords_are_wrong(void **state)
{
    struct world world;
    struct client client;
    char name[1200];
    (void)state;
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_starttls(&client);
    client_greet(&client);
    say_auth_plain(&client, name + 800, WORLD_PASSWORD, "5");
    say_auth_plain(&client, "bob@ours.example", name, "5");
    client_close(&client);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_starttls(&client);
    client_greet(&client);
    struct arena *arena = arena_create(8192);
    struct str first = arena_printf(arena, "n,,n=%s,r=abc", name + 800);
    struct str line =
        arena_printf(arena, "AUTH SCRAM-SHA-256 %.*s", STR_ARG(base64_encode(arena, first)));
    client_say(&client, line.p, "5");
    arena_destroy(&arena);
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_peer_failures_total"), 0);
    world_end(&world);
}

static void
users_log_in_over_tls(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_starttls(&client);
    client_greet(&client);
    assert_non_null(strstr(client.reply, "SCRAM-SHA-256-PLUS"));
    client_say(&client, "MAIL FROM:<bob@ours.example>", "530 5.7.0");
    say_auth_plain(&client, "bob@ours.example", "wrong", "535 5.7.8");
    say_auth_plain(&client, "bob@ours.example", WORLD_PASSWORD, "235 2.7.0");
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "250"); /* may relay now */
    client_say(&client, "DATA", "354");
    client_say(&client, TEST_HEADER ".", "250");
    assert_string_equal(world.submitted.user, "bob@ours.example");
    assert_string_equal(world.submitted.recipients[0], "tom@elsewhere.example");
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_begin, TRACE_AUTH_FAILED, "user", "bob@ours.example");
    assert_event(&world.session_begin, TRACE_AUTH_SUCCEEDED, "mechanism", "PLAIN");
    assert_null(strstr(world.session_begin.data, "wrong"));
    assert_null(strstr(world.session_events.data, "wrong"));
    assert_int_equal(world_metric(&world, "edge_auth_succeeded_total"), 1);
    assert_int_equal(world_metric(&world, "edge_auth_failed_total"), 1);
    world_end(&world);
}

static void
submission_wants_tls_first(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_SUBMISSION, 1);
    client_greet(&client);
    assert_null(strstr(client.reply, "AUTH"));
    say_auth_plain(&client, "bob@ours.example", WORLD_PASSWORD, "530 5.7.0");
    client_say(&client, "STARTTLS", "220");
    client_starttls(&client);
    client_say(&client, "EHLO c.example", "250-");
    assert_non_null(strstr(client.reply, "AUTH"));
    say_auth_plain(&client, "bob@ours.example", WORLD_PASSWORD, "235");
    client_close(&client);
    world_end(&world);
}

static void
a_failed_handshake_is_told(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_SMTPS, 1);
    client_send(&client, "EHLO client.example\r\nQUIT\r\n\r\n");
    while (recv(client.fd, client.input, sizeof client.input, 0) != 0 &&
           world_wait(&world, client.fd, 1000)) {
    }
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_TLS_FAILED, NULL, NULL);
    assert_int_equal(world_metric(&world, "edge_tls_failures_total"), 1);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_to_the_filter),
        cmocka_unit_test(a_notice_to_a_rewritten_sender_finds_its_way),
        cmocka_unit_test(an_address_in_utf8_needs_a_route_that_takes_it),
        cmocka_unit_test(pipelined_commands_are_answered_in_order),
        cmocka_unit_test(a_large_message_goes_as_memfd),
        cmocka_unit_test(chunks_make_a_message),
        cmocka_unit_test(the_filters_refusal_is_told),
        cmocka_unit_test(a_filter_that_is_down_delays_mail),
        cmocka_unit_test(who_does_not_wait_is_not_obeyed),
        cmocka_unit_test(content_that_comes_while_a_recipient_is_looked_up),
        cmocka_unit_test(a_client_may_leave_while_the_filter_thinks),
        cmocka_unit_test(what_came_in_the_clear_does_not_outlive_starttls),
        cmocka_unit_test(endless_names_and_passwords_are_wrong),
        cmocka_unit_test(users_log_in_over_tls),
        cmocka_unit_test(submission_wants_tls_first),
        cmocka_unit_test(a_failed_handshake_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
