/* Opening a queue: new, older, newer, damaged, somebody else's, in use. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_internal.h"
#include "store/spool_test_world.h"

static void
database_path(const struct world *w, const char *name, char path[static 128])
{
    snprintf(path, 128, "%s/%s", w->directory, name);
}

/* Runs SQL on the closed database. */
static void
run_sql(struct world *w, const char *sql)
{
    char path[128];
    sqlite3 *db;
    database_path(w, SPOOL_DATABASE_NAME, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
test_refuses_a_newer_version(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    spool_close(&w->spool);
    run_sql(w, "PRAGMA user_version = 1000");
    assert_int_equal(world_open(w, &reason), STATUS_LIMIT);
    assert_true(world_says(reason, "newer version"));
    assert_true(world_says(reason, w->directory));
}

static void
test_refuses_what_is_not_ours(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    spool_close(&w->spool);
    run_sql(w, "PRAGMA application_id = 7");
    assert_int_equal(world_open(w, &reason), STATUS_DENIED);
    assert_true(world_says(reason, "another program"));
}

static void
test_refuses_while_in_use(void **state)
{
    struct world *w = *state;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 1);
    world_insert(w, &m);
    pid_t pid = fork();
    if (pid == 0) {
        struct str reason = {0};
        struct spool *second;
        enum status status = spool_open(w->directory, w->arena, &second, &reason);
        _exit(status == STATUS_DENIED && world_says(reason, "in use") ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void
test_upgrades_step_by_step(void **state)
{
    struct world *w = *state;
    const struct spool_upgrade steps[] = {
        spool_upgrades[0],
        spool_upgrades[1],
        spool_upgrades[2],
        spool_upgrades[3],
        {"ALTER TABLE message ADD COLUMN note TEXT NOT NULL DEFAULT 'old'"},
        {"UPDATE message SET note = note || 'er'"},
    };
    const struct spool_upgrade bad[] = {steps[0],
                                        steps[1],
                                        steps[2],
                                        steps[3],
                                        steps[4],
                                        steps[5],
                                        {"UPDATE message SET note = ''; SELECT * FROM nowhere"}};
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *s;
    struct spool_message m = world_message(w, "0000000000000001", "a.example", 1);
    world_insert(w, &m);
    spool_close(&w->spool);
    database_path(w, SPOOL_DATABASE_NAME, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(spool_schema_upgrade(db, steps, 6), STATUS_OK);
    assert_int_equal(spool_schema_upgrade(db, steps, 6), STATUS_OK); /* nothing left to do */
    assert_int_equal(spool_schema_upgrade(db, bad, 7), STATUS_IO);   /* all of a step or nothing */
    assert_int_equal(spool_schema_upgrade(db, steps, 5), STATUS_LIMIT);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT note FROM message", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "older");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

/* What version 1 wrote: all octets in the database, or in a file of their own. */
static const char rows_of_version_1[] =
    "INSERT INTO message VALUES (7, '0000000000000007', 1, 2, 's@out.example', 0, '', 0, 0, '',"
    " 70005, 1, 1, 0);"
    "INSERT INTO body VALUES (7, CAST('head7' AS BLOB), zeroblob(70000));"
    "INSERT INTO message VALUES (8, '0000000000000008', 1, 2, 's@out.example', 0, '', 0, 0, '',"
    " 14, 1, 1, 1);"
    "INSERT INTO body VALUES (8, CAST('head8' AS BLOB), NULL);"
    "INSERT INTO recipient VALUES (7, 0, 'r@a.example', 'r@a.example', '', 0, 'a.example', 1, 0,"
    " 1000, 0, 0, 0, 0, '', '', '');"
    "INSERT INTO recipient VALUES (8, 0, 'r@a.example', 'r@a.example', '', 0, 'a.example', 1, 0,"
    " 1000, 0, 0, 0, 0, '', '', '');"
    "UPDATE queue SET messages = 2, recipients = 2, bytes = 70019, key_last = 8;";

static void
make_version_1(struct world *w)
{
    char path[128];
    sqlite3 *db;
    spool_close(&w->spool);
    database_path(w, SPOOL_DATABASE_NAME, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(spool_schema_upgrade(db, spool_upgrades, 1), STATUS_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA application_id = 0x50737451", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, rows_of_version_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(spool_file_write(w->directory, STR("0000000000000008"), STR("content 8")),
                     STATUS_OK);
}

static void
test_takes_over_a_queue_of_version_1(void **state)
{
    static const struct spool_choice all = {.due_ms = INT64_MAX, .most = 9, .octets = SIZE_MAX};
    struct world *w = *state;
    struct spool_message got;
    int fd;
    make_version_1(w);
    for (unsigned i = 0; i < 2; i++) {
        world_reopen(w);
        assert_int_equal(spool_counts(w->spool).messages, 2);
        assert_int_equal(spool_load(w->spool, w->arena, 7, &all, true, &got), STATUS_OK);
        assert_true(str_eq(got.head, STR("head7")));
        assert_int_equal(got.content.n, 70000);
        assert_int_equal(got.place.segment, 0);
        assert_int_equal(spool_load(w->spool, w->arena, 8, &all, true, &got), STATUS_OK);
        assert_true(got.in_file && str_eq(got.head, STR("head8")));
        assert_int_equal(spool_file_read(w->directory, got.id, &fd), STATUS_OK);
        close(fd);
    }
    struct spool_message m = world_message(w, "0000000000000009", "a.example", 1);
    assert_int_equal(world_insert(w, &m), 9);
    assert_true(world_settle(w, 7, 1, 0, SPOOL_DELIVERED, 0).gone);
    assert_true(world_settle(w, 8, 1, 0, SPOOL_DELIVERED, 0).gone);
    assert_int_equal(spool_counts(w->spool).messages, 1);
}

/* Writes garbage over a part of the database file. */
static void
damage(struct world *w, off_t offset, size_t n)
{
    char path[128];
    char garbage[4096];
    memset(garbage, 0x5a, sizeof garbage);
    database_path(w, SPOOL_DATABASE_NAME, path);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, garbage, n, offset), (ssize_t)n);
    close(fd);
}

static void
fill(struct world *w)
{
    for (int i = 0; i < 200; i++) {
        char id[17];
        snprintf(id, sizeof id, "0000000000000%03d", i);
        struct spool_message m = world_message(w, id, "a.example", 2);
        world_insert(w, &m);
    }
    spool_close(&w->spool);
}

static void
copy_file(const char *from, const char *to)
{
    struct stat facts;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    assert_int_equal(fstat(in, &facts), 0);
    assert_int_equal(sendfile(out, in, NULL, (size_t)facts.st_size), facts.st_size);
    close(in);
    close(out);
}

static void
test_refuses_a_damaged_queue(void **state)
{
    static const struct {
        off_t offset;
        size_t n;
    } cases[] = {{0, 16}, {0, 4096}, {4096, 4096}, {4096 * 3 + 8, 512}, {4096 * 5, 4096}};
    struct world *w = *state;
    char path[128];
    char copy[128];
    fill(w);
    database_path(w, SPOOL_DATABASE_NAME, path);
    database_path(w, "copy", copy);
    copy_file(path, copy);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str reason = {0};
        struct stat before;
        struct stat after;
        copy_file(copy, path);
        damage(w, cases[i].offset, cases[i].n);
        assert_int_equal(stat(path, &before), 0);
        assert_int_equal(world_open(w, &reason), STATUS_SYNTAX);
        assert_true(world_says(reason, "damaged"));
        assert_true(world_says(reason, "backup"));
        /* It is left as it is: neither emptied nor replaced. */
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(before.st_ino, after.st_ino);
    }
}

static void
test_remembers_damage_that_it_met(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    char path[128];
    bool duplicate;
    fill(w);
    assert_int_equal(world_open(w, &reason), STATUS_OK);
    w->spool->damaged = true; /* as spool_status notes it */
    struct spool_message m = world_message(w, "0000000000009999", "a.example", 1);
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &m, &duplicate), STATUS_OK);
    spool_rollback(w->spool);
    database_path(w, SPOOL_DAMAGED_NAME, path);
    assert_int_equal(access(path, F_OK), 0);
    world_reopen(w); /* all of it was checked and found sound */
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
test_the_clock_is_remembered(void **state)
{
    struct world *w = *state;
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_commit(w->spool, 123456789), STATUS_OK);
    world_reopen(w);
    assert_int_equal(spool_clock_last(w->spool), 123456789);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_a_newer_version),
        TEST(refuses_what_is_not_ours),
        TEST(refuses_while_in_use),
        TEST(upgrades_step_by_step),
        TEST(takes_over_a_queue_of_version_1),
        TEST(refuses_a_damaged_queue),
        TEST(remembers_damage_that_it_met),
        TEST(the_clock_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
