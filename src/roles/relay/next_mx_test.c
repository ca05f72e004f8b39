/* Which host is asked next, and which failure is told in the end. */
#include "roles/relay/deliver.h"
#include "roles/relay/test_world.h"

static void
expect_text(const struct world *w, size_t i, const char *part)
{
    struct str text = w->delivery.results[i].text;
    if (str_find(text, str_from_cstr(part)) == STR_NPOS) {
        fail_msg("\"%.*s\" has no \"%s\"", STR_ARG(text), part);
    }
}

static void
expect_connections(struct world *w, unsigned first, unsigned second)
{
    assert_int_equal(test_server_connections(w->servers[0]), first);
    assert_int_equal(test_server_connections(w->servers[1]), second);
}

/* ---- put off: the next host is asked */

static void
test_put_off_at_each_command(void **state)
{
    static const struct manner first[] = {
        {.greeting = "421 4.3.2 full\r\n"},
        {.greeting = "450 4.3.2 full\r\n"},
        {.greeting = "554 5.7.1 not you\r\n"},
        {.greeting = "220-mx.example\r\n521 5.3.2 not now\r\n"},
        {.greeting = "SSH-2.0-x\r\n"},
        {.ehlo = "421 4.3.2 full\r\n"},
        {.ehlo = "450 4.3.2 full\r\n"},
        {.mail = "421 4.3.2 full\r\n"},
        {.mail = "450 4.7.1 later\r\n"},
        {.mail = "what?\r\n"},
        {.mail = "<CLOSE>"},
        {.rcpt = "421 4.3.2 full\r\n"},
        {.rcpt = "451 4.7.1 greylisted\r\n"},
        {.rcpt = "452 4.2.2 full\r\n"},
        {.rcpt = "what?\r\n"},
        {.data = "421 4.3.2 full\r\n"},
        {.data = "451 4.3.0 later\r\n"},
        {.data = "what?\r\n"},
        {.verdict = "421 4.3.2 going down\r\n"},
        {.verdict = "451 4.3.0 no room\r\n"},
        {.verdict = "250-first\r\n451 4.3.0 and then not\r\n"},
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        struct world *w;
        void *fresh = NULL;
        (void)state;
        assert_int_equal(world_setup(&fresh), 0);
        w = fresh;
        w->manners[0] = first[i];
        DELIVER("a@pair.example");
        EXPECT("relayed- 250 2.0.0");
        assert_true(w->delivery.connected);
        expect_connections(w, 1, 1);
        assert_int_equal(w->manners[1].verdicts, 1);
        world_teardown(&fresh);
    }
}

static void
test_refused_for_good_is_final(void **state)
{
    static const struct manner first[] = {
        {.mail = "550 5.7.1 no\r\n"},
        {.rcpt = "550 5.7.1 no\r\n"},
        {.data = "550 5.7.1 no\r\n"},
        {.verdict = "550 5.7.1 no\r\n"},
        {.verdict = "250-first\r\n550-second\r\n550 5.7.1 no\r\n"},
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        struct world *w;
        void *fresh = NULL;
        (void)state;
        assert_int_equal(world_setup(&fresh), 0);
        w = fresh;
        w->manners[0] = first[i];
        DELIVER("a@pair.example");
        EXPECT("failed 550 5.7.1");
        expect_connections(w, 1, 0);
        world_teardown(&fresh);
    }
}

static void
test_unknown_verdict_is_not_asked_elsewhere(void **state)
{
    struct world *w = *state;
    w->manners[0].verdict = "fine, I took it\r\n";
    DELIVER("a@pair.example");
    EXPECT("deferred 0 4.5.0");
    expect_text(w, 0, "\"fine, I took it\"");
    expect_connections(w, 1, 0);
}

static void
test_only_who_was_put_off_goes_on(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt_of = "b@";
    w->manners[0].rcpt = "450 4.2.1 later\r\n";
    DELIVER("a@pair.example", "b@pair.example", "bad@pair.example", "c@pair.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0", "failed 550 5.1.1", "relayed- 250 2.0.0");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[1]);
    struct str commands = test_server_commands(w->servers[1]);
    assert_true(str_find(commands, STR("RCPT TO:<b@")) != STR_NPOS);
    assert_true(str_find(commands, STR("RCPT TO:<a@")) == STR_NPOS);
    assert_true(str_find(commands, STR("RCPT TO:<bad@")) == STR_NPOS);
}

