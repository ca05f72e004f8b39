#include "policy/findings_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "finding/finding.h"

static const char *root;

static void
test_page_is_up_to_date(void **state)
{
    struct buf page;
    struct buf file;
    char path[4096];
    (void)state;
    buf_init(&page, FINDINGS_PAGE_MAX);
    buf_init(&file, FINDINGS_PAGE_MAX);
    assert_int_equal(findings_page_write(&page), STATUS_OK);
    snprintf(path, sizeof path, "%s/doc/findings.md", root);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    buf_commit(&file, fread(buf_reserve(&file, 1u << 19), 1, 1u << 19, stream));
    fclose(stream);
    if (!str_eq(buf_str(&page), buf_str(&file))) {
        fail_msg("doc/findings.md is out of date: postern config findings > doc/findings.md");
    }
    buf_free(&page);
    buf_free(&file);
}

static void
test_every_finding_is_on_it_once(void **state)
{
    size_t count;
    const struct finding_row *rows = finding_rows(&count);
    struct buf page;
    (void)state;
    buf_init(&page, FINDINGS_PAGE_MAX);
    assert_int_equal(findings_page_write(&page), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        char cell[128];
        snprintf(cell, sizeof cell, "\n| `%s` |", rows[i].name);
        size_t at = str_find(buf_str(&page), str_from_cstr(cell));
        assert_int_not_equal(at, STR_NPOS);
        assert_int_equal(str_find(str_skip(buf_str(&page), at + 1), str_from_cstr(cell)), STR_NPOS);
    }
    buf_free(&page);
}

static void
test_full_buffer(void **state)
{
    struct buf page;
    (void)state;
    for (size_t most = 0; most < 2000; most += 100) {
        buf_init(&page, most);
        assert_int_equal(findings_page_write(&page), STATUS_LIMIT);
        buf_free(&page);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_is_up_to_date),
        cmocka_unit_test(test_every_finding_is_on_it_once),
        cmocka_unit_test(test_full_buffer),
    };
    root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("findings page", tests, NULL, NULL);
}
