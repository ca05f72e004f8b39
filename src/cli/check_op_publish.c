/*
 * {"op": "publish", "domain": one of the configuration's,
 *  "keys": [{"selector", "state", "text"}, ...], "verify": true}
 *     -> {"domain", "records": [{"name", "type", "value", "preference", "comment",
 *             "standard", "status", "shown": [...], "remark"}, ...]}
 *
 * The records that a domain needs in the DNS so that its mail comes here and is believed elsewhere.
 * "status" and what follows it only with "verify": "ok", "differs", "missing", or "unknown" where
 * the DNS gave no answer.
 */
#include "auth/dkim_key.h"
#include "auth/dmarc_record.h"
#include "auth/spf.h"
#include "cli/check_op.h"
#include "dns/rdata.h"
#include "mail/author.h"

#define MX_PREFERENCE 10
/* Addresses of our own that SPF is tried with. */
#define SENDERS_MAX   16u
#define SPF_VALUE_MAX 16384u

struct publish {
    struct check_op *op;
    const struct config_domain *domain;
    bool verify;
    json_t *records;
};

/* What is to be published in one place. */
struct wanted {
    struct str name;
    enum dns_type type;
    struct str value; /* text of a TXT record, or the exchange of an MX record */
    const char *comment;
    const char *standard;
};

enum standing {
    STANDING_OK,
    STANDING_DIFFERS,
    STANDING_MISSING,
    STANDING_UNKNOWN,
};

/* What the DNS shows at the place of a record. */
struct shown {
    enum standing standing;
    const char *remark; /* for people; NULL: none */
    json_t *values;     /* owned until it is in the answer */
};

/* Whether a value that differs is as good; NULL-terminated reason in *remark_out. */
typedef bool as_good(struct publish *publish, const struct wanted *wanted, struct str text,
                     const char **remark_out);

/* ---- what is shown */

static struct str
value_of(struct publish *publish, enum dns_type type, struct str rdata)
{
    struct arena *arena = publish->op->arena;
    struct dns_mx mx;
    struct str text = STR("");
    if (type == DNS_TYPE_MX && dns_rdata_mx(arena, rdata, &mx) == STATUS_OK) {
        return mx.exchange.n > 0 ? mx.exchange : STR(".");
    }
    if (type == DNS_TYPE_TXT && dns_rdata_txt(arena, rdata, &text) != STATUS_OK) {
        text = STR("");
    }
    return text;
}

static bool
is_same(enum dns_type type, struct str value, struct str text)
{
    return type == DNS_TYPE_MX ? dns_name_eq(value, text) : str_eq(value, text);
}

/* TXT records at a name may be of all kinds; these are meant to be of the wanted one. */
static bool
is_of_kind(const struct wanted *wanted, struct str text)
{
    size_t version = str_find_char(wanted->value, ' ');
    size_t semicolon = str_find_char(wanted->value, ';');
    version = semicolon < version ? semicolon : version;
    return wanted->type == DNS_TYPE_MX ||
           str_starts_with_nocase(str_trim(text), str_head(wanted->value, version));
}

static void
look(struct publish *publish, const struct wanted *wanted, as_good *is_good, struct shown *shown)
{
    struct dns_answer answer;
    size_t of_kind = 0;
    bool good = false;
    enum status status = dns_resolve(publish->op->dns, publish->op->arena, wanted->name,
                                     (uint16_t)wanted->type, &answer);
    if (status != STATUS_OK || dns_outcome_is_temporary(answer.outcome)) {
        shown->standing = STANDING_UNKNOWN;
        shown->remark = status == STATUS_OK ? dns_outcome_name(answer.outcome) : "not a name";
        return;
    }
    for (size_t i = 0; i < answer.record_count; i++) {
        struct str text = value_of(publish, wanted->type, answer.records[i]);
        if (!is_of_kind(wanted, text)) {
            continue;
        }
        of_kind++;
        json_array_append_new(shown->values, check_op_json(publish->op, text));
        good = good || is_same(wanted->type, wanted->value, text) ||
               (is_good != NULL && is_good(publish, wanted, text, &shown->remark));
    }
    if (of_kind > 1 && wanted->type == DNS_TYPE_TXT) {
        good = false;
        shown->remark = "there must be one record, not several";
    }
    shown->standing = good ? STANDING_OK : of_kind == 0 ? STANDING_MISSING : STANDING_DIFFERS;
}