/* A recipient that is put off does not keep those behind it from being asked. */
static void
test_put_off_with_few_recipients_a_transaction(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = "250-mx.example\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n";
    w->manners[0].rcpt_of = ":<x";
    w->manners[0].rcpt = "450 4.2.1 later\r\n";
    DELIVER("x1@one.example", "x2@one.example", "3@one.example", "4@one.example", "5@one.example");
    EXPECT("deferred 450 4.2.1", "deferred 450 4.2.1", "relayed- 250 2.0.0", "relayed- 250 2.0.0",
           "relayed- 250 2.0.0");
}

static void
test_each_host_is_asked_once(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt = w->manners[1].rcpt = "450 4.7.1 greylisted\r\n";
    DELIVER("a@pair.example");
    EXPECT("deferred 450 4.7.1");
    expect_connections(w, 1, 1);
    relay_idle_leave_all(w->relay.idle, 0);
    DELIVER("a@twice.example"); /* two names of one address */
    EXPECT("deferred 450 4.7.1");
    expect_connections(w, 2, 1);
    DELIVER("a@one.example"); /* once over an idle session of another hop's: a fresh one */
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].rcpt = NULL;
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    w->manners[0].rcpt = "450 4.7.1 greylisted\r\n";
    DELIVER("b@one.example"); /* over the idle session, and not again over a fresh one */
    EXPECT("deferred 450 4.7.1");
    expect_connections(w, 4, 1);
}

/* ---- sessions that have had enough */

static void
test_limit_of_a_session(void **state)
{
    static const struct manner later[] = {
        {.mail = "421 4.7.0 too many messages\r\n"}, {.mail = "450 4.7.0 too many messages\r\n"},
        {.data = "421 4.7.0 too many messages\r\n"}, {.data = "451 4.7.0 too many messages\r\n"},
        {.rcpt = "421 4.7.0 too many messages\r\n"},
    };
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        struct world *w;
        void *fresh = NULL;
        struct manner first = {.mail = NULL};
        (void)state;
        assert_int_equal(world_setup(&fresh), 0);
        w = fresh;
        w->manners[0].first = &first;
        DELIVER("a@one.example");
        EXPECT("relayed- 250 2.0.0");
        first = later[i];
        DELIVER("b@one.example");
        EXPECT("relayed- 250 2.0.0");
        assert_true(w->delivery.connected);
        expect_connections(w, 2, 0);
        /* The session that has had enough is not used any more. */
        DELIVER("c@one.example");
        EXPECT("relayed- 250 2.0.0");
        expect_connections(w, 2, 0);
        world_teardown(&fresh);
    }
}

static void
test_fresh_session_is_believed(void **state)
{
    struct world *w = *state;
    w->manners[0].mail = "450 4.7.0 later\r\n";
    DELIVER("a@one.example");
    EXPECT("deferred 450 4.7.0");
    expect_connections(w, 1, 0);
    assert_true(w->delivery.connected);
}

static void
test_going_down_blocks_the_destination(void **state)
{
    static const struct manner down[] = {
        {.greeting = "421 4.3.2 down\r\n"}, {.ehlo = "421 4.3.2 down\r\n"},
        {.mail = "421 4.3.2 down\r\n"},     {.rcpt = "421 4.3.2 down\r\n"},
        {.data = "421 4.3.2 down\r\n"},     {.verdict = "421 4.3.2 down\r\n"},
    };
    for (size_t i = 0; i < sizeof down / sizeof down[0]; i++) {
        struct world *w;
        void *fresh = NULL;
        (void)state;
        assert_int_equal(world_setup(&fresh), 0);
        w = fresh;
        w->manners[0] = down[i];
        DELIVER("a@one.example");
        EXPECT("deferred 421 4.3.2");
        assert_false(w->delivery.connected);
        expect_connections(w, 1, 0);
        world_teardown(&fresh);
    }
}

/* ---- features */

#define UTF8_EHLO "250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
#define SIZE_EHLO "250-mx.example\r\n250 SIZE 10\r\n"

