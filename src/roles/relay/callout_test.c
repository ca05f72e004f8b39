#include "roles/relay/callout.h"

#include <stdio.h>

#include "roles/relay/test_world.h"

static struct relay_callout_answer
ask(struct world *w, const char *address)
{
    struct relay_callout_answer answer;
    relay_callout_ask(&w->relay, w->config, w->tls, w->arena, str_from_cstr(address), &answer);
    return answer;
}

static void
test_callout(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, "a@one.example").code, 250);
    assert_int_equal(ask(w, "bad@one.example").code, 550);
    assert_true(str_eq(ask(w, "bad@one.example").enhanced, STR("5.1.1")));
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(w->manners[0].verdicts, 0);
    /* The connection serves deliveries, too. */
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    /* A refused null sender says nothing about the recipient. */
    w->manners[0].mail = "550 5.7.1 no bounces here\r\n";
    assert_int_equal(ask(w, "a@one.example").code, 0);
    assert_int_equal(ask(w, "a@absent.example").code, 0);
    assert_int_equal(ask(w, "\xc3\xbc@two.example").code, 553);
}

static struct relay_callout_answer
ask_utf8(struct world *w, const char *address)
{
    struct relay_callout_answer answer;
    relay_callout_ask_utf8(&w->relay, w->config, w->tls, w->arena, str_from_cstr(address), &answer);
    return answer;
}

/* Whether a route takes UTF-8 is seen in what its hosts offer; none is asked about an address. */
static void
test_callout_utf8(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask_utf8(w, "a@one.example").code, 553);
    assert_true(str_eq(ask_utf8(w, "a@one.example").enhanced, STR("5.6.7")));
    assert_int_equal(ask_utf8(w, "a@absent.example").code, 0);
    assert_int_equal(ask_utf8(w, "a@nohost.example").code, 0);
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = "250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    w->manners[0].rcpt = "550 5.1.1 who\r\n";
    assert_int_equal(ask_utf8(w, "a@one.example").code, 250);
    assert_int_equal(ask_utf8(w, "a@twice.example").code, 250);
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_find(test_server_commands(w->servers[0]), STR("MAIL")) == STR_NPOS);
    /* One answer for all that goes the same way. */
    struct str key = relay_callout_utf8_key(w->arena, w->config, STR("a@one.example"));
    assert_true(
        str_eq(key, relay_callout_utf8_key(w->arena, w->config, STR("\xc3\xbc@one.example"))));
    assert_false(str_eq(key, relay_callout_utf8_key(w->arena, w->config, STR("a@two.example"))));
}

/* A host that cannot be asked now may be the one that takes UTF-8: that is no refusal for good. */
static void
test_callout_utf8_of_a_host_that_is_down(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask_utf8(w, "a@twice.example").code, 553);
    relay_idle_leave_all(w->relay.idle, 0);
    assert_int_equal(ask_utf8(w, "a@mx.example").code, 0);
    assert_int_equal(ask_utf8(w, "a@backup.example").code, 0);
    assert_int_equal(ask_utf8(w, "a@pair.example").code, 553);
    w->manners[1].greeting = "421 4.3.2 full\r\n";
    relay_idle_leave_all(w->relay.idle, 0);
    assert_int_equal(ask_utf8(w, "a@pair.example").code, 0);
    w->manners[1].greeting = "521 5.3.2 no mail here\r\n";
    assert_int_equal(ask_utf8(w, "a@pair.example").code, 553);
}

static void
test_callout_cache(void **state)
{
    struct world *w = *state;
    struct relay_callout_cache *cache = relay_callout_cache_create();
    struct relay_callout_answer yes = {.code = 250, .text = STR("fine")};
    struct relay_callout_answer no = {.code = 550, .enhanced = STR("5.1.1")};
    struct relay_callout_answer later = {.code = 450};
    struct relay_callout_answer got;
    const struct config_callout *times = &w->config->callout;
    relay_callout_keep(cache, w->config, STR("yes@x"), 1000, &yes);
    relay_callout_keep(cache, w->config, STR("no@x"), 1000, &no);
    relay_callout_keep(cache, w->config, STR("later@x"), 1000, &later);
    assert_int_equal(relay_callout_cache_count(cache), 2);
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), 1001, &got));
    assert_int_equal(got.code, 250);
    assert_true(str_eq(got.text, STR("fine")));
    assert_true(relay_callout_find(cache, w->arena, STR("no@x"), 1001, &got));
    assert_int_equal(got.code, 550);
    assert_false(relay_callout_find(cache, w->arena, STR("later@x"), 1001, &got));
    int64_t no_longer = 1000 + times->negative_cache_ms;
    assert_false(relay_callout_find(cache, w->arena, STR("no@x"), no_longer, &got));
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), no_longer, &got));
    /* A later answer takes the place of the earlier one; the oldest give way. */
    relay_callout_keep(cache, w->config, STR("yes@x"), 2000, &no);
    assert_true(relay_callout_find(cache, w->arena, STR("yes@x"), 2001, &got));
    assert_int_equal(got.code, 550);
    for (unsigned i = 0; i < RELAY_CALLOUT_CACHE_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "%u@x", i);
        relay_callout_keep(cache, w->config, str_from_cstr(address), 3000, &yes);
    }
    assert_int_equal(relay_callout_cache_count(cache), RELAY_CALLOUT_CACHE_MAX);
    assert_false(relay_callout_find(cache, w->arena, STR("yes@x"), 3001, &got));
    relay_callout_cache_clear(cache);
    assert_int_equal(relay_callout_cache_count(cache), 0);
    relay_callout_cache_destroy(&cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_callout),
        TEST(test_callout_utf8),
        TEST(test_callout_utf8_of_a_host_that_is_down),
        TEST(test_callout_cache),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
