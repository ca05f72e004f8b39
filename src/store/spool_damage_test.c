/* What a disk altered in the database is noticed before anybody gets it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_internal.h"
#include "store/spool_sum.h"
#include "store/spool_test_world.h"

static const struct spool_choice everything = {
    .due_ms = INT64_MAX, .finals = true, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};

/* Changes the database behind the store's back. */
static void
alter(struct world *w, const char *sql)
{
    char path[128];
    sqlite3 *db;
    spool_close(&w->spool);
    snprintf(path, sizeof path, "%s/" SPOOL_DATABASE_NAME, w->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    }
    assert_int_equal(code, SQLITE_OK);
    sqlite3_close(db);
    world_reopen(w);
}

/* Each is one change of what was written, and what must be marked then. */
static const struct {
    const char *sql;
    bool row;
    bool recipients;
} alterations[] = {
    {"UPDATE body SET content = CAST('Bodx.' || x'0d0a' AS BLOB)", false, false},
    {"UPDATE body SET content = CAST('Body.' || x'0d' AS BLOB)", false, false},
    {"UPDATE body SET content = x''", false, false},
    {"UPDATE body SET head = CAST('Subject: tesu' || x'0d0a0d0a' AS BLOB)", false, false},
    {"UPDATE body SET head = CAST(head || x'00' AS BLOB)", false, false},
    {"DELETE FROM body", false, false},
    {"UPDATE message SET sender = 't@out.example'", true, false},
    {"UPDATE message SET envid = 'x'", true, false},
    {"UPDATE message SET flags = 1", true, false},
    {"UPDATE message SET ret = 1", true, false},
    {"UPDATE message SET size = 25", true, false},
    {"UPDATE message SET in_file = 1", true, false},
    {"UPDATE message SET total = 1", true, false},
    {"UPDATE message SET head_sum = head_sum + 1", false, false},
    {"UPDATE message SET content_sum = content_sum + 1", false, false},
    {"UPDATE recipient SET address = 'r2@a.example' WHERE number = 1", false, true},
    {"UPDATE recipient SET original = 'r2@a.example' WHERE number = 0", false, true},
    {"UPDATE recipient SET orcpt = 'rfc822;x' WHERE number = 1", false, true},
    {"UPDATE recipient SET notify = 1 WHERE number = 1", false, true},
    {"UPDATE recipient SET destination = 'b.example' WHERE number = 1", false, true},
    {"UPDATE recipient SET rerouted = 1 WHERE number = 1", false, true},
    {"UPDATE recipient SET number = 7 WHERE number = 1", false, true},
};

static void
check_alteration(struct world *w, size_t i)
{
    char id[ID_LENGTH + 1];
    struct spool_message got;
    snprintf(id, sizeof id, "%016zu", i);
    struct spool_message m = world_message(w, id, "a.example", 2);
    int64_t key = world_insert(w, &m);
    alter(w, alterations[i].sql);
    enum status status = spool_load(w->spool, w->arena, key, &everything, true, &got);
    if (status != STATUS_SYNTAX) {
        fail_msg("%s: %s", alterations[i].sql, status_name(status));
    }
    /* Everything else can be read, so that it can be shown, held and removed. */
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, false, &got), STATUS_OK);
    if (got.altered != alterations[i].row || got.recipients_altered != alterations[i].recipients) {
        fail_msg("%s: altered %d, recipients %d", alterations[i].sql, got.altered,
                 got.recipients_altered);
    }
    assert_int_equal(got.recipient_count, 2);
    assert_int_equal(got.recipients[0].altered || got.recipients[1].altered,
                     got.recipients_altered);
    world_settle(w, key, 2, 0, SPOOL_REMOVED, 0);
    alter(w, "DELETE FROM message; DELETE FROM recipient; DELETE FROM body");
}

static void
test_alterations_are_noticed(void **state)
{
    for (size_t i = 0; i < sizeof alterations / sizeof alterations[0]; i++) {
        check_alteration(*state, i);
    }
}

