#include "base/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Puts a code point down in UTF-8; returns its octets. */
static size_t
encode(uint32_t code, char out[static 4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3f));
    }
    out[0] = (char)(heads[n] | code);
    return n;
}

static void
test_shown(void **state)
{
    static const uint32_t codes[] = {
        ' ',    '~',    'a',    0xa0,   0xe4,   0x3b1,   0x5d0,   0x627,   0x2010,   0x2027,
        0x202f, 0x205f, 0x2070, 0x3000, 0x4e00, 0xfdff,  0xfe10,  0xfffd,  0x1f600,  0x10000,
        0xac,   0xae,   0x2030, 0x27ff, 0x2801, 0x1bca4, 0xdffff, 0xe1000, 0x10fffd,
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        char octets[4];
        uint32_t code = 0;
        size_t n = encode(codes[i], octets);
        if (show_length(str_make(octets, n)) != n) {
            fail_msg("U+%04X is not shown", codes[i]);
        }
        assert_int_equal(show_character(str_make(octets, n), &code), n);
        assert_int_equal(code, codes[i]);
        assert_int_equal(show_length(str_make(octets, n - 1)), 0);
    }
}

static void
test_hidden(void **state)
{
    static const uint32_t codes[] = {
        0x00,   0x09,   0x0a,   0x0d,   0x1b,   0x1f,    0x7f,    0x80,    0x9b,    0x9f,
        0xad,   0x34f,  0x61c,  0x115f, 0x1160, 0x17b4,  0x180e,  0x200b,  0x200c,  0x200d,
        0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b,  0x202c,  0x202d,  0x202e,  0x2060,
        0x2061, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a,  0x206f,  0x2800,  0x3164,  0xfe00,
        0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffb, 0x1bca0, 0x1d173, 0xe0001, 0xe0041, 0xe01ef,
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        char octets[4];
        size_t n = encode(codes[i], octets);
        if (show_length(str_make(octets, n)) != 0) {
            fail_msg("U+%04X is shown", codes[i]);
        }
        assert_int_equal(show_character(str_make(octets, n), NULL), n);
    }
}

static void
test_malformed(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),         STR_INIT("\x80"),
        STR_INIT("\xc0\x80"), STR_INIT("\xc2"),
        STR_INIT("\xe2\x80"), STR_INIT("\xed\xa0\x80"),
        STR_INIT("\xff"),     STR_INIT("\xf4\x90\x80\x80"),
        STR_INIT("\xc3("),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(show_length(cases[i]), 0);
        assert_int_equal(show_character(cases[i], NULL), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests_name("base show", tests, NULL, NULL);
}
