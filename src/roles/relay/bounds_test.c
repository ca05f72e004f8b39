/* How much one connection is used for, which connections are kept, and how long a delivery takes.
 */
#include "base/clock.h"
#include "roles/relay/memory.h"
#include "roles/relay/next_hop.h"
#include "roles/relay/test_world.h"
#include "store/delivery.h"

/* How often a command was sent to a server, whose connections have ended. */
static unsigned
count_commands(struct world *w, size_t server, const char *command)
{
    struct str rest;
    unsigned n = 0;
    relay_idle_destroy(&w->relay.idle);
    w->relay.idle = relay_idle_create();
    test_server_end(w->servers[server]);
    rest = test_server_commands(w->servers[server]);
    for (size_t at; (at = str_find(rest, str_from_cstr(command))) != STR_NPOS; n++) {
        rest = str_skip(rest, at + 1);
    }
    return n;
}

/* ---- recipients that are too many for one transaction (RFC 5321 4.5.3.1.10) */

static void
test_too_many_for_nobody_is_a_refusal(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt = "452 4.5.3 too many\r\n";
    DELIVER("a@one.example", "b@one.example");
    EXPECT("deferred 452 4.5.3", "deferred 452 4.5.3");
    w->manners[0].rcpt = "552 5.2.2 full\r\n";
    DELIVER("a@one.example");
    EXPECT("failed 552 5.2.2");
}

/* 552 is what old servers say for it: once more, alone, before it counts. */
static void
test_the_old_code_for_too_many(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt = "552 5.5.3 too many\r\n";
    w->manners[0].rcpt_of = "b@";
    DELIVER("a@one.example", "b@one.example");
    EXPECT("relayed- 250 2.0.0", "failed 552 5.5.3");
    assert_int_equal(count_commands(w, 0, "RCPT TO:<b@one.example>"), 2);
}

/* ---- transactions of one connection */

