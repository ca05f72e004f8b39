#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "transport/tlsrpt_report.h"

/* Text that is not UTF-8 cannot stand in JSON: what is not ASCII becomes "?" then. */
static json_t *
text_json(struct str text)
{
    if (text.n == 0) {
        return json_string("");
    }
    json_t *json = json_stringn(text.p, text.n);
    char *copy = json == NULL ? malloc(text.n + 1) : NULL;
    for (size_t i = 0; copy != NULL && i < text.n; i++) {
        copy[i] = (unsigned char)text.p[i] < 0x80 && text.p[i] != '\0' ? text.p[i] : '?';
    }
    if (copy != NULL) {
        json = json_stringn(copy, text.n);
        free(copy);
    }
    return json;
}

static void
set_text(json_t *object, const char *key, struct str text)
{
    if (text.n > 0) {
        json_object_set_new(object, key, text_json(text));
    }
}

/* RFC 3339, in UTC. */
static json_t *
time_json(int64_t seconds)
{
    char text[64];
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        return json_string("");
    }
    return json_string(text);
}

static json_t *
list_json(const struct str *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, text_json(texts[i]));
    }
    return list;
}

static json_t *
failure_json(const struct tlsrpt_failure *failure)
{
    json_t *json = json_object();
    bool known = failure->result != TLS_RESULT_SUCCESS;
    json_object_set_new(json, "result-type",
                        known ? json_string(tls_result_name(failure->result))
                              : text_json(failure->result_word));
    set_text(json, "sending-mta-ip", failure->sending_ip);
    set_text(json, "receiving-mx-hostname", failure->mx);
    set_text(json, "receiving-mx-helo", failure->helo);
    set_text(json, "receiving-ip", failure->receiving_ip);
    json_object_set_new(json, "failed-session-count", json_integer((json_int_t)failure->sessions));
    set_text(json, "additional-information", failure->information);
    set_text(json, "failure-reason-code", failure->reason);
    return json;
}

/* RFC 8460 4.4: no policy-string where there was no policy, mx-host of MTA-STS only. */
static json_t *
subject_json(const struct tlsrpt_policy *policy)
{
    json_t *json = json_object();
    json_object_set_new(json, "policy-type",
                        policy->type < TLS_POLICY_COUNT_
                            ? json_string(tls_policy_type_name(policy->type))
                            : text_json(policy->type_word));
    if (policy->type != TLS_POLICY_NONE && policy->line_count > 0) {
        json_object_set_new(json, "policy-string", list_json(policy->lines, policy->line_count));
    }
    json_object_set_new(json, "policy-domain", text_json(policy->domain));
    if (policy->type == TLS_POLICY_STS && policy->mx_count > 0) {
        json_object_set_new(json, "mx-host", list_json(policy->mx, policy->mx_count));
    }
    return json;
}

static json_t *
policy_json(const struct tlsrpt_policy *policy)
{
    json_t *json = json_object();
    json_t *summary = json_object();
    json_t *details = json_array();
    json_object_set_new(json, "policy", subject_json(policy));
    json_object_set_new(summary, "total-successful-session-count",
                        json_integer((json_int_t)policy->successful));
    json_object_set_new(summary, "total-failure-session-count",
                        json_integer((json_int_t)policy->failed));
    json_object_set_new(json, "summary", summary);
    for (size_t i = 0; i < policy->failure_count; i++) {
        json_array_append_new(details, failure_json(&policy->failures[i]));
    }
    if (policy->failure_count > 0) {
        json_object_set(json, "failure-details", details);
    }
    json_decref(details);
    return json;
}

static json_t *
report_json(const struct tlsrpt_report *report)
{
    json_t *json = json_object();
    json_t *range = json_object();
    json_t *policies = json_array();
    json_object_set_new(json, "organization-name", text_json(report->organization));
    json_object_set_new(range, "start-datetime", time_json(report->start_s));
    json_object_set_new(range, "end-datetime", time_json(report->end_s));
    json_object_set_new(json, "date-range", range);
    json_object_set_new(json, "contact-info", text_json(report->contact));
    json_object_set_new(json, "report-id", text_json(report->id));
    for (size_t i = 0; i < report->policy_count; i++) {
        json_array_append_new(policies, policy_json(&report->policies[i]));
    }
    json_object_set_new(json, "policies", policies);
    return json;
}

struct str
tlsrpt_report_write(struct arena *arena, const struct tlsrpt_report *report)
{
    json_t *json = report_json(report);
    char *text = json_dumps(json, JSON_COMPACT);
    struct str copy = str_make(NULL, 0);
    if (text != NULL && strlen(text) <= TLSRPT_JSON_MAX) {
        copy = arena_str_dup(arena, str_from_cstr(text));
    }
    free(text);
    json_decref(json);
    return copy;
}
