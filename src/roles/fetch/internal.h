/*
 * internal.h - the state of the fetch role, and what its files offer each other.
 *
 *   role.c   start, peers, reload, stop, metrics
 *   job.c    MSG_FETCH: from the request to the reply
 *
 * Everything runs in the loop's thread but the fetches themselves, which run in threads of a queue.
 */
#ifndef POSTERN_ROLES_FETCH_INTERNAL_H
#define POSTERN_ROLES_FETCH_INTERNAL_H

#include "dns/source_channel.h"
#include "fetch/source_curl.h"
#include "roles/asker.h"
#include "roles/role.h"
#include "roles/roots.h"
#include "roles/work.h"

/* Fetches at one time; each may hang until its time is over. */
#define FETCH_THREADS       24u
/* Fetches that wait for a thread; more are answered "busy". */
#define FETCH_WAITING_MAX   500u
/* Who may wait for one fetch; more are answered "busy". */
#define FETCH_ASKERS_MAX    1000u
/* Above the resolver's own limit. */
#define FETCH_DNS_MARGIN_MS 2000

struct fetch_job;

/* What fetches are made with; a reload makes another, and the old one goes with its last fetch. */
struct fetch_client {
    unsigned users; /* fetches, and the role while it is the current one */
    struct dns_source_channel dns_channel;
    struct dns_source dns;
    struct fetch_curl *curl;
    int timeout_ms; /* for one fetch, at most */
};

struct fetch_state {
    struct role_runtime *runtime;
    struct role_roots roots;
    struct fetch_client *client; /* the current one */
    struct work_queue *queue;
    struct fetch_job *jobs; /* that wait or run */
    struct asker *askers;   /* all that wait for an answer */
    bool stopping;
    int64_t outcomes[FETCH_OUTCOME_COUNT]; /* of fetches, not of askers */
    int64_t shared;                        /* requests that joined a fetch under way */
};

/* role.c: gives back one use of a client. */
void fetch_client_release(struct fetch_client *client);

/* job.c: MSG_FETCH; frees the message. */
void fetch_job_ask(struct fetch_state *state, struct channel *channel, struct ipc_message *message);

#endif
