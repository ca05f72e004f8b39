#include "roles/parent/rates.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
note(struct rates *rates, size_t place, const char *name, int64_t value)
{
    struct record_metric metric = {str_from_cstr(name), value};
    rates_note(rates, place, &metric, 1);
}

#define ACCEPTED  "edge_messages_accepted_total"
#define DELIVERED "recipients_delivered_total"

static void
test_windows(void **state)
{
    (void)state;
    struct rates rates = {.count = 0};
    int64_t now = 1000000;
    int64_t received = 0;
    rates_take(&rates, now);
    /* Ten minutes of one a second, then one minute of silence. */
    for (int i = 0; i < 120 + 12; i++) {
        now += RATES_INTERVAL_MS;
        received += i < 120 ? RATES_INTERVAL_MS / 1000 : 0;
        note(&rates, 0, ACCEPTED, received);
        rates_take(&rates, now);
        if (i == 119) {
            assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_SHORT_MS, now), 60000);
            assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_LONG_MS, now), 60000);
        }
    }
    assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_SHORT_MS, now), 0);
    assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_LONG_MS, now), 48000);
    assert_int_equal(rates_per_minute(&rates, RATE_DELIVERED, RATES_LONG_MS, now), 0);
}

static void
test_at_the_start(void **state)
{
    (void)state;
    struct rates rates = {.count = 0};
    assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_SHORT_MS, 5000), 0);
    rates_take(&rates, 5000);
    note(&rates, 0, DELIVERED, 3);
    assert_int_equal(rates_per_minute(&rates, RATE_DELIVERED, RATES_SHORT_MS, 5000), 0);
    /* Three in ten seconds are eighteen a minute, in both windows. */
    assert_int_equal(rates_per_minute(&rates, RATE_DELIVERED, RATES_SHORT_MS, 15000), 18000);
    assert_int_equal(rates_per_minute(&rates, RATE_DELIVERED, RATES_LONG_MS, 15000), 18000);
}

static void
test_processes_and_restarts(void **state)
{
    (void)state;
    struct rates rates = {.count = 0};
    rates_take(&rates, 0);
    note(&rates, 0, ACCEPTED, 10);
    note(&rates, 1, ACCEPTED, 5);
    note(&rates, 0, ACCEPTED, 2); /* another process in its place */
    note(&rates, 1, "edge_recipients_refused_total", 0);
    note(&rates, RATES_PROCESSES_MAX, ACCEPTED, 100);
    assert_int_equal(rates_per_minute(&rates, RATE_RECEIVED, RATES_SHORT_MS, 60000), 17000);
    struct record_metric both[] = {{STR("edge_recipients_refused_total"), 2},
                                   {STR("edge_refused_early_talk_total"), 3},
                                   {STR("queue_messages"), 1000}};
    rates_note(&rates, 2, both, 3);
    assert_int_equal(rates_per_minute(&rates, RATE_REFUSED, RATES_SHORT_MS, 60000), 5000);
}

static void
test_days(void **state)
{
    (void)state;
    struct rates rates = {.count = 0};
    rates_day(&rates, 20000);
    note(&rates, 0, DELIVERED, 7);
    note(&rates, 1, "recipients_failed_total", 1);
    note(&rates, 2, "recipients_expired_total", 2);
    note(&rates, 3, "edge_messages_refused_total", 4);
    rates_day(&rates, 20000);
    assert_int_equal(rates_today(&rates, RATE_DELIVERED), 7);
    assert_int_equal(rates_today(&rates, RATE_FAILED), 3);
    assert_int_equal(rates_today(&rates, RATE_REJECTED), 4);
    rates_day(&rates, 20001);
    assert_int_equal(rates_today(&rates, RATE_DELIVERED), 0);
    note(&rates, 0, DELIVERED, 9);
    note(&rates, 0, DELIVERED, 1); /* started again */
    assert_int_equal(rates_today(&rates, RATE_DELIVERED), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_at_the_start),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_processes_and_restarts),
    };
    return cmocka_run_group_tests_name("parent rates", tests, NULL, NULL);
}
