/*
 * edge.h - the edge role inside: what its files share.
 *
 *   role.c         the role's definition: start, reload, stop, metrics
 *   listen.c       accepting connections; descriptors running out
 *   profile.c      one configuration generation as listeners need it: settings, TLS
 *   certificates.c the certificates that the parent hands out
 *   signing.c      signatures for handshakes, by the signer
 *   admission.c    who may come in: counts and rates
 *   wheel.c        deadlines
 *   connection.c   one connection: its life, its events and deadlines
 *   admit.c        whether it may come in
 *   phase.c        its phases: what it does when it can go on; reading and writing
 *   proxy.c        the PROXY header of a connection
 *   session.c      the SMTP core's actions, carried out
 *   rcpt.c         CHECK_RECIPIENT: own domains, users, call-outs, SRS, relaying
 *   login.c        the AUTH actions
 *   submit.c       the message, handed to the filter
 *   body.c         a message's content while it comes in
 *   record.c       the core's events as trace events
 *
 * An edge process has one thread and one loop. Nothing in it waits: what others have to answer is a
 * request on a channel whose answer goes on with the connection (request.h). The one exception is
 * the signature of a handshake (signing.h).
 */
#ifndef POSTERN_ROLES_EDGE_EDGE_H
#define POSTERN_ROLES_EDGE_EDGE_H

#include "roles/edge/admission.h"
#include "roles/edge/certificates.h"
#include "roles/edge/profile.h"
#include "roles/edge/signing.h"
#include "roles/edge/wheel.h"
#include "roles/role.h"
#include "roles/trace_sender.h"

/* Read from a socket at one time; also the most input that is kept while an answer is awaited. */
#define EDGE_READ_SIZE       65536u
/* Listening sockets (config/: 1..64), and the one for local users. */
#define EDGE_LISTENERS_MAX   65u
/* What a connection is counted with in the memory budget, beside buffers and bodies. */
#define EDGE_CONNECTION_COST 4096u
/*
 * Of limits.memory: below it, new connections and new messages are taken; above it, messages that
 * have begun may still end, until the whole is used.
 */
#define EDGE_MEMORY_PERCENT  85u

struct connection;
struct event;

/* What happened since the start, for status and /metrics. */
struct edge_counters {
    int64_t connections;
    int64_t refused[ADMISSION_VERDICT_COUNT];
    int64_t refused_memory;
    int64_t refused_no_tls; /* at listeners whose TLS is broken */
    int64_t refused_early_talk;
    int64_t refused_breach; /* did not wait, or spoke another protocol */
    int64_t refused_proxy;
    int64_t no_descriptors;
    int64_t messages; /* answered 2yz */
    int64_t messages_refused;
    int64_t recipients_refused;
    int64_t octets_in;
    int64_t octets_out;
    int64_t tls_sessions;
    int64_t tls_failures;
    int64_t auth_succeeded;
    int64_t auth_failed;
    int64_t timeouts;
    int64_t peer_failures; /* filter, ledger, relay or vault did not answer */
};

struct edge_listener {
    struct edge *edge;
    uint32_t index; /* in config->listeners of its generation; behind them: for local users */
    int fd;         /* owned */
    struct event *readable;
};

struct edge {
    struct role_runtime *runtime;
    struct event_base *loop;
    struct channel *filter; /* borrowed, as the next three */
    struct channel *ledger;
    struct channel *relay;
    struct channel *vault;
    struct trace_sender *traces;
    struct wheel wheel;
    struct event *tick;
    struct tally *clients; /* counts that all edges share */
    struct admission_limits admission_limits;
    struct certificate_store certificates;
    struct signing signing;         /* outlives the certificates */
    struct event *signing_readable; /* the signer has gone, or is late; NULL: there is none */
    struct profile *profile;        /* of new connections; NULL before the start */
    struct edge_listener listeners[EDGE_LISTENERS_MAX];
    size_t listener_count;
    int offered[EDGE_LISTENERS_MAX]; /* sockets of the next generation, by index; -1: none */
    struct event *grace;             /* until what is open is ended; NULL: not stopping */
    struct event *resume;            /* listening again after a pause */
    int reserve_fd;                  /* given up to accept and refuse when there are no others */
    struct connection *connections;  /* doubly linked */
    size_t connection_count;
    uint64_t memory; /* octets held for clients: connections, input, bodies */
    bool stopping;
    bool stopped;
    int64_t refusals_rest_ms; /* rate of traces of refused connections (record.h) */
    struct edge_counters counters;
    char read_buffer[EDGE_READ_SIZE]; /* nothing stays in it between two reads */
};

/* Time for deadlines and rates. */
int64_t edge_now_ms(void);

/* ---- memory budget (role.c) */
void edge_memory_add(struct edge *edge, uint64_t octets);
void edge_memory_remove(struct edge *edge, uint64_t octets);
/* Whether `more` octets may be taken on for something new, or for something that has begun. */
bool edge_memory_admits(const struct edge *edge, uint64_t more);
bool edge_memory_is_spent(const struct edge *edge);

/* ---- role.c */
/* The last connection of a stopping edge may have gone. */
void edge_consider_stopped(struct edge *edge);

/* ---- listen.c */
/* Listens on the offered sockets instead of the old ones. */
void edge_listen(struct edge *edge);
void edge_listen_stop(struct edge *edge);

#endif
