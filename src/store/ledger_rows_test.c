/* Rows in memory: which are kept, which are asked for, which are to be written. */
#include "store/ledger_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int
set_up(void **state)
{
    *state = rows_create();
    return *state != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    rows_destroy((struct rows **)state);
    assert_null(*state);
    return 0;
}

/* Identifiers that sort by their numbers. */
static struct str
id_of(unsigned number)
{
    static char id[ID_LENGTH + 1];
    snprintf(id, sizeof id, "1M84WVC%09u", number);
    return str_make(id, ID_LENGTH);
}

static struct row *
add(struct rows *rows, unsigned number)
{
    struct row *row = rows_add(rows, id_of(number));
    row->number = number;
    return row;
}

/* All changed rows as written. */
static unsigned
write_all(struct rows *rows)
{
    struct row *row;
    unsigned count = 0;
    while ((row = rows_next_changed(rows)) != NULL) {
        assert_true(row->is_changed);
        row->is_changed = false;
        count++;
    }
    return count;
}

static void
the_oldest_make_room(void **state)
{
    struct rows *rows = *state;
    for (unsigned i = 0; i < ROWS_MAX + 10; i++) {
        assert_null(rows_find(rows, id_of(i)));
        add(rows, i);
    }
    for (unsigned i = 0; i < ROWS_MAX + 10; i++) {
        const struct row *row = rows_find(rows, id_of(i));
        assert_true((row != NULL) == (i >= 10));
        assert_true(row == NULL || row->number == i);
        assert_true(row == NULL || str_eq(str_from_cstr(row->summary.id), id_of(i)));
    }
}

/* The database is asked only for what it can have. */
static void
new_ids_are_known_to_be_new(void **state)
{
    struct rows *rows = *state;
    assert_false(rows_may_be_stored(rows, id_of(0)));
    rows_begin(rows, id_of(100));
    assert_true(rows_may_be_stored(rows, id_of(99)));
    assert_true(rows_may_be_stored(rows, id_of(100)));
    assert_false(rows_may_be_stored(rows, id_of(101)));
    /* the greatest that has gone counts, not the last */
    add(rows, 500);
    add(rows, 300);
    for (unsigned i = 0; i < ROWS_MAX; i++) {
        add(rows, 1000 + i);
    }
    assert_true(rows_may_be_stored(rows, id_of(500)));
    assert_false(rows_may_be_stored(rows, id_of(501)));
    rows_forget(rows);
    assert_null(rows_find(rows, id_of(1000)));
    assert_true(rows_may_be_stored(rows, id_of(1000 + ROWS_MAX - 1)));
    assert_false(rows_may_be_stored(rows, id_of(1000 + ROWS_MAX)));
    /* another segment has nothing of these */
    rows_begin(rows, STR(""));
    assert_false(rows_may_be_stored(rows, id_of(0)));
}

static void
changed_rows_are_written_once_in_their_order(void **state)
{
    static const unsigned changes[] = {3, 1, 3, 2, 1, 3};
    static const unsigned want[] = {3, 1, 2};
    struct rows *rows = *state;
    struct row *row;
    size_t count = 0;
    for (unsigned i = 1; i <= 3; i++) {
        add(rows, i);
    }
    assert_null(rows_next_changed(rows));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        rows_change(rows, rows_find(rows, id_of(changes[i])));
    }
    while ((row = rows_next_changed(rows)) != NULL) {
        row->is_changed = false;
        assert_int_equal(row->number, want[count++]);
    }
    assert_int_equal(count, 3);
    rows_change(rows, rows_find(rows, id_of(1)));
    assert_int_equal(write_all(rows), 1);
    /* what is forgotten is not written */
    rows_change(rows, rows_find(rows, id_of(2)));
    rows_forget(rows);
    assert_int_equal(write_all(rows), 0);
}

