#include "mail/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct mail_head_limits ample = {65536, 1000};

static enum status
parse(struct arena *arena, struct str content, struct mail_head *head)
{
    return mail_head_parse(arena, content, &ample, head);
}

/* The anomalies of a head as "kind:count@offset ...". */
static void
anomalies_text(const struct mail_head *head, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < MAIL_ANOMALY_COUNT_; i++) {
        const struct mail_anomaly *a = &head->anomalies[i];
        if (a->count > 0) {
            int n = snprintf(out + used, size - used, "%s%s:%zu@%zu", used > 0 ? " " : "",
                             mail_anomaly_name((enum mail_anomaly_kind)i), a->count, a->offset);
            used += (size_t)n;
        }
    }
}

#define A50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A250 A50 A50 A50 A50 A50

static void
test_fields_and_anomalies(void **state)
{
    static const struct {
        const char *label;
        struct str content;
        size_t fields;
        size_t head_size;
        const char *anomalies;
    } cases[] = {
        {"ordinary", STR_INIT("From: a@b\r\nSubject: x\r\n\r\nbody"), 2, 25, ""},
        {"no body", STR_INIT("From: a@b\r\n\r\n"), 1, 13, ""},
        {"only a body", STR_INIT("\r\nbody"), 0, 2, ""},
        {"empty", STR_INIT(""), 0, 0, "no_end:1@0"},
        {"no empty line", STR_INIT("From: a@b\r\n"), 1, 11, "no_end:1@11"},
        {"cut in a line", STR_INIT("From: a@b\r\nSub"), 2, 14, "bad_line:1@11 no_end:1@14"},
        {"folded", STR_INIT("A: b\r\n c\r\n\td\r\nE: f\r\n\r\n"), 2, 22, ""},
        {"no colon", STR_INIT("A: b\r\nnonsense\r\nC: d\r\n\r\n"), 3, 24, "bad_line:1@6"},
        {"mbox line", STR_INIT("From x@y Mon Jan  1 00:00:00\r\nA: b\r\n\r\n"), 2, 38,
         "bad_line:1@0"},
        {"no name", STR_INIT(": b\r\n\r\n"), 1, 7, "bad_line:1@0"},
        {"blank before colon", STR_INIT("A \t: b\r\n\r\n"), 1, 10, "blank_in_name:1@0"},
        {"blank in name", STR_INIT("A B: c\r\n\r\n"), 1, 10, "bad_line:1@0"},
        {"8-bit name", STR_INIT("\xc3\xa9: c\r\n\r\n"), 1, 9, "bad_line:1@0 8bit:1@0"},
        {"begins with a blank", STR_INIT(" A: b\r\nC: d\r\n\r\n"), 2, 15, "bad_line:1@0"},
        {"blank fold", STR_INIT("A: b\r\n \t\r\n c\r\n\r\n"), 1, 16, "blank_fold:1@6"},
        {"blank line is no end", STR_INIT("A: b\r\n \r\nB: c\r\n\r\n"), 2, 17, "blank_fold:1@6"},
        {"NUL", STR_INIT("A: b\0c\r\n\r\n"), 1, 10, "nul:1@0"},
        {"bare LF is no end", STR_INIT("A: b\nB: c\n\n\r\n\r\n"), 1, 15, "bare_lf:1@0"},
        {"bare CR is no end", STR_INIT("A: b\rB: c\r\r\n\r\n"), 1, 14, "bare_cr:1@0"},
        {"LF CR", STR_INIT("A: b\n\r\r\n\r\n"), 1, 10, "bare_cr:1@0 bare_lf:1@0"},
        {"LF first", STR_INIT("\nA: b\r\n\r\n"), 1, 9, "bad_line:1@0 bare_lf:1@0"},
        {"control", STR_INIT("A: b\x1b[0m\x7f\r\n\r\n"), 1, 13, "control:1@0"},
        {"UTF-8", STR_INIT("A: \xc3\xa9\r\n\r\n"), 1, 9, "8bit:1@0"},
        {"Latin 1", STR_INIT("X: y\r\nA: \xe9\r\n\r\n"), 2, 14, "8bit:1@6 not_utf8:1@6"},
        {"line of 998",
         STR_INIT(A250 A250 A250 A50 A50 A50 A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                                 "aaaaaaaaaaaaa: bcd\r\n\r\n"),
         1, 1002, ""},
        {"line of 999",
         STR_INIT(A250 A250 A250 A50 A50 A50 A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                                 "aaaaaaaaaaaaa: bcde\r\n\r\n"),
         1, 1003, "long_line:1@0"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct mail_head head;
        char got[512];
        assert_int_equal(parse(arena, cases[i].content, &head), STATUS_OK);
        anomalies_text(&head, got, sizeof got);
        if (head.field_count != cases[i].fields || head.raw.n != cases[i].head_size ||
            strcmp(got, cases[i].anomalies) != 0) {
            fail_msg("%s: %zu fields, %zu octets, \"%s\"", cases[i].label, head.field_count,
                     head.raw.n, got);
        }
        arena_destroy(&arena);
    }
}

static void
test_field_has_its_parts(void **state)
{
    struct str content = STR("Received: one\r\nSUBJECT : a\r\n  b\r\nreceived:two\r\nX: \r\n\r\n");
    struct arena *arena = arena_create(65536);
    struct mail_head head;
    (void)state;
    assert_int_equal(parse(arena, content, &head), STATUS_OK);
    assert_int_equal(head.field_count, 4);
    const struct mail_field *subject = &head.fields[1];
    assert_int_equal(subject->id, MAIL_FIELD_SUBJECT);
    assert_int_equal(subject->offset, 15);
    assert_true(str_eq(subject->name, STR("SUBJECT")));
    assert_true(str_eq(subject->value, STR(" a\r\n  b")));
    assert_true(str_eq(subject->raw, STR("SUBJECT : a\r\n  b\r\n")));
    assert_int_equal(head.counts[MAIL_FIELD_RECEIVED], 2);
    assert_ptr_equal(head.first[MAIL_FIELD_RECEIVED], &head.fields[0]);
    assert_int_equal(head.counts[MAIL_FIELD_DATE], 0);
    assert_null(head.first[MAIL_FIELD_DATE]);
    assert_int_equal(head.fields[3].id, MAIL_FIELD_OTHER);
    assert_true(str_eq(mail_head_value(arena, &head, MAIL_FIELD_SUBJECT), STR("a  b")));
    assert_true(str_is_empty(mail_head_value(arena, &head, MAIL_FIELD_DATE)));
    arena_destroy(&arena);
}

static void
test_unfold(void **state)
{
    static const struct {
        struct str value;
        struct str want;
    } cases[] = {
        {STR_INIT(" plain "), STR_INIT("plain")},
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT(" a\r\n\tb\r\n c"), STR_INIT("a\tb c")},
        {STR_INIT("\r\n a"), STR_INIT("a")},
        {STR_INIT(" a\r\n "), STR_INIT("a")},
        {STR_INIT(" a\rb"), STR_INIT("a\rb")},
        {STR_INIT(" a\r\nb"), STR_INIT("a\r\nb")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct mail_field field = {.value = cases[i].value};
        struct str got = mail_field_unfold(arena, &field);
        if (!str_eq(got, cases[i].want)) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(got));
        }
        arena_destroy(&arena);
    }
}

