#include "store/vault_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/ledger_database.h"

static const char *const steps[] = {
    "CREATE TABLE key ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  domain TEXT NOT NULL,"
    "  selector TEXT NOT NULL,"
    "  algorithm INTEGER NOT NULL,"
    "  bits INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  seen INTEGER NOT NULL,"
    "  imported INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  published_ms INTEGER NOT NULL,"
    "  activated_ms INTEGER NOT NULL,"
    "  retiring_ms INTEGER NOT NULL,"
    "  retired_ms INTEGER NOT NULL,"
    "  shown_ms INTEGER NOT NULL,"
    "  checked_ms INTEGER NOT NULL,"
    "  missing_ms INTEGER NOT NULL,"
    "  public_key BLOB NOT NULL,"
    "  private_key BLOB" /* PKCS #8 as PEM; NULL: destroyed */
    ") STRICT;"
    "CREATE TABLE selector ("
    "  domain TEXT NOT NULL,"
    "  selector TEXT NOT NULL,"
    "  PRIMARY KEY (domain, selector)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE srs_secret (created_ms INTEGER PRIMARY KEY, octets BLOB NOT NULL) STRICT;",
    "CREATE TABLE short_sender ("
    "  code TEXT PRIMARY KEY,"
    "  made_ms INTEGER NOT NULL,"
    "  address BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX short_sender_made ON short_sender (made_ms);",
    "CREATE TABLE login ("
    "  host TEXT NOT NULL,"
    "  user TEXT NOT NULL,"
    "  changed_ms INTEGER NOT NULL,"
    "  password BLOB NOT NULL,"
    "  PRIMARY KEY (host, user)"
    ") STRICT, WITHOUT ROWID;",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};

struct vault_file {
    sqlite3 *database;
    sqlite3_stmt *all;
    sqlite3_stmt *add;
    sqlite3_stmt *use_selector;
    sqlite3_stmt *find_selector;
    sqlite3_stmt *update;
    sqlite3_stmt *remove;
    sqlite3_stmt *private_key;
    sqlite3_stmt *srs_all;
    sqlite3_stmt *srs_add;
    sqlite3_stmt *srs_remove;
    sqlite3_stmt *short_put;
    sqlite3_stmt *short_get;
    sqlite3_stmt *short_old;
    sqlite3_stmt *short_count;
    sqlite3_stmt *short_oldest;
    sqlite3_stmt *login_all;
    sqlite3_stmt *login_set;
    sqlite3_stmt *login_find;
    sqlite3_stmt *login_remove;
};

/* ---- opening */

static enum status
prepare_all(struct vault_file *file)
{
    const struct ledger_statement rows[] = {
        {&file->all, "SELECT number, domain, selector, algorithm, bits, state, seen, imported,"
                     " created_ms, published_ms, activated_ms, retiring_ms, retired_ms, shown_ms,"
                     " checked_ms, missing_ms, public_key FROM key ORDER BY number"},
        {&file->add, "INSERT INTO key (domain, selector, algorithm, bits, state, seen, imported,"
                     " created_ms, published_ms, activated_ms, retiring_ms, retired_ms, shown_ms,"
                     " checked_ms, missing_ms, public_key, private_key)"
                     " VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
                     " ?17, ?18)"},
        {&file->use_selector, "INSERT INTO selector VALUES (?1, ?2) ON CONFLICT DO NOTHING"},
        {&file->find_selector, "SELECT 1 FROM selector WHERE domain = ?1 AND selector = ?2"},
        {&file->update,
         "UPDATE key SET state = ?6, seen = ?7, published_ms = ?10, activated_ms = ?11,"
         " retiring_ms = ?12, retired_ms = ?13, shown_ms = ?14, checked_ms = ?15,"
         " missing_ms = ?16, private_key = CASE WHEN ?6 >= 5 THEN NULL ELSE private_key END"
         " WHERE number = ?1"},
        {&file->remove, "DELETE FROM key WHERE number = ?1"},
        {&file->private_key, "SELECT private_key FROM key WHERE number = ?1"},
        {&file->srs_all, "SELECT created_ms, octets FROM srs_secret ORDER BY created_ms DESC"},
        {&file->srs_add, "INSERT OR REPLACE INTO srs_secret VALUES (?1, ?2)"},
        {&file->srs_remove, "DELETE FROM srs_secret WHERE created_ms < ?1"},
        {&file->short_put, "INSERT OR REPLACE INTO short_sender VALUES (?1, ?2, ?3)"},
        {&file->short_get, "SELECT address, made_ms FROM short_sender WHERE code = ?1"},
        {&file->short_old, "DELETE FROM short_sender WHERE made_ms < ?1"},
        {&file->short_count, "SELECT count(*) FROM short_sender"},
        {&file->short_oldest, "DELETE FROM short_sender WHERE code IN"
                              " (SELECT code FROM short_sender ORDER BY made_ms LIMIT ?1)"},
        {&file->login_all, "SELECT host, user, changed_ms FROM login ORDER BY host, user"},
        {&file->login_set, "INSERT OR REPLACE INTO login VALUES (?1, ?2, ?3, ?4)"},
        {&file->login_find, "SELECT password FROM login WHERE host = ?1 AND user = ?2"},
        {&file->login_remove, "DELETE FROM login WHERE host = ?1 AND user = ?2"},
    };
    _Static_assert(KEY_RETIRED == 5, "the statement above has the number");
    return ledger_prepare_all(file->database, rows, sizeof rows / sizeof rows[0]);
}

