/*
 * dns.h - questions to the domain name system and their answers, with their DNSSEC status.
 *
 * Everything in Postern that needs a name asks a struct dns_source and never knows what is behind
 * it: the resolver role (source_channel.h) or a table in a test (source_zone.h). A question is a
 * name and a type; the answer is one value that holds an outcome, a security status and the records
 * as wire octets (rdata.h reads them). No outcome is an error of the program: NXDOMAIN and a
 * time-out are answers like others, and each caller's standard says what they mean to it.
 *
 * Names are in presentation form (RFC 1035 5.1), without the final dot; the root is empty (name.h).
 * All text and octets of an answer live in the arena that was passed in.
 *
 * RFC 1035, 2308 (negative answers), 4035 (the four security states).
 */
#ifndef POSTERN_DNS_DNS_H
#define POSTERN_DNS_DNS_H

#include "base/arena.h"

/* Most records of one answer, and octets of one record; what is more makes the answer SERVFAIL. */
#define DNS_RECORDS_MAX 256u
#define DNS_RDATA_MAX   65535u
/* Most questions that travel together. */
#define DNS_BATCH_MAX   64u

/* IANA numbers of the record types that are asked for. */
enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_MX = 15,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_DS = 43,
    DNS_TYPE_DNSKEY = 48,
    DNS_TYPE_TLSA = 52,
    DNS_TYPE_SPF = 99, /* RFC 7208 3.1: obsolete, known so that tests can hold it */
};

/* What became of a question. The numbers travel in messages between roles. */
enum dns_outcome {
    DNS_OUTCOME_ANSWER = 0,   /* at least one record */
    DNS_OUTCOME_NODATA = 1,   /* the name exists, the type does not */
    DNS_OUTCOME_NXDOMAIN = 2, /* the name does not exist */
    DNS_OUTCOME_SERVFAIL = 3, /* a server failed; also a bogus answer, and one over our bounds */
    DNS_OUTCOME_TIMEOUT = 4,  /* no server answered in time */
    DNS_OUTCOME_REFUSED = 5,  /* a server would not answer (any other response code, too) */
};
#define DNS_OUTCOME_COUNT 6u

/* RFC 4035 4.3. Of an answer found through CNAMEs: of the weakest step. */
enum dns_security {
    DNS_SECURITY_INDETERMINATE = 0, /* not validated */
    DNS_SECURITY_INSECURE = 1,      /* proved to be unsigned */
    DNS_SECURITY_SECURE = 2,        /* validated up to a trust anchor */
    DNS_SECURITY_BOGUS = 3,         /* should validate and does not; outcome is SERVFAIL */
};
#define DNS_SECURITY_COUNT 4u

struct dns_answer {
    enum dns_outcome outcome;
    enum dns_security security;
    struct str canonical;      /* the name after CNAMEs; the asked name where there were none */
    struct str detail;         /* for people: why it is bogus or failed; may be empty */
    uint32_t ttl;              /* seconds; of a negative answer: how long it may be kept */
    const struct str *records; /* rdata in wire form, names in it uncompressed */
    size_t record_count;       /* 0 unless the outcome is ANSWER */
};

/* Where answers come from. */
struct dns_source {
    /*
     * Asks and waits. Fills *out and returns STATUS_OK for every outcome; STATUS_SYNTAX when `name`
     * is not a domain name, STATUS_LIMIT when the arena is full. A source that cannot be reached
     * answers SERVFAIL.
     */
    enum status (*resolve)(void *ctx, struct arena *arena, struct str name, uint16_t type,
                           struct dns_answer *out);
    void *ctx;
    /*
     * For sources that can ask without waiting (source_cache.h); both NULL in others. prefetch
     * notes a question that will come, prefetch_send asks all that were noted.
     */
    void (*prefetch)(void *ctx, struct str name, uint16_t type);
    void (*prefetch_send)(void *ctx);
};

/* Asks `source`; errors as above. *answer_out is untouched on failure. */
[[nodiscard]] enum status dns_resolve(const struct dns_source *source, struct arena *arena,
                                      struct str name, uint16_t type,
                                      struct dns_answer *answer_out);

/*
 * Says that (name, type) will be asked soon. Does not wait and cannot fail: what is no name, or too
 * much, is left out, and a source that has no such thing ignores it. The question goes out with
 * others at dns_prefetch_send, or at the next dns_resolve.
 */
void dns_prefetch(const struct dns_source *source, struct str name, uint16_t type);
void dns_prefetch_send(const struct dns_source *source);

/*
 * A copy of `answer` whose text and octets live in the arena. STATUS_LIMIT: the arena is full,
 * *copy_out is untouched.
 */
[[nodiscard]] enum status dns_answer_copy(struct arena *arena, const struct dns_answer *answer,
                                          struct dns_answer *copy_out);

/* True when asking again later may give another outcome: SERVFAIL, TIMEOUT, REFUSED. */
bool dns_outcome_is_temporary(enum dns_outcome outcome);

/* "answer", "nxdomain", ...; static, never NULL. */
const char *dns_outcome_name(enum dns_outcome outcome);
/* "secure", "bogus", ...; static, never NULL. */
const char *dns_security_name(enum dns_security security);
/* "MX"; NULL for a type that has no name here. */
const char *dns_type_name(uint16_t type);
/* The type called `name` (any letter case); 0 when there is none. */
uint16_t dns_type_find(struct str name);

#endif
