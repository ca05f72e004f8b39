/* The table of metrics keeps what monitoring systems expect of it. */
#include "roles/metrics.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROLE_METRIC_COUNT; i++) {
        const struct role_metric_row *row = role_metric_row((enum role_metric)i);
        struct str name = str_from_cstr(row->name);
        struct str help = str_from_cstr(row->help);
        bool counter = row->type == ROLE_METRIC_TYPE_COUNTER;
        for (size_t k = 0; k < name.n; k++) {
            assert_true((name.p[k] >= 'a' && name.p[k] <= 'z') || name.p[k] == '_');
        }
        if (str_ends_with(name, STR("_total")) != counter) {
            fail_msg("%s: counters, and only they, end in _total", row->name);
        }
        if (help.n < 5 || !str_ends_with(help, STR(".")) || str_contains_char(help, '\\') ||
            str_contains_char(help, '\n')) {
            fail_msg("%s has no sentence that helps", row->name);
        }
        /* Found by its name: so no name is there twice. A histogram has values under others only.
         */
        assert_ptr_equal(role_metric_find(name),
                         row->type == ROLE_METRIC_TYPE_HISTOGRAM ? NULL : row);
    }
    assert_null(role_metric_find(STR("nothing")));
    assert_string_equal(role_metric_type_name(ROLE_METRIC_TYPE_HISTOGRAM), "histogram");
    assert_string_equal(role_metric_type_name(ROLE_METRIC_TYPE_COUNTER), "counter");
    assert_string_equal(role_metric_type_name(ROLE_METRIC_TYPE_GAUGE), "gauge");
}

/* Labels and the parts of a histogram belong to a row; nothing that only looks like them does. */
static void
test_names_with_more_behind_them(void **state)
{
    static const struct {
        const char *name;
        int row; /* -1: none */
    } rows[] = {
        {"findings_total{finding=\"spf_fail\"}", ROLE_METRIC_FINDINGS_TOTAL},
        {"delivery_latency_seconds_bucket{le=\"1\"}", ROLE_METRIC_DELIVERY_LATENCY_SECONDS},
        {"delivery_latency_seconds_sum", ROLE_METRIC_DELIVERY_LATENCY_SECONDS},
        {"delivery_latency_seconds_count", ROLE_METRIC_DELIVERY_LATENCY_SECONDS},
        {"delivery_latency_seconds_most", -1},
        {"findings_total_sum", -1},
        {"{finding=\"x\"}", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct role_metric_row *want =
            rows[i].row >= 0 ? role_metric_row((enum role_metric)rows[i].row) : NULL;
        assert_ptr_equal(role_metric_find(str_from_cstr(rows[i].name)), want);
    }
}

static void
test_what_is_kept_in_milliseconds(void **state)
{
    (void)state;
    assert_true(role_metric_is_ms(STR("delivery_latency_seconds_sum")));
    assert_false(role_metric_is_ms(STR("delivery_latency_seconds_count")));
    assert_false(role_metric_is_ms(STR("delivery_latency_seconds_bucket{le=\"1\"}")));
    assert_false(role_metric_is_ms(STR("queue_oldest_seconds")));
    assert_false(role_metric_is_ms(STR("no_such_sum")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row),
                                       cmocka_unit_test(test_what_is_kept_in_milliseconds),
                                       cmocka_unit_test(test_names_with_more_behind_them)};
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
