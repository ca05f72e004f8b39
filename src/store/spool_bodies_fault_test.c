/* The body log when things go wrong: deaths, full disks, failing writes and syncs, damage. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_bodies_internal.h"
#include "store/spool_internal.h"
#include "store/spool_test_world.h"

#define MIB (1024u * 1024u)

/* ---- what is synced, in order; it stands in for the C library's, also for SQLite */

static struct {
    char calls[16]; /* 'b': a file of the body log, 'd': of the database */
    size_t count;
    bool fails; /* for the body log */
} syncs;

/* The linker takes it for the C library's. */
int recorded_sync(int fd) __asm__("fdatasync");

int
recorded_sync(int fd)
{
    char link[64];
    char name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name);
    bool body =
        n > 0 && str_find(str_make(name, (size_t)n), STR("/" SPOOL_BODIES_NAME "/")) != STR_NPOS;
    if (syncs.count < sizeof syncs.calls - 1) {
        syncs.calls[syncs.count++] = body ? 'b' : 'd';
    }
    if (body && syncs.fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static const struct spool_choice everything = {
    .due_ms = INT64_MAX, .finals = true, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};

/* ---- crashes: a child dies at the moment, its parent opens what it left */

enum moment { BEFORE_WRITING, WRITTEN, SYNCED, COMMITTED };

static void
die_at(struct world *w, struct spool_message *m, enum moment moment)
{
    bool duplicate;
    bool fine =
        spool_begin(w->spool) == STATUS_OK && spool_insert(w->spool, m, &duplicate) == STATUS_OK;
    if (fine && moment == WRITTEN) {
        fine = bodies_write_gathered(w->spool->bodies) == STATUS_OK;
    } else if (fine && moment == SYNCED) {
        fine = bodies_flush(w->spool->bodies) == STATUS_OK;
    } else if (fine && moment == COMMITTED) {
        fine = spool_commit(w->spool, 1) == STATUS_OK;
    }
    if (fine) {
        kill(getpid(), SIGKILL);
    }
    _exit(1);
}

static void
test_survives_death_at_every_moment(void **state)
{
    struct world *w = *state;
    struct spool_message before = world_numbered(w, 1, 30000);
    world_insert(w, &before);
    for (unsigned moment = BEFORE_WRITING; moment <= COMMITTED; moment++) {
        int status;
        int64_t key;
        struct str reason = {0};
        struct spool_message m = world_numbered(w, 10 + moment, 9 * 4000);
        spool_close(&w->spool);
        pid_t pid = fork();
        if (pid == 0) {
            if (world_open(w, &reason) == STATUS_OK) {
                die_at(w, &m, (enum moment)moment);
            }
            _exit(1);
        }
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(world_open(w, &reason), STATUS_OK);
        world_assert_same(w, &before);
        enum status found = spool_find(w->spool, m.id, &key);
        assert_int_equal(found, moment == COMMITTED ? STATUS_OK : STATUS_NOT_FOUND);
        assert_int_equal(spool_counts(w->spool).messages, 1 + (moment == COMMITTED));
        if (moment == COMMITTED) {
            m.key = key;
            world_assert_same(w, &m);
        }
        struct spool_message after = world_numbered(w, 20 + moment, 12000);
        world_insert(w, &after);
        world_assert_same(w, &after);
        world_deliver(w, &after);
        assert_in_range(world_count_bodies(w), 1, 4); /* files of nobody are gone */
    }
}

static void
test_files_of_nobody_are_deleted(void **state)
{
    static const char *const names[] = {"999", "1000000000000", "junk"};
    struct world *w = *state;
    struct spool_message m = world_numbered(w, 1, 30000);
    world_insert(w, &m);
    size_t before = world_count_bodies(w);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/" SPOOL_BODIES_NAME "/%s", w->directory, names[i]);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    world_reopen(w);
    assert_int_equal(world_count_bodies(w), before);
    world_assert_same(w, &m);
}

/* ---- syncing and writing */

static void
test_octets_are_synced_before_the_commit(void **state)
{
    struct world *w = *state;
    struct spool_message m[3] = {world_numbered(w, 1, 30000), world_numbered(w, 2, 40000),
                                 world_numbered(w, 3, SPOOL_LOG_FROM - 1)};
    bool duplicate;
    world_insert(w, &m[0]);
    for (unsigned several = 0; several < 2; several++) {
        memset(&syncs, 0, sizeof syncs);
        assert_int_equal(spool_begin(w->spool), STATUS_OK);
        assert_int_equal(spool_insert(w->spool, &m[1 + several], &duplicate), STATUS_OK);
        assert_int_equal(spool_commit(w->spool, 1), STATUS_OK);
        assert_string_equal(syncs.calls, several == 0 ? "bd" : "d"); /* none is needed */
    }
}

static void
test_a_sync_that_fails_commits_nothing(void **state)
{
    struct world *w = *state;
    struct spool_message m = world_numbered(w, 1, 30000);
    bool duplicate;
    int64_t key;
    memset(&syncs, 0, sizeof syncs);
    syncs.fails = true;
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &m, &duplicate), STATUS_OK);
    assert_int_equal(spool_commit(w->spool, 1), STATUS_IO);
    spool_rollback(w->spool);
    syncs.fails = false;
    assert_int_equal(spool_find(w->spool, m.id, &key), STATUS_NOT_FOUND);
    world_insert(w, &m);
    world_reopen(w);
    world_assert_same(w, &m);
}