static void
changed_rows_are_bounded(void **state)
{
    struct rows *rows = *state;
    for (unsigned i = 0; i < ROWS_CHANGED_MAX; i++) {
        assert_false(rows_is_full(rows));
        rows_change(rows, add(rows, i));
    }
    assert_true(rows_is_full(rows));
    assert_int_equal(write_all(rows), ROWS_CHANGED_MAX);
    for (unsigned i = ROWS_CHANGED_MAX; i < ROWS_MAX; i++) {
        add(rows, i);
    }
    assert_false(rows_is_full(rows));
    /* the one that would make room has not been written */
    rows_change(rows, rows_find(rows, id_of(0)));
    assert_true(rows_is_full(rows));
    assert_int_equal(write_all(rows), 1);
    assert_false(rows_is_full(rows));
}

static void
parts_are_remembered_while_there_is_room(void **state)
{
    struct row *row = add(*state, 1);
    row->knows_parts = true;
    for (int64_t i = 0; i < ROW_PARTS; i++) {
        assert_false(row_has_part(row, i));
        row_add_part(row, i);
        assert_true(row_has_part(row, i));
        assert_true(row->knows_parts);
    }
    row_add_part(row, ROW_PARTS);
    assert_false(row_has_part(row, ROW_PARTS));
    assert_false(row->knows_parts);
    assert_true(row_has_part(row, 0));
}

static void
recipients_are_remembered_while_there_is_room(void **state)
{
    static const struct {
        struct str address;
        bool want; /* it must be written */
    } cases[] = {
        {{"a@x.example", 11}, true}, {{"b@x.example", 11}, true}, {{"a@x.example", 11}, false},
        {{"A@x.example", 11}, true}, {{"c@x.example", 11}, true}, {{"c@x.example", 11}, false},
        {{"d@x.example", 11}, true}, {{"d@x.example", 11}, true}, {{"a@x.example", 11}, false},
        {{"a@x.exampl", 10}, true},
    };
    struct rows *rows = *state;
    struct row *row = add(rows, 1);
    struct row *other = add(rows, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (row_add_recipient(rows, row, cases[i].address) != cases[i].want) {
            fail_msg("case %zu", i);
        }
    }
    assert_int_equal(row->recipient_count, ROW_RECIPIENTS);
    assert_true(row_add_recipient(rows, other, STR("a@x.example")));
}

/* Nothing of the row that made room is taken for the new one's. */
static void
a_row_begins_empty(void **state)
{
    struct rows *rows = *state;
    struct row *row = add(rows, 1);
    row->knows_parts = true;
    row->summary.delivered = 3;
    row_add_part(row, 7);
    assert_true(row_add_recipient(rows, row, STR("a@x.example")));
    for (unsigned i = 2; i < ROWS_MAX + 1; i++) {
        add(rows, i);
    }
    struct row *fresh = add(rows, ROWS_MAX + 1);
    assert_ptr_equal(fresh, row);
    assert_false(row_has_part(fresh, 7));
    assert_false(fresh->knows_parts);
    assert_int_equal(fresh->summary.delivered, 0);
    assert_true(row_add_recipient(rows, fresh, STR("a@x.example")));
}

/* What was forgotten amid its writing does not come up in the next batch. */
static void
writing_begins_anew_after_forgetting(void **state)
{
    struct rows *rows = *state;
    for (unsigned i = 0; i < 3; i++) {
        rows_change(rows, add(rows, i));
    }
    assert_non_null(rows_next_changed(rows));
    rows_forget(rows);
    for (unsigned i = 10; i < 12; i++) {
        rows_change(rows, add(rows, i));
    }
    assert_int_equal(write_all(rows), 2);
}

#define WITH_ROWS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROWS(the_oldest_make_room),
        WITH_ROWS(new_ids_are_known_to_be_new),
        WITH_ROWS(changed_rows_are_written_once_in_their_order),
        WITH_ROWS(changed_rows_are_bounded),
        WITH_ROWS(parts_are_remembered_while_there_is_room),
        WITH_ROWS(recipients_are_remembered_while_there_is_room),
        WITH_ROWS(a_row_begins_empty),
        WITH_ROWS(writing_begins_anew_after_forgetting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
