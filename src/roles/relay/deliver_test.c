#include "roles/relay/deliver.h"

#include "roles/relay/test_world.h"
#include "smtp/envelope.h"

static void
deliver_8bit(struct world *w, struct str head)
{
    w->head = head;
    w->body = STR("Gr\xc3\xbc"
                  "n\r\n");
    DELIVER("a@one.example");
}

static void
test_lmtp(void **state)
{
    struct world *w = *state;
    w->manners[0].lmtp = true;
    w->manners[0].verdict = OK "452 4.2.2 full\r\n";
    DELIVER("a@ours.example", "bad@ours.example", "b@ours.example");
    EXPECT("delivered 250 2.0.0", "failed 550 5.1.1", "deferred 452 4.2.2");
    assert_true(w->delivery.connected);
    assert_true(str_contains_char(w->delivery.results[0].remote, ':'));
}

static void
test_unix_socket(void **state)
{
    struct world *w = *state;
    DELIVER("a@unix.example");
    EXPECT("delivered 250 2.0.0");
    assert_true(str_eq(w->delivery.results[0].remote, str_from_cstr(w->unix_path)));
}

static void
test_time_is_over(void **state)
{
    struct world *w = *state;
    w->manners[1].rcpt = "<HANG>";
    w->time_ms = 600; /* less than the time-out of a command */
    DELIVER("a@one.example", "b@two.example", "c@twice.example");
    EXPECT("relayed- 250 2.0.0", "deferred 0 4.4.7", "deferred 0 4.4.7");
    assert_int_equal(w->manners[0].verdicts, 1);
}

static void
test_content_arrives(void **state)
{
    struct world *w = *state;
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_eq(test_server_content(w->servers[0]), STR("Subject: s\r\n\r\ntext\r\n")));
    assert_true(str_eq(test_server_commands(w->servers[0]),
                       STR("EHLO gw.ours.example\nMAIL FROM:<a@sender.example>\n"
                           "RCPT TO:<a@one.example>\nDATA\n")) ||
                str_ends_with(test_server_commands(w->servers[0]), STR("DATA\nQUIT\n")));
}

static void
test_dsn_is_left_to_the_next_hop(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250 DSN\r\n";
    DELIVER("a@one.example");
    EXPECT("relayed 250 2.0.0");
}

