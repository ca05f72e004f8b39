/*
 * tls_sessions_internal.h - what counting and reading of sessions for TLS reports share.
 */
#ifndef POSTERN_STORE_TLS_SESSIONS_INTERNAL_H
#define POSTERN_STORE_TLS_SESSIONS_INTERNAL_H

#include "store/ledger_database.h"
#include "store/tls_sessions.h"

#define MS_PER_DAY    (24 * 60 * 60 * 1000LL)
#define S_PER_DAY     (24 * 60 * 60LL)
/* Texts of a failure: result, MX, both addresses, reason; in this order in its table. */
#define FAILURE_TEXTS 5

struct tls_sessions {
    char path[LEDGER_PATH_MAX];
    sqlite3 *database; /* NULL: it could not be opened again; nothing is counted */
    sqlite3_stmt *find;
    sqlite3_stmt *policies;
    sqlite3_stmt *add;
    sqlite3_stmt *sum;
    sqlite3_stmt *fail;
    sqlite3_stmt *failures;
    sqlite3_stmt *add_failure;
    sqlite3_stmt *amount;
    sqlite3_stmt *grow;
    bool in_batch;
    uint64_t batch; /* sessions since the last commit */
    struct tls_session_counts counts;
};

#endif
