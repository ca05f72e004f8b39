/* Damage in the database's log: told from a torn end, and never replayed without a word. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_internal.h"
#include "store/spool_test_world.h"
#include "store/wal_scan.h"

#define LOG_NAME     SPOOL_DATABASE_NAME "-wal"
#define HEADER       32u
#define FRAME        (24u + SPOOL_PAGE_OCTETS)
#define TRANSACTIONS 20u
#define MANY         400u /* recipients: they take more pages than a few small messages */

/* A file in memory. */
struct image {
    unsigned char *p;
    size_t n;
};

static void
path_of(const struct world *w, const char *name, char path[static 128])
{
    snprintf(path, 128, "%s/%s", w->directory, name);
}

static struct image
read_image(const struct world *w, const char *name)
{
    char path[128];
    struct stat st;
    path_of(w, name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    struct image image = {malloc((size_t)st.st_size + 1), (size_t)st.st_size};
    assert_non_null(image.p);
    assert_int_equal(read(fd, image.p, image.n), (ssize_t)image.n);
    close(fd);
    return image;
}

static void
write_image(const struct world *w, const char *name, struct image image)
{
    char path[128];
    path_of(w, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image.p, image.n), (ssize_t)image.n);
    close(fd);
}

/* Leaves the files as a crash would; the log is returned. */
static struct image
crash(struct world *w)
{
    struct image log = read_image(w, LOG_NAME);
    struct image database = read_image(w, SPOOL_DATABASE_NAME);
    spool_close(&w->spool);
    write_image(w, SPOOL_DATABASE_NAME, database);
    write_image(w, LOG_NAME, log);
    free(database.p);
    return log;
}

static void
insert(struct world *w, unsigned number, size_t recipients)
{
    char id[ID_LENGTH + 1];
    snprintf(id, sizeof id, "%016u", number);
    struct spool_message m = world_message(w, id, "a.example", recipients);
    world_insert(w, &m);
}

/* A log of its own with so many transactions, each with a message. */
static void
fill(struct world *w, unsigned from, unsigned count)
{
    world_reopen(w);
    for (unsigned i = 0; i < count; i++) {
        insert(w, from + i, 2);
    }
}

static unsigned char *
frame_at(struct image log, size_t i)
{
    return log.p + HEADER + i * FRAME;
}

static bool
commits(struct image log, size_t i)
{
    static const unsigned char none[4];
    return memcmp(frame_at(log, i) + 4, none, sizeof none) != 0;
}

/* The first frame of transaction `number` from 0 on. */
static size_t
first_frame(struct image log, unsigned number)
{
    size_t i = 0;
    for (; number > 0; i++) {
        assert_true(HEADER + (i + 1) * FRAME <= log.n);
        number -= commits(log, i);
    }
    return i;
}

static struct wal_scan
scan(const struct world *w, struct image log)
{
    char path[128];
    struct wal_scan got;
    path_of(w, LOG_NAME, path);
    write_image(w, LOG_NAME, log);
    assert_int_equal(wal_scan(path, SPOOL_PAGE_OCTETS, &got), STATUS_OK);
    return got;
}

static void
assert_scan(const char *name, struct wal_scan got, struct wal_scan want)
{
    if (got.kept != want.kept || got.lost != want.lost || got.damaged != want.damaged) {
        fail_msg("%s: kept %u lost %u damaged %d, want %u %u %d", name, (unsigned)got.kept,
                 (unsigned)got.lost, got.damaged, (unsigned)want.kept, (unsigned)want.lost,
                 want.damaged);
    }
}

/* ---- one log, damaged here and there */

enum place {
    WHOLE,
    CUT,         /* the file ends `offset` octets into the transaction */
    TRANSACTION, /* `size` octets overwritten, `offset` octets into it */
    BEGIN,       /* the same from the file's begin */
};

struct damage_case {
    const char *name;
    enum place place;
    unsigned transaction;
    size_t offset, size;
    struct wal_scan want;
};

static void
apply(const struct damage_case *c, struct image *log)
{
    size_t at = HEADER + first_frame(*log, c->transaction) * FRAME + c->offset;
    if (c->place == CUT) {
        log->n = at;
    } else if (c->place == TRANSACTION) {
        memset(log->p + at, 0x5a, c->size);
    } else if (c->place == BEGIN) {
        memset(log->p + c->offset, 0x5a, c->size);
    }
}

#define LAST (TRANSACTIONS - 1)

