#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static void
test_numbers(void **state)
{
    static const struct {
        struct str text;
        uint64_t max;
        enum status status;
        uint64_t want;
    } cases[] = {
        {STR_INIT("0"), 10, STATUS_OK, 0},
        {STR_INIT("10"), 10, STATUS_OK, 10},
        {STR_INIT("11"), 10, STATUS_LIMIT, 0},
        {STR_INIT("18446744073709551615"), UINT64_MAX, STATUS_OK, UINT64_MAX},
        {STR_INIT("18446744073709551616"), UINT64_MAX, STATUS_LIMIT, 0},
        {STR_INIT("99999999999999999999x"), UINT64_MAX, STATUS_SYNTAX, 0},
        {STR_INIT(""), 10, STATUS_SYNTAX, 0},
        {STR_INIT("+1"), 10, STATUS_SYNTAX, 0},
        {STR_INIT("-1"), 10, STATUS_SYNTAX, 0},
        {STR_INIT(" 1"), 10, STATUS_SYNTAX, 0},
        {STR_INIT("1\0"), 10, STATUS_SYNTAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t got = 0;
        assert_int_equal(str_parse_u64(cases[i].text, cases[i].max, &got), cases[i].status);
        assert_int_equal(got, cases[i].want);
    }
}

static void
test_utf8(void **state)
{
    static const struct {
        struct str text;
        bool want;
    } cases[] = {
        {STR_INIT(""), true},
        {STR_INIT("plain"), true},
        {STR_INIT("caf\xc3\xa9"), true},
        {STR_INIT("\xe2\x82\xac \xf0\x9f\x93\xac"), true},
        {STR_INIT("\xc3"), false},             /* cut short */
        {STR_INIT("\xc0\xaf"), false},         /* overlong '/' */
        {STR_INIT("\xe0\x80\xaf"), false},     /* overlong */
        {STR_INIT("\xed\xa0\x80"), false},     /* surrogate */
        {STR_INIT("\xf4\x90\x80\x80"), false}, /* above U+10FFFF */
        {STR_INIT("\xf4\x8f\xbf\xbf"), true},
        {STR_INIT("\x80"), false},
        {STR_INIT("\xff"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(str_is_utf8(cases[i].text), cases[i].want);
    }
}

static void
test_cut(void **state)
{
    struct str head;
    struct str tail;
    (void)state;
    assert_true(str_cut(STR("a=b=c"), '=', &head, &tail));
    assert_true(str_eq(head, STR("a")) && str_eq(tail, STR("b=c")));
    assert_false(str_cut(STR("abc"), '=', &head, &tail));
    assert_true(str_eq(head, STR("abc")) && tail.n == 0);
    assert_true(str_cut(STR("="), '=', &head, &tail));
    assert_true(head.n == 0 && tail.n == 0);
    assert_false(str_cut(str_make(NULL, 0), '=', &head, &tail));
}

static void
test_compare_and_find(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("MaIl"), STR("mAiL")));
    assert_false(str_eq_nocase(STR("\xc4"), STR("\xe4"))); /* ASCII only */
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("b"), STR("ab")) > 0);
    assert_int_equal(str_cmp(STR("ab"), STR("ab")), 0);
    assert_int_equal(str_find(STR("aXbX"), STR("X")), 1);
    assert_int_equal(str_find(STR("aXbX"), STR("")), 0);
    assert_int_equal(str_find(STR("a"), STR("ab")), STR_NPOS);
    assert_int_equal(str_rfind_char(STR("aXbX"), 'X'), 3);
    assert_true(str_starts_with_nocase(STR("X-Mail"), STR("x-")));
    assert_true(str_ends_with_nocase(STR("mx.EXAMPLE"), STR(".example")));
    assert_false(str_ends_with(STR("a"), STR("aa")));
    assert_true(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t")).n, 0);
    assert_int_equal(str_skip(STR("abc"), 9).n, 0);
    assert_int_equal(str_head(STR("abc"), 9).n, 3);
}

/* Long texts are looked at in blocks: each length around the blocks, the odd octet at each place.
 */
static void
test_every_place(void **state)
{
    char octets[200];
    (void)state;
    for (size_t n = 0; n <= sizeof octets; n++) {
        memset(octets, 'a', sizeof octets);
        assert_true(str_is_ascii(str_make(octets, n)));
        assert_int_equal(str_count_char(str_make(octets, n), 'a'), n);
        for (size_t i = 0; i < n; i++) {
            octets[i] = '\x80';
            assert_false(str_is_ascii(str_make(octets, n)));
            assert_int_equal(str_count_char(str_make(octets, n), '\x80'), 1);
            octets[i] = 'a';
        }
    }
}

static void
test_printable_length(void **state)
{
    static const struct {
        struct str text;
        size_t want;
    } cases[] = {
        {STR_INIT(""), 0},       {STR_INIT(" a~"), 3}, {STR_INIT("a\tb"), 1},
        {STR_INIT("ab\x7f"), 2}, {STR_INIT("\0"), 0},  {STR_INIT("caf\xc3\xa9"), 3},
        {STR_INIT("\x1f a"), 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(str_printable_length(cases[i].text), cases[i].want);
    }
}

static void
test_patterns(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool want;
    } cases[] = {
        {"", "", true},           {"", "anything", true},     {"*", "", true},
        {"*", "x", true},         {"a*", "abc", true},        {"a*", "bac", false},
        {"*c", "abc", true},      {"*c", "abcd", false},      {"a*c", "ac", true},
        {"a*c", "abcbc", true},   {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false},
        {"ABC", "abc", true},     {"abc", "ab", false},       {"ab", "abc", false},
        {"*@x.*", "q@x.e", true}, {"***a", "bbba", true},     {"a", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool got = str_fits(str_from_cstr(cases[i].text), str_from_cstr(cases[i].pattern));
        if (got != cases[i].want) {
            print_error("\"%s\" on \"%s\"\n", cases[i].pattern, cases[i].text);
        }
        assert_int_equal(got, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_compare_and_find),
        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_printable_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
