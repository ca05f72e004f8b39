#include <jansson.h>
#include <time.h>

#include "base/gzip.h"
#include "base/ip.h"
#include "mail/author.h"
#include "transport/tlsrpt_report.h"

const char *
tlsrpt_note_text(enum tlsrpt_note note)
{
    switch (note) {
    case TLSRPT_NOTE_MISSING:
        return "a member that RFC 8460 wants is missing";
    case TLSRPT_NOTE_TYPE:
        return "a member is not of the type that RFC 8460 wants";
    case TLSRPT_NOTE_WORD:
        return "a result or a type of policy is not one of RFC 8460";
    case TLSRPT_NOTE_SUM:
        return "the details of failures do not add up to the summary";
    case TLSRPT_NOTE_LIMIT:
        return "the report has more than is kept; the rest is left out";
    case TLSRPT_NOTE_ADDRESS:
        return "an IP address is not valid";
    }
    return "unknown";
}

struct reader {
    struct arena *arena;
    unsigned notes;
    bool is_full;    /* the arena is */
    size_t failures; /* so far */
};

static void *
take_room(struct reader *reader, size_t count, size_t size)
{
    void *p = arena_alloc_array(reader->arena, count > 0 ? count : 1, size);
    reader->is_full = reader->is_full || p == NULL;
    return p;
}

/* How many of `count` are kept. */
static size_t
keep(struct reader *reader, size_t count, size_t most)
{
    reader->notes |= count > most ? TLSRPT_NOTE_LIMIT : 0;
    return count < most ? count : most;
}

/* ---- members */

/* A copy of a text, cut where it is too long, not within a character. */
static struct str
copy_text(struct reader *reader, const json_t *value)
{
    struct str text = str_make(json_string_value(value), json_string_length(value));
    size_t n = keep(reader, text.n, TLSRPT_TEXT_OCTETS_MAX);
    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80) {
        n--;
    }
    struct str copy = arena_str_dup(reader->arena, str_head(text, n));
    reader->is_full = reader->is_full || copy.p == NULL;
    return copy;
}

enum need {
    OPTIONAL,
    NEEDED,
};

/* A member that is a text; empty when there is none. */
static struct str
text_of(struct reader *reader, const json_t *object, const char *key, enum need need)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) {
        return copy_text(reader, value);
    }
    if (value == NULL || json_is_null(value)) {
        reader->notes |= need == NEEDED ? TLSRPT_NOTE_MISSING : 0;
    } else {
        reader->notes |= TLSRPT_NOTE_TYPE;
    }
    return STR("");
}

/* A number of sessions; some write it as a text. */
static uint64_t
count_of(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    uint64_t number;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return (uint64_t)json_integer_value(value);
    }
    reader->notes |= value == NULL ? TLSRPT_NOTE_MISSING : TLSRPT_NOTE_TYPE;
    struct str text = str_make(json_string_value(value), json_string_length(value));
    return str_parse_u64(text, INT64_MAX, &number) == STATUS_OK ? number : 0;
}

/* A list of texts; a single text is a list of one. */
static const struct str *
texts_of(struct reader *reader, const json_t *object, const char *key, size_t *count_out)
{
    const json_t *value = json_object_get(object, key);
    bool is_list = json_is_array(value);
    size_t most = is_list ? json_array_size(value) : json_is_string(value);
    size_t count = 0;
    most = keep(reader, most, TLSRPT_LINES_MAX);
    reader->notes |= value != NULL && !is_list ? TLSRPT_NOTE_TYPE : 0;
    struct str *texts = take_room(reader, most, sizeof *texts);
    for (size_t i = 0; texts != NULL && i < most; i++) {
        const json_t *item = is_list ? json_array_get(value, i) : value;
        if (json_is_string(item)) {
            texts[count++] = copy_text(reader, item);
        } else {
            reader->notes |= TLSRPT_NOTE_TYPE;
        }
    }
    *count_out = count;
    return texts;
}

/* The name of a member, or that which some give it (the prose of RFC 8460 4.4 has both). */
static const char *
either(const json_t *object, const char *key, const char *other)
{
    return json_object_get(object, key) == NULL && json_object_get(object, other) != NULL ? other
                                                                                          : key;
}

/* Two digits and more at a place; -1: they are none. */
static int
digits_at(struct str text, size_t at, size_t n)
{
    uint64_t number;
    struct str digits = str_head(str_skip(text, at), n);
    return digits.n == n && str_parse_u64(digits, 9999, &number) == STATUS_OK ? (int)number : -1;
}

