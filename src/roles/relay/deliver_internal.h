/*
 * deliver_internal.h - what the files of a delivery share. Nobody else includes it.
 *
 * deliver.c    hosts, sessions, batches
 * transact.c   transactions with one server, and what their results mean
 */
#ifndef POSTERN_ROLES_RELAY_DELIVER_INTERNAL_H
#define POSTERN_ROLES_RELAY_DELIVER_INTERNAL_H

#include "roles/relay/deliver.h"
#include "store/delivery.h"

/* Recipients with the same next hop that have no result yet. */
struct batch {
    const struct next_hop *hop;
    struct relay_sts sts; /* the MTA-STS policy of the hop's domain */
    struct str key;       /* of connections that may be shared (relay_session_key) */
    size_t *indexes;      /* into the delivery's recipients */
    size_t count;
};

/* Its time is over: who has no result is deferred. */
bool delivery_is_over(const struct relay_delivery *d);
/* The result of recipient `index`; texts are copied. */
void delivery_settle(struct relay_delivery *d, size_t index, enum delivery_outcome outcome,
                     const struct smtp_reply *reply, struct str remote, struct str tls);
/* Gives up a recipient by what is known of it (relay_standing_conclude). */
void delivery_settle_by_standing(struct relay_delivery *d, size_t index, bool more_hosts);
void delivery_trace_failure(struct relay_delivery *d, const struct relay_target *target,
                            const char *stage, const struct smtp_reply *reply);

/* Recipients of the batch that the present host has not answered. */
size_t batch_active(const struct relay_delivery *d, const struct batch *batch);
/* Transactions for these over one session, while it can go on; what is settled leaves the batch. */
void batch_converse(struct relay_delivery *d, struct batch *batch, struct relay_session *session);

#endif
