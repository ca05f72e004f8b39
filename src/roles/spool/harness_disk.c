/* What tests do to the queue's files behind the role's back. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "roles/spool/harness.h"

void
harness_change(struct harness *harness, const char *sql)
{
    char path[128];
    sqlite3 *db;
    harness_stop(harness);
    snprintf(path, sizeof path, "%s/queue.db", harness->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        print_error("%s\n", sqlite3_errmsg(db));
    }
    assert_int_equal(code, SQLITE_OK);
    sqlite3_close(db);
    harness_start(harness, 0);
}

struct str
harness_content(size_t n)
{
    char *octets = malloc(n);
    assert_non_null(octets);
    for (size_t i = 0; i < n; i++) {
        octets[i] = (char)('a' + i % 23);
    }
    return str_make(octets, n);
}
