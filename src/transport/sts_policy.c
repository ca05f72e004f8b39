#include "transport/sts_policy.h"

#include "base/ip.h"
#include "smtp/address.h"
#include "transport/txt_fields.h"

/* 1*10(DIGIT) */
#define MAX_AGE_DIGITS 10u

static const char *const modes[] = {"none", "testing", "enforce"};

const char *
sts_mode_name(enum sts_mode mode)
{
    return (unsigned)mode < STS_MODE_COUNT_ ? modes[mode] : "unknown";
}

enum sts_mode
sts_mode_find(struct str word)
{
    unsigned i = 0;
    while (i < STS_MODE_COUNT_ && !str_eq(word, str_from_cstr(modes[i]))) {
        i++;
    }
    return (enum sts_mode)i;
}

const char *
sts_note_text(enum sts_note note)
{
    switch (note) {
    case STS_NOTE_UNKNOWN_KEY:
        return "a key that RFC 8461 does not have is ignored";
    case STS_NOTE_REPEATED_KEY:
        return "a key occurs twice: the first one counts";
    case STS_NOTE_MAX_AGE_CAPPED:
        return "max_age is above 31557600, the greatest value, and is taken as that";
    case STS_NOTE_MX_ADDRESS:
        return "an IP address as mx is ignored: only names of hosts count";
    case STS_NOTE_MX_REPEATED:
        return "the same mx occurs twice";
    case STS_NOTE_EMPTY_LINE:
        return "an empty line is ignored";
    case STS_NOTE_MX_DOT:
        return "the final dot of an mx is ignored";
    }
    return "unknown";
}

/* ---- names of hosts */

enum status
sts_pattern_normalize(struct arena *arena, struct str text, unsigned flags, struct str *pattern_out)
{
    static const struct str wildcard = STR_INIT("*.");
    struct str domain;
    bool is_wildcard = str_starts_with(text, wildcard);
    struct str name = str_skip(text, is_wildcard ? wildcard.n : 0);
    if (name.n > 1 && name.p[name.n - 1] == '.') {
        name.n--;
    }
    enum status status = smtp_domain_parse(arena, name, flags | SMTP_ADDRESS_UNDERSCORE, &domain);
    if (status != STATUS_OK) {
        return status;
    }
    struct str pattern = arena_printf(arena, "%s%.*s", is_wildcard ? "*." : "", STR_ARG(domain));
    if (pattern.p == NULL) {
        return STATUS_LIMIT;
    }
    *pattern_out = pattern;
    return STATUS_OK;
}

bool
sts_pattern_matches(struct str pattern, struct str host)
{
    if (host.n > 0 && host.p[host.n - 1] == '.') {
        host.n--;
    }
    if (str_starts_with(pattern, STR("*."))) {
        /* RFC 6125 6.4.3, as 4.1 wants it: the wildcard is the whole of one label. */
        size_t dot = str_find_char(host, '.');
        return dot != STR_NPOS && dot > 0 &&
               str_eq_nocase(str_skip(host, dot), str_skip(pattern, 1));
    }
    return host.n > 0 && str_eq_nocase(host, pattern);
}

bool
sts_policy_matches(const struct sts_policy *policy, struct str host)
{
    for (size_t i = 0; i < policy->mx_count; i++) {
        if (sts_pattern_matches(policy->mx[i], host)) {
            return true;
        }
    }
    return false;
}

/* ---- reading */

struct reader {
    struct arena *arena;
    struct sts_policy policy;
    struct str *mx; /* policy.mx while it is filled */
    bool has_version, has_mode, has_max_age;
    const char *problem;
};

static enum status
fail(struct reader *reader, const char *problem)
{
    reader->problem = problem;
    return STATUS_SYNTAX;
}

/* An address, plain or as a literal of mail. */
static bool
is_address(struct str text)
{
    struct ip_address ip;
    return ip_parse(text, &ip) == STATUS_OK || smtp_literal_parse(text, &ip) == STATUS_OK;
}

static bool
has_mx(const struct reader *reader, struct str name)
{
    for (size_t i = 0; i < reader->policy.mx_count; i++) {
        if (str_eq(reader->mx[i], name)) {
            return true;
        }
    }
    return false;
}

