#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/spool_internal.h"
#include "store/wal_vfs.h"

/*
 * Measured with bench/spool_bench: 4, 8 and 16 KiB take 4 KB messages equally fast into an empty
 * queue; in a long one each message touches pages of the index here and there, and all of a page is
 * written to the log for it, so small ones are better.
 */
#define PAGE_SIZE       "4096"
/* Pages of the log before it is moved to its place: rarely, since it blocks the writer. */
#define LOG_PAGES_TIDY  8192
/* Below it is not worth the trouble, however small the disk. */
#define LOG_PAGES_LEAST 128
#define CACHE_KIB       "65536"

static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
                              "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cell_size_check = ON;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA wal_autocheckpoint = 0;"
                              "PRAGMA journal_size_limit = 67108864;"
                              "PRAGMA cache_size = -" CACHE_KIB ";";

const char *
spool_error(const struct spool *spool)
{
    return sqlite3_errmsg(spool->db);
}

bool
spool_is_damaged(const struct spool *spool)
{
    return spool->damaged;
}

struct spool_counts
spool_counts(const struct spool *spool)
{
    return spool->counts_committed;
}

int64_t
spool_clock_last(const struct spool *spool)
{
    return spool->clock_last;
}

/* ---- opening */

static int
on_log(void *context, sqlite3 *db, const char *name, int pages)
{
    struct spool *spool = context;
    (void)db;
    (void)name;
    spool->log_pages = pages;
    return SQLITE_OK;
}

static enum status
open_failed(struct arena *arena, struct str *reason_out, enum status status, const char *directory,
            const char *what)
{
    *reason_out = arena_printf(arena, "%s/" SPOOL_DATABASE_NAME ": %s", directory, what);
    return status;
}

static enum status
open_file(struct spool *spool, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &spool->db, flags, wal_vfs_name());
    if (code == SQLITE_OK) {
        sqlite3_db_config(spool->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        code = sqlite3_exec(spool->db, "PRAGMA page_size = " PAGE_SIZE, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(spool->db, pragmas, NULL, NULL, NULL);
    }
    sqlite3_wal_hook(spool->db, on_log, spool);
    return spool_status(spool, code);
}

/* A database that is not empty must be one of ours. */
static enum status
check_owner(sqlite3 *db)
{
    sqlite3_stmt *statement;
    char pragma[64];
    if (sqlite3_prepare_v2(db,
                           "SELECT (SELECT application_id FROM pragma_application_id), "
                           "(SELECT count(*) FROM sqlite_schema)",
                           -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        return STATUS_SYNTAX;
    }
    bool empty = sqlite3_column_int64(statement, 1) == 0;
    bool ours = sqlite3_column_int64(statement, 0) == SPOOL_APPLICATION_ID;
    sqlite3_finalize(statement);
    if (!empty) {
        return ours ? STATUS_OK : STATUS_DENIED;
    }
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", SPOOL_APPLICATION_ID);
    return sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK ? STATUS_OK : STATUS_IO;
}

static enum status
load_counts(struct spool *spool)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_COUNTS_LOAD);
    int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
    if (code == SQLITE_ROW) {
        spool->counts = (struct spool_counts){
            sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2),
            sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4), sqlite3_column_int64(s, 7)};
        spool->clock_last = sqlite3_column_int64(s, 5);
        spool->key_last = sqlite3_column_int64(s, 6);
        spool->counts_committed = spool->counts;
        spool->key_last_committed = spool->key_last;
    }
    enum status status = spool_done(spool, s, code);
    return status == STATUS_OK && code != SQLITE_ROW ? STATUS_SYNTAX : status;
}

static bool
file_exists(const char *directory, const char *name, uint64_t *size_out)
{
    char path[SPOOL_DIRECTORY_MAX + 64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (stat(path, &st) != 0) {
        return false;
    }
    *size_out = (uint64_t)st.st_size;
    return true;
}

static enum status
check_database(struct spool *spool)
{
    uint64_t size = 0;
    uint64_t mark_size;
    bool suspect = file_exists(spool->directory, SPOOL_DAMAGED_NAME, &mark_size);
    (void)file_exists(spool->directory, SPOOL_DATABASE_NAME, &size);
    return spool_schema_check(spool->db, suspect || size <= SPOOL_CHECK_MAX);
}

void
spool_mark_damage(struct spool *spool, bool damaged)
{
    char path[SPOOL_DIRECTORY_MAX + 64];
    snprintf(path, sizeof path, "%s/" SPOOL_DAMAGED_NAME, spool->directory);
    if (!damaged) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
}

static const char advice_damaged[] =
    "the mail queue is damaged and is left as it is. Stop Postern and either put a backup of this "
    "directory in its place, or save what can be read with \"sqlite3 queue.db .recover\", or move "
    "the directory away to begin with an empty queue";

static const char advice_orphans[] =
    "it is not there, but messages that belong to it are (in \"" SPOOL_BODIES_NAME
    "\" or \"" SPOOL_LARGE_NAME
    "\"). Put the database back, or move the directory away to begin with "
    "an empty queue";

static bool
holds_files(const char *directory, const char *name)
{
    char path[SPOOL_DIRECTORY_MAX + 64];
    bool found = false;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    DIR *files = opendir(path);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        found = found || entry->d_name[0] != '.';
    }
    if (files != NULL) {
        closedir(files);
    }
    return found;
}

