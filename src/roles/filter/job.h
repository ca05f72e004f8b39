/*
 * job.h - one message on its way through the filter, and what all of them share.
 */
#ifndef POSTERN_ROLES_FILTER_JOB_H
#define POSTERN_ROLES_FILTER_JOB_H

#include <stdatomic.h>

#include "base/random.h"
#include "check/check.h"
#include "config/config.h"
#include "dns/source_channel.h"
#include "ipc/body.h"
#include "ipc/channel.h"
#include "policy/decision.h"
#include "roles/filter.h"
#include "roles/trace_sender.h"
#include "smtp/reply.h"

/* Octets of messages that may be with the filter at one time; more are answered 451. */
#define FILTER_MEMORY_MAX  (256u * 1024u * 1024u)
/* Memory that the work on one message may take, beside the message. */
#define FILTER_ARENA_MAX   (64u * 1024u * 1024u)
/* Of the time that the edge waits, what is left for the answer's way. */
#define FILTER_MARGIN_MS   10000
/* Octets of a field that the trace keeps. */
#define FILTER_TRACE_VALUE 300u

/* What a configuration means to the filter; shared by the messages that began under it. */
struct filter_settings {
    atomic_uint references;
    const struct config *config; /* one reference */
    struct decision_rules *rules;
    struct decision_rules **zone_rules; /* by the zone's place in config->zones */
};

/* The first reference; takes one to `config`. Never NULL. */
struct filter_settings *filter_settings_create(const struct config *config);
/* The rules for a message from a host of that zone (NULL: of none). */
const struct decision_rules *filter_settings_rules(const struct filter_settings *settings,
                                                   const struct config_zone *zone);
/* Both thread-safe. */
struct filter_settings *filter_settings_ref(struct filter_settings *settings);
void filter_settings_unref(struct filter_settings **settings);

/* How messages left the filter; for the metrics. */
enum filter_outcome {
    FILTER_ACCEPTED,
    FILTER_HELD,
    FILTER_REJECTED,
    FILTER_DEFERRED, /* by decision */
    FILTER_FAILED,   /* spool or resources */
    FILTER_OUTCOME_COUNT,
};

/* Beside the workers for mail from outside, one in so many for our own. */
#define FILTER_OWN_SHARE 4u
/* Public keys that are kept: a key takes some kilobytes, and large senders have few. */
#define FILTER_KEY_CACHE 4096u

/* What all jobs share; made before the first and destroyed after the last. */
struct key_cache;
struct names;
struct pool;
struct vault_client;

/* Kinds of findings that are counted: places in the table of finding_rows. */
#define FILTER_FINDINGS_MAX 160u

struct filter_shared {
    struct channel *spool;
    struct vault_client *vault;
    struct key_cache *key_cache; /* public keys of signatures that came in; may be NULL */
    struct trace_sender *sender;
    struct pool *pool;        /* mail from outside */
    struct pool *own_pool;    /* mail of our users and hosts: strangers do not keep it waiting */
    struct dns_source dns;    /* one question at a time; resolve is NULL where there is no DNS */
    struct channel *resolver; /* for questions up front; may be NULL */
    struct dns_view *view;    /* of what the resolver knows; may be NULL */
    atomic_int dns_timeout_ms;
    atomic_size_t active; /* jobs that have not been answered */
    atomic_size_t memory; /* octets of their messages */
    atomic_uint_fast64_t outcomes[FILTER_OUTCOME_COUNT];
    atomic_uint_fast64_t findings[FILTER_FINDINGS_MAX]; /* by their places in the table */
};

/* The message itself, which nobody needs any more once its commit was sent. */
struct filter_content {
    struct ipc_message *message; /* owned */
    struct msg_submit *submit;   /* its fields */
    struct ipc_body_view view;   /* of submit->content */
    size_t memory;               /* counted in shared->memory */
};

/* One copy of a message on its way to the disk. */
struct filter_commit {
    struct filter_job *job;
    char id[ID_LENGTH + 1];
    struct trace trace; /* of a copy with an id of its own */
    uint64_t size;      /* with its edited header */
    size_t recipients;
    uint8_t priority; /* enum spool_priority */
};

/* The message for our domains, and the one that is forwarded to others. */
#define FILTER_COMMITS_MAX 2u

/*
 * A message between MSG_SUBMIT and its answer. It belongs to one thread at a time: the loop, the
 * queue, a worker, and after its commit was sent the loop again.
 */
struct filter_job {
    struct filter_job *next; /* in the queue */
    struct filter_shared *shared;
    struct filter_settings *settings; /* one reference */
    struct channel *edge;
    uint64_t request;
    int64_t deadline_ms; /* monotonic: it must be answered by then */
    struct filter_content content;
    struct names *names; /* owned until a worker has the job; see names.h */
    struct trace trace;
    /* What is told when the spool has answered. */
    char id[ID_LENGTH + 1];
    char session[ID_LENGTH + 1];
    struct str hold; /* name of the finding, static; empty: not held */
    struct filter_commit commits[FILTER_COMMITS_MAX];
    atomic_int pending; /* commits without result */
    atomic_int worst;   /* of the results */
};

/*
 * Takes a MSG_SUBMIT over. STATUS_SYNTAX: an honest edge does not send this; STATUS_LIMIT: there is
 * too much in the filter already. On failure the message stays the caller's.
 */
[[nodiscard]] enum status filter_job_create(struct filter_shared *shared,
                                            struct filter_settings *settings, struct channel *edge,
                                            struct ipc_message *message,
                                            struct filter_job **job_out);
/* Answers the edge, hands the trace to the ledger and frees the job. */
void filter_job_finish(struct filter_job *job, enum filter_outcome outcome,
                       const struct smtp_reply *reply);
/* Frees a content, which may be empty already. */
void filter_content_free(struct filter_shared *shared, struct filter_content *content);

/* Which way a message goes. */
enum check_direction filter_direction(const struct config *config, const struct msg_submit *submit);

/*
 * Before a worker has it, in the loop's thread: asks the DNS for what the checks will need, and
 * calls `ready` with the job when the answers are there, perhaps at once.
 */
void filter_job_prepare(struct filter_job *job, void (*ready)(void *job));

/*
 * All that is done with a message, in a worker thread; `arena` is empty and is reset by the caller.
 * Ends in filter_job_finish, here or when the spool has answered.
 */
void filter_message_process(struct filter_job *job, struct arena *arena);

#endif
