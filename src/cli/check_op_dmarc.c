/*
 * {"op": "dmarc", "domain": D | "from": value of a From field | "message": octets,
 *  "spf": [{"domain", "result"}, ...], "dkim": [{"domain", "result"}, ...], "zone": {...}}
 *     -> {"result", "author_domain", "author_kind", "record_domain", "organizational_domain",
 *         "policy", "policy_tag", "effective", "disposition", "dkim_aligned", "spf_aligned",
 *         "unaligned_parent", "problem", "queries": [name, ...], "record": null | as below}
 *
 * {"op": "dmarc-record", "record": text}
 *     -> {"kind": "ok" | "foreign" | "duplicate", "usable", "p", "sp", "np", "adkim", "aspf",
 * "psd", "t", "fo", "rua": [{"uri", "address", "limit"}, ...], "ruf": [...], "faults"}
 */
#include "auth/dmarc.h"
#include "cli/check_json.h"
#include "mail/author.h"

/* ---- records */

static json_t *
uris_json(struct check_op *op, const struct dmarc_uri *uris, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:I}", "uri", check_op_json(op, uris[i].text),
                                        "address", check_op_json(op, uris[i].address), "limit",
                                        (json_int_t)uris[i].size_limit));
    }
    return list;
}

static const char *
alignment_name(enum dmarc_alignment alignment)
{
    return alignment == DMARC_ALIGNMENT_STRICT ? "s" : "r";
}

static json_t *
record_json(struct check_op *op, const struct dmarc_record *record)
{
    static const char *const psd[] = {"u", "y", "n"};
    enum dmarc_policy sp = record->has_sp ? record->sp : record->p;
    enum dmarc_policy np = record->has_np ? record->np : sp;
    return json_pack(
        "{s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "kind", "ok", "usable",
        record->is_usable, "p", dmarc_policy_name(record->p), "sp", dmarc_policy_name(sp), "np",
        dmarc_policy_name(np), "adkim", alignment_name(record->adkim), "aspf",
        alignment_name(record->aspf), "psd", psd[record->psd], "t", record->testing ? "y" : "n",
        "fo", check_op_json(op, record->fo), "rua", uris_json(op, record->rua, record->rua_count),
        "ruf", uris_json(op, record->ruf, record->ruf_count), "faults",
        check_op_json(op, dmarc_record_faults_text(op->arena, record->faults)));
}

json_t *
check_op_dmarc_record(struct check_op *op)
{
    struct str text;
    enum dmarc_record_result result;
    struct dmarc_record record;
    if (!check_op_octets(op, "record", &text)) {
        return check_op_error("dmarc-record: expected \"record\"");
    }
    if (dmarc_record_parse(op->arena, text, &result, &record) != STATUS_OK) {
        return check_op_error("dmarc-record: the record is too large");
    }
    if (result != DMARC_RECORD_OK) {
        return json_pack("{s:s, s:b}", "kind",
                         result == DMARC_RECORD_DUPLICATE ? "duplicate" : "foreign", "usable", 0);
    }
    return record_json(op, &record);
}

/* ---- evaluation */

/* A header section with one From field; the value may hold any octet. */
static struct str
head_of(struct check_op *op, struct str value)
{
    static const struct str name = STR_INIT("From: ");
    static const struct str end = STR_INIT("\r\n\r\n");
    char *text = arena_alloc(op->arena, name.n + value.n + end.n);
    if (text == NULL) {
        return STR("");
    }
    memcpy(text, name.p, name.n);
    memcpy(text + name.n, value.p, value.n);
    memcpy(text + name.n + value.n, end.p, end.n);
    return str_make(text, name.n + value.n + end.n);
}

static bool
read_author(struct check_op *op, struct mail_author *author)
{
    static const struct mail_head_limits limits = {.size = 16u << 20, .fields = 100000};
    struct str message;
    struct str from;
    struct mail_head head;
    *author = (struct mail_author){.kind = MAIL_AUTHOR_ONE};
    if (check_op_octets(op, "domain", &author->domain)) {
        return true;
    }
    if (check_op_octets(op, "from", &from)) {
        message = head_of(op, from);
    } else if (!check_op_octets(op, "message", &message)) {
        return false;
    }
    return mail_head_parse(op->arena, message, &limits, &head) == STATUS_OK &&
           mail_author_read(op->arena, &head, author) == STATUS_OK;
}

static bool
read_identifiers(struct check_op *op, const char *key, const struct dmarc_identifier **out,
                 size_t *count_out)
{
    const json_t *list = json_object_get(op->request, key);
    size_t count = json_array_size(list);
    struct dmarc_identifier *identifiers =
        arena_alloc_array(op->arena, count + 1, sizeof *identifiers);
    for (size_t i = 0; identifiers != NULL && i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *result = json_string_value(json_object_get(item, "result"));
        if (result == NULL ||
            !check_op_octets_of(op, json_object_get(item, "domain"), &identifiers[i].domain)) {
            return false;
        }
        if (strcmp(result, "pass") == 0) {
            identifiers[i].evidence = DMARC_EVIDENCE_PASS;
        } else if (strcmp(result, "temperror") == 0) {
            identifiers[i].evidence = DMARC_EVIDENCE_TEMPERROR;
        }
    }
    *out = identifiers;
    *count_out = count;
    return identifiers != NULL;
}

json_t *
check_json_dmarc(struct check_op *op, const struct mail_author *author,
                 const struct dmarc_outcome *outcome)
{
    bool applies = outcome->result == DMARC_RESULT_FAIL;
    json_t *queries = json_array();
    for (size_t i = 0; i < outcome->queried_count; i++) {
        json_array_append_new(queries, check_op_json(op, outcome->queried[i]));
    }
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "result", dmarc_result_name(outcome->result), "author_domain",
                     check_op_json(op, outcome->author_domain), "author_kind",
                     mail_author_kind_name(author->kind), "record_domain",
                     check_op_json(op, outcome->record_domain), "organizational_domain",
                     check_op_json(op, outcome->organizational_domain), "policy",
                     dmarc_policy_name(outcome->policy), "policy_tag",
                     dmarc_policy_tag_name(outcome->policy_tag), "effective",
                     dmarc_policy_name(outcome->effective), "disposition",
                     dmarc_policy_name(applies ? outcome->effective : DMARC_POLICY_NONE),
                     "dkim_aligned", check_op_json(op, outcome->dkim_aligned), "spf_aligned",
                     check_op_json(op, outcome->spf_aligned), "unaligned_parent",
                     check_op_json(op, outcome->unaligned_parent), "problem",
                     check_op_json(op, outcome->problem), "queries", queries, "record",
                     outcome->record != NULL ? record_json(op, outcome->record) : json_null());
}

json_t *
check_op_dmarc(struct check_op *op)
{
    struct mail_author author;
    struct dmarc_outcome outcome;
    struct dmarc_input input = {.wants_organizational_domain = json_is_true(
                                    json_object_get(op->request, "organizational_domain"))};
    if (!read_author(op, &author) || !read_identifiers(op, "spf", &input.spf, &input.spf_count) ||
        !read_identifiers(op, "dkim", &input.dkim, &input.dkim_count)) {
        return check_op_error("dmarc: expected \"domain\", \"from\" or \"message\", and \"spf\" "
                              "and \"dkim\" as lists of {\"domain\", \"result\"}");
    }
    input.author_domain = author.domain;
    enum status status = dmarc_evaluate(op->arena, op->dns, &input, &outcome);
    if (status != STATUS_OK) {
        return check_op_error("dmarc: %s", status_name(status));
    }
    return check_json_dmarc(op, &author, &outcome);
}
