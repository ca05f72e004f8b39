/* The SQL of the queue store, and the small helpers around prepared statements. */
#include "store/spool_internal.h"

static const char *const texts[SPOOL_SQL_COUNT] = {
    [SPOOL_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SPOOL_SQL_COMMIT] = "COMMIT",
    [SPOOL_SQL_ROLLBACK] = "ROLLBACK",
    [SPOOL_SQL_COUNTS_SAVE] = "UPDATE queue SET messages = ?, recipients = ?, deferred = ?, "
                              "held = ?, bytes = ?, clock_ms = ?, key_last = ?, damaged = ?",
    [SPOOL_SQL_COUNTS_LOAD] = "SELECT messages, recipients, deferred, held, bytes, clock_ms, "
                              "key_last, damaged FROM queue",
    [SPOOL_SQL_FIND] = "SELECT key FROM message WHERE id = ?",
    [SPOOL_SQL_OLDEST] = "SELECT queued_ms FROM message ORDER BY key LIMIT 1",
    [SPOOL_SQL_MESSAGE_INSERT] =
        "INSERT INTO message (key, id, received_ms, queued_ms, sender, ret, envid, flags, "
        "priority, hold, size, total, pending, in_file, segment, block, head_size, head_sum, "
        "content_sum, row_sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING",
    [SPOOL_SQL_BODY_INSERT] = "INSERT INTO body (message, head, content) VALUES (?, ?, ?)",
    [SPOOL_SQL_RECIPIENT_INSERT] =
        "INSERT INTO recipient (message, number, address, original, orcpt, notify, destination, "
        "rank, state, due_ms, sum, attempts, warned, last_ms, code, enhanced, text, remote) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, '', '', '')",
    [SPOOL_SQL_RECIPIENT_STATE] = "SELECT state FROM recipient WHERE message = ? AND number = ?",
    [SPOOL_SQL_RECIPIENT_SETTLE] =
        "UPDATE recipient SET state = ?3, due_ms = ?4, attempts = ?5, warned = ?6, last_ms = ?7, "
        "code = ?8, enhanced = ?9, text = ?10, remote = ?11 WHERE message = ?1 AND number = ?2",
    [SPOOL_SQL_RECIPIENT_REHOME] = "UPDATE recipient SET destination = ?3, rerouted = ?4, sum = ?5 "
                                   "WHERE message = ?1 AND number = ?2",
    [SPOOL_SQL_MESSAGE_PENDING] =
        "UPDATE message SET pending = pending - ?2 WHERE key = ?1 RETURNING pending",
    [SPOOL_SQL_MESSAGE_DAMAGED] =
        "UPDATE message SET damaged = ?2 WHERE key = ?1 AND damaged <> ?2",
    [SPOOL_SQL_RECIPIENTS_DELETE] = "DELETE FROM recipient WHERE message = ? RETURNING state",
    [SPOOL_SQL_BODY_DELETE] = "DELETE FROM body WHERE message = ?",
    [SPOOL_SQL_MESSAGE_DELETE] = "DELETE FROM message WHERE key = ? "
                                 "RETURNING size, in_file, id, segment, block, damaged",
    [SPOOL_SQL_DESTINATION_WAKE] =
        "INSERT INTO destination (name, look_ms, failures) VALUES (?1, ?2, 0) "
        "ON CONFLICT (name) DO UPDATE SET look_ms = excluded.look_ms "
        "WHERE failures = 0 AND look_ms > excluded.look_ms",
    [SPOOL_SQL_DESTINATION_PUT] =
        "INSERT INTO destination (name, look_ms, failures) VALUES (?1, ?2, ?3) "
        "ON CONFLICT (name) DO UPDATE SET look_ms = excluded.look_ms, "
        "failures = excluded.failures",
    [SPOOL_SQL_DESTINATION_FAILED] =
        "INSERT INTO destination (name, look_ms, failures, failed_ms, code, enhanced, text, remote)"
        " VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7) "
        "ON CONFLICT (name) DO UPDATE SET failed_ms = excluded.failed_ms, code = excluded.code, "
        "enhanced = excluded.enhanced, text = excluded.text, remote = excluded.remote",
    [SPOOL_SQL_DESTINATION_DELETE] = "DELETE FROM destination WHERE name = ?",
    [SPOOL_SQL_DESTINATION_GET] = "SELECT look_ms, failures, failed_ms, code, enhanced, text, "
                                  "remote FROM destination WHERE name = ?",
    [SPOOL_SQL_DESTINATIONS_DUE] =
        "SELECT name, look_ms, failures FROM destination INDEXED BY destination_look "
        "WHERE (look_ms, name) > (?1, ?2) AND look_ms <= ?3 ORDER BY look_ms, name LIMIT ?4",
    [SPOOL_SQL_PAUSE_PUT] = "INSERT INTO pause (name, since_ms, by) VALUES (?1, ?2, ?3) "
                            "ON CONFLICT (name) DO NOTHING",
    [SPOOL_SQL_PAUSE_DELETE] = "DELETE FROM pause WHERE name = ?",
    [SPOOL_SQL_PAUSES] = "SELECT name, since_ms, by FROM pause ORDER BY name LIMIT ?",
    [SPOOL_SQL_STANDING] =
        "SELECT message, number, destination, state, code, enhanced, text, queued_ms, last_ms, "
        "address, rerouted FROM recipient JOIN message ON key = message "
        "WHERE (message, number) > (?1, ?2) ORDER BY message, number LIMIT ?3",
    [SPOOL_SQL_GATHER] = "INSERT INTO gathered (messages, cut, text) VALUES (1, ?1, ?2)",
    [SPOOL_SQL_GATHER_COUNT] = "INSERT INTO gathered VALUES (0, 1, 1, '') "
                               "ON CONFLICT (number) DO UPDATE SET messages = messages + 1",
    [SPOOL_SQL_GATHERED] = "SELECT number, messages, cut, text FROM gathered "
                           "WHERE messages > 0 ORDER BY number",
    [SPOOL_SQL_GATHERED_DELETE] = "DELETE FROM gathered WHERE number BETWEEN 1 AND ?",
    [SPOOL_SQL_GATHERED_UNCOUNT] = "UPDATE gathered SET messages = messages - ? WHERE number = 0",
    [SPOOL_SQL_DUE] = "SELECT DISTINCT due_ms, message FROM recipient INDEXED BY recipient_due "
                      "WHERE due_ms IS NOT NULL AND destination = ?1 AND rank = ?2 "
                      "AND due_ms <= ?3 ORDER BY due_ms, message LIMIT ?4",
    [SPOOL_SQL_DUE_NEXT] = "SELECT due_ms FROM recipient INDEXED BY recipient_due "
                           "WHERE due_ms IS NOT NULL AND destination = ?1 AND rank = ?2 "
                           "AND due_ms > ?3 ORDER BY due_ms LIMIT 1",
    [SPOOL_SQL_MESSAGE_LOAD] = "SELECT key, id, received_ms, queued_ms, sender, ret, envid, flags, "
                               "priority, hold, size, total, in_file, segment, block, head_size, "
                               "head_sum, content_sum, row_sum, damaged "
                               "FROM message WHERE key = ?",
    [SPOOL_SQL_BODY_LOAD] = "SELECT head, content FROM body WHERE message = ?",
    [SPOOL_SQL_RECIPIENTS_LOAD] =
        "SELECT number, address, original, orcpt, notify, destination, state, due_ms, attempts, "
        "warned, last_ms, code, enhanced, text, remote, rerouted, sum, message FROM recipient "
        "WHERE message = ?1 AND number >= ?2 ORDER BY number",
    [SPOOL_SQL_MESSAGES_AFTER] =
        "SELECT key, id, received_ms, queued_ms, sender, ret, envid, flags, priority, hold, size, "
        "total, in_file, segment, block, head_size, head_sum, content_sum, row_sum, damaged "
        "FROM message WHERE key > ? ORDER BY key LIMIT ?",
    [SPOOL_SQL_AGED] = "SELECT key, queued_ms, damaged FROM message WHERE key > ? "
                       "ORDER BY key LIMIT ?",
    [SPOOL_SQL_AGED_WAITING] = "SELECT 1 FROM recipient WHERE message = ?1 AND state <= ?3 "
                               "AND (warned = 0 OR NOT ?2) LIMIT 1",
    [SPOOL_SQL_SEGMENTS_LOAD] = "SELECT number, live FROM segment ORDER BY number",
    [SPOOL_SQL_SEGMENT_PUT] = "INSERT INTO segment (number, live) VALUES (?1, ?2) "
                              "ON CONFLICT (number) DO UPDATE SET live = excluded.live",
    [SPOOL_SQL_SEGMENT_DELETE] = "DELETE FROM segment WHERE number = ?1",
};

