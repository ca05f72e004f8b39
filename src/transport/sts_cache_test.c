#include "transport/sts_cache.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define NOW         INT64_C(1795456094)
#define DAY         86400
#define DOMAIN      STR("a.example")

static struct sts_policy
policy_of(enum sts_mode mode, uint32_t max_age)
{
    static const struct str mx[] = {STR_INIT("mx1.example.net"), STR_INIT("*.example.com")};
    return (struct sts_policy){.mode = mode, .max_age = max_age, .mx = mx, .mx_count = 2};
}

static const struct sts_entry *
fetch(struct sts_cache *cache, struct str domain, struct str id, uint32_t max_age, int64_t now)
{
    struct sts_policy policy = policy_of(STS_MODE_ENFORCE, max_age);
    assert_true(sts_cache_begin(cache, domain, now));
    return sts_cache_fetched(cache, domain, id, &policy, now);
}

static const struct sts_entry *
fail_fetch(struct sts_cache *cache, struct str id, int64_t now)
{
    assert_true(sts_cache_begin(cache, DOMAIN, now));
    return sts_cache_failed(cache, DOMAIN, id, TLS_RESULT_STS_POLICY_FETCH_ERROR, now);
}

static struct sts_lookup
record(enum sts_lookup_state state, const char *id)
{
    return (struct sts_lookup){.state = state, .id = str_from_cstr(id)};
}

static void
check(const struct sts_entry *entry, struct sts_lookup lookup, int64_t now, unsigned flags,
      struct sts_advice want)
{
    struct sts_advice got = sts_advise(entry, &lookup, now, flags);
    if (got.applies != want.applies || got.fetch != want.fetch || got.why != want.why) {
        fail_msg("got %d %d \"%s\", want %d %d \"%s\"", got.applies, (int)got.fetch,
                 sts_why_text(got.why), want.applies, (int)want.fetch, sts_why_text(want.why));
    }
}

/* Nothing is known of the domain. */
static void
test_first_contact(void **state)
{
    (void)state;
    check(NULL, record(STS_LOOKUP_NONE, ""), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_NO_RECORD});
    check(NULL, record(STS_LOOKUP_INVALID, ""), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_NO_RECORD});
    /* 47: the DNS does not answer: mail goes on as without */
    check(NULL, record(STS_LOOKUP_TEMPORARY, ""), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_NO_ANSWER});
    check(NULL, record(STS_LOOKUP_FOUND, "1"), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NOW, STS_WHY_FIRST});
}

/* 47: the first fetch failed: mail goes on as without, and the wait until the next grows. */
static void
test_back_off(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    struct sts_advice waits = {false, STS_FETCH_NO, STS_WHY_WAITS};
    struct sts_advice first = {false, STS_FETCH_NOW, STS_WHY_FIRST};
    const struct sts_entry *entry = fail_fetch(cache, STR("1"), NOW);
    (void)state;
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW, 0, waits);
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW + STS_RETRY_MIN - 1, 0, waits);
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW + STS_RETRY_MIN, 0, first);
    /* before a bounce; with a new id; with a clock that was set back */
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW, STS_LAST_CHANCE, first);
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW, 0, first);
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW - 1, 0, first);
    check(entry, record(STS_LOOKUP_NONE, ""), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_NO_RECORD});
    int64_t before = 0;
    for (int i = 0; i < 200; i++) {
        int64_t wait = sts_entry_retry_at(entry, NOW) - NOW;
        assert_true(wait >= before && wait <= STS_RETRY_MAX);
        before = wait;
        entry = fail_fetch(cache, STR("1"), NOW);
    }
    assert_true(before > STS_RETRY_MAX / 2);
    entry = fetch(cache, DOMAIN, STR("1"), DAY, NOW);
    assert_int_equal(sts_entry_retry_at(entry, NOW), 0);
    sts_cache_destroy(&cache);
}

