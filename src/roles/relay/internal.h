/*
 * internal.h - the state of the relay role and what its files do for each other.
 *
 *   role.c       start, peers, reload, stop, metrics
 *   lease.c      MSG_DELIVER: from the lease to the report
 *   callout.c    call-outs and their cache
 *   deliver.c, transact.c, standing.c, reply_text.c   one delivery
 *   route.c, next_hop.c           where to (with transport/mx.c)
 *   call.c, session.c, idle.c     over which connection
 *   crew.c                        the worker threads
 *   memory.c                      results that may not be on disk yet
 */
#ifndef POSTERN_ROLES_RELAY_INTERNAL_H
#define POSTERN_ROLES_RELAY_INTERNAL_H

#include <pthread.h>

#include "dns/source_channel.h"
#include "roles/relay/callout.h"
#include "roles/relay/crew.h"
#include "roles/relay/memory.h"
#include "roles/relay/relay.h"
#include "roles/roots.h"
#include "roles/trace_sender.h"

struct lease;

struct relay {
    struct role_runtime *runtime;
    struct relay_world world;
    struct dns_source_channel dns;
    struct ip_address *own; /* addresses of this machine */
    struct role_roots roots;
    struct relay_crew *crew;
    struct relay_memory *memory;
    struct relay_callout_cache *callouts;
    struct trace_sender *traces;
    struct event *tick;
    bool stopping;

    /* Held while a report is sent and while the spool changes: a report never reaches a spool that
     * did not give the lease. Taken before `mutex`, if both are. */
    pthread_mutex_t report_mutex;
    atomic_uint generation; /* counts the spool's lives; changed with both held */

    pthread_mutex_t mutex;   /* everything below */
    struct tls_client *tls;  /* replaced on reload */
    struct lease *leases;    /* with the crew, or parked */
    size_t lease_count;      /* of `leases` that belong to the spool of now */
    size_t old_lease_count;  /* and to one that has gone */
    bool old_lease_ended;    /* and the spool has not been told what that makes room for */
    size_t callouts_waiting; /* with the crew */
};

/* ---- lease.c */

/* A message from the spool; takes it over. */
void relay_lease_take(struct relay *relay, struct ipc_message *message);
/* The spool has gone, or is another one: its leases are void. */
void relay_lease_spool_changed(struct relay *relay);
/* Tells the spool how many deliveries may be here at one time. */
void relay_lease_tell_capacity(struct relay *relay);
/* Tells it again when there is more room; once a tick. */
void relay_lease_tick(struct relay *relay);

/* ---- role.c */

/* The TLS settings of now; the caller owns the reference. Thread-safe. */
struct tls_client *relay_tls_ref(struct relay *relay);

#endif
