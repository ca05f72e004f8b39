/* Fairness, retries, concurrency, blocks and bounded memory of the schedule, without a clock. */
#include "store/spool_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NORMAL 1u

static const struct schedule_settings usual = {.retry_first_ms = 1000,
                                               .retry_max_ms = 8000,
                                               .retry_factor = 2.0,
                                               .retry_jitter = 0,
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

/* Answers the first question about a new destination: nothing is in the database. */
static struct schedule_destination *
known(struct schedule *s, const char *name)
{
    static struct spool_due nothing = {.next_ms = INT64_MAX};
    size_t limits[SPOOL_RANKS];
    struct schedule_destination *d = schedule_get(s, str_from_cstr(name));
    assert_non_null(d);
    struct schedule_destination *asked;
    while ((asked = schedule_wants_fill(s, limits)) != NULL) {
        schedule_filled(s, asked, &nothing, NULL, 0);
    }
    return d;
}

/* The next delivery's destination ("-": none), its message in *message_out. */
static const char *
next(struct schedule *s, int64_t now, int64_t *message_out)
{
    static char name[64];
    struct schedule_destination *d;
    if (!schedule_next(s, now, &d, message_out)) {
        return "-";
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(schedule_name(d)));
    return name;
}

static void
end(struct schedule *s, const char *name, int64_t message, enum schedule_result result, int64_t now)
{
    struct schedule_destination *d = schedule_find(s, str_from_cstr(name));
    schedule_ended(s, d, result, now);
    schedule_settled(s, d, message);
}

static void
test_delay_grows_and_is_bounded(void **state)
{
    static const int64_t want[] = {1000, 2000, 4000, 8000, 8000, 8000};
    struct schedule_settings jittery = usual;
    bool differs = false;
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(schedule_retry_delay(&usual, i + 1, 12345), want[i]);
    }
    assert_int_equal(schedule_retry_delay(&usual, UINT32_MAX, 0), 8000);
    jittery.retry_jitter = 20;
    for (uint64_t random = 0; random < 5000; random += 7) {
        int64_t delay = schedule_retry_delay(&jittery, 2, random);
        assert_in_range(delay, 1600, 2400);
        differs = differs || delay != 2000;
    }
    assert_true(differs);
    jittery.retry_factor = 1.0; /* the wait never grows: no endless loop either */
    assert_in_range(schedule_retry_delay(&jittery, UINT32_MAX, 1000), 800, 1200);
}

/* The ends of what may be random and of what may be configured. */
static void
test_delays_at_their_ends(void **state)
{
    (void)state;
    const struct schedule_settings jittery = {
        .retry_first_ms = 1000, .retry_max_ms = 8000, .retry_factor = 2.0, .retry_jitter = 20};
    const struct schedule_settings steep = {
        .retry_first_ms = 9000, .retry_max_ms = 8000, .retry_factor = 2.0};
    const struct schedule_settings shrinking = {
        .retry_first_ms = 1000, .retry_max_ms = 8000, .retry_factor = 0.5};
    const struct schedule_settings wild = {
        .retry_first_ms = 1, .retry_max_ms = 8000, .retry_factor = 2.0, .retry_jitter = 100};
    assert_int_equal(schedule_retry_delay(&jittery, 1, 0), 800);
    assert_int_equal(schedule_retry_delay(&jittery, 1, 1000), 1000);
    assert_int_equal(schedule_retry_delay(&jittery, 1, 2000), 1200);
    assert_int_equal(schedule_retry_delay(&jittery, 1, 2001), 800);
    assert_int_equal(schedule_retry_delay(&jittery, 0, 1000), 1000);
    assert_int_equal(schedule_retry_delay(&jittery, 4, 1000), 8000);
    assert_int_equal(schedule_retry_delay(&jittery, 5, 2000), 9600); /* spread past the most */
    assert_int_equal(schedule_retry_delay(&steep, 1, 1000), 8000);
    assert_int_equal(schedule_retry_delay(&shrinking, 9, 1000), 500);
    assert_int_equal(schedule_retry_delay(&wild, 1, 0), 1); /* never at once */
}

static void
test_a_long_name_is_cut(void **state)
{
    static const char text[] = "hostname: mx.own.example\n"
                               "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";
    char address[SPOOL_DESTINATION_MAX + 40];
    char out[SPOOL_DESTINATION_MAX];
    struct arena *arena = arena_create(4 * 1024 * 1024);
    struct config_errors *errors = arena_alloc(arena, sizeof *errors);
    const struct config *config;
    (void)state;
    assert_int_equal(config_load_text(arena, str_from_cstr(text), &config, errors), STATUS_OK);
    memset(address, 'X', sizeof address);
    address[1] = '@';
    struct str got = spool_destination_key(config, str_make(address, sizeof address), out);
    assert_int_equal(got.n, SPOOL_DESTINATION_MAX);
    for (size_t i = 0; i < got.n; i++) {
        assert_int_equal(got.p[i], 'x');
    }
    config_unref(&config);
    arena_destroy(&arena);
}

