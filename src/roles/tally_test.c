#include "roles/tally.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define EDGES 8u

static struct ip_network
network_of(uint32_t number)
{
    struct ip_network network = {.prefix = 128};
    memcpy(network.base.octets, &number, sizeof number);
    return network;
}

/* `count` processes' views of one table. */
static void
open_all(struct tally *views[EDGES], uint32_t count)
{
    int fd;
    assert_int_equal(tally_create(1, count, &fd), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        views[i] = tally_open(dup(fd), count, i);
        assert_non_null(views[i]);
    }
    close(fd);
}

static void
all_count_together(void **state)
{
    struct tally *views[EDGES];
    struct tally_entry *entries[EDGES];
    struct tally_entry *none;
    struct ip_network const key = network_of(7);
    struct ip_network const other = network_of(8);
    (void)state;
    open_all(views, EDGES);
    for (uint32_t i = 0; i < EDGES; i++) {
        assert_int_equal(tally_enter(views[i], &key, EDGES, 0, &entries[i]), TALLY_OK);
        assert_true(tally_total_enter(views[i], EDGES));
    }
    for (uint32_t i = 0; i < EDGES; i++) {
        assert_int_equal(tally_enter(views[i], &key, EDGES, 0, &none), TALLY_LIMIT);
        assert_false(tally_total_enter(views[i], EDGES));
    }
    assert_int_equal(tally_enter(views[0], &other, 1, 0, &none), TALLY_OK);
    assert_int_equal(tally_entries(views[3]), 2);
    tally_leave(views[5], entries[5]);
    tally_total_leave(views[5]);
    assert_int_equal(tally_total(views[2]), EDGES - 1);
    assert_int_equal(tally_enter(views[1], &key, EDGES, 0, &none), TALLY_OK);
    assert_int_equal(tally_enter(views[2], &key, EDGES, 0, &none), TALLY_LIMIT);
    for (uint32_t i = 0; i < EDGES; i++) {
        tally_close(&views[i]);
    }
}

static void
rates_count_together(void **state)
{
    struct tally *views[EDGES];
    struct tally_entry *a;
    struct tally_entry *b;
    struct ip_network const key = network_of(7);
    (void)state;
    open_all(views, 2);
    assert_int_equal(tally_enter(views[0], &key, 9, 0, &a), TALLY_OK);
    assert_int_equal(tally_enter(views[1], &key, 9, 0, &b), TALLY_OK);
    assert_true(tally_rate_take(a, TALLY_MESSAGES, 2, 0));
    assert_true(tally_rate_take(b, TALLY_MESSAGES, 2, 0));
    assert_false(tally_rate_take(a, TALLY_MESSAGES, 2, 29999999));
    assert_true(tally_rate_take(b, TALLY_CONNECTIONS, 2, 0));
    assert_true(tally_rate_take(b, TALLY_MESSAGES, 2, 30000000));
    tally_rate_return(b, TALLY_MESSAGES, 2);
    assert_true(tally_rate_take(a, TALLY_MESSAGES, 2, 30000000));
    assert_false(tally_rate_take(b, TALLY_MESSAGES, 2, 30000000));
    tally_close(&views[0]);
    tally_close(&views[1]);
}

/* A process that was killed had connections open; they ended with it. */
static void
a_successor_takes_off_what_was_open(void **state)
{
    int fd;
    struct tally_entry *entry;
    struct ip_network const key = network_of(7);
    (void)state;
    assert_int_equal(tally_create(1, 2, &fd), STATUS_OK);
    struct tally *stays = tally_open(dup(fd), 2, 0);
    struct tally *killed = tally_open(dup(fd), 2, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tally_enter(i < 2 ? killed : stays, &key, 3, 0, &entry), TALLY_OK);
        assert_true(tally_total_enter(i < 2 ? killed : stays, 3));
    }
    assert_int_equal(tally_enter(stays, &key, 3, 0, &entry), TALLY_LIMIT);
    tally_close(&killed); /* says nothing to the others, as a kill */
    struct tally *next = tally_open(fd, 2, 1);
    assert_int_equal(tally_total(next), 1);
    assert_int_equal(tally_enter(next, &key, 3, 0, &entry), TALLY_OK);
    assert_int_equal(tally_enter(stays, &key, 3, 0, &entry), TALLY_OK);
    assert_int_equal(tally_enter(stays, &key, 3, 0, &entry), TALLY_LIMIT);
    tally_close(&stays);
    tally_close(&next);
}