static void
add(struct publish *publish, const struct wanted *wanted, as_good *is_good)
{
    static const char *const names[] = {"ok", "differs", "missing", "unknown"};
    struct check_op *op = publish->op;
    json_t *record =
        json_pack("{s:o, s:s, s:o, s:s, s:s}", "name", check_op_json(op, wanted->name), "type",
                  dns_type_name((uint16_t)wanted->type), "value", check_op_json(op, wanted->value),
                  "comment", wanted->comment, "standard", wanted->standard);
    if (wanted->type == DNS_TYPE_MX) {
        json_object_set_new(record, "preference", json_integer(MX_PREFERENCE));
    }
    if (publish->verify) {
        struct shown shown = {.values = json_array()};
        look(publish, wanted, is_good, &shown);
        json_object_set_new(record, "status", json_string(names[shown.standing]));
        json_object_set_new(record, "shown", shown.values);
        json_object_set_new(record, "remark",
                            json_string(shown.remark != NULL ? shown.remark : ""));
    }
    json_array_append_new(publish->records, record);
}

/* ---- SPF */

/* The addresses that our mail leaves from: those configured, else those of our host name. */
static size_t
senders(struct publish *publish, struct ip_address ips[static SENDERS_MAX])
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    const struct config *config = publish->op->config;
    const struct config_networks *networks = &config->authentication.spf.networks;
    size_t count = 0;
    for (size_t i = 0; i < networks->count && count < SENDERS_MAX; i++) {
        ips[count++] = networks->items[i].base;
    }
    for (size_t i = 0; i < 2 && networks->count == 0; i++) {
        struct dns_answer answer;
        const struct ip_address *found;
        size_t n = 0;
        if (dns_resolve(publish->op->dns, publish->op->arena, config->hostname, types[i],
                        &answer) != STATUS_OK ||
            dns_answer_addresses(publish->op->arena, &answer, &found, &n) != STATUS_OK) {
            continue;
        }
        for (size_t k = 0; k < n && count < SENDERS_MAX; k++) {
            ips[count++] = found[k];
        }
    }
    return count;
}

/* Another record is as good when it permits all our addresses. */
static bool
permits_us(struct publish *publish, const struct wanted *wanted, struct str text,
           const char **remark_out)
{
    struct ip_address ips[SENDERS_MAX];
    size_t count = senders(publish, ips);
    (void)text;
    for (size_t i = 0; i < count; i++) {
        struct spf_outcome outcome;
        struct spf_input input = {
            .dns = publish->op->dns,
            .arena = publish->op->arena,
            .identity = SPF_IDENTITY_MAILFROM,
            .client = ips[i],
            .helo = publish->op->config->hostname,
            .sender = wanted->name,
            .receiver = publish->op->config->hostname,
            .now = publish->op->now,
        };
        if (spf_check(&input, &outcome) != STATUS_OK || outcome.result != SPF_RESULT_PASS) {
            *remark_out = "it does not permit this gateway";
            return false;
        }
    }
    *remark_out = count > 0 ? "another record, which permits this gateway"
                            : "the addresses of this gateway are not known";
    return count > 0;
}

static struct str
spf_value(struct publish *publish)
{
    const struct config *config = publish->op->config;
    const struct config_spf *spf = &config->authentication.spf;
    struct buf out;
    buf_init(&out, SPF_VALUE_MAX);
    enum status status = buf_append(&out, STR("v=spf1"));
    if (spf->networks.count == 0 && status == STATUS_OK) {
        status = buf_printf(&out, " a:%.*s", STR_ARG(config->hostname));
    }
    for (size_t i = 0; i < spf->networks.count && status == STATUS_OK; i++) {
        const struct ip_network *network = &spf->networks.items[i];
        char ip[IP_TEXT_MAX];
        bool v4 = ip_is_v4(&network->base);
        unsigned prefix = v4 ? network->prefix - 96 : network->prefix;
        status = buf_printf(&out, " %s:%s", v4 ? "ip4" : "ip6", ip_format(&network->base, ip));
        if (status == STATUS_OK && prefix < (v4 ? 32u : 128u)) {
            status = buf_printf(&out, "/%u", prefix);
        }
    }
    for (size_t i = 0; i < spf->includes.count && status == STATUS_OK; i++) {
        status = buf_printf(&out, " include:%.*s", STR_ARG(spf->includes.items[i]));
    }
    if (status == STATUS_OK) {
        status = buf_append(&out, STR(" -all"));
    }
    struct str value =
        arena_str_dup(publish->op->arena, status == STATUS_OK ? buf_str(&out) : STR("v=spf1 -all"));
    buf_free(&out);
    return value;
}