static void
test_destinations_take_turns(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *huge = known(s, "huge");
    struct schedule_destination *small = known(s, "small");
    int64_t message;
    for (int64_t i = 1; i <= 100; i++) {
        assert_true(schedule_offer(s, huge, i, NORMAL, 0));
    }
    assert_true(schedule_offer(s, small, 1, NORMAL, 0)); /* the same message */
    assert_true(schedule_offer(s, small, 101, NORMAL, 0));
    assert_string_equal(next(s, 0, &message), "huge");
    assert_string_equal(next(s, 0, &message), "small");
    assert_int_equal(message, 1);
    assert_string_equal(next(s, 0, &message), "huge");
    assert_string_equal(next(s, 0, &message), "small");
    assert_int_equal(message, 101);
    assert_string_equal(next(s, 0, &message), "-"); /* both at their limit of 2 */
}

static void
test_a_message_is_in_once(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    static struct spool_due due = {.count = {0, 3, 0}, .next_ms = INT64_MAX};
    int64_t message;
    size_t limits[SPOOL_RANKS];
    assert_true(schedule_offer(s, d, 5, NORMAL, 0));
    assert_string_equal(next(s, 0, &message), "d");
    due.messages[1][0] = 5; /* being delivered */
    due.messages[1][1] = 6;
    due.messages[1][2] = 6;
    schedule_due_at(s, d, 0, 0);
    assert_ptr_equal(schedule_wants_fill(s, limits), d);
    assert_null(schedule_wants_fill(s, limits)); /* asked once */
    schedule_filled(s, d, &due, NULL, 0);
    assert_string_equal(next(s, 0, &message), "d");
    assert_int_equal(message, 6);
    assert_int_equal(schedule_entry_count(s), 2);
    end(s, "d", 5, SCHEDULE_SUCCESS, 0);
    end(s, "d", 6, SCHEDULE_SUCCESS, 0);
    assert_int_equal(schedule_entry_count(s), 0);
}

static void
test_concurrency_grows_and_shrinks(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    int64_t message;
    for (int64_t i = 1; i <= 60; i++) {
        assert_true(schedule_offer(s, d, i, NORMAL, 0));
    }
    assert_int_equal(schedule_concurrency(d), 2);
    for (int i = 0; i < 20; i++) {
        next(s, 0, &message);
        end(s, "d", message, SCHEDULE_SUCCESS, 0);
    }
    assert_int_equal(schedule_concurrency(d), 4); /* the most */
    for (int i = 0; i < 4; i++) {
        assert_string_equal(next(s, 0, &message), "d");
    }
    assert_string_equal(next(s, 0, &message), "-");
    for (int i = 0; i < 4; i++) {
        schedule_ended(s, d, SCHEDULE_REFUSED, 0);
    }
    assert_in_range(schedule_concurrency(d), 2, 3);
    for (int i = 0; i < 20; i++) {
        next(s, 0, &message);
        end(s, "d", message, SCHEDULE_REFUSED, 0);
    }
    assert_int_equal(schedule_concurrency(d), 1); /* never 0 */
}

static void
test_the_unreachable_are_blocked_and_probed(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "dead");
    int64_t first;
    int64_t second;
    for (int64_t i = 1; i <= 10; i++) {
        assert_true(schedule_offer(s, d, i, NORMAL, 0));
    }
    next(s, 0, &first);
    next(s, 0, &second);
    end(s, "dead", first, SCHEDULE_UNREACHABLE, 0);
    end(s, "dead", second, SCHEDULE_UNREACHABLE, 10); /* the same failure */
    assert_int_equal(schedule_blocked_until(d), 1000);
    assert_int_equal(schedule_blocked_count(s, 999), 1);
    schedule_tick(s, 999);
    assert_string_equal(next(s, 999, &first), "-");
    schedule_tick(s, 1000);
    assert_string_equal(next(s, 1000, &first), "dead");
    assert_string_equal(next(s, 1000, &second), "-"); /* one probes */
    end(s, "dead", first, SCHEDULE_UNREACHABLE, 1000);
    assert_int_equal(schedule_blocked_until(d), 3000); /* longer each time */
    schedule_tick(s, 3000);
    assert_string_equal(next(s, 3000, &first), "dead");
    end(s, "dead", first, SCHEDULE_SUCCESS, 3000);
    assert_int_equal(schedule_blocked_count(s, 3000), 0);
    assert_string_equal(next(s, 3000, &first), "dead");
    assert_string_equal(next(s, 3000, &second), "dead");
}

