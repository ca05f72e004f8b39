/*
 * ledger_test_directory.h - a directory of its own for each test of the ledger's databases.
 */
#ifndef POSTERN_STORE_LEDGER_TEST_DIRECTORY_H
#define POSTERN_STORE_LEDGER_TEST_DIRECTORY_H

#include <limits.h>

struct test_directory {
    char path[PATH_MAX];
};

/* cmocka's set-up and tear-down: *state is a struct test_directory. */
int test_directory_make(void **state);
int test_directory_remove(void **state);
/* Path of a file in it; lasts until the next call. */
const char *test_directory_file(const struct test_directory *directory, const char *name);

/* An entry for cmocka of a test that gets a directory of its own. */
#define WITH_DIRECTORY(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, test_directory_make, test_directory_remove)

#endif
