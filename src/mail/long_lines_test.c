#include "mail/long_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mail/fields.h"

#define LIMIT      MAIL_LINE_MAX
#define TEN_BLANKS "          "

/* "Name: " and n times `unit`. */
static void
fill(struct buf *buf, const char *start, const char *unit, size_t n)
{
    buf_init(buf, 1 << 20);
    assert_int_equal(buf_append(buf, str_from_cstr(start)), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(buf_append(buf, str_from_cstr(unit)), STATUS_OK);
    }
    assert_int_equal(buf_append(buf, STR("\r\nTo: x\r\n\r\n")), STATUS_OK);
}

static size_t
longest(struct str octets)
{
    size_t most = 0;
    while (octets.n > 0) {
        size_t n = str_find(octets, STR("\r\n"));
        n = n == STR_NPOS ? octets.n : n;
        most = n > most ? n : most;
        octets = str_skip(octets, n + 2);
    }
    return most;
}

/* The same text once folding is taken out again; `without`: also these octets. */
static void
assert_same_text(struct str a, struct str b, bool blanks_too)
{
    size_t i = 0, k = 0;
    while (i < a.n || k < b.n) {
        bool skip_a =
            i < a.n && (a.p[i] == '\r' || a.p[i] == '\n' || (blanks_too && char_is_blank(a.p[i])));
        bool skip_b =
            k < b.n && (b.p[k] == '\r' || b.p[k] == '\n' || (blanks_too && char_is_blank(b.p[k])));
        if (skip_a || skip_b) {
            i += skip_a;
            k += skip_b;
            continue;
        }
        assert_true(i < a.n && k < b.n);
        assert_int_equal(a.p[i++], b.p[k++]);
    }
}

static void
test_folding(void **state)
{
    static const struct {
        const char *start, *unit;
        size_t n;
        size_t longest;
        bool adds_blanks;
    } cases[] = {
        {"References:", " <0123456789@host.example>", 60, 78, false},
        {"References: ", "<0123456789@host.example>", 60, 900, true},
        {"Subject: ", "word ", 300, 78, false},
        {"Subject:", "  two blanks", 100, 78, false},
        {"Subject: ", "x", 3000, 906, true},
        {"Subject: ", "\xe2\x82\xac", 1000, 906, true},
        {"Subject: a", "\xe2\x82\xac", 1000, 906, true},
        {"Subject: ab", "\xe2\x82\xac", 1000, 906, true},
        {"Subject: a",
         "word" TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS
             TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS
                 TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS "x",
         20, 280, false},
        {"Subject: a", " ", 2000, 906, true},
        {"To: ", "a@b.example,", 200, 906, true},
        {"To: \"", "quoted text ", 100, 78, false},
        {"X:", "\ta", 600, 78, false},
        {"", "y", 1500, 900, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf head, out;
        fill(&head, cases[i].start, cases[i].unit, cases[i].n);
        buf_init(&out, 1 << 20);
        assert_true(mail_has_long_line(buf_str(&head)));
        assert_int_equal(mail_fold_long_lines(buf_str(&head), &out), STATUS_OK);
        if (mail_has_long_line(buf_str(&out)) || longest(buf_str(&out)) > cases[i].longest) {
            fail_msg("%zu: a line of %zu", i, longest(buf_str(&out)));
        }
        assert_same_text(buf_str(&head), buf_str(&out), cases[i].adds_blanks);
        assert_true(str_ends_with(buf_str(&out), STR("\r\nTo: x\r\n\r\n")));
        assert_true(str_is_utf8(buf_str(&out)));
        /* No line of blanks only (RFC 5322 4.2), and each continuation begins with one. */
        for (struct str rest = buf_str(&out); rest.n > 0;) {
            size_t n = str_find(rest, STR("\r\n"));
            assert_true(n == 0 || str_trim(str_head(rest, n)).n > 0 || cases[i].adds_blanks);
            rest = str_skip(rest, n + 2);
        }
        buf_free(&head);
        buf_free(&out);
    }
}

/* Blanks at the end of a line make no line of blanks (RFC 5322 4.2). */
static void
test_blanks_at_the_end(void **state)
{
    (void)state;
    for (size_t blanks = 1; blanks < 120; blanks++) {
        struct buf head, out;
        buf_init(&head, 65536);
        buf_init(&out, 65536);
        assert_int_equal(buf_append(&head, STR("Subject:")), STATUS_OK);
        for (size_t i = 0; i < 250 + blanks; i++) {
            assert_int_equal(buf_append(&head, i < 250 ? STR(" word") : STR(" ")), STATUS_OK);
        }
        assert_int_equal(buf_append(&head, STR("\r\n\r\n")), STATUS_OK);
        assert_int_equal(mail_fold_long_lines(buf_str(&head), &out), STATUS_OK);
        for (struct str rest = buf_str(&out); rest.n > 0;) {
            size_t n = str_find(rest, STR("\r\n"));
            assert_true(n == 0 || str_trim(str_head(rest, n)).n > 0);
            rest = str_skip(rest, n + 2);
        }
        buf_free(&head);
        buf_free(&out);
    }
}

static void
test_what_fits_keeps_its_octets(void **state)
{
    struct buf head, out;
    (void)state;
    fill(&head, "Subject: ", "x", LIMIT - sizeof "Subject: " + 1);
    buf_init(&out, 1 << 20);
    assert_false(mail_has_long_line(buf_str(&head)));
    assert_int_equal(mail_fold_long_lines(buf_str(&head), &out), STATUS_OK);
    assert_true(str_eq(buf_str(&head), buf_str(&out)));
    buf_free(&head);
    fill(&head, "Subject: ", "x", LIMIT - sizeof "Subject: " + 2);
    assert_true(mail_has_long_line(buf_str(&head)));
    buf_free(&head);
    buf_free(&out);
    buf_init(&out, 100);
    fill(&head, "Subject: ", "x", 2000);
    assert_int_equal(mail_fold_long_lines(buf_str(&head), &out), STATUS_LIMIT);
    buf_free(&head);
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_blanks_at_the_end),
        cmocka_unit_test(test_what_fits_keeps_its_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
