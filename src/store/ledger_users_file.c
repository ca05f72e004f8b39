/* The table of users on disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/random.h"
#include "store/ledger_database.h"
#include "store/ledger_users.h"

/* Written at one time. */
#define DOVECOT_CHUNK    65536u
/* A password field that no password matches: RFC 9106 texts never look like this. */
#define DOVECOT_NO_MATCH "{CRYPT}!"

static const char *const steps[] = {
    "CREATE TABLE user ("
    "  name TEXT PRIMARY KEY NOT NULL,"
    "  disabled INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL,"
    "  last_login_ms INTEGER NOT NULL DEFAULT 0,"
    "  argon2 TEXT NOT NULL,"
    "  iterations INTEGER NOT NULL,"
    "  salt BLOB NOT NULL,"
    "  stored_key BLOB NOT NULL,"
    "  server_key BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE secret (name TEXT PRIMARY KEY NOT NULL, octets BLOB NOT NULL) STRICT;",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};

struct user_file {
    sqlite3 *database;
    uint8_t secret[CREDENTIAL_KEY];
    sqlite3_stmt *add;
    sqlite3_stmt *set_credential;
    sqlite3_stmt *set_disabled;
    sqlite3_stmt *set_last_login;
    sqlite3_stmt *remove;
    sqlite3_stmt *all;
};

/* ---- opening */

static enum status
prepare_all(struct user_file *file)
{
    const struct ledger_statement rows[] = {
        {&file->add, "INSERT INTO user (name, disabled, created_ms, last_login_ms, argon2,"
                     " iterations, salt, stored_key, server_key)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
                     " ON CONFLICT DO NOTHING"},
        {&file->set_credential, "UPDATE user SET argon2 = ?5, iterations = ?6, salt = ?7,"
                                " stored_key = ?8, server_key = ?9 WHERE name = ?1"},
        {&file->set_disabled, "UPDATE user SET disabled = ?2 WHERE name = ?1"},
        {&file->set_last_login, "UPDATE user SET last_login_ms = ?2 WHERE name = ?1"},
        {&file->remove, "DELETE FROM user WHERE name = ?1"},
        {&file->all, "SELECT name, disabled, created_ms, last_login_ms, argon2, iterations, salt,"
                     " stored_key, server_key FROM user ORDER BY name"},
    };
    return ledger_prepare_all(file->database, rows, sizeof rows / sizeof rows[0]);
}

/* Reads the installation's secret; the first time it is made. */
static enum status
load_secret(struct user_file *file)
{
    sqlite3_stmt *statement;
    uint8_t fresh[CREDENTIAL_KEY];
    random_bytes(fresh, sizeof fresh);
    enum status status = ledger_prepare(file->database,
                                        "INSERT INTO secret VALUES ('salts', ?1)"
                                        " ON CONFLICT DO NOTHING",
                                        &statement);
    if (status != STATUS_OK) {
        return status;
    }
    ledger_bind_octets(statement, 1, str_make((const char *)fresh, sizeof fresh));
    status = ledger_run(statement);
    sqlite3_finalize(statement);
    if (status != STATUS_OK) {
        return status;
    }
    status = ledger_prepare(file->database, "SELECT octets FROM secret WHERE name = 'salts'",
                            &statement);
    if (status != STATUS_OK) {
        return status;
    }
    status = ledger_status(file->database, sqlite3_step(statement));
    struct str octets = ledger_column(statement, 0);
    if (status == STATUS_OK && octets.n == sizeof file->secret) {
        memcpy(file->secret, octets.p, octets.n);
    } else if (status == STATUS_OK) {
        status = STATUS_SYNTAX;
    }
    sqlite3_finalize(statement);
    return status;
}

