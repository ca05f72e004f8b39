/*
 * source_zone.h - answers from a table in JSON, for tests and for tools that replay a case.
 *
 *     {"example.com": [{"type": "MX", "pref": 10, "value": "mx.example.com"},
 *                      {"type": "TXT", "strings": ["v=spf1 ", "-all"]}],
 *      "mx.example.com": [{"type": "A", "value": "192.0.2.1"}, {"type": "AAAA", "error":
 * "TIMEOUT"}], "broken.example": [{"type": "SERVFAIL"}]}
 *
 * Owners are written plainly, octets that a name escapes elsewhere stand for themselves.
 * An owner that is absent is NXDOMAIN, also where there are names below it; an owner without the
 * type is NODATA. A record of type TIMEOUT or SERVFAIL
 * answers every type that has no record of its own there; "error" (TIMEOUT, ETIMEOUT, SERVFAIL,
 * ESERVFAIL, REFUSED, NXDOMAIN, ENOTFOUND, NODATA, ENODATA) answers its own type. CNAMEs are
 * followed, at most DNS_ZONE_CNAMES_MAX of them; a longer chain or a loop is SERVFAIL. Besides
 * "value" and "strings", TLSA takes {"usage", "selector", "matching", "data" in hex}, and
 * "secure": true, false or "bogus" at any record sets the security of its answer (otherwise that of
 * the zone as a whole).
 */
#ifndef POSTERN_DNS_SOURCE_ZONE_H
#define POSTERN_DNS_SOURCE_ZONE_H

#include "dns/dns.h"

#define DNS_ZONE_CNAMES_MAX 10u
/* The ttl of every answer, in seconds. */
#define DNS_ZONE_TTL        300u

struct dns_zone;

/*
 * Reads a zone; STATUS_SYNTAX (with *error_out in the arena saying what and where) for anything the
 * format does not have. `security` is what answers have that do not say otherwise. The zone is the
 * caller's (dns_zone_destroy).
 */
[[nodiscard]] enum status dns_zone_create(struct arena *arena, struct str json,
                                          enum dns_security security, struct dns_zone **zone_out,
                                          struct str *error_out);
void dns_zone_destroy(struct dns_zone **zone);

/* A source over the zone, which must outlive it; may be shared by threads. */
struct dns_source dns_source_from_zone(struct dns_zone *zone);

/* Questions answered so far; tests count lookups with it. */
size_t dns_zone_questions(const struct dns_zone *zone);

#endif