static void
test_limits(void **state)
{
    struct str content = STR("A: b\r\nC: d\r\n\r\nbody");
    static const struct {
        struct mail_head_limits limits;
        enum status want;
    } cases[] = {
        {{14, 2}, STATUS_OK},   {{13, 2}, STATUS_LIMIT}, {{12, 2}, STATUS_LIMIT},
        {{0, 2}, STATUS_LIMIT}, {{14, 1}, STATUS_LIMIT}, {{14, 0}, STATUS_LIMIT},
        {{18, 2}, STATUS_OK},   {{1000, 2}, STATUS_OK},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(65536);
        struct mail_head head;
        enum status got = mail_head_parse(arena, content, &cases[i].limits, &head);
        if (got != cases[i].want) {
            fail_msg("case %zu: %s", i, status_name(got));
        }
        arena_destroy(&arena);
    }
    struct arena *small = arena_create(64);
    struct mail_head untouched = {.field_count = 4711};
    assert_int_equal(parse(small, content, &untouched), STATUS_LIMIT);
    assert_int_equal(untouched.field_count, 4711);
    arena_destroy(&small);
}

/* Many fields make the array grow; all stay what they were. */
static void
test_many_fields(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct mail_head head;
    char text[1000 * 8 + 3];
    size_t used = 0;
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%03zu: x\r\n", i);
    }
    memcpy(text + used, "\r\n", 2);
    assert_int_equal(parse(arena, str_make(text, used + 2), &head), STATUS_OK);
    assert_int_equal(head.field_count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(head.fields[i].offset, i * 8);
    }
    arena_destroy(&arena);
}