static void
test_a_server_says_how_many(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250 LIMITS MAILMAX=2\r\n";
    w->manners[0].rcpt_most = 1;
    DELIVER("a@one.example", "b@one.example", "c@one.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

static void
test_we_say_how_many(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    w->in_queue = "reuse_messages: 2, ";
    world_load_config(w, "");
    w->manners[0].rcpt_most = 1;
    DELIVER("a@one.example", "b@one.example", "c@one.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

/* ---- connections that are kept */

static void
test_without_time_none_is_kept(void **state)
{
    struct world *w = *state;
    relay_idle_set(w->relay.idle, 10, 0);
    DELIVER("a@one.example");
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

static void
test_only_so_many_are_kept(void **state)
{
    struct world *w = *state;
    relay_idle_set(w->relay.idle, 1, 60000);
    DELIVER("a@one.example"); /* kept */
    DELIVER("a@two.example"); /* not kept */
    DELIVER("a@two.example");
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(test_server_connections(w->servers[1]), 2);
}

static void
test_only_so_many_of_a_next_hop_are_kept(void **state)
{
    struct world *w = *state;
    struct next_hop hop;
    DELIVER("a@one.example");
    assert_int_equal(next_hop_find(w->arena, w->config, STR("a@one.example"), &hop), STATUS_OK);
    struct relay_session *session = relay_idle_take(w->relay.idle, hop.key, w->config);
    assert_non_null(session);
    relay_idle_give(w->relay.idle, &session, hop.key, 1, clock_monotonic_ms());
    session = relay_idle_take(w->relay.idle, hop.key, w->config);
    assert_non_null(session);
    relay_idle_give(w->relay.idle, &session, hop.key, 0, clock_monotonic_ms());
    assert_null(session);
    assert_null(relay_idle_take(w->relay.idle, hop.key, w->config));
}

/* A session that its server has had enough of is not kept. */
static void
test_what_is_spent_is_not_kept(void **state)
{
    struct world *w = *state;
    struct next_hop hop;
    DELIVER("a@one.example");
    assert_int_equal(next_hop_find(w->arena, w->config, STR("a@one.example"), &hop), STATUS_OK);
    struct relay_session *session = relay_idle_take(w->relay.idle, hop.key, w->config);
    assert_non_null(session);
    session->spent = true;
    relay_idle_give(w->relay.idle, &session, hop.key, 10, clock_monotonic_ms());
    assert_null(relay_idle_take(w->relay.idle, hop.key, w->config));
}

/* ---- where mail goes that was sent elsewhere */

static void
test_what_was_rerouted_goes_there(void **state)
{
    struct world *w = *state;
    DELIVER("a@one.example");
    w->recipients[0].rerouted = true;
    w->message.destination =
        arena_printf(w->arena, "smtp://127.0.0.2:%u", test_server_port(w->servers[1]));
    w->delivery = (struct relay_delivery){.world = &w->relay,
                                          .config = w->config,
                                          .tls = w->tls,
                                          .arena = w->arena,
                                          .trace = &w->trace,
                                          .deliver = &w->message,
                                          .head = w->head,
                                          .body = w->body};
    assert_int_equal(relay_delivery_run(&w->delivery), STATUS_OK);
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 1);
    assert_int_equal(w->manners[1].verdicts, 1);
}

/* ---- time, and TLS that was lost */

static void
test_a_delivery_whose_time_is_over(void **state)
{
    struct world *w = *state;
    w->time_ms = 0;
    DELIVER("a@one.example", "a@two.example");
    EXPECT("deferred 0 4.4.7", "deferred 0 4.4.7");
    assert_int_equal(test_server_connections(w->servers[0]), 0);
    assert_int_equal(test_server_connections(w->servers[1]), 0);
}

/* 530 wants what could not be had just now: that may be mended there. */
static void
test_security_that_is_wanted_where_tls_failed(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].starttls = "454 4.7.0 not now\r\n";
    w->manners[0].mail = "530 5.7.0 STARTTLS first\r\n";
    DELIVER("a@alive.example");
    EXPECT("deferred 530 5.7.0");
    relay_idle_leave_all(w->relay.idle, clock_monotonic_ms());
    w->manners[0].ehlo = PIPE_EHLO; /* no TLS to lose: its word stands */
    DELIVER("a@alive.example");
    EXPECT("failed 530 5.7.0");
}

/* ---- what is remembered of results */

static void
test_long_texts_are_cut(void **state)
{
    static char text[4 * RELAY_MEMORY_TEXT_MAX];
    struct arena *arena = arena_create(65536);
    struct relay_memory *memory = relay_memory_create();
    struct str const id = STR("0123456789ABCDEF");
    struct record_delivery_result got;
    (void)state;
    memset(text, 'x', sizeof text);
    struct str const all = str_make(text, sizeof text);
    struct record_delivery_result result = {.outcome = DELIVERY_FAILED,
                                            .code = 550,
                                            .enhanced = all,
                                            .text = all,
                                            .remote = all,
                                            .tls = all};
    relay_memory_add(memory, STR(""), &result); /* without a name nothing can be found */
    assert_false(relay_memory_find(memory, arena, STR(""), 0, &got));
    relay_memory_add(memory, id, &result);
    result.number = 1;
    result.text = STR("another");
    relay_memory_add(memory, id, &result);
    assert_true(relay_memory_find(memory, arena, id, 0, &got));
    assert_int_equal(got.text.n, RELAY_MEMORY_TEXT_MAX);
    assert_int_equal(got.remote.n, RELAY_MEMORY_TEXT_MAX);
    assert_true(got.enhanced.n < 16 && got.tls.n < 100);
    assert_true(str_starts_with(all, got.tls));
    assert_true(relay_memory_find(memory, arena, id, 1, &got));
    assert_true(str_eq(got.text, STR("another")));
    relay_memory_destroy(&memory);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_too_many_for_nobody_is_a_refusal),
        TEST(test_the_old_code_for_too_many),
        TEST(test_a_server_says_how_many),
        TEST(test_we_say_how_many),
        TEST(test_without_time_none_is_kept),
        TEST(test_only_so_many_are_kept),
        TEST(test_only_so_many_of_a_next_hop_are_kept),
        TEST(test_what_is_spent_is_not_kept),
        TEST(test_what_was_rerouted_goes_there),
        TEST(test_a_delivery_whose_time_is_over),
        TEST(test_security_that_is_wanted_where_tls_failed),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
