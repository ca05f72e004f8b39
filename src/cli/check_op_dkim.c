/*
 * {"op": "dkim-verify", "message", "utf8": true, "clock": true}
 *     -> {"result", "signatures": [{"result", "domain", "selector", "identity", "algorithm",
 *         "problem", "reason", "key_bits", "testing", "body_limited", "body_uncovered", "signed",
 *         "authenticates"}, ...]}
 *     "clock": false: times are not looked at.
 * {"op": "dkim-canonical", "what": "header" | "body", "form": "simple" | "relaxed", "input"}
 *     -> {"output"}
 *     "what": "c-tag" -> {"valid", "head", "body"} of the value in "input"
 * {"op": "dkim-key", "text"}        -> {"valid", "is_dkim", "problem", ...}
 * {"op": "dkim-signature", "field", "utf8"} -> {"valid", "problem", "domain", "selector", ...}
 */
#include "auth/dkim_verify.h"
#include "cli/check_json.h"

static const struct mail_head_limits ample = {16u << 20, 100000};

/* As the field has it, in lower case: also what is not accepted has its own name. */
static json_t *
algorithm_json(struct check_op *op, const struct dkim_signature *signature)
{
    struct str text = signature->algorithm_text;
    char *name = text.n > 0 ? arena_cstr(op->arena, text) : NULL;
    for (size_t i = 0; name != NULL && i < text.n; i++) {
        name[i] = char_lower(name[i]);
    }
    return check_op_json(op, name != NULL ? str_make(name, text.n) : STR(""));
}

static bool
flag(const struct check_op *op, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(op->request, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static json_t *
names_json(struct check_op *op, const struct dkim_signature *signature)
{
    json_t *names = json_array();
    for (size_t i = 0; i < signature->name_count; i++) {
        json_array_append_new(names, check_op_json(op, signature->names[i]));
    }
    return names;
}

static json_t *
outcome_json(struct check_op *op, const struct dkim_outcome *outcome)
{
    const struct dkim_signature *signature = &outcome->signature;
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:b, s:b, s:I, s:b, s:o}", "result",
        dkim_result_name(outcome->result), "problem", dkim_problem_name(outcome->problem), "reason",
        dkim_problem_text(outcome->problem), "domain", check_op_json(op, signature->domain),
        "selector", check_op_json(op, signature->selector), "identity",
        check_op_json(op, signature->identity), "algorithm", algorithm_json(op, signature),
        "key_bits", (int)outcome->key_bits, "testing", outcome->testing, "body_limited",
        outcome->body_limited, "body_uncovered", (json_int_t)outcome->body_uncovered,
        "authenticates", dkim_outcome_authenticates(outcome), "signed", names_json(op, signature));
}

json_t *
check_json_dkim(struct check_op *op, const struct dkim_outcomes *outcomes)
{
    json_t *signatures = json_array();
    for (size_t i = 0; i < outcomes->count; i++) {
        json_array_append_new(signatures, outcome_json(op, &outcomes->items[i]));
    }
    return signatures;
}

json_t *
check_op_dkim_verify(struct check_op *op)
{
    struct str message;
    struct mail_head head;
    struct dkim_lookup lookup;
    struct dkim_outcomes outcomes;
    if (!check_op_octets(op, "message", &message)) {
        return check_op_error("dkim-verify: expected \"message\"");
    }
    if (mail_head_parse(op->arena, message, &ample, &head) != STATUS_OK) {
        return check_op_error("dkim-verify: the header section is too large");
    }
    const struct dkim_verify_input input = {
        .head = &head,
        .body = str_skip(message, head.raw.n),
        .now = flag(op, "clock", true) ? op->now : DKIM_NO_TIME,
        .utf8 = flag(op, "utf8", true),
    };
    dkim_lookup_init(&lookup, op->arena, op->dns, NULL);
    if (dkim_verify(op->arena, &input, &lookup, &outcomes) != STATUS_OK) {
        return check_op_error("dkim-verify: the message is too large");
    }
    return json_pack("{s:s, s:o}", "result", dkim_result_name(dkim_outcomes_best(&outcomes)),
                     "signatures", check_json_dkim(op, &outcomes));
}

