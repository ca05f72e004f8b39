/* The files of traces: segments, retention, damage, kill -9. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/ledger_segment.h"
#include "store/ledger_traces_test_world.h"

static void
old_traces_go(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_store_counts counts;
    char ids[6][ID_LENGTH + 1];
    for (size_t i = 0; i < 6; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[0]);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        traces_test_next_segment(store, 8 * DAY_MS);
    }
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 7);
    /* by age: all of a segment must be too old */
    const struct trace_store_limits month = {.age_ms = 30 * DAY_MS, .size = 10ULL << 30};
    trace_store_maintain(store, &month, traces_test_now_ms);
    assert_int_equal(traces_test_count_parts(directory, ids[1]), 0);
    assert_int_equal(traces_test_count_parts(directory, ids[2]), 1);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 5);
    /* by size: the oldest first, the newest stays */
    const struct trace_store_limits small = {.age_ms = 90 * DAY_MS, .size = 1};
    uint64_t left = trace_store_maintain(store, &small, traces_test_now_ms);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 1);
    assert_true(left > 0);
    traces_test_make_id(ids[0]);
    traces_test_append_mail(store, ids[0], "0000000000SESSIN", &traces_test_mails[0]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 1);
    trace_store_close(&store);
}

/* Size makes segments too, and disk use stays near the limit whatever comes. */
static void
disk_use_is_bounded(void **state)
{
    const struct test_directory *directory = *state;
    const struct trace_store_limits limits = {.age_ms = 90 * DAY_MS, .size = 4u << 20};
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_store_counts counts;
    uint64_t most = 0;
    for (int i = 0; i < 20000; i++) {
        char id[ID_LENGTH + 1];
        traces_test_make_id(id);
        traces_test_append_mail(store, id, "0000000000SESSIN", &traces_test_mails[(size_t)i % 4]);
        if (i % 250 == 249) {
            assert_int_equal(trace_store_commit(store), STATUS_OK);
            uint64_t size = trace_store_maintain(store, &limits, traces_test_now_ms);
            most = size > most ? size : most;
        }
    }
    trace_store_counts(store, &counts);
    assert_in_range(counts.segments, 2, 8);
    assert_in_range(most, 2u << 20, 6u << 20);
    trace_store_close(&store);
}

/* A clock that was set back makes no disorder: a new segment still comes after the others. */
static void
clock_may_jump(void **state)
{
    const struct test_directory *directory = *state;
    const struct trace_store_limits small = {.age_ms = 1000 * DAY_MS, .size = 16u << 20};
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_store_counts counts;
    char ids[3][ID_LENGTH + 1];
    for (size_t i = 0; i < 6000; i++) { /* more than a segment may have */
        traces_test_make_id(ids[0]);
        traces_test_append_mail(store, ids[0], "0000000000SESSIN", &traces_test_mails[0]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    traces_test_now_ms -= 100 * DAY_MS;
    trace_store_maintain(store, &small, traces_test_now_ms);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 2);
    traces_test_make_id(ids[1]);
    traces_test_append_mail(store, ids[1], "0000000000SESSIN", &traces_test_mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_close(&store);
    store =
        traces_test_open_store(directory); /* the segment of the early clock is the newest still */
    traces_test_make_id(ids[2]);
    traces_test_append_mail(store, ids[2], "0000000000SESSIN", &traces_test_mails[2]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 1);
    assert_int_equal(traces_test_count_parts(directory, ids[1]), 1);
    assert_string_equal(traces_test_find(directory, (struct trace_query){.limit = 2}),
                        "three_x|two 100%|+");
    trace_store_close(&store);
    traces_test_now_ms = TRACES_TEST_START_MS;
}

static void
corrupt(const char *path, off_t offset)
{
    char garbage[4096];
    int fd = open(path, O_WRONLY);
    memset(garbage, 0xa5, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, offset), sizeof garbage);
    close(fd);
}

/* Damage costs the traces of its own segment; the ledger goes on. */
static void
damaged_segments_are_set_aside(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct segment_list list;
    char ids[2][ID_LENGTH + 1];
    char name[64];
    for (size_t i = 0; i < 2; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[i]);
        assert_int_equal(trace_store_commit(store), STATUS_OK);
        if (i == 0) {
            traces_test_next_segment(store, 8 * DAY_MS);
        }
    }
    trace_store_close(&store);
    assert_int_equal(segment_list_read(directory->path, &list), STATUS_OK);
    assert_int_equal(list.count, 2);
    snprintf(name, sizeof name, "%s.db", list.names[1]);
    corrupt(test_directory_file(directory, name), 0);
    store = traces_test_open_store(directory);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 1);
    assert_int_equal(traces_test_count_parts(directory, ids[1]), 0);
    snprintf(name, sizeof name, "%s.db.damaged", list.names[1]);
    assert_int_equal(access(test_directory_file(directory, name), F_OK), 0);
    traces_test_append_mail(store, ids[1], "0000000000SESSIN", &traces_test_mails[1]);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    trace_store_close(&store);

    /* an older one that breaks while all is open is left out of searches */
    snprintf(name, sizeof name, "%s.db", list.names[0]);
    corrupt(test_directory_file(directory, name), 0);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 0);
    assert_string_equal(traces_test_find(directory, (struct trace_query){.limit = 10}), "two 100%");
    segment_list_free(&list);
}

