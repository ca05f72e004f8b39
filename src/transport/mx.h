/*
 * mx.h - which hosts take mail for a domain, and at which addresses (RFC 5321 5.1, RFC 7505).
 *
 * Pure over a struct dns_source: the same questions, the same random numbers, the same plan. What
 * DNSSEC says of each answer, and the names behind aliases, are kept: DANE asks for them (dane.h).
 */
#ifndef POSTERN_TRANSPORT_MX_H
#define POSTERN_TRANSPORT_MX_H

#include "base/ip.h"
#include "dns/dns.h"
#include "smtp/reply.h"

/* Hosts of a plan, best first; a domain may list more. */
#define MX_HOSTS_MAX     20u
/* Addresses of one host. */
#define MX_ADDRESSES_MAX 16u

struct mx_host {
    struct str name;
    uint16_t preference;
};

enum mx_outcome {
    MX_FOUND,
    MX_TEMPORARY, /* the DNS does not answer now */
    MX_PERMANENT, /* there is no way to deliver to this domain */
};

struct mx_plan {
    enum mx_outcome outcome;
    struct smtp_reply reply;     /* unless FOUND: our own words, code 0 or 556 */
    const struct mx_host *hosts; /* in the order to be tried */
    size_t count;
    enum dns_security security; /* of the MX records, or of the answer that there are none */
    struct str canonical;       /* the domain behind its aliases; itself where it has none */
    bool implicit;              /* there are none: the domain itself is the host */
};

struct mx_rules {
    struct str own_name;                     /* a host of this name is ourselves */
    uint64_t (*random_below)(uint64_t most); /* orders hosts of equal preference, and addresses */
};

/*
 * The plan for a domain (A-labels). Hosts are ordered by preference, at random among equals. When
 * we are in the list ourselves, we and all that are not better are left out (RFC 5321 5.1); nobody
 * being left is a loop. STATUS_LIMIT: the arena is full. STATUS_SYNTAX: not a domain name.
 */
[[nodiscard]] enum status mx_plan_make(struct arena *arena, const struct dns_source *dns,
                                       struct str domain, const struct mx_rules *rules,
                                       struct mx_plan *plan_out);

struct mx_addresses {
    enum mx_outcome outcome;
    struct smtp_reply reply;
    const struct ip_address *items; /* IPv6 and IPv4 in turn, each family in random order */
    size_t count;
    enum dns_security security; /* of these addresses: the weaker one of both families */
    struct str canonical;       /* the host behind its aliases; itself where it has none */
};

/* The addresses of a host. Errors as above. */
[[nodiscard]] enum status mx_addresses_find(struct arena *arena, const struct dns_source *dns,
                                            struct str host, const struct mx_rules *rules,
                                            struct mx_addresses *addresses_out);

#endif