/* 38: a policy that lives applies, whatever the DNS and the web server do. */
static void
test_live(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), 10 * DAY, NOW);
    int64_t due = sts_entry_refresh_at(entry);
    (void)state;
    assert_true(due > NOW + STS_REFRESH_MAX / 2 && due <= NOW + STS_REFRESH_MAX);
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_NONE, ""), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_RECORD_GONE});
    check(entry, record(STS_LOOKUP_INVALID, ""), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_RECORD_GONE});
    check(entry, record(STS_LOOKUP_TEMPORARY, ""), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_RECORD_UNKNOWN});
    /* ahead, each day */
    check(entry, record(STS_LOOKUP_FOUND, "1"), due - 1, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_FOUND, "1"), due, 0,
          (struct sts_advice){true, STS_FETCH_AHEAD, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_NONE, ""), due, 0,
          (struct sts_advice){true, STS_FETCH_AHEAD, STS_WHY_RECORD_GONE});
    /* the fetch fails: the policy goes on to apply until its end */
    entry = fail_fetch(cache, STR("1"), due);
    assert_int_equal(entry->failure, TLS_RESULT_STS_POLICY_FETCH_ERROR);
    check(entry, record(STS_LOOKUP_FOUND, "1"), due, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_FOUND, "1"), due + STS_RETRY_MIN, 0,
          (struct sts_advice){true, STS_FETCH_AHEAD, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW + 10 * DAY - 1, 0,
          (struct sts_advice){true, STS_FETCH_AHEAD, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_FOUND, "1"), NOW + 10 * DAY, 0,
          (struct sts_advice){false, STS_FETCH_NOW, STS_WHY_FIRST});
    check(entry, record(STS_LOOKUP_NONE, ""), NOW + 10 * DAY, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_NO_RECORD});
    sts_cache_destroy(&cache);
}

/* A new id: fetched at once, and the old policy applies where that fails. */
static void
test_new_id(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), 10 * DAY, NOW);
    struct sts_advice now = {true, STS_FETCH_NOW, STS_WHY_NEW_ID};
    (void)state;
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW, 0, now);
    entry = fail_fetch(cache, STR("2"), NOW);
    assert_string_equal(entry->id, "1");
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_NEW_ID});
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW, STS_LAST_CHANCE, now);
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW + STS_RETRY_MIN, 0, now);
    check(entry, record(STS_LOOKUP_FOUND, "3"), NOW, 0, now);
    /* 39: the web server still had the old body: it counts for the new id, until the daily fetch */
    entry = fetch(cache, DOMAIN, STR("2"), 10 * DAY, NOW);
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_LIVE});
    check(entry, record(STS_LOOKUP_FOUND, "2"), NOW + STS_REFRESH_MAX, 0,
          (struct sts_advice){true, STS_FETCH_AHEAD, STS_WHY_LIVE});
    /* a fetch without a record keeps the id */
    entry = fetch(cache, DOMAIN, STR(""), 10 * DAY, NOW + DAY);
    assert_string_equal(entry->id, "2");
    assert_int_equal(entry->expires_s, NOW + 11 * DAY);
    sts_cache_destroy(&cache);
}

/* The wait while a policy lives is short, so that it is renewed before its end. */
static void
test_retry_while_live(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), 10 * DAY, NOW);
    (void)state;
    for (int i = 0; i < 50; i++) {
        entry = fail_fetch(cache, STR("1"), NOW);
    }
    assert_true(sts_entry_retry_at(entry, NOW) <= NOW + STS_RETRY_LIVE_MAX);
    assert_true(sts_entry_retry_at(entry, NOW + 10 * DAY) > NOW + STS_RETRY_LIVE_MAX);
    sts_cache_destroy(&cache);
}

/* A short life: half of it, so that there is time for another attempt; no life at all. */
static void
test_short_lives(void **state)
{
    static const uint32_t ages[] = {1, 2, 60, 3600, DAY, 2 * DAY, STS_MAX_AGE_MAX};
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ages); i++) {
        const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), ages[i], NOW);
        int64_t due = sts_entry_refresh_at(entry);
        assert_true(sts_entry_is_live(entry, NOW));
        assert_true(due >= NOW && due <= NOW + ages[i] / 2 && due <= NOW + STS_REFRESH_MAX);
    }
    const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), 0, NOW);
    assert_false(sts_entry_is_live(entry, NOW));
    sts_cache_destroy(&cache);
}

/* One fetch of a domain at a time. */
static void
test_one_fetch(void **state)
{
    struct sts_cache *cache = sts_cache_create(2, 1 << 20);
    struct sts_policy policy = policy_of(STS_MODE_NONE, 5);
    (void)state;
    assert_true(sts_cache_begin(cache, DOMAIN, NOW));
    assert_false(sts_cache_begin(cache, DOMAIN, NOW));
    assert_non_null(sts_cache_fetched(cache, DOMAIN, STR("1"), &policy, NOW));
    assert_true(sts_cache_begin(cache, DOMAIN, NOW));
    /* what is being fetched is not forgotten for want of room */
    assert_true(sts_cache_begin(cache, STR("b.example"), NOW));
    assert_false(sts_cache_begin(cache, STR("c.example"), NOW));
    assert_int_equal(sts_cache_count(cache), 2);
    /* what is no name, and what was never begun */
    assert_false(sts_cache_begin(cache, STR(""), NOW));
    assert_false(sts_cache_begin(cache, STR("[192.0.2.1]"), NOW));
    assert_null(sts_cache_fetched(cache, STR("x.example"), STR("1"), &policy, NOW));
    assert_null(
        sts_cache_failed(cache, STR("x.example"), STR("1"), TLS_RESULT_STS_POLICY_INVALID, NOW));
    sts_cache_destroy(&cache);
    sts_cache_destroy(&cache);
}