static enum status
read_mx(struct reader *reader, struct str value)
{
    struct str name;
    struct sts_policy *policy = &reader->policy;
    if (is_address(value)) {
        policy->notes |= STS_NOTE_MX_ADDRESS;
        return STATUS_OK;
    }
    enum status status = sts_pattern_normalize(reader->arena, value, 0, &name);
    if (status != STATUS_OK) {
        return fail(reader, "an mx is no name of a host");
    }
    policy->notes |= str_ends_with(value, STR(".")) ? STS_NOTE_MX_DOT : 0;
    if (has_mx(reader, name)) {
        policy->notes |= STS_NOTE_MX_REPEATED;
        return STATUS_OK;
    }
    if (policy->mx_count == STS_POLICY_MX_MAX) {
        return fail(reader, "there are more than 512 mx");
    }
    reader->mx[policy->mx_count++] = name;
    return STATUS_OK;
}

static enum status
read_version(struct reader *reader, struct str value)
{
    reader->has_version = true;
    return str_eq(value, STR("STSv1")) ? STATUS_OK : fail(reader, "the version is not STSv1");
}

static enum status
read_mode(struct reader *reader, struct str value)
{
    reader->has_mode = true;
    reader->policy.mode = sts_mode_find(value);
    return reader->policy.mode != STS_MODE_COUNT_
               ? STATUS_OK
               : fail(reader, "the mode is not enforce, testing or none");
}

static enum status
read_max_age(struct reader *reader, struct str value)
{
    uint64_t seconds;
    reader->has_max_age = true;
    if (value.n > MAX_AGE_DIGITS || str_parse_u64(value, UINT64_MAX, &seconds) != STATUS_OK) {
        return fail(reader, "max_age is not a number of seconds");
    }
    bool above = seconds > STS_MAX_AGE_MAX;
    reader->policy.notes |= above ? STS_NOTE_MAX_AGE_CAPPED : 0;
    reader->policy.max_age = above ? STS_MAX_AGE_MAX : (uint32_t)seconds;
    return STATUS_OK;
}

static const struct {
    struct str key;
    size_t seen; /* where struct reader has whether it was there */
    enum status (*read)(struct reader *reader, struct str value);
} keys[] = {
    {STR_INIT("version"), offsetof(struct reader, has_version), read_version},
    {STR_INIT("mode"), offsetof(struct reader, has_mode), read_mode},
    {STR_INIT("max_age"), offsetof(struct reader, has_max_age), read_max_age},
};

/* sts-policy-ext-value: UTF-8 without control characters. */
static bool
is_extension_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f) {
            return false;
        }
    }
    return value.n > 0 && str_is_utf8(value);
}

static enum status
read_pair(struct reader *reader, struct str key, struct str value)
{
    if (str_eq(key, STR("mx"))) {
        return read_mx(reader, value);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!str_eq(key, keys[i].key)) {
            continue;
        }
        if (*((const bool *)((const char *)reader + keys[i].seen))) {
            reader->policy.notes |= STS_NOTE_REPEATED_KEY; /* 3.2: the first counts */
            return STATUS_OK;
        }
        return keys[i].read(reader, value);
    }
    if (!txt_fields_is_name(key) || !is_extension_value(value)) {
        return fail(reader, "a line is not of the form \"key: value\"");
    }
    reader->policy.notes |= STS_NOTE_UNKNOWN_KEY;
    return STATUS_OK;
}

/* A line without its end; blanks behind the value belong to nothing. */
static enum status
read_line(struct reader *reader, struct str line)
{
    struct str key;
    struct str value;
    if (str_trim(line).n == 0) {
        reader->policy.notes |= STS_NOTE_EMPTY_LINE;
        return STATUS_OK;
    }
    if (!str_cut(line, ':', &key, &value)) {
        return fail(reader, "a line is not of the form \"key: value\"");
    }
    return read_pair(reader, key, str_trim(value));
}

static enum status
read_lines(struct reader *reader, struct str text, size_t *line_out)
{
    enum status status = STATUS_OK;
    *line_out = 0;
    while (status == STATUS_OK && text.n > 0) {
        struct str line;
        struct str rest;
        str_cut(text, '\n', &line, &rest);
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        text = rest;
        ++*line_out;
        status = read_line(reader, line);
    }
    return status;
}

