#include "transport/sts_record.h"

#include "dns/name.h"
#include "dns/rdata.h"
#include "transport/txt_fields.h"

static const struct str version = STR_INIT("v=STSv1");

bool
sts_record_is_ours(struct str text)
{
    return txt_fields_is_ours(text, version);
}

static bool
is_id(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (!char_is_alnum(value.p[i])) {
            return false;
        }
    }
    return value.n > 0 && value.n <= STS_ID_MAX;
}

/* What is wrong with a field, or NULL; the id goes to *id. */
static const char *
read_field(struct str name, struct str value, struct str *id)
{
    if (!str_eq(name, STR("id"))) {
        return !txt_fields_is_name(name)     ? "the name of an extension is not valid"
               : !txt_fields_is_value(value) ? "the value of an extension is not valid"
                                             : NULL;
    }
    if (id->n > 0) {
        return "there are several ids";
    }
    if (!is_id(value)) {
        return "the id is not 1 to 32 letters and digits";
    }
    *id = value;
    return NULL;
}

bool
sts_record_parse(struct str text, struct str *id_out, const char **problem_out)
{
    struct str id = STR("");
    struct str name;
    struct str value;
    const char *problem = NULL;
    enum status status = STATUS_OK;
    if (!sts_record_is_ours(text)) {
        *problem_out = "it does not begin with \"v=STSv1;\"";
        return false;
    }
    struct str rest = txt_fields_after(text, version);
    while (problem == NULL && (status = txt_fields_next(&rest, &name, &value)) == STATUS_OK) {
        problem = read_field(name, value, &id);
    }
    if (problem == NULL && status == STATUS_SYNTAX) {
        problem = "a field is not of the form name=value";
    }
    if (problem == NULL && id.n == 0) {
        problem = "there is no id";
    }
    if (problem != NULL) {
        *problem_out = problem;
        return false;
    }
    *id_out = id;
    return true;
}

/* RFC 8461 3.1: other records are discarded; then there must be exactly one. */
static enum status
read_answer(struct arena *arena, const struct dns_answer *answer, struct sts_lookup *lookup)
{
    struct str found = STR("");
    size_t ours = 0;
    for (size_t i = 0; i < answer->record_count; i++) {
        struct str text;
        enum status status = dns_rdata_txt(arena, answer->records[i], &text);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status == STATUS_OK && sts_record_is_ours(text)) {
            found = text;
            ours++;
        }
    }
    if (ours > 1) {
        lookup->state = STS_LOOKUP_INVALID;
        lookup->problem = "there are several MTA-STS records, so that none of them counts";
    } else if (ours == 1) {
        bool valid = sts_record_parse(found, &lookup->id, &lookup->problem);
        lookup->state = valid ? STS_LOOKUP_FOUND : STS_LOOKUP_INVALID;
    }
    return STATUS_OK;
}

enum status
sts_lookup(const struct dns_source *dns, struct arena *arena, struct str domain,
           struct sts_lookup *lookup_out)
{
    struct sts_lookup lookup = {.state = STS_LOOKUP_NONE, .outcome = DNS_OUTCOME_NXDOMAIN};
    struct dns_answer answer;
    struct str name = arena_printf(arena, "_mta-sts.%.*s", STR_ARG(domain));
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    if (!dns_name_is_host(domain) || name.n + 2 > DNS_NAME_WIRE_MAX) {
        *lookup_out = lookup;
        return STATUS_OK;
    }
    enum status status = dns_resolve(dns, arena, name, DNS_TYPE_TXT, &answer);
    if (status == STATUS_OK) {
        lookup.outcome = answer.outcome;
        lookup.security = answer.security;
        if (dns_outcome_is_temporary(answer.outcome)) {
            lookup.state = STS_LOOKUP_TEMPORARY;
        } else {
            status = read_answer(arena, &answer, &lookup);
        }
    }
    if (status == STATUS_OK || status == STATUS_SYNTAX) {
        *lookup_out = lookup;
        return STATUS_OK;
    }
    return status;
}

const char *
sts_lookup_state_name(enum sts_lookup_state state)
{
    static const char *const names[] = {"none", "found", "invalid", "temporary"};
    return (unsigned)state < STS_LOOKUP_COUNT_ ? names[state] : "unknown";
}
