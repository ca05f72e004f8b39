#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/wal_vfs.h"

#define ROWS 300

struct world {
    char directory[64];
    char path[96];
};

static int
set_up(void **state)
{
    static struct world world;
    snprintf(world.directory, sizeof world.directory, "/tmp/postern-wal-XXXXXX");
    if (mkdtemp(world.directory) == NULL) {
        return -1;
    }
    snprintf(world.path, sizeof world.path, "%s/test.db", world.directory);
    *state = &world;
    return 0;
}

static int
tear_down(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct world *world = *state;
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", world->path, suffixes[i]);
        unlink(path);
    }
    return rmdir(world->directory);
}

static void
run(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
        fail_msg("%s: %s", sql, error);
    }
}

static sqlite3 *
open_database(const struct world *world, const char *vfs)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(world->path, &db, flags, vfs), SQLITE_OK);
    run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
            "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, octets BLOB)");
    return db;
}

static int
count_rows(sqlite3 *db)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void
insert_rows(sqlite3 *db)
{
    run(db, "BEGIN");
    for (int i = 0; i < ROWS; i++) {
        run(db, "INSERT INTO t (octets) VALUES (randomblob(3000))");
    }
    run(db, "COMMIT");
}

/* Write calls of this process so far. */
static long
write_calls(void)
{
    char line[128];
    long calls = -1;
    FILE *file = fopen("/proc/self/io", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "syscw: ", 7) == 0) {
            calls = strtol(line + 7, NULL, 10);
            break;
        }
    }
    fclose(file);
    return calls;
}

/* What one connection commits, another sees at once, through the layer or without it. */
static void
test_others_see_what_was_committed(void **state)
{
    static const char *const modes[] = {"PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL",
                                        "PRAGMA synchronous = OFF"};
    struct world *world = *state;
    sqlite3 *writer = open_database(world, wal_vfs_name());
    sqlite3 *reader = open_database(world, wal_vfs_name());
    sqlite3 *outside = open_database(world, NULL);
    for (int i = 0; i < 3; i++) {
        run(writer, modes[i]);
        insert_rows(writer);
        assert_int_equal(count_rows(reader), (i + 1) * ROWS);
        assert_int_equal(count_rows(outside), (i + 1) * ROWS);
    }
    run(writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    insert_rows(writer);
    assert_int_equal(count_rows(outside), 4 * ROWS);
    sqlite3_close(writer);
    sqlite3_close(reader);
    run(outside, "PRAGMA integrity_check");
    sqlite3_close(outside);
}

static void
test_a_rolled_back_transaction_leaves_nothing(void **state)
{
    struct world *world = *state;
    sqlite3 *db = open_database(world, wal_vfs_name());
    run(db, "PRAGMA cache_size = 5"); /* so that pages spill into the log before the commit */
    insert_rows(db);
    run(db, "BEGIN");
    for (int i = 0; i < ROWS; i++) {
        run(db, "INSERT INTO t (octets) VALUES (randomblob(3000))");
    }
    run(db, "ROLLBACK");
    assert_int_equal(count_rows(db), ROWS);
    insert_rows(db);
    sqlite3_close(db);
    db = open_database(world, NULL);
    assert_int_equal(count_rows(db), 2 * ROWS);
    sqlite3_close(db);
}

static void
test_it_saves_write_calls(void **state)
{
    struct world *world = *state;
    long calls[2];
    for (int with = 0; with < 2; with++) {
        sqlite3 *db = open_database(world, with != 0 ? wal_vfs_name() : NULL);
        run(db, "PRAGMA synchronous = FULL");
        long before = write_calls();
        insert_rows(db);
        calls[with] = write_calls() - before;
        sqlite3_close(db);
    }
    if (calls[1] * 20 > calls[0]) {
        fail_msg("%ld calls with the layer, %ld without", calls[1], calls[0]);
    }
}

/* A disk that is full says so to the transaction that does not fit, and to no other. */
static void
test_a_failed_write_fails_its_transaction(void **state)
{
    struct world *world = *state;
    struct rlimit old;
    sqlite3 *db = open_database(world, wal_vfs_name());
    insert_rows(db);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {2u << 20, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    run(db, "BEGIN");
    for (int i = 0; i < ROWS; i++) {
        sqlite3_exec(db, "INSERT INTO t (octets) VALUES (randomblob(3000))", NULL, NULL, NULL);
    }
    assert_int_not_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(count_rows(db), ROWS);
    insert_rows(db);
    assert_int_equal(count_rows(db), 2 * ROWS);
    sqlite3_close(db);
}

/*
 * The failure is told to a read in the middle of a transaction: the commit must not go through as
 * if the frames were there.
 */
static void
test_a_transaction_with_a_hole_cannot_commit(void **state)
{
    struct world *world = *state;
    struct rlimit old;
    sqlite3 *db = open_database(world, wal_vfs_name());
    run(db, "PRAGMA cache_size = 5");
    insert_rows(db);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    run(db, "BEGIN");
    for (int i = 0; i < ROWS / 4; i++) {
        run(db, "INSERT INTO t (octets) VALUES (randomblob(3000))");
    }
    struct rlimit small = {1u << 20, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    sqlite3_exec(db, "SELECT sum(length(octets)) FROM t", NULL, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    bool open = sqlite3_get_autocommit(db) == 0;
    int committed = open && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (open && !committed) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite3_close(db);
    db = open_database(world, NULL);
    assert_int_equal(count_rows(db), committed ? ROWS + ROWS / 4 : ROWS);
    sqlite3_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_others_see_what_was_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_rolled_back_transaction_leaves_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_it_saves_write_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_failed_write_fails_its_transaction, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_transaction_with_a_hole_cannot_commit, set_up,
                                        tear_down),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
