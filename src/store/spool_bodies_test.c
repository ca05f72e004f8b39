/* The body log: what goes in comes out, what is dead makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/spool_bodies_internal.h"
#include "store/spool_internal.h"
#include "store/spool_test_world.h"

#define MIB (1024u * 1024u)

static void
test_gives_back_every_size(void **state)
{
    static const size_t sizes[] = {SPOOL_LOG_FROM - 1,
                                   SPOOL_LOG_FROM,
                                   SPOOL_LOG_FROM + 1,
                                   3 * BODIES_BLOCK - BODIES_HEADER_SIZE - 1,
                                   3 * BODIES_BLOCK - BODIES_HEADER_SIZE,
                                   3 * BODIES_BLOCK - BODIES_HEADER_SIZE + 1,
                                   100000,
                                   MIB,
                                   5 * MIB,
                                   BODIES_SEGMENT_BLOCKS * BODIES_BLOCK};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct world *w = *state;
    struct spool_message m[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        m[i] = world_numbered(w, i, sizes[i]);
        world_insert(w, &m[i]);
        /* Neither the smallest nor what is larger than a segment. */
        assert_int_equal(m[i].place.segment != 0, i > 0 && i < COUNT - 1);
    }
    for (unsigned reopened = 0; reopened < 2; reopened++) {
        for (unsigned i = 0; i < COUNT; i++) {
            world_assert_same(w, &m[i]);
        }
        world_reopen(w);
    }
    assert_true(spool_size(w->spool) > (uint64_t)spool_counts(w->spool).bytes);
    for (unsigned i = 0; i < COUNT; i++) {
        world_deliver(w, &m[i]);
    }
    assert_int_equal(bodies_size(w->spool->bodies), 0);
}

/* Many in one transaction: more than are gathered at once, over several segments. */
static void
test_writes_a_large_transaction(void **state)
{
    enum { COUNT = 600 };
    struct world *w = *state;
    struct spool_message *m = calloc(COUNT, sizeof *m);
    bool duplicate;
    assert_non_null(m);
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        m[i] = world_numbered(w, i, 20000 + i * 37);
        assert_int_equal(spool_insert(w->spool, &m[i], &duplicate), STATUS_OK);
    }
    assert_int_equal(spool_commit(w->spool, 1), STATUS_OK);
    assert_true(m[COUNT - 1].place.segment > 1);
    world_reopen(w);
    for (unsigned i = 0; i < COUNT; i++) {
        world_assert_same(w, &m[i]);
    }
    free(m);
}

static void
test_what_is_rolled_back_leaves_no_trace(void **state)
{
    struct world *w = *state;
    bool duplicate;
    struct spool_end end;
    struct spool_result delivered = {.state = SPOOL_DELIVERED};
    struct spool_message stays = world_numbered(w, 1, 50000);
    struct spool_message goes = world_numbered(w, 2, 70000);
    struct spool_message next = world_numbered(w, 3, 60000);
    world_insert(w, &stays);
    uint64_t size = bodies_size(w->spool->bodies);
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &goes, &duplicate), STATUS_OK);
    assert_int_equal(spool_settle(w->spool, stays.key, 1, &delivered, 1, &end), STATUS_OK);
    spool_rollback(w->spool);
    assert_int_equal(bodies_size(w->spool->bodies), size);
    world_assert_same(w, &stays);
    world_insert(w, &next);
    assert_int_equal(next.place.block, goes.place.block); /* its place was free again */
    world_reopen(w);
    world_assert_same(w, &stays);
    world_assert_same(w, &next);
}

static void
test_a_duplicate_takes_no_room(void **state)
{
    struct world *w = *state;
    bool duplicate = false;
    struct spool_message first = world_numbered(w, 1, 50000);
    struct spool_message again = world_numbered(w, 1, 50000);
    world_insert(w, &first);
    uint64_t size = bodies_size(w->spool->bodies);
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &again, &duplicate), STATUS_OK);
    assert_true(duplicate);
    assert_int_equal(spool_commit(w->spool, 1), STATUS_OK);
    assert_int_equal(bodies_size(w->spool->bodies), size);
    world_assert_same(w, &first);
}

/* Mail that passes through needs a few segments, however much of it there is. */
static void
test_segments_are_used_again(void **state)
{
    enum { WINDOW = 16 };
    struct world *w = *state;
    int64_t keys[WINDOW] = {0};
    for (unsigned i = 0; i < 200; i++) { /* 200 MiB, of which 16 MiB wait */
        arena_destroy(&w->arena);
        w->arena = arena_create(4 * MIB);
        if (keys[i % WINDOW] != 0) {
            assert_true(world_settle(w, keys[i % WINDOW], 1, 0, SPOOL_DELIVERED, 0).gone);
        }
        struct spool_message m = world_numbered(w, i, MIB);
        keys[i % WINDOW] = world_insert(w, &m);
        world_assert_same(w, &m);
        spool_tidy(w->spool);
    }
    assert_in_range(world_count_bodies(w), 2, 5);
    world_reopen(w);
    assert_in_range(world_count_bodies(w), 2, 5);
}

static uint64_t
octets_on_disk(const struct world *w)
{
    uint64_t sum = 0;
    for (int64_t i = 1; i < 100; i++) {
        char path[128];
        struct stat st;
        world_segment_path(w, i, path);
        sum += stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
    }
    return sum;
}

/* One old message in each segment keeps the segment, but not its room. */
static void
test_dead_octets_are_given_back(void **state)
{
    enum { SEGMENTS = 14, EACH = 7, DEAD = 290 * BODIES_BLOCK - BODIES_HEADER_SIZE };
    struct world *w = *state;
    struct spool_message old[SEGMENTS];
    struct arena *scratch = w->arena;
    for (unsigned i = 0; i < SEGMENTS; i++) {
        int64_t keys[EACH];
        old[i] = world_numbered(w, i, 60000);
        world_insert(w, &old[i]);
        w->arena = arena_create(16 * MIB);
        for (unsigned k = 0; k < EACH; k++) {
            struct spool_message m = world_numbered(w, 1000 + i * EACH + k, DEAD);
            keys[k] = world_insert(w, &m);
        }
        for (unsigned k = 0; k < EACH; k++) {
            assert_true(world_settle(w, keys[k], 1, 0, SPOOL_DELIVERED, 0).gone);
        }
        arena_destroy(&w->arena);
        w->arena = scratch;
        spool_tidy(w->spool);
    }
    assert_in_range(world_count_bodies(w), SEGMENTS - 2, SEGMENTS + 1);
    assert_in_range(octets_on_disk(w), 1, BODIES_SLACK + 16 * MIB);
    assert_in_range(bodies_size(w->spool->bodies), SEGMENTS * 60000, SEGMENTS * 65536);
    world_reopen(w);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        world_assert_same(w, &old[i]);
        world_deliver(w, &old[i]);
    }
    assert_in_range(octets_on_disk(w), 0, BODIES_SLACK + 8 * MIB);
    assert_int_equal(bodies_size(w->spool->bodies), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back_every_size),
        TEST(writes_a_large_transaction),
        TEST(what_is_rolled_back_leaves_no_trace),
        TEST(a_duplicate_takes_no_room),
        TEST(segments_are_used_again),
        TEST(dead_octets_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
