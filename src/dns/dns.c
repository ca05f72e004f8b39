#include "dns/dns.h"

static const char *const outcome_names[DNS_OUTCOME_COUNT] = {
    [DNS_OUTCOME_ANSWER] = "answer",     [DNS_OUTCOME_NODATA] = "nodata",
    [DNS_OUTCOME_NXDOMAIN] = "nxdomain", [DNS_OUTCOME_SERVFAIL] = "servfail",
    [DNS_OUTCOME_TIMEOUT] = "timeout",   [DNS_OUTCOME_REFUSED] = "refused",
};

static const char *const security_names[DNS_SECURITY_COUNT] = {
    [DNS_SECURITY_INDETERMINATE] = "indeterminate",
    [DNS_SECURITY_INSECURE] = "insecure",
    [DNS_SECURITY_SECURE] = "secure",
    [DNS_SECURITY_BOGUS] = "bogus",
};

static const struct {
    uint16_t number;
    const char *name;
} types[] = {
    {DNS_TYPE_A, "A"},     {DNS_TYPE_NS, "NS"},     {DNS_TYPE_CNAME, "CNAME"},
    {DNS_TYPE_SOA, "SOA"}, {DNS_TYPE_PTR, "PTR"},   {DNS_TYPE_MX, "MX"},
    {DNS_TYPE_TXT, "TXT"}, {DNS_TYPE_AAAA, "AAAA"}, {DNS_TYPE_TLSA, "TLSA"},
    {DNS_TYPE_SPF, "SPF"}, {DNS_TYPE_DS, "DS"},     {DNS_TYPE_DNSKEY, "DNSKEY"},
};

enum status
dns_resolve(const struct dns_source *source, struct arena *arena, struct str name, uint16_t type,
            struct dns_answer *answer_out)
{
    struct dns_answer answer = {.outcome = DNS_OUTCOME_SERVFAIL};
    enum status status = source->resolve(source->ctx, arena, name, type, &answer);
    if (status == STATUS_OK) {
        *answer_out = answer;
    }
    return status;
}

void
dns_prefetch(const struct dns_source *source, struct str name, uint16_t type)
{
    if (source->prefetch != NULL) {
        source->prefetch(source->ctx, name, type);
    }
}

void
dns_prefetch_send(const struct dns_source *source)
{
    if (source->prefetch_send != NULL) {
        source->prefetch_send(source->ctx);
    }
}

enum status
dns_answer_copy(struct arena *arena, const struct dns_answer *answer, struct dns_answer *copy_out)
{
    struct dns_answer copy = *answer;
    struct str *records = arena_alloc_array(arena, answer->record_count + 1, sizeof *records);
    if (records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < answer->record_count; i++) {
        records[i] = arena_str_dup(arena, answer->records[i]);
        if (records[i].p == NULL) {
            return STATUS_LIMIT;
        }
    }
    copy.canonical = arena_str_dup(arena, answer->canonical);
    copy.detail = arena_str_dup(arena, answer->detail);
    copy.records = records;
    if (copy.canonical.p == NULL || copy.detail.p == NULL) {
        return STATUS_LIMIT;
    }
    *copy_out = copy;
    return STATUS_OK;
}

bool
dns_outcome_is_temporary(enum dns_outcome outcome)
{
    return outcome == DNS_OUTCOME_SERVFAIL || outcome == DNS_OUTCOME_TIMEOUT ||
           outcome == DNS_OUTCOME_REFUSED;
}

const char *
dns_outcome_name(enum dns_outcome outcome)
{
    return (unsigned)outcome < DNS_OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

const char *
dns_security_name(enum dns_security security)
{
    return (unsigned)security < DNS_SECURITY_COUNT ? security_names[security] : "unknown";
}

const char *
dns_type_name(uint16_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].number == type) {
            return types[i].name;
        }
    }
    return NULL;
}

uint16_t
dns_type_find(struct str name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (str_eq_nocase(str_from_cstr(types[i].name), name)) {
            return types[i].number;
        }
    }
    return 0;
}
