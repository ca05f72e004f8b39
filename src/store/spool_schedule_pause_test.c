/* Pauses and remembered failures of the schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/spool_schedule.h"

#define NORMAL 1u

static const struct schedule_settings usual = {.retry_first_ms = 1000,
                                               .retry_max_ms = 8000,
                                               .retry_factor = 2.0,
                                               .concurrency_first = 2,
                                               .concurrency_max = 4,
                                               .destinations = 8,
                                               .entries = 1024};

static int
setup(void **state)
{
    *state = schedule_create(&usual);
    return 0;
}

static int
teardown(void **state)
{
    struct schedule *s = *state;
    schedule_destroy(&s);
    return 0;
}

/* A destination with a message in its window; `stored` as the database knows it, or NULL. */
static struct schedule_destination *
with_mail(struct schedule *s, const char *name, const struct spool_destination *stored)
{
    static struct spool_due nothing = {.next_ms = INT64_MAX};
    size_t limits[SPOOL_RANKS];
    struct schedule_destination *d = schedule_get(s, str_from_cstr(name));
    struct schedule_destination *asked;
    assert_non_null(d);
    while ((asked = schedule_wants_fill(s, limits)) != NULL) {
        schedule_filled(s, asked, &nothing, asked == d ? stored : NULL, 0);
    }
    assert_true(schedule_offer(s, d, 1, NORMAL, 0));
    return d;
}

static bool
is_served(struct schedule *s)
{
    struct schedule_destination *d;
    int64_t message;
    if (!schedule_next(s, 0, &d, &message)) {
        return false;
    }
    schedule_put_back(s, d, message, 0);
    schedule_ended(s, d, SCHEDULE_NOTHING, 0);
    return true;
}

static struct spool_pause
pause_of(const char *name)
{
    return (struct spool_pause){.name = str_from_cstr(name), .since_ms = 77, .by = STR("ada")};
}

static void
test_nothing_is_served_while_paused(void **state)
{
    struct schedule *s = *state;
    const struct spool_pause a = pause_of("a");
    with_mail(s, "a", NULL);
    assert_true(is_served(s));
    assert_false(schedule_has_pauses(s));
    assert_true(schedule_pause(s, &a, 0));
    assert_false(schedule_pause(s, &a, 0));
    assert_true(schedule_has_pauses(s) && schedule_is_paused(s, STR("a")));
    assert_false(schedule_is_paused(s, STR("b")));
    assert_false(is_served(s));
    schedule_unblock(s, schedule_find(s, STR("a")), 0); /* a flush does not resume it */
    schedule_tick(s, 0);
    assert_false(is_served(s));
    const struct spool_pause *got = schedule_pause_get(schedule_pauses(s));
    assert_true(str_eq(got->name, STR("a")) && str_eq(got->by, STR("ada")));
    assert_int_equal(got->since_ms, 77);
    assert_null(schedule_pause_next(schedule_pauses(s)));
    assert_true(schedule_resume(s, STR("a"), 0));
    assert_false(schedule_resume(s, STR("a"), 0));
    assert_true(is_served(s));
    assert_int_equal(schedule_pause_count(s), 0);
}

static void
test_who_comes_later_is_paused(void **state)
{
    struct schedule *s = *state;
    const struct spool_pause a = pause_of("a");
    assert_true(schedule_pause(s, &a, 0));
    with_mail(s, "a", NULL);
    assert_false(is_served(s));
    with_mail(s, "b", NULL);
    assert_true(is_served(s));
}

static void
test_pauses_are_bounded(void **state)
{
    struct schedule *s = *state;
    char name[SPOOL_DESTINATION_MAX + 2];
    for (unsigned i = 0; i < SPOOL_PAUSES_MAX; i++) {
        snprintf(name, sizeof name, "d%u", i);
        const struct spool_pause pause = pause_of(name);
        assert_true(schedule_pause(s, &pause, 0));
    }
    const struct spool_pause more = pause_of("more");
    assert_false(schedule_pause(s, &more, 0));
    assert_true(schedule_resume(s, STR("d7"), 0));
    memset(name, 'x', sizeof name);
    struct spool_pause longer = pause_of("");
    longer.name = str_make(name, SPOOL_DESTINATION_MAX + 1);
    assert_false(schedule_pause(s, &longer, 0));
    assert_true(schedule_pause(s, &more, 0));
}

static void
assert_failure(const struct schedule_destination *d, uint16_t code, const char *text)
{
    assert_non_null(schedule_failure(d));
    const struct spool_attempt why = spool_failure_view(schedule_failure(d));
    assert_int_equal(why.code, code);
    assert_true(str_eq(why.text, str_from_cstr(text)));
}

/* Of those that fail together a server's word is kept; of what fails later the later. */
static void
test_the_better_reason_is_kept(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = with_mail(s, "a", NULL);
    struct schedule_destination *taken;
    int64_t message;
    const struct spool_attempt refused = {.at_ms = 5, .text = STR("connection refused")};
    const struct spool_attempt busy = {.at_ms = 5, .code = 421, .text = STR("busy")};
    assert_null(schedule_failure(d));
    assert_false(schedule_note_success(d));
    schedule_note_failure(d, &refused, 0);
    assert_failure(d, 0, "connection refused");
    assert_true(schedule_next(s, 0, &taken, &message));
    schedule_ended(s, d, SCHEDULE_UNREACHABLE, 0); /* blocked until 1000 */
    schedule_note_failure(d, &busy, 1);
    schedule_note_failure(d, &refused, 2);
    assert_failure(d, 421, "busy");
    schedule_note_failure(d, &refused, 1000);
    assert_failure(d, 0, "connection refused");
    assert_true(schedule_note_success(d));
    assert_null(schedule_failure(d));
}

static void
test_the_database_remembers(void **state)
{
    struct schedule *s = *state;
    struct spool_destination stored = {.name = STR("a")};
    const struct spool_attempt busy = {.at_ms = 5, .code = 421, .text = STR("busy")};
    spool_failure_set(&stored.failure, &busy);
    struct schedule_destination *d = with_mail(s, "a", &stored);
    assert_true(schedule_is_known(d));
    assert_failure(d, 421, "busy");
    struct spool_destination sound = {.name = STR("b")};
    assert_null(schedule_failure(with_mail(s, "b", &sound)));
}

static void
test_long_texts_are_cut(void **state)
{
    char text[1000];
    struct spool_failure failure;
    struct str longer = str_make(text, sizeof text);
    const struct spool_attempt why = {.enhanced = longer, .text = longer, .remote = longer};
    (void)state;
    memset(text, 'x', sizeof text);
    spool_failure_set(&failure, &why);
    const struct spool_attempt got = spool_failure_view(&failure);
    assert_int_equal(got.enhanced.n, SPOOL_ENHANCED_MAX);
    assert_int_equal(got.text.n, SPOOL_REPLY_TEXT_MAX);
    assert_int_equal(got.remote.n, SPOOL_REMOTE_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_served_while_paused),
        TEST(who_comes_later_is_paused),
        TEST(pauses_are_bounded),
        TEST(the_better_reason_is_kept),
        TEST(the_database_remembers),
        TEST(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