static const struct damage_case damage_cases[] = {
    {"whole", WHOLE, 0, 0, 0, {TRANSACTIONS, 0, false}},
    {"a page", TRANSACTION, 9, 100, 64, {9, TRANSACTIONS - 9, true}},
    {"number of the page", TRANSACTION, 9, 0, 4, {9, TRANSACTIONS - 9, true}},
    {"salts", TRANSACTION, 9, 8, 8, {9, TRANSACTIONS - 9, true}},
    {"checksum", TRANSACTION, 9, 16, 8, {9, TRANSACTIONS - 9, true}},
    {"first transaction", TRANSACTION, 0, 100, 64, {0, TRANSACTIONS, true}},
    {"last but one", TRANSACTION, LAST - 1, 100, 64, {LAST - 1, 2, true}},
    /* A power cut may leave any part of the last transaction unwritten. */
    {"last, torn at its begin", TRANSACTION, LAST, 0, FRAME, {LAST, 0, false}},
    {"last, torn in a page", TRANSACTION, LAST, 100, 64, {LAST, 0, false}},
    {"last, not there", CUT, LAST, 0, 0, {LAST, 0, false}},
    {"last, cut in a header", CUT, LAST, 10, 0, {LAST, 0, false}},
    {"last, cut behind a frame", CUT, LAST, FRAME, 0, {LAST, 0, false}},
    {"last, cut in a page", CUT, LAST, FRAME + 500, 0, {LAST, 0, false}},
    {"magic number", BEGIN, 0, 0, 4, {0, TRANSACTIONS, true}},
    {"size of the pages", BEGIN, 0, 8, 4, {0, TRANSACTIONS, true}},
    {"salts of the header", BEGIN, 0, 16, 8, {0, TRANSACTIONS, true}},
    {"all of the header", BEGIN, 0, 0, HEADER, {0, TRANSACTIONS, true}},
    {"header and more", BEGIN, 0, 0, 64, {0, TRANSACTIONS, true}},
};

static void
test_tells_damage_from_a_torn_end(void **state)
{
    struct world *w = *state;
    fill(w, 1, TRANSACTIONS);
    struct image log = crash(w);
    for (size_t i = 0; i < sizeof damage_cases / sizeof damage_cases[0]; i++) {
        const struct damage_case *c = &damage_cases[i];
        struct image copy = {malloc(log.n), log.n};
        assert_non_null(copy.p);
        memcpy(copy.p, log.p, log.n);
        apply(c, &copy);
        assert_scan(c->name, scan(w, copy), c->want);
        free(copy.p);
    }
    free(log.p);
}

static void
test_takes_what_is_no_log(void **state)
{
    static const unsigned char zeros[3 * FRAME];
    static const size_t sizes[] = {0, 1, HEADER - 1, HEADER, HEADER + 1, HEADER + FRAME, 3 * FRAME};
    struct world *w = *state;
    struct wal_scan got;
    char path[128];
    spool_close(&w->spool);
    path_of(w, "nowhere", path);
    assert_int_equal(wal_scan(path, SPOOL_PAGE_OCTETS, &got), STATUS_OK);
    assert_scan("missing", got, (struct wal_scan){0});
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct image image = {malloc(sizeof zeros), sizes[i]};
        assert_non_null(image.p);
        memcpy(image.p, zeros, sizeof zeros);
        assert_scan("zeros", scan(w, image), (struct wal_scan){0});
        memset(image.p, 0xff, sizeof zeros);
        assert_scan("ones", scan(w, image), (struct wal_scan){0});
        free(image.p);
    }
    assert_int_equal(wal_scan(w->directory, SPOOL_PAGE_OCTETS, &got), STATUS_IO);
}

/* The salts of a log without a header are those of the first frames that continue each other. */
static void
test_counts_without_the_begin_of_the_log(void **state)
{
    struct world *w = *state;
    fill(w, 1, TRANSACTIONS);
    struct image log = crash(w);
    size_t commit = first_frame(log, 1) - 1;
    memset(log.p, 0x5a, HEADER + commit * FRAME);
    assert_scan("up to a commit", scan(w, log), (struct wal_scan){0, TRANSACTIONS, true});
    memset(log.p, 0x5a, HEADER + (commit + 1) * FRAME);
    assert_scan("with the commit", scan(w, log), (struct wal_scan){0, TRANSACTIONS - 1, true});
    free(log.p);
}

/* ---- what earlier lives of the log have left in it */

static void
test_knows_frames_of_an_earlier_life(void **state)
{
    struct world *w = *state;
    fill(w, 1, TRANSACTIONS);
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(w->spool->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL),
        SQLITE_OK);
    for (unsigned i = 0; i < 3; i++) {
        insert(w, 100 + i, 2);
    }
    struct image log = crash(w);
    size_t end = first_frame(log, 3);
    assert_true(HEADER + (end + 10) * FRAME < log.n);
    assert_scan("whole", scan(w, log), (struct wal_scan){3, 0, false});
    memset(frame_at(log, end) + 200, 0x5a, 64);
    assert_scan("damage in old frames", scan(w, log), (struct wal_scan){3, 0, false});
    unsigned char *page = frame_at(log, first_frame(log, 2)) + 200;
    unsigned char kept[64];
    memcpy(kept, page, sizeof kept);
    memset(page, 0x5a, sizeof kept);
    assert_scan("a torn end before them", scan(w, log), (struct wal_scan){2, 0, false});
    memcpy(page, kept, sizeof kept);
    memset(frame_at(log, first_frame(log, 1)) + 200, 0x5a, 64);
    assert_scan("damage before them", scan(w, log), (struct wal_scan){1, 2, true});
    free(log.p);
}

