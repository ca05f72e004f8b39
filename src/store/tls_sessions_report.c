/* Reading what was counted for TLS reports, and forgetting it. */
#include <stdio.h>

#include "store/tls_sessions_internal.h"

/* Commits, and says whether there is a file to read. */
static bool
is_ready(struct tls_sessions *sessions)
{
    tls_sessions_commit(sessions);
    return sessions->database != NULL;
}

/* ---- domains */

enum status
tls_sessions_domains(struct tls_sessions *sessions, int64_t day, struct str after,
                     struct arena *arena, const struct str **domains_out, size_t *count_out)
{
    sqlite3_stmt *statement;
    struct str *domains = arena_alloc_array(arena, TLS_SESSIONS_PAGE_MAX, sizeof *domains);
    size_t count = 0;
    int code = SQLITE_DONE;
    if (domains == NULL) {
        return STATUS_LIMIT;
    }
    if (!is_ready(sessions)) {
        return STATUS_IO;
    }
    enum status status =
        ledger_prepare(sessions->database,
                       "SELECT DISTINCT domain FROM policy WHERE day = ?1 AND domain > ?2"
                       " ORDER BY domain LIMIT ?3",
                       &statement);
    if (status != STATUS_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, day);
    ledger_bind_text(statement, 2, after);
    sqlite3_bind_int64(statement, 3, TLS_SESSIONS_PAGE_MAX);
    while (status == STATUS_OK && count < TLS_SESSIONS_PAGE_MAX &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        domains[count] = arena_str_dup(arena, ledger_column(statement, 0));
        status = domains[count].p != NULL ? STATUS_OK : STATUS_LIMIT;
        count++;
    }
    status = status == STATUS_OK ? ledger_status(sessions->database, code) : status;
    sqlite3_finalize(statement);
    if (status == STATUS_OK) {
        *domains_out = domains;
        *count_out = count;
    }
    return status;
}

/* ---- failures */

static enum status
read_failure(sqlite3_stmt *statement, struct arena *arena, struct tlsrpt_failure *out)
{
    struct str texts[FAILURE_TEXTS];
    for (int i = 0; i < FAILURE_TEXTS; i++) {
        texts[i] = arena_str_dup(arena, ledger_column(statement, i));
        if (texts[i].p == NULL) {
            return STATUS_LIMIT;
        }
    }
    *out = (struct tlsrpt_failure){
        .result = tls_result_find(texts[0]),
        .result_word = texts[0],
        .mx = texts[1],
        .sending_ip = texts[2],
        .receiving_ip = texts[3],
        .reason = texts[4],
        .sessions = (uint64_t)sqlite3_column_int64(statement, FAILURE_TEXTS),
    };
    return STATUS_OK;
}

/* Rows beyond the bound are those by result alone: one for each result at most. */
#define FAILURES_OF_POLICY (TLS_SESSIONS_FAILURES_MAX + TLS_RESULT_COUNT_)

static enum status
read_failures(struct tls_sessions *sessions, int64_t number, struct arena *arena,
              struct tlsrpt_policy *policy)
{
    sqlite3_stmt *statement;
    struct tlsrpt_failure *failures =
        arena_alloc_array(arena, FAILURES_OF_POLICY, sizeof *failures);
    size_t count = 0;
    int code = SQLITE_DONE;
    enum status status =
        failures != NULL
            ? ledger_prepare(sessions->database,
                             "SELECT result, mx, sending_ip, receiving_ip, reason, sessions"
                             " FROM failure WHERE policy = ?1"
                             " ORDER BY result, mx, sending_ip, receiving_ip, reason",
                             &statement)
            : STATUS_LIMIT;
    if (status != STATUS_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, number);
    while (status == STATUS_OK && count < FAILURES_OF_POLICY &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = read_failure(statement, arena, &failures[count]);
        count++;
    }
    status = status == STATUS_OK ? ledger_status(sessions->database, code) : status;
    sqlite3_finalize(statement);
    policy->failures = failures;
    policy->failure_count = count;
    return status;
}

/* ---- policies */

static enum status
split_lines(struct arena *arena, struct str text, struct tlsrpt_policy *policy)
{
    static const struct str mx = STR_INIT("mx:");
    size_t most = str_count_char(text, '\n') + 1;
    struct str *lines = arena_alloc_array(arena, most, sizeof *lines);
    struct str *names = arena_alloc_array(arena, most, sizeof *names);
    bool more = text.n > 0;
    if (lines == NULL || names == NULL) {
        return STATUS_LIMIT;
    }
    while (more) {
        struct str line;
        more = str_cut(text, '\n', &line, &text);
        lines[policy->line_count++] = line;
        if (policy->type == TLS_POLICY_STS && str_starts_with(line, mx)) {
            names[policy->mx_count++] = str_trim(str_skip(line, mx.n));
        }
    }
    policy->lines = lines;
    policy->mx = names;
    return STATUS_OK;
}

