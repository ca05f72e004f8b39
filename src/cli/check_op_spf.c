/*
 * {"op": "spf", "ip", "helo", "from", "identity": "helo" | "mailfrom", "receiver", "zone", "now"}
 *     -> {"result", "identity", "domain", "mechanism", "explanation", "problem", "lookups",
 *         "void", "received_spf"}; identity is mailfrom unless it is given
 * {"op": "spf-record", "record"}
 *     -> {"valid", "problem"} and, when it is valid, {"terms": {"directives": [...], "redirect",
 *         "explanation", "modifiers": [{"name", "value"}]}}
 * {"op": "spf-macro", "macro", "context": "domain-spec" | "exp", "ip", "helo", "from", "domain",
 *  "receiver", "zone", "now"}
 *     -> {"valid"} and, when it is, {"expansion"}
 * {"op": "iprev", "ip", "helo", "zone"}
 *     -> {"result", "name", "problem", "helo"}
 */
#include "auth/iprev.h"
#include "auth/spf.h"
#include "auth/spf_macro.h"
#include "cli/check_json.h"

/* ---- spf */

json_t *
check_json_spf(struct check_op *op, const struct spf_outcome *outcome)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i}", "result", spf_result_name(outcome->result),
        "identity", spf_identity_name(outcome->identity), "domain",
        check_op_json(op, outcome->domain), "mechanism", check_op_json(op, outcome->mechanism),
        "explanation", check_op_json(op, outcome->explanation), "problem",
        check_op_json(op, outcome->problem), "lookups", (int)outcome->lookups, "void",
        (int)outcome->void_lookups);
}

json_t *
check_op_spf(struct check_op *op)
{
    struct spf_outcome outcome;
    struct spf_input input = {
        .dns = op->dns,
        .arena = op->arena,
        .helo = check_op_octets_or_empty(op, "helo"),
        .sender = check_op_octets_or_empty(op, "from"),
        .receiver = check_op_octets_or_empty(op, "receiver"),
        .now = op->now,
    };
    struct str identity = check_op_octets_or_empty(op, "identity");
    input.identity = str_eq(identity, STR("helo")) ? SPF_IDENTITY_HELO : SPF_IDENTITY_MAILFROM;
    if (ip_parse(check_op_octets_or_empty(op, "ip"), &input.client) != STATUS_OK) {
        return check_op_error("spf: expected \"ip\", the client's address");
    }
    enum status status = spf_check(&input, &outcome);
    if (status != STATUS_OK) {
        return check_op_error("spf: %s", status_name(status));
    }
    json_t *answer = check_json_spf(op, &outcome);
    json_object_set_new(answer, "received_spf",
                        check_op_json(op, spf_received_header(&input, &outcome)));
    return answer;
}

/* ---- spf-record */

static void
set_unless_empty(struct check_op *op, json_t *object, const char *key, struct str value)
{
    if (value.n > 0) {
        json_object_set_new(object, key, check_op_json(op, value));
    }
}

static json_t *
directive_json(struct check_op *op, const struct spf_directive *directive)
{
    json_t *object = json_pack("{s:s}", "mechanism", spf_mechanism_name(directive->mechanism));
    if (directive->text.p[0] == directive->qualifier) {
        set_unless_empty(op, object, "qualifier", str_head(directive->text, 1));
    }
    set_unless_empty(op, object, "domain", directive->domain);
    set_unless_empty(op, object, "ip", directive->ip_written);
    json_object_set_new(object, "ip4_prefix", json_integer(directive->ip4_prefix));
    json_object_set_new(object, "ip6_prefix", json_integer(directive->ip6_prefix));
    return object;
}

static json_t *
terms_json(struct check_op *op, const struct spf_record *record)
{
    json_t *directives = json_array();
    json_t *modifiers = json_array();
    json_t *terms = json_pack("{s:o, s:o}", "directives", directives, "modifiers", modifiers);
    for (size_t i = 0; i < record->directive_count; i++) {
        json_array_append_new(directives, directive_json(op, &record->directives[i]));
    }
    for (size_t i = 0; i < record->modifier_count; i++) {
        json_array_append_new(
            modifiers, json_pack("{s:o, s:o}", "name", check_op_json(op, record->modifiers[i].name),
                                 "value", check_op_json(op, record->modifiers[i].value)));
    }
    set_unless_empty(op, terms, "redirect", record->redirect);
    set_unless_empty(op, terms, "explanation", record->explanation);
    return terms;
}

