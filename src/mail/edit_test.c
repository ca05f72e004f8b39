#include "mail/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
    struct arena *arena;
    struct mail_head head;
    struct mail_edits edits;
};

static void
fixture_open(struct fixture *f, struct str content)
{
    static const struct mail_head_limits limits = {65536, 1000};
    f->arena = arena_create(1 << 20);
    assert_int_equal(mail_head_parse(f->arena, content, &limits, &f->head), STATUS_OK);
    mail_edits_init(&f->edits, f->arena, &f->head);
}

static void
fixture_close(struct fixture *f, struct str want)
{
    struct str got = mail_edits_apply(&f->edits);
    if (!str_eq(got, want)) {
        fail_msg("got \"%.*s\"", STR_ARG(got));
    }
    arena_destroy(&f->arena);
}

static void
test_without_edits_nothing_changes(void **state)
{
    static const struct {
        struct str content;
        struct str want; /* empty: the header section as it was */
    } cases[] = {
        {STR_INIT("A: b\r\nC : d\r\n\te\r\nbad\r\n\r\nbody"), {0}},
        {STR_INIT("\r\nbody"), {0}},
        {STR_INIT(" begins: with a blank\r\n\r\n"), {0}},
        {STR_INIT("A: b\r\n"), STR_INIT("A: b\r\n\r\n")},
        {STR_INIT("A: b"), STR_INIT("A: b\r\n\r\n")},
        {STR_INIT("A: b\r"), STR_INIT("A: b\r\r\n\r\n")},
        {STR_INIT(""), STR_INIT("\r\n")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;
        fixture_open(&f, cases[i].content);
        fixture_close(&f, cases[i].want.n > 0 ? cases[i].want : f.head.raw);
    }
}

static void
test_prepend_remove_replace(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, STR("One: 1\r\nTwo:2\r\n folded\r\ntHree: 3\r\n\r\nbody"));
    assert_int_equal(mail_edits_prepend(&f.edits, STR("Below"), STR("b"), "w"), STATUS_OK);
    assert_int_equal(mail_edits_remove(&f.edits, &f.head.fields[0], "w"), STATUS_OK);
    assert_int_equal(mail_edits_replace(&f.edits, &f.head.fields[2], STR("x\r\n y"), "w"),
                     STATUS_OK);
    assert_int_equal(mail_edits_prepend(&f.edits, STR("Top"), STR("t"), "w"), STATUS_OK);
    fixture_close(&f, STR("Top: t\r\nBelow: b\r\nTwo:2\r\n folded\r\ntHree: x\r\n y\r\n\r\n"));
}

static void
test_last_edit_counts(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, STR("A: 1\r\nB: 2\r\n\r\n"));
    assert_int_equal(mail_edits_remove(&f.edits, &f.head.fields[0], "w"), STATUS_OK);
    assert_int_equal(mail_edits_replace(&f.edits, &f.head.fields[0], STR("3"), "w"), STATUS_OK);
    assert_int_equal(mail_edits_replace(&f.edits, &f.head.fields[1], STR("4"), "w"), STATUS_OK);
    assert_int_equal(mail_edits_remove(&f.edits, &f.head.fields[1], "w"), STATUS_OK);
    fixture_close(&f, STR("A: 3\r\n\r\n"));
}

static void
test_edits_can_be_read(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, STR("Bcc: x\r\n\r\n"));
    assert_int_equal(mail_edits_prepend(&f.edits, STR("A"), STR("b"), "first"), STATUS_OK);
    assert_int_equal(mail_edits_remove(&f.edits, &f.head.fields[0], "second"), STATUS_OK);
    const struct mail_edit *e = f.edits.first;
    assert_int_equal(e->kind, MAIL_EDIT_PREPEND);
    assert_true(str_eq(e->name, STR("A")));
    assert_true(str_eq(e->value, STR("b")));
    assert_string_equal(e->why, "first");
    e = e->next;
    assert_int_equal(e->kind, MAIL_EDIT_REMOVE);
    assert_true(str_eq(e->name, STR("Bcc")));
    assert_null(e->next);
    fixture_close(&f, STR("A: b\r\n\r\n"));
}

/* A line that begins with a blank must not become part of a field of ours. */
static void
test_nothing_is_drawn_into_our_field(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, STR(" by: evil\r\n more\r\nA: b\r\n\r\n"));
    assert_int_equal(mail_edits_prepend(&f.edits, STR("Received"), STR("x"), "w"), STATUS_OK);
    fixture_close(&f, STR("Received: x\r\nA: b\r\n\r\n"));
}

static void
test_a_value_cannot_begin_another_field(void **state)
{
    static const struct str bad[] = {
        STR_INIT("x\r\nBcc: y"), STR_INIT("x\r\n\r\nbody"),
        STR_INIT("x\n y"),       STR_INIT("x\r y"),
        STR_INIT("x\r\n"),       STR_INIT("\0"),
        STR_INIT("\n"),          STR_INIT("\r"),
    };
    struct fixture f;
    (void)state;
    fixture_open(&f, STR("A: b\r\n\r\n"));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(mail_edits_prepend(&f.edits, STR("X"), bad[i], "w"), STATUS_SYNTAX);
        assert_int_equal(mail_edits_replace(&f.edits, &f.head.fields[0], bad[i], "w"),
                         STATUS_SYNTAX);
    }
    assert_int_equal(mail_edits_prepend(&f.edits, STR("X:"), STR("v"), "w"), STATUS_SYNTAX);
    assert_int_equal(mail_edits_prepend(&f.edits, STR("X\r\nY"), STR("v"), "w"), STATUS_SYNTAX);
    fixture_close(&f, STR("A: b\r\n\r\n"));
}

static void
test_full_arena(void **state)
{
    static const struct mail_head_limits limits = {65536, 1000};
    struct arena *roomy = arena_create(65536);
    struct arena *tiny = arena_create(16);
    struct mail_head head;
    struct mail_edits edits;
    (void)state;
    assert_int_equal(mail_head_parse(roomy, STR("A: b\r\n\r\n"), &limits, &head), STATUS_OK);
    mail_edits_init(&edits, tiny, &head);
    assert_int_equal(mail_edits_remove(&edits, &head.fields[0], "w"), STATUS_LIMIT);
    assert_int_equal(mail_edits_prepend(&edits, STR("Long-Name"), STR("value"), "w"), STATUS_LIMIT);
    assert_null(mail_edits_apply(&edits).p);
    arena_destroy(&tiny);
    arena_destroy(&roomy);
}

/* What stands behind a value is not looked at. */
static void
test_value_ends_where_it_ends(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, STR("A: 1\r\n\r\n"));
    assert_int_equal(mail_edits_prepend(&f.edits, STR("B"), str_head(STR("a\r\n b"), 3), "w"),
                     STATUS_SYNTAX);
    assert_int_equal(mail_edits_prepend(&f.edits, STR("B"), STR("a\r\n b"), "w"), STATUS_OK);
    fixture_close(&f, STR("B: a\r\n b\r\nA: 1\r\n\r\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_ends_where_it_ends),
        cmocka_unit_test(test_without_edits_nothing_changes),
        cmocka_unit_test(test_prepend_remove_replace),
        cmocka_unit_test(test_last_edit_counts),
        cmocka_unit_test(test_edits_can_be_read),
        cmocka_unit_test(test_nothing_is_drawn_into_our_field),
        cmocka_unit_test(test_a_value_cannot_begin_another_field),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests_name("mail edit", tests, NULL, NULL);
}