/* It is found under the old destination, for the index has that still. */
static void
test_an_altered_row_that_is_not_chosen_counts(void **state)
{
    struct world *w = *state;
    struct spool_choice here = everything;
    struct spool_message got;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 2);
    int64_t key = world_insert(w, &m);
    alter(w, "UPDATE recipient SET destination = 'b.example' WHERE number = 1");
    here.destination = STR("a.example");
    assert_int_equal(spool_load(w->spool, w->arena, key, &here, true, &got), STATUS_SYNTAX);
    /* Who has got it already harms nobody. */
    world_settle(w, key, 2, 1, SPOOL_DELIVERED, 0);
    assert_int_equal(spool_load(w->spool, w->arena, key, &here, true, &got), STATUS_OK);
    assert_int_equal(got.recipient_count, 1);
}

static void
test_rows_without_checksums_are_taken(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 2);
    int64_t key = world_insert(w, &m);
    alter(w, "UPDATE message SET head_sum = 0, content_sum = 0, row_sum = 0;"
             "UPDATE recipient SET sum = 0");
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_OK);
    assert_false(got.altered || got.recipients_altered);
    alter(w, "UPDATE body SET content = x'41'"); /* as much as can be told */
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_SYNTAX);
}

static void
test_sums_differ_by_each_octet(void **state)
{
    char octets[200];
    (void)state;
    memset(octets, 'x', sizeof octets);
    for (size_t n = 0; n < sizeof octets; n++) {
        uint64_t whole = spool_sum(str_make(octets, n));
        assert_true(whole != 0);
        assert_true(whole != spool_sum(str_make(octets, n + 1)));
        for (size_t i = 0; i < n; i++) {
            octets[i] ^= 1;
            assert_true(spool_sum(str_make(octets, n)) != whole);
            octets[i] ^= 1;
        }
    }
}

static void
mark(struct world *w, int64_t key, bool damaged)
{
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_mark_message(w->spool, key, damaged), STATUS_OK);
    assert_int_equal(spool_commit(w->spool, 1000), STATUS_OK);
}

static void
test_damaged_messages_are_counted(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 1);
    struct spool_message other = world_message(w, "0000000000000002", "a.example", 1);
    int64_t key = world_insert(w, &m);
    world_insert(w, &other);
    mark(w, key, true);
    mark(w, key, true); /* once is enough */
    assert_int_equal(spool_counts(w->spool).damaged, 1);
    world_reopen(w);
    assert_int_equal(spool_counts(w->spool).damaged, 1);
    assert_int_equal(spool_load(w->spool, w->arena, key, &everything, true, &got), STATUS_OK);
    assert_true(got.damaged);
    mark(w, key, false);
    mark(w, other.key, false);
    assert_int_equal(spool_counts(w->spool).damaged, 0);
    mark(w, key, true);
    world_deliver(w, &other);
    assert_int_equal(spool_counts(w->spool).damaged, 1);
    world_deliver(w, &m);
    assert_int_equal(spool_counts(w->spool).damaged, 0);
}

/* What is held waits for an administrator, but what is damaged not for ever. */
static void
test_only_damaged_mail_ages_while_it_is_held(void **state)
{
    struct world *w = *state;
    int64_t keys[4];
    size_t count;
    bool end;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 1);
    m.recipients[0].state = SPOOL_HELD;
    int64_t key = world_insert(w, &m);
    for (unsigned damaged = 0; damaged < 2; damaged++) {
        for (unsigned unwarned = 0; unwarned < 2; unwarned++) {
            struct spool_age age = {.before_ms = INT64_MAX, .unwarned = unwarned == 1};
            mark(w, key, damaged == 1);
            assert_int_equal(spool_aged(w->spool, &age, 4, keys, &count, &end), STATUS_OK);
            assert_int_equal(count, damaged);
            assert_true(end);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(alterations_are_noticed),          TEST(an_altered_row_that_is_not_chosen_counts),
        TEST(rows_without_checksums_are_taken), TEST(sums_differ_by_each_octet),
        TEST(damaged_messages_are_counted),     TEST(only_damaged_mail_ages_while_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
