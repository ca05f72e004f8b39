/*
 * {"op": "message", "message", "ip", "helo", "from", "rcpt": address or [them], "user",
 *  "direction": "inbound" | "outbound", "smtputf8": true}
 *     -> {"spf", "spf_helo", "dkim": [...], "arc", "author", "dmarc", "iprev",
 *         "findings": [{"name", "verdict", "meaning", "standard", "action", "evidence"}, ...],
 *         "decision": {"action", "rule", "code", "enhanced", "text", "tags"},
 *         "authentication_results": value of the field, "verdict": that of the short one}
 *
 * What the filter would make of a message: the same table of checks, the same rules. What a check
 * did not look at is null.
 */
#include "auth/results_authres.h"
#include "check/mend.h"
#include "cli/check_json.h"
#include "policy/checks.h"
#include "policy/decision.h"
#include "roles/filter/outgoing.h"

#define RECIPIENTS_MAX 1000u

/* One message on its way through the checks; in the arena of the operation. */
struct trial {
    struct check_op *op;
    const struct config_zone *zone; /* of the client; NULL: none */
    struct mail_repaired mended;
    struct check_input input;
    struct mail_head head;
    struct auth_results auth;
    struct finding_list findings;
    struct decision decision;
};

/* ---- the request */

static bool
read_recipients(struct trial *trial)
{
    const json_t *given = json_object_get(trial->op->request, "rcpt");
    size_t count = json_is_array(given) ? json_array_size(given) : given != NULL;
    struct check_recipient *recipients =
        arena_alloc_array(trial->op->arena, count + 1, sizeof *recipients);
    if (recipients == NULL || count > RECIPIENTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(given) ? json_array_get(given, i) : given;
        if (!check_op_octets_of(trial->op, one, &recipients[i].original)) {
            return false;
        }
        recipients[i].address = recipients[i].original;
    }
    trial->input.recipients = recipients;
    trial->input.recipient_count = count;
    return true;
}

/* NULL, or what is wrong with the request. */
static const char *
read_request(struct trial *trial)
{
    struct check_op *op = trial->op;
    struct check_input *input = &trial->input;
    struct str direction = check_op_octets_or_empty(op, "direction");
    bool outbound = str_eq(direction, STR("outbound"));
    *input = (struct check_input){
        .arena = op->arena,
        .config = op->config,
        .received_ms = op->now * 1000,
        .direction = outbound ? CHECK_OUTBOUND : CHECK_INBOUND,
        .helo = check_op_octets_or_empty(op, "helo"),
        .user = check_op_octets_or_empty(op, "user"),
        .sender = check_op_octets_or_empty(op, "from"),
        .smtputf8 = json_is_true(json_object_get(op->request, "smtputf8")),
        .dns = op->dns,
        .auth = &trial->auth,
    };
    return !check_op_octets(op, "message", &input->content) ? "expected \"message\""
           : ip_parse(check_op_octets_or_empty(op, "ip"), &input->client) != STATUS_OK
               ? "expected \"ip\", the client's address"
           : !outbound && direction.n > 0 && !str_eq(direction, STR("inbound"))
               ? "\"direction\" is \"inbound\" or \"outbound\""
           : !read_recipients(trial) ? "\"rcpt\" is an address or a list of them"
                                     : NULL;
}

static enum status
run_checks(struct trial *trial)
{
    const struct config *config = trial->op->config;
    trial->zone = config_zone_for_ip(config, &trial->input.client);
    struct mail_head_limits limits = {config->limits.header_size, config->limits.header_fields};
    enum status status =
        mail_head_parse(trial->op->arena, trial->input.content, &limits, &trial->head);
    trial->input.head = &trial->head;
    trial->input.head_over_limit = status != STATUS_OK;
    trial->input.body_offset = trial->head.raw.n;
    if (status == STATUS_OK) {
        status = check_mend(&trial->input, trial->zone, &trial->mended);
    }
    finding_list_init(&trial->findings, trial->op->arena);
    checks_run(ROLE_FILTER, &trial->input, &trial->findings);
    return status == STATUS_LIMIT ? STATUS_OK : status;
}

/* ---- the answer */

static json_t *
finding_json(struct trial *trial, const struct decision_rules *rules, const struct finding *finding)
{
    const struct finding_row *row = finding_row(finding->id);
    struct finding_list alone = {.arena = trial->op->arena, .count = 1, .items = {*finding}};
    struct decision decision =
        decision_make(rules, trial->input.direction, &alone, trial->op->arena);
    json_t *evidence = json_object();
    for (size_t i = 0; i < finding->evidence_count; i++) {
        json_object_set_new(evidence, finding->evidence[i].key,
                            check_op_json(trial->op, finding->evidence[i].value));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "name", row->name, "verdict",
                     finding_verdict_name(row->verdict), "meaning", row->meaning, "standard",
                     row->standard, "action", config_action_name(decision.action), "evidence",
                     evidence);
}