enum status
user_file_open(const char *directory, struct user_file **file_out)
{
    char path[LEDGER_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/users.db", directory);
    if (n < 0 || (size_t)n >= sizeof path) {
        return STATUS_LIMIT;
    }
    struct user_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = ledger_database_open(path, LEDGER_DURABLE, &schema, &file->database);
    if (status == STATUS_OK) {
        status = ledger_database_check(file->database);
    }
    if (status == STATUS_OK) {
        status = load_secret(file);
    }
    if (status == STATUS_OK) {
        status = prepare_all(file);
    }
    if (status != STATUS_OK) {
        user_file_close(&file);
        return status;
    }
    *file_out = file;
    return STATUS_OK;
}

void
user_file_close(struct user_file **file)
{
    if (*file != NULL) {
        ledger_database_close(&(*file)->database);
        explicit_bzero((*file)->secret, sizeof(*file)->secret);
        free(*file);
        *file = NULL;
    }
}

const uint8_t *
user_file_secret(const struct user_file *file)
{
    return file->secret;
}

/* ---- reading */

static bool
take_key(sqlite3_stmt *row, int column, uint8_t *key, size_t n)
{
    struct str octets = ledger_column(row, column);
    if (octets.n != n) {
        return false;
    }
    memcpy(key, octets.p, n);
    return true;
}

static bool
take_user(sqlite3_stmt *row, struct user *user)
{
    struct credential *c = &user->credential;
    user->disabled = sqlite3_column_int(row, 1) != 0;
    user->created_ms = sqlite3_column_int64(row, 2);
    user->last_login_ms = sqlite3_column_int64(row, 3);
    c->iterations = (uint32_t)sqlite3_column_int64(row, 5);
    return ledger_column_text(row, 0, user->name, sizeof user->name) &&
           ledger_column_text(row, 4, c->argon2, sizeof c->argon2) &&
           take_key(row, 6, c->salt, sizeof c->salt) &&
           take_key(row, 7, c->stored_key, sizeof c->stored_key) &&
           take_key(row, 8, c->server_key, sizeof c->server_key);
}

enum status
user_file_each(struct user_file *file, bool (*on_user)(void *context, const struct user *user),
               void *context)
{
    enum status status = STATUS_OK;
    int code;
    while ((code = sqlite3_step(file->all)) == SQLITE_ROW) {
        struct user user = {.disabled = false};
        if (!take_user(file->all, &user)) {
            LOG_ERROR("a row of the table of users is not readable",
                      LOG_STR("name", ledger_column(file->all, 0)));
            status = STATUS_SYNTAX;
            break;
        }
        if (!on_user(context, &user)) {
            break;
        }
    }
    if (status == STATUS_OK && code != SQLITE_ROW) {
        status = ledger_status(file->database, code);
    }
    sqlite3_reset(file->all);
    return status;
}

/* ---- changing */

/* Runs a change of one row; `none` is the status when there was no row to change. */
static enum status
run_change(struct user_file *file, sqlite3_stmt *statement, enum status none)
{
    enum status status = ledger_run(statement);
    if (status == STATUS_OK && sqlite3_changes(file->database) == 0) {
        status = none;
    }
    sqlite3_clear_bindings(statement);
    return status;
}

static void
bind_credential(sqlite3_stmt *statement, const struct credential *c)
{
    ledger_bind_text(statement, 5, str_from_cstr(c->argon2));
    sqlite3_bind_int64(statement, 6, c->iterations);
    ledger_bind_octets(statement, 7, str_make((const char *)c->salt, sizeof c->salt));
    ledger_bind_octets(statement, 8, str_make((const char *)c->stored_key, sizeof c->stored_key));
    ledger_bind_octets(statement, 9, str_make((const char *)c->server_key, sizeof c->server_key));
}

enum status
user_file_add(struct user_file *file, const struct user *user)
{
    ledger_bind_text(file->add, 1, str_from_cstr(user->name));
    sqlite3_bind_int(file->add, 2, user->disabled);
    sqlite3_bind_int64(file->add, 3, user->created_ms);
    sqlite3_bind_int64(file->add, 4, user->last_login_ms);
    bind_credential(file->add, &user->credential);
    return run_change(file, file->add, STATUS_DENIED);
}

enum status
user_file_set_credential(struct user_file *file, const char *name,
                         const struct credential *credential)
{
    ledger_bind_text(file->set_credential, 1, str_from_cstr(name));
    bind_credential(file->set_credential, credential);
    return run_change(file, file->set_credential, STATUS_NOT_FOUND);
}

enum status
user_file_set_disabled(struct user_file *file, const char *name, bool disabled)
{
    ledger_bind_text(file->set_disabled, 1, str_from_cstr(name));
    sqlite3_bind_int(file->set_disabled, 2, disabled);
    return run_change(file, file->set_disabled, STATUS_NOT_FOUND);
}

enum status
user_file_set_last_login(struct user_file *file, const char *name, int64_t wall_ms)
{
    ledger_bind_text(file->set_last_login, 1, str_from_cstr(name));
    sqlite3_bind_int64(file->set_last_login, 2, wall_ms);
    return run_change(file, file->set_last_login, STATUS_NOT_FOUND);
}

enum status
user_file_remove(struct user_file *file, const char *name)
{
    ledger_bind_text(file->remove, 1, str_from_cstr(name));
    return run_change(file, file->remove, STATUS_NOT_FOUND);
}

/* ---- for Dovecot */

struct passwd_writer {
    int fd;
    struct buf pending;
    bool failed;
};

static void
passwd_flush(struct passwd_writer *writer)
{
    while (!writer->failed && buf_length(&writer->pending) > 0) {
        struct str octets = buf_str(&writer->pending);
        ssize_t n = write(writer->fd, octets.p, octets.n);
        if (n < 0 && errno != EINTR) {
            writer->failed = true;
        } else if (n > 0) {
            buf_consume(&writer->pending, (size_t)n);
        }
    }
}

static bool
passwd_line(void *context, const struct user *user)
{
    struct passwd_writer *writer = context;
    enum status status =
        user->disabled ? buf_printf(&writer->pending, "%s:" DOVECOT_NO_MATCH "::::::\n", user->name)
                       : buf_printf(&writer->pending, "%s:{ARGON2ID}%s::::::\n", user->name,
                                    user->credential.argon2);
    writer->failed |= status != STATUS_OK;
    if (buf_length(&writer->pending) >= DOVECOT_CHUNK) {
        passwd_flush(writer);
    }
    return !writer->failed;
}

/*
 * Dovecot takes a file for unchanged when its size and the second of its change are the same, and a
 * new hash is as long as the old one. So the time of the new file is a later second, if need be one
 * of the future.
 */
static bool
make_later(int fd, const char *before)
{
    struct stat old;
    struct stat fresh;
    if (stat(before, &old) != 0) {
        return errno == ENOENT;
    }
    if (fstat(fd, &fresh) != 0 || fresh.st_mtim.tv_sec > old.st_mtim.tv_sec) {
        return true;
    }
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = old.st_mtim.tv_sec + 1}};
    return futimens(fd, times) == 0;
}

