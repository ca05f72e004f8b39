/*
 * protect.h - what must protect the connection to a target, and what the trace tells of it: what
 * was wanted, what was got, and why, with what the DNS said at each step.
 *
 * The demand is made of the configuration of the next hop, the zone of the address, DANE, MTA-STS
 * and the message (transport/demand.h).
 */
#ifndef POSTERN_ROLES_RELAY_PROTECT_H
#define POSTERN_ROLES_RELAY_PROTECT_H

#include "roles/relay/next_hop.h"
#include "roles/relay/session.h"
#include "trace/trace.h"

/* What a message wants of the connections that it goes over. */
struct relay_needs {
    bool requiretls;      /* RFC 8689 4 */
    bool tls_required_no; /* RFC 8689 5: "TLS-Required: No" */
};

/* The MTA-STS policy of the hop's domain. */
struct relay_sts {
    const struct sts_policy *policy; /* NULL: there is none */
    struct str id;
};

/* What is demanded of a target; texts are borrowed from all of these. */
struct transport_demand relay_demand_make(const struct config *config, const struct next_hop *hop,
                                          const struct relay_target *target,
                                          const struct relay_needs *needs,
                                          const struct relay_sts *sts);

/*
 * Names the connections to a hop that a message may share: only those that were opened for the
 * same needs and under the same policy (transport.md 49). {NULL,0}: the arena is full.
 */
struct str relay_session_key(struct arena *arena, const struct next_hop *hop,
                             const struct relay_needs *needs, const struct relay_sts *sts);

/* What was got. */
struct relay_protection {
    const struct tls_facts *tls; /* NULL: no TLS */
    enum tls_result result;
    const char *error; /* for people; NULL: nothing to tell */
    bool used;         /* the connection is used; else the host is left */
};

/* Records it. */
void relay_protection_trace(struct trace *trace, const struct next_hop *hop,
                            const struct relay_target *target,
                            const struct transport_demand *demand,
                            const struct relay_protection *got);

#endif