static void
other_memory_is_refused(void **state)
{
    int fd;
    (void)state;
    assert_int_equal(tally_create(1, 2, &fd), STATUS_OK);
    assert_null(tally_open(dup(fd), 2, 2));
    assert_null(tally_open(dup(fd), TALLY_PROCESSES_MAX + 1, 0));
    assert_null(tally_open(dup(fd), 17, 0)); /* made for other numbers */
    assert_int_not_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_null(tally_open(STDIN_FILENO + 1000, 1, 0));
}

/* ---- all at one time */

#define ROUNDS  20000
#define CLIENTS 3u
#define LIMIT   5u

struct worker {
    struct tally *tally;
    unsigned seed;
    atomic_int *open; /* of each client, as they have it */
    bool failed;
};

/* Few clients and many strangers, so that entries are made and given up all the time. */
static void *
run_worker(void *context)
{
    struct worker *worker = context;
    for (int i = 0; i < ROUNDS; i++) {
        bool stranger = rand_r(&worker->seed) % 4 > 0;
        uint32_t number = stranger ? CLIENTS + (uint32_t)rand_r(&worker->seed) % 100000
                                   : (uint32_t)rand_r(&worker->seed) % CLIENTS;
        struct ip_network key = network_of(number);
        struct tally_entry *entry;
        enum tally_result result = tally_enter(worker->tally, &key, LIMIT, i, &entry);
        if (result != TALLY_OK) {
            continue;
        }
        int now = stranger ? 1 : atomic_fetch_add(&worker->open[number], 1) + 1;
        worker->failed |= now > (int)LIMIT;
        if (!tally_rate_take(entry, TALLY_CONNECTIONS, 1000000, i)) {
            sched_yield();
        }
        if (!stranger) {
            atomic_fetch_sub(&worker->open[number], 1);
        }
        tally_leave(worker->tally, entry);
    }
    return NULL;
}

static void
nothing_is_lost_in_a_crowd(void **state)
{
    struct tally *views[EDGES];
    struct worker workers[EDGES];
    pthread_t threads[EDGES];
    atomic_int open[CLIENTS] = {0};
    struct tally_entry *entry;
    (void)state;
    open_all(views, EDGES);
    for (uint32_t i = 0; i < EDGES; i++) {
        workers[i] = (struct worker){views[i], i + 1, open, false};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < EDGES; i++) {
        pthread_join(threads[i], NULL);
        assert_false(workers[i].failed);
    }
    /* All have left: each client may come LIMIT times, and no more. */
    for (uint32_t c = 0; c < CLIENTS; c++) {
        struct ip_network key = network_of(c);
        for (uint32_t n = 0; n < LIMIT; n++) {
            assert_int_equal(tally_enter(views[n], &key, LIMIT, ROUNDS, &entry), TALLY_OK);
        }
        assert_int_equal(tally_enter(views[0], &key, LIMIT, ROUNDS, &entry), TALLY_LIMIT);
    }
    for (uint32_t i = 0; i < EDGES; i++) {
        tally_close(&views[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_count_together),
        cmocka_unit_test(rates_count_together),
        cmocka_unit_test(a_successor_takes_off_what_was_open),
        cmocka_unit_test(other_memory_is_refused),
        cmocka_unit_test(nothing_is_lost_in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