static void
test_another_host_has_the_feature(void **state)
{
    struct world *w = *state;
    w->manners[1].ehlo = UTF8_EHLO;
    DELIVER("\xc3\xbc@pair.example", "a@pair.example");
    EXPECT("relayed- 250 2.0.0", "relayed- 250 2.0.0");
    assert_int_equal(w->manners[0].verdicts, 1);
    assert_int_equal(w->manners[1].verdicts, 1);
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = SIZE_EHLO;
    DELIVER("a@pair.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(w->manners[1].verdicts, 2);
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = NULL;
    w->head = STR("Subject: \xfc\r\n\r\n"); /* cannot be encoded: only 8BITMIME helps */
    DELIVER("a@pair.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(w->manners[1].verdicts, 3);
}

static void
test_no_host_has_the_feature(void **state)
{
    struct world *w = *state;
    DELIVER("\xc3\xbc@pair.example", "a@pair.example");
    EXPECT("failed 0 5.6.7", "relayed- 250 2.0.0");
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0].ehlo = w->manners[1].ehlo = SIZE_EHLO;
    DELIVER("a@pair.example");
    EXPECT("failed 0 5.3.4");
    /* The one that might take it is down, or says no for now. */
    DELIVER("a@backup.example");
    EXPECT("deferred 0 4.4.1");
    expect_text(w, 0, "larger than the server takes");
    w->manners[1].ehlo = NULL;
    w->manners[1].mail = "450 4.3.0 later\r\n";
    DELIVER("a@pair.example");
    EXPECT("deferred 450 4.3.0");
}

/* ---- what is told */

static void
test_reply_is_told_before_a_dead_backup(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt = "450 4.2.1 later\r\n";
    DELIVER("a@backup.example", "a@mx.example");
    EXPECT("deferred 450 4.2.1", "deferred 450 4.2.1");
    relay_idle_leave_all(w->relay.idle, 0);
    w->manners[0] = (struct manner){.greeting = "421 4.3.2 full\r\n"};
    DELIVER("a@backup.example", "a@mx.example");
    EXPECT("deferred 421 4.3.2", "deferred 421 4.3.2");
    w->manners[0] = (struct manner){.mail = "what?\r\n"};
    DELIVER("a@backup.example", "a@mx.example");
    EXPECT("deferred 0 4.5.0", "deferred 0 4.5.0");
    expect_text(w, 0, "the server answered \"what?\", which is not an SMTP reply");
    w->manners[0] = (struct manner){.greeting = "554 5.7.1 not you\r\n"};
    DELIVER("a@backup.example");
    EXPECT("deferred 0 4.4.1");
    expect_text(w, 0, "said 554 5.7.1 not you; ");
}

static void
test_better_host_is_told(void **state)
{
    struct world *w = *state;
    w->manners[0].rcpt = "450 4.2.1 first\r\n";
    w->manners[1].rcpt = "451 4.2.2 second\r\n";
    DELIVER("a@pair.example");
    EXPECT("deferred 450 4.2.1");
    w->manners[0] = (struct manner){.greeting = "554 5.7.1 first\r\n"};
    w->manners[1] = (struct manner){.greeting = "550 5.7.2 second\r\n"};
    relay_idle_leave_all(w->relay.idle, 0);
    DELIVER("a@pair.example");
    EXPECT("failed 554 5.7.1");
}

static void
test_long_reply_keeps_its_end(void **state)
{
    static char reply[4000];
    struct world *w = *state;
    size_t n = 0;
    for (int i = 0; i < 150; i++) {
        n += (size_t)snprintf(reply + n, sizeof reply - n, "550-a line of much text\r\n");
    }
    snprintf(reply + n, sizeof reply - n, "550 5.7.1 and the reason\r\n");
    w->manners[0].rcpt = reply;
    DELIVER("a@one.example");
    EXPECT("failed 550 5.7.1");
    expect_text(w, 0, "a line of much text a line");
    expect_text(w, 0, " [...] ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_off_at_each_command),
        cmocka_unit_test(test_refused_for_good_is_final),
        TEST(test_unknown_verdict_is_not_asked_elsewhere),
        TEST(test_only_who_was_put_off_goes_on),
        TEST(test_put_off_with_few_recipients_a_transaction),
        TEST(test_each_host_is_asked_once),
        cmocka_unit_test(test_limit_of_a_session),
        TEST(test_fresh_session_is_believed),
        cmocka_unit_test(test_going_down_blocks_the_destination),
        TEST(test_another_host_has_the_feature),
        TEST(test_no_host_has_the_feature),
        TEST(test_reply_is_told_before_a_dead_backup),
        TEST(test_better_host_is_told),
        TEST(test_long_reply_keeps_its_end),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
