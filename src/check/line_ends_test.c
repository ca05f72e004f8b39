#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check/test_message.h"

static void
test_line_ends(void **state)
{
    static const struct {
        struct str content;
        const char *want;
    } cases[] = {
        {STR_INIT("A: b\r\n\r\nbody\r\n"), ""},
        {STR_INIT(""), ""},
        {STR_INIT("\r\n"), ""},
        {STR_INIT("a"), ""},
        {STR_INIT("a\nb"), "line_bare_lf(count=1 offset=1)"},
        {STR_INIT("\na\r\n\n"), "line_bare_lf(count=2 offset=0)"},
        {STR_INIT("a\rb\r\n"), "line_bare_cr(count=1 offset=1)"},
        {STR_INIT("a\r"), "line_bare_cr(count=1 offset=1)"},
        {STR_INIT("a\r\r\n"), "line_bare_cr(count=1 offset=1)"},
        {STR_INIT("a\n\rb\r\n"), "line_bare_cr(count=1 offset=2) line_bare_lf(count=1 offset=1)"},
        {STR_INIT("\r\n.\r\r\n"), "line_bare_cr(count=1 offset=3)"},
        {STR_INIT("a\0b\0\r\n"), "line_nul(count=2 offset=1)"},
        {STR_INIT("\0\r\n\n\r"), "line_nul(count=1 offset=0) line_bare_cr(count=1 offset=4) "
                                 "line_bare_lf(count=1 offset=3)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        test_message_open(&message, cases[i].content);
        const char *got = test_message_check(&message, check_line_ends);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

/* A bare LF does not make two short lines of a long one. */
static void
test_long_lines(void **state)
{
    static const struct {
        size_t length;
        size_t lf_at; /* 0: none */
        bool crlf;
        const char *want;
    } cases[] = {
        {998, 0, true, ""},
        {998, 0, false, ""},
        {999, 0, true, "line_too_long(octets=999 offset=3)"},
        {999, 0, false, "line_too_long(octets=999 offset=3)"},
        {1200, 600, true, "line_bare_lf(count=1 offset=603) line_too_long(octets=1200 offset=3)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_message message;
        char content[1300];
        memset(content, 'x', sizeof content);
        memcpy(content, "a\r\n", 3);
        if (cases[i].lf_at > 0) {
            content[3 + cases[i].lf_at] = '\n';
        }
        memcpy(content + 3 + cases[i].length, "\r\n", 2);
        test_message_open(&message,
                          str_make(content, 3 + cases[i].length + (cases[i].crlf ? 2 : 0)));
        const char *got = test_message_check(&message, check_line_ends);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu: got \"%s\"", i, got);
        }
        test_message_close(&message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests_name("check line_ends", tests, NULL, NULL);
}
