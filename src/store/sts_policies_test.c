/* MTA-STS policies on disk: kept over a restart, replaced, removed, damage. */
#include "store/sts_policies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/ledger_test_directory.h"
#include "transport/sts_cache.h"

#define NOW 1795456094

static struct sts_policies *
must_open(const struct test_directory *directory)
{
    struct sts_policies *policies = NULL;
    assert_int_equal(sts_policies_open(directory->path, &policies), STATUS_OK);
    return policies;
}

struct list {
    char text[512];
    const char *unwanted;
};

static bool
note(void *context, struct str domain, struct str row)
{
    struct list *list = context;
    size_t n = strlen(list->text);
    snprintf(list->text + n, sizeof list->text - n, "%.*s=%.*s ", STR_ARG(domain), STR_ARG(row));
    return list->unwanted == NULL || !str_eq(domain, str_from_cstr(list->unwanted));
}

static const char *
rows_of(struct sts_policies *policies, const char *unwanted)
{
    static struct list list;
    list = (struct list){.unwanted = unwanted};
    assert_int_equal(sts_policies_each(policies, note, &list), STATUS_OK);
    return list.text;
}

static void
test_rows(void **state)
{
    struct sts_policies *policies = must_open(*state);
    assert_string_equal(rows_of(policies, NULL), "");
    assert_int_equal(sts_policies_put(policies, STR("a.example"), STR("1"), 10), STATUS_OK);
    assert_int_equal(sts_policies_put(policies, STR("b.example"), STR("2"), 30), STATUS_OK);
    assert_int_equal(sts_policies_put(policies, STR("c.example"), STR("3"), 20), STATUS_OK);
    assert_int_equal(sts_policies_put(policies, STR("a.example"), STR("4"), 40), STATUS_OK);
    sts_policies_close(&policies);
    assert_null(policies);
    policies = must_open(*state);
    assert_string_equal(rows_of(policies, NULL), "a.example=4 b.example=2 c.example=3 ");
    assert_int_equal(sts_policies_remove(policies, STR("b.example")), STATUS_OK);
    assert_int_equal(sts_policies_remove(policies, STR("absent.example")), STATUS_OK);
    assert_string_equal(rows_of(policies, "c.example"), "a.example=4 c.example=3 ");
    assert_string_equal(rows_of(policies, NULL), "a.example=4 ");
    sts_policies_close(&policies);
}

static void
test_damage(void **state)
{
    const struct test_directory *directory = *state;
    struct sts_policies *policies = must_open(directory);
    assert_int_equal(sts_policies_put(policies, STR("a.example"), STR("1"), 10), STATUS_OK);
    sts_policies_close(&policies);
    FILE *file = fopen(test_directory_file(directory, "mta-sts.db"), "we");
    assert_non_null(file);
    fputs("this is no database, and was never meant to be one", file);
    fclose(file);
    policies = must_open(directory);
    assert_string_equal(rows_of(policies, NULL), "");
    assert_int_equal(sts_policies_put(policies, STR("b.example"), STR("2"), 10), STATUS_OK);
    assert_string_equal(rows_of(policies, NULL), "b.example=2 ");
    sts_policies_close(&policies);
    assert_int_equal(access(test_directory_file(directory, "mta-sts.db.damaged"), F_OK), 0);
}

static bool
restore(void *context, struct str domain, struct str row)
{
    (void)domain;
    return sts_cache_restore(context, row) == STATUS_OK;
}

/* What the cache knows is there again after a restart; what it cannot read is gone. */
static void
test_cache(void **state)
{
    static const char *const mx[] = {"mx.example"};
    struct str names[] = {str_from_cstr(mx[0])};
    struct sts_policy policy = {
        .mode = STS_MODE_ENFORCE, .max_age = 86400, .mx = names, .mx_count = 1};
    struct arena *arena = arena_create(1 << 20);
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    struct sts_policies *policies = must_open(*state);
    assert_true(sts_cache_begin(cache, STR("a.example"), NOW));
    const struct sts_entry *entry =
        sts_cache_fetched(cache, STR("a.example"), STR("1"), &policy, NOW);
    assert_non_null(entry);
    assert_int_equal(
        sts_policies_put(policies, STR("a.example"), sts_entry_encode(arena, entry), entry->used_s),
        STATUS_OK);
    assert_int_equal(sts_policies_put(policies, STR("b.example"), STR("bogus"), NOW), STATUS_OK);
    sts_cache_destroy(&cache);
    cache = sts_cache_create(10, 1 << 20);
    assert_int_equal(sts_policies_each(policies, restore, cache), STATUS_OK);
    entry = sts_cache_find(cache, STR("a.example"));
    assert_non_null(entry);
    assert_true(sts_entry_is_live(entry, NOW + 86399));
    assert_false(sts_entry_is_live(entry, NOW + 86400));
    assert_int_equal(entry->mode, STS_MODE_ENFORCE);
    struct list list = {.unwanted = NULL};
    assert_int_equal(sts_policies_each(policies, note, &list), STATUS_OK);
    assert_null(strstr(list.text, "b.example"));
    sts_policies_close(&policies);
    sts_cache_destroy(&cache);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(test_rows),
        WITH_DIRECTORY(test_damage),
        WITH_DIRECTORY(test_cache),
    };
    return cmocka_run_group_tests_name("sts_policies", tests, NULL, NULL);
}