const char *
spool_statement_text(enum spool_statement which)
{
    return texts[which];
}

enum status
spool_status(struct spool *spool, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_FULL:
        return STATUS_LIMIT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        spool->damaged = true;
        return STATUS_IO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return STATUS_DENIED;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_ERROR:
        return STATUS_BUG;
    default:
        return STATUS_IO;
    }
}

sqlite3_stmt *
spool_statement(struct spool *spool, enum spool_statement which)
{
    if (spool->statements[which] == NULL &&
        sqlite3_prepare_v3(spool->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &spool->statements[which], NULL) != SQLITE_OK) {
        return NULL;
    }
    return spool->statements[which];
}

enum status
spool_done(struct spool *spool, sqlite3_stmt *statement, int code)
{
    sqlite3_reset(statement);
    return spool_status(spool, code);
}

enum status
spool_run(struct spool *spool, sqlite3_stmt *statement)
{
    if (statement == NULL) {
        return STATUS_IO;
    }
    return spool_done(spool, statement, sqlite3_step(statement));
}

void
spool_bind_str(sqlite3_stmt *statement, int column, struct str s)
{
    sqlite3_bind_text64(statement, column, s.p != NULL ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

void
spool_bind_blob(sqlite3_stmt *statement, int column, struct str s)
{
    sqlite3_bind_blob64(statement, column, s.p != NULL ? s.p : "", s.n, SQLITE_STATIC);
}

struct str
spool_column_view(sqlite3_stmt *statement, int column)
{
    const char *p = sqlite3_column_blob(statement, column);
    return str_make(p, (size_t)sqlite3_column_bytes(statement, column));
}

bool
spool_column_str(sqlite3_stmt *statement, int column, struct arena *arena, struct str *out)
{
    const char *p = sqlite3_column_blob(statement, column);
    size_t n = (size_t)sqlite3_column_bytes(statement, column);
    if (p == NULL || n == 0) {
        *out = str_make(NULL, 0);
        return true;
    }
    *out = arena_str_dup(arena, str_make(p, n));
    return out->p != NULL;
}