static void
test_a_full_disk_refuses_and_loses_nothing(void **state)
{
    struct world *w = *state;
    struct rlimit before;
    struct rlimit small;
    bool duplicate;
    struct spool_message first = world_numbered(w, 1, 50000);
    struct spool_message refused = world_numbered(w, 2, 400000);
    signal(SIGXFSZ, SIG_IGN);
    world_insert(w, &first);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 300000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(spool_begin(w->spool), STATUS_OK);
        enum status status = spool_insert(w->spool, &refused, &duplicate);
        status = status == STATUS_OK ? spool_commit(w->spool, 1) : status;
        assert_int_equal(status, STATUS_LIMIT);
        spool_rollback(w->spool);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    world_assert_same(w, &first);
    assert_int_equal(spool_counts(w->spool).messages, 1);
    world_insert(w, &refused);
    world_reopen(w);
    world_assert_same(w, &first);
    world_assert_same(w, &refused);
}

static void
test_a_write_that_fails_commits_nothing(void **state)
{
    struct world *w = *state;
    char path[128];
    bool duplicate;
    struct spool_message first = world_numbered(w, 1, 50000);
    struct spool_message second = world_numbered(w, 2, 50000);
    world_insert(w, &first);
    struct segment *current = w->spool->bodies->current;
    world_segment_path(w, current->number, path);
    int good = current->fd;
    current->fd = open(path, O_RDONLY | O_CLOEXEC); /* cannot be written */
    assert_int_equal(spool_begin(w->spool), STATUS_OK);
    assert_int_equal(spool_insert(w->spool, &second, &duplicate), STATUS_OK);
    assert_int_equal(spool_commit(w->spool, 1), STATUS_IO);
    spool_rollback(w->spool);
    close(current->fd);
    current->fd = good;
    world_assert_same(w, &first);
    world_insert(w, &second);
    world_reopen(w);
    world_assert_same(w, &first);
    world_assert_same(w, &second);
}

/* The database's commit fails again and again: what it left behind is bounded, and not written over
 * at once. */
static void
test_commits_that_fail_take_no_room_for_good(void **state)
{
    struct world *w = *state;
    bool duplicate;
    struct spool_message first = world_numbered(w, 1, 50000);
    struct spool_message m = world_numbered(w, 2, MIB);
    uint32_t last = UINT32_MAX;
    world_insert(w, &first);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(spool_begin(w->spool), STATUS_OK);
        assert_int_equal(spool_insert(w->spool, &m, &duplicate), STATUS_OK);
        assert_int_equal(bodies_flush(w->spool->bodies), STATUS_OK);
        assert_true(m.place.block != last);
        last = m.place.block;
        spool_rollback(w->spool);
    }
    assert_in_range(world_count_bodies(w), 1, 4);
    assert_int_equal(bodies_size(w->spool->bodies), bodies_blocks(first.size) * BODIES_BLOCK);
    world_assert_same(w, &first);
    world_insert(w, &m);
    world_reopen(w);
    world_assert_same(w, &first);
    world_assert_same(w, &m);
}

/* ---- damage */

static void
write_at(const struct world *w, int64_t segment, off_t offset, struct str octets)
{
    char path[128];
    world_segment_path(w, segment, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, octets.p, octets.n, offset), (ssize_t)octets.n);
    close(fd);
}

static off_t
offset_of(const struct spool_message *m)
{
    return (off_t)m->place.block * BODIES_BLOCK;
}

