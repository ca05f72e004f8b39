#include "config/scalar.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "finding/finding.h"

static const char too_large[] = "the configuration is too large";

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: scalar_bound takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", 24ull * 3600 * 1000}, {"h", 3600ull * 1000}, {"m", 60ull * 1000}, {"s", 1000}, {"ms", 1},
};

static const struct unit size_units[] = {
    {"PiB", 1ull << 50}, {"TiB", 1ull << 40},      {"GiB", 1ull << 30},   {"MiB", 1ull << 20},
    {"KiB", 1ull << 10}, {"TB", 1000000000000ull}, {"GB", 1000000000ull}, {"MB", 1000000ull},
    {"KB", 1000ull},     {"kB", 1000ull},          {"B", 1ull},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct unit *
unit_find(const struct unit *units, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(name, str_from_cstr(units[i].name))) {
            return &units[i];
        }
    }
    return NULL;
}

static bool
within_bounds(const struct scalar_input *in, uint64_t value)
{
    return value >= in->field->least && value <= in->field->most;
}

/* Digits without a leading zero, which other readers of YAML take for octal. */
static bool
parse_digits(struct scalar_input *in, struct str digits, uint64_t *out)
{
    if (digits.n > 1 && digits.p[0] == '0') {
        in->reason = "leave out the leading zero";
        return false;
    }
    return str_parse_u64(digits, UINT64_MAX, out) == STATUS_OK;
}

static bool
parse_whole(struct scalar_input *in, uint64_t *out)
{
    uint64_t value;
    if (!parse_digits(in, in->text, &value) || !within_bounds(in, value)) {
        return false;
    }
    *out = value;
    return true;
}

/* What follows the digits is no unit; perhaps it is one in another case. */
static void
report_unit(struct scalar_input *in, const struct unit *units, size_t count, size_t digits)
{
    in->reason = "no such unit";
    for (size_t i = 0; i < count && in->suggestion == NULL; i++) {
        if (str_eq_nocase(str_skip(in->text, digits), str_from_cstr(units[i].name))) {
            in->suggestion =
                arena_printf(in->arena, "%.*s%s", (int)digits, in->text.p, units[i].name).p;
        }
    }
}

/* A number and one of the units; a number alone is in `plain` units of the smallest. */
static bool
parse_with_unit(struct scalar_input *in, const struct unit *units, size_t count, uint64_t plain,
                uint64_t *out)
{
    size_t digits = 0;
    while (digits < in->text.n && char_is_digit(in->text.p[digits])) {
        digits++;
    }
    uint64_t number;
    if (!parse_digits(in, str_head(in->text, digits), &number)) {
        return false;
    }
    struct str name = str_skip(in->text, digits);
    if (name.n > 0 && name.p[0] == ' ') {
        in->reason = "no blank between number and unit";
        return false;
    }
    const struct unit *unit = unit_find(units, count, name);
    if (unit == NULL && name.n > 0) {
        report_unit(in, units, count, digits);
        return false;
    }
    uint64_t value;
    if (__builtin_mul_overflow(number, unit != NULL ? unit->factor : plain, &value) ||
        !within_bounds(in, value)) {
        return false;
    }
    *out = value;
    return true;
}

static bool
parse_bool(struct scalar_input *in, void *out)
{
    static const char *const yes[] = {"yes", "on", "y"};
    static const char *const no[] = {"no", "off", "n"};
    bool value = str_eq(in->text, STR("true"));
    if (value || str_eq(in->text, STR("false"))) {
        memcpy(out, &value, sizeof value);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (str_eq_nocase(in->text, str_from_cstr(yes[i]))) {
            in->suggestion = "true";
        } else if (str_eq_nocase(in->text, str_from_cstr(no[i]))) {
            in->suggestion = "false";
        }
    }
    if (str_eq_nocase(in->text, STR("true"))) {
        in->suggestion = "true";
    } else if (str_eq_nocase(in->text, STR("false"))) {
        in->suggestion = "false";
    }
    return false;
}

static bool
parse_count(struct scalar_input *in, void *out)
{
    uint64_t value;
    if (!parse_whole(in, &value)) {
        return false;
    }
    uint32_t count = (uint32_t)value;
    memcpy(out, &count, sizeof count);
    return true;
}

static bool
parse_port(struct scalar_input *in, void *out)
{
    uint64_t value;
    if (!parse_whole(in, &value)) {
        return false;
    }
    uint16_t port = (uint16_t)value;
    memcpy(out, &port, sizeof port);
    return true;
}