enum status
user_file_write_dovecot(struct user_file *file, const char *directory)
{
    char path[LEDGER_PATH_MAX];
    char fresh[LEDGER_PATH_MAX];
    struct passwd_writer writer = {.fd = -1};
    int n = snprintf(path, sizeof path, "%s/dovecot-users", directory);
    int m = snprintf(fresh, sizeof fresh, "%s/dovecot-users.new", directory);
    if (n < 0 || m < 0 || (size_t)m >= sizeof fresh) {
        return STATUS_LIMIT;
    }
    buf_init(&writer.pending, DOVECOT_CHUNK * 2);
    writer.fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (writer.fd < 0 || fchmod(writer.fd, 0640) != 0 ||
        user_file_each(file, passwd_line, &writer) != STATUS_OK) {
        writer.failed = true;
    }
    passwd_flush(&writer);
    buf_free_wiped(&writer.pending);
    if (writer.failed || !make_later(writer.fd, path) || fsync(writer.fd) != 0 ||
        rename(fresh, path) != 0) {
        writer.failed = true;
        LOG_ERROR("the users cannot be written for Dovecot", LOG_CSTR("file", path),
                  LOG_CSTR("reason", strerror(errno)));
    }
    if (writer.fd >= 0) {
        close(writer.fd);
    }
    return writer.failed ? STATUS_IO : STATUS_OK;
}