/* What must be there, whatever the order. */
static const char *
missing(const struct reader *reader)
{
    if (!reader->has_version) {
        return "there is no version";
    }
    if (!reader->has_mode) {
        return "there is no mode";
    }
    if (!reader->has_max_age) {
        return "there is no max_age";
    }
    if (reader->policy.mode != STS_MODE_NONE && reader->policy.mx_count == 0) {
        return "there is no mx that is a name of a host";
    }
    return NULL;
}

enum status
sts_policy_parse(struct arena *arena, struct str text, struct sts_policy *policy_out,
                 struct sts_problem *problem_out)
{
    struct reader reader = {.arena = arena};
    size_t line = 0;
    if (text.n > STS_POLICY_SIZE_MAX) {
        *problem_out = (struct sts_problem){0, "it is larger than 64 KiB"};
        return STATUS_SYNTAX;
    }
    reader.mx = arena_alloc_array(arena, STS_POLICY_MX_MAX, sizeof *reader.mx);
    if (reader.mx == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = read_lines(&reader, text, &line);
    if (status == STATUS_OK && missing(&reader) != NULL) {
        line = 0;
        status = fail(&reader, missing(&reader));
    }
    if (status == STATUS_SYNTAX) {
        *problem_out = (struct sts_problem){line, reader.problem};
    } else if (status == STATUS_OK) {
        reader.policy.mx = reader.mx;
        *policy_out = reader.policy;
    }
    return status;
}

/* ---- writing */

/* version, mode and max_age stand in three lines. */
#define LINES_BESIDE_MX 3u

const struct str *
sts_policy_lines(struct arena *arena, const struct sts_policy *policy, size_t *count_out)
{
    size_t count = 0;
    struct str *lines = arena_alloc_array(arena, policy->mx_count + LINES_BESIDE_MX, sizeof *lines);
    if (lines == NULL) {
        return NULL;
    }
    lines[count++] = STR("version: STSv1");
    lines[count++] = arena_printf(arena, "mode: %s", sts_mode_name(policy->mode));
    for (size_t i = 0; i < policy->mx_count; i++) {
        lines[count++] = arena_printf(arena, "mx: %.*s", STR_ARG(policy->mx[i]));
    }
    lines[count++] = arena_printf(arena, "max_age: %u", policy->max_age);
    for (size_t i = 0; i < count; i++) {
        if (lines[i].p == NULL) {
            return NULL;
        }
    }
    *count_out = count;
    return lines;
}

struct str
sts_policy_text(struct arena *arena, const struct sts_policy *policy)
{
    size_t count = 0;
    struct str *parts =
        arena_alloc_array(arena, 2 * policy->mx_count + LINES_BESIDE_MX, sizeof *parts);
    if (parts == NULL) {
        return str_make(NULL, 0);
    }
    parts[count++] = arena_printf(arena, "version:STSv1\nmode:%s", sts_mode_name(policy->mode));
    for (size_t i = 0; i < policy->mx_count; i++) {
        parts[count++] = STR("\nmx:");
        parts[count++] = policy->mx[i];
    }
    parts[count++] = arena_printf(arena, "\nmax_age:%u", policy->max_age);
    if (parts[0].p == NULL || parts[count - 1].p == NULL) {
        return str_make(NULL, 0);
    }
    return arena_concat(arena, parts, count);
}

/* ---- the response */

enum sts_response_fault
sts_response_judge(const struct sts_response *response)
{
    struct str type;
    struct str parameters;
    str_cut(response->content_type, ';', &type, &parameters);
    if (response->status >= 300 && response->status < 400) {
        return STS_RESPONSE_REDIRECT;
    }
    if (response->status != 200) {
        return STS_RESPONSE_STATUS;
    }
    if (!str_eq_nocase(str_trim(type), STR("text/plain"))) {
        return STS_RESPONSE_TYPE;
    }
    return response->size > STS_POLICY_SIZE_MAX ? STS_RESPONSE_SIZE : STS_RESPONSE_OK;
}

const char *
sts_response_fault_text(enum sts_response_fault fault)
{
    static const char *const texts[STS_RESPONSE_COUNT_] = {
        "", "the web server redirects", "the web server does not answer with 200",
        "the policy is not of type text/plain", "the policy is larger than 64 KiB"};
    return (unsigned)fault < STS_RESPONSE_COUNT_ ? texts[fault] : "unknown";
}
