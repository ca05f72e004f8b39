/*
 * iprev.h - the name of a client's address, confirmed by the address of the name (RFC 8601 3).
 *
 * The PTR records of an address are what its owner says it is called; a name counts when it leads
 * back to the address. SPF's ptr mechanism and %{p} macro (RFC 7208 5.5, 7.3) read the same names.
 */
#ifndef POSTERN_AUTH_IPREV_H
#define POSTERN_AUTH_IPREV_H

#include "base/ip.h"
#include "dns/dns.h"

/* Names that are looked up; further PTR records are ignored (RFC 8601 3, RFC 7208 4.6.4). */
#define IPREV_NAMES_MAX 10u

/* RFC 8601 2.7.3 */
enum iprev_result {
    IPREV_RESULT_PASS,      /* a name leads back to the address */
    IPREV_RESULT_FAIL,      /* there are names, and none does */
    IPREV_RESULT_TEMPERROR, /* the DNS could not be asked */
    IPREV_RESULT_PERMERROR, /* the address has no name */
};

struct iprev_name {
    struct str name;          /* presentation form, in the arena */
    enum dns_outcome outcome; /* of the question for its addresses */
    bool confirmed;           /* one of them is the client's */
};

struct iprev_outcome {
    enum iprev_result result;
    struct str name;         /* the first confirmed one; empty: none */
    struct str problem;      /* for people; empty with pass */
    enum dns_outcome lookup; /* of the question for PTR records */
    size_t name_count;
    struct iprev_name names[IPREV_NAMES_MAX]; /* in the order of the answer */
};

/* Looks a client up. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status iprev_check(const struct dns_source *dns, struct arena *arena,
                                      const struct ip_address *client,
                                      struct iprev_outcome *outcome_out);

/*
 * The confirmed name that says most to `domain` (presentation form): the domain itself, else a name
 * below it, else any; "unknown" when there is none (RFC 7208 7.3, %{p}).
 */
struct str iprev_name_for(const struct iprev_outcome *outcome, struct str domain);

/* "pass", "fail", "temperror", "permerror"; static, never NULL. */
const char *iprev_result_name(enum iprev_result result);

/* What a name that a client introduced itself with has to do with its address. */
enum helo_address {
    HELO_ADDRESS_NO_NAME,   /* it is no name that could have an address */
    HELO_ADDRESS_MATCHES,   /* the name has the client's address */
    HELO_ADDRESS_DIFFERS,   /* it has others */
    HELO_ADDRESS_NONE,      /* it has no address of the client's family, or does not exist */
    HELO_ADDRESS_TEMPERROR, /* the DNS could not be asked */
};

/*
 * Compares the addresses of a HELO name (an ASCII name as the client gave it, or its A-labels) with
 * the client's. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status helo_matches(const struct dns_source *dns, struct arena *arena,
                                       struct str helo, const struct ip_address *client,
                                       enum helo_address *result_out);

/* "matches", "differs", ...; static, never NULL. */
const char *helo_address_name(enum helo_address result);

#endif
