/*
 * {"op": "arc-verify", "message": M, "zone": Z, "now": T, "client"?: IP,
 *  "trusted"?: [domains], "from"?: domain}
 *     -> {"result", "temporary", "reason", "instance", "oldest_pass", "highest",
 *         "sets": [{"instance", "domain", "selector", "cv", "seal", "signature", "results"}],
 *         "override": instance that vouches or 0, "comment"}
 * {"op": "arc-seal", "message": M, "zone": Z, "now": T, "domain", "selector", "key": PEM,
 *  "results": value, "headers"?: "from:to", "plain"?: true, "cv"?: instead of what is found}
 *     -> {"result", "instance", "cv", "fields": [[name, value], ...] from the top}
 */
#include "auth/arc_override.h"
#include "auth/arc_seal.h"
#include "auth/private_key.h"
#include "cli/check_json.h"

#define TRUSTED_MAX 16u

static const struct mail_head_limits limits = {1u << 24, 1u << 16};

static json_t *
set_json(struct check_op *op, const struct arc_set_verdict *verdict)
{
    const struct arc_seal_tags *seal = &verdict->set->seal;
    json_t *methods = json_array();
    for (size_t i = 0; verdict->has_results && i < verdict->results.result_count; i++) {
        const struct authres_result *result = &verdict->results.results[i];
        json_array_append_new(methods, json_pack("[o, o]", check_op_json(op, result->method),
                                                 check_op_json(op, result->result)));
    }
    return json_pack("{s:i, s:o, s:o, s:s, s:s, s:s, s:o}", "instance", (int)verdict->set->instance,
                     "domain", check_op_json(op, seal->domain), "selector",
                     check_op_json(op, seal->selector), "cv", arc_cv_name(seal->cv), "seal",
                     arc_check_name(verdict->seal), "signature", arc_check_name(verdict->signature),
                     "results", methods);
}

json_t *
check_json_arc(struct check_op *op, const struct arc_verification *verification)
{
    json_t *sets = json_array();
    for (size_t i = 0; i < verification->chain.count; i++) {
        json_array_append_new(sets, set_json(op, &verification->sets[i]));
    }
    return json_pack("{s:s, s:b, s:o, s:i, s:i, s:i, s:o}", "result",
                     arc_result_name(verification->result), "temporary", verification->temporary,
                     "reason", check_op_json(op, verification->reason), "instance",
                     (int)verification->instance, "oldest_pass", (int)verification->oldest_pass,
                     "highest", (int)verification->chain.highest, "sets", sets);
}

/* The instance that vouches for the request's "from"; 0: none. */
static unsigned
override_of(struct check_op *op, const struct arc_verification *verification)
{
    struct str trusted[TRUSTED_MAX];
    const json_t *list = json_object_get(op->request, "trusted");
    struct arc_voucher voucher;
    size_t count = 0;
    while (count < TRUSTED_MAX &&
           check_op_octets_of(op, json_array_get(list, count), &trusted[count])) {
        count++;
    }
    return arc_override(op->arena, verification, trusted, count,
                        check_op_octets_or_empty(op, "from"), &voucher)
               ? voucher.instance
               : 0;
}

/* The message of the request, verified. NULL, or what is wrong. */
static json_t *
verify_message(struct check_op *op, struct mail_head *head, struct str *body,
               struct arc_verification *verification)
{
    struct str message;
    if (!check_op_octets(op, "message", &message)) {
        return check_op_error("arc: expected \"message\"");
    }
    if (mail_head_parse(op->arena, message, &limits, head) != STATUS_OK) {
        return check_op_error("arc: the header section is too large");
    }
    *body = str_skip(message, head->raw.n);
    struct arc_verify_input input = {.head = head, .body = *body, .now = op->now};
    struct dkim_lookup lookup;
    dkim_lookup_init(&lookup, op->arena, op->dns, NULL);
    enum status status = arc_verify(op->arena, &input, &lookup, verification);
    return status == STATUS_OK ? NULL : check_op_error("arc: %s", status_name(status));
}

json_t *
check_op_arc_verify(struct check_op *op)
{
    struct mail_head head;
    struct str body = {0};
    struct arc_verification verification = {0};
    json_t *error = verify_message(op, &head, &body, &verification);
    if (error != NULL) {
        return error;
    }
    json_t *answer = check_json_arc(op, &verification);
    json_object_set_new(answer, "override", json_integer(override_of(op, &verification)));
    json_object_set_new(answer, "comment",
                        check_op_json(op, arc_override_comment(op->arena, &verification)));
    return answer;
}

/* "cv" of the request instead of what was found. */
static void
override_result(struct check_op *op, struct arc_verification *verification)
{
    struct str cv = check_op_octets_or_empty(op, "cv");
    for (enum arc_result i = ARC_RESULT_NONE; i <= ARC_RESULT_FAIL; i++) {
        if (str_eq(cv, str_from_cstr(arc_result_name(i)))) {
            verification->result = i;
        }
    }
}

static json_t *
sealing_json(struct check_op *op, const struct arc_sealing *sealing)
{
    json_t *fields = json_array();
    for (size_t i = ARC_PART_COUNT_; i > 0 && sealing->result == ARC_SEAL_DONE; i--) {
        json_array_append_new(fields, json_pack("[s, o]", arc_part_name((enum arc_part)(i - 1)),
                                                check_op_json(op, sealing->values[i - 1])));
    }
    return json_pack("{s:s, s:i, s:s, s:o}", "result", arc_seal_result_name(sealing->result),
                     "instance", (int)sealing->instance, "cv", arc_cv_name(sealing->cv), "fields",
                     fields);
}

json_t *
check_op_arc_seal(struct check_op *op)
{
    struct mail_head head;
    struct str body = {0};
    struct arc_verification verification = {0};
    struct private_key *key;
    struct arc_sealing sealing;
    json_t *error = verify_message(op, &head, &body, &verification);
    if (error != NULL) {
        return error;
    }
    if (private_key_from_pem(check_op_octets_or_empty(op, "key"), &key) != STATUS_OK) {
        return check_op_error("arc-seal: \"key\" is no private key");
    }
    override_result(op, &verification);
    struct crypto_signer signer = private_key_signer(key);
    struct arc_seal_settings settings = {
        .domain = check_op_octets_or_empty(op, "domain"),
        .selector = check_op_octets_or_empty(op, "selector"),
        .signer = &signer,
        .results = check_op_octets_or_empty(op, "results"),
        .now = op->now,
        .headers = check_op_octets_or_empty(op, "headers"),
        .plain = json_is_true(json_object_get(op->request, "plain")),
    };
    enum status status = arc_seal(op->arena, &head, body, &verification, &settings, &sealing);
    private_key_destroy(&key);
    return status == STATUS_OK ? sealing_json(op, &sealing)
                               : check_op_error("arc-seal: %s", status_name(status));
}
