/*
 * log.h - structured log lines on standard error: key=value for people, JSON for collectors.
 *
 *     LOG_INFO("message accepted", LOG_STR("id", id), LOG_INT("size", size));
 *     time=2026-11-23T17:48:14.123Z level=info role=edge event="message accepted" id=... size=812
 *
 * Never log a password, a key or the content of a message. Values from the network are escaped, so
 * a line is always one line and nothing in it can pass for another field (doc/logging.md). Lines
 * longer than LOG_LINE_MAX are cut and end in "...".
 *
 * Where standard error is the journal (systemd sets JOURNAL_STREAM), each line begins with its
 * priority, "<3>" to "<7>" (sd-daemon(3)), so that journalctl -p works; the journal takes it off.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include <stdint.h>

#include "base/str.h"

#define LOG_LINE_MAX    4096
#define LOG_PREFIX_SIZE 3u

enum log_level {
    LOG_LEVEL_ERROR, /* something is broken and needs a person */
    LOG_LEVEL_WARN,  /* something is wrong but handled */
    LOG_LEVEL_INFO,  /* what an administrator reads every day */
    LOG_LEVEL_DEBUG,
};

enum log_format {
    LOG_FORMAT_KEYVALUE,
    LOG_FORMAT_JSON,
};

struct log_field {
    const char *key; /* static, [a-z_]+; NULL ends the list */
    bool is_number;
    bool is_ms; /* a number of milliseconds, written in seconds: 1.250 */
    struct str text;
    int64_t number;
};

#define LOG_STR(k, v)  ((struct log_field){.key = (k), .text = (v)})
#define LOG_CSTR(k, v) ((struct log_field){.key = (k), .text = str_from_cstr(v)})
#define LOG_INT(k, v)  ((struct log_field){.key = (k), .is_number = true, .number = (int64_t)(v)})

#define LOG_SECONDS(k, ms)                                                                         \
    ((struct log_field){.key = (k), .is_number = true, .is_ms = true, .number = (int64_t)(ms)})

#define LOG_AT(level, event, ...)                                                                  \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define LOG_ERROR(event, ...) LOG_AT(LOG_LEVEL_ERROR, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARN(event, ...)  LOG_AT(LOG_LEVEL_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_INFO(event, ...)  LOG_AT(LOG_LEVEL_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_DEBUG(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)

/* Sets what is written and how; `role` (static) names the process. Call before threads start. */
void log_init(const char *role, enum log_level most, enum log_format format);
/* Changes level and format on reload. */
void log_set(enum log_level most, enum log_format format);
/* Writes one line with a single write(2); thread-safe. `fields` ends with a NULL key. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* True when `fd` is the stream that JOURNAL_STREAM names ("device:inode"; NULL: not set). */
bool log_is_journal(const char *journal_stream, int fd);
/* "<3>" and so on: LOG_PREFIX_SIZE octets and NUL; static. */
const char *log_priority_prefix(enum log_level level);

struct log_line {
    int64_t wall_ms;
    const char *role;
    enum log_level level;
    const char *event;
    const struct log_field *fields; /* as in log_write */
};

/* Formats the line, ending in "\n" and NUL, and returns its length; for log_write and tests. */
size_t log_format_line(const struct log_line *from, enum log_format format,
                       char out[static LOG_LINE_MAX]);

#endif
