#include "store/tls_sessions.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/ledger_database.h"
#include "store/tls_sessions_internal.h"

#define FILE_NAME "tls-sessions.db"

/* `lines` and `key` of a policy without its text: empty, and 0. */
static const char *const steps[] = {
    "CREATE TABLE policy ("
    "  number INTEGER PRIMARY KEY NOT NULL,"
    "  day INTEGER NOT NULL,"
    "  domain TEXT NOT NULL,"
    "  type TEXT NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  lines TEXT NOT NULL,"
    "  successful INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX policy_key ON policy (day, domain, type, key);"
    "CREATE TABLE failure ("
    "  policy INTEGER NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  result TEXT NOT NULL,"
    "  mx TEXT NOT NULL,"
    "  sending_ip TEXT NOT NULL,"
    "  receiving_ip TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  sessions INTEGER NOT NULL,"
    "  PRIMARY KEY (policy, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE amount (day INTEGER PRIMARY KEY NOT NULL, rows INTEGER NOT NULL) STRICT;",
};

static const struct ledger_schema schema = {steps, sizeof steps / sizeof steps[0]};

/* ---- the file */

static enum status
prepare_all(struct tls_sessions *sessions)
{
    const struct ledger_statement rows[] = {
        {&sessions->find, "SELECT number FROM policy"
                          " WHERE day = ?1 AND domain = ?2 AND type = ?3 AND key = ?4"},
        {&sessions->policies, "SELECT count(*) FROM policy WHERE day = ?1 AND domain = ?2"},
        {&sessions->add, "INSERT INTO policy VALUES (NULL, ?1, ?2, ?3, ?4, ?5, 0, 0)"},
        {&sessions->sum, "UPDATE policy SET successful = successful + ?2, failed = failed + ?3"
                         " WHERE number = ?1"},
        {&sessions->fail, "UPDATE failure SET sessions = sessions + 1"
                          " WHERE policy = ?1 AND key = ?2"},
        {&sessions->failures, "SELECT count(*) FROM failure WHERE policy = ?1"},
        {&sessions->add_failure, "INSERT INTO failure VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)"},
        {&sessions->amount, "SELECT rows FROM amount WHERE day = ?1"},
        {&sessions->grow, "INSERT INTO amount VALUES (?1, 1)"
                          " ON CONFLICT DO UPDATE SET rows = rows + 1"},
    };
    return ledger_prepare_all(sessions->database, rows, sizeof rows / sizeof rows[0]);
}

static enum status
open_file(struct tls_sessions *sessions)
{
    enum status status =
        ledger_database_open(sessions->path, LEDGER_BATCHED, &schema, &sessions->database);
    if (status == STATUS_OK) {
        status = prepare_all(sessions);
    }
    if (status != STATUS_OK) {
        ledger_database_close(&sessions->database);
    }
    return status;
}

enum status
tls_sessions_open(const char *directory, struct tls_sessions **sessions_out)
{
    struct tls_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return STATUS_LIMIT;
    }
    int n = snprintf(sessions->path, sizeof sessions->path, "%s/" FILE_NAME, directory);
    enum status status =
        n > 0 && (size_t)n < sizeof sessions->path ? open_file(sessions) : STATUS_LIMIT;
    if (status == STATUS_SYNTAX) {
        ledger_database_set_aside(sessions->path);
        status = open_file(sessions);
    }
    if (status != STATUS_OK) {
        free(sessions);
        return status;
    }
    *sessions_out = sessions;
    return STATUS_OK;
}

void
tls_sessions_close(struct tls_sessions **sessions)
{
    if (*sessions != NULL) {
        tls_sessions_commit(*sessions);
        ledger_database_close(&(*sessions)->database);
        free(*sessions);
        *sessions = NULL;
    }
}

struct tls_session_counts
tls_sessions_counts(const struct tls_sessions *sessions)
{
    return sessions->counts;
}

/* What was counted since the last commit is lost; a damaged file gives way to a new one. */
static void
give_up(struct tls_sessions *sessions, enum status status)
{
    LOG_ERROR("sessions are not counted for TLS reports", LOG_INT("lost", (int64_t)sessions->batch),
              LOG_CSTR("status", status_name(status)));
    sessions->counts.lost += sessions->batch;
    sessions->batch = 0;
    sessions->in_batch = false;
    /* An error of SQLite may have rolled back already. */
    if (sqlite3_get_autocommit(sessions->database) == 0 &&
        ledger_exec(sessions->database, "ROLLBACK") != STATUS_OK) {
        LOG_ERROR("counts of sessions cannot be rolled back");
    }
    if (status == STATUS_SYNTAX) {
        ledger_database_close(&sessions->database);
        ledger_database_set_aside(sessions->path);
        if (open_file(sessions) != STATUS_OK) {
            LOG_ERROR("nothing is counted for TLS reports until the program is started again");
        }
    }
}

