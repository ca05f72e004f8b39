#include "auth/dmarc_observation.h"

#include <jansson.h>
#include <stdlib.h>

#include "auth/dkim_verify.h"
#include "auth/results.h"
#include "auth/spf.h"

/* Of the line's form. */
#define VERSION 1

const char *
dmarc_disposition_name(enum dmarc_disposition disposition)
{
    static const char *const names[DMARC_DISPOSITION_COUNT] = {"none", "pass", "quarantine",
                                                               "reject"};
    return (unsigned)disposition < DMARC_DISPOSITION_COUNT ? names[disposition] : "unknown";
}

bool
dmarc_observation_is_wanted(const struct dmarc_outcome *outcome)
{
    return outcome->record != NULL && outcome->record->is_usable &&
           outcome->record->rua_count > 0 &&
           outcome->record->text.n <= DMARC_OBSERVATION_RECORD_MAX &&
           (outcome->result == DMARC_RESULT_PASS || outcome->result == DMARC_RESULT_FAIL);
}

/* ---- gathering */

/* RFC 9990 3.1.3: which signatures tell most. */
enum rank {
    RANK_STRICT,
    RANK_RELAXED,
    RANK_PASS,
    RANK_OTHER,
    RANK_COUNT,
};

static enum rank
rank_of(const struct dkim_outcome *signature, const struct dmarc_outcome *dmarc)
{
    if (signature->result != DKIM_RESULT_PASS) {
        return RANK_OTHER;
    }
    if (str_eq(signature->signature.domain, dmarc->author_domain)) {
        return RANK_STRICT;
    }
    return str_eq(signature->signature.domain, dmarc->dkim_aligned) ? RANK_RELAXED : RANK_PASS;
}

static void
gather_dkim(const struct auth_results *auth, struct dmarc_observation *out)
{
    size_t count = auth->dkim != NULL ? auth->dkim->count : 0;
    for (unsigned rank = 0; rank < RANK_COUNT; rank++) {
        for (size_t i = 0; i < count && out->dkim_count < DMARC_OBSERVATION_DKIM_MAX; i++) {
            const struct dkim_outcome *item = &auth->dkim->items[i];
            bool has_names = item->signature.domain.n > 0 && item->signature.selector.n > 0;
            if (has_names && rank_of(item, auth->dmarc) == rank) {
                out->dkim[out->dkim_count++] = (struct dmarc_observation_dkim){
                    .domain = item->signature.domain,
                    .selector = item->signature.selector,
                    .result = str_from_cstr(dkim_result_name(item->result)),
                };
            }
        }
    }
}

static enum dmarc_disposition
asked_for(enum dmarc_policy policy)
{
    return policy == DMARC_POLICY_REJECT       ? DMARC_DISPOSITION_REJECT
           : policy == DMARC_POLICY_QUARANTINE ? DMARC_DISPOSITION_QUARANTINE
                                               : DMARC_DISPOSITION_NONE;
}

/* RFC 9990 3.1.1.7: a reason stands where what was done is not what was asked for. */
static void
gather_reason(const struct auth_results *auth, struct dmarc_observation *out)
{
    const struct dmarc_outcome *dmarc = auth->dmarc;
    out->comment = STR("");
    if (dmarc->result != DMARC_RESULT_FAIL || out->disposition == asked_for(dmarc->policy)) {
        return;
    }
    if (auth->override != NULL) {
        out->reason = auth->override->reason;
        out->comment = str_head(auth->override->comment, DMARC_OBSERVATION_NOTE_MAX);
    } else if (out->disposition == asked_for(dmarc->effective)) {
        out->reason = DMARC_OVERRIDE_POLICY_TEST_MODE;
    } else {
        out->reason = DMARC_OVERRIDE_LOCAL_POLICY;
    }
}

void
dmarc_observation_gather(const struct check_input *input, enum dmarc_disposition disposition,
                         struct str to, struct dmarc_observation *observation_out)
{
    const struct auth_results *auth = input->auth;
    const struct dmarc_outcome *dmarc = auth->dmarc;
    size_t at = str_rfind_char(input->sender, '@');
    struct dmarc_observation out = {
        .source = input->client,
        .disposition = dmarc->result == DMARC_RESULT_PASS && disposition == DMARC_DISPOSITION_NONE
                           ? DMARC_DISPOSITION_PASS
                           : disposition,
        .dkim_aligned = dmarc->dkim_aligned.n > 0,
        .spf_aligned = dmarc->spf_aligned.n > 0,
        .header_from = dmarc->author_domain,
        .envelope_from = at == STR_NPOS ? STR("") : str_skip(input->sender, at + 1),
        .envelope_to = to,
        .record_domain = dmarc->record_domain,
        .record = dmarc->record != NULL ? dmarc->record->text : STR(""),
    };
    gather_reason(auth, &out);
    gather_dkim(auth, &out);
    if (auth->spf_mailfrom != NULL) {
        out.spf_domain = auth->spf_mailfrom->domain;
        out.spf_result = str_from_cstr(spf_result_name(auth->spf_mailfrom->result));
    }
    *observation_out = out;
}

/* ---- encoding */

/* Text that is not UTF-8 cannot stand in JSON; no name is. */
static json_t *
text_json(struct str s)
{
    json_t *json = json_stringn(s.p != NULL ? s.p : "", s.n);
    return json != NULL ? json : json_string("");
}

