#include "roles/edge/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define TURN_MS ((int64_t)WHEEL_SLOTS * WHEEL_TICK_MS)
#define MANY    2000

struct seen {
    struct wheel *wheel;
    struct wheel_entry *clear; /* cleared when the first entry is due */
    int64_t again_ms;          /* set anew so much later, once */
    int64_t now_ms;
    size_t count;
    bool early;
};

static void
on_due(void *context, struct wheel_entry *entry)
{
    struct seen *seen = context;
    seen->count++;
    seen->early |= entry->deadline_ms > seen->now_ms;
    if (seen->clear != NULL) {
        wheel_clear(seen->wheel, seen->clear);
        seen->clear = NULL;
    }
    if (seen->again_ms > 0) {
        wheel_set(seen->wheel, entry, seen->now_ms + seen->again_ms);
        seen->again_ms = 0;
    }
}

static void
turn_to(struct seen *seen, int64_t now_ms)
{
    seen->now_ms = now_ms;
    wheel_turn(seen->wheel, now_ms, on_due, seen);
}

static void
deadlines_are_met(void **state)
{
    static const int64_t waits[] = {0,    1,       49,          50,          51,         200,
                                    5000, TURN_MS, TURN_MS + 1, TURN_MS - 1, 3 * TURN_MS};
    (void)state;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        struct wheel wheel;
        struct wheel_entry entry = {.next = NULL};
        struct seen seen = {.wheel = &wheel};
        int64_t now = 123456;
        wheel_init(&wheel, now);
        wheel_set(&wheel, &entry, now + waits[i]);
        int64_t end = now + waits[i] + 2 * WHEEL_TICK_MS;
        for (; now < end; now += 7) {
            turn_to(&seen, now);
        }
        assert_int_equal(seen.count, 1);
        assert_false(seen.early);
        assert_int_equal(wheel.count, 0);
    }
}

static void
a_long_pause_misses_nothing(void **state)
{
    struct wheel wheel;
    static struct wheel_entry entries[MANY];
    struct seen seen = {.wheel = &wheel};
    (void)state;
    wheel_init(&wheel, 0);
    for (int64_t i = 0; i < MANY; i++) {
        wheel_set(&wheel, &entries[i], i * 97);
    }
    turn_to(&seen, 1000 * 97 + 2 * WHEEL_TICK_MS);
    assert_true(seen.count >= 1000 && seen.count <= 1002);
    turn_to(&seen, 100 * TURN_MS);
    assert_int_equal(seen.count, MANY);
    assert_false(seen.early);
    assert_int_equal(wheel.count, 0);
}

static void
deadlines_can_be_moved_and_cleared(void **state)
{
    struct wheel wheel;
    struct wheel_entry a = {.next = NULL};
    struct wheel_entry b = {.next = NULL};
    struct wheel_entry c = {.next = NULL};
    struct seen seen = {.wheel = &wheel};
    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &a, 100);
    wheel_set(&wheel, &b, 100);
    wheel_set(&wheel, &c, 100);
    wheel_set(&wheel, &b, 5000);
    wheel_clear(&wheel, &c);
    wheel_clear(&wheel, &c);
    turn_to(&seen, 200);
    assert_int_equal(seen.count, 1);
    turn_to(&seen, 5100);
    assert_int_equal(seen.count, 2);
    assert_int_equal(wheel.count, 0);
}

/* c is due first (it was put in last), clears b of the same slot, and a follows. */
static void
entries_can_be_cleared_while_turning(void **state)
{
    struct wheel wheel;
    struct wheel_entry a = {.next = NULL};
    struct wheel_entry b = {.next = NULL};
    struct wheel_entry c = {.next = NULL};
    struct seen seen = {.wheel = &wheel, .clear = &b, .again_ms = TURN_MS};
    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &a, 100);
    wheel_set(&wheel, &b, 100);
    wheel_set(&wheel, &c, 100);
    turn_to(&seen, 150);
    assert_int_equal(seen.count, 2);
    assert_int_equal(wheel.count, 1);
    turn_to(&seen, 150 + TURN_MS + WHEEL_TICK_MS);
    assert_int_equal(seen.count, 3);
    assert_int_equal(wheel.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_are_met),
        cmocka_unit_test(a_long_pause_misses_nothing),
        cmocka_unit_test(deadlines_can_be_moved_and_cleared),
        cmocka_unit_test(entries_can_be_cleared_while_turning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
