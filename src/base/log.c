#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/show.h"

static const char *log_role = "postern";
static enum log_level log_most = LOG_LEVEL_INFO;
static enum log_format log_style = LOG_FORMAT_KEYVALUE;

static bool log_to_journal;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Room kept at the end for "...\"}\n" and NUL. */
#define LOG_TAIL 16

struct line {
    char *out;
    size_t n;
    bool cut;
};

bool
log_is_journal(const char *journal_stream, int fd)
{
    char self[64];
    struct stat info;
    if (journal_stream == NULL || fstat(fd, &info) != 0) {
        return false;
    }
    snprintf(self, sizeof self, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    return strcmp(self, journal_stream) == 0;
}

void
log_init(const char *role, enum log_level most, enum log_format format)
{
    log_role = role;
    log_to_journal = log_is_journal(getenv("JOURNAL_STREAM"), STDERR_FILENO);
    log_set(most, format);
}

void
log_set(enum log_level most, enum log_format format)
{
    log_most = most;
    log_style = format;
}

static void
line_add(struct line *line, struct str s)
{
    if (line->cut || s.n == 0) {
        return;
    }
    if (line->n + s.n > LOG_LINE_MAX - LOG_TAIL) {
        line->cut = true;
        return;
    }
    memcpy(line->out + line->n, s.p, s.n);
    line->n += s.n;
}

static void
line_add_code(struct line *line, uint32_t code)
{
    char escape[16];
    if (code > 0xffff) {
        /* RFC 8259 7: a pair of surrogates */
        code -= 0x10000;
        snprintf(escape, sizeof escape, "\\u%04x\\u%04x", (unsigned)(0xd800 | code >> 10),
                 (unsigned)(0xdc00 | (code & 0x3ff)));
    } else {
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
    }
    line_add(line, str_from_cstr(escape));
}

/*
 * Quotes, backslashes, characters that are not shown (show.h) and, unless all of it is UTF-8,
 * octets above 127 become \uXXXX.
 */
static void
line_add_escaped(struct line *line, struct str s)
{
    bool utf8 = str_is_utf8(s);
    while (s.n > 0) {
        uint32_t code = (unsigned char)s.p[0];
        size_t n = utf8 ? show_character(s, &code) : 1;
        bool shown = (utf8 || code < 0x80) && code != '"' && code != '\\' && show_length(s) > 0;
        if (shown) {
            line_add(line, str_head(s, n));
        } else {
            line_add_code(line, code);
        }
        s = str_skip(s, n);
    }
}

static bool
text_is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!char_is_alnum(c) && !str_contains_char(STR("-_.:/@+,<>[]()*"), c)) {
            return false;
        }
    }
    return s.n > 0;
}

static void
line_add_field(struct line *line, enum log_format format, const struct log_field *field)
{
    bool json = format == LOG_FORMAT_JSON;
    bool quoted = !field->is_number && (json || !text_is_plain(field->text));
    line_add(line, json ? STR(",\"") : STR(" "));
    line_add(line, str_from_cstr(field->key));
    line_add(line, json ? STR("\":") : STR("="));
    line_add(line, quoted ? STR("\"") : STR(""));
    if (field->is_number) {
        char digits[32];
        long long n = (long long)field->number;
        if (field->is_ms) {
            snprintf(digits, sizeof digits, "%s%lld.%03lld", n < 0 ? "-" : "", llabs(n / 1000),
                     llabs(n % 1000));
        } else {
            snprintf(digits, sizeof digits, "%lld", n);
        }
        line_add(line, str_from_cstr(digits));
    } else {
        line_add_escaped(line, field->text);
    }
    line_add(line, quoted ? STR("\"") : STR(""));
}

size_t
log_format_line(const struct log_line *from, enum log_format format, char out[static LOG_LINE_MAX])
{
    struct line line = {.out = out};
    bool json = format == LOG_FORMAT_JSON;
    struct arena *arena = arena_create(1024);
    struct log_field head[] = {
        LOG_CSTR("level", level_names[from->level]),
        LOG_CSTR("role", from->role),
        LOG_CSTR("event", from->event),
    };
    line_add(&line, json ? STR("{\"time\":\"") : STR("time="));
    line_add(&line, clock_format_rfc3339(arena, from->wall_ms));
    line_add(&line, json ? STR("\"") : STR(""));
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        line_add_field(&line, format, &head[i]);
    }
    for (const struct log_field *field = from->fields; field->key != NULL; field++) {
        size_t before = line.n;
        line_add_field(&line, format, field);
        if (line.cut) {
            line.n = before; /* a half-written field would not parse */
            line.cut = false;
            line_add(&line, json ? STR(",\"cut\":true") : STR(" cut=true"));
            break;
        }
    }
    arena_destroy(&arena);
    memcpy(out + line.n, json ? "}\n" : "\n", json ? 3 : 2);
    return line.n + (json ? 2 : 1);
}

const char *
log_priority_prefix(enum log_level level)
{
    /* syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */
    static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
    return prefixes[level];
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    char line[LOG_PREFIX_SIZE + LOG_LINE_MAX];
    if (level > log_most) {
        return;
    }
    const struct log_line from = {clock_wall_ms(), log_role, level, event, fields};
    size_t n = 0;
    if (log_to_journal) {
        memcpy(line, log_priority_prefix(level), LOG_PREFIX_SIZE);
        n = LOG_PREFIX_SIZE;
    }
    n += log_format_line(&from, log_style, line + n);
    /* A log that cannot be written must not stop mail. */
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
