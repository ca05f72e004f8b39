#include "smtp/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX 8u

struct row {
    struct str input;
    enum smtp_line_result want[3]; /* one a line; SMTP_LINE_MORE ends them */
    const char *lines;             /* the good ones, a "|" behind each */
};

static const struct row rows[] = {
    {STR_INIT(""), {SMTP_LINE_MORE}, ""},
    {STR_INIT("\r\n"), {SMTP_LINE_OK}, "|"},
    {STR_INIT("ab\r\ncd\r\n"), {SMTP_LINE_OK, SMTP_LINE_OK}, "ab|cd|"},
    {STR_INIT("ab\r\ncd"), {SMTP_LINE_OK}, "ab|"},
    {STR_INIT("\n"), {SMTP_LINE_BARE_LF}, ""},
    {STR_INIT("ab\n"), {SMTP_LINE_BARE_LF}, ""},
    {STR_INIT("a\rb\r\n"), {SMTP_LINE_BARE_CR}, ""},
    {STR_INIT("ab\r\r\n"), {SMTP_LINE_BARE_CR}, ""},
    {STR_INIT("\ra\n"), {SMTP_LINE_BARE_LF}, ""},
    {STR_INIT("a\0b\r\nc\r\n"), {SMTP_LINE_NUL, SMTP_LINE_OK}, "c|"},
    {STR_INIT("123456\r\n"), {SMTP_LINE_OK}, "123456|"},
    {STR_INIT("1234567\r\nab\r\n"), {SMTP_LINE_TOO_LONG, SMTP_LINE_OK}, "ab|"},
    {STR_INIT("1234567890\nab\r\n"), {SMTP_LINE_BARE_LF, SMTP_LINE_OK}, "ab|"},
    {STR_INIT("12345678\n"), {SMTP_LINE_BARE_LF}, ""},
    {STR_INIT("123456789\r\n"), {SMTP_LINE_TOO_LONG}, ""},
};

struct reading {
    struct smtp_line_reader reader;
    enum smtp_line_result results[3];
    size_t count;
    struct buf lines;
};

static void
feed(struct reading *reading, struct str input)
{
    while (input.n > 0) {
        size_t used;
        struct str line;
        enum smtp_line_result result = smtp_line_read(&reading->reader, input, MAX, &used, &line);
        input = str_skip(input, used);
        if (result == SMTP_LINE_MORE) {
            assert_int_equal(input.n, 0);
            return;
        }
        assert_true(reading->count < 3);
        reading->results[reading->count++] = result;
        if (result == SMTP_LINE_OK) {
            assert_int_equal(buf_append(&reading->lines, line), STATUS_OK);
            assert_int_equal(buf_append(&reading->lines, STR("|")), STATUS_OK);
        }
    }
}

static void
row_check(const struct row *row, size_t cut, bool octets)
{
    struct reading reading = {.count = 0};
    smtp_line_init(&reading.reader);
    buf_init(&reading.lines, 1024);
    if (octets) {
        for (size_t i = 0; i < row->input.n; i++) {
            feed(&reading, str_make(row->input.p + i, 1));
        }
    } else {
        feed(&reading, str_head(row->input, cut));
        feed(&reading, str_skip(row->input, cut));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(reading.results[i], row->want[i]);
    }
    assert_true(str_eq(buf_str(&reading.lines), str_from_cstr(row->lines)));
    smtp_line_fini(&reading.reader);
    buf_free(&reading.lines);
}

static void
test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        row_check(&rows[i], 0, true);
        for (size_t cut = 0; cut <= rows[i].input.n; cut++) {
            row_check(&rows[i], cut, false);
        }
    }
}

static void
test_flood(void **state)
{
    (void)state;
    struct smtp_line_reader reader;
    smtp_line_init(&reader);
    static char text[1024];
    memset(text, 'a', sizeof text);
    enum smtp_line_result result = SMTP_LINE_MORE;
    size_t total = 0;
    while (result == SMTP_LINE_MORE) {
        size_t used;
        struct str line;
        result = smtp_line_read(&reader, str_make(text, sizeof text), 512, &used, &line);
        total += used;
    }
    assert_int_equal(result, SMTP_LINE_FLOOD);
    assert_true(total <= SMTP_LINE_DISCARD_MAX + sizeof text);
    smtp_line_fini(&reader);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
