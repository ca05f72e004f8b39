/* When the clerk's jobs are due, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "roles/clerk/schedule.h"

#define START 1000000

/* The jobs that are due at that time, as bits; each is marked as running. */
static unsigned
take_all(struct schedule *schedule, int64_t now_ms)
{
    unsigned taken = 0;
    size_t job;
    while (schedule_take(schedule, now_ms, &job)) {
        assert_false((taken & 1u << job) != 0);
        taken |= 1u << job;
    }
    return taken;
}

static void
add(struct schedule *schedule, size_t count, const int64_t *intervals)
{
    for (size_t i = 0; i < count; i++) {
        schedule_add(schedule, intervals[i], START);
    }
}

static void
test_due_at_the_start_and_by_interval(void **state)
{
    struct schedule schedule = {0};
    (void)state;
    assert_int_equal(schedule_wait_ms(&schedule, START), -1);
    add(&schedule, 2, (const int64_t[]){30000, 100000});
    assert_int_equal(schedule_wait_ms(&schedule, START), 0);
    assert_int_equal(take_all(&schedule, START), 3);
    assert_int_equal(schedule_wait_ms(&schedule, START), -1); /* both run */
    /* The interval counts from the beginning, however long the job takes. */
    assert_false(schedule_end(&schedule, 0, true, START + 20000));
    assert_false(schedule_end(&schedule, 1, true, START + 20000));
    assert_int_equal(schedule_wait_ms(&schedule, START + 20000), 10000);
    assert_int_equal(take_all(&schedule, START + 29999), 0);
    assert_int_equal(take_all(&schedule, START + 30000), 1);
    assert_false(schedule_end(&schedule, 0, true, START + 30001));
    assert_int_equal(schedule_wait_ms(&schedule, START + 30001), 29999);
}

/* What was missed while the machine slept is done once. */
static void
test_nothing_is_made_up_for(void **state)
{
    struct schedule schedule = {0};
    (void)state;
    add(&schedule, 1, (const int64_t[]){30000});
    for (int64_t now = START; now < START + 10000000; now += 1000000) {
        assert_int_equal(take_all(&schedule, now), 1);
        assert_false(schedule_end(&schedule, 0, true, now + 1));
        assert_int_equal(take_all(&schedule, now + 1), 0);
    }
}

static void
test_no_job_runs_twice_at_a_time(void **state)
{
    struct schedule schedule = {0};
    (void)state;
    add(&schedule, 1, (const int64_t[]){30000});
    assert_int_equal(take_all(&schedule, START), 1);
    assert_int_equal(take_all(&schedule, START + 1000000), 0);
    schedule_hasten(&schedule, START + 1000000);
    assert_int_equal(take_all(&schedule, START + 1000000), 0);
    assert_false(schedule_end(&schedule, 0, true, START + 1000000));
    assert_int_equal(take_all(&schedule, START + 1000000), 1);
}

static void
test_failures(void **state)
{
    struct schedule schedule = {0};
    (void)state;
    add(&schedule, 3, (const int64_t[]){30000, 2000, 30000});
    assert_int_equal(take_all(&schedule, START), 7);
    assert_true(schedule_end(&schedule, 0, false, START + 10)); /* news */
    assert_true(schedule_end(&schedule, 1, false, START + 10));
    assert_false(schedule_end(&schedule, 2, true, START + 10));
    /* Soon again, sooner where the interval is shorter; and not before. */
    assert_int_equal(schedule_wait_ms(&schedule, START + 10), 2000);
    assert_int_equal(take_all(&schedule, START + 2009), 0);
    assert_int_equal(take_all(&schedule, START + 2010), 2);
    assert_int_equal(take_all(&schedule, START + SCHEDULE_RETRY_MS + 9), 0);
    assert_int_equal(take_all(&schedule, START + SCHEDULE_RETRY_MS + 10), 1);
    assert_false(schedule_end(&schedule, 0, false, START + 6000)); /* known already */
    assert_true(schedule_end(&schedule, 1, true, START + 6000));   /* done again */
    /* Who it waits for is there again: what failed is due, and nothing else. */
    schedule_hasten(&schedule, START + 6001);
    assert_int_equal(take_all(&schedule, START + 6001), 1 | 2 /* its interval has passed */);
    assert_true(schedule_end(&schedule, 0, true, START + 6002));
    assert_false(schedule_end(&schedule, 1, true, START + 6002));
    schedule_hasten(&schedule, START + 6003);
    assert_int_equal(take_all(&schedule, START + 6003), 0);
}

static void
test_overdue(void **state)
{
    struct schedule schedule = {0};
    int64_t const late = START + 30000 + SCHEDULE_OVERDUE_MS;
    (void)state;
    add(&schedule, 2, (const int64_t[]){30000, 30000});
    assert_int_equal(take_all(&schedule, START), 3);
    assert_true(schedule_end(&schedule, 1, false, late)); /* fails; 0 hangs */
    for (size_t job = 0; job < 2; job++) {
        assert_false(schedule_is_overdue(&schedule, job, late));
        assert_true(schedule_is_overdue(&schedule, job, late + 1));
    }
    assert_false(schedule_end(&schedule, 0, true, late + 1));
    assert_false(schedule_is_overdue(&schedule, 0, late + 1));
    assert_true(schedule_is_overdue(&schedule, 1, late + 1));
}

static void
test_no_more_jobs_than_there_is_room(void **state)
{
    struct schedule schedule = {0};
    (void)state;
    for (size_t i = 0; i < SCHEDULE_JOBS_MAX + 3; i++) {
        schedule_add(&schedule, 1000, START);
    }
    assert_int_equal(schedule.count, SCHEDULE_JOBS_MAX);
    assert_int_equal(take_all(&schedule, START), UINT32_MAX);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_at_the_start_and_by_interval),
        cmocka_unit_test(test_nothing_is_made_up_for),
        cmocka_unit_test(test_no_job_runs_twice_at_a_time),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_overdue),
        cmocka_unit_test(test_no_more_jobs_than_there_is_room),
    };
    return cmocka_run_group_tests_name("clerk schedule", tests, NULL, NULL);
}
