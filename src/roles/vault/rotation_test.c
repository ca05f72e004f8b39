/* The stages of a key: tables of answers and clocks, got against want. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "roles/vault/rotation.h"

#define MINUTE 60000LL
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    (1000 * DAY)

static const struct rotation_settings settings = {
    .publish_wait_ms = HOUR, .retire_after_ms = 7 * DAY, .rotate_after_ms = 180 * DAY};

static struct vault_key
key_in(enum key_state state)
{
    struct vault_key key = {.number = 1,
                            .domain = "kartapuce.com",
                            .selector = "a",
                            .algorithm = CRYPTO_RSA_SHA256,
                            .state = state,
                            .created_ms = NOW - 400 * DAY};
    key.published_ms = state == KEY_PUBLISHED ? NOW - 2 * HOUR : 0;
    key.activated_ms = state >= KEY_ACTIVE ? NOW - 100 * DAY : 0;
    key.retiring_ms = state >= KEY_RETIRING ? NOW - 8 * DAY : 0;
    return key;
}

/* One answer of the DNS, in every state: only KEY_SEEN_SHOWN and _TESTING may bring a key on. */
static void
answers(void **test_state)
{
    static const struct {
        enum key_state state;
        enum key_state shown;   /* after an answer that shows it */
        enum key_state missing; /* after one that shows something else */
        enum key_state absent;
        enum key_state unknown; /* after no answer, or a bogus one */
    } rows[] = {
        {KEY_PENDING, KEY_PUBLISHED, KEY_PENDING, KEY_PENDING, KEY_PENDING},
        {KEY_PUBLISHED, KEY_ACTIVE, KEY_PENDING, KEY_PENDING, KEY_PUBLISHED},
        {KEY_ACTIVE, KEY_ACTIVE, KEY_ACTIVE, KEY_ACTIVE, KEY_ACTIVE},
        {KEY_RETIRING, KEY_RETIRING, KEY_RETIRING, KEY_RETIRING, KEY_RETIRING},
        {KEY_RETIRED, KEY_RETIRED, KEY_RETIRED, KEY_REMOVED, KEY_RETIRED},
    };
    (void)test_state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (enum key_seen seen = KEY_SEEN_SHOWN; seen < KEY_SEEN_COUNT; seen++) {
            struct vault_key key = key_in(rows[i].state);
            unsigned missing = 0;
            enum key_state want = key_seen_is_shown(seen)     ? rows[i].shown
                                  : seen == KEY_SEEN_ABSENT   ? rows[i].absent
                                  : key_seen_is_missing(seen) ? rows[i].missing
                                                              : rows[i].unknown;
            if (rows[i].state == KEY_RETIRED && seen == KEY_SEEN_REVOKED) {
                want = KEY_REMOVED;
            }
            rotation_on_dns(&key, seen, NOW, &settings, &missing);
            if (key.state != want || key.seen != seen || key.checked_ms != NOW) {
                fail_msg("%s, %s: %s, not %s", key_state_name(rows[i].state), key_seen_name(seen),
                         key_state_name(key.state), key_state_name(want));
            }
        }
    }
}

/* A line of answers; at each its event. */
struct step {
    int64_t at; /* after NOW */
    enum key_seen seen;
    enum rotation_event event;
    enum key_state state;
};

static void
run_steps(struct vault_key *key, const struct step *steps, size_t count)
{
    unsigned missing = 0;
    for (size_t i = 0; i < count; i++) {
        enum rotation_event event =
            rotation_on_dns(key, steps[i].seen, NOW + steps[i].at, &settings, &missing);
        if (event != steps[i].event || key->state != steps[i].state) {
            fail_msg("step %zu: event %d and %s, not %d and %s", i, event,
                     key_state_name(key->state), steps[i].event, key_state_name(steps[i].state));
        }
    }
}

#define RUN(key, steps) run_steps(key, steps, sizeof(steps) / sizeof(steps)[0])

static void
the_way_to_active(void **state)
{
    static const struct step steps[] = {
        {0, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_PENDING},
        {10 * MINUTE, KEY_SEEN_FAILED, ROTATION_NOTHING, KEY_PENDING},
        {20 * MINUTE, KEY_SEEN_DIFFERENT, ROTATION_NOTHING, KEY_PENDING},
        {30 * MINUTE, KEY_SEEN_SHOWN, ROTATION_PUBLISHED, KEY_PUBLISHED},
        {60 * MINUTE, KEY_SEEN_SHOWN, ROTATION_NOTHING, KEY_PUBLISHED},
        /* A server that has not got it yet: the wait begins anew. */
        {80 * MINUTE, KEY_SEEN_ABSENT, ROTATION_WITHDRAWN, KEY_PENDING},
        {90 * MINUTE, KEY_SEEN_SHOWN, ROTATION_PUBLISHED, KEY_PUBLISHED},
        {149 * MINUTE, KEY_SEEN_SHOWN, ROTATION_NOTHING, KEY_PUBLISHED},
        /* The time is over, but nobody knows what the DNS shows. */
        {150 * MINUTE, KEY_SEEN_BOGUS, ROTATION_NOTHING, KEY_PUBLISHED},
        {151 * MINUTE, KEY_SEEN_FAILED, ROTATION_NOTHING, KEY_PUBLISHED},
        {160 * MINUTE, KEY_SEEN_SHOWN, ROTATION_ACTIVATED, KEY_ACTIVE},
    };
    struct vault_key key = key_in(KEY_PENDING);
    (void)state;
    RUN(&key, steps);
    assert_int_equal(key.activated_ms, NOW + 160 * MINUTE);
    assert_int_equal(key.published_ms, NOW + 90 * MINUTE);
}

