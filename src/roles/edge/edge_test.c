#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/encode.h"
#include "roles/edge/test_world.h"

#define NO_DELAY  "limits: {pregreet_delay: 0ms}\n"
#define WITH(...) "limits: {pregreet_delay: 0ms, " __VA_ARGS__ "}\n"

#define HEADER "From: a@theirs.example\r\nSubject: x\r\n\r\n"

static void
greet(struct client *client)
{
    client_expect(client, "220 mx.ours.example");
    client_say(client, "EHLO client.example", "250-mx.ours.example");
}

static void
begin_message(struct client *client)
{
    client_say(client, "MAIL FROM:<a@theirs.example>", "250 2.1.0");
    client_say(client, "RCPT TO:<bob@ours.example>", "250 2.1.5");
}

static void
send_message(struct client *client, const char *prefix)
{
    begin_message(client);
    client_say(client, "DATA", "354");
    client_say(client, HEADER "Hello\r\n.", prefix);
}

/* Whether an encoded trace has an event; its field in *text_out if asked for. */
static bool
trace_has(const struct buf *events, uint16_t number, const char *field, char *out, size_t size)
{
    struct trace_reader reader;
    struct trace_event event;
    if (trace_reader_init(&reader, buf_str(events)) != STATUS_OK) {
        return false;
    }
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        if (event.number == number) {
            struct str text = field != NULL ? trace_event_text(&event, field) : STR("");
            snprintf(out, size, "%.*s", STR_ARG(text));
            return true;
        }
    }
    return false;
}

static void
assert_event(const struct buf *events, uint16_t number, const char *field, const char *want)
{
    char got[256] = "";
    if (!trace_has(events, number, field, got, sizeof got)) {
        fail_msg("event %u is missing", number);
    }
    if (want != NULL) {
        assert_string_equal(got, want);
    }
}

/* ---- a message */