/* A new database would not know the files of messages: they would be deleted as nobody's. */
static bool
database_is_lost(const char *directory)
{
    uint64_t size;
    return !file_exists(directory, SPOOL_DATABASE_NAME, &size) &&
           (holds_files(directory, SPOOL_BODIES_NAME) || holds_files(directory, SPOOL_LARGE_NAME));
}

/* What is in the database, and the files beside it. */
static enum status
open_contents(struct spool *spool, struct arena *arena, struct str *reason_out)
{
    const char *directory = spool->directory;
    enum status status = check_database(spool);
    if (status == STATUS_OK) {
        status = load_counts(spool);
    }
    if (status == STATUS_OK && (status = spool_files_sweep(spool)) != STATUS_OK) {
        struct str what =
            arena_printf(arena, "its directory of large messages: %s", strerror(errno));
        return open_failed(arena, reason_out, status, directory, what.p);
    }
    if (status == STATUS_OK && (status = bodies_open(spool, &spool->bodies)) == STATUS_IO) {
        struct str what = arena_printf(arena, "its directory of bodies: %s", strerror(errno));
        return open_failed(arena, reason_out, status, directory, what.p);
    }
    if (status == STATUS_SYNTAX || spool->damaged) {
        return open_failed(arena, reason_out, STATUS_SYNTAX, directory, advice_damaged);
    }
    return status == STATUS_OK
               ? STATUS_OK
               : open_failed(arena, reason_out, status, directory, spool_error(spool));
}

static enum status
open_steps(struct spool *spool, const char *path, struct arena *arena, struct str *reason_out)
{
    const char *directory = spool->directory;
    if (database_is_lost(directory)) {
        return open_failed(arena, reason_out, STATUS_SYNTAX, directory, advice_orphans);
    }
    enum status status = spool_log_check(spool, arena, reason_out);
    if (status != STATUS_OK) {
        return status;
    }
    status = open_file(spool, path);
    if (status == STATUS_DENIED) {
        return open_failed(arena, reason_out, status, directory,
                           "the queue is in use by another process");
    }
    if (spool->damaged) {
        return open_failed(arena, reason_out, STATUS_SYNTAX, directory, advice_damaged);
    }
    if (status != STATUS_OK) {
        return open_failed(arena, reason_out, status, directory, spool_error(spool));
    }
    status = check_owner(spool->db);
    if (status == STATUS_DENIED) {
        return open_failed(arena, reason_out, status, directory,
                           "this is a database of another program");
    }
    if (status == STATUS_OK) {
        status = spool_schema_upgrade(spool->db, spool_upgrades, spool_upgrade_count);
    }
    if (status == STATUS_LIMIT) {
        return open_failed(arena, reason_out, status, directory,
                           "the queue was written by a newer version of Postern: install that one");
    }
    if (status == STATUS_SYNTAX || spool->damaged) {
        return open_failed(arena, reason_out, STATUS_SYNTAX, directory, advice_damaged);
    }
    return status == STATUS_OK
               ? open_contents(spool, arena, reason_out)
               : open_failed(arena, reason_out, status, directory, spool_error(spool));
}

static void
spool_free(struct spool *spool)
{
    bodies_close(&spool->bodies);
    for (unsigned i = 0; i < SPOOL_SQL_COUNT; i++) {
        sqlite3_finalize(spool->statements[i]);
    }
    sqlite3_close(spool->db);
    free(spool->directory);
    free(spool);
}

enum status
spool_open(const char *directory, struct arena *arena, struct spool **spool_out,
           struct str *reason_out)
{
    char path[SPOOL_DIRECTORY_MAX + 64];
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL || (spool->directory = strdup(directory)) == NULL) {
        abort();
    }
    if (strlen(directory) > SPOOL_DIRECTORY_MAX) {
        spool_free(spool);
        return open_failed(arena, reason_out, STATUS_LIMIT, directory, "the path is too long");
    }
    snprintf(path, sizeof path, "%s/" SPOOL_DATABASE_NAME, directory);
    enum status status = open_steps(spool, path, arena, reason_out);
    if (status != STATUS_OK) {
        spool_free(spool);
        return status;
    }
    spool_mark_damage(spool, false);
    *spool_out = spool;
    return STATUS_OK;
}

