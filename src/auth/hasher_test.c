#include "auth/hasher.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/results.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct str body = STR_INIT("a  b\r\nc\r\n\r\n");

static void
expect_hash(const uint8_t *got, struct str text)
{
    uint8_t want[CRYPTO_HASH_SIZE];
    assert_int_equal(crypto_hash(text, want), STATUS_OK);
    assert_memory_equal(got, want, sizeof want);
}

static void
test_each_form_of_the_body(void **state)
{
    static const struct {
        enum canonical form;
        uint64_t limit;
        struct str hashed;
        uint64_t length;
    } cases[] = {
        {CANONICAL_RELAXED, CANONICAL_NO_LIMIT, STR_INIT("a b\r\nc\r\n"), 8},
        {CANONICAL_SIMPLE, CANONICAL_NO_LIMIT, STR_INIT("a  b\r\nc\r\n"), 9},
        {CANONICAL_RELAXED, 4, STR_INIT("a b\r"), 8},
        {CANONICAL_SIMPLE, 4, STR_INIT("a  b"), 9},
        {CANONICAL_RELAXED, 0, STR_INIT(""), 8},
    };
    const struct body_hash *first[COUNT_OF(cases)];
    const struct body_hash *again;
    struct arena *arena = arena_create(65536);
    struct hasher *hasher = hasher_create(arena, body);
    (void)state;
    assert_non_null(hasher);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(hasher_body(hasher, cases[i].form, cases[i].limit, &first[i]), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect_hash(first[i]->octets, cases[i].hashed);
        assert_int_equal(first[i]->length, cases[i].length);
        assert_int_equal(hasher_body(hasher, cases[i].form, cases[i].limit, &again), STATUS_OK);
        assert_ptr_equal(again, first[i]);
    }
    arena_destroy(&arena);
}

static void
test_too_many_forms(void **state)
{
    const struct body_hash *hash = NULL;
    struct arena *arena = arena_create(65536);
    struct hasher *hasher = hasher_create(arena, body);
    (void)state;
    for (uint64_t limit = 0; limit < HASHER_BODIES_MAX; limit++) {
        assert_int_equal(hasher_body(hasher, CANONICAL_SIMPLE, limit, &hash), STATUS_OK);
    }
    const struct body_hash *last = hash;
    assert_int_equal(hasher_body(hasher, CANONICAL_RELAXED, 0, &hash), STATUS_LIMIT);
    assert_ptr_equal(hash, last);
    assert_int_equal(hasher_body(hasher, CANONICAL_SIMPLE, 3, &hash), STATUS_OK);
    expect_hash(hash->octets, STR("a  "));
    arena_destroy(&arena);
}

/* Fields and bodies in turns: nothing of one is left in the other. */
static void
test_text_between_bodies(void **state)
{
    const struct body_hash *hash;
    uint8_t got[CRYPTO_HASH_SIZE];
    struct arena *arena = arena_create(65536);
    struct hasher *hasher = hasher_create(arena, body);
    (void)state;
    assert_int_equal(buf_append(&hasher->text, STR("from:a")), STATUS_OK);
    assert_int_equal(hasher_body(hasher, CANONICAL_RELAXED, CANONICAL_NO_LIMIT, &hash), STATUS_OK);
    expect_hash(hash->octets, STR("a b\r\nc\r\n"));
    assert_int_equal(hasher_text(hasher, got), STATUS_OK);
    expect_hash(got, STR("from:a"));
    assert_int_equal(buf_length(&hasher->text), 0);
    assert_int_equal(hasher_text(hasher, got), STATUS_OK);
    expect_hash(got, STR(""));
    arena_destroy(&arena);
}

static void
test_no_room(void **state)
{
    struct arena *arena = arena_create(64);
    (void)state;
    assert_null(hasher_create(arena, body));
    arena_destroy(&arena);
    arena = arena_create((sizeof(struct hasher) + 15) / 16 * 16); /* none for its end */
    assert_null(hasher_create(arena, body));
    arena_destroy(&arena);
}

static void
test_one_for_all_checks(void **state)
{
    struct auth_results results = {0};
    struct arena *arena = arena_create(65536);
    (void)state;
    struct hasher *shared = auth_results_hasher(&results, arena, body);
    assert_non_null(shared);
    assert_ptr_equal(auth_results_hasher(&results, arena, body), shared);
    struct hasher *own = auth_results_hasher(NULL, arena, body);
    assert_non_null(own);
    assert_ptr_not_equal(own, shared);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_of_the_body), cmocka_unit_test(test_too_many_forms),
        cmocka_unit_test(test_text_between_bodies),   cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_one_for_all_checks),
    };
    return cmocka_run_group_tests_name("hasher", tests, NULL, NULL);
}