static void
add_spf(struct publish *publish)
{
    const struct config *config = publish->op->config;
    struct wanted wanted = {
        .name = publish->domain->name,
        .type = DNS_TYPE_TXT,
        .value = spf_value(publish),
        .comment = config->smart_host.to.host.n > 0
                       ? "who may send in its name; mail leaves through a smart host: "
                         "authentication.spf says what that one wants"
                       : "who may send in its name",
        .standard = "RFC 7208",
    };
    add(publish, &wanted, permits_us);
    if (!dns_name_eq(config->hostname, publish->domain->name)) {
        wanted.name = config->hostname;
        wanted.comment = "the same for the name in HELO, which counts for notifications";
        wanted.value =
            config->authentication.spf.networks.count == 0 ? STR("v=spf1 a -all") : wanted.value;
        add(publish, &wanted, permits_us);
    }
}

/* ---- DKIM */

static bool
has_same_key(struct publish *publish, const struct wanted *wanted, struct str text,
             const char **remark_out)
{
    struct dkim_key ours;
    struct dkim_key theirs;
    (void)publish;
    if (dkim_key_parse(wanted->value, &ours) != DKIM_PROBLEM_NONE ||
        dkim_key_parse(text, &theirs) != DKIM_PROBLEM_NONE || !str_eq(ours.public, theirs.public)) {
        *remark_out = "another key";
        return false;
    }
    return true;
}

static bool
add_keys(struct publish *publish)
{
    const json_t *keys = json_object_get(publish->op->request, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *state = json_string_value(json_object_get(key, "state"));
        struct str selector;
        struct wanted wanted = {.type = DNS_TYPE_TXT, .standard = "RFC 6376"};
        if (state == NULL ||
            !check_op_octets_of(publish->op, json_object_get(key, "selector"), &selector) ||
            !check_op_octets_of(publish->op, json_object_get(key, "text"), &wanted.value)) {
            return false;
        }
        wanted.name = arena_printf(publish->op->arena, "%.*s." DKIM_KEY_LABEL ".%.*s",
                                   STR_ARG(selector), STR_ARG(publish->domain->name));
        wanted.comment = arena_printf(publish->op->arena, "a key that signs its mail; %s", state).p;
        add(publish, &wanted, has_same_key);
    }
    return true;
}

/* ---- DMARC and MX */

/* The owner decides on his policy; ours is where one begins. */
static bool
is_dmarc(struct publish *publish, const struct wanted *wanted, struct str text,
         const char **remark_out)
{
    enum dmarc_record_result result;
    struct dmarc_record record;
    (void)wanted;
    bool good = dmarc_record_parse(publish->op->arena, text, &result, &record) == STATUS_OK &&
                result == DMARC_RECORD_OK && record.is_usable && record.faults == 0;
    *remark_out = good ? "a policy of your own" : "it cannot be used as it is";
    return good;
}

static void
add_dmarc(struct publish *publish)
{
    struct arena *arena = publish->op->arena;
    struct str domain = publish->domain->name;
    struct wanted wanted = {
        .name = arena_printf(arena, "_dmarc.%.*s", STR_ARG(domain)),
        .type = DNS_TYPE_TXT,
        .value =
            arena_printf(arena, "v=DMARC1; p=none; rua=mailto:postmaster@%.*s", STR_ARG(domain)),
        .comment = "what others do with forged mail; p=quarantine, then p=reject, when the reports "
                   "are good",
        .standard = "RFC 9989",
    };
    add(publish, &wanted, is_dmarc);
}

static void
add_mx(struct publish *publish)
{
    struct wanted wanted = {
        .name = publish->domain->name,
        .type = DNS_TYPE_MX,
        .value = publish->op->config->hostname,
        .comment = "where its mail goes: this gateway",
        .standard = "RFC 5321 5.1",
    };
    add(publish, &wanted, NULL);
}

json_t *
check_op_publish(struct check_op *op)
{
    struct str name;
    struct publish publish = {.op = op,
                              .verify = json_is_true(json_object_get(op->request, "verify"))};
    if (!check_op_octets(op, "domain", &name)) {
        return check_op_error("publish: expected \"domain\"");
    }
    publish.domain = config_domain_find(op->config, name);
    if (publish.domain == NULL) {
        return check_op_error("%.*s is not among the domains of the configuration", STR_ARG(name));
    }
    publish.records = json_array();
    add_mx(&publish);
    add_spf(&publish);
    bool good = add_keys(&publish);
    add_dmarc(&publish);
    json_t *answer = json_pack("{s:o, s:o}", "domain", check_op_json(op, publish.domain->name),
                               "records", publish.records);
    if (!good) {
        json_decref(answer);
        return check_op_error("publish: \"keys\" are objects with \"selector\", \"state\", "
                              "\"text\"");
    }
    return answer;
}