void
spool_close(struct spool **spool)
{
    if (*spool == NULL) {
        return;
    }
    sqlite3_wal_checkpoint_v2((*spool)->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    spool_free(*spool);
    *spool = NULL;
}

/* ---- transactions */

static void
doomed_clear(struct spool *spool, bool unlink_them)
{
    while (spool->doomed != NULL) {
        struct spool_doomed *doomed = spool->doomed;
        spool->doomed = doomed->next;
        if (unlink_them) {
            spool_file_discard(spool->directory, str_from_cstr(doomed->id));
        }
        free(doomed);
    }
}

enum status
spool_begin(struct spool *spool)
{
    return spool_run(spool, spool_statement(spool, SPOOL_SQL_BEGIN));
}

static enum status
save_counts(struct spool *spool, int64_t now_ms)
{
    sqlite3_stmt *s = spool_statement(spool, SPOOL_SQL_COUNTS_SAVE);
    if (s == NULL) {
        return STATUS_IO;
    }
    sqlite3_bind_int64(s, 1, spool->counts.messages);
    sqlite3_bind_int64(s, 2, spool->counts.recipients);
    sqlite3_bind_int64(s, 3, spool->counts.deferred);
    sqlite3_bind_int64(s, 4, spool->counts.held);
    sqlite3_bind_int64(s, 5, spool->counts.bytes);
    sqlite3_bind_int64(s, 6, now_ms);
    sqlite3_bind_int64(s, 7, spool->key_last);
    sqlite3_bind_int64(s, 8, spool->counts.damaged);
    return spool_run(spool, s);
}

enum status
spool_commit(struct spool *spool, int64_t now_ms)
{
    enum status status = save_counts(spool, now_ms);
    if (status == STATUS_OK) {
        status = bodies_flush(spool->bodies);
    }
    if (status == STATUS_OK) {
        status = spool_run(spool, spool_statement(spool, SPOOL_SQL_COMMIT));
    }
    if (status != STATUS_OK) {
        spool->no_room = status == STATUS_LIMIT;
        return status;
    }
    bodies_committed(spool->bodies);
    spool->counts_committed = spool->counts;
    spool->key_last_committed = spool->key_last;
    spool->large_bytes_committed = spool->large_bytes;
    spool->clock_last = now_ms;
    doomed_clear(spool, true);
    return STATUS_OK;
}

void
spool_rollback(struct spool *spool)
{
    if (spool->damaged) {
        spool_mark_damage(spool, true);
    }
    if (!sqlite3_get_autocommit(spool->db)) {
        (void)spool_run(spool, spool_statement(spool, SPOOL_SQL_ROLLBACK));
    }
    spool->counts = spool->counts_committed;
    spool->key_last = spool->key_last_committed;
    spool->large_bytes = spool->large_bytes_committed;
    bodies_rolled_back(spool->bodies, spool->no_room);
    spool->no_room = false;
    doomed_clear(spool, false);
}

/* What the log holds must fit into the database file yet: on a small disk it is moved early. */
static int
log_pages_most(const struct spool *spool)
{
    struct statvfs fs;
    if (statvfs(spool->directory, &fs) != 0) {
        return LOG_PAGES_TIDY;
    }
    uint64_t pages = (uint64_t)fs.f_bavail * fs.f_frsize / 8 / SPOOL_PAGE_OCTETS;
    return pages < LOG_PAGES_TIDY ? (int)pages : LOG_PAGES_TIDY;
}

void
spool_tidy(struct spool *spool)
{
    if (spool->log_pages >= LOG_PAGES_LEAST && spool->log_pages >= log_pages_most(spool)) {
        /* A failure here (a full disk) loses nothing: the log stays as it is. */
        int code =
            sqlite3_wal_checkpoint_v2(spool->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        spool->log_pages = code == SQLITE_OK ? 0 : spool->log_pages / 2;
    }
    bodies_tidy(spool->bodies);
}

static int64_t
pragma_number(const struct spool *spool, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value = 0;
    if (sqlite3_prepare_v2(spool->db, sql, -1, &statement, NULL) == SQLITE_OK) {
        if (sqlite3_step(statement) == SQLITE_ROW) {
            value = sqlite3_column_int64(statement, 0);
        }
        sqlite3_finalize(statement);
    }
    return value;
}

uint64_t
spool_size(const struct spool *spool)
{
    int64_t used =
        pragma_number(spool, "PRAGMA page_count") - pragma_number(spool, "PRAGMA freelist_count");
    return (uint64_t)(used * pragma_number(spool, "PRAGMA page_size") +
                      spool->large_bytes_committed) +
           bodies_size(spool->bodies);
}

/*
 * Octets that new messages can take without taking more of the disk: each goes to the log first,
 * which keeps its size, and then into pages, of which the file keeps the unused ones. Without them
 * a disk that was full once would stay full.
 */
static uint64_t
reusable(const struct spool *spool)
{
    uint64_t log_size = 0;
    uint64_t log_used = (uint64_t)spool->log_pages * SPOOL_PAGE_OCTETS;
    uint64_t pages = (uint64_t)pragma_number(spool, "PRAGMA freelist_count") * SPOOL_PAGE_OCTETS;
    (void)file_exists(spool->directory, SPOOL_DATABASE_NAME "-wal", &log_size);
    uint64_t in_log = log_size > log_used ? log_size - log_used : 0;
    uint64_t in_file = pages > log_used ? pages - log_used : 0;
    return in_log < in_file ? in_log : in_file;
}

uint64_t
spool_disk_free(const struct spool *spool)
{
    struct statvfs fs;
    if (statvfs(spool->directory, &fs) != 0) {
        return UINT64_MAX; /* not known: writing will tell */
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize + reusable(spool) + bodies_reusable(spool->bodies);
}
