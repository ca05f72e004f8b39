/*
 * {"op": "dns", "name": N, "type": "MX"}
 *     -> {"outcome", "security", "canonical", "ttl", "records": [wire octets, ...], "detail"}
 */
#include "cli/check_op.h"

json_t *
check_op_dns(struct check_op *op)
{
    struct str name;
    struct dns_answer answer;
    uint16_t type = dns_type_find(check_op_octets_or_empty(op, "type"));
    if (!check_op_octets(op, "name", &name) || type == 0) {
        return check_op_error("dns: expected \"name\" and \"type\"");
    }
    enum status status = dns_resolve(op->dns, op->arena, name, type, &answer);
    if (status != STATUS_OK) {
        return check_op_error("dns: the name cannot be asked for: %s", status_name(status));
    }
    json_t *records = json_array();
    for (size_t i = 0; i < answer.record_count; i++) {
        json_array_append_new(records, check_op_json(op, answer.records[i]));
    }
    return json_pack("{s:s, s:s, s:o, s:I, s:o, s:o}", "outcome", dns_outcome_name(answer.outcome),
                     "security", dns_security_name(answer.security), "canonical",
                     check_op_json(op, answer.canonical), "ttl", (json_int_t)answer.ttl, "records",
                     records, "detail", check_op_json(op, answer.detail));
}
