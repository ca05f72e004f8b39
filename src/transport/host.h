/*
 * host.h - how a host and its address were found, as far as it matters to what may be demanded of
 * it: the status of each step in DNSSEC, and the names behind aliases (RFC 7672 2.2).
 *
 * Texts are borrowed from whoever made it.
 */
#ifndef POSTERN_TRANSPORT_HOST_H
#define POSTERN_TRANSPORT_HOST_H

#include "dns/dns.h"

/* Where the name of a host comes from. */
enum transport_way {
    TRANSPORT_WAY_MX,         /* an MX record of the domain */
    TRANSPORT_WAY_IMPLICIT,   /* the domain has none and is its own host (RFC 5321 5.1) */
    TRANSPORT_WAY_CONFIGURED, /* the configuration names the host */
    TRANSPORT_WAY_ADDRESS,    /* there is no name: an address, or a Unix socket */
};

struct transport_origin {
    enum transport_way way;
    struct str domain;          /* whose mail goes there: the policy domain; or the host itself */
    struct str canonical;       /* the domain behind its aliases; empty: not asked */
    enum dns_security security; /* of the MX records or of their absence; not of other ways */
};

struct transport_address {
    enum dns_security security; /* of the A and AAAA records */
    struct str canonical;       /* the host behind its aliases; empty: not asked */
};

#endif
