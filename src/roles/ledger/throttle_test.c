/* Guessing is slowed down, users are not locked out, memory is bounded; with a clock of its own. */
#include "roles/ledger/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct throttle_limits limits = {
    .failures_per_user = 3,
    .failures_per_address = 5,
    .window_ms = 60000,
};

static struct ip_address
ip(const char *text)
{
    struct ip_address address;
    assert_int_equal(ip_parse(str_from_cstr(text), &address), STATUS_OK);
    return address;
}

static bool
begin(struct throttle *throttle, const char *user, const char *client, int64_t now_ms)
{
    struct ip_address address = ip(client);
    bool open = throttle_is_open(throttle, &limits, str_from_cstr(user), &address, now_ms);
    bool begun = throttle_begin(throttle, &limits, str_from_cstr(user), &address, now_ms);
    assert_int_equal(open, begun);
    return begun;
}

static void
end(struct throttle *throttle, const char *user, const char *client, bool login, int64_t now_ms)
{
    struct ip_address address = ip(client);
    throttle_uncount(throttle, str_from_cstr(user), &address, login, now_ms);
}

static void
users_have_a_limit(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    assert_true(begin(t, "bob", "192.0.2.1", 0));
    assert_true(begin(t, "bob", "192.0.2.2", 10));
    assert_true(begin(t, "bob", "192.0.2.3", 20));
    assert_false(begin(t, "bob", "192.0.2.4", 30));
    assert_true(begin(t, "jack", "192.0.2.4", 40));
    assert_false(begin(t, "bob", "192.0.2.4", 59999));
    assert_true(begin(t, "bob", "192.0.2.4", 60000)); /* the window began with the first */
    throttle_destroy(&t);
}

static void
addresses_have_a_limit(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    char user[16];
    for (int i = 0; i < 5; i++) {
        snprintf(user, sizeof user, "user%d", i);
        assert_true(begin(t, user, "192.0.2.1", i));
    }
    assert_false(begin(t, "other", "192.0.2.1", 10));
    assert_true(begin(t, "other", "192.0.2.2", 10));
    assert_false(begin(t, "other", "192.0.2.1", 59999));
    assert_true(begin(t, "other", "192.0.2.1", 60000));
    throttle_destroy(&t);
}

/* Somebody with a /64 has no more guesses than somebody with one address. */
static void
ipv6_is_counted_by_network(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    char user[16];
    char client[40];
    for (int i = 0; i < 5; i++) {
        snprintf(user, sizeof user, "user%d", i);
        snprintf(client, sizeof client, "2001:db8:0:1::%d", i + 1);
        assert_true(begin(t, user, client, 0));
    }
    assert_false(begin(t, "other", "2001:db8:0:1:ffff::1", 0));
    assert_true(begin(t, "other", "2001:db8:0:2::1", 0));
    throttle_destroy(&t);
}

/* Attempts at one time are all counted before the first is decided. */
static void
parallel_attempts_are_counted(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    for (int i = 0; i < 3; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", 0));
    }
    assert_false(begin(t, "bob", "192.0.2.1", 0));
    end(t, "bob", "192.0.2.1", false, 1); /* one could not be decided */
    assert_true(begin(t, "bob", "192.0.2.1", 2));
    assert_false(begin(t, "bob", "192.0.2.1", 3));
    throttle_destroy(&t);
}

static void
logins_are_not_counted(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    for (int i = 0; i < 100; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", i));
        end(t, "bob", "192.0.2.1", true, i);
    }
    throttle_destroy(&t);
}

/* Who guesses at bob cannot keep bob out of where he has been; but gets no more guesses there. */
static void
users_are_not_locked_out(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    assert_true(begin(t, "bob", "198.51.100.7", 0));
    end(t, "bob", "198.51.100.7", true, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", 1));
    }
    assert_false(begin(t, "bob", "192.0.2.1", 2));
    assert_true(begin(t, "bob", "198.51.100.7", 2));
    end(t, "bob", "198.51.100.7", true, 2);
    for (int i = 0; i < 5; i++) {
        assert_true(begin(t, "bob", "198.51.100.7", 3));
    }
    assert_false(begin(t, "bob", "198.51.100.7", 4));
    /* known addresses are forgotten after a time, names that nobody has are never known */
    int64_t later = THROTTLE_KNOWN_MS + 10;
    for (int i = 0; i < 3; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", later));
    }
    assert_false(begin(t, "bob", "198.51.100.7", later));
    throttle_destroy(&t);
}

static void
memory_is_bounded(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    char user[32];
    for (unsigned i = 0; i < THROTTLE_ENTRIES_MAX + 1000; i++) {
        struct ip_address address = ip("192.0.2.1");
        address.octets[13] = (uint8_t)(i >> 16);
        address.octets[14] = (uint8_t)(i >> 8);
        address.octets[15] = (uint8_t)i;
        snprintf(user, sizeof user, "user%u", i);
        assert_true(throttle_begin(t, &limits, str_from_cstr(user), &address, 0));
    }
    assert_int_equal(throttle_entries(t), THROTTLE_ENTRIES_MAX);
    throttle_destroy(&t);
    throttle_destroy(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_have_a_limit),
        cmocka_unit_test(addresses_have_a_limit),
        cmocka_unit_test(ipv6_is_counted_by_network),
        cmocka_unit_test(parallel_attempts_are_counted),
        cmocka_unit_test(logins_are_not_counted),
        cmocka_unit_test(users_are_not_locked_out),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
