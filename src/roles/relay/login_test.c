/* Logging in at the next hop: over what, with what, and what becomes of the mail when it fails. */
#include <stdio.h>

#include "roles/relay/deliver.h"
#include "roles/relay/test_world.h"

#define AUTH_EHLO     "250-mx.example\r\n250 AUTH PLAIN\r\n"
#define TLS_AUTH_EHLO "250-mx.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"
#define PLAIN_OF_BOB  "AUTH PLAIN AGJvYgBzZWNyZXQ="

/* What the vault would say; asked for is the one login of the configuration. */
static enum status
find_password(void *context, struct str host, struct str user, struct buf *password_out)
{
    const enum status *status = context;
    assert_true(str_eq(user, STR("bob")));
    assert_true(str_eq(host, STR("127.0.0.1")));
    return *status == STATUS_OK ? buf_append(password_out, STR("secret")) : *status;
}

static enum status password_status;

/* A world whose route three.example has a login as bob. */
static struct world *
login_world(void **state, const char *tls)
{
    char more[200];
    assert_int_equal(world_setup(state), 0);
    struct world *w = *state;
    config_unref(&w->config);
    snprintf(more, sizeof more,
             "  - {domain: three.example, to: \"smtp://127.0.0.1:%u\", "
             "login: {user: bob, tls: %s}}\n",
             test_server_port(w->servers[0]), tls);
    world_load_config(w, more);
    password_status = STATUS_OK;
    w->relay.passwords = (struct relay_passwords){find_password, &password_status};
    return w;
}

static bool
was_told(struct world *w, const char *text)
{
    relay_idle_leave_all(w->relay.idle, 0);
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    return str_find(test_server_commands(w->servers[0]), str_from_cstr(text)) != STR_NPOS;
}

static void
expect_text(const struct world *w, const char *part)
{
    struct str text = w->delivery.results[0].text;
    if (str_find(text, str_from_cstr(part)) == STR_NPOS) {
        fail_msg("\"%.*s\" has no \"%s\"", STR_ARG(text), part);
    }
}

static void
test_login(void **state)
{
    struct world *w = login_world(state, "none");
    w->manners[0].ehlo = AUTH_EHLO;
    w->manners[0].auth = "235 2.7.0 welcome\r\n";
    DELIVER("a@three.example");
    EXPECT("relayed- 250 2.0.0");
    DELIVER("b@three.example"); /* over the same session, without another login */
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
    /* A route without a login does not share it. */
    DELIVER("a@one.example");
    assert_int_equal(test_server_connections(w->servers[0]), 2);
    assert_true(was_told(w, PLAIN_OF_BOB "\nMAIL"));
    world_teardown(state);
}

static void
test_login_refused(void **state)
{
    static const struct {
        const char *answer;
        const char *result;
    } answers[] = {
        {"535 5.7.8 bad credentials\r\n", "deferred 535 5.7.8"},
        {"534 5.7.9 too weak\r\n", "deferred 534 5.7.9"},
        {"454 4.7.0 not now\r\n", "deferred 454 4.7.0"},
        {"421 4.7.0 down\r\n", "deferred 421 4.7.0"},
        {"<CLOSE>", "deferred 0 4.4.2"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct world *w = login_world(state, "none");
        w->manners[0].ehlo = AUTH_EHLO;
        w->manners[0].auth = answers[i].answer;
        DELIVER("a@three.example");
        EXPECT(answers[i].result);
        assert_false(w->delivery.connected); /* nothing for this destination is tried for a while */
        assert_int_equal(atomic_load(&w->relay.counters.logins_failed), 1);
        assert_true(was_told(w, PLAIN_OF_BOB));
        world_teardown(state);
    }
}

static void
test_no_password(void **state)
{
    struct world *w = login_world(state, "none");
    w->manners[0].ehlo = AUTH_EHLO;
    password_status = STATUS_NOT_FOUND;
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.0");
    expect_text(w, "postern secret set");
    password_status = STATUS_TEMPORARY;
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.0");
    assert_false(was_told(w, "AUTH"));
    world_teardown(state);
}

/* The password goes only over what the login asks for. */
static void
test_login_needs_tls(void **state)
{
    struct world *w = login_world(state, "verified");
    w->manners[0].ehlo = TLS_AUTH_EHLO; /* with a certificate that nobody trusts */
    w->manners[0].auth = "235 2.7.0 welcome\r\n";
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.0");
    w->manners[0].ehlo = AUTH_EHLO;
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.4");
    w->manners[0].ehlo = TLS_AUTH_EHLO;
    w->manners[0].tls_fails = true;
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.5");
    assert_false(was_told(w, "AUTH"));
    world_teardown(state);
    w = login_world(state, "encrypted");
    w->manners[0].ehlo = AUTH_EHLO;
    DELIVER("a@three.example");
    EXPECT("deferred 0 4.7.4");
    w->manners[0].ehlo = TLS_AUTH_EHLO;
    w->manners[0].auth = "235 2.7.0 welcome\r\n";
    DELIVER("a@three.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(str_starts_with(w->delivery.results[0].tls, STR("TLSv1.3 ")));
    world_teardown(state);
}

/* A server of ours that wants a login is a fault of ours: nothing bounces. */
static void
test_login_wanted_and_not_configured(void **state)
{
    struct world *w = login_world(state, "none");
    w->manners[0].mail = "530 5.7.0 Authentication required\r\n";
    DELIVER("a@one.example");
    EXPECT("deferred 530 5.7.0");
    DELIVER("a@alive.example");
    EXPECT("failed 530 5.7.0");
    world_teardown(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_no_password),
        cmocka_unit_test(test_login_needs_tls),
        cmocka_unit_test(test_login_wanted_and_not_configured),
    };
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_KEYVALUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
