/* What is tried another way: CHUNKING that is broken, TLS that fails, keywords that are ignored. */
#include <stdio.h>

#include "roles/relay/deliver.h"
#include "roles/relay/test_world.h"

#define CHUNK_EHLO "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"

/* Ends the server and looks for a text in what it was told. */
static bool
was_told(struct world *w, size_t server, const char *text)
{
    relay_idle_leave_all(w->relay.idle, 0);
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[server]);
    return str_find(test_server_commands(w->servers[server]), str_from_cstr(text)) != STR_NPOS;
}

/* ---- CHUNKING */

static void
test_broken_chunking(void **state)
{
    static const char *const answers[] = {"500 what?\r\n", "501 5.5.4 what?\r\n",
                                          "502 5.5.1 what?\r\n", "503 5.5.1 no\r\n",
                                          "504 5.5.4 no\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0].ehlo = CHUNK_EHLO;
        w->manners[0].bdat = answers[i];
        DELIVER("a@pair.example", "bad@pair.example", "b@pair.example");
        EXPECT("relayed- 250 2.0.0", "failed 550 5.1.1", "relayed- 250 2.0.0");
        assert_int_equal(test_server_connections(w->servers[0]), 2);
        assert_int_equal(test_server_connections(w->servers[1]), 0);
        relay_idle_leave_all(w->relay.idle, 0);
        DELIVER("c@pair.example"); /* it is remembered */
        EXPECT("relayed- 250 2.0.0");
        assert_int_equal(test_server_connections(w->servers[0]), 3);
        world_teardown(&fresh);
    }
}

static void
test_silence_at_bdat(void **state)
{
    static const char *const answers[] = {"<HANG>", "<CLOSE>"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0].ehlo = CHUNK_EHLO;
        w->manners[0].bdat = answers[i];
        DELIVER("a@pair.example");
        EXPECT("deferred 0 4.4.2"); /* it may have arrived */
        assert_int_equal(test_server_connections(w->servers[1]), 0);
        DELIVER("a@pair.example");
        EXPECT("relayed- 250 2.0.0");
        assert_int_equal(w->manners[0].verdicts, 1);
        world_teardown(&fresh);
    }
}

static void
test_silence_elsewhere_says_nothing_of_chunking(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = CHUNK_EHLO;
    w->manners[0].rcpt = "<CLOSE>";
    DELIVER("a@one.example");
    EXPECT("deferred 0 4.4.2");
    w->manners[0].rcpt = NULL;
    w->manners[0].bdat = OK;
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(was_told(w, 0, "BDAT "));
}

/* MAIL, RCPT and all of BDAT go in one write: whatever is lost then, the message may be there. */
static void
test_lost_with_pipelined_content(void **state)
{
    static const struct {
        struct manner manner;
        const char *want;
        const char *words;
    } cases[] = {
        {{.mail = "<CLOSE>"}, "deferred 0 4.4.2", "connection lost after the end of the message"},
        {{.mail = "<HANG>"}, "deferred 0 4.4.2", "no answer in time after the end of the message"},
        {{.rcpt = "<CLOSE>"}, "deferred 0 4.4.2", "connection lost after the end of the message"},
        {{.verdict = "what?\r\n"}, "deferred 0 4.5.0", "is not an SMTP reply"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0] = cases[i].manner;
        w->manners[0].ehlo = CHUNK_EHLO;
        DELIVER("a@pair.example");
        EXPECT(cases[i].want);
        if (str_find(w->delivery.results[0].text, str_from_cstr(cases[i].words)) == STR_NPOS) {
            fail_msg("%.*s", STR_ARG(w->delivery.results[0].text));
        }
        assert_int_equal(test_server_connections(w->servers[0]), 1);
        assert_int_equal(test_server_connections(w->servers[1]), 0);
        world_teardown(&fresh);
    }
}

