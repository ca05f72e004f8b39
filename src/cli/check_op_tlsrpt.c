/*
 * {"op": "tlsrpt", "text": a TXT record, a report as JSON or gzip, or a message with one}
 *     -> {"kind": "record", "valid", "problem", "rua": [{"uri", "address"}, ...], "skipped"}
 *      | {"kind": "report" | "message", "valid", "problem", "report": as in RFC 8460 4.4,
 *         "notes": [...], "domain", "submitter"}
 * "problem" is empty where nothing is wrong; what could not be read is left out. "domain" and
 * "submitter" are what the fields of a message say. "as" ("record", "report", "message") says what
 * the text is to be; else what it begins with decides.
 *
 * {"op": "tlsrpt-lookup", "domain": D, "zone": {...}}
 *     -> {"state": "none" | "found" | "invalid" | "temporary", "rua": [...], "problem"}
 */
#include "base/gzip.h"
#include "cli/check_op.h"
#include "cli/txt_text.h"
#include "transport/tlsrpt_mail.h"
#include "transport/tlsrpt_record.h"
#include "transport/tlsrpt_report.h"

/* ---- records */

static json_t *
uris_json(struct check_op *op, const struct tlsrpt_record *record)
{
    json_t *list = json_array();
    for (size_t i = 0; i < record->rua_count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "uri", check_op_json(op, record->rua[i].text),
                                        "address", check_op_json(op, record->rua[i].address)));
    }
    return list;
}

static json_t *
record_json(struct check_op *op, struct str text)
{
    struct tlsrpt_record record;
    const char *problem = "";
    enum status status =
        tlsrpt_record_parse(op->arena, txt_text_of(op->arena, text), &record, &problem);
    if (status == STATUS_LIMIT) {
        return check_op_error("tlsrpt: the record is too large");
    }
    json_t *json = json_pack("{s:s, s:b, s:s}", "kind", "record", "valid", status == STATUS_OK,
                             "problem", problem);
    if (status == STATUS_OK) {
        json_object_set_new(json, "rua", uris_json(op, &record));
        json_object_set_new(json, "skipped", json_integer((json_int_t)record.skipped));
    }
    return json;
}

json_t *
check_op_tlsrpt_lookup(struct check_op *op)
{
    struct str domain;
    struct tlsrpt_lookup lookup;
    if (!check_op_octets(op, "domain", &domain)) {
        return check_op_error("tlsrpt-lookup: expected \"domain\"");
    }
    enum status status = tlsrpt_lookup(op->dns, op->arena, domain, &lookup);
    if (status != STATUS_OK) {
        return check_op_error("tlsrpt-lookup: %s", status_name(status));
    }
    return json_pack("{s:s, s:o, s:s}", "state", tlsrpt_lookup_state_name(lookup.state), "rua",
                     uris_json(op, &lookup.record), "problem",
                     lookup.problem != NULL ? lookup.problem : "");
}

/* ---- reports */

static json_t *
notes_json(unsigned notes)
{
    json_t *list = json_array();
    for (unsigned bit = 1; bit <= notes; bit <<= 1) {
        if ((notes & bit) != 0) {
            json_array_append_new(list, json_string(tlsrpt_note_text((enum tlsrpt_note)bit)));
        }
    }
    return list;
}

static json_t *
bad_report(const char *kind, const char *problem)
{
    return json_pack("{s:s, s:b, s:s}", "kind", kind, "valid", 0, "problem", problem);
}

/* The text of the report is UTF-8: it stands in the answer as it is. */
static json_t *
report_json(struct check_op *op, const char *kind, struct str octets)
{
    struct tlsrpt_report report;
    const char *problem = NULL;
    enum status status = tlsrpt_report_read(op->arena, octets, &report, &problem);
    if (status != STATUS_OK) {
        return bad_report(kind, problem != NULL ? problem : "it is too large");
    }
    struct str text = tlsrpt_report_write(op->arena, &report);
    json_t *json = text.p != NULL ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    return json != NULL
               ? json_pack("{s:s, s:b, s:s, s:o, s:o}", "kind", kind, "valid", 1, "problem", "",
                           "report", json, "notes", notes_json(report.notes))
               : bad_report(kind, "it is too large");
}

static json_t *
message_json(struct check_op *op, struct str message)
{
    struct tlsrpt_mail_found found;
    enum status status = tlsrpt_mail_read(op->arena, message, &found);
    if (status != STATUS_OK) {
        return bad_report("message",
                          status == STATUS_NOT_FOUND ? "the message has no part that is a report"
                          : status == STATUS_SYNTAX  ? "the part with the report cannot be decoded"
                                                     : "the message is too large");
    }
    json_t *json = report_json(op, "message", found.report);
    json_object_set_new(json, "domain", check_op_json(op, found.policy_domain));
    json_object_set_new(json, "submitter", check_op_json(op, found.submitter));
    return json;
}

static bool
begins_with_brace(struct str text)
{
    size_t i = str_starts_with(text, STR("\xef\xbb\xbf")) ? 3 : 0;
    while (i < text.n && (text.p[i] <= ' ' && text.p[i] > 0)) {
        i++;
    }
    return i < text.n && (text.p[i] == '{' || text.p[i] == '[');
}

/* What a text is taken for where the request does not say. */
static struct str
kind_of(struct str text)
{
    if (txt_text_is_record(text)) {
        return STR("record");
    }
    return gzip_is(text) || begins_with_brace(text) ? STR("report") : STR("message");
}

json_t *
check_op_tlsrpt(struct check_op *op)
{
    struct str text;
    struct str as = check_op_octets_or_empty(op, "as");
    if (!check_op_octets(op, "text", &text)) {
        return check_op_error("tlsrpt: expected \"text\"");
    }
    as = as.n > 0 ? as : kind_of(text);
    if (str_eq(as, STR("record"))) {
        return record_json(op, text);
    }
    return str_eq(as, STR("report")) ? report_json(op, "report", text) : message_json(op, text);
}
