#include "dns/source_zone.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/encode.h"
#include "dns/rdata.h"

/* What a whole zone may take in memory, octets. */
#define ZONE_CEILING (64u << 20)

/* One record, or one error in place of records. */
struct zone_record {
    uint16_t type; /* 0: answers every type without a record of its own */
    enum dns_outcome outcome;
    enum dns_security security;
    struct str rdata;
};

struct zone_owner {
    struct str name; /* normal form; the key */
    struct zone_record *records;
    size_t count;
    UT_hash_handle hh;
};

struct dns_zone {
    struct arena *arena;
    struct zone_owner *owners;
    enum dns_security security;
    atomic_size_t questions;
};

/* ---- reading */

static const struct {
    const char *name;
    enum dns_outcome outcome;
} errors[] = {
    {"TIMEOUT", DNS_OUTCOME_TIMEOUT},   {"ETIMEOUT", DNS_OUTCOME_TIMEOUT},
    {"SERVFAIL", DNS_OUTCOME_SERVFAIL}, {"ESERVFAIL", DNS_OUTCOME_SERVFAIL},
    {"REFUSED", DNS_OUTCOME_REFUSED},   {"EREFUSED", DNS_OUTCOME_REFUSED},
    {"NXDOMAIN", DNS_OUTCOME_NXDOMAIN}, {"ENOTFOUND", DNS_OUTCOME_NXDOMAIN},
    {"NODATA", DNS_OUTCOME_NODATA},     {"ENODATA", DNS_OUTCOME_NODATA},
};

static enum status
error_find(struct str name, enum dns_outcome *outcome_out)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (str_eq(str_from_cstr(errors[i].name), name)) {
            *outcome_out = errors[i].outcome;
            return STATUS_OK;
        }
    }
    return STATUS_SYNTAX;
}

static struct str
json_text(const json_t *value)
{
    return str_make(json_string_value(value), json_string_length(value));
}

static enum status
json_u16(const json_t *object, const char *key, uint16_t most, uint16_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most) {
        return STATUS_SYNTAX;
    }
    *out = (uint16_t)json_integer_value(value);
    return STATUS_OK;
}

static enum status
read_txt(const json_t *object, struct buf *out)
{
    const json_t *strings = json_object_get(object, "strings");
    size_t i;
    const json_t *string;
    if (json_is_string(json_object_get(object, "value"))) {
        return dns_rdata_put_txt(out, json_text(json_object_get(object, "value")));
    }
    enum status status = json_is_array(strings) ? STATUS_OK : STATUS_SYNTAX;
    json_array_foreach(strings, i, string)
    {
        if (status == STATUS_OK) {
            status =
                json_is_string(string) ? dns_rdata_put_txt(out, json_text(string)) : STATUS_SYNTAX;
        }
    }
    return status;
}

static enum status
read_tlsa(struct arena *arena, const json_t *object, struct buf *out)
{
    uint16_t usage, selector, matching;
    struct dns_tlsa tlsa;
    if (json_u16(object, "usage", 255, &usage) != STATUS_OK ||
        json_u16(object, "selector", 255, &selector) != STATUS_OK ||
        json_u16(object, "matching", 255, &matching) != STATUS_OK ||
        hex_decode(arena, json_text(json_object_get(object, "data")), &tlsa.data) != STATUS_OK ||
        tlsa.data.n == 0) {
        return STATUS_SYNTAX;
    }
    tlsa.usage = (uint8_t)usage;
    tlsa.selector = (uint8_t)selector;
    tlsa.matching = (uint8_t)matching;
    return dns_rdata_put_tlsa(out, &tlsa);
}

/* Appends the wire form of a record's value. */
static enum status
read_value(struct arena *arena, const json_t *object, uint16_t type, struct buf *out)
{
    struct str value = json_text(json_object_get(object, "value"));
    struct ip_address ip;
    uint16_t preference;
    switch ((enum dns_type)type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        return ip_parse(value, &ip) == STATUS_OK && (type == DNS_TYPE_A) == ip_is_v4(&ip)
                   ? dns_rdata_put_ip(out, type, &ip)
                   : STATUS_SYNTAX;
    case DNS_TYPE_MX:
        return json_u16(object, "pref", UINT16_MAX, &preference) == STATUS_OK
                   ? dns_rdata_put_mx(out, preference, value)
                   : STATUS_SYNTAX;
    case DNS_TYPE_CNAME:
    case DNS_TYPE_NS:
    case DNS_TYPE_PTR:
        return json_is_string(json_object_get(object, "value")) ? dns_rdata_put_name(out, value)
                                                                : STATUS_SYNTAX;
    case DNS_TYPE_TXT:
    case DNS_TYPE_SPF:
        return read_txt(object, out);
    case DNS_TYPE_TLSA:
        return read_tlsa(arena, object, out);
    case DNS_TYPE_SOA:
    case DNS_TYPE_DS:
    case DNS_TYPE_DNSKEY:
        break;
    }
    return STATUS_SYNTAX;
}

