#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/cli.h"

/* What a stranger wrote neither commands the terminal nor hides. */
static void
test_print_text(void **state)
{
    static const struct {
        struct str text;
        const char *want;
    } cases[] = {
        {STR_INIT("a@b.example"), "a@b.example"},
        {STR_INIT("j\xc3\xbcrgen \xf0\x9f\x98\x80"), "j\xc3\xbcrgen \xf0\x9f\x98\x80"},
        {STR_INIT("\x1b[2J\r\n\x7f"), "?[2J???"},
        {STR_INIT("a\0b"), "a?b"},
        {STR_INIT("\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81"), "\\u{9b}\\u{202e}\\u{e0041}"},
        {STR_INIT("\xff\xc3"), "??"},
        {STR_INIT(""), ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&got, &size);
        assert_non_null(out);
        cli_print_text(out, cases[i].text);
        fclose(out);
        assert_string_equal(got, cases[i].want);
        free(got);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_print_text)};
    return cmocka_run_group_tests_name("cli text", tests, NULL, NULL);
}