/* What is no reply accepts no recipient: the next host is asked (RFC 5321 5.1). */
static void
test_no_reply_with_pipelined_content(void **state)
{
    static const struct manner first[] = {{.mail = "what?\r\n"}, {.rcpt = "what?\r\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0] = first[i];
        w->manners[0].ehlo = CHUNK_EHLO;
        DELIVER("a@pair.example");
        EXPECT("relayed- 250 2.0.0");
        assert_int_equal(test_server_connections(w->servers[1]), 1);
        world_teardown(&fresh);
    }
}

/* The same over a connection that was kept: that it was dead already is not known. */
static void
test_kept_connection_lost_with_pipelined_content(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = CHUNK_EHLO;
    w->manners[0].closes_after_verdict = true;
    DELIVER("a@pair.example");
    EXPECT("relayed- 250 2.0.0");
    DELIVER("a@pair.example");
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(atomic_load(&w->relay.counters.connections_reused), 1);
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    assert_int_equal(test_server_connections(w->servers[1]), 0);
}

/* It has more time than MAIL has, because the end of the message has it. */
static void
test_time_for_pipelined_content(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = CHUNK_EHLO;
    w->manners[0].mail = "<SLOW>" OK;
    w->in_queue = "";
    world_load_config(w, "");
    struct config *config = (struct config *)(uintptr_t)w->config;
    config->queue.timeouts.command_ms = 100; /* less than SLOW */
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
}

static void
test_quirks_are_forgotten(void **state)
{
    struct relay_quirks *quirks = relay_quirks_create();
    (void)state;
    assert_false(relay_quirks_has(quirks, STR("a"), 1000));
    assert_true(relay_quirks_add(quirks, STR("a"), 1000));
    assert_false(relay_quirks_add(quirks, STR("a"), 2000));
    assert_true(relay_quirks_has(quirks, STR("a"), 1000 + QUIRK_MS - 1));
    assert_false(relay_quirks_has(quirks, STR("b"), 1000));
    assert_false(relay_quirks_has(quirks, STR("a"), 1000 + QUIRK_MS));
    assert_true(relay_quirks_add(quirks, STR("a"), 3000));
    for (unsigned i = 0; i < QUIRKS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "host%u", i);
        assert_true(relay_quirks_add(quirks, str_from_cstr(name), 3000));
    }
    assert_false(relay_quirks_has(quirks, STR("a"), 3001)); /* the oldest gave way */
    assert_true(relay_quirks_has(quirks, STR("host0"), 3001));
    relay_quirks_destroy(&quirks);
}

/* ---- what is configured to be ignored */

static void
test_ignored_keywords(void **state)
{
    static const struct {
        const char *in_queue;
        const char *begin;
        const char *end;
    } settings[] = {
        {"", "  - {domain: three.example, to: ", ", ignore_ehlo: [CHUNKING]}\n"},
        {"", "smart_host: {to: ", ", ignore_ehlo: [DSN, CHUNKING]}\n"},
        {"ignore_ehlo: [CHUNKING], ", "smart_host: {to: ", "}\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        void *fresh = NULL;
        char more[200];
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0].ehlo = CHUNK_EHLO;
        config_unref(&w->config);
        w->in_queue = settings[i].in_queue;
        snprintf(more, sizeof more, "%s\"smtp://127.0.0.1:%u\"%s", settings[i].begin,
                 test_server_port(w->servers[0]), settings[i].end);
        world_load_config(w, more);
        DELIVER("a@three.example");
        EXPECT("relayed- 250 2.0.0");
        assert_true(was_told(w, 0, "DATA\n"));
        world_teardown(&fresh);
    }
}

/* ---- TLS that is offered and does not work */

#define TLS_OFFER "250-mx.example\r\n250 STARTTLS\r\n"

static const struct {
    const char *name;
    struct manner manner;
    bool same_session;    /* goes on in the clear without a new connection */
    const char *required; /* the result where TLS is required */
} tls_cases[] = {
    {"421", {.ehlo = TLS_OFFER, .starttls = "421 4.3.2 down\r\n"}, false, "deferred 421 4.3.2"},
    {"454", {.ehlo = TLS_OFFER, .starttls = "454 4.7.0 no\r\n"}, true, "deferred 454 4.7.0"},
    {"501", {.ehlo = TLS_OFFER, .starttls = "501 5.5.4 no\r\n"}, true, "deferred 501 5.5.4"},
    {"554", {.ehlo = TLS_OFFER, .starttls = "554 5.7.0 no\r\n"}, true, "deferred 554 5.7.0"},
    {"closed", {.ehlo = TLS_OFFER, .starttls = "<CLOSE>"}, false, "deferred 0 4.4.2"},
    {"no reply", {.ehlo = TLS_OFFER, .starttls = "what?\r\n"}, false, "deferred 0 4.5.0"},
    {"handshake", {.ehlo = TLS_OFFER, .tls_fails = true}, false, "deferred 0 4.7.5"},
    {"EHLO refused behind TLS",
     {.ehlo = TLS_OFFER, .ehlo_tls = "554 5.7.1 no\r\n"},
     false,
     "deferred 554 5.7.1"},
    {"421 to EHLO behind TLS",
     {.ehlo = TLS_OFFER, .ehlo_tls = "421 4.3.2 down\r\n"},
     false,
     "deferred 421 4.3.2"},
    {"closed behind TLS", {.ehlo = TLS_OFFER, .ehlo_tls = "<CLOSE>"}, false, "deferred 0 4.4.2"},
};