static enum status
read_policy(struct tls_sessions *sessions, sqlite3_stmt *statement, struct arena *arena,
            struct tlsrpt_policy *out)
{
    struct str text = arena_str_dup(arena, ledger_column(statement, 2));
    struct tlsrpt_policy policy = {
        .type = tls_policy_type_find(ledger_column(statement, 1)),
        .domain = arena_str_dup(arena, ledger_column(statement, 5)),
        .successful = (uint64_t)sqlite3_column_int64(statement, 3),
        .failed = (uint64_t)sqlite3_column_int64(statement, 4),
    };
    policy.type = policy.type < TLS_POLICY_COUNT_ ? policy.type : TLS_POLICY_NONE;
    if (text.p == NULL || policy.domain.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = split_lines(arena, text, &policy);
    if (status == STATUS_OK) {
        status = read_failures(sessions, sqlite3_column_int64(statement, 0), arena, &policy);
    }
    *out = policy;
    return status;
}

/* Rows beyond the bound are those without text: one for each type at most. */
#define POLICIES_OF_DOMAIN (TLS_SESSIONS_POLICIES_MAX + TLS_POLICY_COUNT_)

static enum status
read_policies(struct tls_sessions *sessions, sqlite3_stmt *statement, struct arena *arena,
              struct tlsrpt_report *report)
{
    struct tlsrpt_policy *policies = arena_alloc_array(arena, POLICIES_OF_DOMAIN, sizeof *policies);
    enum status status = policies != NULL ? STATUS_OK : STATUS_LIMIT;
    size_t count = 0;
    int code = SQLITE_DONE;
    while (status == STATUS_OK && count < POLICIES_OF_DOMAIN &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = read_policy(sessions, statement, arena, &policies[count]);
        count++;
    }
    report->policies = policies;
    report->policy_count = count;
    return status == STATUS_OK ? ledger_status(sessions->database, code) : status;
}

enum status
tls_sessions_report(struct tls_sessions *sessions, int64_t day, struct str domain,
                    struct arena *arena, struct tlsrpt_report *report_out)
{
    sqlite3_stmt *statement;
    struct tlsrpt_report report = {.start_s = day * S_PER_DAY,
                                   .end_s = day * S_PER_DAY + S_PER_DAY - 1};
    if (!is_ready(sessions)) {
        return STATUS_IO;
    }
    enum status status =
        ledger_prepare(sessions->database,
                       "SELECT number, type, lines, successful, failed, domain FROM policy"
                       " WHERE day = ?1 AND domain = ?2 ORDER BY number",
                       &statement);
    if (status != STATUS_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, day);
    ledger_bind_text(statement, 2, domain);
    status = read_policies(sessions, statement, arena, &report);
    sqlite3_finalize(statement);
    if (status == STATUS_OK && report.policy_count == 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        *report_out = report;
    }
    return status;
}

/* ---- forgetting */

/* Runs a statement about the policies of one domain and day, or of all before a day. */
static enum status
run_about(struct tls_sessions *sessions, const char *sql, int64_t day, struct str domain)
{
    sqlite3_stmt *statement;
    enum status status = ledger_prepare(sessions->database, sql, &statement);
    if (status != STATUS_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, day);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        ledger_bind_text(statement, 2, domain);
    }
    status = ledger_run(statement);
    sqlite3_finalize(statement);
    return status;
}

static enum status
run_all(struct tls_sessions *sessions, const char *const *sql, size_t count, int64_t day,
        struct str domain)
{
    if (!is_ready(sessions)) {
        return STATUS_IO;
    }
    enum status status = ledger_exec(sessions->database, "BEGIN");
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = run_about(sessions, sql[i], day, domain);
    }
    if (sqlite3_get_autocommit(sessions->database) != 0) {
        return status;
    }
    enum status ended =
        ledger_exec(sessions->database, status == STATUS_OK ? "COMMIT" : "ROLLBACK");
    return status == STATUS_OK ? ended : status;
}

enum status
tls_sessions_forget(struct tls_sessions *sessions, int64_t day, struct str domain)
{
    static const char *const sql[] = {
        "DELETE FROM failure WHERE policy IN"
        " (SELECT number FROM policy WHERE day = ?1 AND domain = ?2)",
        "DELETE FROM policy WHERE day = ?1 AND domain = ?2",
    };
    return run_all(sessions, sql, sizeof sql / sizeof sql[0], day, domain);
}

enum status
tls_sessions_expire(struct tls_sessions *sessions, int64_t day)
{
    static const char *const sql[] = {
        "DELETE FROM failure WHERE policy IN (SELECT number FROM policy WHERE day < ?1)",
        "DELETE FROM policy WHERE day < ?1",
        "DELETE FROM amount WHERE day < ?1",
    };
    return run_all(sessions, sql, sizeof sql / sizeof sql[0], day, STR(""));
}