/* A transaction was torn, and others were written over its begin: its end is still there. */
static void
test_knows_remains_of_a_torn_transaction(void **state)
{
    struct world *w = *state;
    fill(w, 1, 5);
    insert(w, 50, MANY);
    struct image log = crash(w);
    size_t torn = first_frame(log, 5);
    size_t end = first_frame(log, 6);
    assert_true(end - torn > 12);
    memset(frame_at(log, torn) + 100, 0x5a, 64);
    assert_scan("torn", scan(w, log), (struct wal_scan){5, 0, false});
    free(log.p);
    world_reopen(w);
    assert_int_equal(spool_counts(w->spool).messages, 5);
    insert(w, 51, 1);
    log = crash(w);
    assert_true(first_frame(log, 6) < end - 1 && commits(log, end - 1));
    assert_scan("written over", scan(w, log), (struct wal_scan){6, 0, false});
    /* And once more, with that one torn too: two commits that nothing continues. */
    memset(frame_at(log, torn) + 100, 0x5a, 64);
    assert_scan("both torn", scan(w, log), (struct wal_scan){5, 0, false});
    free(log.p);
    world_reopen(w);
    assert_int_equal(spool_counts(w->spool).messages, 5);
}

/* ---- opening */

static void
assert_same_image(struct image got, struct image want)
{
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    free(got.p);
}

/* The name of the copy, as the reason says it. */
static void
copy_name(struct str reason, char name[static 64])
{
    size_t at = str_find(reason, STR(LOG_NAME ".damaged-"));
    assert_int_not_equal(at, STR_NPOS);
    struct str rest = str_skip(reason, at);
    snprintf(name, 64, "%.*s", (int)strlen(LOG_NAME ".damaged-20261127T121734Z"), rest.p);
}

static void
checkpoint_as_advised(const struct world *w)
{
    char path[128];
    sqlite3 *db;
    path_of(w, SPOOL_DATABASE_NAME, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

static void
test_refuses_a_damaged_log(void **state)
{
    struct world *w = *state;
    struct str reason = {0};
    char name[64];
    char mark[128];
    fill(w, 1, TRANSACTIONS);
    assert_int_equal(spool_log_copies(w->spool), 0);
    struct image log = crash(w);
    memset(frame_at(log, first_frame(log, 12)) + 100, 0x5a, 64);
    write_image(w, LOG_NAME, log);
    for (unsigned i = 0; i < 2; i++) { /* again at each start, with one copy in all */
        assert_int_equal(world_open(w, &reason), STATUS_SYNTAX);
        assert_true(world_says(reason, "12 sound transactions"));
        assert_true(world_says(reason, " 8 more"));
        assert_true(world_says(reason, "backup"));
        assert_true(world_says(reason, "PRAGMA wal_checkpoint(TRUNCATE)"));
        copy_name(reason, name);
        assert_same_image(read_image(w, LOG_NAME), log);
        assert_same_image(read_image(w, name), log);
    }
    path_of(w, SPOOL_DAMAGED_NAME, mark);
    assert_int_equal(access(mark, F_OK), 0);
    checkpoint_as_advised(w);
    world_reopen(w);
    assert_int_equal(spool_counts(w->spool).messages, 12);
    assert_int_equal(spool_log_copies(w->spool), 1);
    insert(w, 200, 1);
    free(crash(w).p);
    world_reopen(w); /* nothing of the damage is left */
    assert_int_equal(spool_counts(w->spool).messages, 13);
    free(log.p);
}

static void
test_opens_after_a_power_cut(void **state)
{
    struct world *w = *state;
    fill(w, 1, TRANSACTIONS);
    struct image log = crash(w);
    memset(frame_at(log, first_frame(log, LAST)) + 100, 0x5a, 64);
    write_image(w, LOG_NAME, log);
    world_reopen(w);
    assert_int_equal(spool_counts(w->spool).messages, LAST);
    assert_int_equal(spool_log_copies(w->spool), 0);
    free(log.p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_damage_from_a_torn_end),
        TEST(counts_without_the_begin_of_the_log),
        TEST(takes_what_is_no_log),
        TEST(knows_frames_of_an_earlier_life),
        TEST(knows_remains_of_a_torn_transaction),
        TEST(refuses_a_damaged_log),
        TEST(opens_after_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