static json_t *
findings_json(struct trial *trial, const struct decision_rules *rules)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trial->findings.count; i++) {
        json_array_append_new(list, finding_json(trial, rules, &trial->findings.items[i]));
    }
    return list;
}

static json_t *
decision_json(struct trial *trial)
{
    const struct decision *decision = &trial->decision;
    const struct smtp_reply *reply = &decision->reply;
    const char *rule = decision->cause != NULL ? finding_row(decision->cause->id)->name : "";
    json_t *json = json_pack("{s:s, s:s, s:o}", "action", config_action_name(decision->action),
                             "rule", rule, "tags", check_op_json(trial->op, decision->tags));
    if (decision->action >= CONFIG_ACTION_DEFER) {
        char enhanced[32];
        snprintf(enhanced, sizeof enhanced, "%u.%u.%u", (unsigned)reply->enhanced.class,
                 (unsigned)reply->enhanced.subject, (unsigned)reply->enhanced.detail);
        json_object_set_new(json, "code", json_integer(reply->code));
        json_object_set_new(json, "enhanced", json_string(enhanced));
        json_object_set_new(json, "text", check_op_json(trial->op, reply->text));
    }
    return json;
}

/* The value, or null where nothing was learnt. */
#define OR_NULL(result, json) ((result) != NULL ? (json) : json_null())

static json_t *
auth_json(struct trial *trial)
{
    struct check_op *op = trial->op;
    const struct auth_results *auth = &trial->auth;
    static const struct mail_author nobody = {.kind = MAIL_AUTHOR_NONE};
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "spf",
        OR_NULL(auth->spf_mailfrom, check_json_spf(op, auth->spf_mailfrom)), "spf_helo",
        OR_NULL(auth->spf_helo, check_json_spf(op, auth->spf_helo)), "dkim",
        OR_NULL(auth->dkim, check_json_dkim(op, auth->dkim)), "arc",
        OR_NULL(auth->arc, check_json_arc(op, auth->arc)), "author",
        OR_NULL(auth->author, check_json_author(op, auth->author)), "dmarc",
        OR_NULL(auth->dmarc,
                check_json_dmarc(op, auth->author != NULL ? auth->author : &nobody, auth->dmarc)),
        "iprev", OR_NULL(auth->iprev, check_json_iprev(op, auth->iprev)));
}

/* What the filter would write on top of the message. */
static void
set_fields(struct trial *trial, json_t *answer)
{
    struct check_op *op = trial->op;
    struct authres authres;
    struct authres_write_options options = {.utf8 = trial->input.smtputf8};
    struct str value;
    const char *action = config_action_name(trial->decision.action);
    struct auth_results_context context = {
        .results = &trial->auth,
        .authserv_id = config_authserv_id(op->config),
        .client = trial->input.client,
        .sender = trial->input.sender,
        .disposition = outgoing_disposition(&trial->decision),
    };
    if (auth_results_collect(op->arena, &context, &authres) == STATUS_OK &&
        authres_write(op->arena, &authres, &options, &value) == STATUS_OK) {
        json_object_set_new(answer, "authentication_results", check_op_json(op, value));
    }
    json_object_set_new(answer, "verdict",
                        check_op_json(op, auth_results_verdict(op->arena, &trial->auth, action)));
}

json_t *
check_op_message(struct check_op *op)
{
    struct trial *trial = arena_alloc(op->arena, sizeof *trial);
    if (trial == NULL) {
        return check_op_error("message: no memory");
    }
    trial->op = op;
    const char *problem = read_request(trial);
    if (problem != NULL) {
        return check_op_error("message: %s", problem);
    }
    enum status status = run_checks(trial);
    if (status != STATUS_OK) {
        return check_op_error("message: %s", status_name(status));
    }
    struct decision_rules *rules = decision_rules_create(op->config, trial->zone);
    trial->decision = decision_make(rules, trial->input.direction, &trial->findings, op->arena);
    json_t *answer = auth_json(trial);
    json_object_set_new(answer, "findings", findings_json(trial, rules));
    json_object_set_new(answer, "decision", decision_json(trial));
    set_fields(trial, answer);
    decision_rules_destroy(&rules);
    return answer;
}
