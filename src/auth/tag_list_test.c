#include "auth/tag_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* "name[value]raw ..." or what is wrong. */
static void
list_text(struct str text, unsigned flags, char *out, size_t size)
{
    static const char *const words[] = {"ok", "syntax", "duplicate", "limit"};
    struct tag_list list;
    enum tag_list_result result = tag_list_parse(text, flags, &list);
    size_t used = (size_t)snprintf(out, size, "%s", words[result]);
    for (size_t i = 0; result == TAG_LIST_OK && i < list.count; i++) {
        const struct tag *tag = &list.tags[i];
        used += (size_t)snprintf(out + used, size - used, " %.*s[%.*s]", STR_ARG(tag->name),
                                 STR_ARG(tag->value));
    }
}

static void
test_lists(void **state)
{
    static const struct {
        struct str text;
        unsigned flags;
        const char *want;
    } cases[] = {
        {STR_INIT("a=b"), 0, "ok a[b]"},
        {STR_INIT("a=b;"), 0, "ok a[b]"},
        {STR_INIT("a=b; \t"), 0, "ok a[b]"},
        {STR_INIT("a=b;\r\n "), 0, "ok a[b]"},
        {STR_INIT(" a = b c ; d2_=e=f;g="), 0, "ok a[b c] d2_[e=f] g[]"},
        {STR_INIT("a=;b=\r\n c"), 0, "ok a[] b[c]"},
        {STR_INIT("a= x\r\n\ty \r\n ;b=1"), 0, "ok a[x\r\n\ty] b[1]"},
        {STR_INIT("a=\r\n \r\n b"), 0, "ok a[b]"},
        {STR_INIT("A=1;a=2"), 0, "ok A[1] a[2]"},
        {STR_INIT("a=1; b=2; a=3"), 0, "duplicate"},
        {STR_INIT(""), 0, "syntax"},
        {STR_INIT("  "), 0, "syntax"},
        {STR_INIT(";"), 0, "syntax"},
        {STR_INIT("a=b;;c=d"), 0, "syntax"},
        {STR_INIT(";a=b"), 0, "syntax"},
        {STR_INIT("a"), 0, "syntax"},
        {STR_INIT("a;b=c"), 0, "syntax"},
        {STR_INIT("=a"), 0, "syntax"},
        {STR_INIT("1a=b"), 0, "syntax"},
        {STR_INIT("_a=b"), 0, "syntax"},
        {STR_INIT("a-b=c"), 0, "syntax"},
        {STR_INIT("a b=c"), 0, "syntax"},
        {STR_INIT("a=b\r\nc"), 0, "syntax"},
        {STR_INIT("a=b\r\n"), 0, "syntax"},
        {STR_INIT("a=b\n c"), 0, "syntax"},
        {STR_INIT("a=b\r c"), 0, "syntax"},
        {STR_INIT("a=b\0c"), 0, "syntax"},
        {STR_INIT("a=b\x7f"), 0, "syntax"},
        {STR_INIT("a=\xc3\xa9"), 0, "syntax"},
        {STR_INIT("a=\xc3\xa9"), TAG_LIST_UTF8, "ok a[\xc3\xa9]"},
        {STR_INIT("a=\xe9"), TAG_LIST_UTF8, "syntax"},
        {STR_INIT("\xc3\xa9=a"), TAG_LIST_UTF8, "syntax"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[256];
        list_text(cases[i].text, cases[i].flags, got, sizeof got);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("\"%.*s\": got \"%s\", want \"%s\"", STR_ARG(cases[i].text), got,
                     cases[i].want);
        }
    }
}

/* `raw` is what taking a value out of a field takes out. */
static void
test_raw(void **state)
{
    struct tag_list list;
    (void)state;
    assert_int_equal(tag_list_parse(STR("a=1; b = \r\n x\r\n y ;c=2"), 0, &list), TAG_LIST_OK);
    const struct tag *b = tag_list_find(&list, STR("b"));
    assert_non_null(b);
    assert_true(str_eq(b->raw, STR(" \r\n x\r\n y ")));
    assert_true(str_eq(b->value, STR("x\r\n y")));
    assert_true(str_eq(tag_list_find(&list, STR("c"))->raw, STR("2")));
    assert_null(tag_list_find(&list, STR("B")));
}