enum status
vault_file_open(const char *directory, struct vault_file **file_out)
{
    char path[LEDGER_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/keys.db", directory);
    if (n < 0 || (size_t)n >= sizeof path) {
        return STATUS_LIMIT;
    }
    struct vault_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = ledger_database_open(path, LEDGER_DURABLE, &schema, &file->database);
    if (status == STATUS_OK) {
        /* Few pages in memory, and what is deleted is overwritten: both may hold private keys. */
        status = ledger_exec(file->database, "PRAGMA secure_delete = ON; PRAGMA cache_size = -256");
    }
    if (status == STATUS_OK) {
        status = ledger_database_check(file->database);
    }
    if (status == STATUS_OK) {
        status = prepare_all(file);
    }
    if (status != STATUS_OK) {
        vault_file_close(&file);
        return status;
    }
    *file_out = file;
    return STATUS_OK;
}

void
vault_file_close(struct vault_file **file)
{
    if (*file != NULL) {
        ledger_database_close(&(*file)->database);
        free(*file);
        *file = NULL;
    }
}

/* ---- reading */

static bool
take_numbers(sqlite3_stmt *row, struct vault_key *key)
{
    int64_t *const times[] = {&key->created_ms,  &key->published_ms, &key->activated_ms,
                              &key->retiring_ms, &key->retired_ms,   &key->shown_ms,
                              &key->checked_ms,  &key->missing_ms};
    int64_t const algorithm = sqlite3_column_int64(row, 3);
    int64_t const state = sqlite3_column_int64(row, 5);
    int64_t const seen = sqlite3_column_int64(row, 6);
    if (algorithm < CRYPTO_RSA_SHA256 || algorithm > CRYPTO_ED25519_SHA256 || state < KEY_PENDING ||
        state >= KEY_STATE_COUNT || seen < 0 || seen >= KEY_SEEN_COUNT) {
        return false;
    }
    key->number = (uint64_t)sqlite3_column_int64(row, 0);
    key->algorithm = (enum crypto_algorithm)algorithm;
    key->bits = (unsigned)sqlite3_column_int64(row, 4);
    key->state = (enum key_state)state;
    key->seen = (enum key_seen)seen;
    key->imported = sqlite3_column_int64(row, 7) != 0;
    for (int i = 0; i < (int)(sizeof times / sizeof times[0]); i++) {
        *times[i] = sqlite3_column_int64(row, 8 + i);
    }
    return true;
}

static bool
take_key(sqlite3_stmt *row, struct vault_key *key)
{
    struct str octets = ledger_column(row, 16);
    if (octets.n == 0 || octets.n > sizeof key->public_key || !take_numbers(row, key) ||
        !ledger_column_text(row, 1, key->domain, sizeof key->domain) ||
        !ledger_column_text(row, 2, key->selector, sizeof key->selector)) {
        return false;
    }
    memcpy(key->public_key, octets.p, octets.n);
    key->public_size = octets.n;
    return true;
}

enum status
vault_file_each(struct vault_file *file, bool (*on_key)(void *context, const struct vault_key *key),
                void *context)
{
    enum status status = STATUS_OK;
    int code;
    while ((code = sqlite3_step(file->all)) == SQLITE_ROW) {
        struct vault_key key = {.number = 0};
        if (!take_key(file->all, &key)) {
            LOG_ERROR("a row of the file of the keys is not readable",
                      LOG_STR("domain", ledger_column(file->all, 1)),
                      LOG_STR("selector", ledger_column(file->all, 2)));
            status = STATUS_SYNTAX;
            break;
        }
        if (!on_key(context, &key)) {
            break;
        }
    }
    if (status == STATUS_OK && code != SQLITE_ROW) {
        status = ledger_status(file->database, code);
    }
    sqlite3_reset(file->all);
    return status;
}

bool
vault_file_selector_is_used(struct vault_file *file, struct str domain, struct str selector)
{
    ledger_bind_text(file->find_selector, 1, domain);
    ledger_bind_text(file->find_selector, 2, selector);
    int code = sqlite3_step(file->find_selector);
    sqlite3_reset(file->find_selector);
    return code != SQLITE_DONE;
}

enum status
vault_file_private(struct vault_file *file, uint64_t number, struct buf *pem_out)
{
    sqlite3_bind_int64(file->private_key, 1, (sqlite3_int64)number);
    int code = sqlite3_step(file->private_key);
    enum status status = ledger_status(file->database, code);
    if (code == SQLITE_ROW) {
        struct str pem = ledger_column(file->private_key, 0);
        status = pem.n > 0 ? buf_append(pem_out, pem) : STATUS_NOT_FOUND;
    } else if (status == STATUS_OK) {
        status = STATUS_NOT_FOUND;
    }
    sqlite3_reset(file->private_key);
    return status;
}

/* ---- changing */

static enum status
begin(struct vault_file *file)
{
    return ledger_exec(file->database, "BEGIN IMMEDIATE");
}

/* COMMIT, or ROLLBACK after a failure, whose status it returns. */
static enum status
end(struct vault_file *file, enum status status)
{
    if (status == STATUS_OK) {
        status = ledger_exec(file->database, "COMMIT");
    }
    if (status != STATUS_OK && sqlite3_get_autocommit(file->database) == 0 &&
        ledger_exec(file->database, "ROLLBACK") != STATUS_OK) {
        return STATUS_IO;
    }
    return status;
}

/* The write-ahead log would keep old pages, with keys in them, for as long as it likes. */
static void
forget_old_pages(struct vault_file *file)
{
    if (ledger_exec(file->database, "PRAGMA wal_checkpoint(TRUNCATE)") != STATUS_OK) {
        LOG_WARN("a destroyed key may still be in the write-ahead log of the keys");
    }
}

/* Parameters 1 and 4 to 16, as in the statements. */
static void
bind_numbers(sqlite3_stmt *statement, const struct vault_key *key)
{
    const int64_t numbers[] = {
        (int64_t)key->algorithm, key->bits,       (int64_t)key->state, (int64_t)key->seen,
        key->imported ? 1 : 0,   key->created_ms, key->published_ms,   key->activated_ms,
        key->retiring_ms,        key->retired_ms, key->shown_ms,       key->checked_ms,
        key->missing_ms,
    };
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key->number);
    for (int i = 0; i < (int)(sizeof numbers / sizeof numbers[0]); i++) {
        sqlite3_bind_int64(statement, 4 + i, numbers[i]);
    }
}