void
tls_sessions_commit(struct tls_sessions *sessions)
{
    if (!sessions->in_batch) {
        return;
    }
    enum status status = ledger_exec(sessions->database, "COMMIT");
    if (status != STATUS_OK) {
        give_up(sessions, status);
        return;
    }
    sessions->counts.sessions += sessions->batch;
    sessions->batch = 0;
    sessions->in_batch = false;
}

/* ---- counting */

/* One number for several texts; never 0, which stands for none. */
static int64_t
hash_of(const struct str *texts, size_t count)
{
    static const unsigned char key[crypto_generichash_KEYBYTES] = "postern's sessions";
    crypto_generichash_state state;
    uint8_t hash[crypto_generichash_BYTES];
    int64_t number;
    crypto_generichash_init(&state, key, sizeof key, sizeof hash);
    for (size_t i = 0; i < count; i++) {
        uint64_t n = texts[i].n; /* so that no two lists of texts run into each other */
        crypto_generichash_update(&state, (const unsigned char *)&n, sizeof n);
        crypto_generichash_update(&state, (const unsigned char *)texts[i].p, texts[i].n);
    }
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(&number, hash, sizeof number);
    return number != 0 ? number : 1;
}

/* The first column of a statement that has been bound; 0 where there is no row. */
static enum status
number_of(struct tls_sessions *sessions, sqlite3_stmt *statement, int64_t *number_out)
{
    int code = sqlite3_step(statement);
    enum status status = ledger_status(sessions->database, code);
    *number_out = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return status;
}

/* Whether the day has room for another row, which is counted then. */
static enum status
take_room(struct tls_sessions *sessions, int64_t day, bool *has_room_out)
{
    int64_t rows;
    sqlite3_bind_int64(sessions->amount, 1, day);
    enum status status = number_of(sessions, sessions->amount, &rows);
    *has_room_out = rows < TLS_SESSIONS_ROWS_OF_DAY_MAX;
    if (status != STATUS_OK || !*has_room_out) {
        return status;
    }
    sqlite3_bind_int64(sessions->grow, 1, day);
    return ledger_run(sessions->grow);
}

static enum status
find_policy(struct tls_sessions *sessions, int64_t day, const struct tls_session *session,
            int64_t key, int64_t *number_out)
{
    sqlite3_bind_int64(sessions->find, 1, day);
    ledger_bind_text(sessions->find, 2, session->domain);
    ledger_bind_text(sessions->find, 3, str_from_cstr(tls_policy_type_name(session->type)));
    sqlite3_bind_int64(sessions->find, 4, key);
    return number_of(sessions, sessions->find, number_out);
}

static enum status
add_policy(struct tls_sessions *sessions, int64_t day, const struct tls_session *session,
           int64_t key, int64_t *number_out)
{
    bool has_room;
    enum status status = take_room(sessions, day, &has_room);
    if (status != STATUS_OK || !has_room) {
        *number_out = 0;
        return status;
    }
    sqlite3_bind_int64(sessions->add, 1, day);
    ledger_bind_text(sessions->add, 2, session->domain);
    ledger_bind_text(sessions->add, 3, str_from_cstr(tls_policy_type_name(session->type)));
    sqlite3_bind_int64(sessions->add, 4, key);
    ledger_bind_text(sessions->add, 5, key != 0 ? session->lines : STR(""));
    status = ledger_run(sessions->add);
    *number_out = sqlite3_last_insert_rowid(sessions->database);
    return status;
}

/* The number of the row of the session's policy; 0: there is no room for one. */
static enum status
policy_of(struct tls_sessions *sessions, int64_t day, const struct tls_session *session,
          int64_t *number_out)
{
    int64_t key = session->lines.n > 0 ? hash_of(&session->lines, 1) : 0;
    int64_t count;
    enum status status = find_policy(sessions, day, session, key, number_out);
    if (status != STATUS_OK || *number_out != 0) {
        return status;
    }
    sqlite3_bind_int64(sessions->policies, 1, day);
    ledger_bind_text(sessions->policies, 2, session->domain);
    status = number_of(sessions, sessions->policies, &count);
    if (status == STATUS_OK && count >= TLS_SESSIONS_POLICIES_MAX && key != 0) {
        key = 0;
        status = find_policy(sessions, day, session, key, number_out);
    }
    return status == STATUS_OK && *number_out == 0
               ? add_policy(sessions, day, session, key, number_out)
               : status;
}