json_t *
check_op_spf_record(struct check_op *op)
{
    struct str text;
    struct spf_record record;
    struct str problem = STR("");
    if (!check_op_octets(op, "record", &text)) {
        return check_op_error("spf-record: expected \"record\"");
    }
    enum status status = spf_record_parse(op->arena, text, &record, &problem);
    json_t *answer = json_pack("{s:b, s:o}", "valid", status == STATUS_OK, "problem",
                               check_op_json(op, problem));
    if (status == STATUS_OK) {
        json_object_set_new(answer, "terms", terms_json(op, &record));
    }
    return answer;
}

/* ---- spf-macro */

/* %{p} of a macro that is expanded on its own: the domain, else a name below it, else any. */
struct macro_names {
    struct check_op *op;
    struct spf_macro_values *values;
};

static enum status
macro_name(void *ctx, struct str *name_out)
{
    struct macro_names *names = ctx;
    struct iprev_outcome outcome;
    enum status status =
        iprev_check(names->op->dns, names->op->arena, &names->values->client, &outcome);
    if (status == STATUS_OK) {
        *name_out = iprev_name_for(&outcome, names->values->domain);
    }
    return status;
}

json_t *
check_op_spf_macro(struct check_op *op)
{
    struct spf_macro_values values = {
        .sender = check_op_octets_or_empty(op, "from"),
        .domain = check_op_octets_or_empty(op, "domain"),
        .helo = check_op_octets_or_empty(op, "helo"),
        .receiver = check_op_octets_or_empty(op, "receiver"),
        .now = op->now,
        .validated_name = macro_name,
    };
    struct macro_names names = {op, &values};
    struct str macro;
    struct str expansion;
    struct str ip = check_op_octets_or_empty(op, "ip");
    bool is_text = str_eq(check_op_octets_or_empty(op, "context"), STR("exp"));
    enum spf_macro_use use = is_text ? SPF_MACRO_EXPLANATION : SPF_MACRO_DOMAIN;
    size_t at = str_rfind_char(values.sender, '@');
    if (!check_op_octets(op, "macro", &macro) || at == STR_NPOS ||
        ip_parse(ip, &values.client) != STATUS_OK) {
        return check_op_error("spf-macro: expected \"macro\", \"from\" and \"ip\"");
    }
    values.local = str_head(values.sender, at);
    values.sender_domain = str_skip(values.sender, at + 1);
    values.ctx = &names;
    enum status status = spf_macro_expand(op->arena, macro, use, &values, &expansion);
    if (status == STATUS_SYNTAX) {
        return json_pack("{s:b}", "valid", 0);
    }
    if (status != STATUS_OK) {
        return check_op_error("spf-macro: %s", status_name(status));
    }
    return json_pack("{s:b, s:o}", "valid", 1, "expansion", check_op_json(op, expansion));
}

/* ---- iprev */

json_t *
check_json_iprev(struct check_op *op, const struct iprev_outcome *outcome)
{
    return json_pack("{s:s, s:o, s:o}", "result", iprev_result_name(outcome->result), "name",
                     check_op_json(op, outcome->name), "problem",
                     check_op_json(op, outcome->problem));
}

json_t *
check_op_iprev(struct check_op *op)
{
    struct ip_address client;
    struct iprev_outcome outcome;
    enum helo_address helo;
    if (ip_parse(check_op_octets_or_empty(op, "ip"), &client) != STATUS_OK) {
        return check_op_error("iprev: expected \"ip\", the client's address");
    }
    enum status status = iprev_check(op->dns, op->arena, &client, &outcome);
    if (status == STATUS_OK) {
        status =
            helo_matches(op->dns, op->arena, check_op_octets_or_empty(op, "helo"), &client, &helo);
    }
    if (status != STATUS_OK) {
        return check_op_error("iprev: %s", status_name(status));
    }
    json_t *answer = check_json_iprev(op, &outcome);
    json_object_set_new(answer, "helo", json_string(helo_address_name(helo)));
    return answer;
}
