#include "store/ledger_test_directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int
test_directory_make(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct test_directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL) {
        return -1;
    }
    snprintf(directory->path, sizeof directory->path, "%s/postern-test-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory->path) == NULL) {
        free(directory);
        return -1;
    }
    *state = directory;
    return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

int
test_directory_remove(void **state)
{
    struct test_directory *directory = *state;
    int failed = nftw(directory->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(directory);
    return failed;
}

const char *
test_directory_file(const struct test_directory *directory, const char *name)
{
    static char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", directory->path, name);
    return path;
}