/* Digits, and at most three after a point: exact in thousandths. */
static bool
parse_decimal(struct scalar_input *in, void *out)
{
    struct str whole;
    struct str part;
    bool has_point = str_cut(in->text, '.', &whole, &part);
    uint64_t integer;
    uint64_t thousandths = 0;
    if (!parse_digits(in, whole, &integer) || integer > UINT32_MAX) {
        return false;
    }
    if (has_point && (part.n > 3 || str_parse_u64(part, 999, &thousandths) != STATUS_OK)) {
        in->reason = "at most three digits after the point";
        return false;
    }
    for (size_t i = part.n; i < 3; i++) {
        thousandths *= 10;
    }
    uint64_t total = integer * 1000 + thousandths;
    if (!within_bounds(in, total)) {
        return false;
    }
    double value = (double)total / 1000.0;
    memcpy(out, &value, sizeof value);
    return true;
}

static bool
parse_duration(struct scalar_input *in, void *out)
{
    uint64_t value;
    if (!parse_with_unit(in, duration_units, COUNT_OF(duration_units), 1000, &value)) {
        return false;
    }
    int64_t ms = (int64_t)value;
    memcpy(out, &ms, sizeof ms);
    return true;
}

static bool
parse_size(struct scalar_input *in, void *out)
{
    uint64_t value;
    if (!parse_with_unit(in, size_units, COUNT_OF(size_units), 1, &value)) {
        return false;
    }
    memcpy(out, &value, sizeof value);
    return true;
}

/* A day of the calendar, written as YYYY-MM-DD; true when there is such a day. */
static bool
day_read(struct str text, struct tm *tm)
{
    int numbers[3] = {0};
    static const size_t starts[] = {0, 5, 8}, ends[] = {4, 7, 10};
    if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-') {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = starts[i]; at < ends[i]; at++) {
            if (text.p[at] < '0' || text.p[at] > '9') {
                return false;
            }
            numbers[i] = numbers[i] * 10 + (text.p[at] - '0');
        }
    }
    *tm =
        (struct tm){.tm_year = numbers[0] - 1900, .tm_mon = numbers[1] - 1, .tm_mday = numbers[2]};
    struct tm normal = *tm;
    (void)timegm(&normal);
    return numbers[0] >= 1970 && normal.tm_mon == tm->tm_mon && normal.tm_mday == tm->tm_mday;
}

static bool
parse_date(struct scalar_input *in, void *out)
{
    struct tm tm;
    if (!day_read(in->text, &tm)) {
        return false;
    }
    tm.tm_mday++; /* the first moment that is not that day any more */
    int64_t end_ms = (int64_t)timegm(&tm) * 1000;
    memcpy(out, &end_ms, sizeof end_ms);
    return true;
}

static const char *
choice_name(const void *choices, size_t i)
{
    return ((const struct schema_choice *)choices)[i].name;
}

static bool
parse_choice(struct scalar_input *in, void *out)
{
    const struct schema_choice *choices = in->field->choices;
    size_t count = 0;
    for (; choices[count].name != NULL; count++) {
        if (str_eq(in->text, str_from_cstr(choices[count].name))) {
            memcpy(out, &choices[count].value, sizeof choices[count].value);
            return true;
        }
    }
    in->suggestion = suggest_name(in->text, choices, count, choice_name);
    return false;
}

static const char *
finding_name(const void *rows, size_t i)
{
    return ((const struct finding_row *)rows)[i].name;
}

static bool
parse_finding(struct scalar_input *in, void *out)
{
    const struct finding_row *row = finding_row_by_name(in->text);
    if (row == NULL) {
        size_t count;
        const struct finding_row *rows = finding_rows(&count);
        in->suggestion = suggest_name(in->text, rows, count, finding_name);
        return false;
    }
    memcpy(out, &row->id, sizeof row->id);
    return true;
}

static bool
put_text(struct scalar_input *in, void *out)
{
    struct str copy = arena_str_dup(in->arena, in->text);
    if (copy.p == NULL) {
        in->reason = too_large;
        return false;
    }
    memcpy(out, &copy, sizeof copy);
    return true;
}

static bool
parse_text(struct scalar_input *in, void *out)
{
    for (size_t i = 0; i < in->text.n; i++) {
        if (in->text.p[i] < 0x20 || in->text.p[i] > 0x7e) {
            return false;
        }
    }
    return within_bounds(in, in->text.n) && put_text(in, out);
}