/* 45: a policy is its domain's: what is broken at one domain says nothing of another. */
static void
test_two_domains(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    (void)state;
    fetch(cache, STR("b.example"), STR("1"), DAY, NOW);
    const struct sts_entry *broken = fail_fetch(cache, STR("1"), NOW);
    const struct sts_entry *good = sts_cache_find(cache, STR("b.example"));
    assert_non_null(good);
    check(broken, record(STS_LOOKUP_FOUND, "1"), NOW, 0,
          (struct sts_advice){false, STS_FETCH_NO, STS_WHY_WAITS});
    check(good, record(STS_LOOKUP_FOUND, "1"), NOW, 0,
          (struct sts_advice){true, STS_FETCH_NO, STS_WHY_LIVE});
    /* 30: nor of what is below it */
    assert_null(sts_cache_find(cache, STR("sub.b.example")));
    sts_cache_destroy(&cache);
}

static struct str
numbered(char room[static 32], unsigned i)
{
    int n = snprintf(room, 32, "domain%u.example", i);
    return str_make(room, (size_t)n);
}

/* The number is bounded: domains without a policy go first, then those not used for longest. */
static void
test_bounds(void **state)
{
    char room[32];
    struct sts_cache *cache = sts_cache_create(3, 1 << 20);
    (void)state;
    fetch(cache, numbered(room, 0), STR("1"), DAY, NOW);
    fail_fetch(cache, STR("1"), NOW);
    fetch(cache, numbered(room, 1), STR("1"), DAY, NOW);
    fetch(cache, numbered(room, 2), STR("1"), DAY, NOW);
    assert_int_equal(sts_cache_count(cache), 3);
    assert_null(sts_cache_find(cache, DOMAIN));
    assert_non_null(sts_cache_use(cache, numbered(room, 0), NOW));
    fetch(cache, numbered(room, 3), STR("1"), DAY, NOW);
    assert_non_null(sts_cache_find(cache, numbered(room, 0)));
    assert_null(sts_cache_find(cache, numbered(room, 1)));
    sts_cache_destroy(&cache);
    /* so is the memory */
    cache = sts_cache_create(1000, 10000);
    for (unsigned i = 0; i < 100; i++) {
        fetch(cache, numbered(room, i), STR("1"), DAY, NOW);
        assert_true(sts_cache_octets(cache) <= 10000);
    }
    assert_true(sts_cache_count(cache) > 5);
    assert_non_null(sts_cache_find(cache, numbered(room, 99)));
    sts_cache_destroy(&cache);
}

/* The policies of 1,000 domains, each with ten names, take less than 10 MB. */
static void
test_memory(void **state)
{
    char room[32];
    struct str mx[10];
    struct sts_policy policy = {.mode = STS_MODE_ENFORCE, .max_age = DAY, .mx = mx, .mx_count = 10};
    struct sts_cache *cache = sts_cache_create(20000, 64 << 20);
    size_t before = mallinfo2().uordblks;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mx); i++) {
        mx[i] = STR("mx-with-a-rather-long-name.mail.provider.example.com");
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(sts_cache_begin(cache, numbered(room, i), NOW));
        assert_non_null(
            sts_cache_fetched(cache, numbered(room, i), STR("20160831085700Z"), &policy, NOW));
    }
    size_t taken = mallinfo2().uordblks - before;
    print_message("1000 policies: %zu octets, %zu counted\n", taken, sts_cache_octets(cache));
    assert_int_equal(sts_cache_count(cache), 1000);
    assert_true(taken < 10000000 && sts_cache_octets(cache) < 10000000);
    sts_cache_destroy(&cache);
}

