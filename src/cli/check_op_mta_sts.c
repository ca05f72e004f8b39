/*
 * {"op": "mta-sts", "text": a TXT record or a policy}
 *     -> {"kind": "record", "valid", "problem", "id"}
 *      | {"kind": "policy", "valid", "problem", "line", "mode", "max_age", "mx": [...],
 *         "notes": [...]}
 * "problem" is empty and "line" 0 where nothing is wrong; what could not be read is left out. A
 * record may be given as tools print it: in quotes, in pieces. "as" ("record", "policy") says what
 * the text is to be; else what it begins with decides.
 *
 * {"op": "mta-sts-match", "mx": a name of a policy, "host": H} -> {"match"}; U-labels are taken
 *
 * {"op": "mta-sts-lookup", "domain": D, "zone": {...}}
 *     -> {"state": "none" | "found" | "invalid" | "temporary", "id", "problem"}
 */
#include "cli/check_op.h"
#include "cli/txt_text.h"
#include "smtp/address.h"
#include "transport/sts_policy.h"
#include "transport/sts_record.h"

static json_t *
record_json(struct check_op *op, struct str text)
{
    struct str id = STR("");
    const char *problem = "";
    bool valid = sts_record_parse(txt_text_of(op->arena, text), &id, &problem);
    json_t *json =
        json_pack("{s:s, s:b, s:s}", "kind", "record", "valid", valid, "problem", problem);
    if (valid) {
        json_object_set_new(json, "id", check_op_json(op, id));
    }
    return json;
}

static json_t *
names_json(struct check_op *op, const struct sts_policy *policy)
{
    json_t *list = json_array();
    for (size_t i = 0; i < policy->mx_count; i++) {
        json_array_append_new(list, check_op_json(op, policy->mx[i]));
    }
    return list;
}

static json_t *
notes_json(unsigned notes)
{
    json_t *list = json_array();
    for (unsigned bit = 1; bit <= notes; bit <<= 1) {
        if ((notes & bit) != 0) {
            json_array_append_new(list, json_string(sts_note_text((enum sts_note)bit)));
        }
    }
    return list;
}

static json_t *
policy_json(struct check_op *op, struct str text)
{
    struct sts_policy policy;
    struct sts_problem problem = {0, ""};
    enum status status = sts_policy_parse(op->arena, text, &policy, &problem);
    if (status == STATUS_LIMIT) {
        return check_op_error("mta-sts: the policy is too large");
    }
    json_t *json = json_pack("{s:s, s:b, s:s, s:I}", "kind", "policy", "valid", status == STATUS_OK,
                             "problem", problem.text, "line", (json_int_t)problem.line);
    if (status == STATUS_OK) {
        json_object_set_new(json, "mode", json_string(sts_mode_name(policy.mode)));
        json_object_set_new(json, "max_age", json_integer(policy.max_age));
        json_object_set_new(json, "mx", names_json(op, &policy));
        json_object_set_new(json, "notes", notes_json(policy.notes));
    }
    return json;
}

json_t *
check_op_mta_sts(struct check_op *op)
{
    struct str text;
    struct str as = check_op_octets_or_empty(op, "as");
    if (!check_op_octets(op, "text", &text)) {
        return check_op_error("mta-sts: expected \"text\"");
    }
    bool is_record = as.n > 0 ? str_eq(as, STR("record")) : txt_text_is_record(text);
    return is_record ? record_json(op, text) : policy_json(op, text);
}

json_t *
check_op_mta_sts_match(struct check_op *op)
{
    struct str mx;
    struct str host;
    struct str pattern;
    struct str name;
    if (!check_op_octets(op, "mx", &mx) || !check_op_octets(op, "host", &host)) {
        return check_op_error("mta-sts-match: expected \"mx\" and \"host\"");
    }
    /* What is no name matches nothing. */
    bool match = sts_pattern_normalize(op->arena, mx, SMTP_ADDRESS_UTF8, &pattern) == STATUS_OK &&
                 sts_pattern_normalize(op->arena, host, SMTP_ADDRESS_UTF8, &name) == STATUS_OK &&
                 sts_pattern_matches(pattern, name);
    return json_pack("{s:b}", "match", match);
}

json_t *
check_op_mta_sts_lookup(struct check_op *op)
{
    struct str domain;
    struct sts_lookup lookup;
    if (!check_op_octets(op, "domain", &domain)) {
        return check_op_error("mta-sts-lookup: expected \"domain\"");
    }
    enum status status = sts_lookup(op->dns, op->arena, domain, &lookup);
    if (status != STATUS_OK) {
        return check_op_error("mta-sts-lookup: %s", status_name(status));
    }
    return json_pack("{s:s, s:o, s:s}", "state", sts_lookup_state_name(lookup.state), "id",
                     check_op_json(op, lookup.id), "problem",
                     lookup.problem != NULL ? lookup.problem : "");
}