static void
test_limits(void **state)
{
    static const struct {
        unsigned tags;
        enum tag_list_result want;
    } cases[] = {{TAG_LIST_TAGS_MAX, TAG_LIST_OK}, {TAG_LIST_TAGS_MAX + 1, TAG_LIST_LIMIT}};
    struct tag_list list;
    char text[1024];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t n = 0;
        for (unsigned t = 0; t < cases[i].tags; t++) {
            n += (size_t)snprintf(text + n, sizeof text - n, "t%u=;", t);
        }
        assert_int_equal(tag_list_parse(str_make(text, n), 0, &list), cases[i].want);
    }
    char *large = malloc(TAG_LIST_SIZE_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', TAG_LIST_SIZE_MAX + 1);
    memcpy(large, "a=", 2);
    assert_int_equal(tag_list_parse(str_make(large, TAG_LIST_SIZE_MAX), 0, &list), TAG_LIST_OK);
    assert_int_equal(tag_list_parse(str_make(large, TAG_LIST_SIZE_MAX + 1), 0, &list),
                     TAG_LIST_LIMIT);
    free(large);
}

static void
test_items(void **state)
{
    static const struct {
        struct str value;
        const char *want;
    } cases[] = {
        {STR_INIT("a"), "[a]"},
        {STR_INIT("a:b"), "[a][b]"},
        {STR_INIT("a \t:\r\n b : c"), "[a][b][c]"},
        {STR_INIT(""), "[]"},
        {STR_INIT("a:"), "[a][]"},
        {STR_INIT(":a"), "[][a]"},
        {STR_INIT("a::b"), "[a][][b]"},
        {STR_INIT("a b:c"), "[a b][c]"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char got[64] = "";
        size_t n = 0;
        struct str rest = cases[i].value;
        struct str item;
        while (tag_value_next(&rest, &item)) {
            n += (size_t)snprintf(got + n, sizeof got - n, "[%.*s]", STR_ARG(item));
        }
        assert_string_equal(got, cases[i].want);
    }
    assert_true(tag_value_has(STR("sha1: SHA256"), STR("sha256")));
    assert_false(tag_value_has(STR("sha1:sha2567"), STR("sha256")));
    assert_false(tag_value_has(STR(""), STR("sha256")));
}

static void
test_base64(void **state)
{
    static const struct {
        struct str value;
        enum status status;
        struct str want;
    } cases[] = {
        {STR_INIT("YWJj"), STATUS_OK, STR_INIT("abc")},
        {STR_INIT("Y W\r\n\tJj"), STATUS_OK, STR_INIT("abc")},
        {STR_INIT("YWI="), STATUS_OK, STR_INIT("ab")},
        {STR_INIT("YWI ="), STATUS_OK, STR_INIT("ab")},
        {STR_INIT("YWI"), STATUS_OK, STR_INIT("ab")},
        {STR_INIT("YQ"), STATUS_OK, STR_INIT("a")},
        {STR_INIT("YQ="), STATUS_OK, STR_INIT("a")},
        {STR_INIT(""), STATUS_OK, STR_INIT("")},
        {STR_INIT("Y"), STATUS_SYNTAX, STR_INIT("")},
        {STR_INIT("YWJjY"), STATUS_SYNTAX, STR_INIT("")},
        {STR_INIT("YR=="), STATUS_SYNTAX, STR_INIT("")},
        {STR_INIT("Y=Jj"), STATUS_SYNTAX, STR_INIT("")},
        {STR_INIT("YW-j"), STATUS_SYNTAX, STR_INIT("")},
    };
    struct arena *arena = arena_create(65536);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str got = STR("");
        assert_int_equal(tag_value_base64(arena, cases[i].value, &got), cases[i].status);
        assert_true(str_eq(got, cases[i].want));
    }
    assert_true(str_eq(tag_value_squeeze(arena, STR(" a\r\n b\t")), STR("ab")));
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists), cmocka_unit_test(test_raw),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_items), cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