/* The writer is killed while it writes: what it had committed is there, and it can go on. */
static void
commits_survive_a_kill(void **state)
{
    const struct test_directory *directory = *state;
    for (int round = 0; round < 5; round++) {
        int done[2];
        char id[ID_LENGTH + 1];
        size_t count = 0;
        assert_int_equal(pipe(done), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct trace_store *store = traces_test_open_store(directory);
            for (;;) {
                char batch[20][ID_LENGTH + 1];
                for (size_t i = 0; i < 20; i++) {
                    traces_test_make_id(batch[i]);
                    traces_test_append_mail(store, batch[i], "0000000000SESSIN",
                                            &traces_test_mails[i % 4]);
                }
                if (trace_store_commit(store) != STATUS_OK ||
                    write(done[1], batch, sizeof batch) != sizeof batch) {
                    _exit(1);
                }
            }
        }
        close(done[1]);
        struct trace_search *search = trace_search_create(directory->path);
        for (; read(done[0], id, sizeof id) == sizeof id; count++) {
            struct summary row;
            size_t parts = 0;
            assert_int_equal(
                trace_search_parts(search, str_from_cstr(id), &row, traces_test_count_part, &parts),
                STATUS_OK);
            if (count == 100 + 50 * (size_t)round) {
                kill(pid, SIGKILL);
            }
        }
        trace_search_destroy(&search);
        close(done[0]);
        waitpid(pid, NULL, 0);
        assert_true(count > 100);
        traces_test_now_ms += 60000; /* the next child's ids are others */
    }
}

/* A new segment that cannot be used leaves everything as it was: nothing is lost, nothing repeated.
 */
static void
a_segment_that_cannot_begin(void **state)
{
    const struct test_directory *directory = *state;
    struct trace_store *store = traces_test_open_store(directory);
    struct trace_store_counts counts;
    char ids[3][ID_LENGTH + 1];
    char name[64];
    for (size_t i = 0; i < 2; i++) {
        traces_test_make_id(ids[i]);
        traces_test_append_mail(store, ids[i], "0000000000SESSIN", &traces_test_mails[i]);
    }
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    for (unsigned i = 0; i < SEGMENTS_MAX; i++) { /* too many to be listed */
        snprintf(name, sizeof name, "00000000000%05u.db", i);
        int fd = open(test_directory_file(directory, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    traces_test_next_segment(store, 8 * DAY_MS);
    for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
        snprintf(name, sizeof name, "00000000000%05u.db", i);
        assert_int_equal(unlink(test_directory_file(directory, name)), 0);
    }
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 1);
    traces_test_append_result(store, ids[0], "bob@kartapuce.com", true);
    traces_test_make_id(ids[2]);
    traces_test_append_mail(store, ids[2], "0000000000SESSIN", &traces_test_mails[2]);
    traces_test_append_closed(store, "0000000000ANCIEN"); /* older than the newest segment */
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, ids[0]), 2);
    assert_int_equal(traces_test_count_parts(directory, ids[2]), 1);
    traces_test_next_segment(store, 8 * DAY_MS);
    trace_store_counts(store, &counts);
    assert_int_equal(counts.segments, 2);
    traces_test_append_result(store, ids[1], "jack@kartapuce.com", true);
    assert_int_equal(trace_store_commit(store), STATUS_OK);
    assert_int_equal(traces_test_count_parts(directory, ids[1]), 2);
    assert_int_equal(traces_test_get_row(directory, ids[1]).delivered, 1);
    trace_store_close(&store);
    traces_test_now_ms = TRACES_TEST_START_MS;
}

/* The log of the newest segment does not make small segments smaller. */
static void
segments_have_their_size(void **state)
{
    const struct test_directory *directory = *state;
    const struct trace_store_limits limits = {.age_ms = 90 * DAY_MS, .size = 64u << 20};
    struct trace_store *store = NULL;
    struct trace_store_counts counts;
    uint64_t size = 0;
    assert_int_equal(trace_store_open(directory->path, &limits, traces_test_now_ms, &store),
                     STATUS_OK);
    for (int i = 0; i < 30000; i++) {
        char id[ID_LENGTH + 1];
        traces_test_make_id(id);
        traces_test_append_mail(store, id, "0000000000SESSIN",
                                &traces_test_mails[(size_t)i % TRACES_TEST_MAILS]);
        if (i % 250 == 249) {
            assert_int_equal(trace_store_commit(store), STATUS_OK);
            size = trace_store_maintain(store, &limits, traces_test_now_ms);
        }
    }
    trace_store_counts(store, &counts);
    assert_in_range(size / counts.segments, 2u << 20, 5u << 20); /* a sixteenth is 4 MiB */
    trace_store_close(&store);
    traces_test_now_ms = TRACES_TEST_START_MS;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(old_traces_go),
        WITH_DIRECTORY(disk_use_is_bounded),
        WITH_DIRECTORY(clock_may_jump),
        WITH_DIRECTORY(damaged_segments_are_set_aside),
        WITH_DIRECTORY(commits_survive_a_kill),
        WITH_DIRECTORY(a_segment_that_cannot_begin),
        WITH_DIRECTORY(segments_have_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