/* ---- parts */

static void
append_sink(void *ctx, const char *p, size_t n)
{
    /* The output is at most as long as the input and a line end. */
    (void)!buf_append(ctx, str_make(p, n));
}

static json_t *
canonical_tag(struct str input)
{
    enum canonical head = CANONICAL_SIMPLE;
    enum canonical body = CANONICAL_SIMPLE;
    bool valid = input.n == 0 || dkim_canonical_parse(input, &head, &body);
    return json_pack("{s:b, s:s, s:s}", "valid", valid, "head", canonical_name(head), "body",
                     canonical_name(body));
}

json_t *
check_op_dkim_canonical(struct check_op *op)
{
    struct str what = check_op_octets_or_empty(op, "what");
    struct str input = check_op_octets_or_empty(op, "input");
    struct str name = check_op_octets_or_empty(op, "form");
    enum canonical form = str_eq(name, STR("relaxed")) ? CANONICAL_RELAXED : CANONICAL_SIMPLE;
    enum status status = STATUS_OK;
    struct canonical_body body;
    struct buf out;
    if (str_eq(what, STR("c-tag"))) {
        return canonical_tag(input);
    }
    buf_init(&out, input.n + 2);
    if (str_eq(what, STR("header"))) {
        status = canonical_header(form, input, &out);
    } else {
        canonical_body_init(&body, form, CANONICAL_NO_LIMIT, append_sink, &out);
        canonical_body_feed(&body, input);
        canonical_body_finish(&body);
    }
    json_t *answer = status == STATUS_OK
                         ? json_pack("{s:o}", "output", check_op_json(op, buf_str(&out)))
                         : check_op_error("dkim-canonical: %s", status_name(status));
    buf_free(&out);
    return answer;
}

json_t *
check_op_dkim_key(struct check_op *op)
{
    struct str text;
    struct dkim_key key = {0};
    if (!check_op_octets(op, "text", &text)) {
        return check_op_error("dkim-key: expected \"text\"");
    }
    enum dkim_problem problem = dkim_key_parse(text, &key);
    unsigned bits = 0;
    if (problem == DKIM_PROBLEM_NONE) {
        problem = dkim_key_usable(&key, &bits);
    }
    /* To be revoked is a proper state of a record (RFC 6376 3.6.1). */
    bool valid = problem == DKIM_PROBLEM_NONE || problem == DKIM_PROBLEM_KEY_REVOKED;
    return json_pack("{s:b, s:b, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:s, s:i}", "valid", valid,
                     "is_dkim", dkim_key_is_record(text), "problem", dkim_problem_name(problem),
                     "reason", dkim_problem_text(problem), "revoked", key.revoked, "testing",
                     key.testing, "strict", key.strict, "sha256", key.sha256, "email", key.email,
                     "type", key.type_known ? crypto_key_type_name(key.algorithm) : "", "bits",
                     (int)bits);
}

json_t *
check_op_dkim_signature(struct check_op *op)
{
    struct str field;
    struct str name;
    struct str value;
    struct dkim_signature signature;
    if (!check_op_octets(op, "field", &field) || !str_cut(field, ':', &name, &value)) {
        return check_op_error("dkim-signature: expected \"field\"");
    }
    if (str_ends_with(value, STR("\r\n"))) {
        value.n -= 2;
    }
    unsigned flags = flag(op, "utf8", true) ? DKIM_SIGNATURE_UTF8 : 0;
    enum dkim_problem problem = dkim_signature_parse(op->arena, value, flags, &signature);
    return json_pack("{s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "valid",
                     problem == DKIM_PROBLEM_NONE, "problem", dkim_problem_name(problem), "reason",
                     dkim_problem_text(problem), "domain", check_op_json(op, signature.domain),
                     "selector", check_op_json(op, signature.selector), "identity",
                     check_op_json(op, signature.identity), "algorithm",
                     algorithm_json(op, &signature), "signed", names_json(op, &signature));
}
