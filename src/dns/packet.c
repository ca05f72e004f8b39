#include "dns/packet.h"

#include "base/buf.h"
#include "dns/name.h"

#define HEADER_SIZE        12u
#define RCODE_OK           0u
#define RCODE_SERVFAIL     2u
#define RCODE_NXDOMAIN     3u
#define CLASS_IN           1u
/* Records of all sections that are looked at. */
#define PACKET_RECORDS_MAX 1024u

struct reader {
    struct str packet;
    size_t at;
};

struct record {
    struct dns_wire_name owner;
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    size_t rdata_at;
    size_t rdata_n;
};

static enum status
read_u16(struct reader *r, uint16_t *out)
{
    if (r->packet.n - r->at < 2) {
        return STATUS_SYNTAX;
    }
    const unsigned char *p = (const unsigned char *)r->packet.p + r->at;
    *out = (uint16_t)(p[0] << 8 | p[1]);
    r->at += 2;
    return STATUS_OK;
}

static enum status
read_u32(struct reader *r, uint32_t *out)
{
    uint16_t high;
    uint16_t low;
    if (read_u16(r, &high) != STATUS_OK || read_u16(r, &low) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    *out = (uint32_t)high << 16 | low;
    return STATUS_OK;
}

/* RFC 1035 4.1.4. A pointer must lead backwards, so that no loop is possible. */
static enum status
read_name(struct reader *r, struct dns_wire_name *out)
{
    const unsigned char *p = (const unsigned char *)r->packet.p;
    size_t at = r->at;
    size_t lowest = r->at;
    bool jumped = false;
    unsigned pointers = 0;
    out->n = 0;
    for (;;) {
        if (at >= r->packet.n) {
            return STATUS_SYNTAX;
        }
        unsigned length = p[at];
        if ((length & 0xc0) == 0xc0) {
            if (at + 1 >= r->packet.n || ++pointers > DNS_POINTER_MAX) {
                return STATUS_SYNTAX;
            }
            size_t target = (size_t)(length & 0x3f) << 8 | p[at + 1];
            if (!jumped) {
                r->at = at + 2;
            }
            if (target >= lowest) {
                return STATUS_SYNTAX;
            }
            jumped = true;
            lowest = at = target;
            continue;
        }
        if (length > DNS_LABEL_MAX || at + 1 + length > r->packet.n ||
            out->n + 1 + length > DNS_NAME_WIRE_MAX) {
            return STATUS_SYNTAX;
        }
        memcpy(out->octets + out->n, p + at, 1 + length);
        out->n += 1 + length;
        at += 1 + length;
        if (length == 0) {
            if (!jumped) {
                r->at = at;
            }
            return STATUS_OK;
        }
    }
}

static bool
wire_name_eq(const struct dns_wire_name *a, const struct dns_wire_name *b)
{
    /* Lengths of labels are below 64 and so never letters: folding them does no harm. */
    return str_eq_nocase(str_make((const char *)a->octets, a->n),
                         str_make((const char *)b->octets, b->n));
}

static enum status
read_record(struct reader *r, struct record *out)
{
    uint16_t length;
    if (read_name(r, &out->owner) != STATUS_OK || read_u16(r, &out->type) != STATUS_OK ||
        read_u16(r, &out->class) != STATUS_OK || read_u32(r, &out->ttl) != STATUS_OK ||
        read_u16(r, &length) != STATUS_OK || r->packet.n - r->at < length) {
        return STATUS_SYNTAX;
    }
    out->rdata_at = r->at;
    out->rdata_n = length;
    r->at += length;
    return STATUS_OK;
}

/* ---- rdata with its names written out */

/* Octets before the name, and how many names follow, for the types that may be compressed. */
static bool
names_in_type(uint16_t type, size_t *before_out, unsigned *names_out)
{
    *before_out = type == DNS_TYPE_MX ? 2 : 0;
    *names_out = type == DNS_TYPE_SOA ? 2 : 1;
    return type == DNS_TYPE_NS || type == DNS_TYPE_CNAME || type == DNS_TYPE_SOA ||
           type == DNS_TYPE_PTR || type == DNS_TYPE_MX;
}

static enum status
expand_rdata(struct arena *arena, struct str packet, const struct record *record,
             struct str *rdata_out)
{
    size_t before;
    unsigned names;
    struct str raw = str_make(packet.p + record->rdata_at, record->rdata_n);
    if (!names_in_type(record->type, &before, &names)) {
        *rdata_out = arena_str_dup(arena, raw);
        return rdata_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    if (raw.n < before) {
        return STATUS_SYNTAX;
    }
    char *out = arena_alloc(arena, raw.n + 2u * DNS_NAME_WIRE_MAX);
    struct reader r = {packet, record->rdata_at + before};
    size_t n = before;
    size_t const end = record->rdata_at + record->rdata_n;
    if (out == NULL) {
        return STATUS_LIMIT;
    }
    memcpy(out, raw.p, before);
    for (unsigned i = 0; i < names; i++) {
        struct dns_wire_name name;
        if (read_name(&r, &name) != STATUS_OK || r.at > end) {
            return STATUS_SYNTAX;
        }
        memcpy(out + n, name.octets, name.n);
        n += name.n;
    }
    memcpy(out + n, packet.p + r.at, end - r.at);
    *rdata_out = str_make(out, n + (end - r.at));
    return STATUS_OK;
}

/* ---- the answer */

struct sections {
    struct record *records;
    size_t answers; /* the first so many are the answer section */
    size_t count;   /* answer and authority */
    unsigned rcode;
};

static enum status
read_question(struct reader *r, uint16_t count, struct str name, uint16_t type)
{
    struct dns_wire_name wanted;
    struct dns_wire_name asked;
    uint16_t asked_type;
    uint16_t asked_class;
    if (count != 1 || dns_name_to_wire(name, &wanted) != STATUS_OK ||
        read_name(r, &asked) != STATUS_OK || read_u16(r, &asked_type) != STATUS_OK ||
        read_u16(r, &asked_class) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    bool same = wire_name_eq(&wanted, &asked) && asked_type == type && asked_class == CLASS_IN;
    return same ? STATUS_OK : STATUS_SYNTAX;
}

static enum status
read_sections(struct arena *arena, struct reader *r, struct str name, uint16_t type,
              struct sections *out)
{
    uint16_t head[6]; /* id, flags, and the counts of the four sections */
    for (size_t i = 0; i < 6; i++) {
        if (read_u16(r, &head[i]) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
    }
    out->rcode = head[1] & 15u;
    out->answers = head[3];
    out->count = (size_t)head[3] + head[4];
    if (out->count > PACKET_RECORDS_MAX) {
        return STATUS_LIMIT;
    }
    if (read_question(r, head[2], name, type) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    out->records = arena_alloc_array(arena, out->count, sizeof *out->records);
    if (out->records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < out->count; i++) {
        if (read_record(r, &out->records[i]) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
    }
    return STATUS_OK;
}

static const struct record *
find_cname(const struct sections *s, const struct dns_wire_name *owner)
{
    for (size_t i = 0; i < s->answers; i++) {
        const struct record *record = &s->records[i];
        if (record->type == DNS_TYPE_CNAME && record->class == CLASS_IN &&
            wire_name_eq(&record->owner, owner)) {
            return record;
        }
    }
    return NULL;
}

/* Goes from the asked name to the one that has the records. */
static enum status
follow_aliases(const struct sections *s, struct str packet, uint16_t type,
               struct dns_wire_name *owner, uint32_t *ttl)
{
    for (unsigned steps = 0; type != DNS_TYPE_CNAME; steps++) {
        const struct record *alias = find_cname(s, owner);
        if (alias == NULL) {
            break;
        }
        struct reader r = {packet, alias->rdata_at};
        if (steps == DNS_CNAME_MAX) {
            return STATUS_LIMIT;
        }
        if (read_name(&r, owner) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        *ttl = alias->ttl < *ttl ? alias->ttl : *ttl;
    }
    return STATUS_OK;
}

static enum status
collect_records(struct arena *arena, struct str packet, const struct sections *s, uint16_t type,
                const struct dns_wire_name *owner, struct dns_answer *answer)
{
    struct str *records = arena_alloc_array(arena, s->answers, sizeof *records);
    if (records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < s->answers; i++) {
        const struct record *record = &s->records[i];
        if (record->type != type || record->class != CLASS_IN ||
            !wire_name_eq(&record->owner, owner)) {
            continue;
        }
        if (answer->record_count == DNS_RECORDS_MAX) {
            return STATUS_LIMIT;
        }
        enum status status = expand_rdata(arena, packet, record, &records[answer->record_count]);
        if (status != STATUS_OK) {
            return status;
        }
        answer->record_count++;
        answer->ttl = record->ttl < answer->ttl ? record->ttl : answer->ttl;
    }
    answer->records = records;
    return STATUS_OK;
}

/* RFC 2308 5: the smaller of the SOA's own TTL and its last field. */
static uint32_t
negative_ttl(const struct sections *s, struct str packet)
{
    for (size_t i = s->answers; i < s->count; i++) {
        const struct record *record = &s->records[i];
        if (record->type != DNS_TYPE_SOA || record->rdata_n < 4) {
            continue;
        }
        struct reader r = {packet, record->rdata_at + record->rdata_n - 4};
        uint32_t minimum = 0;
        if (read_u32(&r, &minimum) == STATUS_OK) {
            return minimum < record->ttl ? minimum : record->ttl;
        }
    }
    return 0;
}

static enum dns_outcome
outcome_of(const struct sections *s, size_t record_count)
{
    switch (s->rcode) {
    case RCODE_OK:
        return record_count > 0 ? DNS_OUTCOME_ANSWER : DNS_OUTCOME_NODATA;
    case RCODE_NXDOMAIN:
        return DNS_OUTCOME_NXDOMAIN;
    case RCODE_SERVFAIL:
        return DNS_OUTCOME_SERVFAIL;
    default:
        return DNS_OUTCOME_REFUSED;
    }
}

enum status
dns_packet_answer(struct arena *arena, struct str packet, struct str name, uint16_t type,
                  struct dns_answer *answer_out)
{
    struct reader r = {packet, 0};
    struct sections s;
    struct dns_wire_name owner;
    struct str rest;
    struct dns_answer answer = *answer_out;
    answer.record_count = 0;
    answer.ttl = UINT32_MAX;
    enum status status = read_sections(arena, &r, name, type, &s);
    if (status == STATUS_OK) {
        status = dns_name_to_wire(name, &owner);
    }
    if (status == STATUS_OK) {
        status = follow_aliases(&s, packet, type, &owner, &answer.ttl);
    }
    if (status == STATUS_OK) {
        status = collect_records(arena, packet, &s, type, &owner, &answer);
    }
    if (status == STATUS_OK) {
        status = dns_name_from_wire(arena, str_make((const char *)owner.octets, owner.n),
                                    &answer.canonical, &rest);
    }
    if (status != STATUS_OK) {
        return status;
    }
    answer.outcome = outcome_of(&s, answer.record_count);
    if (answer.outcome != DNS_OUTCOME_ANSWER) {
        answer.record_count = 0;
        /* An alias on the way may lead elsewhere before. */
        uint32_t const negative = negative_ttl(&s, packet);
        answer.ttl = negative < answer.ttl ? negative : answer.ttl;
    }
    *answer_out = answer;
    return STATUS_OK;
}