/* "+hh:mm" in seconds; "Z" and nothing are 0. False: it is no offset. */
static bool
read_offset(struct str text, int64_t *seconds_out)
{
    if (text.n == 0 || str_eq_nocase(text, STR("Z"))) {
        *seconds_out = 0;
        return true;
    }
    int hours = digits_at(text, 1, 2);
    int minutes = digits_at(text, 4, 2);
    if (text.n != 6 || !str_contains_char(STR("+-"), text.p[0]) || text.p[3] != ':' || hours < 0 ||
        minutes < 0) {
        return false;
    }
    *seconds_out = (text.p[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

/* RFC 3339 5.6: "2016-04-01T23:59:59.123+02:00"; 0: it is none. */
static int64_t
read_time(struct str text)
{
    struct tm tm = {.tm_year = digits_at(text, 0, 4) - 1900,
                    .tm_mon = digits_at(text, 5, 2) - 1,
                    .tm_mday = digits_at(text, 8, 2),
                    .tm_hour = digits_at(text, 11, 2),
                    .tm_min = digits_at(text, 14, 2),
                    .tm_sec = digits_at(text, 17, 2)};
    struct str rest = str_skip(text, 19);
    int64_t offset;
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
        tm.tm_sec > 60) {
        return 0;
    }
    if (rest.n > 0 && rest.p[0] == '.') {
        do {
            rest = str_skip(rest, 1);
        } while (rest.n > 0 && char_is_digit(rest.p[0]));
    }
    return read_offset(rest, &offset) ? (int64_t)timegm(&tm) - offset : 0;
}

static int64_t
time_of(struct reader *reader, const json_t *object, const char *key)
{
    int64_t seconds = read_time(text_of(reader, object, key, NEEDED));
    reader->notes |= seconds == 0 ? TLSRPT_NOTE_TYPE : 0;
    return seconds;
}

/* An address in its usual form; one that is none stays as it is. */
static struct str
ip_of(struct reader *reader, const json_t *object, const char *key)
{
    struct ip_address ip;
    char text[IP_TEXT_MAX];
    struct str written = text_of(reader, object, key, OPTIONAL);
    if (written.n == 0 || ip_parse(written, &ip) != STATUS_OK) {
        reader->notes |= written.n > 0 ? TLSRPT_NOTE_ADDRESS : 0;
        return written;
    }
    struct str copy = arena_str_dup(reader->arena, str_from_cstr(ip_format(&ip, text)));
    reader->is_full = reader->is_full || copy.p == NULL;
    return copy;
}

/* ---- failures */

static void
read_failure(struct reader *reader, const json_t *json, struct tlsrpt_failure *out)
{
    struct str word = text_of(reader, json, "result-type", NEEDED);
    const char *information = either(json, "additional-information", "additional-info-uri");
    *out = (struct tlsrpt_failure){
        .result = tls_result_find(word),
        .result_word = word,
        .sending_ip = ip_of(reader, json, "sending-mta-ip"),
        .mx = text_of(reader, json, "receiving-mx-hostname", OPTIONAL),
        .helo = text_of(reader, json, "receiving-mx-helo", OPTIONAL),
        .receiving_ip = ip_of(reader, json, "receiving-ip"),
        .sessions = count_of(reader, json, "failed-session-count"),
        .information = text_of(reader, json, information, OPTIONAL),
        .reason = text_of(reader, json, "failure-reason-code", OPTIONAL),
    };
    reader->notes |= out->result == TLS_RESULT_SUCCESS && word.n > 0 ? TLSRPT_NOTE_WORD : 0;
}

static void
read_failures(struct reader *reader, const json_t *list, struct tlsrpt_policy *policy)
{
    size_t most = keep(reader, json_array_size(list), TLSRPT_FAILURES_MAX - reader->failures);
    struct tlsrpt_failure *failures = take_room(reader, most, sizeof *failures);
    uint64_t sum = 0;
    size_t count = 0;
    reader->notes |= list != NULL && !json_is_array(list) ? TLSRPT_NOTE_TYPE : 0;
    for (size_t i = 0; failures != NULL && i < most; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_object(item)) {
            reader->notes |= TLSRPT_NOTE_TYPE;
            continue;
        }
        read_failure(reader, item, &failures[count]);
        sum += failures[count].sessions;
        count++;
    }
    reader->failures += count;
    policy->failures = failures;
    policy->failure_count = count;
    reader->notes |= count > 0 && sum != policy->failed ? TLSRPT_NOTE_SUM : 0;
}

/* ---- policies */

/* False: it has no domain, and is left out. */
static bool
read_policy(struct reader *reader, const json_t *json, struct tlsrpt_policy *out)
{
    const json_t *subject = json_object_get(json, "policy");
    const json_t *summary = json_object_get(json, "summary");
    struct tlsrpt_policy policy = {.type = TLS_POLICY_NONE};
    struct str type = text_of(reader, subject, "policy-type", NEEDED);
    struct str domain = text_of(reader, subject, "policy-domain", NEEDED);
    domain.n -= str_ends_with(domain, STR("."));
    if (mail_domain_normalize(reader->arena, domain, &policy.domain) != STATUS_OK) {
        reader->notes |= TLSRPT_NOTE_TYPE;
        return false;
    }
    policy.type = tls_policy_type_find(type);
    policy.type_word = type;
    reader->notes |= policy.type == TLS_POLICY_COUNT_ ? TLSRPT_NOTE_WORD : 0;
    policy.lines = texts_of(reader, subject, "policy-string", &policy.line_count);
    policy.mx =
        texts_of(reader, subject, either(subject, "mx-host", "mx-host-pattern"), &policy.mx_count);
    policy.successful = count_of(reader, summary, "total-successful-session-count");
    policy.failed = count_of(reader, summary, "total-failure-session-count");
    read_failures(reader, json_object_get(json, "failure-details"), &policy);
    *out = policy;
    return true;
}

static const char *
read_policies(struct reader *reader, const json_t *list, struct tlsrpt_report *report)
{
    size_t most = keep(reader, json_array_size(list), TLSRPT_POLICIES_MAX);
    struct tlsrpt_policy *policies = take_room(reader, most, sizeof *policies);
    size_t count = 0;
    if (!json_is_array(list)) {
        return "it has no list of policies";
    }
    for (size_t i = 0; policies != NULL && i < most && !reader->is_full; i++) {
        count += read_policy(reader, json_array_get(list, i), &policies[count]);
    }
    report->policies = policies;
    report->policy_count = count;
    return count == 0 && most > 0 ? "none of its policies has a domain" : NULL;
}

static const char *
read_report(struct reader *reader, const json_t *json, struct tlsrpt_report *report)
{
    const json_t *range = json_object_get(json, "date-range");
    if (!json_is_object(json)) {
        return "it is no JSON object";
    }
    report->organization = text_of(reader, json, "organization-name", NEEDED);
    report->start_s = time_of(reader, range, "start-datetime");
    report->end_s = time_of(reader, range, "end-datetime");
    report->contact = text_of(reader, json, "contact-info", NEEDED);
    report->id = text_of(reader, json, "report-id", NEEDED);
    return read_policies(reader, json_object_get(json, "policies"), report);
}

/* ---- the whole */

static enum status
read_json(struct arena *arena, struct str text, struct tlsrpt_report *report_out,
          const char **problem_out)
{
    struct reader reader = {.arena = arena};
    struct tlsrpt_report report = {.start_s = 0};
    json_error_t error;
    static const struct str byte_order_mark = STR_INIT("\xef\xbb\xbf");
    if (text.n > TLSRPT_JSON_MAX) {
        *problem_out = "it is larger than 4 MiB";
        return STATUS_LIMIT;
    }
    if (str_starts_with(text, byte_order_mark)) {
        text = str_skip(text, byte_order_mark.n);
    }
    json_t *json = json_loadb(text.p != NULL ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        *problem_out = "it is no JSON";
        return STATUS_SYNTAX;
    }
    const char *problem = read_report(&reader, json, &report);
    json_decref(json);
    if (reader.is_full) {
        *problem_out = NULL;
        return STATUS_LIMIT;
    }
    if (problem != NULL) {
        *problem_out = problem;
        return STATUS_SYNTAX;
    }
    report.notes = reader.notes;
    *report_out = report;
    return STATUS_OK;
}

enum status
tlsrpt_report_read(struct arena *arena, struct str octets, struct tlsrpt_report *report_out,
                   const char **problem_out)
{
    struct buf text;
    if (!gzip_is(octets)) {
        return read_json(arena, octets, report_out, problem_out);
    }
    buf_init(&text, TLSRPT_JSON_MAX);
    enum status status = gzip_decode(octets, &text);
    if (status == STATUS_OK) {
        status = read_json(arena, buf_str(&text), report_out, problem_out);
    } else {
        *problem_out = status == STATUS_LIMIT ? "it is larger than 4 MiB when decompressed"
                                              : "its gzip is damaged";
    }
    buf_free(&text);
    return status;
}