/* STATUS_DENIED when the selector is used already. */
static enum status
use_selector(struct vault_file *file, const struct vault_key *key)
{
    ledger_bind_text(file->use_selector, 1, str_from_cstr(key->domain));
    ledger_bind_text(file->use_selector, 2, str_from_cstr(key->selector));
    enum status status = ledger_run(file->use_selector);
    return status == STATUS_OK && sqlite3_changes(file->database) == 0 ? STATUS_DENIED : status;
}

enum status
vault_file_add(struct vault_file *file, struct vault_key *key, struct str private_pem)
{
    enum status status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    status = use_selector(file, key);
    if (status == STATUS_OK) {
        bind_numbers(file->add, key);
        ledger_bind_text(file->add, 2, str_from_cstr(key->domain));
        ledger_bind_text(file->add, 3, str_from_cstr(key->selector));
        ledger_bind_octets(file->add, 17,
                           str_make((const char *)key->public_key, key->public_size));
        ledger_bind_octets(file->add, 18, private_pem);
        status = ledger_run(file->add);
        sqlite3_clear_bindings(file->add);
    }
    uint64_t const number = (uint64_t)sqlite3_last_insert_rowid(file->database);
    status = end(file, status);
    if (status == STATUS_OK) {
        key->number = number;
    }
    return status;
}