static void
test_priorities_share(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    unsigned served[SPOOL_RANKS] = {0};
    int64_t message;
    for (int64_t i = 0; i < 90; i++) {
        assert_true(schedule_offer(s, d, i, (unsigned)(i % 3), 0));
    }
    for (int i = 0; i < 26; i++) {
        next(s, 0, &message);
        served[message % 3]++;
        end(s, "d", message, SCHEDULE_SUCCESS, 0);
    }
    assert_int_equal(served[0], 16);
    assert_int_equal(served[1], 8);
    assert_int_equal(served[2], 2);
    for (int i = 0; i < 64; i++) { /* and nothing is left over when a rank runs out */
        assert_string_equal(next(s, 0, &message), "d");
        end(s, "d", message, SCHEDULE_SUCCESS, 0);
    }
    assert_string_equal(next(s, 0, &message), "-");
}

static void
test_the_window_keeps_order_with_the_database(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    static struct spool_due due = {.count = {0, 2, 0}, .next_ms = INT64_MAX};
    size_t limits[SPOOL_RANKS];
    int64_t taken = 0;
    int64_t message;
    while (schedule_offer(s, d, taken + 1, NORMAL, 0)) {
        taken++;
    }
    assert_in_range(taken, 32, 1024);
    /* It is full: from here on all go to the database until that is read. */
    assert_false(schedule_offer(s, d, 5000, NORMAL, 0));
    assert_null(schedule_wants_fill(s, limits)); /* not while there is plenty */
    for (int64_t i = 0; i < taken; i++) {
        next(s, 0, &message);
        assert_int_equal(message, i + 1);
        end(s, "d", message, SCHEDULE_SUCCESS, 0);
    }
    assert_false(schedule_offer(s, d, 5001, NORMAL, 0));
    assert_ptr_equal(schedule_wants_fill(s, limits), d);
    assert_in_range(limits[NORMAL], 32, SPOOL_DUE_MAX);
    assert_false(schedule_offer(s, d, 5002, NORMAL, 0)); /* came while the database was read */
    due.messages[1][0] = 5000;
    due.messages[1][1] = 5001;
    schedule_filled(s, d, &due, NULL, 0);
    assert_string_equal(next(s, 0, &message), "d");
    assert_int_equal(message, 5000);
    assert_ptr_equal(schedule_wants_fill(s, limits), d); /* for the late one */
    due.messages[1][0] = 5001;
    due.messages[1][1] = 5002;
    schedule_filled(s, d, &due, NULL, 0);
    end(s, "d", 5000, SCHEDULE_SUCCESS, 0);
    next(s, 0, &message);
    assert_int_equal(message, 5001);
    next(s, 0, &message);
    assert_int_equal(message, 5002);
    assert_string_equal(next(s, 0, &message), "-");
}

static void
test_later_attempts_come_up(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    size_t limits[SPOOL_RANKS];
    schedule_due_at(s, d, 5000, 100);
    schedule_due_at(s, d, 7000, 100);
    schedule_tick(s, 4999);
    assert_null(schedule_wants_fill(s, limits));
    schedule_tick(s, 5000);
    assert_ptr_equal(schedule_wants_fill(s, limits), d);
}

static void
test_a_cancelled_delivery_comes_first_again(void **state)
{
    struct schedule *s = *state;
    struct schedule_destination *d = known(s, "d");
    int64_t message;
    schedule_offer(s, d, 1, NORMAL, 0);
    schedule_offer(s, d, 2, NORMAL, 0);
    next(s, 0, &message);
    schedule_put_back(s, d, message, 0);
    schedule_ended(s, d, SCHEDULE_NOTHING, 0);
    next(s, 0, &message);
    assert_int_equal(message, 1);
}

static void
test_what_the_database_knows_of_a_block_holds(void **state)
{
    struct schedule *s = *state;
    static struct spool_due nothing = {.next_ms = INT64_MAX};
    const struct spool_destination stored = {.look_ms = 9000, .failures = 3};
    size_t limits[SPOOL_RANKS];
    int64_t message;
    struct schedule_destination *d = schedule_get(s, STR("dead"));
    assert_ptr_equal(schedule_wants_fill(s, limits), d);
    schedule_filled(s, d, &nothing, &stored, 100);
    schedule_offer(s, d, 1, NORMAL, 100);
    assert_string_equal(next(s, 100, &message), "-");
    schedule_unblock(s, d, 200);
    assert_string_equal(next(s, 200, &message), "dead");
}