static void
a_message_goes_to_the_filter(void **state)
{
    struct world world;
    struct client client;
    (void)state;
    world_start(&world, NO_DELAY);
    client_connect(&client, &world, WORLD_MX, 1);
    greet(&client);
    client_say(&client, "MAIL FROM:<a@theirs.example> SIZE=100 RET=HDRS ENVID=e1", "250 2.1.0");
    client_say(&client, "RCPT TO:<sales@ours.example> NOTIFY=FAILURE", "250 2.1.5");
    client_say(&client, "RCPT TO:<jack@OURS.example>", "250 2.1.5");
    client_say(&client, "RCPT TO:<nobody@ours.example>", "550 5.1.1");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "550 5.7.1");
    client_say(&client, "DATA", "354");
    client_say(&client, HEADER "Hello\r\n..\r\n.", "250 2.0.0 Accepted ");
    assert_non_null(strstr(client.reply, world.submitted.id));
    assert_string_equal(world.submitted.sender, "a@theirs.example");
    assert_string_equal(world.submitted.client, "127.0.0.1");
    assert_string_equal(world.submitted.helo, "client.example");
    assert_string_equal(world.submitted.user, "");
    assert_int_equal(world.submitted.recipient_count, 3);
    assert_string_equal(world.submitted.recipients[0], "bob@ours.example");
    assert_string_equal(world.submitted.recipients[1], "tom@theirs.example");
    assert_string_equal(world.submitted.recipients[2], "jack@ours.example");
    assert_string_equal(world.submitted.content, HEADER "Hello\r\n.\r\n");
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
    assert_event(&world.session_events, TRACE_CONNECTION_OPENED, "listener", "mx");
    assert_event(&world.session_events, TRACE_HELO, "name", "client.example");
    assert_event(&world.session_events, TRACE_CONNECTION_CLOSED, "reason", "quit");
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
    client_expect(&client, "220");
    client_send(&client, "EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@ours.example>\r\n"
                         "RCPT TO:<bob@ours.example>\r\nRCPT TO:<later@asked.example>\r\n"
                         "RCPT TO:<bob@asked.example>\r\nDATA\r\n");
    client_expect(&client, "250-");
    client_expect(&client, "250 2.1.0");
    client_expect(&client, "550 5.1.1");
    client_expect(&client, "250 2.1.5");
    client_expect(&client, "451 4.4.3");
    client_expect(&client, "250 2.1.5");
    client_expect(&client, "354");
    client_send(&client, HEADER ".\r\nMAIL FROM:<x@y.example>\r\nRSET\r\nNOOP\r\nQUIT\r\n");
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
    greet(&client);
    begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, HEADER);
    client_send_octets(&client, str_make(text, whole));
    client_say(&client, ".", "250");
    assert_true(world.submitted.by_memfd);
    assert_int_equal(world.submitted.content_size, whole + strlen(HEADER));
    assert_memory_equal(world.submitted.content + strlen(HEADER), text, whole);
    assert_true(world_metric(&world, "edge_memory_octets") < 65536); /* it was let go */
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
    greet(&client);
    begin_message(&client);
    client_send(&client, "BDAT 38\r\n" HEADER);
    client_expect(&client, "250 2.0.0 Chunk");
    client_send(&client, "BDAT 7 LAST\r\nHello\r\n");
    client_expect(&client, "250 2.0.0 Accepted");
    assert_string_equal(world.submitted.content, HEADER "Hello\r\n");
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
    greet(&client);
    world.filter_code = 550;
    send_message(&client, "550 5.7.1 Refused");
    world.filter_code = 250;
    send_message(&client, "250 2.0.0");
    assert_int_equal(world_metric(&world, "edge_messages_accepted"), 1);
    assert_int_equal(world_metric(&world, "edge_messages_refused"), 1);
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
    greet(&client);
    world_filter_down(&world);
    send_message(&client, "451 4.3.0");
    world_filter_up(&world);
    send_message(&client, "250 2.0.0");
    world.filter_is_silent = true;
    begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    world_filter_down(&world); /* dies with the message in its hands */
    client_expect(&client, "451 4.3.0");
    client_say(&client, "QUIT", "221");
    client_close(&client);
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
    greet(&client);
    begin_message(&client);
    client_say(&client, "DATA", "354");
    client_send(&client, HEADER ".\r\n");
    while (world.unanswered == 0) {
        world_wait(&world, -1, 10);
    }
    client_close(&client);
    world_wait(&world, -1, 50);
    world_filter_answer(&world, 250);
    world.filter_is_silent = false;
    client_connect(&client, &world, WORLD_MX, 1);
    greet(&client);
    send_message(&client, "250");
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_messages_accepted"), 2);
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
    greet(&client);
    /* The classic injection: a command in the same segment as STARTTLS. */
    client_send(&client, "STARTTLS\r\nMAIL FROM:<evil@theirs.example>\r\n");
    client_expect(&client, "220 2.0.0");
    client_starttls(&client);
    client_say(&client, "RCPT TO:<bob@ours.example>", "503");
    client_say(&client, "EHLO again.example", "250-");
    assert_null(strstr(client.reply, "STARTTLS"));
    send_message(&client, "250");
    assert_string_equal(world.submitted.helo, "again.example");
    assert_true(strncmp(world.submitted.tls, "TLSv1.3 ", 8) == 0);
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_ANOMALY, "what", "after_starttls");
    assert_event(&world.session_events, TRACE_TLS_STARTED, "version", "TLSv1.3");
    world_end(&world);
}