static void
test_tls_is_given_up_only_where_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tls_cases / sizeof tls_cases[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0] = tls_cases[i].manner;
        DELIVER("a@one.example");
        EXPECT("relayed- 250 2.0.0");
        assert_int_equal(w->delivery.results[0].tls.n, 0);
        unsigned connections = tls_cases[i].same_session ? 1 : 2;
        assert_int_equal(test_server_connections(w->servers[0]), connections);
        DELIVER("a@tls.example");
        EXPECT(tls_cases[i].required);
        assert_int_equal(test_server_connections(w->servers[0]), connections + 1);
        assert_int_equal(w->manners[0].verdicts, 1);
        world_teardown(&fresh);
    }
}

/* "454", and the connection is closed: the next one goes without STARTTLS, where that is allowed.
 */
static void
test_tls_is_refused_and_the_connection_closed(void **state)
{
    static struct manner closing = {
        .ehlo = TLS_OFFER, .starttls = "454 4.7.0 no\r\n", .mail = "<CLOSE>"};
    struct world *w = *state;
    w->manners[0] = (struct manner){.ehlo = TLS_OFFER, .starttls = "<CLOSE>", .first = &closing};
    DELIVER("a@one.example");
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
    assert_int_equal(w->manners[0].verdicts, 1);
    w->manners[1] = closing;
    DELIVER("a@two.example");
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(test_server_connections(w->servers[1]), 2); /* not for ever */
    DELIVER("a@tls.example");
    EXPECT("deferred 0 4.4.2");
    assert_int_equal(w->manners[0].verdicts, 1); /* never in the clear */
}

/* A server that wants the TLS which it could not do is asked again later. */
static void
test_tls_is_wanted_after_it_failed(void **state)
{
    static const struct manner manners[] = {
        {.ehlo = TLS_OFFER, .starttls = "454 4.7.0 no\r\n", .mail = "530 5.7.0 STARTTLS first\r\n"},
        {.ehlo = TLS_OFFER, .starttls = "421 4.7.0 no\r\n", .mail = "530 5.7.0 STARTTLS first\r\n"},
        {.ehlo = TLS_OFFER, .tls_fails = true, .mail = "530 5.7.0 STARTTLS first\r\n"},
        {.ehlo = TLS_OFFER, .tls_fails = true, .rcpt = "530 5.7.0 STARTTLS first\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(world_setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0] = manners[i];
        DELIVER("a@one.example");
        EXPECT("deferred 530 5.7.0");
        world_teardown(&fresh);
    }
    void *fresh = NULL;
    assert_int_equal(world_setup(&fresh), 0);
    struct world *w = fresh;
    w->manners[0] = (struct manner){.mail = "530 5.7.0 STARTTLS first\r\n"};
    DELIVER("a@alive.example"); /* it does not offer it: that will not change by waiting */
    EXPECT("failed 530 5.7.0");
    world_teardown(&fresh);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_chunking),
        cmocka_unit_test(test_silence_at_bdat),
        TEST(test_silence_elsewhere_says_nothing_of_chunking),
        cmocka_unit_test(test_lost_with_pipelined_content),
        cmocka_unit_test(test_no_reply_with_pipelined_content),
        TEST(test_kept_connection_lost_with_pipelined_content),
        TEST(test_time_for_pipelined_content),
        cmocka_unit_test(test_quirks_are_forgotten),
        cmocka_unit_test(test_ignored_keywords),
        cmocka_unit_test(test_tls_is_given_up_only_where_allowed),
        TEST(test_tls_is_refused_and_the_connection_closed),
        cmocka_unit_test(test_tls_is_wanted_after_it_failed),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
