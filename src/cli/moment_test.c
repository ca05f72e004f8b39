/* Times as people write them. */
#include "cli/moment.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1795456094123 /* 2026-11-23T17:48:14.123Z */

static const struct {
    const char *text;
    int64_t want; /* -1: refused */
} rows[] = {
    {"2026-11-23", 1795392000000},
    {"2026-11-23T17:48", 1795456080000},
    {"2026-11-23T17:48:14", 1795456094000},
    {"2026-11-23T17:48:14Z", 1795456094000},
    {"2026-11-23 17:48:14", 1795456094000},
    {"1970-01-01", 0},
    {"2024-02-29", 1709164800000},
    {"17:48", 1795456080000},
    {"00:00:01", 1795392001000},
    {"90s", NOW - 90000},
    {"15m", NOW - 900000},
    {"2h", NOW - 7200000},
    {"3d", NOW - 259200000},
    {"", -1},
    {"d", -1},
    {"3w", -1},
    {"-3d", -1},
    {"now", -1},
    {"2026-11-31", -1},
    {"2026-02-29", -1},
    {"2026-00-10", -1},
    {"2026-13-10", -1},
    {"2026-11-00", -1},
    {"1969-12-31", -1},
    {"2026-11-23T", -1},
    {"2026-11-23T24:00", -1},
    {"2026-11-23T17", -1},
    {"2026-11-23T17:60", -1},
    {"2026-11-23T17:48:14x", -1},
    {"2026-11-2", -1},
    {"26-11-23", -1},
    {"7:48", -1},
    {"17:48:", -1},
    {"999999999d", -1},
};

static void
moments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t got = -1;
        enum status status = moment_parse(str_from_cstr(rows[i].text), NOW, &got);
        if (got != rows[i].want || (status == STATUS_OK) != (rows[i].want >= 0)) {
            fail_msg("'%s': %s %lld, want %lld", rows[i].text, status_name(status), (long long)got,
                     (long long)rows[i].want);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