static void
test_memory_is_bounded(void **state)
{
    struct schedule *s = *state;
    char name[SPOOL_DESTINATION_MAX + 1];
    int64_t look;
    int64_t message;
    uint32_t failures;
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "d%d", i);
        known(s, name);
    }
    assert_null(schedule_get(s, STR("one too many")));
    schedule_pin(schedule_find(s, STR("d0")));
    schedule_offer(s, schedule_find(s, STR("d1")), 1, NORMAL, 0);
    schedule_due_at(s, schedule_find(s, STR("d2")), 2000, 0); /* soon: not worth it */
    schedule_due_at(s, schedule_find(s, STR("d3")), 90000, 0);
    schedule_offer(s, schedule_find(s, STR("d4")), 2, NORMAL, 0);
    for (int i = 0; i < 2; i++) {
        const char *d = next(s, 0, &message);
        if (strcmp(d, "d4") == 0) {
            end(s, "d4", message, SCHEDULE_UNREACHABLE, 0);
        }
    }
    /* d1 is being delivered, d0 pinned, d2 due soon; short of room, d3 to d7 may go until a quarter
     * of the room is free. */
    assert_true(schedule_evict(s, 0, name, &look, &failures));
    assert_string_equal(name, "d3");
    assert_int_equal(look, 90000);
    assert_int_equal(failures, 0);
    assert_true(schedule_evict(s, 0, name, &look, &failures));
    assert_string_equal(name, "d5");
    assert_int_equal(look, INT64_MAX);
    assert_false(schedule_evict(s, 0, name, &look, &failures));               /* room enough */
    assert_true(schedule_evict(s, SCHEDULE_IDLE_MS, name, &look, &failures)); /* idle for long */
    assert_string_equal(name, "d4");
}

static void
test_the_destination_is_the_next_hop(void **state)
{
    static const char text[] =
        "hostname: mx.own.example\n"
        "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
        "bounce: {postmaster: postmaster@own.example}\n"
        "domains:\n"
        "  - {name: own.example, delivery: \"lmtp://127.0.0.1:24\", recipients: any}\n"
        "  - {name: second.example, delivery: mx, recipients: any}\n"
        "routes:\n"
        "  - {domain: routed.example, to: \"smtp://relay.example:2525\"}\n"
        "  - {domain: .below.example, to: \"smtp://relay.example:2525\"}\n"
        "  - {domain: direct.example, to: mx}\n";
    static const char with_smart_host[] = "smart_host: smtp://smart.example:25\n";
    static const struct {
        const char *address;
        const char *want;
        const char *want_with_smart_host; /* NULL: the same */
    } cases[] = {
        {"a@own.example", "lmtp://127.0.0.1:24", NULL},
        {"a@OWN.example", "lmtp://127.0.0.1:24", NULL},
        {"postmaster", "mx.own.example", "smtp://smart.example:25"},
        {"a@second.example", "second.example", NULL},
        {"a@routed.example", "smtp://relay.example:2525", NULL},
        {"a@x.below.example", "smtp://relay.example:2525", NULL},
        {"a@direct.example", "direct.example", NULL},
        {"a@Else.Where.example", "else.where.example", "smtp://smart.example:25"},
        {"\"a@b\"@else.example", "else.example", "smtp://smart.example:25"},
        {"a@[192.0.2.1]", "[192.0.2.1]", "smtp://smart.example:25"},
    };
    (void)state;
    for (int smart = 0; smart < 2; smart++) {
        struct arena *arena = arena_create(4 * 1024 * 1024);
        struct config_errors *errors = arena_alloc(arena, sizeof *errors);
        const struct config *config;
        struct str yaml = arena_printf(arena, "%s%s", text, smart != 0 ? with_smart_host : "");
        enum status status = config_load_text(arena, yaml, &config, errors);
        if (status != STATUS_OK) {
            print_error("%.*s\n", STR_ARG(errors->items[0].text));
        }
        assert_int_equal(status, STATUS_OK);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char out[SPOOL_DESTINATION_MAX];
            const char *want = smart != 0 && cases[i].want_with_smart_host != NULL
                                   ? cases[i].want_with_smart_host
                                   : cases[i].want;
            struct str got = spool_destination_key(config, str_from_cstr(cases[i].address), out);
            if (!str_eq(got, str_from_cstr(want))) {
                print_error("%s: %.*s\n", cases[i].address, STR_ARG(got));
            }
            assert_true(str_eq(got, str_from_cstr(want)));
        }
        config_unref(&config);
        arena_destroy(&arena);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delay_grows_and_is_bounded),
        TEST(delays_at_their_ends),
        TEST(a_long_name_is_cut),
        TEST(destinations_take_turns),
        TEST(a_message_is_in_once),
        TEST(concurrency_grows_and_shrinks),
        TEST(the_unreachable_are_blocked_and_probed),
        TEST(priorities_share),
        TEST(the_window_keeps_order_with_the_database),
        TEST(later_attempts_come_up),
        TEST(a_cancelled_delivery_comes_first_again),
        TEST(what_the_database_knows_of_a_block_holds),
        TEST(memory_is_bounded),
        TEST(the_destination_is_the_next_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