static void
test_damage_is_told_and_harms_nobody_else(void **state)
{
    static const off_t places[] = {0,
                                   8,
                                   9,
                                   30,
                                   40,
                                   62,
                                   BODIES_HEADER_SIZE,
                                   99,
                                   10000,
                                   10001,
                                   39999,
                                   40000 + BODIES_HEADER_SIZE - 1};
    struct world *w = *state;
    struct spool_message got;
    struct spool_message m = world_numbered(w, 1, 40000);
    struct spool_message other = world_numbered(w, 2, 40000);
    world_insert(w, &m);
    world_insert(w, &other);
    char path[128];
    world_segment_path(w, m.place.segment, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char sound;
        assert_int_equal(pread(fd, &sound, 1, offset_of(&m) + places[i]), 1);
        char broken = (char)(sound ^ 1 << i % 8);
        write_at(w, m.place.segment, offset_of(&m) + places[i], str_make(&broken, 1));
        assert_int_equal(world_load(w, &m, &got), STATUS_SYNTAX);
        world_assert_same(w, &other);
        assert_false(spool_is_damaged(w->spool)); /* the queue goes on */
        write_at(w, m.place.segment, offset_of(&m) + places[i], str_make(&sound, 1));
        world_assert_same(w, &m);
    }
    close(fd);
}

static void
test_what_is_missing_is_damage(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    char path[128];
    struct spool_message m = world_numbered(w, 1, 40000);
    struct spool_message other = world_numbered(w, 2, 40000);
    world_insert(w, &m);
    world_insert(w, &other);
    world_segment_path(w, m.place.segment, path);
    /* All but the octets can be had. */
    assert_int_equal(truncate(path, offset_of(&other) + 5000), 0);
    assert_int_equal(world_load(w, &other, &got), STATUS_SYNTAX);
    assert_int_equal(spool_load(w->spool, w->arena, other.key, &everything, false, &got),
                     STATUS_OK);
    assert_true(str_eq(got.id, other.id));
    world_assert_same(w, &m);
    world_reopen(w);
    assert_int_equal(world_load(w, &other, &got), STATUS_SYNTAX);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(world_load(w, &m, &got), STATUS_SYNTAX);
    world_reopen(w);
    assert_int_equal(world_load(w, &m, &got), STATUS_SYNTAX);
    world_deliver(w, &m);
    world_deliver(w, &other);
    struct spool_message next = world_numbered(w, 3, 40000);
    world_insert(w, &next);
    world_assert_same(w, &next);
}

/* What stands at the place is sound, but of somebody else. */
static void
test_another_message_is_not_taken_for_this_one(void **state)
{
    struct world *w = *state;
    struct spool_message got;
    char sql[128];
    struct spool_message m = world_numbered(w, 1, 40000);
    struct spool_message other = world_numbered(w, 2, 40000);
    world_insert(w, &m);
    world_insert(w, &other);
    snprintf(sql, sizeof sql, "UPDATE message SET block = %u WHERE key = %lld", other.place.block,
             (long long)m.key);
    assert_int_equal(sqlite3_exec(w->spool->db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(world_load(w, &m, &got), STATUS_SYNTAX);
    snprintf(sql, sizeof sql, "UPDATE message SET block = 4000000000, segment = 77, size = 1");
    assert_int_equal(sqlite3_exec(w->spool->db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(world_load(w, &m, &got), STATUS_SYNTAX);
    world_deliver(w, &m);
}

/* Beginning anew with an empty database would delete what the lost one speaks of. */
static void
test_a_lost_database_is_not_replaced(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    char path[128];
    char away[128];
    struct spool_message m = world_numbered(w, 1, 40000);
    world_insert(w, &m);
    spool_close(&w->spool);
    snprintf(path, sizeof path, "%s/" SPOOL_DATABASE_NAME, w->directory);
    snprintf(away, sizeof away, "%s/away", w->directory);
    assert_int_equal(rename(path, away), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_open(w, &reason), STATUS_SYNTAX);
        assert_true(str_find(reason, STR("Put the database back")) != STR_NPOS);
    }
    assert_int_equal(rename(away, path), 0);
    world_reopen(w);
    world_assert_same(w, &m);
}

static void
test_a_row_that_cannot_be_is_damage(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    assert_int_equal(
        sqlite3_exec(w->spool->db, "INSERT INTO segment VALUES (5, x'00')", NULL, NULL, NULL),
        SQLITE_OK);
    spool_close(&w->spool);
    assert_int_equal(world_open(w, &reason), STATUS_SYNTAX);
    assert_true(str_find(reason, STR("damaged")) != STR_NPOS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(survives_death_at_every_moment),
        TEST(files_of_nobody_are_deleted),
        TEST(octets_are_synced_before_the_commit),
        TEST(a_sync_that_fails_commits_nothing),
        TEST(a_full_disk_refuses_and_loses_nothing),
        TEST(a_write_that_fails_commits_nothing),
        TEST(commits_that_fail_take_no_room_for_good),
        TEST(damage_is_told_and_harms_nobody_else),
        TEST(what_is_missing_is_damage),
        TEST(another_message_is_not_taken_for_this_one),
        TEST(a_lost_database_is_not_replaced),
        TEST(a_row_that_cannot_be_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
