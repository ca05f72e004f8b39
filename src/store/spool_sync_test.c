/* New names are made durable: the directory is synced before the commit that mentions a file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/spool_internal.h"
#include "store/spool_test_world.h"

/* ---- what is synced; it stands in for the C library's */

static struct {
    unsigned directories; /* of bodies and of large files */
    unsigned files;       /* large ones */
    bool directories_fail;
    bool files_fail;
} syncs;

/* The linker takes it for the C library's. */
int recorded_fsync(int fd) __asm__("fsync");

static bool
is_in(struct str name, const char *directory)
{
    return str_find(name, str_from_cstr(directory)) != STR_NPOS;
}

int
recorded_fsync(int fd)
{
    char link[64];
    char text[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    struct str name = str_make(text, n > 0 ? (size_t)n : 0);
    bool file = is_in(name, "/" SPOOL_LARGE_NAME "/");
    bool directory =
        str_ends_with(name, STR("/" SPOOL_BODIES_NAME)) || str_ends_with(name, STR("/large"));
    syncs.files += file;
    syncs.directories += directory;
    if ((file && syncs.files_fail) || (directory && syncs.directories_fail)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int
setup(void **state)
{
    syncs.directories_fail = syncs.files_fail = false;
    int result = world_setup(state);
    syncs.directories = syncs.files = 0;
    return result;
}

static enum status
try_insert(struct world *w, struct spool_message *m)
{
    bool duplicate;
    enum status status = spool_begin(w->spool);
    if (status == STATUS_OK) {
        status = spool_insert(w->spool, m, &duplicate);
    }
    if (status == STATUS_OK) {
        status = spool_commit(w->spool, 1000);
    }
    if (status != STATUS_OK) {
        spool_rollback(w->spool);
    }
    return status;
}

/* A file of the body log whose name may be gone after a power cut takes no message. */
static void
test_a_new_segment(void **state)
{
    struct world *w = *state;
    struct spool_message m = world_numbered(w, 1, 40000);
    syncs.directories_fail = true;
    assert_int_equal(try_insert(w, &m), STATUS_IO);
    assert_int_equal(spool_counts(w->spool).messages, 0);
    syncs.directories_fail = false;
    syncs.directories = 0;
    assert_int_equal(try_insert(w, &m), STATUS_OK);
    assert_int_equal(syncs.directories, 1);
    struct spool_message other = world_numbered(w, 2, 40000);
    assert_int_equal(try_insert(w, &other), STATUS_OK); /* into the same file */
    assert_int_equal(syncs.directories, 1);
    world_reopen(w);
    world_assert_same(w, &m);
    world_assert_same(w, &other);
}

static void
test_a_large_file(void **state)
{
    struct world *w = *state;
    struct str id = STR("0000000000000001");
    assert_int_equal(spool_file_write(w->directory, id, STR("octets")), STATUS_OK);
    assert_int_equal(syncs.files, 1);
    assert_int_equal(syncs.directories, 1);
    syncs.files_fail = true;
    assert_int_equal(spool_file_write(w->directory, id, STR("octets")), STATUS_IO);
    syncs.files_fail = false;
    syncs.directories_fail = true;
    assert_int_equal(spool_file_write(w->directory, id, STR("octets")), STATUS_IO);
}

/* What is shorter than the file that was there leaves nothing of it. */
static void
test_a_file_is_written_anew(void **state)
{
    struct world *w = *state;
    struct str id = STR("0000000000000001");
    char octets[64];
    int fd;
    assert_int_equal(spool_file_write(w->directory, id, STR("more octets")), STATUS_OK);
    assert_int_equal(spool_file_write(w->directory, id, STR("octets")), STATUS_OK);
    assert_int_equal(spool_file_read(w->directory, id, &fd), STATUS_OK);
    assert_int_equal(pread(fd, octets, sizeof octets, 0), 6);
    assert_memory_equal(octets, "octets", 6);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1); /* sealed */
    close(fd);
    spool_file_discard(w->directory, id);
    assert_int_equal(spool_file_read(w->directory, id, &fd), STATUS_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_segment),
        TEST(a_large_file),
        TEST(a_file_is_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
