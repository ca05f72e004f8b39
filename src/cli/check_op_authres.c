/*
 * {"op": "authres", "header": field}
 *     -> {"valid", "strict", "id", "version", "methods": [[method, result], ...],
 *         "properties": [[[ptype, name, value], ...], ...]}; of what is not valid only "valid"
 * {"op": "authres-strip", "message": M, "id": authserv-id or [them], "verdict": field name,
 *  "nameless": fields without authserv-id too, as the gateway does; false when absent}
 *     -> {"removed": [{"field": position from 0, "name", "value", "why"}]}
 */
#include "auth/authres.h"
#include "auth/authres_strip.h"
#include "cli/check_op.h"

#define IDS_MAX 16u

static json_t *
properties_json(struct check_op *op, const struct authres_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->property_count; i++) {
        const struct authres_property *property = &result->properties[i];
        json_array_append_new(list, json_pack("[o, o, o]", check_op_json(op, property->ptype),
                                              check_op_json(op, property->name),
                                              check_op_json(op, property->value)));
    }
    return list;
}

json_t *
check_op_authres(struct check_op *op)
{
    struct str header;
    struct str name;
    struct str value;
    struct authres authres;
    if (!check_op_octets(op, "header", &header) || !str_cut(header, ':', &name, &value) ||
        !str_eq_nocase(str_trim(name), STR("Authentication-Results"))) {
        return check_op_error("authres: expected \"header\", an Authentication-Results field");
    }
    if (str_ends_with(value, STR("\r\n"))) {
        value.n -= 2;
    }
    if (authres_parse(op->arena, value, &authres) != STATUS_OK) {
        return json_pack("{s:b}", "valid", 0);
    }
    json_t *methods = json_array();
    json_t *properties = json_array();
    for (size_t i = 0; i < authres.result_count; i++) {
        const struct authres_result *result = &authres.results[i];
        json_array_append_new(methods, json_pack("[o, o]", check_op_json(op, result->method),
                                                 check_op_json(op, result->result)));
        json_array_append_new(properties, properties_json(op, result));
    }
    return json_pack("{s:b, s:b, s:o, s:i, s:o, s:o}", "valid", 1, "strict",
                     authres.deviations == 0, "id", check_op_json(op, authres.authserv_id),
                     "version", (int)authres.version, "methods", methods, "properties", properties);
}

/* The authserv-ids of the request; their number, 0 when there is none. */
static size_t
take_ids(struct check_op *op, struct str ids[IDS_MAX])
{
    const json_t *given = json_object_get(op->request, "id");
    size_t count = json_is_array(given) ? json_array_size(given) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_is_array(given) ? json_array_get(given, i) : given;
        if (i == IDS_MAX || !check_op_octets_of(op, id, &ids[i])) {
            return 0;
        }
    }
    return count;
}

json_t *
check_op_authres_strip(struct check_op *op)
{
    static const struct mail_head_limits limits = {1u << 24, 1u << 16};
    struct str ids[IDS_MAX];
    struct str message;
    struct mail_head head;
    struct authres_strip_names names = {
        .authserv_ids = ids,
        .authserv_id_count = take_ids(op, ids),
        .verdict = check_op_octets_or_empty(op, "verdict"),
        .nameless = json_is_true(json_object_get(op->request, "nameless")),
    };
    if (names.authserv_id_count == 0 || !check_op_octets(op, "message", &message)) {
        return check_op_error("authres-strip: expected \"message\" and \"id\"");
    }
    if (mail_head_parse(op->arena, message, &limits, &head) != STATUS_OK) {
        return check_op_error("authres-strip: the header section is too large");
    }
    json_t *removed = json_array();
    for (size_t i = 0; i < head.field_count; i++) {
        const struct mail_field *field = &head.fields[i];
        enum authres_strip why = authres_strip_field(op->arena, field, &names);
        if (why != AUTHRES_STRIP_KEEP) {
            json_array_append_new(removed, json_pack("{s:I, s:o, s:o, s:s}", "field", (json_int_t)i,
                                                     "name", check_op_json(op, field->name),
                                                     "value", check_op_json(op, field->value),
                                                     "why", authres_strip_name(why)));
        }
    }
    return json_pack("{s:o}", "removed", removed);
}
