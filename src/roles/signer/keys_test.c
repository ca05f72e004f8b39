#include "roles/signer/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/test_material.h"

#define KEYS 3

static struct test_pem pems[KEYS];
static struct tls_key_id ids[KEYS];

static struct tls_signing_key *
key_of(size_t i)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_signing_key *key = NULL;
    assert_int_equal(tls_signing_key_parse(pems[i].key, &key, error), STATUS_OK);
    return key;
}

static void
offer(struct key_store *store, size_t i)
{
    assert_int_equal(key_store_offer(store, key_of(i)), STATUS_OK);
}

static bool
has(struct key_store *store, size_t i)
{
    struct tls_signing_key *key = key_store_find(store, &ids[i]);
    bool found = key != NULL;
    assert_true(!found || memcmp(tls_signing_key_id(key), &ids[i], sizeof ids[i]) == 0);
    tls_signing_key_unref(&key);
    return found;
}

static void
keys_are_in_force_once_adopted(void **state)
{
    struct key_store *store = key_store_create();
    (void)state;
    assert_false(has(store, 0));
    offer(store, 0);
    assert_false(has(store, 0));
    key_store_adopt(store, 0);
    assert_true(has(store, 0));
    assert_false(has(store, 1));
    assert_int_equal(key_store_count(store), 1);
    key_store_destroy(&store);
    assert_null(store);
    key_store_destroy(&store);
}

static void
what_is_no_longer_there_retires(void **state)
{
    struct key_store *store = key_store_create();
    (void)state;
    offer(store, 0);
    offer(store, 1);
    key_store_adopt(store, 0);
    offer(store, 1);
    offer(store, 2);
    key_store_adopt(store, 1000);
    assert_int_equal(key_store_count(store), 2);
    assert_true(has(store, 0) && has(store, 1) && has(store, 2));
    key_store_expire(store, 999 + KEYS_RETIRED_MS);
    assert_true(has(store, 0));
    key_store_expire(store, 1000 + KEYS_RETIRED_MS);
    assert_false(has(store, 0));
    assert_true(has(store, 1) && has(store, 2));
    /* one that comes back is in force again, whatever was said of it */
    offer(store, 0);
    key_store_adopt(store, 2000 + KEYS_RETIRED_MS);
    key_store_expire(store, INT64_MAX);
    assert_true(has(store, 0));
    assert_false(has(store, 1) || has(store, 2));
    key_store_destroy(&store);
}

/* A key that somebody signs with outlives its place. */
static void
a_key_in_use_stays(void **state)
{
    struct key_store *store = key_store_create();
    (void)state;
    offer(store, 0);
    key_store_adopt(store, 0);
    struct tls_signing_key *key = key_store_find(store, &ids[0]);
    key_store_adopt(store, 0);
    key_store_expire(store, INT64_MAX);
    assert_false(has(store, 0));
    key_store_destroy(&store);
    assert_memory_equal(tls_signing_key_id(key), &ids[0], sizeof ids[0]);
    tls_signing_key_unref(&key);
}

static void
there_are_bounds(void **state)
{
    struct key_store *store = key_store_create();
    struct tls_signing_key *key = key_of(0);
    (void)state;
    for (size_t i = 0; i < KEYS_MAX; i++) {
        assert_int_equal(key_store_offer(store, tls_signing_key_ref(key)), STATUS_OK);
    }
    assert_int_equal(key_store_offer(store, tls_signing_key_ref(key)), STATUS_LIMIT);
    key_store_adopt(store, 0);
    for (unsigned i = 0; i < 10; i++) { /* reloads by turns */
        offer(store, 1 + i % 2);
        key_store_adopt(store, 1 + i);
    }
    assert_true(has(store, 0) && has(store, 1) && has(store, 2));
    tls_signing_key_unref(&key);
    key_store_destroy(&store);
}

static int
prepare(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        pems[i] = test_pem_make("DNS:mx.example", false);
        struct tls_signing_key *key = key_of(i);
        ids[i] = *tls_signing_key_id(key);
        tls_signing_key_unref(&key);
    }
    return 0;
}

static int
clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        arena_destroy_wiped(&pems[i].arena);
    }
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_force_once_adopted),
        cmocka_unit_test(what_is_no_longer_there_retires),
        cmocka_unit_test(a_key_in_use_stays),
        cmocka_unit_test(there_are_bounds),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
