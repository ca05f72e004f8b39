/*
 * {"op": "dkim-sign", "message", "domain", "keys": [{"selector", "pem"} or {"selector", "seed"}],
 *  "identity", "head": "relaxed", "body": "relaxed", "expires": seconds, "fields": [name, ...]}
 *     -> {"fields": [text, ...], "records": {owner: text, ...}}
 *
 * The fields to be put on top of the message, and the records that let them be verified. "seed": an
 * Ed25519 key, 32 octets. "fields" are oversigned; without them, what is signed by default.
 */
#include "auth/dkim_key.h"
#include "auth/dkim_sign.h"
#include "auth/private_key.h"
#include "base/encode.h"
#include "cli/check_op.h"

#define KEYS_MOST 8u

static const struct mail_head_limits ample = {16u << 20, 100000};

struct keys {
    struct private_key *private[KEYS_MOST];
    struct dkim_sign_key sign[KEYS_MOST];
    size_t count;
};

static void
keys_release(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        private_key_destroy(&keys->private[i]);
    }
}

static enum status
read_key(struct check_op *op, const json_t *object, struct private_key **key_out)
{
    struct str octets;
    if (check_op_octets_of(op, json_object_get(object, "pem"), &octets)) {
        return private_key_from_pem(octets, key_out);
    }
    if (check_op_octets_of(op, json_object_get(object, "seed"), &octets)) {
        return private_key_from_seed(octets, key_out);
    }
    return STATUS_SYNTAX;
}

static bool
read_keys(struct check_op *op, struct keys *keys)
{
    const json_t *array = json_object_get(op->request, "keys");
    size_t i;
    const json_t *object;
    json_array_foreach(array, i, object)
    {
        struct dkim_sign_key *key = &keys->sign[keys->count];
        if (i >= KEYS_MOST ||
            !check_op_octets_of(op, json_object_get(object, "selector"), &key->selector) ||
            read_key(op, object, &keys->private[keys->count]) != STATUS_OK) {
            return false;
        }
        key->signer = private_key_signer(keys->private[keys->count]);
        keys->count++;
    }
    return true;
}

static bool
read_fields(struct check_op *op, struct dkim_sign_request *request)
{
    const json_t *array = json_object_get(op->request, "fields");
    size_t i;
    const json_t *name;
    if (array == NULL) {
        return true;
    }
    struct dkim_sign_field *fields =
        arena_alloc_array(op->arena, json_array_size(array) + 1, sizeof *fields);
    json_array_foreach(array, i, name)
    {
        if (fields == NULL || !check_op_octets_of(op, name, &fields[i].name)) {
            return false;
        }
        fields[i].oversign = true;
    }
    request->fields = fields;
    request->field_count = json_array_size(array);
    return fields != NULL;
}

/* The fields apart; each begins where a line begins without a blank. */
static json_t *
fields_json(struct check_op *op, struct str text)
{
    json_t *fields = json_array();
    while (text.n > 0) {
        size_t end = 0;
        do {
            end += str_find(str_skip(text, end), STR("\r\n")) + 2;
        } while (end < text.n && char_is_blank(text.p[end]));
        json_array_append_new(fields, check_op_json(op, str_head(text, end)));
        text = str_skip(text, end);
    }
    return fields;
}

static json_t *
records_json(struct check_op *op, const struct keys *keys, struct str domain)
{
    json_t *records = json_object();
    for (size_t i = 0; i < keys->count; i++) {
        struct str octets;
        if (private_key_public(keys->private[i], op -> arena, &octets) != STATUS_OK) {
            continue;
        }
        struct str text =
            arena_printf(op->arena, "v=DKIM1; k=%s; p=%.*s",
                         crypto_key_type_name(private_key_algorithm(keys->private[i])),
                         STR_ARG(base64_encode(op->arena, octets)));
        struct str owner = arena_printf(op->arena, "%.*s." DKIM_KEY_LABEL ".%.*s",
                                        STR_ARG(keys->sign[i].selector), STR_ARG(domain));
        if (owner.p != NULL) {
            json_object_set_new(records, owner.p, check_op_json(op, text));
        }
    }
    return records;
}

static json_t *
sign(struct check_op *op, const struct dkim_sign_request *request, const struct keys *keys)
{
    struct buf fields;
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX);
    enum status status = dkim_sign(op->arena, request, &fields);
    json_t *answer = status == STATUS_OK
                         ? json_pack("{s:o, s:o}", "fields", fields_json(op, buf_str(&fields)),
                                     "records", records_json(op, keys, request->domain))
                         : check_op_error("dkim-sign: %s", status_name(status));
    buf_free(&fields);
    return answer;
}

static enum canonical
read_form(struct check_op *op, const char *key)
{
    return str_eq(check_op_octets_or_empty(op, key), STR("simple")) ? CANONICAL_SIMPLE
                                                                    : CANONICAL_RELAXED;
}

json_t *
check_op_dkim_sign(struct check_op *op)
{
    struct str message;
    struct mail_head head;
    struct keys keys = {0};
    json_t *answer;
    if (!check_op_octets(op, "message", &message) ||
        mail_head_parse(op->arena, message, &ample, &head) != STATUS_OK) {
        return check_op_error("dkim-sign: expected \"message\"");
    }
    const json_t *expires = json_object_get(op->request, "expires");
    struct dkim_sign_request request = {
        .head = &head,
        .body = str_skip(message, head.raw.n),
        .domain = check_op_octets_or_empty(op, "domain"),
        .identity = check_op_octets_or_empty(op, "identity"),
        .keys = keys.sign,
        .head_form = read_form(op, "head"),
        .body_form = read_form(op, "body"),
        .time = op->now,
        .expires = json_is_integer(expires) ? json_integer_value(expires) : DKIM_NO_TIME,
    };
    if (!read_keys(op, &keys) || !read_fields(op, &request)) {
        answer = check_op_error("dkim-sign: \"keys\" or \"fields\" cannot be read");
    } else {
        request.key_count = keys.count;
        answer = sign(op, &request, &keys);
    }
    keys_release(&keys);
    return answer;
}
