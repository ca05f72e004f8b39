#include "cli/domain_report.h"

#include <stdio.h>

#include "dns/rdata.h"

static const struct {
    const char *name;
    enum domain_severity severity;
    const char *meaning;
    const char *action;
    const char *standard;
} rows[] = {
#define FAULT(NAME, name, severity, meaning, action, standard)                                     \
    {#name, DOMAIN_SEVERITY_##severity, meaning, action, standard},
#include "cli/domain_faults.def"
#undef FAULT
};

static const char *const severities[] = {
    [DOMAIN_SEVERITY_NOTE] = "note",
    [DOMAIN_SEVERITY_WARNING] = "warning",
    [DOMAIN_SEVERITY_FAULT] = "fault",
};

/* ---- texts */

/* Printable ASCII, everything else as \DDD (RFC 1035 5.1). */
static json_t *
printable(struct check_op *op, struct str text)
{
    char *out = arena_alloc(op->arena, 4 * text.n + 1);
    size_t n = 0;
    for (size_t i = 0; out != NULL && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= ' ' && c < 0x7f) {
            out[n++] = (char)c;
        } else {
            n += (size_t)snprintf(out + n, 5, "\\%03u", (unsigned)c);
        }
    }
    return out != NULL ? json_stringn(out, n) : json_string("");
}

static json_t *__attribute__((format(printf, 2, 0)))
format_text(struct check_op *op, const char *format, va_list args)
{
    return printable(op, str_head(arena_vprintf(op->arena, format, args), DOMAIN_TEXT_MAX));
}

struct str
domain_below(struct domain_report *report, const char *prefix, struct str name)
{
    return arena_printf(report->op->arena, "%s.%.*s", prefix, STR_ARG(name));
}

/* ---- the report */

void
domain_section(struct domain_report *report, const char *name, const char *title)
{
    report->section = json_pack("{s:s, s:s, s:s, s:[], s:[]}", "name", name, "title", title,
                                "verdict", "ok", "facts", "faults");
    json_array_append_new(report->sections, report->section);
}

void
domain_fact(struct domain_report *report, unsigned depth, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *text = format_text(report->op, format, args);
    va_end(args);
    json_array_append_new(json_object_get(report->section, "facts"),
                          json_pack("{s:i, s:o}", "depth", (int)depth, "text", text));
}

/* The section's verdict is that of its worst fault. */
static void
worsen(struct domain_report *report, enum domain_severity severity)
{
    const char *now = json_string_value(json_object_get(report->section, "verdict"));
    for (size_t i = severity + 1; i < DOMAIN_SEVERITY_COUNT; i++) {
        if (strcmp(now, severities[i]) == 0) {
            return;
        }
    }
    json_object_set_new(report->section, "verdict", json_string(severities[severity]));
}

void
domain_fault(struct domain_report *report, enum domain_fault fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *detail = format_text(report->op, format, args);
    va_end(args);
    json_array_append_new(json_object_get(report->section, "faults"),
                          json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "name", rows[fault].name,
                                    "severity", severities[rows[fault].severity], "detail", detail,
                                    "meaning", rows[fault].meaning, "do", rows[fault].action,
                                    "standard", rows[fault].standard));
    report->counts[rows[fault].severity]++;
    worsen(report, rows[fault].severity);
}

void
domain_number(struct domain_report *report, const char *key, int64_t number)
{
    json_object_set_new(report->section, key, json_integer(number));
}

/* ---- questions */

bool
domain_ask(struct domain_report *report, struct str name, uint16_t type,
           struct dns_answer *answer_out)
{
    enum status status = dns_resolve(report->op->dns, report->op->arena, name, type, answer_out);
    if (status != STATUS_OK) {
        domain_fault(report, DOMAIN_FAULT_DNS_FAILED, "\"%.*s\": %s", STR_ARG(name),
                     status_name(status));
        return false;
    }
    if (answer_out->security == DNS_SECURITY_BOGUS) {
        domain_fault(report, DOMAIN_FAULT_DNSSEC_BOGUS, "%.*s %s: %.*s", STR_ARG(name),
                     dns_type_name(type), STR_ARG(answer_out->detail));
        return false;
    }
    if (dns_outcome_is_temporary(answer_out->outcome)) {
        domain_fault(report, DOMAIN_FAULT_DNS_FAILED, "%.*s %s: %s", STR_ARG(name),
                     dns_type_name(type), dns_outcome_name(answer_out->outcome));
        return false;
    }
    return true;
}

size_t
domain_texts(struct domain_report *report, const struct dns_answer *answer,
             const struct str **texts_out)
{
    struct str *texts =
        arena_alloc_array(report->op->arena, answer->record_count + 1, sizeof *texts);
    size_t count = 0;
    for (size_t i = 0; texts != NULL && i < answer->record_count; i++) {
        if (dns_rdata_txt(report->op->arena, answer->records[i], &texts[count]) == STATUS_OK) {
            count++;
        }
    }
    *texts_out = texts;
    return count;
}
