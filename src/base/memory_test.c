#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"

static int destroyed;
static char order[8];

static void
note_destroy(void *object)
{
    order[destroyed++] = *(char *)object;
}

static void
test_ceiling(void **state)
{
    struct arena *arena = arena_create(100);
    (void)state;
    assert_non_null(arena_alloc(arena, 64));
    assert_null(arena_alloc(arena, 64));
    assert_non_null(arena_alloc(arena, 32));
    assert_null(arena_alloc(arena, 16));
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_alloc_array(arena, SIZE_MAX / 2, 4));
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    assert_non_null(arena_alloc(arena, 96));
    arena_destroy(&arena);
    assert_null(arena);
    arena_destroy(&arena);
}

static void
test_memory_is_zeroed_after_reset(void **state)
{
    struct arena *arena = arena_create(10000);
    (void)state;
    memset(arena_alloc(arena, 512), 'x', 512);
    arena_reset(arena);
    const char *again = arena_alloc(arena, 512);
    for (size_t i = 0; i < 512; i++) {
        assert_int_equal(again[i], 0);
    }
    arena_destroy(&arena);
}

/* Texts of every length up to and beyond what is left of a block, each as it was written. */
static void
test_text_at_the_end_of_a_block(void **state)
{
    char want[2000];
    (void)state;
    memset(want, 'x', sizeof want);
    for (size_t n = 0; n < sizeof want; n += 7) {
        struct arena *arena = arena_create(10000);
        struct str before = arena_printf(arena, "%s", "before");
        struct str text = arena_printf(arena, "%.*s", (int)n, want);
        struct str copy = arena_str_dup(arena, text);
        struct str after = arena_printf(arena, "%s", "after");
        assert_true(str_eq(text, str_make(want, n)) && text.p[n] == '\0');
        assert_true(str_eq(copy, text) && copy.p[n] == '\0');
        assert_true(str_eq(before, STR("before")) && str_eq(after, STR("after")));
        arena_destroy(&arena);
    }
}

/* Blocks beyond the first are used again, and freed with it. */
static void
test_reset_with_many_blocks(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    (void)state;
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 100; i++) {
            char *p = arena_alloc(arena, 1000);
            assert_non_null(p);
            assert_true(p[0] == 0 && p[999] == 0);
            memset(p, 'x', 1000);
        }
        arena_reset(arena);
    }
    arena_destroy_wiped(&arena);
}

static void
test_destructors_run_newest_first(void **state)
{
    static char names[] = "abc";
    struct arena *arena = arena_create(1000);
    (void)state;
    destroyed = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(arena_on_destroy(arena, note_destroy, &names[i]), STATUS_OK);
    }
    arena_destroy(&arena);
    assert_memory_equal(order, "cba", 3);
}

static void
test_text(void **state)
{
    struct arena *arena = arena_create(1000);
    (void)state;
    struct str copy = arena_str_dup(arena, STR("abc"));
    assert_true(str_eq(copy, STR("abc")));
    assert_int_equal(copy.p[3], '\0');
    assert_true(str_eq(arena_printf(arena, "%d-%s", 5, "x"), STR("5-x")));
    assert_null(arena_printf(arena, "%2000d", 1).p);
    assert_null(arena_str_dup(arena, str_make("x", 5000)).p);
    const struct str parts[] = {STR("a"), str_make(NULL, 0), STR("bc")};
    assert_true(str_eq(arena_concat(arena, parts, 3), STR("abc")));
    assert_int_equal(arena_concat(arena, parts, 0).n, 0);
    const struct str large[] = {STR("a"), str_make("x", 5000)};
    assert_null(arena_concat(arena, large, 2).p);
    arena_destroy(&arena);
}

static void
test_buffer(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_append(&buf, STR("12345678")), STATUS_OK);
    assert_int_equal(buf_append(&buf, STR("90a")), STATUS_LIMIT);
    assert_int_equal(buf_length(&buf), 8);
    buf_consume(&buf, 3);
    assert_true(str_eq(buf_str(&buf), STR("45678")));
    assert_int_equal(buf_append(&buf, STR("90abc")), STATUS_OK);
    assert_true(str_eq(buf_str(&buf), STR("4567890abc")));
    buf_consume(&buf, 100);
    assert_int_equal(buf_length(&buf), 0);
    assert_int_equal(buf_printf(&buf, "%s", "123456789"), STATUS_OK);
    assert_int_equal(buf_printf(&buf, "%s", "12"), STATUS_LIMIT);
    assert_int_equal(buf_length(&buf), 9);
    buf_free_wiped(&buf);
    assert_int_equal(buf_append(&buf, STR("again")), STATUS_OK);
    buf_free(&buf);
}

/* Into room that is there, room that must be made, and behind what was consumed. */
static void
test_buffer_printf(void **state)
{
    char want[600];
    (void)state;
    memset(want, 'x', sizeof want);
    for (size_t n = 0; n < sizeof want; n++) {
        struct buf buf;
        buf_init(&buf, 2000);
        assert_int_equal(buf_printf(&buf, "%.*s", (int)n, want), STATUS_OK);
        assert_int_equal(buf_append(&buf, STR("12")), STATUS_OK);
        buf_consume(&buf, n);
        assert_int_equal(buf_printf(&buf, "%.*s;", (int)n, want), STATUS_OK);
        assert_int_equal(buf_length(&buf), n + 3);
        assert_memory_equal(buf_str(&buf).p, "12", 2);
        assert_memory_equal(buf_str(&buf).p + 2, want, n);
        assert_int_equal(buf_str(&buf).p[n + 2], ';');
        buf_free(&buf);
    }
}

struct entry {
    unsigned key;
    UT_hash_handle hh;
};

/* What is freed twice or not at all, the address sanitizer tells. */
static void
test_hash_free_all(void **state)
{
    static const unsigned sizes[] = {0, 1, 2, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct entry *table = NULL;
        for (unsigned key = 0; key < sizes[i]; key++) {
            struct entry *entry = calloc(1, sizeof *entry);
            assert_non_null(entry);
            entry->key = key;
            HASH_ADD(hh, table, key, sizeof entry->key, entry);
        }
        assert_int_equal(HASH_COUNT(table), sizes[i]);
        HASH_FREE_ALL(table);
        assert_null(table);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_memory_is_zeroed_after_reset),
        cmocka_unit_test(test_text_at_the_end_of_a_block),
        cmocka_unit_test(test_reset_with_many_blocks),
        cmocka_unit_test(test_destructors_run_newest_first),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_buffer_printf),
        cmocka_unit_test(test_hash_free_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