static void
say_auth_plain(struct client *client, const char *user, const char *password, const char *prefix)
{
    struct arena *arena = arena_create(4096);
    struct str secret = arena_printf(arena, "%c%s%c%s", 0, user, 0, password);
    struct str line = arena_printf(arena, "AUTH PLAIN %.*s", STR_ARG(base64_encode(arena, secret)));
    client_say(client, line.p, prefix);
    arena_destroy(&arena);
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
    greet(&client);
    assert_non_null(strstr(client.reply, "SCRAM-SHA-256-PLUS"));
    client_say(&client, "MAIL FROM:<bob@ours.example>", "530 5.7.0");
    say_auth_plain(&client, "bob@ours.example", "wrong", "535 5.7.8");
    say_auth_plain(&client, "bob@ours.example", WORLD_PASSWORD, "235 2.7.0");
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "250"); /* may relay now */
    client_say(&client, "DATA", "354");
    client_say(&client, HEADER ".", "250");
    assert_string_equal(world.submitted.user, "bob@ours.example");
    assert_string_equal(world.submitted.recipients[0], "tom@elsewhere.example");
    client_say(&client, "QUIT", "221");
    client_expect_end(&client);
    client_close(&client);
    world_wait(&world, -1, 300);
    assert_event(&world.session_events, TRACE_AUTH_FAILED, "user", "bob@ours.example");
    assert_event(&world.session_events, TRACE_AUTH_SUCCEEDED, "mechanism", "PLAIN");
    assert_null(strstr(world.session_events.data, "wrong"));
    assert_int_equal(world_metric(&world, "edge_auth_succeeded"), 1);
    assert_int_equal(world_metric(&world, "edge_auth_failed"), 1);
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
    greet(&client);
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
    assert_int_equal(world_metric(&world, "edge_tls_failures"), 1);
    world_end(&world);
}

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
    greet(&client); /* who waits is served */
    client_close(&client);
    assert_int_equal(world_metric(&world, "edge_refused_early_talk"), 1);
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
    greet(&client);
    send_message(&client, "250");
    send_message(&client, "250");
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
    greet(&client);
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "250");
    client_say(&client, "DATA", "354");
    client_say(&client, HEADER ".", "250");
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
    greet(&client);
    send_message(&client, "250");
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
    assert_int_equal(world_metric(&world, "edge_refused_proxy"), 1);
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
    greet(&client);
    client_say(&client, "MAIL FROM:<bob@ours.example>", "250");
    client_say(&client, "RCPT TO:<tom@elsewhere.example>", "550 5.7.1");
    client_close(&client);
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
    greet(&client);
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
    greet(&client);
    begin_message(&client);
    client_say(&client, "DATA", "354");
    for (int i = 0; i < 30 && !world_wait(&world, client.fd, 50); i++) {
        client_send(&client, "slow\r\n");
    }
    client_expect(&client, "421 4.4.2");
    client_close(&client);
    assert_int_equal(world.submitted.count, 0);
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
    greet(&client);
    client_say(&client, "MAIL FROM:<a@theirs.example> SIZE=20000000", "452 4.3.1");
    begin_message(&client); /* says nothing of its size */
    client_say(&client, "DATA", "354");
    client_send(&client, HEADER);
    for (int i = 0; i < 16000; i++) {
        client_send(&client, line);
    }
    client_send(&client, line);
    for (int i = 0; i < 2000 && !world_wait(&world, client.fd, 0); i++) {
        client_send(&client, line);
    }
    client_expect(&client, "421 4.3.1");
    client_close(&client);
    world_wait(&world, -1, 50);
    client_connect(&client, &world, WORLD_MX, 1);
    greet(&client);
    send_message(&client, "250");
    client_close(&client);
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
    send_message(&old, "250");
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
    greet(&idle);
    greet(&busy);
    begin_message(&busy);
    client_say(&busy, "DATA", "354");
    world_stop(&world, 60000);
    client_expect(&idle, "421 4.3.2");
    client_expect_end(&idle);
    client_send(&busy, HEADER ".\r\n");
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
    greet(&client);
    begin_message(&client);
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
        cmocka_unit_test(a_message_goes_to_the_filter),
        cmocka_unit_test(pipelined_commands_are_answered_in_order),
        cmocka_unit_test(a_large_message_goes_as_memfd),
        cmocka_unit_test(chunks_make_a_message),
        cmocka_unit_test(the_filters_refusal_is_told),
        cmocka_unit_test(a_filter_that_is_down_delays_mail),
        cmocka_unit_test(a_client_may_leave_while_the_filter_thinks),
        cmocka_unit_test(what_came_in_the_clear_does_not_outlive_starttls),
        cmocka_unit_test(users_log_in_over_tls),
        cmocka_unit_test(submission_wants_tls_first),
        cmocka_unit_test(a_failed_handshake_is_told),
        cmocka_unit_test(early_talkers_are_refused),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(messages_are_limited),
        cmocka_unit_test(zones_may_relay),
        cmocka_unit_test(proxies_tell_who_the_client_is),
        cmocka_unit_test(a_proxy_itself_is_in_no_zone),
        cmocka_unit_test(silence_ends_a_session),
        cmocka_unit_test(slow_content_ends_a_session),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(reload_leaves_sessions_alone),
        cmocka_unit_test(stopping_lets_messages_finish),
        cmocka_unit_test(stopping_ends_what_does_not_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
