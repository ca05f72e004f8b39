#include "mail/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void
test_dates(void **state)
{
    static const struct {
        struct str value;
        int64_t want_s; /* checked with date -u -d ... +%s */
    } cases[] = {
        {STR_INIT("Thu, 1 Jan 1970 00:00:00 +0000"), 0},
        {STR_INIT(" Mon, 23 Nov 2026 17:48:14 +0000"), 1795456094},
        {STR_INIT("Mon, 23 Nov 2026 18:48:14 +0100 (CET)"), 1795456094},
        {STR_INIT("23 Nov 2026 12:18:14 -0530"), 1795456094},
        {STR_INIT("Mon, 23 Nov 2026 17:48 GMT"), 1795456080},
        {STR_INIT("Mon,\r\n 23 Nov\r\n\t2026 17:48:14 +0000"), 1795456094},
        {STR_INIT("Mon, 23 Nov 2026 10:48:14 MST"), 1795456094},
        {STR_INIT("Mon, 23 Nov 2026 17:48:14 Z"), 1795456094},
        {STR_INIT("Mon, 23 Nov 2026 17:48:14 XYZ"), 1795456094},
        {STR_INIT("(c) Mon (c), 23 (c) Nov (c) 2026 17 : 48 : 14 (c) +0000 (c (c))"), 1795456094},
        {STR_INIT("23 nov 26 17:48:14 ut"), 1795456094},
        {STR_INIT("1 Jan 70 00:00:00 +0000"), 0},
        {STR_INIT("1 Jan 070 00:00:00 +0000"), 0},
        {STR_INIT("29 Feb 2024 12:00:00 +0000"), 1709208000},
        {STR_INIT("29 Feb 2000 12:00:00 +0000"), 951825600},
        {STR_INIT("31 Dec 2016 23:59:60 +0000"), 1483228800},
        {STR_INIT("1 Jan 1900 00:00:00 +0000"), -2208988800},
        {STR_INIT("31 Dec 9999 23:59:59 +0000"), 253402300799},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = -1;
        enum status status = mail_date_parse(cases[i].value, &got);
        if (status != STATUS_OK || got != cases[i].want_s * 1000) {
            fail_msg("case %zu: %s, %lld", i, status_name(status), (long long)got);
        }
    }
}

static void
test_what_is_no_date(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),
        STR_INIT("today"),
        STR_INIT("2026-11-23T17:48:14Z"),
        STR_INIT("Xyz, 23 Nov 2026 17:48:14 +0000"),
        STR_INIT("Mon 23 Nov 2026 17:48:14 +0000"),
        STR_INIT("Mon, 23 Nox 2026 17:48:14 +0000"),
        STR_INIT("Mon, 31 Nov 2026 17:48:14 +0000"),
        STR_INIT("Mon, 29 Feb 2023 17:48:14 +0000"),
        STR_INIT("Mon, 29 Feb 1900 17:48:14 +0000"),
        STR_INIT("Mon, 0 Nov 2026 17:48:14 +0000"),
        STR_INIT("Mon, 123 Nov 2026 17:48:14 +0000"),
        STR_INIT("Mon, 23 Nov 20260 17:48:14 +0000"),
        STR_INIT("Mon, 23 Nov 1899 17:48:14 +0000"),
        STR_INIT("Mon, 23 Nov 2026 24:00:00 +0000"),
        STR_INIT("Mon, 23 Nov 2026 17:60:14 +0000"),
        STR_INIT("Mon, 23 Nov 2026 17:48:61 +0000"),
        STR_INIT("Mon, 23 Nov 2026 17:4:14 +0000"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14 +000"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14 +0060"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14 +0000 x"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14 +0000 (c"),
        STR_INIT("Mon, 23 Nov 2026 17:48:14 +0000\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = 4711;
        if (mail_date_parse(cases[i], &got) != STATUS_SYNTAX || got != 4711) {
            fail_msg("case %zu: taken for %lld", i, (long long)got);
        }
    }
}

static void
test_truncated_at_every_octet(void **state)
{
    struct str whole = STR("Mon, 23 Nov 2026 17:48:14 +0000 (a \\) (b))");
    (void)state;
    for (size_t n = 0; n < whole.n; n++) {
        char *copy = malloc(n + (n == 0));
        int64_t got;
        memcpy(copy, whole.p, n);
        /* Whole only where the zone is complete and no comment is open. */
        bool complete = n == 31 || n == 32;
        assert_int_equal(mail_date_parse(str_make(copy, n), &got),
                         complete ? STATUS_OK : STATUS_SYNTAX);
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_what_is_no_date),
        cmocka_unit_test(test_truncated_at_every_octet),
    };
    return cmocka_run_group_tests_name("mail date", tests, NULL, NULL);
}
