/*
 * call.h - opening a session to an address with the TLS that it must have, for deliveries and
 * call-outs.
 *
 * What TLS must be is demanded by the next hop (domain, route, smart host), the zone of the address
 * that is called, DANE, MTA-STS and the message (protect.h); a connection that is less is left
 * before anything is said over it. Where nothing is demanded: when anything fails between STARTTLS
 * and the reply to the EHLO behind the handshake, 421 included, the same address is called anew and
 * used in the clear, and that is recorded. Who can make a handshake fail could have taken STARTTLS
 * out of the offer as well.
 *
 * Where the hop has a login, the session is logged in before it is used, over TLS as good as the
 * login asks for. What goes wrong there is for us to repair: it is temporary, and logged.
 */
#ifndef POSTERN_ROLES_RELAY_CALL_H
#define POSTERN_ROLES_RELAY_CALL_H

#include <stdatomic.h>

#include "roles/relay/idle.h"
#include "roles/relay/protect.h"
#include "roles/relay/quirks.h"
#include "roles/relay/route.h"
#include "trace/trace.h"

/* Counted by all workers. */
struct relay_counters {
    atomic_ullong connections; /* opened */
    atomic_ullong connections_failed;
    atomic_ullong connections_reused;
    atomic_ullong tls; /* opened with TLS */
    atomic_ullong tls_failed;
    atomic_ullong authenticated; /* opened with a server that proved who it is, as demanded */
    atomic_ullong insecure;      /* left, or not even opened, because of what is demanded */
    atomic_ullong results[TLS_RESULT_COUNT_]; /* of verdicts, also of those that pass */
    atomic_ullong logins_failed;
    atomic_ullong delivered; /* recipients */
    atomic_ullong deferred;
    atomic_ullong failed;
};

/* Where passwords for next hops are; thread-safe. */
struct relay_passwords {
    /* Appends the password of `user` at `host` to a buffer, which the caller wipes.
     * STATUS_NOT_FOUND: nobody has set it; else it cannot be asked for now. */
    enum status (*find)(void *context, struct str host, struct str user, struct buf *password_out);
    void *context;
};

/* What all deliveries share; thread-safe. */
struct relay_world {
    struct relay_route_world route;
    struct relay_idle *idle;
    struct relay_quirks *quirks;
    struct relay_passwords passwords;
    struct relay_counters counters;
};

/* Who calls, and for what; all borrowed. */
struct relay_caller {
    struct relay_world *world;
    const struct config *config;
    struct tls_client *tls;
    const struct next_hop *hop;
    struct relay_needs needs; /* of the message */
    struct relay_sts sts;     /* of the hop's domain */
    struct trace *trace;
    int64_t deadline_ms; /* monotonic: the session ends then; 0: no limit but the time-outs */
    bool tls_closed;     /* the target refused STARTTLS a moment ago, and closed the connection */
};

/* Opens a session; NULL with *failure_out. With its skip_host no other address of the host will do
 * either. */
struct relay_session *relay_call(const struct relay_caller *caller,
                                 const struct relay_target *target,
                                 struct relay_session_failure *failure_out);

#endif
