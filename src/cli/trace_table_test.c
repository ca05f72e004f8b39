#include "cli/trace_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/ledger_summary.h"

static const struct record_trace_row row = {
    .id = STR_INIT("01KB2M9QJ8T3XW7A"),
    .kind = TRACE_ROW_MESSAGE,
    .first_ms = 1795456094123,
    .client = STR_INIT("192.0.2.7"),
    .sender = STR_INIT("somebody.with.a.long.name@provider.example"),
    .recipients = STR_INIT("bob@kartapuce.com"),
    .subject = STR_INIT("Zwei Fl\xc3\xbcgel und ein Brief \xc3\xbc"
                        "ber die Fracht dar\xc3\xbc"
                        "ber, samt Anhang"),
};

/* Characters of the line without its end. */
static size_t
line_width(struct str line)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < line.n; i++) {
        n += ((unsigned char)line.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static struct str
line_of(const struct trace_table *table, struct buf *out)
{
    buf_init(out, 4096);
    assert_int_equal(trace_table_row(table, &row, out), STATUS_OK);
    return buf_str(out);
}

static void
test_fits_the_terminal(void **state)
{
    (void)state;
    for (unsigned columns = TRACE_TABLE_COLUMNS_MIN; columns < 160; columns++) {
        struct trace_table table = {0};
        struct buf out;
        trace_table_fit(&table, &row, 1, columns);
        struct str line = line_of(&table, &out);
        assert_true(line_width(line) <= columns);
        assert_true(columns > 140 || str_ends_with(line, STR("\xe2\x80\xa6\n")));
        buf_free(&out);
    }
}

static void
test_whole_without_a_terminal(void **state)
{
    struct trace_table table = {0};
    struct buf out;
    (void)state;
    trace_table_fit(&table, &row, 1, 0);
    assert_true(str_ends_with(line_of(&table, &out), STR("ber, samt Anhang\n")));
    buf_free(&out);
}

static void
test_client_is_as_wide_as_needed(void **state)
{
    struct record_trace_row other = row;
    struct trace_table table = {0};
    (void)state;
    trace_table_fit(&table, &row, 1, 120);
    assert_int_equal(table.client, 9);
    other.client = STR("2001:db8:1111:2222:3333:4444:5555:6666");
    trace_table_fit(&table, &other, 1, 120);
    assert_int_equal(table.client, 38);
    trace_table_fit(&table, &row, 1, 120);
    assert_int_equal(table.client, 38);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits_the_terminal),
        cmocka_unit_test(test_whole_without_a_terminal),
        cmocka_unit_test(test_client_is_as_wide_as_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
