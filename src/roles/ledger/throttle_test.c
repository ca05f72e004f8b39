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

/* Somebody at an address that is full of failures comes in where he has been before. */
static void
an_office_is_not_locked_out(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    assert_true(begin(t, "bob", "192.0.2.1", 0));
    end(t, "bob", "192.0.2.1", true, 0);
    for (int i = 0; i < 2; i++) { /* two people who have left, and their telephones */
        assert_true(begin(t, "gone", "192.0.2.1", 1));
        assert_true(begin(t, "left", "192.0.2.1", 1));
    }
    assert_true(begin(t, "gone", "192.0.2.1", 1));
    assert_false(begin(t, "left", "192.0.2.1", 2));
    assert_false(begin(t, "new", "192.0.2.1", 2));
    for (int i = 0; i < 10; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", 3));
        end(t, "bob", "192.0.2.1", true, 3);
    }
    assert_false(begin(t, "new", "192.0.2.1", 4)); /* his logins give nobody more guesses */
    /* He who has left after he had logged in stops himself only. */
    assert_true(begin(t, "old", "192.0.2.9", 0));
    end(t, "old", "192.0.2.9", true, 0);
    for (int i = 0; i < 5; i++) {
        assert_true(begin(t, "old", "192.0.2.9", 5));
    }
    assert_false(begin(t, "old", "192.0.2.9", 6));
    assert_true(begin(t, "new", "192.0.2.9", 6));
    assert_true(begin(t, "old", "192.0.2.10", 6));
    throttle_destroy(&t);
}

static void
zones_can_be_exempt(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    struct throttle_limits office = limits;
    struct ip_address address = ip("192.0.2.1");
    char user[16];
    office.exempt = true;
    for (int i = 0; i < 20; i++) {
        snprintf(user, sizeof user, "user%d", i);
        assert_true(throttle_begin(t, &office, str_from_cstr(user), &address, 0));
    }
    for (int i = 0; i < 5; i++) {
        assert_true(throttle_begin(t, &office, STR("gone"), &address, 0));
    }
    assert_false(throttle_begin(t, &office, STR("gone"), &address, 0));
    assert_true(throttle_begin(t, &office, STR("bob"), &address, 0));
    throttle_destroy(&t);
}

static void
assert_locks(struct throttle *t, int64_t now_ms, const char *want)
{
    struct throttle_lock locks[8];
    char got[512] = "";
    size_t n = throttle_locks(t, &limits, now_ms, 8, locks);
    assert_in_range(n, 0, 8);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%.*s@%.*s %u %d;", STR_ARG(locks[i].user),
                 STR_ARG(locks[i].address), locks[i].failures, (int)locks[i].until_ms);
    }
    assert_string_equal(got, want);
}

static void
locks_are_told_and_lifted(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    assert_locks(t, 0, "");
    assert_true(begin(t, "bob", "192.0.2.1", 0));
    assert_true(begin(t, "bob", "192.0.2.2", 1));
    assert_locks(t, 1, "");
    assert_true(begin(t, "bob", "192.0.2.3", 2));
    assert_locks(t, 2, "bob@ 3 60000;");
    for (int i = 0; i < 5; i++) {
        char user[16];
        snprintf(user, sizeof user, "user%d", i);
        assert_true(begin(t, user, "2001:db8:0:1::7", 10));
    }
    assert_true(begin(t, "jack", "192.0.2.4", 10));
    end(t, "jack", "192.0.2.4", true, 10);
    for (int i = 0; i < 5; i++) {
        assert_true(begin(t, "jack", "192.0.2.4", 11));
    }
    assert_locks(t, 12, "bob@ 3 60000;@2001:db8:0:1::/64 5 60010;jack@192.0.2.4 5 60011;");
    assert_int_equal(throttle_locks(t, &limits, 12, 0, NULL), 3);
    assert_int_equal(throttle_lift(t, STR("nobody")), 0);
    assert_int_equal(throttle_lift(t, STR("bob")), 1);
    assert_true(begin(t, "bob", "192.0.2.5", 12));
    assert_locks(t, 12, "@2001:db8:0:1::/64 5 60010;jack@192.0.2.4 5 60011;");
    assert_int_equal(throttle_lift(t, STR("2001:db8:0:1::/64")), 1);
    assert_true(begin(t, "bob", "2001:db8:0:1::9", 12));
    assert_int_equal(throttle_lift(t, STR("jack")), 1);
    assert_true(begin(t, "jack", "192.0.2.4", 12));
    assert_locks(t, 12, "");
    assert_true(begin(t, "bob", "192.0.2.6", 13));
    assert_false(begin(t, "bob", "192.0.2.6", 13));
    assert_locks(t, 70000, ""); /* their time is over */
    assert_int_equal(throttle_lift(t, STR("")), 1);
    assert_true(begin(t, "bob", "192.0.2.6", 14));
    throttle_destroy(&t);
}

