#include "trace/explain_text.h"

#include "base/clock.h"
#include "base/show.h"

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24LL * HOUR_MS)

/* ---- safe text */

enum status
text_append_safe(struct buf *out, struct str s)
{
    enum status status = STATUS_OK;
    while (s.n > 0 && status == STATUS_OK) {
        size_t n = show_length(s);
        if (s.p[0] == '\n') {
            status = buf_append(out, STR(" / ")); /* replies may have several lines */
            n = 1;
        } else if (n > 0) {
            status = buf_append(out, str_head(s, n));
        } else {
            n = show_character(s, NULL);
            n = n > 0 ? n : 1;
            for (size_t i = 0; i < n && status == STATUS_OK; i++) {
                status = buf_printf(out, "\\x%02x", (unsigned char)s.p[i]);
            }
        }
        s = str_skip(s, n);
    }
    return status;
}

/* ---- amounts */

enum status
text_append_size(struct buf *out, int64_t octets)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    double amount = (double)octets / 1000;
    size_t unit = 0;
    if (octets < 1000) {
        return buf_printf(out, octets == 1 ? "%lld octet" : "%lld octets", (long long)octets);
    }
    while (amount >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1000;
        unit++;
    }
    return buf_printf(out, "%.1f %s", amount, units[unit]);
}

enum status
text_append_duration(struct buf *out, int64_t ms)
{
    if (ms < SECOND_MS) {
        return buf_printf(out, "%lld ms", (long long)ms);
    }
    if (ms < MINUTE_MS) {
        return buf_printf(out, "%.1f s", (double)ms / SECOND_MS);
    }
    if (ms < HOUR_MS) {
        return buf_printf(out, "%lld min", (long long)(ms / MINUTE_MS));
    }
    bool days = ms >= DAY_MS;
    int64_t large = days ? ms / DAY_MS : ms / HOUR_MS;
    int64_t small = days ? ms % DAY_MS / HOUR_MS : ms % HOUR_MS / MINUTE_MS;
    if (small == 0) {
        return buf_printf(out, days ? "%lld d" : "%lld h", (long long)large);
    }
    return buf_printf(out, days ? "%lld d %lld h" : "%lld h %lld min", (long long)large,
                      (long long)small);
}

/* ---- times; all from the RFC 3339 form, "2026-11-23T17:48:14.123Z" */

static enum status
append_of_rfc3339(struct buf *out, int64_t wall_ms, size_t from, size_t n, char blank)
{
    struct arena *arena = arena_create(1024);
    struct str text = str_head(str_skip(clock_format_rfc3339(arena, wall_ms), from), n);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < text.n && status == STATUS_OK; i++) {
        status = buf_append_char(out, text.p[i] == 'T' ? blank : text.p[i]);
    }
    arena_destroy(&arena);
    return status;
}

enum status
text_append_time(struct buf *out, int64_t wall_ms)
{
    return append_of_rfc3339(out, wall_ms, 0, 19, ' ');
}

enum status
text_append_date(struct buf *out, int64_t wall_ms)
{
    return append_of_rfc3339(out, wall_ms, 0, 10, ' ');
}

enum status
text_append_clock(struct buf *out, int64_t wall_ms)
{
    return append_of_rfc3339(out, wall_ms, 11, 12, ' ');
}

/* ---- lines */

/* Columns of a word: characters, as far as one is one column. */
static size_t
columns(struct str word)
{
    size_t n = 0;
    for (size_t i = 0; i < word.n; i++) {
        n += ((unsigned char)word.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static enum status
append_word(struct buf *out, struct str word)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < word.n && status == STATUS_OK; i++) {
        char c = word.p[i];
        status = buf_append_char(out, c == TEXT_HARD_BLANK ? ' ' : c);
    }
    return status;
}

enum status
text_append_wrapped(struct buf *out, struct str text, unsigned indent, unsigned width)
{
    enum status status = STATUS_OK;
    size_t column = indent;
    bool first = true;
    while (text.n > 0 && status == STATUS_OK) {
        size_t end = str_find_char(text, ' ');
        struct str word = end == STR_NPOS ? text : str_head(text, end);
        text = str_skip(text, word.n + 1);
        size_t n = columns(word);
        if (!first && width > 0 && column + 1 + n > width) {
            status = buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            status = buf_append_char(out, ' ');
            column++;
        }
        if (status == STATUS_OK) {
            status = append_word(out, word);
        }
        column += n;
        first = false;
    }
    return status == STATUS_OK ? buf_append_char(out, '\n') : status;
}