static json_t *
dkim_json(const struct dmarc_observation *observation)
{
    json_t *list = json_array();
    for (size_t i = 0; i < observation->dkim_count; i++) {
        const struct dmarc_observation_dkim *item = &observation->dkim[i];
        json_array_append_new(list, json_pack("[o, o, o]", text_json(item->domain),
                                              text_json(item->selector), text_json(item->result)));
    }
    return list;
}

struct str
dmarc_observation_encode(struct arena *arena, const struct dmarc_observation *observation)
{
    char ip[IP_TEXT_MAX];
    const struct dmarc_observation *o = observation;
    json_t *json = json_pack(
        "{s:i, s:s, s:i, s:i, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "v", VERSION,
        "ip", ip_format(&o->source, ip), "disposition", (int)o->disposition, "reason",
        (int)o->reason, "comment", text_json(o->comment), "dkim", o->dkim_aligned, "spf",
        o->spf_aligned, "from", text_json(o->header_from), "mail_from", text_json(o->envelope_from),
        "rcpt_to", text_json(o->envelope_to), "signatures", dkim_json(o), "spf_domain",
        text_json(o->spf_domain), "spf_result", text_json(o->spf_result), "at",
        text_json(o->record_domain), "record", text_json(o->record));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    json_decref(json);
    if (text == NULL) {
        abort();
    }
    struct str line = arena_str_dup(arena, str_from_cstr(text));
    free(text);
    return line;
}

/* ---- decoding */

struct decoder {
    struct arena *arena;
    const json_t *json;
    enum status status;
};

static struct str
read_text(struct decoder *decoder, const json_t *value)
{
    struct str text = {0};
    if (!json_is_string(value)) {
        decoder->status = STATUS_SYNTAX;
        return text;
    }
    text = arena_str_dup(decoder->arena,
                         str_make(json_string_value(value), json_string_length(value)));
    if (text.p == NULL) {
        decoder->status = STATUS_LIMIT;
    }
    return text;
}

static struct str
member_text(struct decoder *decoder, const char *key)
{
    return read_text(decoder, json_object_get(decoder->json, key));
}

static unsigned
member_number(struct decoder *decoder, const char *key, unsigned below)
{
    const json_t *value = json_object_get(decoder->json, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number >= (json_int_t)below) {
        decoder->status = STATUS_SYNTAX;
        return 0;
    }
    return (unsigned)number;
}

static bool
member_bool(struct decoder *decoder, const char *key)
{
    const json_t *value = json_object_get(decoder->json, key);
    if (!json_is_boolean(value)) {
        decoder->status = STATUS_SYNTAX;
    }
    return json_is_true(value);
}

static void
read_signatures(struct decoder *decoder, struct dmarc_observation *out)
{
    const json_t *list = json_object_get(decoder->json, "signatures");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > DMARC_OBSERVATION_DKIM_MAX) {
        decoder->status = STATUS_SYNTAX;
        return;
    }
    for (size_t i = 0; i < count && decoder->status == STATUS_OK; i++) {
        const json_t *item = json_array_get(list, i);
        out->dkim[i].domain = read_text(decoder, json_array_get(item, 0));
        out->dkim[i].selector = read_text(decoder, json_array_get(item, 1));
        out->dkim[i].result = read_text(decoder, json_array_get(item, 2));
    }
    out->dkim_count = count;
}

static void
read_members(struct decoder *decoder, struct dmarc_observation *out)
{
    out->disposition =
        (enum dmarc_disposition)member_number(decoder, "disposition", DMARC_DISPOSITION_COUNT);
    out->reason =
        (enum dmarc_override_reason)member_number(decoder, "reason", DMARC_OVERRIDE_COUNT);
    out->comment = member_text(decoder, "comment");
    out->dkim_aligned = member_bool(decoder, "dkim");
    out->spf_aligned = member_bool(decoder, "spf");
    out->header_from = member_text(decoder, "from");
    out->envelope_from = member_text(decoder, "mail_from");
    out->envelope_to = member_text(decoder, "rcpt_to");
    out->spf_domain = member_text(decoder, "spf_domain");
    out->spf_result = member_text(decoder, "spf_result");
    out->record_domain = member_text(decoder, "at");
    out->record = member_text(decoder, "record");
    read_signatures(decoder, out);
    if (ip_parse(member_text(decoder, "ip"), &out->source) != STATUS_OK ||
        member_number(decoder, "v", VERSION + 1) != VERSION) {
        decoder->status = STATUS_SYNTAX;
    }
}

enum status
dmarc_observation_decode(struct arena *arena, struct str line,
                         struct dmarc_observation *observation_out)
{
    struct dmarc_observation out = {0};
    struct decoder decoder = {.arena = arena, .status = STATUS_OK};
    json_error_t error;
    if (line.n > DMARC_OBSERVATION_LINE_MAX) {
        return STATUS_SYNTAX;
    }
    json_t *json = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        return STATUS_SYNTAX;
    }
    decoder.json = json;
    read_members(&decoder, &out);
    json_decref(json);
    if (decoder.status == STATUS_OK) {
        *observation_out = out;
    }
    return decoder.status;
}
