/* Waiting: a server that never stops talking, and never says anything, holds nobody up. */
#include <stdio.h>

#include "roles/relay/deliver.h"
#include "roles/relay/test_world.h"

static void
expect_text(const struct world *w, const char *part)
{
    struct str text = w->delivery.results[0].text;
    if (str_find(text, str_from_cstr(part)) == STR_NPOS) {
        fail_msg("\"%.*s\" has no \"%s\"", STR_ARG(text), part);
    }
}

/*
 * Octets that drip, and lines of a reply without end, do not begin the time-out of a stage anew.
 * The servers here close after some seconds: a client that has not given up by then tells of a
 * connection that was lost.
 */
static void
test_dripping_server(void **state)
{
    static const char *const drips[] = {"<DRIP>", "<DRIP LINES>"};
    (void)state;
    for (size_t i = 0; i < 2 * 5; i++) {
        void *fresh = NULL;
        const char *drip = drips[i % 2];
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        const struct manner manners[] = {
            {.greeting = drip}, {.ehlo = drip}, {.mail = drip}, {.data = drip}, {.verdict = drip}};
        static const char *const words[] = {
            "no greeting in time", "no answer in time after EHLO", "no answer in time after MAIL",
            "no answer in time after DATA", "no answer in time after the end of the message"};
        w->manners[0] = manners[i / 2];
        DELIVER("a@one.example");
        EXPECT("deferred 0 4.4.2");
        expect_text(w, words[i / 2]);
        world_teardown(&fresh);
    }
}

/* Whatever the stages allow, the delivery has an end. */
static void
test_dripping_server_and_the_deadline(void **state)
{
    static const struct manner manners[] = {
        {.mail = "<DRIP>"}, {.mail = "<DRIP LINES>"}, {.verdict = "<DRIP>"}};
    (void)state;
    for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0] = manners[i];
        w->time_ms = 300; /* less than any time-out */
        DELIVER("a@one.example", "b@two.example");
        EXPECT(manners[i].verdict != NULL ? "deferred 0 4.4.2" : "deferred 0 4.4.7",
               "deferred 0 4.4.7");
        assert_int_equal(w->manners[1].verdicts, 0);
        world_teardown(&fresh);
    }
}

/* A stage that goes on with replies, each in time, takes as long as it takes. */
static void
test_slow_server_that_answers(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = PIPE_EHLO;
    w->manners[0].rcpt = "<SLOW>" OK;
    DELIVER("a@one.example", "b@one.example", "c@one.example", "d@one.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0", "relayed- 250 2.0.0");
}

/* ---- connections there may be no more of */

static void
test_idle_session_gives_way(void **state)
{
    struct world *w = *state;
    config_unref(&w->config);
    w->connections = 1;
    world_load_config(w, "");
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(relay_session_count(), 1);
    DELIVER("a@two.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(relay_session_count(), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dripping_server),
        cmocka_unit_test(test_dripping_server_and_the_deadline),
        TEST(test_slow_server_that_answers),
        TEST(test_idle_session_gives_way),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