static bool
parse_name(struct scalar_input *in, void *out)
{
    if (in->text.n == 0 || in->text.n > NAME_MAX_LENGTH) {
        return false;
    }
    for (size_t i = 0; i < in->text.n; i++) {
        char c = in->text.p[i];
        bool inner = char_is_digit(c) || c == '-';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(inner && i > 0)) {
            return false;
        }
    }
    return put_text(in, out);
}

static bool
parse_separator(struct scalar_input *in, void *out)
{
    /* Of the characters that a local part has without quotes; the dot would cut ordinary names. */
    static const struct str allowed = STR_INIT("!#$%&'*+-/=?^_`{|}~");
    if (in->text.n != 1 || !str_contains_char(allowed, in->text.p[0])) {
        return false;
    }
    memcpy(out, in->text.p, 1);
    return true;
}

static bool
parse_path(struct scalar_input *in, void *out)
{
    if (in->text.n > FILE_PATH_MAX) {
        in->reason = "longer than the 4095 octets that the system takes";
        return false;
    }
    if (in->text.n == 0 || in->text.p[0] != '/') {
        in->reason = "it must begin with /";
        return false;
    }
    for (size_t i = 0; i < in->text.n; i++) {
        if ((unsigned char)in->text.p[i] < 0x20 || in->text.p[i] == 0x7f) {
            in->reason = "control characters are not allowed";
            return false;
        }
    }
    return put_text(in, out);
}

#define DOMAIN_PATTERN "[^\\s@/:\\[\\]]+"

static const struct scalar_type scalar_types[] = {
    [SCHEMA_BOOL] = {"true or false", "true or false", sizeof(bool), true, "boolean", NULL,
                     parse_bool},
    [SCHEMA_COUNT] = {"number", "a whole number", sizeof(uint32_t), true, "integer", NULL,
                      parse_count},
    [SCHEMA_PORT] = {"port", "a port number", sizeof(uint16_t), true, "integer", NULL, parse_port},
    [SCHEMA_DECIMAL] = {"decimal", "a number", sizeof(double), true, "number", NULL, parse_decimal},
    [SCHEMA_DURATION] = {"duration", "a duration such as 30s, 5m, 4h or 5d", sizeof(int64_t), false,
                         "string", "^(0|[1-9][0-9]*)(ms|s|m|h|d)?$", parse_duration},
    [SCHEMA_SIZE] = {"size", "a size such as 512KiB, 50MiB or 10MB", sizeof(uint64_t), false,
                     "string", "^(0|[1-9][0-9]*)(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB|PiB)?$",
                     parse_size},
    [SCHEMA_DATE] = {"date", "a date such as 2027-01-31", sizeof(int64_t), false, "string",
                     "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", parse_date},
    [SCHEMA_CHOICE] = {"choice", "one of the choices", sizeof(unsigned), false, "string", NULL,
                       parse_choice},
    [SCHEMA_TEXT] = {"text", "printable ASCII text", sizeof(struct str), false, "string",
                     "^[ -~]*$", parse_text},
    [SCHEMA_NAME] = {"name", "a name of at most 32 characters a-z, 0-9, _ and -, a letter first",
                     sizeof(struct str), false, "string", "^[a-z_][a-z0-9_-]{0,31}$", parse_name},
    [SCHEMA_SEPARATOR] = {"character", "one of the characters !#$%&'*+-/=?^_`{|}~", sizeof(char),
                          false, "string", "^[!#$%&'*+/=?^_`{|}~-]$", parse_separator},
    [SCHEMA_PATH] = {"path", "an absolute path", sizeof(struct str), false, "string", "^/",
                     parse_path},
    [SCHEMA_HOSTNAME] = {"host name", "a full host name such as mx.example.com", sizeof(struct str),
                         false, "string", "^" DOMAIN_PATTERN "\\." DOMAIN_PATTERN "$",
                         scalar_parse_hostname},
    [SCHEMA_DOMAIN] = {"domain", "a domain name such as example.com", sizeof(struct str), false,
                       "string", "^" DOMAIN_PATTERN "$", scalar_parse_domain},
    [SCHEMA_ROUTE_DOMAIN] = {"domain", "a domain name such as example.com or .example.com",
                             sizeof(struct str), false, "string", "^" DOMAIN_PATTERN "$",
                             scalar_parse_route_domain},
    [SCHEMA_MAILBOX] = {"address", "an address such as bob@example.com",
                        sizeof(struct config_mailbox), false, "string", "^.+@" DOMAIN_PATTERN "$",
                        scalar_parse_mailbox},
    [SCHEMA_LOCAL_PART] = {"local part", "the part of an address before the @, such as sales",
                           sizeof(struct str), false, "string", "^[^@]+$", scalar_parse_local_part},
    [SCHEMA_ADDRESS] = {"IP address", "an IP address such as 192.0.2.1 or 2001:db8::1",
                        sizeof(struct ip_address), false, "string", "^[0-9A-Fa-f.:]+$",
                        scalar_parse_address},
    [SCHEMA_NETWORK] = {"network", "a network such as 192.0.2.0/24 or 2001:db8::/32",
                        sizeof(struct ip_network), false, "string", "^[0-9A-Fa-f.:]+(/[0-9]+)?$",
                        scalar_parse_network},
    [SCHEMA_ENDPOINT] = {"IP address and port",
                         "an IP address, with @ and a port where it is not 53",
                         sizeof(struct config_endpoint), false, "string",
                         "^[0-9A-Fa-f.:]+(@[0-9]+)?$", scalar_parse_endpoint},
    [SCHEMA_DELIVERY] = {"destination",
                         "lmtp://host:port, lmtp:/path/to/socket, smtp://host:port or mx",
                         sizeof(struct config_delivery), false, "string",
                         "^(mx|lmtp:/.+|smtp://.+)$", scalar_parse_delivery},
    [SCHEMA_FINDING] = {"finding", "the name of a finding, as postern config findings lists them",
                        sizeof(enum finding_id), false, "string", "^[a-z][a-z0-9_]*$",
                        parse_finding},
};