/* Refreshes of domains that were fetched at the same time are spread. */
static void
test_spread(void **state)
{
    char room[32];
    unsigned hours[25] = {0};
    unsigned used = 0;
    struct sts_cache *cache = sts_cache_create(2000, 16 << 20);
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        const struct sts_entry *entry = fetch(cache, numbered(room, i), STR("1"), 10 * DAY, NOW);
        hours[(sts_entry_refresh_at(entry) - NOW) / 3600]++;
    }
    for (size_t i = 0; i < COUNT_OF(hours); i++) {
        assert_true(hours[i] < 400);
        used += hours[i] > 0;
    }
    assert_true(used >= 6);
    sts_cache_destroy(&cache);
}

static void
test_due_and_age(void **state)
{
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    const struct sts_entry *entry = fetch(cache, DOMAIN, STR("1"), 200 * DAY, NOW);
    int64_t due = sts_entry_refresh_at(entry);
    (void)state;
    assert_null(sts_cache_due(cache, due - 1));
    assert_ptr_equal(sts_cache_due(cache, due), entry);
    assert_true(sts_cache_begin(cache, DOMAIN, due));
    assert_null(sts_cache_due(cache, due)); /* it is under way */
    entry = sts_cache_failed(cache, DOMAIN, STR(""), TLS_RESULT_STS_WEBPKI_INVALID, due);
    assert_null(sts_cache_due(cache, due));
    assert_ptr_equal(sts_cache_due(cache, due + STS_RETRY_MIN), entry);
    /* no mail for long: its end is awaited */
    assert_null(sts_cache_due(cache, NOW + STS_UNUSED_MAX));
    assert_non_null(sts_cache_use(cache, DOMAIN, NOW + STS_UNUSED_MAX));
    assert_non_null(sts_cache_due(cache, NOW + STS_UNUSED_MAX));
    sts_cache_expire(cache, NOW + 200 * DAY - 1);
    assert_int_equal(sts_cache_count(cache), 1);
    sts_cache_expire(cache, NOW + 200 * DAY);
    assert_int_equal(sts_cache_count(cache), 0);
    assert_int_equal(sts_cache_octets(cache), 0);
    /* a fetch that failed is remembered longer than the wait, so that the next wait is longer */
    fail_fetch(cache, STR("1"), NOW);
    sts_cache_expire(cache, NOW + STS_RETRY_MIN);
    assert_int_equal(sts_cache_count(cache), 1);
    sts_cache_expire(cache, NOW + 2 * STS_RETRY_MIN);
    assert_int_equal(sts_cache_count(cache), 0);
    sts_cache_destroy(&cache);
}

/* A row holds all but a fetch that is under way; no part of it is read, nor one with more. */
static void
test_rows(void **state)
{
    struct arena *arena = arena_create(16 << 20);
    struct sts_cache *cache = sts_cache_create(10, 1 << 20);
    (void)state;
    fetch(cache, DOMAIN, STR("1"), DAY, NOW);
    const struct sts_entry *entry = fail_fetch(cache, STR("2"), NOW + 5);
    struct str row = sts_entry_encode(arena, entry);
    struct sts_cache *other = sts_cache_create(10, 1 << 20);
    assert_int_equal(sts_cache_restore(other, row), STATUS_OK);
    const struct sts_entry *again = sts_cache_find(other, DOMAIN);
    assert_non_null(again);
    assert_string_equal(again->id, "1");
    assert_string_equal(again->failed_id, "2");
    assert_true(str_eq(again->policy, entry->policy));
    assert_int_equal(again->mode, STS_MODE_ENFORCE);
    assert_int_equal(again->max_age, DAY);
    assert_int_equal(again->expires_s, NOW + DAY);
    assert_int_equal(again->attempted_s, NOW + 5);
    assert_int_equal(again->failures, 1);
    assert_int_equal(again->failure, TLS_RESULT_STS_POLICY_FETCH_ERROR);
    assert_true(str_eq(sts_entry_encode(arena, again), row));
    sts_cache_destroy(&other);
    other = sts_cache_create(10, 1 << 20);
    for (size_t n = 0; n < row.n; n++) {
        assert_int_equal(sts_cache_restore(other, str_head(row, n)), STATUS_SYNTAX);
    }
    struct str longer = arena_concat(arena, (struct str[]){row, STR("x")}, 2);
    assert_int_equal(sts_cache_restore(other, longer), STATUS_SYNTAX);
    assert_int_equal(sts_cache_count(other), 0);
    sts_cache_destroy(&other);
    sts_cache_destroy(&cache);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_contact),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_new_id),
        cmocka_unit_test(test_retry_while_live),
        cmocka_unit_test(test_short_lives),
        cmocka_unit_test(test_one_fetch),
        cmocka_unit_test(test_two_domains),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_due_and_age),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests_name("transport sts_cache", tests, NULL, NULL);
}