static enum status
update_one(struct vault_file *file, const struct vault_key *key)
{
    if (key->state == KEY_REMOVED) {
        sqlite3_bind_int64(file->remove, 1, (sqlite3_int64)key->number);
        return ledger_run(file->remove);
    }
    bind_numbers(file->update, key);
    enum status status = ledger_run(file->update);
    return status == STATUS_OK && sqlite3_changes(file->database) == 0 ? STATUS_NOT_FOUND : status;
}

enum status
vault_file_update(struct vault_file *file, const struct vault_key *keys, size_t count)
{
    bool destroys = false;
    enum status status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = update_one(file, &keys[i]);
        destroys |= keys[i].state >= KEY_RETIRED;
    }
    status = end(file, status);
    if (status == STATUS_OK && destroys) {
        forget_old_pages(file);
    }
    return status;
}

/* ---- secrets of SRS */

enum status
vault_file_srs_read(struct vault_file *file, struct vault_srs_secret *secrets_out,
                    size_t *count_out)
{
    enum status status = STATUS_OK;
    size_t count = 0;
    int code = SQLITE_ROW;
    while (count < VAULT_SRS_SECRETS && (code = sqlite3_step(file->srs_all)) == SQLITE_ROW) {
        struct str octets = ledger_column(file->srs_all, 1);
        if (octets.n != VAULT_SRS_SECRET_LEN) {
            status = STATUS_SYNTAX;
            break;
        }
        secrets_out[count].created_ms = sqlite3_column_int64(file->srs_all, 0);
        memcpy(secrets_out[count++].octets, octets.p, octets.n);
    }
    if (status == STATUS_OK && code != SQLITE_ROW) {
        status = ledger_status(file->database, code);
    }
    sqlite3_reset(file->srs_all);
    if (status == STATUS_OK) {
        *count_out = count;
    }
    return status;
}

enum status
vault_file_srs_add(struct vault_file *file, const struct vault_srs_secret *secret,
                   int64_t keep_from_ms)
{
    enum status status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    sqlite3_bind_int64(file->srs_add, 1, secret->created_ms);
    ledger_bind_octets(file->srs_add, 2,
                       str_make((const char *)secret->octets, sizeof secret->octets));
    status = ledger_run(file->srs_add);
    sqlite3_clear_bindings(file->srs_add);
    if (status == STATUS_OK) {
        sqlite3_bind_int64(file->srs_remove, 1, keep_from_ms);
        status = ledger_run(file->srs_remove);
    }
    status = end(file, status);
    if (status == STATUS_OK) {
        forget_old_pages(file);
    }
    return status;
}

/* ---- senders that are too long for SRS */

/* When a code was written; STATUS_NOT_FOUND: never. `address_out` may be NULL. */
static enum status
short_find(struct vault_file *file, struct str code, int64_t *made_ms_out, struct buf *address_out)
{
    enum status status = STATUS_NOT_FOUND;
    ledger_bind_text(file->short_get, 1, code);
    int result = sqlite3_step(file->short_get);
    if (result == SQLITE_ROW) {
        struct str address = ledger_column(file->short_get, 0);
        *made_ms_out = sqlite3_column_int64(file->short_get, 1);
        status = address_out != NULL ? buf_append(address_out, address) : STATUS_OK;
    } else if (result != SQLITE_DONE) {
        status = ledger_status(file->database, result);
    }
    sqlite3_reset(file->short_get);
    return status;
}

