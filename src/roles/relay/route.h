/*
 * route.h - the addresses of a next hop, one after the other, looked up as they are needed.
 *
 * What cannot be used on the way (a host without address, an address that is our own) comes out as
 * a failure between the targets, so that the caller can tell it.
 */
#ifndef POSTERN_ROLES_RELAY_ROUTE_H
#define POSTERN_ROLES_RELAY_ROUTE_H

#include "roles/relay/next_hop.h"
#include "roles/relay/session.h"
#include "transport/mx.h"

/* Addresses that are called in one attempt; the domain may have more. */
#define ROUTE_TARGETS_MAX 10u

/* What a route asks and compares with; borrowed. */
struct relay_route_world {
    struct dns_source dns;
    const struct ip_address *own; /* addresses of this machine */
    size_t own_count;
    uint64_t (*random_below)(uint64_t bound);
    uint16_t smtp_port; /* of hosts that the configuration does not name: 25, but in tests */
};

enum relay_route_step {
    ROUTE_TARGET,
    ROUTE_FAILURE, /* something on the way cannot be used; go on */
    ROUTE_END,
};

struct relay_route_failure {
    bool permanent;
    struct smtp_reply reply; /* static text */
    struct str host;         /* that it is about */
};

/* The members are the route's own. */
struct relay_route {
    struct arena *arena;
    const struct config *config;
    const struct relay_route_world *world;
    const struct next_hop *hop;
    bool begun;
    struct mx_host single; /* the one host of hops that are not MX */
    char ip_text[IP_TEXT_MAX];
    const struct mx_host *hosts;
    size_t host_count;
    struct transport_origin origin; /* how the hosts were found */
    size_t host;                    /* the next one */
    struct mx_addresses addresses;
    size_t address;                                /* the next one of hosts[host - 1] */
    const struct dane *dane;                       /* of hosts[host - 1] */
    const struct config_dane_exception *exception; /* of the domain; NULL: none */
    bool no_dane; /* set by the caller: the message asks for no demands on TLS */
    unsigned targets;
    bool cut_short; /* it ended at ROUTE_TARGETS_MAX, and there were more */
};

/* Begins; everything that is passed in is borrowed until the route is dropped. */
void relay_route_start(struct relay_route *route, struct arena *arena, const struct config *config,
                       const struct relay_route_world *world, const struct next_hop *hop);
/* No other address of the host that the last target was of. */
void relay_route_skip_host(struct relay_route *route);
/* The next step; only the output that belongs to it is set. Texts live in the route's arena. */
enum relay_route_step relay_route_next(struct relay_route *route, struct relay_target *target_out,
                                       struct relay_route_failure *failure_out);

#endif