static void
without_a_wait_one_answer_is_enough(void **state)
{
    static const struct rotation_settings at_once = {.retire_after_ms = DAY};
    struct vault_key key = key_in(KEY_PENDING);
    unsigned missing = 0;
    (void)state;
    assert_int_equal(rotation_on_dns(&key, KEY_SEEN_FAILED, NOW, &at_once, &missing),
                     ROTATION_NOTHING);
    assert_int_equal(rotation_on_dns(&key, KEY_SEEN_SHOWN, NOW, &at_once, &missing),
                     ROTATION_ACTIVATED);
}

static void
an_active_key_that_is_gone_stops_after_an_hour(void **state)
{
    static const struct step steps[] = {
        {0, KEY_SEEN_ABSENT, ROTATION_MISSING, KEY_ACTIVE},
        {10 * MINUTE, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_ACTIVE},
        {20 * MINUTE, KEY_SEEN_FAILED, ROTATION_NOTHING, KEY_ACTIVE}, /* does not count */
        {30 * MINUTE, KEY_SEEN_REVOKED, ROTATION_NOTHING, KEY_ACTIVE},
        {40 * MINUTE, KEY_SEEN_DIFFERENT, ROTATION_NOTHING, KEY_ACTIVE},
        {50 * MINUTE, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_ACTIVE},
        {55 * MINUTE, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_ACTIVE}, /* six, not an hour */
        {60 * MINUTE, KEY_SEEN_BOGUS, ROTATION_NOTHING, KEY_ACTIVE},
        {61 * MINUTE, KEY_SEEN_ABSENT, ROTATION_STOPPED, KEY_PENDING},
        {70 * MINUTE, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_PENDING},
        {80 * MINUTE, KEY_SEEN_SHOWN, ROTATION_PUBLISHED, KEY_PUBLISHED},
        {141 * MINUTE, KEY_SEEN_SHOWN, ROTATION_ACTIVATED, KEY_ACTIVE},
        {150 * MINUTE, KEY_SEEN_ABSENT, ROTATION_MISSING, KEY_ACTIVE}, /* counted anew */
    };
    struct vault_key key = key_in(KEY_ACTIVE);
    (void)state;
    RUN(&key, steps);
}

static void
two_checks_an_hour_apart_stop_nothing(void **state)
{
    static const struct step steps[] = {
        {0, KEY_SEEN_ABSENT, ROTATION_MISSING, KEY_ACTIVE},
        {2 * HOUR, KEY_SEEN_ABSENT, ROTATION_NOTHING, KEY_ACTIVE},
        {2 * HOUR + 1, KEY_SEEN_SHOWN, ROTATION_RETURNED, KEY_ACTIVE},
        {3 * HOUR, KEY_SEEN_SHOWN, ROTATION_NOTHING, KEY_ACTIVE},
    };
    struct vault_key key = key_in(KEY_ACTIVE);
    (void)state;
    RUN(&key, steps);
    assert_int_equal(key.missing_ms, 0);
}

static void
time_retires(void **state)
{
    struct vault_key key = key_in(KEY_RETIRING);
    (void)state;
    key.retiring_ms = NOW;
    assert_int_equal(rotation_on_time(&key, NOW + 7 * DAY - 1, &settings), ROTATION_NOTHING);
    assert_int_equal(rotation_on_time(&key, NOW + 7 * DAY, &settings), ROTATION_RETIRED);
    assert_int_equal(key.state, KEY_RETIRED);
    assert_int_equal(key.retired_ms, NOW + 7 * DAY);
    assert_int_equal(rotation_on_time(&key, NOW + 99 * DAY, &settings), ROTATION_NOTHING);
}