/* Makes room for one more. */
static enum status
short_make_room(struct vault_file *file, int64_t keep_from_ms)
{
    sqlite3_bind_int64(file->short_old, 1, keep_from_ms);
    enum status status = ledger_run(file->short_old);
    int64_t count = sqlite3_step(file->short_count) == SQLITE_ROW
                        ? sqlite3_column_int64(file->short_count, 0)
                        : 0;
    sqlite3_reset(file->short_count);
    if (status == STATUS_OK && count >= (int64_t)VAULT_SHORT_MAX) {
        sqlite3_bind_int64(file->short_oldest, 1, count - (int64_t)VAULT_SHORT_MAX + 1);
        status = ledger_run(file->short_oldest);
    }
    return status;
}

enum status
vault_file_short_put(struct vault_file *file, struct str code, struct str address, int64_t now_ms,
                     int64_t renew_from_ms, int64_t keep_from_ms)
{
    int64_t made_ms = 0;
    enum status status = short_find(file, code, &made_ms, NULL);
    if (status != STATUS_NOT_FOUND && (status != STATUS_OK || made_ms >= renew_from_ms)) {
        return status;
    }
    status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    status = short_make_room(file, keep_from_ms);
    if (status == STATUS_OK) {
        ledger_bind_text(file->short_put, 1, code);
        sqlite3_bind_int64(file->short_put, 2, now_ms);
        ledger_bind_octets(file->short_put, 3, address);
        status = ledger_run(file->short_put);
    }
    return end(file, status);
}

enum status
vault_file_short_get(struct vault_file *file, struct str code, struct buf *address_out)
{
    int64_t made_ms;
    return short_find(file, code, &made_ms, address_out);
}

/* ---- passwords for other servers */

enum status
vault_file_login_set(struct vault_file *file, const struct vault_login *login, struct str password)
{
    enum status status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    ledger_bind_text(file->login_set, 1, str_from_cstr(login->host));
    ledger_bind_text(file->login_set, 2, str_from_cstr(login->user));
    sqlite3_bind_int64(file->login_set, 3, login->changed_ms);
    ledger_bind_octets(file->login_set, 4, password);
    status = end(file, ledger_run(file->login_set));
    sqlite3_clear_bindings(file->login_set);
    if (status == STATUS_OK) {
        forget_old_pages(file);
    }
    return status;
}

enum status
vault_file_login_remove(struct vault_file *file, struct str host, struct str user)
{
    enum status status = begin(file);
    if (status != STATUS_OK) {
        return status;
    }
    ledger_bind_text(file->login_remove, 1, host);
    ledger_bind_text(file->login_remove, 2, user);
    status = ledger_run(file->login_remove);
    bool removed = sqlite3_changes(file->database) > 0;
    status = end(file, status);
    sqlite3_clear_bindings(file->login_remove);
    if (status == STATUS_OK) {
        forget_old_pages(file);
    }
    return status == STATUS_OK && !removed ? STATUS_NOT_FOUND : status;
}

enum status
vault_file_login_find(struct vault_file *file, struct str host, struct str user,
                      struct buf *password_out)
{
    ledger_bind_text(file->login_find, 1, host);
    ledger_bind_text(file->login_find, 2, user);
    int code = sqlite3_step(file->login_find);
    enum status status = STATUS_NOT_FOUND;
    if (code == SQLITE_ROW) {
        status = buf_append(password_out, ledger_column(file->login_find, 0));
    } else if (code != SQLITE_DONE) {
        status = ledger_status(file->database, code);
    }
    sqlite3_reset(file->login_find);
    sqlite3_clear_bindings(file->login_find);
    return status;
}

enum status
vault_file_login_each(struct vault_file *file,
                      bool (*on_login)(void *context, const struct vault_login *login),
                      void *context)
{
    enum status status = STATUS_OK;
    int code;
    bool going_on = true;
    while (going_on && (code = sqlite3_step(file->login_all)) == SQLITE_ROW) {
        struct vault_login login = {.changed_ms = sqlite3_column_int64(file->login_all, 2)};
        if (!ledger_column_text(file->login_all, 0, login.host, sizeof login.host) ||
            !ledger_column_text(file->login_all, 1, login.user, sizeof login.user)) {
            status = STATUS_SYNTAX;
            break;
        }
        going_on = on_login(context, &login);
    }
    if (status == STATUS_OK && going_on && code != SQLITE_DONE) {
        status = ledger_status(file->database, code);
    }
    sqlite3_reset(file->login_all);
    return status;
}