static enum status
add_failure(struct tls_sessions *sessions, int64_t policy, int64_t key, const struct str *texts)
{
    sqlite3_bind_int64(sessions->add_failure, 1, policy);
    sqlite3_bind_int64(sessions->add_failure, 2, key);
    for (int i = 0; i < FAILURE_TEXTS; i++) {
        ledger_bind_text(sessions->add_failure, 3 + i, texts[i]);
    }
    return ledger_run(sessions->add_failure);
}

/* Adds one to a row that is there; *found_out: whether it is. */
static enum status
count_row(struct tls_sessions *sessions, int64_t policy, int64_t key, bool *found_out)
{
    sqlite3_bind_int64(sessions->fail, 1, policy);
    sqlite3_bind_int64(sessions->fail, 2, key);
    enum status status = ledger_run(sessions->fail);
    *found_out = status == STATUS_OK && sqlite3_changes(sessions->database) > 0;
    return status;
}

/* Beyond the bounds of the policy or the day a failure counts by its result alone. */
static enum status
count_failure(struct tls_sessions *sessions, int64_t day, int64_t policy,
              const struct tls_session *session)
{
    struct str texts[FAILURE_TEXTS] = {str_from_cstr(tls_result_name(session->result)), session->mx,
                                       session->sending_ip, session->receiving_ip, session->reason};
    int64_t key = hash_of(texts, FAILURE_TEXTS);
    int64_t count = 0;
    bool found;
    bool has_room = false;
    enum status status = count_row(sessions, policy, key, &found);
    if (status != STATUS_OK || found) {
        return status;
    }
    sqlite3_bind_int64(sessions->failures, 1, policy);
    status = number_of(sessions, sessions->failures, &count);
    if (status == STATUS_OK && count < TLS_SESSIONS_FAILURES_MAX) {
        status = take_room(sessions, day, &has_room);
    }
    if (status == STATUS_OK && !has_room) {
        for (int i = 1; i < FAILURE_TEXTS; i++) {
            texts[i] = STR("");
        }
        key = hash_of(texts, FAILURE_TEXTS);
        status = count_row(sessions, policy, key, &found);
    }
    return status == STATUS_OK && !found ? add_failure(sessions, policy, key, texts) : status;
}

static enum status
count_session(struct tls_sessions *sessions, const struct tls_session *session, int64_t day)
{
    int64_t policy;
    bool failed = session->is_used && session->result != TLS_RESULT_SUCCESS;
    enum status status = policy_of(sessions, day, session, &policy);
    if (status != STATUS_OK || policy == 0) {
        sessions->counts.lost += policy == 0 && status == STATUS_OK;
        return status;
    }
    sessions->batch++;
    sqlite3_bind_int64(sessions->sum, 1, policy);
    sqlite3_bind_int64(sessions->sum, 2, session->is_used && !failed);
    sqlite3_bind_int64(sessions->sum, 3, failed);
    status = ledger_run(sessions->sum);
    return status == STATUS_OK && failed ? count_failure(sessions, day, policy, session) : status;
}

/* Whole lines, as many as are kept. */
static struct str
cut_lines(struct str lines)
{
    if (lines.n <= TLS_SESSIONS_LINES_MAX) {
        return lines;
    }
    struct str head = str_head(lines, TLS_SESSIONS_LINES_MAX + 1);
    size_t end = str_rfind_char(head, '\n');
    return end != STR_NPOS ? str_head(head, end) : STR("");
}

static struct tls_session
bounded(const struct tls_session *session)
{
    struct tls_session copy = *session;
    copy.lines = cut_lines(session->lines);
    copy.mx = str_head(session->mx, TLS_SESSIONS_TEXT_MAX);
    copy.sending_ip = str_head(session->sending_ip, TLS_SESSIONS_TEXT_MAX);
    copy.receiving_ip = str_head(session->receiving_ip, TLS_SESSIONS_TEXT_MAX);
    copy.reason = str_head(session->reason, TLS_SESSIONS_TEXT_MAX);
    return copy;
}

void
tls_sessions_count(struct tls_sessions *sessions, const struct tls_session *session, int64_t now_ms)
{
    struct tls_session copy = bounded(session);
    enum status status = STATUS_OK;
    if (session->domain.n == 0 || session->domain.n > TLS_SESSIONS_TEXT_MAX || now_ms < 0 ||
        session->type >= TLS_POLICY_COUNT_) {
        return;
    }
    if (sessions->database == NULL) {
        sessions->counts.lost++;
        return;
    }
    if (!sessions->in_batch) {
        status = ledger_exec(sessions->database, "BEGIN");
        sessions->in_batch = status == STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = count_session(sessions, &copy, now_ms / MS_PER_DAY);
    }
    if (status != STATUS_OK) {
        give_up(sessions, status);
    }
}