static void
test_recipients_are_split(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n";
    DELIVER("1@one.example", "2@one.example", "3@one.example", "4@one.example", "5@one.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0",
           "relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 3);
    assert_int_equal(test_server_connections(w->servers[0]), 1);
}

static void
test_too_many_recipients_for_the_server(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt_most = 2;
    DELIVER("1@one.example", "2@one.example", "3@one.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 2);
}

static void
test_two_hops_in_one_lease(void **state)
{
    struct world *w = *state;
    w->manners[1].rcpt = "450 4.2.1 later\r\n";
    DELIVER("a@one.example", "a@two.example", "b@one.example");
    EXPECT("relayed- 250 2.0.0", "deferred 450 4.2.1", "relayed- 250 2.0.0");
}

static void
test_lost_after_the_dot(void **state)
{
    struct world *w = *state;
    w->manners[0].verdict = "<CLOSE>";
    DELIVER("a@twice.example");
    /* The next host is not asked: the message may have arrived. */
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(w->manners[0].verdicts, 1);
}

static void
test_lost_before_the_dot(void **state)
{
    struct world *w = *state;
    w->manners[0].data = "<CLOSE>";
    DELIVER("a@twice.example");
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

static void
test_no_answer(void **state)
{
    struct world *w = *state;
    w->manners[0].greeting = "<HANG>";
    DELIVER("a@one.example");
    EXPECT("deferred 0 4.4.2");
    assert_false(w->delivery.connected);
}

/* A host is named in one way, whether it answers or not, and once. */
static void
test_a_host_that_refuses_connections_is_named(void **state)
{
    struct world *w = *state;
    char remote[64];
    snprintf(remote, sizeof remote, "[127.0.0.3]:%u", test_server_port(w->servers[0]));
    struct str route =
        arena_printf(w->arena, "  - {domain: three.example, to: \"smtp://127.0.0.3:%u\"}\n",
                     test_server_port(w->servers[0]));
    char more[200];
    snprintf(more, sizeof more, "%.*s", STR_ARG(route));
    world_load_config(w, more);
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.4.1");
    assert_true(str_eq(w->delivery.results[0].remote, str_from_cstr(remote)));
    assert_true(str_eq(w->delivery.results[0].text, STR("Connection refused")));
}

static void
test_next_mx(void **state)
{
    struct world *w = *state;
    DELIVER("a@mx.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(atomic_load(&w->relay.counters.connections_failed), 1);
}

static void
test_greeting_is_a_refusal(void **state)
{
    struct world *w = *state;
    w->manners[0].greeting = "554 5.7.1 no mail from you\r\n";
    DELIVER("a@one.example");
    EXPECT("failed 554 5.7.1");
    /* A host that could not be reached may take it later: that outweighs the refusal. */
    DELIVER("a@mx.example");
    EXPECT("deferred 0 4.4.1");
    w->manners[0].greeting = "421 4.3.2 full\r\n";
    DELIVER("a@one.example");
    EXPECT("deferred 421 4.3.2");
}

static void
test_names_that_lead_nowhere(void **state)
{
    struct world *w = *state;
    DELIVER("a@null.example", "a@absent.example", "a@sick.example", "a@halfsick.example",
            "a@self.example", "a@nohost.example");
    EXPECT("failed 556 5.1.10", "failed 0 5.1.2", "deferred 0 4.4.3", "deferred 0 4.4.3",
           "deferred 0 4.4.6", "deferred 0 4.4.4");
    assert_false(w->delivery.connected);
}

static void
test_8bit_content(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = PIPE_EHLO;
    deliver_8bit(w, STR("MIME-Version: 1.0\r\n\r\n"));
    EXPECT("relayed- 250 2.0.0");
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = PLAIN_EHLO;
    deliver_8bit(w, STR("MIME-Version: 1.0\r\n\r\n"));
    EXPECT("relayed- 250 2.0.0");
    deliver_8bit(w, STR("Subject: \xfc\r\n\r\n"));
    EXPECT("failed 0 5.6.3");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_eq(test_server_content(w->servers[0]),
                       STR("MIME-Version: 1.0\r\n\r\nGr\xc3\xbc"
                           "n\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                           "Gr=C3=BCn\r\n")));
}

#define UTF8_EHLO "250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
#define U         "\xc3\xbc"

/* What servers[server] was sent, after the delivery of a message with SMTPUTF8. */
static struct str
utf8_content(struct world *w, unsigned server, const char *ehlo, const char *head, const char *to)
{
    for (unsigned i = 0; i < 3; i++) {
        w->manners[i].ehlo = ehlo;
    }
    w->flags = SMTP_MESSAGE_SMTPUTF8 | SMTP_MESSAGE_STRANGER;
    w->head = str_from_cstr(head);
    w->body = STR("text\r\n");
    DELIVER(to);
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[server]);
    return test_server_content(w->servers[server]);
}

static bool
has_parameter(struct world *w, unsigned server)
{
    return str_find(test_server_commands(w->servers[server]), STR(" SMTPUTF8\n")) != STR_NPOS;
}

/* RFC 6531 3.2, RFC 6857: a header in UTF-8 goes as ASCII where the server has no SMTPUTF8. */
static void
test_utf8_header_for_a_mailbox(void **state)
{
    struct world *w = *state;
    w->manners[0].lmtp = true;
    struct str got = utf8_content(
        w, 0, PIPE_EHLO, "Subject: Gr" U "n\r\nFrom: <" U "x@a.example>\r\n\r\n", "a@ours.example");
    EXPECT("delivered 250 2.0.0");
    assert_true(str_eq(got, STR("Subject: =?UTF-8?Q?Gr=C3=BCn?=\r\n"
                                "From: =?UTF-8?Q?=C3=BCx=40a=2Eexample?= :;\r\n\r\ntext\r\n")));
    assert_false(has_parameter(w, 0));
}

static void
test_utf8_header_for_another_server(void **state)
{
    struct world *w = *state;
    struct str got = utf8_content(w, 0, PLAIN_EHLO, "Subject: Gr" U "n\r\n\r\n", "a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(str_eq(got, STR("Subject: =?UTF-8?Q?Gr=C3=BCn?=\r\n\r\ntext\r\n")));
    assert_false(has_parameter(w, 0));
}

/* Elsewhere a message whose author cannot be answered is not made. */
static void
test_utf8_author_for_another_server(void **state)
{
    struct world *w = *state;
    struct str got =
        utf8_content(w, 0, PIPE_EHLO, "From: <" U "x@a.example>\r\n\r\n", "a@one.example");
    EXPECT("failed 0 5.6.7");
    assert_int_equal(got.n, 0);
}

static void
test_utf8_header_where_it_is_offered(void **state)
{
    struct world *w = *state;
    struct str got = utf8_content(w, 0, UTF8_EHLO, "Subject: Gr" U "n\r\n\r\n", "a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(str_eq(got, STR("Subject: Gr" U "n\r\n\r\ntext\r\n")));
    assert_true(has_parameter(w, 0));
}

/* ASCII throughout: SMTPUTF8 was declared, and is not needed. */
static void
test_utf8_declared_for_nothing(void **state)
{
    struct world *w = *state;
    struct str got = utf8_content(w, 0, PIPE_EHLO, "Subject: s\r\n\r\n", "a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(str_eq(got, STR("Subject: s\r\n\r\ntext\r\n")));
    assert_false(has_parameter(w, 0));
}

static void
test_utf8_address(void **state)
{
    struct world *w = *state;
    utf8_content(w, 0, PIPE_EHLO, "Subject: s\r\n\r\n", U "x@one.example");
    EXPECT("failed 0 5.6.7");
}

static void
test_server_with_our_name(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250 GW.ours.example\r\n";
    DELIVER("a@alive.example");
    EXPECT("failed 0 5.4.6");
    DELIVER("a@one.example"); /* an inner server may have our name */
    EXPECT("relayed- 250 2.0.0");
}

static void
test_address_literal(void **state)
{
    struct world *w = *state;
    DELIVER("a@[127.0.0.1]");
    EXPECT("relayed- 250 2.0.0");
}

static void
test_tls(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    DELIVER("a@one.example", "a@tls.example", "a@clear.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_true(str_starts_with(w->delivery.results[0].tls, STR("TLSv1.3 ")));
    assert_true(str_starts_with(w->delivery.results[1].tls, STR("TLSv1.3 ")));
    assert_int_equal(w->delivery.results[2].tls.n, 0);
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_tls_that_fails(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].tls_fails = true;
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0"); /* in the clear, over a new connection */
    assert_int_equal(w->delivery.results[0].tls.n, 0);
    assert_int_equal(test_server_connections(w->servers[0]), 2);
    DELIVER("a@tls.example");
    EXPECT("deferred 0 4.7.5");
    assert_int_equal(test_server_connections(w->servers[0]), 3);
}

static void
test_tls_required_by_a_zone(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    world_load_config(w, "zones: [{name: here, networks: [127.0.0.0/8], minimum_tls: required}]\n");
    DELIVER("a@one.example");
    EXPECT("deferred 0 4.7.4");
    DELIVER("a@unix.example"); /* no network */
    EXPECT("delivered 250 2.0.0");
}

static void
test_trace_tells_the_attempts(void **state)
{
    struct world *w = *state;
    struct trace_reader reader;
    struct trace_event event;
    char names[1024] = "";
    DELIVER("a@mx.example", "bad@mx.example");
    assert_int_equal(trace_reader_init(&reader, trace_events(&w->trace)), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        strncat(names, event.row->name, sizeof names - strlen(names) - 1);
        strncat(names, " ", sizeof names - strlen(names) - 1);
    }
    assert_string_equal(names, "attempt_started attempt_failed attempt_started attempt_tls "
                               "delivered failed ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lmtp),
        TEST(test_unix_socket),
        TEST(test_time_is_over),
        TEST(test_content_arrives),
        TEST(test_dsn_is_left_to_the_next_hop),
        TEST(test_recipients_are_split),
        TEST(test_too_many_recipients_for_the_server),
        TEST(test_two_hops_in_one_lease),
        TEST(test_lost_after_the_dot),
        TEST(test_lost_before_the_dot),
        TEST(test_no_answer),
        TEST(test_a_host_that_refuses_connections_is_named),
        TEST(test_next_mx),
        TEST(test_greeting_is_a_refusal),
        TEST(test_names_that_lead_nowhere),
        TEST(test_8bit_content),
        TEST(test_utf8_header_for_a_mailbox),
        TEST(test_utf8_header_for_another_server),
        TEST(test_utf8_author_for_another_server),
        TEST(test_utf8_header_where_it_is_offered),
        TEST(test_utf8_declared_for_nothing),
        TEST(test_utf8_address),
        TEST(test_server_with_our_name),
        TEST(test_address_literal),
        TEST(test_tls),
        TEST(test_tls_that_fails),
        TEST(test_tls_required_by_a_zone),
        TEST(test_trace_tells_the_attempts),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