/*
 * Cut at every octet: no read past the end (the content is copied to its exact size for the
 * sanitizers), the fields cover the section without gaps, and only a cut within it has no end.
 */
static void
test_truncated_at_every_octet(void **state)
{
    struct str whole =
        STR("Received: a\r\n b\r\nFrom : \xc3\xa9 <a@b>\r\nbad\r\n \r\nA:\r\n\r\nbody\r\n");
    size_t section = str_find(whole, STR("\r\n\r\n")) + 4;
    (void)state;
    for (size_t n = 0; n <= whole.n; n++) {
        struct arena *arena = arena_create(65536);
        char *copy = malloc(n + (n == 0));
        struct mail_head head;
        size_t end = 0;
        memcpy(copy, whole.p, n);
        assert_int_equal(parse(arena, str_make(copy, n), &head), STATUS_OK);
        for (size_t i = 0; i < head.field_count; i++) {
            assert_int_equal(head.fields[i].offset, end);
            assert_ptr_equal(head.fields[i].raw.p, copy + end);
            end += head.fields[i].raw.n;
        }
        assert_int_equal(head.anomalies[MAIL_ANOMALY_NO_END].count, n < section ? 1 : 0);
        assert_int_equal(head.raw.n, n < section ? n : section);
        free(copy);
        arena_destroy(&arena);
    }
}

static void
test_names(void **state)
{
    (void)state;
    for (size_t i = MAIL_FIELD_BAD + 1; i < MAIL_FIELD_COUNT_; i++) {
        assert_int_equal(mail_field_id_find(mail_field_name((enum mail_field_id)i)), i);
    }
    assert_int_equal(mail_field_id_find(STR("mEsSaGe-Id")), MAIL_FIELD_MESSAGE_ID);
    assert_int_equal(mail_field_id_find(STR("")), MAIL_FIELD_OTHER);
    assert_int_equal(mail_field_most(MAIL_FIELD_FROM), 1);
    assert_int_equal(mail_field_most(MAIL_FIELD_RECEIVED), 0);
    for (size_t i = 0; i < MAIL_ANOMALY_COUNT_; i++) {
        assert_string_not_equal(mail_anomaly_name((enum mail_anomaly_kind)i), "unknown");
    }
    assert_true(mail_field_name_is_valid(STR("X-!~")));
    assert_false(mail_field_name_is_valid(STR("")));
    assert_false(mail_field_name_is_valid(STR("A:")));
    assert_false(mail_field_name_is_valid(STR("A B")));
    assert_false(mail_field_name_is_valid(STR("A\x7f")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_and_anomalies),
        cmocka_unit_test(test_field_has_its_parts),
        cmocka_unit_test(test_unfold),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_truncated_at_every_octet),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("mail fields", tests, NULL, NULL);
}
