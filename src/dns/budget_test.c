#include "dns/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dns/source_zone.h"

static int64_t now;

static int64_t
clock_of_the_test(void)
{
    return now;
}

struct fixture {
    struct arena *arena;
    struct dns_zone *zone;
    struct dns_source source;
    struct dns_budget budget;
    struct dns_source_budget limited;
};

static int
setup(void **state)
{
    static struct fixture f;
    struct str error;
    now = 1000;
    f.arena = arena_create(1u << 20);
    assert_int_equal(dns_zone_create(f.arena,
                                     STR("{\"a.example\": [{\"type\": \"A\", \"value\": "
                                         "\"192.0.2.1\"}]}"),
                                     DNS_SECURITY_SECURE, &f.zone, &error),
                     STATUS_OK);
    f.source = dns_source_from_zone(f.zone);
    dns_budget_init(&f.budget, 500, 3, clock_of_the_test);
    f.limited = (struct dns_source_budget){&f.source, &f.budget};
    *state = &f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    dns_zone_destroy(&f->zone);
    arena_destroy(&f->arena);
    return 0;
}

static enum dns_outcome
ask(struct fixture *f)
{
    struct dns_source source = dns_source_from_budget(&f->limited);
    struct dns_answer answer;
    assert_int_equal(dns_resolve(&source, f->arena, STR("a.example"), DNS_TYPE_A, &answer),
                     STATUS_OK);
    return answer.outcome;
}

static void
test_questions(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(f), DNS_OUTCOME_ANSWER);
    }
    assert_false(f->budget.exhausted);
    assert_int_equal(ask(f), DNS_OUTCOME_TIMEOUT);
    assert_true(f->budget.exhausted);
    assert_int_equal(dns_zone_questions(f->zone), 3); /* the last one was not asked */
}

static void
test_time(void **state)
{
    struct fixture *f = *state;
    now += 499;
    assert_int_equal(dns_budget_left_ms(&f->budget), 1);
    assert_int_equal(ask(f), DNS_OUTCOME_ANSWER);
    now += 1;
    assert_int_equal(dns_budget_left_ms(&f->budget), 0);
    assert_int_equal(ask(f), DNS_OUTCOME_TIMEOUT);
    now += 5000;
    assert_int_equal(dns_budget_left_ms(&f->budget), 0);
    assert_int_equal(dns_zone_questions(f->zone), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
