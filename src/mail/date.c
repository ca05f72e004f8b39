#include "mail/date.h"

#include "mail/token.h"

#define DAY_SECONDS 86400

/* A date as it is written, before it is known to exist. */
struct date {
    uint64_t day;
    uint64_t month; /* 1 to 12 */
    uint64_t year;
    uint64_t hour;
    uint64_t minute;
    uint64_t second;
    int64_t zone_seconds; /* east of Greenwich */
};

static const struct str months[] = {STR_INIT("jan"), STR_INIT("feb"), STR_INIT("mar"),
                                    STR_INIT("apr"), STR_INIT("may"), STR_INIT("jun"),
                                    STR_INIT("jul"), STR_INIT("aug"), STR_INIT("sep"),
                                    STR_INIT("oct"), STR_INIT("nov"), STR_INIT("dec")};
static const struct str weekdays[] = {STR_INIT("mon"), STR_INIT("tue"), STR_INIT("wed"),
                                      STR_INIT("thu"), STR_INIT("fri"), STR_INIT("sat"),
                                      STR_INIT("sun")};

/* The place of a name in a table, from 1; 0 when it is not there. */
static size_t
name_find(const struct str *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(names[i], name)) {
            return i + 1;
        }
    }
    return 0;
}

static struct str
letters(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && char_is_alpha(rest->p[n])) {
        n++;
    }
    struct str word = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return word;
}

/* `least` to `most` digits, then what may stand after any of them. */
static bool
digits(struct str *rest, size_t least, size_t most, uint64_t *number_out)
{
    size_t n = 0;
    while (n < rest->n && char_is_digit(rest->p[n])) {
        n++;
    }
    if (n < least || n > most || str_parse_u64(str_head(*rest, n), 9999, number_out) != STATUS_OK) {
        return false;
    }
    *rest = str_skip(*rest, n);
    return mail_token_skip_cfws(rest) == STATUS_OK;
}

/* [ day-name "," ] */
static bool
parse_weekday(struct str *rest)
{
    if (mail_token_skip_cfws(rest) != STATUS_OK) {
        return false;
    }
    if (rest->n == 0 || !char_is_alpha(rest->p[0])) {
        return true;
    }
    return name_find(weekdays, 7, letters(rest)) > 0 && mail_token_skip_cfws(rest) == STATUS_OK &&
           mail_token_char(rest, ',') && mail_token_skip_cfws(rest) == STATUS_OK;
}

/* day month year */
static bool
parse_day(struct str *rest, struct date *date)
{
    if (!digits(rest, 1, 2, &date->day)) {
        return false;
    }
    date->month = name_find(months, 12, letters(rest));
    if (date->month == 0 || mail_token_skip_cfws(rest) != STATUS_OK) {
        return false;
    }
    size_t width = 0;
    while (width < rest->n && char_is_digit(rest->p[width])) {
        width++;
    }
    if (!digits(rest, 2, 4, &date->year)) {
        return false;
    }
    /* RFC 5322 4.3: two digits below 50 are of this century; three count from 1900. */
    if (width == 3 || (width == 2 && date->year >= 50)) {
        date->year += 1900;
    } else if (width == 2) {
        date->year += 2000;
    }
    return true;
}

/* hour ":" minute [ ":" second ] */
static bool
parse_time(struct str *rest, struct date *date)
{
    if (!digits(rest, 1, 2, &date->hour) || !mail_token_char(rest, ':') ||
        mail_token_skip_cfws(rest) != STATUS_OK || !digits(rest, 2, 2, &date->minute)) {
        return false;
    }
    if (!mail_token_char(rest, ':')) {
        return true;
    }
    return mail_token_skip_cfws(rest) == STATUS_OK && digits(rest, 2, 2, &date->second);
}

static bool
parse_zone_name(struct str name, struct date *date)
{
    static const struct {
        struct str name;
        int hours;
    } zones[] = {{STR_INIT("EST"), -5}, {STR_INIT("EDT"), -4}, {STR_INIT("CST"), -6},
                 {STR_INIT("CDT"), -5}, {STR_INIT("MST"), -7}, {STR_INIT("MDT"), -6},
                 {STR_INIT("PST"), -8}, {STR_INIT("PDT"), -7}};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (str_eq_nocase(zones[i].name, name)) {
            date->zone_seconds = zones[i].hours * 3600;
        }
    }
    /* RFC 5322 4.3: all other letters mean nothing more than "-0000". */
    return name.n > 0;
}

/* ( "+" / "-" ) 4DIGIT, or a name */
static bool
parse_zone(struct str *rest, struct date *date)
{
    uint64_t number;
    bool west = mail_token_char(rest, '-');
    if (!west && !mail_token_char(rest, '+')) {
        return parse_zone_name(letters(rest), date) && mail_token_skip_cfws(rest) == STATUS_OK;
    }
    if (!digits(rest, 4, 4, &number) || number % 100 > 59) {
        return false;
    }
    int64_t seconds = (int64_t)(number / 100 * 3600 + number % 100 * 60);
    date->zone_seconds = west ? -seconds : seconds;
    return true;
}

static bool
is_leap_year(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool
date_exists(const struct date *date)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t length = lengths[date->month - 1];
    if (date->month == 2 && is_leap_year(date->year)) {
        length++;
    }
    /* A leap second is written 60 (RFC 5322 3.3). */
    return date->year >= 1900 && date->day >= 1 && date->day <= length && date->hour <= 23 &&
           date->minute <= 59 && date->second <= 60;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. */
static int64_t
days_from_epoch(const struct date *date)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t years = (int64_t)date->year - 1;
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400;
    days += before[date->month - 1] + (date->month > 2 && is_leap_year(date->year) ? 1 : 0);
    return days + (int64_t)date->day - 1 - 719162; /* days before 1970 */
}

enum status
mail_date_parse(struct str value, int64_t *wall_ms_out)
{
    struct str rest = value;
    struct date date = {0};
    if (!parse_weekday(&rest) || !parse_day(&rest, &date) || !parse_time(&rest, &date) ||
        !parse_zone(&rest, &date) || rest.n > 0 || !date_exists(&date)) {
        return STATUS_SYNTAX;
    }
    int64_t seconds = days_from_epoch(&date) * DAY_SECONDS + (int64_t)(date.hour * 3600) +
                      (int64_t)(date.minute * 60 + date.second) - date.zone_seconds;
    *wall_ms_out = seconds * 1000;
    return STATUS_OK;
}
