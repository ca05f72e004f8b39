#include "cli/moment.h"

#include <time.h>

#define DAY_MS (24LL * 3600 * 1000)

/* Exactly n digits from the front of *s. */
static bool
take_digits(struct str *s, size_t n, int most, int *out)
{
    uint64_t number;
    if (str_parse_u64(str_head(*s, n), (uint64_t)most, &number) != STATUS_OK || s->n < n) {
        return false;
    }
    *out = (int)number;
    *s = str_skip(*s, n);
    return true;
}

static bool
take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = str_skip(*s, 1);
    return true;
}

/* 2026-11-23 */
static bool
take_date(struct str *s, struct tm *tm)
{
    int year;
    int month;
    struct tm check;
    if (!take_digits(s, 4, 9999, &year) || !take_char(s, '-') || !take_digits(s, 2, 12, &month) ||
        !take_char(s, '-') || !take_digits(s, 2, 31, &tm->tm_mday)) {
        return false;
    }
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    check = *tm;
    timegm(&check); /* turns the 31st of February into March */
    return year >= 1970 && month >= 1 && check.tm_mday == tm->tm_mday && check.tm_mon == tm->tm_mon;
}

/* 17:48 or 17:48:14 */
static bool
take_clock(struct str *s, struct tm *tm)
{
    return take_digits(s, 2, 23, &tm->tm_hour) && take_char(s, ':') &&
           take_digits(s, 2, 59, &tm->tm_min) &&
           (!take_char(s, ':') || take_digits(s, 2, 59, &tm->tm_sec));
}

/* 15m: so long ago. */
static enum status
parse_ago(struct str s, int64_t now_ms, int64_t *ms_out)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', DAY_MS}};
    uint64_t n;
    if (s.n < 2 || str_parse_u64(str_head(s, s.n - 1), 100000, &n) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (s.p[s.n - 1] == units[i].unit) {
            *ms_out = now_ms - (int64_t)n * units[i].ms;
            return STATUS_OK;
        }
    }
    return STATUS_SYNTAX;
}

enum status
moment_parse(struct str s, int64_t now_ms, int64_t *ms_out)
{
    struct tm tm = {.tm_mday = 0};
    struct str rest = s;
    bool understood;
    if (parse_ago(s, now_ms, ms_out) == STATUS_OK) {
        return STATUS_OK;
    }
    if (str_contains_char(s, '-')) {
        understood = take_date(&rest, &tm) &&
                     (rest.n == 0 ||
                      ((take_char(&rest, 'T') || take_char(&rest, ' ')) && take_clock(&rest, &tm)));
        (void)take_char(&rest, 'Z');
    } else {
        time_t now = (time_t)(now_ms / 1000);
        gmtime_r(&now, &tm);
        tm.tm_sec = 0;
        understood = take_clock(&rest, &tm);
    }
    if (!understood || rest.n > 0) {
        return STATUS_SYNTAX;
    }
    *ms_out = (int64_t)timegm(&tm) * 1000;
    return STATUS_OK;
}