static enum status
read_security(const json_t *object, enum dns_security otherwise, enum dns_security *security_out)
{
    const json_t *secure = json_object_get(object, "secure");
    if (secure == NULL) {
        *security_out = otherwise;
    } else if (json_is_boolean(secure)) {
        *security_out = json_is_true(secure) ? DNS_SECURITY_SECURE : DNS_SECURITY_INSECURE;
    } else if (json_is_string(secure) && str_eq(json_text(secure), STR("bogus"))) {
        *security_out = DNS_SECURITY_BOGUS;
    } else {
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

static enum status
read_record(struct dns_zone *zone, const json_t *object, struct zone_record *record)
{
    struct str type = json_text(json_object_get(object, "type"));
    const json_t *error = json_object_get(object, "error");
    struct buf rdata;
    enum status status = read_security(object, zone->security, &record->security);
    if (status != STATUS_OK) {
        return status;
    }
    record->type = dns_type_find(type);
    if (record->type == 0) {
        return error_find(type, &record->outcome);
    }
    if (error != NULL) {
        return error_find(json_text(error), &record->outcome);
    }
    buf_init(&rdata, DNS_RDATA_MAX);
    status = read_value(zone->arena, object, record->type, &rdata);
    if (status == STATUS_OK) {
        record->rdata = arena_str_dup(zone->arena, buf_str(&rdata));
        status = record->rdata.p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    buf_free(&rdata);
    return status;
}

/* The owner with this name, made if there is none: two spellings of a name are one owner. */
static struct zone_owner *
owner_get(struct dns_zone *zone, struct str name)
{
    struct zone_owner *owner;
    HASH_FIND(hh, zone->owners, name.p, name.n, owner);
    if (owner == NULL && (owner = arena_alloc(zone->arena, sizeof *owner)) != NULL) {
        owner->name = name;
        HASH_ADD_KEYPTR(hh, zone->owners, owner->name.p, owner->name.n, owner);
    }
    return owner;
}

/* Owners are written plainly: blanks and octets above 126 stand for themselves. */
static enum status
owner_name(struct arena *arena, struct str text, struct str *name_out)
{
    struct buf escaped;
    buf_init(&escaped, DNS_NAME_TEXT_MAX);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        status = c > ' ' && c <= '~' ? buf_append_char(&escaped, text.p[i])
                                     : buf_printf(&escaped, "\\%03u", c);
    }
    if (status == STATUS_OK) {
        status = dns_name_normalize(arena, buf_str(&escaped), name_out);
    }
    buf_free(&escaped);
    return status;
}

static enum status
read_owner(struct dns_zone *zone, struct str name, const json_t *array)
{
    struct str normal;
    size_t i;
    const json_t *object;
    if (!json_is_array(array)) {
        return STATUS_SYNTAX;
    }
    enum status status = owner_name(zone->arena, name, &normal);
    if (status == STATUS_LIMIT) {
        return STATUS_OK; /* too long for a name: nobody can ask for it */
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct zone_owner *owner = owner_get(zone, normal);
    size_t most = (owner != NULL ? owner->count : 0) + json_array_size(array);
    struct zone_record *records = arena_alloc_array(zone->arena, most + 1, sizeof *records);
    if (owner == NULL || records == NULL || most > DNS_RECORDS_MAX) {
        return STATUS_LIMIT;
    }
    if (owner->count > 0) {
        memcpy(records, owner->records, owner->count * sizeof *records);
    }
    owner->records = records;
    json_array_foreach(array, i, object)
    {
        status = read_record(zone, object, &records[owner->count]);
        if (status != STATUS_OK) {
            return status;
        }
        owner->count++;
    }
    return STATUS_OK;
}

static enum status
read_zone(struct arena *arena, struct str json, struct dns_zone *zone, struct str *error_out)
{
    json_error_t error;
    const char *name;
    const json_t *records;
    json_t *root = json_loadb(json.n > 0 ? json.p : "", json.n,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json_is_object(root)) {
        *error_out = root == NULL ? arena_printf(arena, "line %d, column %d: %s", error.line,
                                                 error.column, error.text)
                                  : STR("expected an object of owner names");
        json_decref(root);
        return STATUS_SYNTAX;
    }
    enum status status = STATUS_OK;
    json_object_foreach(root, name, records)
    {
        status = read_owner(zone, str_from_cstr(name), records);
        if (status != STATUS_OK) {
            *error_out = arena_printf(arena, "owner \"%s\": not a name with records (%s)", name,
                                      status_name(status));
            break;
        }
    }
    json_decref(root);
    return status;
}

enum status
dns_zone_create(struct arena *arena, struct str json, enum dns_security security,
                struct dns_zone **zone_out, struct str *error_out)
{
    struct dns_zone *zone = calloc(1, sizeof *zone);
    if (zone == NULL) {
        abort();
    }
    zone->arena = arena_create(ZONE_CEILING);
    zone->security = security;
    enum status status = read_zone(arena, json, zone, error_out);
    if (status != STATUS_OK) {
        dns_zone_destroy(&zone);
        return status;
    }
    *zone_out = zone;
    return STATUS_OK;
}

void
dns_zone_destroy(struct dns_zone **zone)
{
    if (*zone == NULL) {
        return;
    }
    HASH_CLEAR(hh, (*zone)->owners);
    arena_destroy(&(*zone)->arena);
    free(*zone);
    *zone = NULL;
}

/* ---- answering */

/* The weaker of two steps; bogus is weakest of all. */
static enum dns_security
weaker(enum dns_security a, enum dns_security b)
{
    if (a == DNS_SECURITY_BOGUS || b == DNS_SECURITY_BOGUS) {
        return DNS_SECURITY_BOGUS;
    }
    return a < b ? a : b;
}

/* Fills the answer with what the owner has for the type; false when it has nothing. */
static bool
owner_answer(const struct zone_owner *owner, uint16_t type, struct str *records,
             struct dns_answer *answer)
{
    const struct zone_record *error = NULL;
    for (size_t i = 0; i < owner->count; i++) {
        const struct zone_record *record = &owner->records[i];
        if (record->type == type && record->outcome == DNS_OUTCOME_ANSWER) {
            records[answer->record_count++] = record->rdata;
            answer->security = weaker(answer->security, record->security);
        } else if (error == NULL && (record->type == type || record->type == 0)) {
            error = record;
        }
    }
    if (answer->record_count > 0) {
        answer->outcome = DNS_OUTCOME_ANSWER;
    } else if (error != NULL) {
        answer->outcome = error->outcome;
        answer->security = weaker(answer->security, error->security);
    }
    return answer->record_count > 0 || error != NULL;
}

static const struct zone_record *
owner_cname(const struct zone_owner *owner)
{
    for (size_t i = 0; i < owner->count; i++) {
        if (owner->records[i].type == DNS_TYPE_CNAME &&
            owner->records[i].outcome == DNS_OUTCOME_ANSWER) {
            return &owner->records[i];
        }
    }
    return NULL;
}

/* Looks at one name of a chain; *next_out is where its CNAME leads, {NULL,0} when it ends here. */
static enum status
answer_step(struct dns_zone *zone, struct arena *arena, uint16_t type, struct str *records,
            struct dns_answer *answer, struct str *next_out)
{
    struct zone_owner *owner;
    struct str target;
    *next_out = str_make(NULL, 0);
    HASH_FIND(hh, zone->owners, answer->canonical.p, answer->canonical.n, owner);
    if (owner == NULL) {
        answer->outcome = DNS_OUTCOME_NXDOMAIN;
        answer->security = weaker(answer->security, zone->security);
        return STATUS_OK;
    }
    if (owner_answer(owner, type, records, answer)) {
        return STATUS_OK;
    }
    const struct zone_record *cname = owner_cname(owner);
    if (cname == NULL) {
        answer->outcome = DNS_OUTCOME_NODATA;
        answer->security = weaker(answer->security, zone->security);
        return STATUS_OK;
    }
    answer->security = weaker(answer->security, cname->security);
    enum status status = dns_rdata_name(arena, cname->rdata, &target);
    return status == STATUS_OK ? dns_name_normalize(arena, target, next_out) : status;
}

static enum status
zone_resolve(void *ctx, struct arena *arena, struct str name, uint16_t type, struct dns_answer *out)
{
    struct dns_zone *zone = ctx;
    struct dns_answer answer = {.security = DNS_SECURITY_SECURE, .ttl = DNS_ZONE_TTL};
    struct str *records = arena_alloc_array(arena, DNS_RECORDS_MAX, sizeof *records);
    struct str next;
    enum status status = dns_name_normalize(arena, name, &answer.canonical);
    if (status != STATUS_OK || records == NULL) {
        return status != STATUS_OK ? status : STATUS_LIMIT;
    }
    atomic_fetch_add(&zone->questions, 1);
    for (unsigned i = 0; i <= DNS_ZONE_CNAMES_MAX; i++) {
        status = answer_step(zone, arena, type, records, &answer, &next);
        if (status != STATUS_OK) {
            return status;
        }
        if (next.p == NULL) {
            break;
        }
        answer.canonical = next;
        answer.outcome = DNS_OUTCOME_SERVFAIL;
    }
    if (next.p != NULL) {
        answer.detail = STR("the chain of CNAMEs is too long");
    } else if (answer.security == DNS_SECURITY_BOGUS) {
        answer.outcome = DNS_OUTCOME_SERVFAIL;
        answer.record_count = 0;
        answer.detail = STR("the answer does not validate");
    }
    answer.records = records;
    *out = answer;
    return STATUS_OK;
}

struct dns_source
dns_source_from_zone(struct dns_zone *zone)
{
    return (struct dns_source){.resolve = zone_resolve, .ctx = zone};
}

size_t
dns_zone_questions(const struct dns_zone *zone)
{
    return atomic_load(&zone->questions);
}
