#include "finding/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void
test_rows_are_complete(void **state)
{
    size_t count;
    const struct finding_row *rows = finding_rows(&count);
    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct finding_row *row = &rows[i];
        assert_true(i == 0 || rows[i - 1].id < row->id);
        assert_true(strlen(row->name) > 0 && strlen(row->name) <= 64);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                         strlen(row->name));
        assert_true(strlen(row->meaning) > 0);
        assert_true(row->meaning[strlen(row->meaning) - 1] != '.');
        assert_true(row->weight == 0 || row->verdict == FINDING_FAIL);
        assert_ptr_equal(finding_row(row->id), row);
        assert_ptr_equal(finding_row_by_name(str_from_cstr(row->name)), row);
    }
}

static void
test_unknown_row_is_null(void **state)
{
    (void)state;
    assert_null(finding_row(0));
    assert_null(finding_row(65535));
    assert_null(finding_row_by_name(STR("no_such_finding")));
    assert_null(finding_row_by_name(STR("")));
}

static void
test_numbers_do_not_change(void **state)
{
    (void)state;
    /* Traces on disk hold them. */
    assert_int_equal(finding_row_by_name(STR("check_failed"))->id, 1);
    assert_int_equal(finding_row_by_name(STR("helo_own_name"))->id, 12);
    assert_int_equal(finding_row_by_name(STR("from_repeated"))->id, 121);
    assert_string_equal(finding_verdict_name(FINDING_ERROR), "error");
    assert_int_equal(FINDING_ERROR, 3);
}

static void
test_values_become_one_line_of_utf8(void **state)
{
    static const struct {
        struct str value;
        struct str want;
    } cases[] = {
        {STR_INIT("mail.example"), STR_INIT("mail.example")},
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT("a\r\nb\0c"), STR_INIT("a\\x0d\\x0ab\\x00c")},
        {STR_INIT("caf\xc3\xa9"), STR_INIT("caf\xc3\xa9")},
        {STR_INIT("\xc3"), STR_INIT("\\xc3")},
        {STR_INIT("\xff\xfe"), STR_INIT("\\xff\\xfe")},
        {STR_INIT("\xc2\x9b"), STR_INIT("\\xc2\\x9b")},
        {STR_INIT("a\xe2\x80\xae"
                  "b"),
         STR_INIT("a\\xe2\\x80\\xaeb")},
        {STR_INIT("a\xe2\x80\x8b"
                  "b"),
         STR_INIT("a\\xe2\\x80\\x8bb")},
        {STR_INIT("\xf0\x9f\x98\x80!"), STR_INIT("\xf0\x9f\x98\x80!")},
    };
    struct arena *arena = arena_create(65536);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct finding_list list;
        finding_list_init(&list, arena);
        FINDING_ADD(&list, HELO_OWN_NAME, EVIDENCE("helo", cases[i].value));
        struct str got = finding_evidence_get(&list.items[0], "helo");
        if (!str_eq(got, cases[i].want)) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(got));
        }
    }
    arena_destroy(&arena);
}

static void
test_long_value_is_cut(void **state)
{
    char text[3 * FINDING_VALUE_MAX];
    struct arena *arena = arena_create(65536);
    struct finding_list list;
    (void)state;
    /* Cut between characters: 199 octets fit and the two of the last one do not. */
    memset(text, 'x', sizeof text);
    text[FINDING_VALUE_MAX - 1] = '\xc3';
    text[FINDING_VALUE_MAX] = '\xa9';
    finding_list_init(&list, arena);
    FINDING_ADD(&list, LINE_NUL, EVIDENCE("a", str_make(text, sizeof text)));
    assert_int_equal(finding_evidence_get(&list.items[0], "a").n, FINDING_VALUE_MAX - 1);
    arena_destroy(&arena);
}

static void
test_list_finds_and_counts(void **state)
{
    struct arena *arena = arena_create(65536);
    struct finding_list list;
    (void)state;
    finding_list_init(&list, arena);
    assert_null(finding_list_find(&list, FINDING_LINE_NUL));
    FINDING_ADD(&list, LINE_NUL, EVIDENCE("offset", finding_number(&list, 4711)),
                EVIDENCE("b", STR("2")), EVIDENCE("c", STR("3")), EVIDENCE("d", STR("4")),
                EVIDENCE("e", STR("5")), EVIDENCE("f", STR("6")), EVIDENCE("g", STR("7")),
                EVIDENCE("h", STR("8")), EVIDENCE("i", STR("9")));
    FINDING_ADD(&list, FROM_MISSING);
    assert_int_equal(list.count, 2);
    const struct finding *nul = finding_list_find(&list, FINDING_LINE_NUL);
    assert_ptr_equal(nul, &list.items[0]);
    assert_int_equal(nul->evidence_count, FINDING_EVIDENCE_MAX);
    assert_true(str_eq(finding_evidence_get(nul, "offset"), STR("4711")));
    assert_true(str_eq(finding_evidence_get(nul, "h"), STR("8")));
    assert_true(str_is_empty(finding_evidence_get(nul, "i")));
    assert_int_equal(finding_list_find(&list, FINDING_FROM_MISSING)->evidence_count, 0);
    arena_destroy(&arena);
}

static void
test_full_list_says_so(void **state)
{
    struct arena *arena = arena_create(65536);
    struct finding_list list;
    (void)state;
    finding_list_init(&list, arena);
    for (size_t i = 0; i < FINDINGS_MAX - 1; i++) {
        FINDING_ADD(&list, LINE_NUL);
    }
    assert_null(finding_list_find(&list, FINDING_FINDINGS_LIMIT));
    for (size_t i = 0; i < 3; i++) {
        FINDING_ADD(&list, FROM_MISSING);
    }
    assert_int_equal(list.count, FINDINGS_MAX);
    assert_non_null(finding_list_find(&list, FINDING_FINDINGS_LIMIT));
    assert_null(finding_list_find(&list, FINDING_FROM_MISSING));
    arena_destroy(&arena);
}

static void
test_full_arena_leaves_the_finding(void **state)
{
    struct arena *arena = arena_create(16);
    struct finding_list list;
    (void)state;
    finding_list_init(&list, arena);
    FINDING_ADD(&list, HELO_OWN_NAME, EVIDENCE("helo", STR("a-name-of-28-octets.example.")));
    assert_int_equal(list.count, 1);
    assert_true(str_is_empty(finding_evidence_get(&list.items[0], "helo")));
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_unknown_row_is_null),
        cmocka_unit_test(test_numbers_do_not_change),
        cmocka_unit_test(test_values_become_one_line_of_utf8),
        cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_list_finds_and_counts),
        cmocka_unit_test(test_full_list_says_so),
        cmocka_unit_test(test_full_arena_leaves_the_finding),
    };
    return cmocka_run_group_tests_name("finding", tests, NULL, NULL);
}
