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
        /* Found by its name: so no name is there twice. */
        assert_ptr_equal(role_metric_find(name), row);
    }
    assert_null(role_metric_find(STR("nothing")));
    assert_string_equal(role_metric_type_name(ROLE_METRIC_TYPE_COUNTER), "counter");
    assert_string_equal(role_metric_type_name(ROLE_METRIC_TYPE_GAUGE), "gauge");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row)};
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