static void
what_a_fresh_key_replaces(void **state)
{
    static const struct {
        const char *domain;
        enum crypto_algorithm algorithm;
        enum key_state state;
        uint64_t number;
        enum rotation_event event;
    } rows[] = {
        {"kartapuce.com", CRYPTO_RSA_SHA256, KEY_ACTIVE, 2, ROTATION_REPLACED},
        {"kartapuce.com", CRYPTO_RSA_SHA256, KEY_ACTIVE, 1, ROTATION_NOTHING}, /* itself */
        {"kartapuce.com", CRYPTO_ED25519_SHA256, KEY_ACTIVE, 2, ROTATION_NOTHING},
        {"far.example", CRYPTO_RSA_SHA256, KEY_ACTIVE, 2, ROTATION_NOTHING},
        {"kartapuce.com", CRYPTO_RSA_SHA256, KEY_PENDING, 2, ROTATION_NOTHING},
        {"kartapuce.com", CRYPTO_RSA_SHA256, KEY_RETIRING, 2, ROTATION_NOTHING},
    };
    struct vault_key fresh = key_in(KEY_ACTIVE);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vault_key old = key_in(rows[i].state);
        snprintf(old.domain, sizeof old.domain, "%s", rows[i].domain);
        old.algorithm = rows[i].algorithm;
        old.number = rows[i].number;
        assert_int_equal(rotation_replace(&old, &fresh, NOW), rows[i].event);
        assert_int_equal(old.state,
                         rows[i].event == ROTATION_REPLACED ? KEY_RETIRING : rows[i].state);
    }
}

static void
an_administrator_retires(void **state)
{
    static const struct {
        enum key_state state;
        bool at_once;
        bool has_signed;
        enum rotation_event event;
        enum key_state want;
    } rows[] = {
        {KEY_PENDING, false, false, ROTATION_RETIRED, KEY_RETIRED},
        {KEY_PENDING, false, true, ROTATION_REPLACED, KEY_RETIRING}, /* stopped before */
        {KEY_PUBLISHED, false, false, ROTATION_RETIRED, KEY_RETIRED},
        {KEY_ACTIVE, false, true, ROTATION_REPLACED, KEY_RETIRING},
        {KEY_ACTIVE, true, true, ROTATION_RETIRED, KEY_RETIRED},
        {KEY_RETIRING, false, true, ROTATION_NOTHING, KEY_RETIRING},
        {KEY_RETIRING, true, true, ROTATION_RETIRED, KEY_RETIRED},
        {KEY_RETIRED, true, true, ROTATION_NOTHING, KEY_RETIRED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vault_key key = key_in(rows[i].state);
        key.activated_ms = rows[i].has_signed ? NOW - DAY : 0;
        assert_int_equal(rotation_retire(&key, rows[i].at_once, NOW), rows[i].event);
        assert_int_equal(key.state, rows[i].want);
    }
}

static void
successors_come_in_time(void **state)
{
    static const struct {
        int64_t rotate_after;
        int64_t age;
        enum key_state state;
        bool want;
    } rows[] = {
        {0, 1000 * DAY, KEY_ACTIVE, false},
        {180 * DAY, 165 * DAY, KEY_ACTIVE, false},
        {180 * DAY, 166 * DAY - HOUR, KEY_ACTIVE, true}, /* 14 days and publish_wait before */
        {180 * DAY, 500 * DAY, KEY_PENDING, false},
        {180 * DAY, 500 * DAY, KEY_RETIRING, false},
        {4 * HOUR, 2 * HOUR - 1, KEY_ACTIVE, false},
        {4 * HOUR, 2 * HOUR, KEY_ACTIVE, true}, /* a quarter and publish_wait before */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rotation_settings s = settings;
        struct vault_key key = key_in(rows[i].state);
        s.rotate_after_ms = rows[i].rotate_after;
        key.activated_ms = NOW - rows[i].age;
        assert_int_equal(rotation_wants_successor(&key, NOW, &s), rows[i].want);
    }
}

static void
how_often_the_dns_is_asked(void **state)
{
    static const struct {
        enum key_state state;
        int64_t age;
        int64_t publish_wait;
        int64_t want;
    } rows[] = {
        {KEY_PENDING, MINUTE, HOUR, MINUTE}, {KEY_PENDING, 2 * DAY, HOUR, 10 * MINUTE},
        {KEY_PENDING, MINUTE, 0, 1000},      {KEY_PUBLISHED, DAY, HOUR, 5 * MINUTE},
        {KEY_PUBLISHED, DAY, 8000, 2000},    {KEY_ACTIVE, DAY, HOUR, 10 * MINUTE},
        {KEY_RETIRING, DAY, HOUR, 0},        {KEY_RETIRED, DAY, HOUR, DAY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rotation_settings s = settings;
        struct vault_key key = key_in(rows[i].state);
        s.publish_wait_ms = rows[i].publish_wait;
        key.created_ms = NOW - rows[i].age;
        assert_int_equal(rotation_check_interval(&key, NOW, &s), rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(the_way_to_active),
        cmocka_unit_test(without_a_wait_one_answer_is_enough),
        cmocka_unit_test(an_active_key_that_is_gone_stops_after_an_hour),
        cmocka_unit_test(two_checks_an_hour_apart_stop_nothing),
        cmocka_unit_test(time_retires),
        cmocka_unit_test(what_a_fresh_key_replaces),
        cmocka_unit_test(an_administrator_retires),
        cmocka_unit_test(successors_come_in_time),
        cmocka_unit_test(how_often_the_dns_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
