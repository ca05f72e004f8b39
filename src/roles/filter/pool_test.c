#include "roles/filter/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "roles/filter/job.h"

#define JOBS 20000u

static atomic_size_t worked;
static atomic_size_t dirty; /* arenas that were not empty */

static void
count_job(struct filter_job *job, struct arena *arena)
{
    if (arena_used(arena) != 0 || arena_alloc(arena, 100) == NULL) {
        atomic_fetch_add(&dirty, 1);
    }
    job->request++; /* each job belongs to one worker */
    atomic_fetch_add(&worked, 1);
}

static void
test_each_job_is_worked_once(void **state)
{
    struct filter_job *jobs = calloc(JOBS, sizeof *jobs);
    (void)state;
    for (size_t threads = 1; threads <= 8; threads *= 2) {
        atomic_store(&worked, 0);
        struct pool *pool = pool_create(threads, 65536, count_job);
        assert_non_null(pool);
        for (size_t i = 0; i < JOBS; i++) {
            jobs[i].request = 0;
            pool_add(pool, &jobs[i]);
        }
        pool_destroy(&pool); /* works off what is queued */
        assert_null(pool);
        assert_int_equal(atomic_load(&worked), JOBS);
        for (size_t i = 0; i < JOBS; i++) {
            assert_int_equal(jobs[i].request, 1);
        }
    }
    assert_int_equal(atomic_load(&dirty), 0);
    free(jobs);
}

static pthread_barrier_t together;

static void
meet_others(struct filter_job *job, struct arena *arena)
{
    (void)job;
    (void)arena;
    pthread_barrier_wait(&together);
}

/* A job that waits keeps one worker; as many run at once as there are threads. */
static void
test_jobs_run_side_by_side(void **state)
{
    struct filter_job jobs[4] = {0};
    struct pool *pool = pool_create(4, 65536, meet_others);
    (void)state;
    pthread_barrier_init(&together, NULL, 4);
    for (size_t i = 0; i < 4; i++) {
        pool_add(pool, &jobs[i]);
    }
    pool_destroy(&pool); /* hangs if fewer than four meet */
    pthread_barrier_destroy(&together);
}

static void
test_empty_pool(void **state)
{
    struct pool *pool = pool_create(3, 65536, count_job);
    struct pool *none = NULL;
    (void)state;
    pool_destroy(&pool);
    pool_destroy(&none);
    assert_null(pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_job_is_worked_once),
        cmocka_unit_test(test_jobs_run_side_by_side),
        cmocka_unit_test(test_empty_pool),
    };
    return cmocka_run_group_tests_name("filter pool", tests, NULL, NULL);
}