static void
names_of_locks_are_bounded(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    struct ip_address address = ip("192.0.2.1");
    struct throttle_limits office = limits;
    char user[32];
    office.exempt = true;
    for (unsigned i = 0; i < THROTTLE_NAMES_MAX + 10; i++) {
        snprintf(user, sizeof user, "user%u", i);
        for (int k = 0; k < 5; k++) {
            assert_true(throttle_begin(t, &office, str_from_cstr(user), &address, 0));
        }
        assert_false(throttle_begin(t, &office, str_from_cstr(user), &address, 0));
    }
    assert_int_equal(throttle_locks(t, &limits, 0, 0, NULL), THROTTLE_NAMES_MAX);
    for (int k = 0; k < 3; k++) { /* when they are over there is room for others */
        assert_true(throttle_begin(t, &limits, STR("bob"), &address, 70000));
    }
    assert_int_equal(throttle_locks(t, &limits, 70000, 0, NULL), 1);
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

/* An entry that gives way takes its name along: there is room for the names of others then. */
static void
names_go_with_their_entries(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    struct ip_address address = ip("192.0.2.1");
    struct throttle_limits office = limits;
    char user[32];
    office.exempt = true;
    for (unsigned i = 0; i < THROTTLE_NAMES_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        for (int k = 0; k < 5; k++) {
            assert_true(throttle_begin(t, &office, str_from_cstr(user), &address, 0));
        }
    }
    for (unsigned i = 0; i < THROTTLE_ENTRIES_MAX; i++) {
        snprintf(user, sizeof user, "other%u", i);
        assert_true(throttle_begin(t, &office, str_from_cstr(user), &address, 0));
    }
    assert_int_equal(throttle_locks(t, &limits, 0, 0, NULL), 0);
    for (int k = 0; k < 3; k++) {
        assert_true(begin(t, "bob", "192.0.2.2", 0));
    }
    assert_locks(t, 0, "bob@ 3 60000;");
    throttle_destroy(&t);
}

/* What no longer counts is not lifted, and not counted as lifted. */
static void
nothing_is_lifted_twice(void **state)
{
    (void)state;
    struct throttle *t = throttle_create();
    struct ip_address address = ip("192.0.2.1");
    for (int i = 0; i < 3; i++) {
        assert_true(begin(t, "bob", "192.0.2.1", 0));
    }
    for (int i = 0; i < 3; i++) {
        throttle_uncount(t, STR("bob"), &address, false, 1);
    }
    assert_int_equal(throttle_lift(t, STR("")), 0);
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
        cmocka_unit_test(an_office_is_not_locked_out),
        cmocka_unit_test(zones_can_be_exempt),
        cmocka_unit_test(locks_are_told_and_lifted),
        cmocka_unit_test(names_of_locks_are_bounded),
        cmocka_unit_test(names_go_with_their_entries),
        cmocka_unit_test(nothing_is_lifted_twice),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
