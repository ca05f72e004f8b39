#include "roles/relay/crew.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "roles/relay/memory.h"
#include "store/delivery.h"

/* A gate that holds tasks until the test opens it. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    unsigned inside;
    unsigned done;
    unsigned dropped;
};

struct job {
    struct relay_task task;
    struct gate *gate;
};

static void
job_run(struct relay_task *task, struct arena *arena)
{
    struct gate *gate = ((struct job *)task)->gate;
    pthread_mutex_lock(&gate->mutex);
    if (arena == NULL) {
        gate->dropped++;
    } else {
        gate->inside++;
        pthread_cond_broadcast(&gate->changed);
        while (!gate->open) {
            pthread_cond_wait(&gate->changed, &gate->mutex);
        }
        gate->inside--;
        gate->done++;
    }
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void
gate_init(struct gate *gate)
{
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

static void
gate_wait(struct gate *gate, const unsigned *count, unsigned want)
{
    pthread_mutex_lock(&gate->mutex);
    while (*count < want) {
        pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    pthread_mutex_unlock(&gate->mutex);
}

static void
gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void
test_threads_grow_to_the_most(void **state)
{
    struct gate gate;
    struct job jobs[8];
    struct relay_crew *crew = relay_crew_create(3, 65536);
    (void)state;
    gate_init(&gate);
    assert_int_equal(relay_crew_counts(crew).threads, 0);
    for (size_t i = 0; i < 8; i++) {
        jobs[i] = (struct job){{.run = job_run}, &gate};
        relay_crew_add(crew, &jobs[i].task);
    }
    gate_wait(&gate, &gate.inside, 3);
    struct relay_crew_counts counts = relay_crew_counts(crew);
    assert_int_equal(counts.threads, 3);
    assert_int_equal(counts.working, 3);
    assert_int_equal(counts.waiting, 5);
    gate_open(&gate);
    gate_wait(&gate, &gate.done, 8);
    relay_crew_destroy(&crew);
    assert_int_equal(gate.dropped, 0);
}

static void
gate_shut(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = false;
    pthread_mutex_unlock(&gate->mutex);
}

/* No task is lost when others have to wait again after none had. */
static void
test_tasks_wait_again(void **state)
{
    struct gate gate;
    struct job jobs[6];
    struct relay_crew *crew = relay_crew_create(1, 65536);
    (void)state;
    gate_init(&gate);
    for (size_t round = 0; round < 2; round++) {
        gate_shut(&gate);
        for (size_t i = 3 * round; i < 3 * round + 3; i++) {
            jobs[i] = (struct job){{.run = job_run}, &gate};
            relay_crew_add(crew, &jobs[i].task);
        }
        gate_wait(&gate, &gate.inside, 1);
        gate_open(&gate);
        gate_wait(&gate, &gate.done, 3 * (unsigned)round + 3);
    }
    assert_int_equal(relay_crew_counts(crew).waiting, 0);
    relay_crew_destroy(&crew);
    assert_int_equal(gate.dropped, 0);
}

#define CEILING 65536u

/* A task that takes most of its arena. */
struct hungry {
    struct relay_task task;
    atomic_uint *fed;
};

static void
hungry_run(struct relay_task *task, struct arena *arena)
{
    struct hungry *hungry = (struct hungry *)task;
    atomic_fetch_add(hungry->fed, arena_alloc(arena, CEILING / 4 * 3) != NULL ? 1 : 1000);
}

static void
test_each_task_has_the_whole_arena(void **state)
{
    struct hungry tasks[5];
    atomic_uint fed = 0;
    struct relay_crew *crew = relay_crew_create(1, CEILING);
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        tasks[i] = (struct hungry){{.run = hungry_run}, &fed};
        relay_crew_add(crew, &tasks[i].task);
    }
    while (relay_crew_counts(crew).waiting > 0) {
        sched_yield();
    }
    relay_crew_destroy(&crew);
    assert_int_equal(atomic_load(&fed), 5);
}

static void
test_waiting_tasks_are_dropped(void **state)
{
    struct gate gate;
    struct job jobs[4];
    struct relay_crew *crew = relay_crew_create(1, 65536);
    (void)state;
    gate_init(&gate);
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = (struct job){{.run = job_run}, &gate};
        relay_crew_add(crew, &jobs[i].task);
    }
    gate_wait(&gate, &gate.inside, 1);
    relay_crew_drop_waiting(crew);
    assert_int_equal(gate.dropped, 3);
    gate_open(&gate);
    relay_crew_destroy(&crew);
    assert_int_equal(gate.done, 1);
}

static void
test_memory(void **state)
{
    struct arena *arena = arena_create(65536);
    struct relay_memory *memory = relay_memory_create();
    struct record_delivery_result got;
    struct record_delivery_result result = {.number = 3,
                                            .outcome = DELIVERY_RELAYED,
                                            .code = 250,
                                            .enhanced = STR("2.0.0"),
                                            .text = STR("queued as 1"),
                                            .remote = STR("mx[192.0.2.1]:25"),
                                            .tls = STR("TLSv1.3")};
    struct record_delivery_result later = {.number = 4, .outcome = DELIVERY_DEFERRED};
    (void)state;
    relay_memory_add(memory, STR("0123456789ABCDEF"), &result);
    relay_memory_add(memory, STR("0123456789ABCDEF"), &later);
    assert_true(relay_memory_find(memory, arena, STR("0123456789ABCDEF"), 3, &got));
    assert_int_equal(got.number, 3);
    assert_int_equal(got.outcome, DELIVERY_RELAYED);
    assert_int_equal(got.code, 250);
    assert_true(str_eq(got.text, STR("queued as 1")));
    assert_true(str_eq(got.remote, STR("mx[192.0.2.1]:25")));
    assert_false(relay_memory_find(memory, arena, STR("0123456789ABCDEF"), 4, &got));
    assert_false(relay_memory_find(memory, arena, STR("0123456789ABCDEX"), 3, &got));
    for (unsigned i = 0; i < RELAY_MEMORY_MAX; i++) {
        result.number = 100 + i;
        relay_memory_add(memory, STR("another message."), &result);
    }
    assert_false(relay_memory_find(memory, arena, STR("0123456789ABCDEF"), 3, &got));
    assert_true(relay_memory_find(memory, arena, STR("another message."), 100, &got));
    relay_memory_destroy(&memory);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_grow_to_the_most),
        cmocka_unit_test(test_tasks_wait_again),
        cmocka_unit_test(test_each_task_has_the_whole_arena),
        cmocka_unit_test(test_waiting_tasks_are_dropped),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