/* A choice is written through an unsigned. */
static_assert(sizeof(enum config_tls_mode) == sizeof(unsigned));
static_assert(sizeof(enum log_level) == sizeof(unsigned));

const struct scalar_type *
scalar_type_of(enum schema_type type)
{
    return &scalar_types[type];
}

static const char *
bound_with_unit(const struct unit *units, size_t count, uint64_t bound,
                char out[static SCALAR_TEXT_MAX])
{
    for (size_t i = 0; i < count; i++) {
        if (bound % units[i].factor == 0) {
            snprintf(out, SCALAR_TEXT_MAX, "%" PRIu64 "%s", bound / units[i].factor, units[i].name);
            break;
        }
    }
    return out;
}

const char *
scalar_bound(const struct schema_field *field, uint64_t bound, char out[static SCALAR_TEXT_MAX])
{
    if (field->type == SCHEMA_DURATION && bound > 0) {
        return bound_with_unit(duration_units, COUNT_OF(duration_units), bound, out);
    }
    if (field->type == SCHEMA_SIZE && bound >= 1024) {
        return bound_with_unit(size_units, COUNT_OF(size_units), bound, out);
    }
    if (field->type == SCHEMA_DECIMAL) {
        snprintf(out, SCALAR_TEXT_MAX, "%.1f", (double)bound / 1000.0);
        return out;
    }
    snprintf(out, SCALAR_TEXT_MAX, "%" PRIu64, bound);
    return out;
}

/* "mx, submission or smtps" */
static struct str
choices_text(struct arena *arena, const struct schema_choice *choices)
{
    struct str text = {0};
    for (size_t i = 0; choices[i].name != NULL; i++) {
        const char *separator = i == 0 ? "" : choices[i + 1].name == NULL ? " or " : ", ";
        text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), separator, choices[i].name);
    }
    return text;
}

struct str
scalar_expected(struct arena *arena, const struct schema_field *field)
{
    const char *expected = scalar_type_of(field->type)->expected;
    if (field->type == SCHEMA_CHOICE) {
        return choices_text(arena, field->choices);
    }
    if (field->is_list || (field->least == 0 && field->most == 0)) {
        return str_from_cstr(expected);
    }
    char least[SCALAR_TEXT_MAX];
    char most[SCALAR_TEXT_MAX];
    scalar_bound(field, field->least, least);
    scalar_bound(field, field->most, most);
    if (field->type == SCHEMA_TEXT) {
        return arena_printf(arena, "%s of %s to %s characters", expected, least, most);
    }
    if (field->type == SCHEMA_DURATION || field->type == SCHEMA_SIZE) {
        return arena_printf(arena, "%s, from %s to %s", expected, least, most);
    }
    return arena_printf(arena, "%s from %s to %s", expected, least, most);
}
